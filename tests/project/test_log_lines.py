"""Every line that the daemons log at warning and above is explained in docs/operations.md, and no other is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"
DAEMONS = ("common", "master", "minion")
LEVELS = {"warning": "warning", "error": "error", "exception": "error", "critical": "critical"}
_FORMAT = re.compile(r"%(?:\.?\d*)[a-z]")
_ROW = re.compile(r"^\| (warning|error|critical) \| `(.+?)` \| (\S.*) \|$", re.MULTILINE)


def shown(text: str) -> str:
    """Write a message as the page has it: what is filled in is `…`."""
    return _FORMAT.sub("…", text).replace("|", "/")


def logged() -> set[tuple[str, str]]:
    """Return level and text of each message that has words of its own."""
    found = set()
    for path in (path for room in DAEMONS for path in sorted((ROOT / room).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            level = LEVELS.get(node.func.attr)
            if level and getattr(node.func.value, "id", "") == "log" and isinstance(node.args[0], ast.Constant):
                text = shown(str(node.args[0].value))
                if re.search(r"[a-z]{3}", text):
                    found.add((level, text))
    return found


def test_every_line_is_explained_and_every_explanation_has_a_line() -> None:
    explained = {(level, text) for level, text, _ in _ROW.findall(PAGE.read_text())}
    rows = "\n".join(
        f"| {level} | `{text}` | what it means, and what to do |" for level, text in sorted(logged() - explained)
    )
    assert logged() <= explained, f"add to docs/operations.md:\n{rows}"
    assert explained <= logged(), f"nobody logs this any more: {sorted(explained - logged())}"


def test_the_rows_are_sorted() -> None:
    rows = [(text, level) for level, text, _ in _ROW.findall(PAGE.read_text())]
    assert rows == sorted(rows, key=lambda row: row[0].lower())
