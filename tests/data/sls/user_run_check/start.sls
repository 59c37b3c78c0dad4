a: {checked.run: [{onlyif: 'false'}]}
b: {checked.run: [{unless: 'true'}]}
c: {checked.run: []}
