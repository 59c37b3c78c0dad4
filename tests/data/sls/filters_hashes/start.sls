a:
  probe.nop:
    - v1: {{ 'x' | md5 }} {{ 'x' | sha1 }} {{ 'x' | sha256 }}
    - v2: {{ 'x' | sha512 }}
    - v3: {{ 'text' | base64_encode }} {{ 'dGV4dA==' | base64_decode }}
    - v4: {{ 'message' | hmac('key', 'WTVbUm0B7/3OBhzAQIS9LUELrYcHlScpiJUHAmTJ1Ls=') }} {{ 'message' | hmac_compute('key') }}
    - v5: {{ 'x' | random_hash | length > 10 }}
    - v6: {{ 5 | rand_str | length > 0 }} {{ 8 | random_str | length }}
    - v7: {{ 'text' | to_bytes | length }}
    - v8: {{ '/etc/hostname' | is_text_file }} {{ '/bin/true' | is_bin_file }} {{ '/dev/null' | is_empty }}
    - v9: {{ 'sh' | which | length > 0 }} {{ 'nosuchprogram' | which }}
    - v10: {{ '/dev/null' | file_hashsum }}
    - v11: {{ 'root' | get_uid }}
    - v12: {{ '00:11:22:33:44:55' | mac_str_to_bytes | length }} {{ '00:50' | gen_mac | length }}
