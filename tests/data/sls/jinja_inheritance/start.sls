{% extends 'base.jinja' %}
{% block body %}
{{ super() }}
mine: probe.nop
{% endblock %}
