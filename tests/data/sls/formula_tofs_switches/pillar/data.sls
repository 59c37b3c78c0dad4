app:
  tofs:
    path_prefix: alt
    dirs: {files: t, default: d}
    files_switch: [any/path/can/be/used/here, id, 'datacenter:name', osfinger, os_family]
    source_files:
      App main: [alt_main.conf, alt_main.conf.jinja]
