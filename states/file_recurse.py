"""Manage a whole directory tree from a directory of the state tree."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common import files
from ..common.arguments import Mode
from ..common.context import FileInfo, current
from ..common.errors import CommandExecutionError, FileServerError
from ..common.state.plan import Changes, Plan, Step, change, same
from ..modules._selection import selected
from ._attributes import attributes, parse_mode
from ._content import Source
from ._managed import Wanted, check_name, plan_file
from ._planning import Missing, planning
from ._recipe import Recipe
from ._removal import remove_path
from ._selection import kept_by_others, not_kept
from .file_directory import directory
from .file_symlink import symlink

__virtualname__ = "file"


@dataclass(frozen=True, slots=True)
class _Tree:
    """A directory of the state tree: what it holds, by the path below it."""

    base: str
    saltenv: str
    files: Mapping[str, FileInfo]
    dirs: Sequence[str]
    links: Mapping[str, str]

    @classmethod
    def read(cls, base: str, saltenv: str, keep_symlinks: bool) -> _Tree:
        """Ask the file server for the directory's listing, and for all its files at once."""
        server = current().files
        prefix = f"{base.strip('/')}/" if base.strip("/") else ""
        links = server.list_symlinks(saltenv, base) if keep_symlinks else {}
        names = [name for name in server.list_files(saltenv, base) if not _is_below(name, links)]
        found = server.find(names, saltenv)
        return cls(
            base.strip("/"),
            saltenv,
            {name.removeprefix(prefix): info for name, info in found.items() if info is not None},
            [name.removeprefix(prefix) for name in server.list_dirs(saltenv, base) if not _is_below(name, links)],
            {name.removeprefix(prefix): target for name, target in links.items()},
        )

    def select(self, include: Any, exclude: Any, maxdepth: int | None) -> _Tree:
        """Keep what the patterns and the depth leave."""

        def wanted(path: str) -> bool:
            deep = maxdepth is not None and path.count("/") > maxdepth
            return not deep and selected(path, include, exclude)

        return dataclasses.replace(
            self,
            files={path: info for path, info in self.files.items() if wanted(path)},
            dirs=[path for path in self.dirs if wanted(path)],
            links={path: target for path, target in self.links.items() if wanted(path)},
        )

    def path_of(self, relative: str) -> str:
        """Return the path in the state tree of a file of this directory."""
        return f"{self.base}/{relative}" if self.base else relative


def _is_below(name: str, links: Mapping[str, str]) -> bool:
    return bool(links) and any(name == link or name.startswith(link + "/") for link in links)


@planning
def recurse(
    name: str,
    source: str | list[str],
    keep_source: bool = True,
    clean: bool = False,
    user: str | int | None = None,
    group: str | int | None = None,
    dir_mode: Mode | None = None,
    file_mode: Mode | None = None,
    template: str | None = None,
    context: dict[str, Any] | None = None,
    replace: bool = True,
    defaults: dict[str, Any] | None = None,
    include_empty: bool = False,
    backup: str | bool = "",
    include_pat: str | list[str] | None = None,
    exclude_pat: str | list[str] | None = None,
    maxdepth: int | None = None,
    keep_symlinks: bool = False,
    force_symlinks: bool = False,
    show_changes: bool = True,
    makedirs: bool = True,
    force: bool = False,
) -> Plan:
    """Make a directory hold what a directory of the state tree holds.

    source
        The directory in the tree (`salt://www`), or a list of which the first that is there is taken.
    user, group, dir_mode, file_mode
        Owner and modes of everything; a `file_mode` of `keep` takes the mode that each source has.
    template, context, defaults
        Render every file, as in `file.managed`.
    clean
        Remove what is there and comes neither from the source nor from another state; `exclude_pat` protects.
    include_pat, exclude_pat
        Which paths below the source are meant: globs, or expressions after `E@`.
    include_empty
        Make directories that hold no file, too.
    keep_symlinks, force_symlinks
        Make symlinks of the tree's symlinks; and do so where a file is in the way.
    maxdepth
        How many directories deep to go; 0 takes only the files of the source itself.

    SLS example:

        /srv/www:
          file.recurse:
            - source: salt://www
            - user: www-data
            - file_mode: '0644'
            - clean: True
    """
    path = check_name(name).rstrip("/") or "/"
    if os.path.lexists(path) and not os.path.isdir(path) and not force:
        raise CommandExecutionError(f"{path} is there and is no directory (force: True would remove it)")
    tree = _read_tree(source, keep_symlinks).select(include_pat, exclude_pat, maxdepth)
    parts: list[tuple[str, Plan]] = []
    dirs = _dirs_of(tree, path, include_empty)
    for one in dirs:
        plan = directory(name=one, user=user, group=group, dir_mode=dir_mode, makedirs=True, force=force)
        parts.append((one, plan))
    template_file = Wanted(
        path,
        attributes=attributes(user, group, file_mode),
        makedirs=True,
        dir_mode=parse_mode(dir_mode),
        backup=backup,
        show_changes=show_changes,
        follow=False,
    )
    recipe = Recipe(template=template or None, context=context, defaults=defaults)
    for relative, info in tree.files.items():
        wanted = dataclasses.replace(template_file, path=os.path.join(path, relative))
        parts.append((wanted.path, _file_plan(wanted, tree, relative, info, recipe, file_mode, replace)))
    for relative, target in tree.links.items():
        link = os.path.join(path, relative)
        parts.append((link, symlink(name=link, target=target, force=force_symlinks, makedirs=True)))
    kept = {*dirs, *(os.path.join(path, one) for one in (*tree.files, *tree.links))}
    extra = not_kept(path, kept | kept_by_others(path), exclude_pat) if clean and os.path.isdir(path) else []
    return _together(path, parts, extra)


