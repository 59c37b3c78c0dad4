seen: {{ pillar.get("role", "nothing") }}
port: 8080
deep: {tree: 1, both: tree}
