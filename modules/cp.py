"""Get files: of the state tree (`salt://`, `ctl://`), of this machine, and from the web."""

from __future__ import annotations

import fnmatch
import hashlib
import logging
import os
import shutil
import stat
from pathlib import Path
from typing import Any

from ..common import files as tree_files
from ..common.atomic import atomic_write, move_into_place
from ..common.context import FileInfo, FileTransfers, LargeFiles, current
from ..common.directory import make_directories
from ..common.errors import CommandExecutionError
from ..common.state.tree import Tree
from ._cached import (
    REMOTE_SCHEMES,
    cache_tree_file,
    cache_url,
    chunks_of,
    copy_of_tree_file,
    copy_of_url,
    destination,
    download,
    environment_name,
    fetch_tree_file,
    has_digest,
    split_source,
    tree_directory,
)
from ._rendering import job_renderer
from ._selection import selected

log = logging.getLogger(__name__)

_LARGE_BYTES = 8 * 1024 * 1024


def get_file(
    path: str,
    dest: str,
    saltenv: str | None = None,
    makedirs: bool = False,
    template: str | None = None,
    gzip: int | None = None,
) -> str:
    """Copy a file of the state tree to this machine; return where it went, or nothing where there is none.

    With `template` the two paths are templates (`salt://{{ grains.os }}/vimrc`).

    CLI example: `ctl '*' cp.get_file salt://vimrc /etc/vimrc`
    """
    path, dest = _rendered(path, template), _rendered(dest, template)
    if not tree_files.is_tree_url(path):
        return str(get_url(path, dest, saltenv, makedirs) or "")
    relative, env = split_source(path, saltenv)
    where = destination(dest, os.path.basename(relative))
    large = _large(relative, env)
    if large is not None and has_digest(where, large):
        return where
    taken = _take(relative, env) if large else None
    if taken is not None:
        return _move(taken, where, makedirs)
    source = fetch_tree_file(relative, env)
    return _copy(source, where, makedirs) if source else ""


def get_file_str(path: str, saltenv: str | None = None) -> str | bool:
    """Return the text of a file of the state tree, or False where there is none.

    CLI example: `ctl '*' cp.get_file_str salt://motd`
    """
    relative, env = split_source(path, saltenv)
    source = fetch_tree_file(relative, env)
    return source.read_text(errors="replace") if source else False


def get_template(
    path: str,
    dest: str,
    template: str = "jinja",
    saltenv: str | None = None,
    makedirs: bool = False,
    **context: Any,
) -> str:
    """Render a file of the state tree and write the result; return where it went, or nothing.

    Further `key=value` arguments are variables of the template.

    CLI example: `ctl '*' cp.get_template salt://hosts.jinja /etc/hosts`
    """
    relative, env = split_source(path, saltenv)
    source = fetch_tree_file(relative, env)
    if source is None:
        return ""
    variables = {key: value for key, value in context.items() if not key.startswith("__")}
    variables |= variables.pop("context", None) or {}
    text = job_renderer().template(source.read_text(), path=relative, saltenv=env, context=variables, engine=template)
    where = destination(dest, os.path.basename(relative))
    _make_parent(where, makedirs)
    atomic_write(where, text.encode(), follow=True)
    return where


def get_dir(
    path: str, dest: str, saltenv: str | None = None, template: str | None = None, gzip: int | None = None
) -> list[str]:
    """Copy a directory of the state tree into `dest`, under its own name; return the files.

    CLI example: `ctl '*' cp.get_dir salt://apache2 /etc`
    """
    relative, env = split_source(_rendered(path, template).rstrip("/"), saltenv)
    root = Path(destination(_rendered(dest, template).rstrip("/") + "/", ""))
    above = os.path.dirname(relative)
    written = []
    names = current().files.list_files(env, relative)
    current().files.find(names, env)  # all at once: small ones are on their way then
    for name in names:
        where = tree_files.safe_join(root, os.path.relpath(name, above or "."), follow_symlinks=True)
        written.append(_copy(current().files.fetch(name, env), str(where), True))
    return written


