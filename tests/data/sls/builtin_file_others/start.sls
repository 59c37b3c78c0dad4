{% set d = opts.scratch %}
{{ d }}/dir/sub:
  file.directory:
    - makedirs: true
    - mode: '0750'
{{ d }}/link:
  file.symlink:
    - target: {{ d }}/dir
{{ d }}/text:
  file.managed:
    - contents: "alpha\nbeta\n"
append:
  file.append:
    - name: {{ d }}/text
    - text: [gamma, alpha]
prepend:
  file.prepend:
    - name: {{ d }}/text
    - text: first
replace:
  file.replace:
    - name: {{ d }}/text
    - pattern: b(et)a
    - repl: B\1A
comment:
  file.comment:
    - name: {{ d }}/text
    - regex: ^gamma
uncomment:
  file.uncomment:
    - name: {{ d }}/text
    - regex: ^gamma
block:
  file.blockreplace:
    - name: {{ d }}/text
    - marker_start: "# start"
    - marker_end: "# end"
    - content: "in the block"
    - append_if_not_found: true
{{ d }}/copied:
  file.copy:
    - source: {{ d }}/text
{{ d }}/touched: file.touch
exists:
  file.exists:
    - name: {{ d }}/text
missing:
  file.missing:
    - name: {{ d }}/nowhere
gone:
  file.absent:
    - name: {{ d }}/touched
never:
  file.absent:
    - name: {{ d }}/nowhere
