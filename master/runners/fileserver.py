"""Look at the state tree as minions get it, and have git repositories fetched.

CLI example: `ctl-run fileserver.envs`
"""

from __future__ import annotations

import dataclasses

from ...common.config import MasterConfig
from ...common.context import FileSource, current
from ...common.errors import CommandExecutionError
from ...common.files import Roots
from ..gitfs import GitEnvironments, check_backends, combined
from ..port import master

Backends = str | list[str] | None


def update(backend: Backends = None) -> bool:
    """Fetch git repositories now; fails where one of them cannot be fetched.

    CLI example: `ctl-run fileserver.update`
    """
    if backend is not None and "git" not in check_backends(_words(backend)):
        return True  # the others are read as they are
    problems = list(master().call("files.update")["problems"])
    if problems:
        raise CommandExecutionError("; ".join(problems))
    return True


def envs(backend: Backends = None, sources: bool = False) -> list[str] | dict[str, list[str]]:
    """List the environments; with `sources`, by backend.

    CLI example: `ctl-run fileserver.envs backend=git`
    """
    if not sources:
        return sorted(_files(backend).environments())
    config = MasterConfig.from_mapping(current().config)
    names = check_backends(_words(backend) if backend is not None else config.fileserver_backend)
    return {name: sorted(_files(name).environments()) for name in names}


def file_list(saltenv: str = "base", backend: Backends = None, prefix: str = "") -> list[str]:
    """List the files of an environment, of all backends or those that are named (roots, git).

    CLI example: `ctl-run fileserver.file_list saltenv=prod`
    """
    return _files(backend).list_files(saltenv, prefix)


def dir_list(saltenv: str = "base", backend: Backends = None, prefix: str = "") -> list[str]:
    """List the directories of an environment.

    CLI example: `ctl-run fileserver.dir_list`
    """
    return _files(backend).list_dirs(saltenv, prefix)


def symlink_list(saltenv: str = "base", backend: Backends = None, prefix: str = "") -> dict[str, str]:
    """List the symlinks of an environment with what they point to.

    CLI example: `ctl-run fileserver.symlink_list`
    """
    return _files(backend).list_symlinks(saltenv, prefix)


def empty_dir_list(saltenv: str = "base", backend: Backends = None) -> list[str]:
    """List the directories of an environment that hold nothing.

    CLI example: `ctl-run fileserver.empty_dir_list`
    """
    files = _files(backend)
    names = [*files.list_files(saltenv), *files.list_dirs(saltenv)]
    filled = {name.rpartition("/")[0] for name in names}
    return [name for name in files.list_dirs(saltenv) if name not in filled]


def clear_file_list_cache() -> bool:
    """Have the trees read anew at the next listing.

    CLI example: `ctl-run fileserver.clear_file_list_cache`
    """
    master().call("files.forget")
    return True


def clear_cache() -> bool:
    """Do what `clear_file_list_cache` does; what is fetched with git stays.

    CLI example: `ctl-run fileserver.clear_cache`
    """
    return clear_file_list_cache()


def _words(backend: str | list[str]) -> list[str]:
    return [word.strip() for word in backend.split(",")] if isinstance(backend, str) else backend


def _files(backend: Backends) -> FileSource:
    """Return the state tree, as far as it comes from these backends."""
    if backend is None:
        return current().files
    config = MasterConfig.from_mapping(current().config)
    chosen = dataclasses.replace(config, fileserver_backend=_words(backend))
    return Roots(
        combined(chosen, GitEnvironments(config)),
        ignore_glob=config.file_ignore_glob,
        ignore_regex=config.file_ignore_regex,
        follow_symlinks=config.fileserver_followsymlinks,
    )