def _read_tree(source: str | list[str], keep_symlinks: bool) -> _Tree:
    """Read what the first source that is there holds."""
    tried = []
    for url in [source] if isinstance(source, str) else source:
        if not files.is_tree_url(url):
            raise CommandExecutionError(f"the source {url!r} is no directory of the state tree (salt://…)")
        base, named = files.split_url(url.rstrip("/"))
        saltenv = named or current().saltenv
        tree = _Tree.read(base, saltenv, keep_symlinks)
        if tree.files or tree.dirs or tree.links:
            return tree
        tried.append(f"{url} in environment {saltenv!r}")
    raise FileServerError(f"no such directory: {', '.join(tried)}")


def _dirs_of(tree: _Tree, path: str, include_empty: bool) -> list[str]:
    """List the directories to make, each after the one that holds it."""
    relative = {parent for one in (*tree.files, *tree.links) for parent in _parents(one)}
    if include_empty:
        relative.update(tree.dirs)
    return [path, *(os.path.join(path, one) for one in sorted(relative))]


def _parents(relative: str) -> list[str]:
    words = relative.split("/")[:-1]
    return ["/".join(words[: count + 1]) for count in range(len(words))]


def _file_plan(
    wanted: Wanted, tree: _Tree, relative: str, info: FileInfo, recipe: Recipe, file_mode: str | None, replace: bool
) -> Plan:
    owner = wanted.attributes
    if file_mode == "keep":
        wanted = dataclasses.replace(wanted, attributes=dataclasses.replace(owner, mode=info.mode))
    if replace or not os.path.lexists(wanted.path):
        where = tree.path_of(relative)
        source = Source(f"salt://{where}", "tree", where, tree.saltenv, info=info)
        facts = {"user": owner.user, "group": owner.group, "mode": file_mode}
        content = dataclasses.replace(recipe, source=source).content(wanted.path, facts)
        wanted = dataclasses.replace(wanted, content=content)
    return plan_file(wanted)


def _together(path: str, parts: list[tuple[str, Plan]], extra: list[str]) -> Plan:
    """Make one plan of the plans for directories, files and links, and of what is to be removed."""
    refused = [f"{one}: {plan.comment}" for one, plan in parts if plan.result is False]
    if refused:
        raise CommandExecutionError("; ".join(refused))
    uncertain = [plan.comment for _, plan in parts if not plan.certain]
    if uncertain:
        raise Missing("; ".join(uncertain))
    changes: dict[str, Any] = {one: plan.changes.get(one, plan.changes) for one, plan in parts if plan.steps}
    steps = [_inner_step(one, plan, step) for one, plan in parts for step in plan.steps]
    if extra:
        changes["removed"] = extra
        steps.append(Step(f"remove {len(extra)} files and directories from {path}", lambda: _remove(extra)))
    if not steps:
        return same(f"The directory {path} is in the correct state")
    return change(f"The directory {path} is set to be changed", changes, *steps, done=f"Recursively updated {path}")


def _inner_step(path: str, plan: Plan, step: Step) -> Step:
    def run() -> Changes | None:
        observed = step.run()
        if not observed:
            return None
        return observed if path in observed else {path: observed}

    return Step(step.describe, run)


def _remove(paths: list[str]) -> Changes:
    for path in paths:
        remove_path(path)
    return {"removed": paths}
