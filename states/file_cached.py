"""Keep files of the tree and of the web in this minion's cache."""

from __future__ import annotations

import os
from pathlib import Path

from ..common import files
from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Changes, Plan, Step, change, same
from ..modules._cached import copy_of_tree_file, copy_of_url
from ._content import Source, Trust, choose_source, content_of_path, find_checksum
from ._planning import planning
from ._signature import Signers

__virtualname__ = "file"


@planning
def cached(
    name: str,
    source_hash: str = "",
    source_hash_name: str | None = None,
    skip_verify: bool = False,
    saltenv: str | None = None,
    use_etag: bool = False,
    source_hash_sig: str | bool | None = None,
    signed_by_any: str | list[str] | None = None,
    signed_by_all: str | list[str] | None = None,
    keyring: str | None = None,
    gnupghome: str | None = None,
) -> Plan:
    """Make sure that a copy of a file is in the minion's cache, so that later states and commands find it there.

    name
        A URL: `salt://`, `http://`, `https://`, `ftp://`; a path of this machine needs no copy.
    source_hash, source_hash_name, skip_verify
        As in `file.managed`. A copy that has the digest is not fetched again.
    use_etag
        Needs no `source_hash`: the server is asked at every run whether the copy is still as it was (by its ETag).
    source_hash_sig, signed_by_any, signed_by_all, keyring, gnupghome
        As in `file.managed`.

    SLS example:

        https://example.com/app.tar.gz:
          file.cached:
            - source_hash: sha256=1f2e…
    """
    own = files.is_tree_url(name) and saltenv and not files.split_url(name)[1]
    source = choose_source(f"{name}?saltenv={saltenv}" if own else name, source_hash)
    unverified = skip_verify or use_etag or source.kind == "tree"
    signers = Signers.read(signed_by_any, signed_by_all, keyring, gnupghome)
    trust = Trust(hash_name=source_hash_name, hash_signature=source_hash_sig, signers=signers)
    checksum = None if unverified else find_checksum(source, source.path, trust)
    if source.kind == "local":
        if checksum is not None and not checksum.matches(source.path):
            raise CommandExecutionError(f"the {checksum.algorithm} digest of {name} is not {checksum.digest}")
        return same(f"File {source.path} is on this machine, and needs no copy")
    if source.kind == "remote" and checksum is None and not unverified:
        raise CommandExecutionError(f"{name} needs a source_hash", hint="or skip_verify: True to take what comes")
    copy = _copy_of(source)
    old = content_of_path(copy).digest if copy.is_file() else None
    if old is not None and (checksum.matches(copy) if checksum else source.info and source.info.digest == old):
        return same(f"File is already cached to {copy}")
    predicted = {"hash": {"old": old, "new": source.info.digest if source.info else checksum and checksum.digest}}

    def fetch() -> Changes:
        path = current().call("cp.cache_file", source.url, source.saltenv or None, use_etag=use_etag)
        if not path:
            raise CommandExecutionError(f"{name} cannot be got")
        if checksum is not None and not checksum.matches(path):
            os.unlink(path)
            raise CommandExecutionError(f"the {checksum.algorithm} digest of {name} is not {checksum.digest}")
        new = content_of_path(path).digest
        return {} if new == old else {"hash": {"old": old, "new": new}}

    step = Step(f"cache {name}", fetch)
    return change(f"File will be cached: {name}", predicted, step, done=f"File is cached to {copy}")


@planning
def not_cached(name: str, saltenv: str | None = None) -> Plan:
    """Make sure that no copy of a file is in the minion's cache.

    SLS example:

        https://example.com/app.tar.gz:
          file.not_cached: []
    """
    if name.startswith("/") or name.startswith("file://"):
        raise CommandExecutionError(f"{name!r} is a file of this machine, and no copy")
    if files.is_tree_url(name):
        path, named = files.split_url(name)
        copy = copy_of_tree_file(path, named or saltenv or current().saltenv)
    else:
        copy = copy_of_url(name)
    if not copy.is_file():
        return same(f"{name} is not cached")

    def remove() -> Changes:
        copy.unlink(missing_ok=True)
        return {"deleted": True}

    step = Step(f"remove {copy}", remove)
    return change(f"{copy} is set for removal", {"deleted": True}, step, done=f"{copy} was deleted")


def _copy_of(source: Source) -> Path:
    if source.kind == "tree":
        return copy_of_tree_file(source.path, source.saltenv)
    return copy_of_url(source.url)