def get_url(
    path: str,
    dest: str | None = "",
    saltenv: str | None = None,
    makedirs: bool = False,
    source_hash: str | None = None,
    verify_ssl: bool = True,
) -> str | bool:
    """Get one file from the tree, the web (`http`, `https`, `ftp`) or this machine; return where it went.

    Without `dest` it goes into the cache; with `dest` of null its text is returned. False where it cannot be got.

    CLI example: `ctl '*' cp.get_url https://example.com/file /tmp/file`
    """
    if dest is None:
        got = cache_file(path, saltenv, source_hash, verify_ssl)
        return Path(got).read_text(errors="replace") if isinstance(got, str) else False
    if not dest:
        return cache_file(path, saltenv, source_hash, verify_ssl)
    if tree_files.is_tree_url(path):
        return get_file(path, dest, saltenv, makedirs) or False
    where = destination(dest, os.path.basename(path.rstrip("/")))
    if _is_remote(path):
        _make_parent(where, makedirs)
        download(path, where, verify_ssl)
        return where
    source = path.removeprefix("file://")
    if not os.path.isfile(source):
        return False
    return _copy(Path(source), where, makedirs)


def cache_file(
    path: str,
    saltenv: str | None = None,
    source_hash: str | None = None,
    verify_ssl: bool = True,
    use_etag: bool = False,
) -> str | bool:
    """Put a file into the minion's cache and return where; False where there is none.

    A URL of the web whose cached copy has the `source_hash` (a SHA-256) is not downloaded again; with `use_etag`, nor
    is one of which the server says that it is as it was.

    CLI example: `ctl '*' cp.cache_file salt://path/to/file`
    """
    if tree_files.is_tree_url(path):
        cached = cache_tree_file(*split_source(path, saltenv))
        return str(cached) if cached else False
    if _is_remote(path):
        kept = copy_of_url(path)
        if source_hash and kept.is_file() and _digest(kept) == source_hash.rpartition("=")[2].lower():
            return str(kept)
        return str(cache_url(path, verify_ssl, use_etag))
    local = path.removeprefix("file://")
    return local if os.path.isfile(local) else False


def cache_files(paths: list[str], saltenv: str | None = None) -> list[str | bool]:
    """Put several files into the minion's cache; return where, False for each that there is not.

    CLI example: `ctl '*' cp.cache_files '[salt://a, salt://b]'`
    """
    return [cache_file(path, saltenv) for path in paths]


def cache_dir(
    path: str,
    saltenv: str | None = None,
    include_empty: bool = False,
    include_pat: str | None = None,
    exclude_pat: str | None = None,
) -> list[str]:
    """Put a directory of the state tree into the minion's cache; return the files.

    CLI example: `ctl '*' cp.cache_dir salt://path/to/dir`
    """
    relative, env = split_source(path.rstrip("/"), saltenv)
    if include_empty:
        for name in current().files.list_dirs(env, relative):
            make_directories(copy_of_tree_file(name, env), mode=0o700)
    names = current().files.list_files(env, relative)
    wanted = [name for name in names if selected(os.path.relpath(name, relative or "."), include_pat, exclude_pat)]
    found = current().files.find(wanted, env)
    cached = [cache_tree_file(name, env, found[name]) for name in wanted]
    return [str(where) for where in cached if where is not None]


def cache_master(saltenv: str | None = None) -> list[str]:
    """Put every file of an environment into the minion's cache; return the files.

    CLI example: `ctl '*' cp.cache_master`
    """
    return cache_dir("salt://", saltenv)


def cache_local_file(path: str) -> str:
    """Copy a file of this machine into the minion's cache; return where, or nothing where there is none.

    CLI example: `ctl '*' cp.cache_local_file /etc/hosts`
    """
    if not os.path.isfile(path):
        return ""
    where = tree_files.safe_join(tree_directory().with_name("local"), os.path.abspath(path).lstrip("/"))
    make_directories(where.parent, mode=0o700)
    atomic_write(where, chunks_of(path), mode=0o600)
    return str(where)


