role: {name: web}
