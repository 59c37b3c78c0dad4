a:
  probe.nop:
    - greet: {{ salt['mymod.greet']('you') }}
    - attr: {{ salt.mymod.greet('me') }}
    - list: {{ salt['mymod.list']() }}
    - virtual: {{ salt['othername.hello']() }}
    - facts: {{ salt['mymod.facts']() }}
    - helpers: {{ salt['mymod.helpers']() }}
    - missing: {{ 'notthere.fun' in salt }} {{ 'mymod.greet' in salt }} {{ 'mymod._private' in salt }}
b: {probe.changed: [{unless: [{fun: mymod.yes}]}]}
c: {echo.given: [{value: '__slot__:salt:mymod.greet(slot)'}]}
