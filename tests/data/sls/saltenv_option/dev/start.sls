include: [more]
dev_{{ saltenv }}: probe.nop
