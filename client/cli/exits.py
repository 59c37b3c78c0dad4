"""Exit codes, the same in every program.

| code | meaning |
|---|---|
| 0 | everything succeeded |
| 1 | a minion failed or did not return; a runner or local function failed; the wait was interrupted |
| 2 | nothing matched, not authorised, no master answers, or the request or configuration was wrong |
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
REFUSED: Final = 2
