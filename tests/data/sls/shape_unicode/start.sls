größe:
  probe.nop:
    - name: /srv/größe
    - text: "日本語 ✓"
"über all": mark.nop
after:
  probe.nop:
    - require:
      - probe: größe
      - mark: über all
