"""Write the sample files in `etc/`: every setting, with its help, commented, at its default.

`python -m ctl.common.config_sample master > etc/master`
"""

from __future__ import annotations

import dataclasses
import sys
import textwrap
from typing import Any

from .config import Config, MasterConfig, MinionConfig, key_of

KINDS: dict[str, type[Config]] = {"master": MasterConfig, "minion": MinionConfig}
_NOT_WRITTEN = {"config_dir", "raw"}
_HEAD = """\
# Settings of the {kind}. Each line shows a default: take the '#' away to change it.
# Files {kind}.d/*.conf beside this one are read after it, in the order of their names.
"""


def sample(kind: str) -> str:
    """Return the sample configuration of `master` or `minion`."""
    own: list[str] = []
    shared: list[str] = []
    inherited = {f.name for f in dataclasses.fields(Config)}
    for field in dataclasses.fields(KINDS[kind]):
        if field.name not in _NOT_WRITTEN:
            (shared if field.name in inherited else own).append(_entry(field))
    return "\n".join([_HEAD.format(kind=kind), *own, *shared])


def _entry(field: dataclasses.Field[Any]) -> str:
    factory = field.default_factory
    default = field.default if factory is dataclasses.MISSING else factory()
    help_lines = textwrap.wrap(field.metadata["help"], 110)
    return "".join(f"## {line}\n" for line in help_lines) + f"#{key_of(field)}: {_as_yaml(default)}\n"


def _as_yaml(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_as_yaml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_as_yaml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str) and (not value or set(value) & set("|:{}[]*&!%@#")):
        return f"'{value}'"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


if __name__ == "__main__":
    sys.stdout.write(sample(sys.argv[1]))
