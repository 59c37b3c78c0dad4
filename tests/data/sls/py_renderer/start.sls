#!py
'''A py SLS with everything that it may use.'''


def _states(count):
    for number in range(count):
        yield f'item{number}', {'probe.nop': [{'number': number}, {'os': __grains__['os']}]}


def run():
    config = dict(_states(2))
    config['include'] = ['other']
    config['facts'] = {
        'probe.nop': [
            {'echo': __salt__['test.echo']('hi')},
            {'id': __opts__['id']},
            {'env': __env__},
            {'sls': __sls__},
            {'pillar': __pillar__.get('nothing', 'default')},
            {'require': [{'probe': 'o'}]},
        ]
    }
    return config
