app:
  tofs:
    files_switch: [id, roles, os_family]
    source_files:
      App conf: ['custom.conf.jinja']
    dirs: {files: files, default: default}
