"""The arguments of each request that a minion's session may make, as types: what does not fit is refused before use.

A jid is 20 digits. Nothing here becomes a path, a query or a tag without a check of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from ..common.errors import RequestRefused
from ..common.wire import MAX_CHUNK_BYTES

M = TypeVar("M", bound="Message")

MAX_RETURN_BYTES = 64 * 1024 * 1024 + 4096
MAX_JIDS = 900
MAX_PATHS = 900

Jid = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{20}\Z")]
Jids = Annotated[list[Jid], msgspec.Meta(max_length=MAX_JIDS)]
Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_RETURN_BYTES)]
Offset = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Retcode = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31)]
ChunkLength = Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNK_BYTES)]
Name = Annotated[str, msgspec.Meta(max_length=256)]
Reason = Annotated[str, msgspec.Meta(max_length=4096)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
Path = Annotated[str, msgspec.Meta(max_length=1024)]


class Message(msgspec.Struct, frozen=True):
    """Arguments of one method; unknown ones are passed over."""


class Nothing(Message, frozen=True):
    """No arguments."""


class Register(Message, frozen=True):
    """A minion's grains, packed, and its versions."""

    grains: bytes
    versions: dict[Name, str | int] = {}


class CatchUp(Message, frozen=True):
    """The offset of the job log up to which nothing is missing."""

    offset: Offset


class Acknowledge(Message, frozen=True):
    """Jobs, by their ids; those of `running` have begun."""

    jids: Jids
    running: Jids = []


class Progress(Message, frozen=True):
    """News of a running job; `data` is packed."""

    jid: Jid
    kind: Name
    data: bytes


class Return(Message, frozen=True):
    """The end of a job. A large payload came in chunks before; then `payload` is empty and `size` says how much."""

    jid: Jid
    state: Annotated[str, msgspec.Meta(max_length=16)]
    fun: Annotated[str, msgspec.Meta(max_length=4096)] | list[Name] = ""
    retcode: Retcode = 0
    success: bool = False
    out: Name | None = None
    truncated: bool = False
    reason: Reason = ""
    size: Size = 0
    payload: bytes = b""


class ReturnChunk(Message, frozen=True):
    """A part of a large return."""

    jid: Jid
    offset: Offset
    size: Size
    data: Annotated[bytes, msgspec.Meta(max_length=MAX_CHUNK_BYTES)]


class RotateKey(Message, frozen=True):
    """A minion's new key, and what both keys signed (`succession`)."""

    public: Digest
    by_old: Signature
    by_new: Signature


class Pillar(Message, frozen=True):
    """Which pillar: of which environments, with what merged over it, for which grains."""

    saltenv: Name | None = None
    pillarenv: Name | None = None
    override: bytes | None = None
    grains: bytes | None = None
    fresh: bool = False


class PillarChunk(Message, frozen=True):
    """A part of a pillar that was parked."""

    handle: Annotated[bytes, msgspec.Meta(max_length=32)]
    offset: Offset
    length: ChunkLength = MAX_CHUNK_BYTES


class FileFind(Message, frozen=True):
    """Paths in the tree to look up."""

    saltenv: Name
    paths: Annotated[list[Path], msgspec.Meta(max_length=MAX_PATHS)]


class FileList(Message, frozen=True):
    """A page of the tree: what comes after a name."""

    saltenv: Name
    prefix: Path = ""
    what: Annotated[str, msgspec.Meta(pattern=r"\A(files|dirs|symlinks)\Z")] = "files"
    after: Path = ""


class FileChunk(Message, frozen=True):
    """A part of a file whose content has this digest."""

    saltenv: Name
    path: Path
    digest: Digest
    offset: Offset
    length: ChunkLength


class FileFetch(Message, frozen=True):
    """Small files to fetch whole: paths, and the digest that each must have."""

    saltenv: Name
    files: Annotated[list[tuple[Path, Digest]], msgspec.Meta(max_length=MAX_PATHS)]


class FilePush(Message, frozen=True):
    """A part of a file that a minion pushes to the master, and what it calls the file."""

    name: Path
    offset: Offset
    size: Offset
    data: Annotated[bytes, msgspec.Meta(max_length=MAX_CHUNK_BYTES)] = b""


class StagedChunk(Message, frozen=True):
    """A part of a file that a client copies to minions; the job named its handle."""

    handle: Annotated[bytes, msgspec.Meta(max_length=64)]
    offset: Offset
    length: ChunkLength


class Event(Message, frozen=True):
    """An event to pass on under the minion's own name."""

    tag: Name
    data: bytes = b""


class CallReturn(Message, frozen=True):
    """What a `ctl-call` did."""

    fun: Name
    arg: bytes = b""
    retcode: Retcode = 0
    success: bool = False
    out: Name | None = None
    truncated: bool = False
    payload: bytes = b""


def read(kind: type[M], args: Mapping[str, Any]) -> M:
    """Return the arguments as `kind`, or refuse them."""
    try:
        return msgspec.convert(args, kind, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise RequestRefused("arguments", f"the arguments do not fit: {error}") from None
