apache: {lookup: {port: 8080, deep: {b: 2}}}
