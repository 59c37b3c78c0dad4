"""`salt.utils.systemd`: does systemd run this machine?"""

from __future__ import annotations

import os
from typing import Any


def booted(context: dict[str, Any] | None = None) -> bool:
    """Whether systemd is the init system that runs."""
    return os.path.isdir("/run/systemd/system")
