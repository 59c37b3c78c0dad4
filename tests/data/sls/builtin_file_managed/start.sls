{% set d = opts.scratch %}
{{ d }}/contents:
  file.managed:
    - contents: |
        one
        two
    - mode: '0640'
{{ d }}/source:
  file.managed:
    - source: salt://files/plain.txt
{{ d }}/template:
  file.managed:
    - source: salt://files/template.txt
    - template: jinja
    - context: {who: context}
    - defaults: {who: defaults, what: defaulted}
{{ d }}/deep/er/file:
  file.managed:
    - contents: deep
    - makedirs: true
{{ d }}/nodir/file:
  file.managed:
    - contents: x
{{ d }}/lines:
  file.managed:
    - contents: [a, b, c]
{{ d }}/empty:
  file.managed: []
{{ d }}/missing:
  file.managed:
    - source: salt://files/nothere
{{ d }}/alternatives:
  file.managed:
    - source: ['salt://files/nothere', 'salt://files/plain.txt']
again:
  file.managed:
    - name: {{ d }}/contents
    - contents: |
        one
        three
    - mode: '0600'
    - require: [{file: {{ d }}/contents}]
hidden:
  file.managed:
    - name: {{ d }}/source
    - contents: other
    - show_changes: false
kept:
  file.managed:
    - name: {{ d }}/lines
    - contents: other
    - replace: false
