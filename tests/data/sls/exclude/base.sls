include: [plain]
dep: probe.nop
keep: probe.nop
