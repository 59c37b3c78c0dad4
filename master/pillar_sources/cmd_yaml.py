"""External pillar from a command that prints YAML.

Configuration: `ext_pillar: [{cmd_yaml: 'my-pillar --minion %s'}]`; `%s` is the minion's id. No shell is involved; who
wants one writes `sh -c '…'`.
"""

from __future__ import annotations

from typing import Any

import yaml

from ._command import output_of


def ext_pillar(minion_id: str, pillar: dict[str, Any], command: str) -> Any:
    """Run the command for a minion and read what it prints."""
    return yaml.load(output_of(command, minion_id), Loader=yaml.CSafeLoader)  # the safe loader in C
