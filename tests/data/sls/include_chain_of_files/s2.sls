include: [s3]
id2: probe.nop
