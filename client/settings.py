"""What a client needs to know of the master's configuration, read in a way that costs next to nothing.

The daemons validate the whole file (`common/config.py`); a client wants a dozen scalars of it. Most files say those in
plain `key: value` lines, which `scan` reads without importing YAML. Whatever else it meets, it leaves to YAML.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..common.errors import ConfigError

DEFAULT_PATH = "/etc/ctl/master"
DIRECTORY_VARIABLE = "CTL_CONFIG_DIR"
_TRUE = frozenset({"true", "yes", "on"})
_FALSE = frozenset({"false", "no", "off"})


class Settings(NamedTuple):
    """The settings of a client; the paths are absolute, with `root_dir` applied."""

    path: Path
    root_dir: Path = Path("/")
    sock_dir: Path = Path("/run/ctl")
    data_dir: Path = Path("/var/lib/ctl")
    pki_dir: Path = Path("/etc/ctl/pki")
    timeout: float = 5.0
    delivery_window: float = 60.0
    output: str = ""
    color: bool = True
    state_output: str = "full"
    state_verbose: bool = True
    state_output_diff: bool = False
    state_output_profile: bool = True
    state_output_exclude: tuple[str, ...] = ()
    state_output_terse: tuple[str, ...] = ()

    @property
    def socket(self) -> Path:
        """Where the master listens for clients of this machine."""
        return self.sock_dir / "master" / "ctl.sock"

    @property
    def directory(self) -> Path:
        """The directory that the configuration is read from."""
        return self.path.parent


def load(c_path: str | os.PathLike[str] = DEFAULT_PATH, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings; raises `ConfigError`. A missing file means all defaults.

    `c_path` is the master's configuration file or the directory that holds it. Left at its default it gives way to
    $CTL_CONFIG_DIR. `overrides` win over the files.
    """
    path = locate(c_path)
    values: dict[str, tuple[Any, Path]] = {}
    for file in (path, *_more_files(path)):
        for key, value in _read(file).items():
            values[key] = (value, file)
    values |= {key: (value, path) for key, value in (overrides or {}).items() if key in WANTED}
    return _build(path, values)


def from_mapping(path: Path, given: Mapping[str, Any]) -> Settings:
    """Take the settings from what was read of `path` already: a minion's configuration, for `ctl-call`."""
    return _build(path, {key: (value, path) for key, value in given.items() if key in WANTED})


def locate(c_path: str | os.PathLike[str] = DEFAULT_PATH) -> Path:
    """Return the path of the master's configuration file that `c_path` means, absolute."""
    path = Path(c_path)
    variable = os.environ.get(DIRECTORY_VARIABLE)
    if variable and os.fspath(c_path) == DEFAULT_PATH:
        path = Path(variable)
    path = Path(os.path.abspath(path))
    return path / "master" if path.is_dir() else path


def _build(path: Path, values: Mapping[str, tuple[Any, Path]]) -> Settings:
    known: dict[str, Any] = {}
    for key, (value, file) in values.items():
        if value is None or value == "":
            continue  # `key:` with nothing after it means the default
        try:
            known[key] = WANTED[key](value)
        except (ValueError, TypeError):
            raise ConfigError(f"{key}: {value!r} is not what this setting takes", path=str(file), key=key) from None
    root = Path(os.path.abspath(known.get("root_dir", "/")))
    defaults = Settings._field_defaults
    for key in ("sock_dir", "data_dir", "pki_dir"):
        known[key] = _below(root, known.get(key) or Path(defaults[key]))
    return Settings(path, **{**known, "root_dir": root})


def _below(root: Path, path: Path) -> Path:
    if not path.is_absolute():
        return root / path
    return path if path.is_relative_to(root) else root / path.relative_to("/")


def _more_files(path: Path) -> list[Path]:
    try:
        return sorted(Path(f"{path}.d").glob("*.conf"))
    except OSError as error:
        raise ConfigError(f"it cannot be read: {error.strerror}", path=str(path)) from error


