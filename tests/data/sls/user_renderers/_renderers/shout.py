"""A renderer of a user: makes everything after an arrow louder."""


def render(data, saltenv="base", sls="", argline="", **kwargs):
    if not isinstance(data, str):
        data = data.read()
    lines = []
    for line in data.splitlines():
        left, arrow, right = line.partition("=>")
        lines.append(left + right.strip().upper() + argline if arrow else line)
    return "\n".join(lines)
