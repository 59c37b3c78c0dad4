#!py
def run():
    return {'py': __grains__['os_family']}
