a: {echo.given: [{value: '__slot__:salt:test.echo(hello)'}]}
b: {echo.given: [{value: '__slot__:salt:test.echo("two words")'}]}
c: {echo.given: [{value: '__slot__:salt:test.arg(x=1, y="z").kwargs.y'}]}
d: {echo.given: [{value: '__slot__:salt:test.echo(base) ~ /suffix'}]}
e: {echo.given: [{value: ['plain', '__slot__:salt:test.echo(in-list)']}]}
f: {echo.given: [{value: {k: '__slot__:salt:test.echo(in-map)'}}]}
g: {echo.given: [{value: '__slot__:salt:nosuch.function()'}]}
h: {echo.given: [{value: 'no __slot__:salt:test.echo(x)'}]}
