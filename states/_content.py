"""The content that a managed file shall have: where it comes from, its digest, and its bytes."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..common import files
from ..common.context import FileInfo, current
from ..common.errors import CommandExecutionError, FileServerError
from ..modules._cached import cache_url, copy_of_url
from ._checksum import Checksum, parse_checksum, search_checksum
from ._planning import Missing
from ._signature import Signers
from ._sources_ahead import take_ahead

REMOTE_SCHEMES = ("http", "https", "ftp")
MAX_DIGEST_FILE_BYTES = 1024 * 1024
_CHUNK_BYTES = 1 << 20

# Digests of files on this machine, for as long as the job lasts.
digests = files.Digests()


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes with their SHA-256: in memory, or in a file (`fetch` gives its path) that is only read where needed."""

    digest: str
    size: int
    data: bytes | None = None
    fetch: Callable[[], Path] | None = None
    mode: int | None = None

    def read(self) -> bytes:
        """Return the whole content."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Give the content in pieces."""
        if self.fetch is None:
            yield self.data or b""
            return
        with open(self.fetch(), "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk


def content_of_bytes(value: bytes, mode: int | None = None) -> Content:
    """Return content that is in memory."""
    return Content(hashlib.sha256(value).hexdigest(), len(value), value, None, mode)


def content_of_path(path: str | Path) -> Content:
    """Return the content of a file of this machine, with the file's mode."""
    status = os.stat(path)
    digest = digests.of(str(path), status)
    return Content(digest, status.st_size, None, lambda: Path(path), stat.S_IMODE(status.st_mode))


@dataclass(frozen=True, slots=True)
class Source:
    """One place that content comes from: `kind` is tree, local or remote; `path` the part of the URL that names it."""

    url: str
    kind: str
    path: str
    saltenv: str
    source_hash: Any = ""
    info: FileInfo | None = None


def choose_source(candidates: str | Sequence[Any] | Mapping[str, Any], source_hash: Any = "") -> Source:
    """Return the first of the sources that exists; each may be a URL or `{url: source_hash}`."""
    given = [candidates] if isinstance(candidates, str | Mapping) else list(candidates)
    sources = [source for item in given for source in _sources(item, source_hash)]
    if not sources:
        raise CommandExecutionError("the list of sources is empty")
    found = _tree_files(sources)
    last: CommandExecutionError | None = None
    for source in sources:
        if source.kind == "tree":
            info = found[source.saltenv, source.path]
            if info is not None:
                return Source(source.url, source.kind, source.path, source.saltenv, source.source_hash, info)
        elif source.kind == "remote" or os.path.isfile(source.path):
            return source
        else:
            last = Missing(f"the source {source.path} is not there")
    if last is not None and len(sources) == 1:
        raise last
    if len(sources) == 1:
        raise FileServerError(f"the source {sources[0].url} is not in environment {sources[0].saltenv!r}")
    raise FileServerError(f"none of the sources is there: {', '.join(source.url for source in sources)}")


def _sources(item: Any, source_hash: Any) -> Iterator[Source]:
    if isinstance(item, Mapping):
        for url, own_hash in item.items():
            yield _source(str(url), own_hash or source_hash)
    else:
        yield _source(str(item), source_hash)


def _source(url: str, source_hash: Any) -> Source:
    if files.is_tree_url(url):
        path, saltenv = files.split_url(url)
        return Source(url, "tree", path, saltenv or current().saltenv, source_hash)
    if url.startswith("/"):
        return Source(url, "local", url, "", source_hash)
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Source(url, "local", unquote(parts.path), "", source_hash)
    if parts.scheme in REMOTE_SCHEMES:
        return Source(url, "remote", url, "", source_hash)
    raise CommandExecutionError(
        f"the source {url!r} is neither a URL of a known kind nor an absolute path",
        hint="salt://, ctl://, http://, https://, ftp://, file:// or /a/path",
    )


def _tree_files(sources: Iterable[Source]) -> dict[tuple[str, str], FileInfo | None]:
    wanted: dict[str, list[str]] = {}
    found: dict[tuple[str, str], FileInfo | None] = {}
    for source in sources:
        if source.kind != "tree":
            continue
        known, info = take_ahead(source.saltenv, source.path)
        if known:
            found[source.saltenv, source.path] = info
        else:
            wanted.setdefault(source.saltenv, []).append(source.path)
    for saltenv, paths in wanted.items():
        for path, info in current().files.find(paths, saltenv).items():
            found[saltenv, path] = info
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What has to be right about a source that may change unseen, before it is used."""

    skip_verify: bool = False
    hash_name: str | None = None
    verify_ssl: bool = True
    use_etag: bool = False
    hash_signature: str | bool | None = None
    signers: Signers = field(default_factory=Signers)


def content_of_source(source: Source, target: str, trust: Trust) -> Content:
    """Return the content of a source, verified against its `source_hash` where it has one and can change unseen.

    A remote source whose checksum the file at `target` already has is not downloaded; with `use_etag`, one that the
    server says is as it was is not, either.
    """
    if source.kind == "tree":
        info = source.info
        assert info is not None
        fetch = functools.partial(current().files.fetch, source.path, source.saltenv)
        return Content(info.digest, info.size, None, fetch, info.mode)
    unverified = trust.skip_verify or trust.use_etag
    checksum = None if unverified else find_checksum(source, target, trust)
    if source.kind == "local":
        path: str | Path = source.path
    elif checksum is None and not unverified:
        raise CommandExecutionError(
            f"the source {source.url} needs a source_hash",
            hint="or skip_verify: True to take what comes, or use_etag: True",
        )
    elif checksum is not None and _has(target, checksum):
        return content_of_path(target)
    else:
        path = _downloaded(source.url, checksum, trust)
    if checksum is not None and not checksum.matches(path):
        raise CommandExecutionError(f"the {checksum.algorithm} digest of {source.url} is not {checksum.digest}")
    return content_of_path(path)


def _downloaded(url: str, checksum: Checksum | None, trust: Trust) -> str | Path:
    kept = copy_of_url(url)
    if checksum is not None and _has(str(kept), checksum):
        return kept
    return cache_url(url, trust.verify_ssl, trust.use_etag)


def _has(path: str, checksum: Checksum) -> bool:
    return os.path.isfile(path) and checksum.matches(path)


def find_checksum(source: Source, target: str, trust: Trust) -> Checksum | None:
    """Return the checksum that a source's `source_hash` stands for; None where it has none.

    A file of digests must be signed where `hash_signature` says so, and the source is remote.
    """
    text = str(source.source_hash or "").strip()
    if not text:
        return None
    checksum = parse_checksum(text)
    if checksum is not None:
        return checksum
    names = [trust.hash_name or "", os.path.basename(urlsplit(source.url).path), os.path.basename(target)]
    lines = _digest_file(text, trust, source.kind).decode("utf-8", "replace").splitlines()
    checksum = search_checksum(lines, names)
    if checksum is None:
        raise CommandExecutionError(f"{text} has no digest for {names[0] or names[1] or names[2]}")
    return checksum


def _digest_file(url: str, trust: Trust, kind: str) -> bytes:
    try:
        choose_source(url)
    except CommandExecutionError as error:
        if "/" in url:
            raise
        raise CommandExecutionError(f"source_hash: {url!r} is neither a digest nor a file of digests") from error
    path = fetched(url)
    if trust.hash_signature and kind == "remote":
        if trust.hash_signature is True:
            return trust.signers.signed_text(path, url)
        trust.signers.check(path, fetched(str(trust.hash_signature)), url)
    with open(path, "rb") as file:
        return file.read(MAX_DIGEST_FILE_BYTES)


def fetched(url: str) -> Path:
    """Return a local path with the content of a URL of any kind, fetched anew; raises where there is none."""
    source = choose_source(url)
    if source.kind == "tree":
        return current().files.fetch(source.path, source.saltenv)
    return Path(source.path) if source.kind == "local" else cache_url(source.url)
