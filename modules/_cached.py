"""Copies of tree files and downloads under their own names, below the cache directory."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urlsplit

from ..common import files
from ..common.atomic import atomic_write
from ..common.context import FileInfo, current
from ..common.directory import make_directories
from ..common.errors import CommandExecutionError, FileServerError

log = logging.getLogger(__name__)

REMOTE_SCHEMES = ("http", "https", "ftp")
DOWNLOAD_TIMEOUT_S = 60.0
MAX_ETAG_CHARS = 1024
_CHUNK_BYTES = 1 << 20


def tree_directory() -> Path:
    """Return where copies of tree files are kept, by environment."""
    return Path(current().config["cachedir"], "minion", "tree")


def url_directory() -> Path:
    """Return where downloads are kept, by host."""
    return Path(current().config["cachedir"], "minion", "urls")


def split_source(url: str, saltenv: str | None) -> tuple[str, str]:
    """Take a tree URL apart into path and environment: its own, else the one given, else the job's."""
    path, named = files.split_url(url)
    return path, named or saltenv or current().saltenv


def fetch_tree_file(path: str, saltenv: str) -> Path | None:
    """Return a local path with the content of a tree file, under whatever name, or None where there is no such file."""
    try:
        return current().files.fetch(path, saltenv)
    except FileServerError as error:
        log.info("%s", error)
        return None


def copy_of_tree_file(path: str, saltenv: str) -> Path:
    """Return where the copy of a tree file is kept, whether or not there is one."""
    return files.safe_join(tree_directory() / environment_name(saltenv), path)


def environment_name(saltenv: str) -> str:
    """Return the name of an environment's directory: `a/b` is one name, and not the file b of environment a."""
    return quote(files.check_relative(saltenv), safe="")


def cache_tree_file(path: str, saltenv: str, info: FileInfo | None = None) -> Path | None:
    """Copy a tree file into the cache, under its own name, and return where; None where there is no such file.

    `info` is what is known of it already.
    """
    info = info or current().files.find([path], saltenv)[path]
    if info is None:
        return None
    where = copy_of_tree_file(path, saltenv)
    if has_digest(where, info):
        return where
    make_directories(where.parent, mode=0o700)
    atomic_write(where, chunks_of(current().files.fetch(path, saltenv)), mode=info.mode & 0o755 | 0o400)
    return where


def has_digest(path: str | Path, info: FileInfo) -> bool:
    """Say whether a file here has the content that a file of the tree has."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size != info.size:
                return False
            return hashlib.file_digest(file, "sha256").hexdigest() == info.digest
    except OSError:
        return False


def chunks_of(path: str | Path) -> Iterator[bytes]:
    """Give a file's content in pieces."""
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def copy_of_url(url: str) -> Path:
    """Return where the download of a URL is kept, whether or not there is one."""
    parts = urlsplit(url)
    name = quote(parts.path.lstrip("/") or "index", safe="/") + (f"?{quote(parts.query)}" if parts.query else "")
    return files.safe_join(url_directory(), f"{parts.scheme}/{quote(parts.netloc.rpartition('@')[2])}/{name}")


def cache_url(url: str, verify_ssl: bool = True, use_etag: bool = False) -> Path:
    """Download a URL into the cache and return where; raises `CommandExecutionError` where that fails.

    With `use_etag`, a copy stays that the server says is as it was.
    """
    where = copy_of_url(url)
    make_directories(where.parent, mode=0o700)
    record = _etag_record(where)
    etag = _known_etag(record, where) if use_etag else ""
    new = _fetch(url, where, verify_ssl, etag)
    if use_etag and new and len(new) <= MAX_ETAG_CHARS:
        make_directories(record.parent, mode=0o700)
        atomic_write(record, json.dumps({"etag": new, "sha256": _sha256(where)}).encode(), mode=0o600)
    elif new != etag:
        record.unlink(missing_ok=True)
    return where


def _etag_record(copy: Path) -> Path:
    """Return where the ETag of a download is kept: beside the downloads, where no URL's own copy can be."""
    return url_directory().with_name("etags") / copy.relative_to(url_directory())


def _known_etag(record: Path, copy: Path) -> str:
    """Return the ETag of a copy that is as it was downloaded, or nothing."""
    try:
        known = json.loads(record.read_bytes())
        return str(known["etag"]) if known["sha256"] == _sha256(copy) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""  # it is downloaded again


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, path: str | Path, verify_ssl: bool = True) -> None:
    """Write what a URL gives to a file."""
    _fetch(url, path, verify_ssl, "")


def _fetch(url: str, path: str | Path, verify_ssl: bool, etag: str) -> str:
    """Write what a URL gives to a file, unless it still has this ETag; return the ETag that it has, if any."""
    parts = urlsplit(url)
    if parts.scheme not in REMOTE_SCHEMES:
        raise CommandExecutionError(f"{url!r} is no http, https or ftp URL")
    from ftplib import Error as FTPError  # only downloads need what these bring in
    from http.client import HTTPException

    shown = parts._replace(query="").geturl().replace(parts.netloc, parts.hostname or "")
    try:
        with tempfile.TemporaryFile() as kept:
            found = _read_ftp(url, kept) if parts.scheme == "ftp" else _read_http(url, kept, verify_ssl, etag)
            if found is not None:
                kept.seek(0)
                atomic_write(path, iter(lambda: kept.read(_CHUNK_BYTES), b""), mode=0o600)
            return etag if found is None else found
    except (OSError, ValueError, EOFError, HTTPException, FTPError) as error:
        raise CommandExecutionError(f"{shown} cannot be downloaded: {error}") from error


def _read_http(url: str, file: IO[bytes], verify_ssl: bool, etag: str) -> str | None:
    """Write what a web server gives to a file, and return its ETag; None where it still has this one."""
    import ssl
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    context = None if verify_ssl else ssl._create_unverified_context()  # noqa: S323  # the user asked for it
    # The scheme was checked, and redirects go to the same schemes only.
    request = Request(url, headers={"If-None-Match": etag} if etag else {})  # noqa: S310
    try:
        with urlopen(request, timeout=DOWNLOAD_TIMEOUT_S, context=context) as response:  # noqa: S310
            shutil.copyfileobj(response, file, _CHUNK_BYTES)
            return str(response.headers.get("ETag") or "")
    except HTTPError as error:
        error.close()
        if etag and error.code == HTTPStatus.NOT_MODIFIED:
            return None
        raise


def _read_ftp(url: str, file: IO[bytes]) -> str:
    """Write what an FTP server gives to a file. (The library's own way by URL leaves connections open that fail.)"""
    from ftplib import FTP

    parts = urlsplit(url)
    with FTP(timeout=DOWNLOAD_TIMEOUT_S) as server:  # noqa: S321
        server.connect(parts.hostname or "", parts.port or 0)
        server.login(unquote(parts.username or ""), unquote(parts.password or ""))
        server.retrbinary(f"RETR {unquote(parts.path)}", file.write, _CHUNK_BYTES)
    return ""


def destination(dest: str, name: str) -> str:
    """Return the path to write to: `dest`, or `name` in it where it is a directory."""
    path = os.path.expanduser(dest)
    if not os.path.isabs(path):
        raise CommandExecutionError(f"the destination {dest!r} is not an absolute path")
    if path.endswith("/") or os.path.isdir(path):
        return os.path.join(path, name)
    return path
