php:
  ng:
    lookup: {pkgs: {cli: php8.2-cli-own}, version: '8.2'}
    ini: {defaults: {engine: 'On'}}
    fpm: {pools: [{name: www, port: 9000}, {name: api, port: 9001}]}