def is_cached(path: str, saltenv: str | None = None) -> str:
    """Return where the minion's cache has a file, or nothing.

    CLI example: `ctl '*' cp.is_cached salt://path/to/file`
    """
    if _is_remote(path):
        where = copy_of_url(path)
    else:
        where = copy_of_tree_file(*split_source(path, saltenv))
    return str(where) if where.is_file() else ""


def cache_dest(url: str, saltenv: str | None = None) -> str:
    """Return where `cp.cache_file` puts a file, whether it is there or not.

    CLI example: `ctl '*' cp.cache_dest salt://path/to/file`
    """
    if tree_files.is_tree_url(url):
        return str(copy_of_tree_file(*split_source(url, saltenv)))
    return str(copy_of_url(url)) if _is_remote(url) else url.removeprefix("file://")


def hash_file(path: str, saltenv: str | None = None) -> dict[str, str] | bool:
    """Return the digest of a file of the state tree or of this machine, as `{hash_type, hsum}`.

    CLI example: `ctl '*' cp.hash_file salt://path/to/file`
    """
    if os.path.isabs(path):
        return {"hash_type": "sha256", "hsum": _digest(path)} if os.path.isfile(path) else False
    relative, env = split_source(path, saltenv)
    info = current().files.find([relative], env)[relative]
    return {"hash_type": "sha256", "hsum": info.digest} if info else False


def stat_file(path: str, saltenv: str | None = None, octal: bool = True) -> str | int | bool:
    """Return the mode of a file of the state tree, in octal digits or as a number.

    CLI example: `ctl '*' cp.stat_file salt://run.sh`
    """
    if os.path.isabs(path):
        mode = stat.S_IMODE(os.stat(path).st_mode)
    else:
        relative, env = split_source(path, saltenv)
        info = current().files.find([relative], env)[relative]
        if info is None:
            return False
        mode = info.mode
    return f"{mode:04o}" if octal else mode


def list_master(saltenv: str | None = None, prefix: str = "") -> list[str]:
    """List the files of the state tree.

    CLI example: `ctl '*' cp.list_master prefix=nginx`
    """
    names = current().files.list_files(saltenv or current().saltenv)
    return [name for name in names if name.startswith(prefix)]


def list_master_dirs(saltenv: str | None = None, prefix: str = "") -> list[str]:
    """List the directories of the state tree.

    CLI example: `ctl '*' cp.list_master_dirs`
    """
    names = current().files.list_dirs(saltenv or current().saltenv)
    return [name for name in names if name.startswith(prefix)]


def list_master_symlinks(saltenv: str | None = None, prefix: str = "") -> dict[str, str]:
    """List the symlinks of the state tree with what they point to.

    CLI example: `ctl '*' cp.list_master_symlinks`
    """
    links = current().files.list_symlinks(saltenv or current().saltenv)
    return {name: target for name, target in links.items() if name.startswith(prefix)}


def list_states(saltenv: str | None = None) -> list[str]:
    """List the SLS of an environment.

    CLI example: `ctl '*' cp.list_states`
    """
    return Tree(current().files, current().config).names(saltenv or current().saltenv)


def list_minion(saltenv: str | None = None) -> list[str]:
    """List the files of the state tree that are in the minion's cache.

    CLI example: `ctl '*' cp.list_minion`
    """
    root = tree_directory() / environment_name(saltenv or current().saltenv)
    return sorted(str(path) for path in root.rglob("*") if path.is_file())


def push(path: str, keep_symlinks: bool = False, upload_path: str | None = None, remove_source: bool = False) -> bool:
    """Send a file of this machine to the master, which keeps it in an area of this minion's own.

    The master must allow it (`file_recv`). It is called there as here, or `upload_path`; with `remove_source` it is
    removed here once the master has it. What a symlink leads to is sent, in any case.

    CLI example: `ctl web1 cp.push /var/log/app.log`
    """
    if not os.path.isabs(path):
        raise CommandExecutionError(f"{path!r} is not an absolute path")
    if not os.path.isfile(path):
        log.error("%s is no file, so it is not pushed", path)
        return False
    _transfers().push(path, (upload_path or path).lstrip("/"))
    if remove_source:
        os.unlink(path)
    return True