def _read(path: Path) -> Mapping[str, Any]:
    """Read the wanted keys of one file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"it cannot be read: {getattr(error, 'strerror', None) or error}", path=str(path)) from error
    _check_writers(path)
    found = scan(text)
    return _parse(text, path) if found is None else found


def _check_writers(path: Path) -> None:
    """Refuse a file that others could have written: whoever chooses the socket answers for the master."""
    for place in (path, *path.resolve().parents):
        info = place.stat()
        sticky = info.st_mode & stat.S_ISVTX and info.st_uid == 0
        if info.st_mode & stat.S_IWOTH and not sticky:
            raise ConfigError(
                f"everyone can write {place}, so it is not read", path=str(path), hint=f"chmod o-w {place}"
            )


def _parse(text: str, path: Path) -> dict[str, Any]:
    import yaml  # only for files that are more than plain lines

    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # both are safe
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigError(f"it is no YAML: {error.problem or error.context}", path=str(path), line=line) from error
    except (yaml.YAMLError, ValueError) as error:  # a date that is none raises ValueError
        raise ConfigError(f"it is no YAML: {error}", path=str(path)) from error
    if data is not None and not isinstance(data, dict):
        raise ConfigError("it must be a mapping of settings", path=str(path))
    return {key: value for key, value in (data or {}).items() if key in WANTED}


# -- the scanner -------------------------------------------------------------------------------------------------------

_LINE = re.compile(r"([A-Za-z_][\w.-]*):(?:[ ]+(.*))?")
_PLAIN = re.compile(r"[\w/~.+][^#:\"'\[\]{}&*!|>%@`,\t\\]*")
_QUOTED = re.compile(r"'[^']*'|\"[^\"\\]*\"")
_COMMENT = re.compile(r"(?:^|[ ]+)#.*$")
_BLOCK = re.compile(r"[|>][+-]?")


def scan(text: str) -> dict[str, str] | None:
    """Return the wanted keys' scalars as text, or None where the file needs a real parser.

    Nested lines are passed over below keys that nobody here wants; below a wanted one they are for the real parser.
    """
    found: dict[str, str] = {}
    may_nest = False
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#") or (line == "---" and not found):
            continue
        if line.startswith((" ", "- ")) or line == "-":
            if not may_nest or not _balanced(line):
                return None
            continue
        matched = _LINE.fullmatch(line)
        if matched is None:
            return None
        key, value = matched[1], matched[2] or ""
        if key in WANTED:
            scalar = _scalar(value)
            if scalar is None:
                return None
            found[key], may_nest = scalar, False
        else:
            may_nest = _opens_block(value)
            if not may_nest and _scalar(value) is None and not _closed(value):
                return None
    return found


def _scalar(value: str) -> str | None:
    quoted = _QUOTED.match(value)
    if quoted:
        rest = value[quoted.end() :]
        return quoted[0][1:-1] if not rest.strip() or _COMMENT.fullmatch(rest) else None
    plain = _COMMENT.sub("", value).strip()
    if plain in ("~", "null"):
        return ""
    return plain if not plain or _PLAIN.fullmatch(plain) else None


def _balanced(line: str) -> bool:
    """Say whether nothing that this line opens can go on at the start of a later one."""
    pairs = line.count("[") == line.count("]") and line.count("{") == line.count("}")
    return pairs and not line.count('"') % 2 and not line.count("'") % 2


def _opens_block(value: str) -> bool:
    rest = _COMMENT.sub("", value).strip()
    return not rest or bool(_BLOCK.fullmatch(rest))


def _closed(value: str) -> bool:
    """Say whether a list or mapping in brackets ends on its own line, as far as one can see without parsing."""
    rest = _QUOTED.sub("", _COMMENT.sub("", value)).strip()
    return (rest[:1], rest[-1:]) in (("[", "]"), ("{", "}")) and _balanced(rest)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(value)
    return word in _TRUE


def _seconds(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(str(word) for word in value)


WANTED: dict[str, Callable[[Any], Any]] = {
    "root_dir": str,
    "sock_dir": Path,
    "data_dir": Path,
    "pki_dir": Path,
    "timeout": _seconds,
    "delivery_window": _seconds,
    "output": str,
    "color": _flag,
    "state_output": str,
    "state_verbose": _flag,
    "state_output_diff": _flag,
    "state_output_profile": _flag,
    "state_output_exclude": _words,
    "state_output_terse": _words,
}
