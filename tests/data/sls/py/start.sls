#!py
def run():
    return {"include": ["other"], "a": {"probe.nop": [{"flag": __grains__["os"] != ""}, {"require": [{"probe": "o"}]}]}}
