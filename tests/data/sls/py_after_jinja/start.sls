#!jinja|py
def run():
    return {'o': {'probe.nop': [{'sum': {{ 1 + 2 }}}]}}
