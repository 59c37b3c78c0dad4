"""Every error that ctl raises on purpose, in one tree.

CtlError
├── ConfigError(ValueError)            a setting is wrong; names file, line and key
├── WireError(ValueError)              a message is malformed, too large or not allowed here
│   └── ReplayError                    a counter or sequence number that was seen before
│       └── LateFrame                  … as an honest frame has it that lost a race
├── AuthenticationError(PermissionError)
│   ├── HandshakeError                 a handshake message did not verify
│   └── PinError                       the master's key is not the one that was pinned
├── AuthorizationError(PermissionError)  a known principal may not do this
├── KeyTableError(ValueError)          a minion's key cannot be treated as asked
├── RequestRefused                     a minion's request is refused, for a reason it can act on
├── TargetError(ValueError)            a target expression is wrong; points at the word
├── RenderError(ValueError)            a template or YAML file is wrong; names file and line
├── CompileError(ValueError)           a state tree is wrong; carries every problem found
├── PillarError(ValueError)            a minion's pillar could not be made whole
├── PluginError
│   ├── PluginNotFound(LookupError)    no such module or function; names the nearest
│   ├── PluginNotLoaded(LookupError)   it exists and said why it does not load
│   └── ArgumentError(TypeError)       the arguments do not fit the function's signature
├── CommandExecutionError(RuntimeError)  a function could not do its work
│   └── CommandNotFoundError           the tool that a function needs is missing
├── JobError(RuntimeError)
│   ├── JobTimeout(TimeoutError)
│   └── NoMinions(LookupError)         the target matched nothing
├── StorageError(OSError)              a database or file of ours cannot be read or written
├── FileServerError(FileNotFoundError) a file of the state tree is missing or out of bounds
├── MasterUnavailable(ConnectionError) no master answers where one was expected
└── RemoteError(RuntimeError)          an error that happened elsewhere and travelled as data
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is closest to `word`, or None where nothing is close."""
    import difflib  # programs that make no mistake need none

    found = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return found[0] if found else None


