"""`salt.utils.yaml`: reading and writing YAML, safely only."""

from __future__ import annotations

from typing import IO, Any

import yaml

YAMLError = yaml.YAMLError


def safe_load(stream: str | bytes | IO[Any]) -> Any:
    """Read YAML; it can only make plain data."""
    return yaml.load(stream, Loader=yaml.CSafeLoader)


load = safe_load


def safe_dump(data: Any, stream: IO[Any] | None = None, **options: Any) -> Any:
    """Write YAML."""
    return yaml.dump(data, stream, Dumper=yaml.CSafeDumper, **{"default_flow_style": False, **options})


dump = safe_dump
