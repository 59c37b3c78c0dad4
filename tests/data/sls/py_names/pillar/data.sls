#!py
def run():
    return {'minion': __grains__['id'], 'os': grains['os'], 'include_free': True, 'list': [n * n for n in range(3)]}
