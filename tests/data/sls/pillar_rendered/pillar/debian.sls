{% import_yaml 'shared.yaml' as shared %}
os: {{ grains.os }}
id: {{ opts.id }} {{ grains.id }}
shared: {{ shared }}
sls: {{ sls }} {{ tplfile }}
