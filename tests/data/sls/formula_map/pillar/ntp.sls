ntp:
  lookup:
    service: {enable: false}
  servers: [a.example.org, b.example.org]
