"""Look at the state tree as minions get it, and have git repositories fetched.

CLI example: `ctl-run fileserver.envs`
"""

from __future__ import annotations

from ...common.context import current
from ...common.errors import CommandExecutionError
from ..port import master


def update() -> bool:
    """Fetch git repositories now; fails where one of them cannot be fetched.

    CLI example: `ctl-run fileserver.update`
    """
    problems = list(master().call("files.update")["problems"])
    if problems:
        raise CommandExecutionError("; ".join(problems))
    return True


def envs(sources: bool = False) -> list[str]:
    """List the environments.

    CLI example: `ctl-run fileserver.envs`
    """
    return sorted(current().files.environments())


def file_list(saltenv: str = "base", prefix: str = "") -> list[str]:
    """List the files of an environment.

    CLI example: `ctl-run fileserver.file_list saltenv=prod`
    """
    return current().files.list_files(saltenv, prefix)


def dir_list(saltenv: str = "base", prefix: str = "") -> list[str]:
    """List the directories of an environment.

    CLI example: `ctl-run fileserver.dir_list`
    """
    return current().files.list_dirs(saltenv, prefix)


def symlink_list(saltenv: str = "base", prefix: str = "") -> dict[str, str]:
    """List the symlinks of an environment with what they point to.

    CLI example: `ctl-run fileserver.symlink_list`
    """
    return current().files.list_symlinks(saltenv, prefix)


def empty_dir_list(saltenv: str = "base") -> list[str]:
    """List the directories of an environment that hold nothing.

    CLI example: `ctl-run fileserver.empty_dir_list`
    """
    files = current().files
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