def push_dir(path: str, glob: str | None = None, upload_path: str | None = None) -> bool:
    """Send the files below a directory to the master (as `cp.push`), those whose names match `glob`.

    CLI example: `ctl web1 cp.push_dir /etc/nginx glob='*.conf'`
    """
    if not os.path.isabs(path):
        raise CommandExecutionError(f"{path!r} is not an absolute path")
    if os.path.isfile(path):
        return push(path, upload_path=upload_path)
    names = [os.path.join(where, name) for where, _dirs, found in os.walk(path) for name in sorted(found)]
    wanted = [name for name in names if glob is None or fnmatch.fnmatch(os.path.basename(name), glob)]
    for name in wanted:
        under = os.path.join(upload_path, os.path.relpath(name, path)) if upload_path else None
        if not push(name, upload_path=under):
            return False
    return bool(wanted)


def recv(files: list[dict[str, Any]], dest: str) -> dict[str, bool]:
    """Put files that a client copies to this minion in place: what `ctl-cp` calls, and nobody else.

    Each of `files` has a `name`, a `handle`, a `digest`, a `size` and a `mode`. They go into the directory `dest`
    where that is one, ends in a slash, or there are several; a single file gets the name `dest`.

    CLI example: `ctl-cp '*' /etc/hosts /tmp/hosts`
    """
    if not os.path.isabs(dest):
        raise CommandExecutionError(f"the destination {dest!r} is not an absolute path")
    inside = dest.endswith("/") or os.path.isdir(dest) or len(files) > 1 or "/" in str(files[0]["name"])
    port, done = _transfers(), {}
    for file in files:
        name = tree_files.check_relative(str(file["name"]))
        where = os.path.join(dest, name) if inside else dest
        make_directories(os.path.dirname(where))
        taken = port.staged(file["handle"], bytes.fromhex(file["digest"]), int(file["size"]), name)
        move_into_place(taken, where, mode=int(file["mode"]) & 0o7777, follow=True)
        done[where] = True
    return done


def _transfers() -> FileTransfers:
    port = current().daemon
    if not isinstance(port, FileTransfers):
        raise CommandExecutionError("there is no master here to exchange files with")
    return port


def clear_cache() -> bool:
    """Empty the minion's cache of files that `cp` has put there.

    CLI example: `ctl '*' cp.clear_cache`
    """
    for directory in (tree_directory(), tree_directory().with_name("urls"), tree_directory().with_name("local")):
        shutil.rmtree(directory, ignore_errors=True)
    return True


def envs() -> list[str]:
    """List the environments of the state tree.

    CLI example: `ctl '*' cp.envs`
    """
    return current().files.environments()


def _rendered(text: str, template: str | None) -> str:
    if not template:
        return text
    return job_renderer().template(text, path="path", saltenv=current().saltenv, context={}, engine=template)


def _large(path: str, saltenv: str) -> FileInfo | None:
    """Describe a file of the tree that is too large to be kept twice without need; None where it is not."""
    if not isinstance(current().files, LargeFiles):
        return None
    info = current().files.find([path], saltenv)[path]
    return info if info is not None and info.size >= _LARGE_BYTES else None


def _take(path: str, saltenv: str) -> Path | None:
    source = current().files
    return source.take(path, saltenv) if isinstance(source, LargeFiles) else None


def _move(source: Path, where: str, makedirs: bool) -> str:
    try:
        _make_parent(where, makedirs)
        move_into_place(source, where, follow=True)
    finally:
        source.unlink(missing_ok=True)
    return where


def _copy(source: Path, where: str, makedirs: bool) -> str:
    _make_parent(where, makedirs)
    atomic_write(where, chunks_of(source), follow=True)
    return where


def _make_parent(where: str, makedirs: bool) -> None:
    parent = os.path.dirname(where)
    if os.path.isdir(parent):
        return
    if not makedirs:
        raise CommandExecutionError(f"the directory {parent} is not there", hint="makedirs=True makes it")
    make_directories(parent)


def _is_remote(path: str) -> bool:
    return path.partition("://")[0] in REMOTE_SCHEMES and "://" in path


def _digest(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
