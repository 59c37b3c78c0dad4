a: {probe.changed: [{creates: /nonexistent}]}
b: {probe.changed: [{creates: [/etc/passwd, /etc]}]}
c: {probe.changed: [{creates: []}]}
d: {probe.changed: [{creates: /etc/passwd}, {unless: 'false'}]}
