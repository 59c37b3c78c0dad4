#!py
def run():
    return {'o': 'probe.nop'}
