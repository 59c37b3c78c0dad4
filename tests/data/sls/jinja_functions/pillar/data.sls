app: {port: 80, hosts: [a, b], deep: {x: {y: z}}, none: null}
'a:b': literal
