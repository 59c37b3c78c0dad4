"""External pillar from a directory: each file is a value, each directory a mapping.

`<root_dir>/hosts/<minion id>/…` is for one minion, `<root_dir>/nodegroups/<name>/…` for a nodegroup; the host's win.

Configuration: `ext_pillar: [{file_tree: {root_dir: /srv/ext_pillar}}]`. A file that is UTF-8 text becomes text, any
other bytes. `keep_newline` (true, or globs of paths) keeps the last line's end; `template: true` renders files with
Jinja.
"""

from __future__ import annotations

import fnmatch
import os
from pathlib import Path
from typing import Any

from ...common.context import current
from ...common.data import merge
from ...common.errors import CommandExecutionError
from ...common.files import Roots, check_relative
from ...common.render import Renderer
from .nodegroups import member_of

MAX_FILE_BYTES = 16 * 1024 * 1024


def ext_pillar(
    minion_id: str,
    pillar: dict[str, Any],
    root_dir: str,
    follow_dir_links: bool = False,
    keep_newline: bool | list[str] = False,
    template: bool | list[str] = False,
    debug: bool = False,
) -> dict[str, Any]:
    """Read the directories of a minion and its nodegroups."""
    root = Path(root_dir.replace("%(minion_id)s", check_relative(minion_id)))
    if not root.is_dir():
        raise CommandExecutionError(f"the directory {root_dir} is not there")
    found: dict[str, Any] = {}
    places = [root / "nodegroups" / name for name in member_of(minion_id, pillar) if name == os.path.basename(name)]
    for place in [*places, root / "hosts" / check_relative(minion_id)]:
        if place.is_dir():
            tree = _Tree(place, minion_id, follow_dir_links, keep_newline, template)
            found = merge(found, tree.read(place))
    return found


class _Tree:
    def __init__(
        self, root: Path, minion_id: str, follow: bool, keep_newline: bool | list[str], template: bool | list[str]
    ) -> None:
        self.root = root
        self.minion_id = minion_id
        self.follow = follow
        self.keep_newline = keep_newline
        self.template = template

    def read(self, directory: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=self.follow):
                found[entry.name] = self.read(Path(entry.path))
            elif entry.is_file():
                found[entry.name] = self._value(Path(entry.path))
        return found

    def _value(self, path: Path) -> str | bytes:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise CommandExecutionError(f"{path} is too large for pillar: {MAX_FILE_BYTES} bytes at most")
        content = path.read_bytes()
        relative = str(path.relative_to(self.root))
        try:
            text = content.decode()
        except UnicodeDecodeError:
            return content
        if _applies(self.template, relative):
            text = self._render(text, str(path))
        return text if _applies(self.keep_newline, relative) else text.removesuffix("\n")

    def _render(self, text: str, path: str) -> str:
        around = current()
        renderer = Renderer(
            Roots({}), config=around.config, grains=around.grains, pillar={}, functions=around.functions, confined=True
        )
        return renderer.template(text, path=path, saltenv="base", context={"minion_id": self.minion_id})


def _applies(setting: bool | list[str], path: str) -> bool:
    return setting if isinstance(setting, bool) else any(fnmatch.fnmatchcase(path, glob) for glob in setting)
