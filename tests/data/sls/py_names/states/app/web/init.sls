#!py
import collections
import json

from salt.utils.odict import OrderedDict
import salt.utils.dictupdate


class Names:
    def __init__(self, prefix):
        self.prefix = prefix

    def make(self, count):
        return [f'{self.prefix}{n}' for n in range(count)]


def run():
    data = OrderedDict()
    data['include'] = ['app.other', '.sibling']
    for name in Names('w').make(2):
        data[name] = {'probe.nop': [{'names': ['x', 'y']}, {'pillar': pillar['list']}]}
    merged = salt['slsutil.merge']({'a': {'b': 1}}, {'a': {'c': 2}})
    data['about'] = {'probe': ['nop', {'merged': merged}, {'get': __salt__['grains.get']('os')},
                               {'text': json.dumps(sorted(__pillar__))}, {'env': saltenv}, {'sls': sls}]}
    data['extend'] = {'o': {'probe': [{'require': [{'probe': 'about'}]}]}}
    return data
