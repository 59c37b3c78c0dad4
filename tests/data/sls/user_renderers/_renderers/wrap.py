"""A renderer of a user that leaves the work to others."""

import io


def render(data, saltenv="base", sls="", renderers=None, **kwargs):
    inner = renderers["jinja"](data, saltenv, sls, **kwargs)
    inner = inner if isinstance(inner, str) else inner.read()
    return renderers["yaml"](io.StringIO(inner.replace("@@", "probe.nop")), saltenv, sls)
