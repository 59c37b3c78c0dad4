qa_q: probe.nop
