#!wrap
{% for n in range(2) %}
n{{ n }}: @@
{% endfor %}
