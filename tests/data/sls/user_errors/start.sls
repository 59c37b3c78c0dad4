a: {notloaded.hello: []}
b: {failing.invocation: []}
c: {failing.execution: []}
d: {failing.missing_argument: []}
