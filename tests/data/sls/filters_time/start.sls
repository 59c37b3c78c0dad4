a:
  probe.nop:
    - v1: {{ '2002-12-25' | strftime }} {{ '2002/12/25' | strftime('%d.%m.%Y') }} {{ 1040814000 | strftime('%Y') }} {{ '12/25/2002' | strftime }} {{ '25 December 2002' | strftime }}
    - v2: {{ 1040814000 | date_format('%Y') }} {{ '1040814000' | strftime('%Y') }}
    - v3: {{ '2002-12-25 12:30:00' | strftime('%H:%M') }} {{ 'Dec 25 2002' | strftime('%Y-%m-%d') }}
