app: {name: shop, ports: [80, 443], deep: {a: {b: c}}, number: 8}
flag: true
