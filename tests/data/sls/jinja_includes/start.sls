{% set shared = 'value' %}
{% include 'part.jinja' %}
{% include 'sub/part.jinja' with context %}
{% include 'nothere.jinja' ignore missing %}
{% include ['nope.jinja', 'part2.jinja'] %}
