"""A tree with twenty mistakes in eight files: one run names all of them, with file and line, and changes nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ctl.common.files import Roots
from ctl.common.loader import load_plugins

TREE = Path(__file__).parent.parent / "data" / "mistakes"
# For each mistake: where it is, and some of the words that tell what it is.
MISTAKES = [
    ("start.sls:2", "Specified SLS shaeps"),
    ("render.sls:4", "'no_such_name' is undefined"),
    ("syntax.sls:4", "found conflicting ID 'a'"),
    ("shapes.sls:1", "No function declared"),
    ("shapes.sls:5", "Too many functions declared"),
    ("shapes.sls:10", "the colon must be omitted"),
    ("shapes.sls:13", "is not formed as a list"),
    ("shapes.sls:17", "ID '5' in SLS 'shapes' is not formed as a string"),
    ("shapes.sls:21", "has whitespace"),
    ("requisites.sls:2", "would-be-made'?)"),
    ("requisites.sls:6", "Requisite types must not contain dots"),
    ("requisites.sls:11", "The watch statement"),
    ("requisites.sls:17", "(did you mean 'arguments'?)"),
    ("requisites.sls:22", "Recursive requisites were found"),
    ("arguments.sls:4", "unknown argument 'maekdirs' (did you mean 'makedirs'?)"),
    ("arguments.sls:8", "'makedirs' must be true or false, not [1, 2]"),
    ("arguments.sls:11", "missing 'value'"),
    ("extending.sls:2", "Cannot extend ID 'no-such-id'"),
    ("extending.sls:8", "Cannot extend ID 'no-such-file'"),
    ("twice.sls:1", "Detected conflicting IDs"),
]


def _snapshot(root: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder) / name
            found[str(path)] = (path.lstat().st_mtime_ns, path.lstat().st_size)
    return found


def test_twenty_mistakes_in_eight_files_are_found_by_one_run(minion: Any, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    minion.context.files = Roots({"base": [TREE]})
    load_plugins(minion.context)
    before = _snapshot(tmp_path)
    problems = minion.call("state.sls", "start", pillar={"target": str(target)})
    assert len(list(TREE.glob("*.sls"))) == 8
    for place, words in MISTAKES:
        assert [problem for problem in problems if f"{place}" in problem and words in problem], (place, words, problems)
    assert len(problems) == len(MISTAKES) == 20
    assert minion.retcode == 1
    assert minion.daemon.told == []
    assert _snapshot(tmp_path) == before
