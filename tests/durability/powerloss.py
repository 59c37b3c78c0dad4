"""What a disk holds after a power cut, worked out from the record that `faults.c` made of a program's writes.

The model: a sync of a file brings all of its content to the disk, and a sync of a directory brings its names there.
What was written and not synced is there or not, sector by sector (512 bytes), each with any of the contents that it had
since the last sync. Of the changes of a directory's names that were not synced, the first few are there, in order.
Memory that is shared between processes (`-shm`) is gone.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

HEAD = struct.Struct("<BQQQQI")
SECTOR = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation: `kind` as `faults.c` names it, `at` in monotonic seconds."""

    kind: str
    at: float
    inode: int
    offset: int
    data: bytes


def read(trace: Path) -> Iterator[Entry]:
    """Yield the operations of a record, in their order."""
    content = trace.read_bytes()
    position = 0
    while position + HEAD.size <= len(content):
        kind, at, inode, a, _b, length = HEAD.unpack_from(content, position)
        position += HEAD.size
        yield Entry(chr(kind), at / 1e9, inode, a, content[position : position + length])
        position += length


@dataclass(slots=True)
class _File:
    """A file's content on the disk, and what may or may not have got there since."""

    durable: bytearray = field(default_factory=bytearray)
    size: int = 0  # now
    sizes: list[int] = field(default_factory=list)  # since the last sync
    sectors: dict[int, list[bytes]] = field(default_factory=dict)  # contents since the last sync
    content: bytearray = field(default_factory=bytearray)  # now

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if end > len(self.content):
            self.content.extend(bytes(end - len(self.content)))
        self.content[offset:end] = data
        for sector in range(offset // SECTOR, (end - 1) // SECTOR + 1):
            now = bytes(self.content[sector * SECTOR : (sector + 1) * SECTOR])
            self.sectors.setdefault(sector, []).append(now)
        self.sizes.append(len(self.content))

    def truncate(self, size: int) -> None:
        if size < len(self.content):
            del self.content[size:]
        else:
            self.content.extend(bytes(size - len(self.content)))
        self.sizes.append(size)

    def sync(self) -> None:
        self.durable = bytearray(self.content)
        self.sectors.clear()
        self.sizes.clear()

    def cut(self, choose: random.Random) -> bytes:
        """Return what of it may be on the disk."""
        size = choose.choice([len(self.durable), *self.sizes])
        found = bytearray(self.durable[:size])
        found.extend(bytes(size - len(found)))
        for sector, contents in self.sectors.items():
            start = sector * SECTOR
            if start < size and (version := choose.randint(0, len(contents))):
                piece = contents[version - 1][: size - start]
                found[start : start + len(piece)] = piece
        return bytes(found)


class Disk:
    """A disk that operations are done to, and that a power cut can be tried on at any moment."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}  # now
        self._durable: dict[str, int] = {}
        self._changes: dict[str, list[tuple[str, int | None]]] = {}  # since the last sync, by directory

    def apply(self, entry: Entry) -> None:
        """Do one operation."""
        if entry.kind in "WTS":
            file = self._files.setdefault(entry.inode, _File())
            if entry.kind == "W":
                file.write(entry.offset, entry.data)
            elif entry.kind == "T":
                file.truncate(entry.offset)
            else:
                file.sync()
        elif entry.kind == "D":
            self._sync_names(entry.data.decode())
        else:
            self._change_names(entry)

    def _change_names(self, entry: Entry) -> None:
        old, _, new = entry.data.decode().partition("\0")
        if entry.kind == "L":
            self._files[entry.inode] = _File()
            self._set(old, entry.inode)
        elif entry.kind == "U":
            self._set(old, None)
        elif (inode := self._names.get(old)) is not None:
            self._set(new, inode)
            if entry.kind == "R":
                self._set(old, None)

    def _set(self, path: str, inode: int | None) -> None:
        if inode is None:
            self._names.pop(path, None)
        else:
            self._names[path] = inode
        self._changes.setdefault(str(Path(path).parent), []).append((path, inode))

    def _sync_names(self, directory: str) -> None:
        for path, inode in self._changes.pop(directory, ()):
            _put(self._durable, path, inode)

    def cut(self, root: Path, image: Path, choose: random.Random) -> None:
        """Write what may be left of `root` after a power cut to `image`."""
        names = dict(self._durable)
        for changes in self._changes.values():
            for path, inode in changes[: choose.randint(0, len(changes))]:
                _put(names, path, inode)
        for path, inode in names.items():
            place = image / Path(path).relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            place.write_bytes(self._files.setdefault(inode, _File()).cut(choose))
            place.chmod(0o600)


def _put(names: dict[str, int], path: str, inode: int | None) -> None:
    if inode is None:
        names.pop(path, None)
    else:
        names[path] = inode