class CtlError(Exception):
    """The root of the tree: a sentence for a person, and where it applies.

    `path`, `line` (from 1) and `key` say where; `hint` says what to do next. `str()` puts them together.
    """

    code = "error"

    def __init__(
        self, message: str, *, path: str | None = None, line: int | None = None, key: str | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.line = line
        self.key = key
        self.hint = hint

    def __str__(self) -> str:
        where = self.path or ""
        if self.path and self.line:
            where = f"{self.path}:{self.line}"
        text = f"{where}: {self.message}" if where else self.message
        return f"{text} ({self.hint})" if self.hint else text


class ConfigError(CtlError, ValueError):
    """A setting is wrong."""

    code = "config"


class WireError(CtlError, ValueError):
    """A message is malformed, too large or not allowed here."""

    code = "wire"


class ReplayError(WireError):
    """A counter or sequence number that was seen before."""

    code = "replay"


class LateFrame(ReplayError):
    """A frame that nobody needs any more, such as the reply to a request that was given up; no sign of an attack."""

    code = "late"


class SealError(WireError):
    """What was sealed does not open: another key, or bytes that were changed."""

    code = "seal"


class UnknownEpoch(WireError):
    """A publication of an epoch that is not the receiver's; `epoch_id` names it."""

    code = "unknown_epoch"

    def __init__(self, message: str, *, epoch_id: bytes = b"") -> None:
        super().__init__(message)
        self.epoch_id = epoch_id


class StalePublication(WireError):
    """A genuine publication whose time is `skew_ms` away from the master's clock as the minion knows it."""

    code = "stale"

    def __init__(self, message: str, *, skew_ms: int = 0) -> None:
        super().__init__(message)
        self.skew_ms = skew_ms


class ForgedPublication(WireError):
    """A publication sealed with the group key, but not signed by the master: an accepted minion attacks."""

    code = "forged"


class AuthenticationError(CtlError, PermissionError):
    """Somebody is not who they should be."""

    code = "authentication"


class HandshakeError(AuthenticationError):
    """A handshake message did not verify."""

    code = "handshake"


class UnsupportedSuite(HandshakeError):
    """The peer speaks `version` of the protocol with `suite`; one of them is not known here."""

    code = "unsupported"

    def __init__(self, message: str, *, version: int = 0, suite: int = 0) -> None:
        super().__init__(message)
        self.version = version
        self.suite = suite


class PinError(AuthenticationError):
    """The master's key is not the one that was pinned."""

    code = "pin"


class AuthorizationError(CtlError, PermissionError):
    """A known principal may not do this."""

    code = "authorization"


class KeyTableError(CtlError, ValueError):
    """A change of keys cannot be made as asked."""

    code = "key"


class RequestRefused(CtlError):
    """A refusal of one request of a session; `code` is the word that the peer acts on (`changed`, `busy`, ...)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class TargetError(CtlError, ValueError):
    """A mistaken target expression; `position` is the offset of the word at fault in `expression`."""

    code = "target"

    def __init__(self, message: str, *, expression: str = "", position: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expression = expression
        self.position = position

    def __str__(self) -> str:
        text = f"{self.message} ({self.hint})" if self.hint else self.message
        if not self.expression or "\n" in self.expression:
            return text
        return f"{text}\n  {self.expression}\n  {' ' * self.position}^"


class RenderError(CtlError, ValueError):
    """A file that does not render; `excerpt` shows the lines around, `stack` who included it (outermost first)."""

    code = "render"

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        excerpt: str = "",
        stack: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, path=path, line=line, hint=hint)
        self.excerpt = excerpt
        self.stack = tuple(stack)

    def __str__(self) -> str:
        parts = [super().__str__()]
        if self.excerpt:
            parts.append(self.excerpt.rstrip("\n"))
        parts.extend(f"  included from {entry}" for entry in reversed(self.stack))
        return "\n".join(parts)


class CompileError(CtlError, ValueError):
    """A state tree that does not compile; `problems` holds one sentence for each mistake, in the order of the files."""

    code = "compile"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class PillarError(CtlError, ValueError):
    """Pillar that did not render; `problems` holds one sentence for each mistake."""

    code = "pillar"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class PluginError(CtlError):
    """A plugin cannot be used as asked."""

    code = "plugin"


class PluginNotFound(PluginError, LookupError):
    """There is no such module or function."""

    code = "not_found"


class PluginNotLoaded(PluginError, LookupError):
    """A plugin is there and said why it does not load."""

    code = "not_loaded"


class ArgumentError(PluginError, TypeError):
    """Arguments do not fit a function's signature."""

    code = "arguments"


class CommandExecutionError(CtlError, RuntimeError):
    """A function could not do its work."""

    code = "execution"


class CommandNotFoundError(CommandExecutionError):
    """The tool that a function needs is missing."""

    code = "command_not_found"


class JobError(CtlError, RuntimeError):
    """A job cannot be published, followed or run."""

    code = "job"


class JobTimeout(JobError, TimeoutError):
    """A job took longer than it may."""

    code = "timeout"


class NoMinions(JobError, LookupError):
    """The target matched nothing."""

    code = "no_minions"


class StorageError(CtlError, OSError):
    """A database or file of ours cannot be read or written."""

    code = "storage"


class FileServerError(CtlError, FileNotFoundError):
    """A file of the state tree is missing or out of bounds."""

    code = "file"


class MasterUnavailable(CtlError, ConnectionError):
    """No master answers where one was expected."""

    code = "unavailable"


class RemoteError(CtlError, RuntimeError):
    """An error that happened in another process: its class's name, its sentence, and its traceback as text."""

    code = "remote"

    def __init__(self, name: str, message: str, *, traceback: str = "", code: str = "remote") -> None:
        super().__init__(message)
        self.name = name
        self.traceback = traceback
        self.code = code
