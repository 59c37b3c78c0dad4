a:
  probe.nop:
    - v1: [0644, 0o644, 0x1F, 1_000, 0b11, 08, 010, +5, -3]
    - v2: [1e3, 1.5e-3, .5, 5., .inf, -.inf, 1.0]
    - v3: [yes, no, on, off, y, n, Yes, TRUE, False, null, ~, Null, ""]
    - v4: [12:30, 12:30:45, 1:2, 2001-01-01, 2001-01-01 12:00:00, 2001-12-14t21:59:43.10-05:00]
    - v5: !!str 5
    - v6: !!int "5"
    - v7: !!float 1
    - v8: 'it''s'
    - v9: "tab\tnew\nline \u00e9"
    - v10: plain # comment
    - v11: http://x:80/#frag
    - v13: 1.2.3
    - v14: 0644abc
    - v15: 00
    - v16: 0.1.2
    - v17: 1e5x
    - v18: 0777777777777
