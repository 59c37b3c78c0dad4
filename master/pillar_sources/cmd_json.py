"""External pillar from a command that prints JSON.

Configuration: `ext_pillar: [{cmd_json: 'my-pillar --minion %s'}]`; `%s` is the minion's id. No shell is involved; who
wants one writes `sh -c '…'`.
"""

from __future__ import annotations

import json
from typing import Any

from ._command import output_of


def ext_pillar(minion_id: str, pillar: dict[str, Any], command: str) -> Any:
    """Run the command for a minion and read what it prints."""
    return json.loads(output_of(command, minion_id))
