s3: probe.nop
