"""Check the audit log.

CLI example: `ctl-run audit.verify`
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...common.context import current
from .. import audit
from ..port import master


def verify() -> dict[str, Any]:
    """Check that no record of the audit log was changed, put in or taken out; name the first line that is wrong.

    CLI example: `ctl-run audit.verify`
    """
    head = master().call("audit.head")
    found = audit.verify(Path(head["path"]), audit.Head(head["number"], head["hash"]))
    if not found["valid"]:
        current().scratch["retcode"] = 1
    return {"path": head["path"], **found}
