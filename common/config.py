"""Settings of master and minion: typed, documented, validated; a mistake names file, line, key and the nearest key.

Every setting is a field with a default and a sentence of help; `etc/master` and `etc/minion` are written from them.
A file `master` (or `minion`) in the configuration directory is read first, then `master.d/*.conf` in the order of
their names. A key near a known one is a mistake; any other unknown key is kept for plugins (`config.get`).
"""

from __future__ import annotations

import dataclasses
import keyword
import logging
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from .errors import ConfigError, nearest

log = logging.getLogger(__name__)

DEFAULT_DIRECTORY = Path("/etc/ctl")
DIRECTORY_VARIABLE = "CTL_CONFIG_DIR"
PUBLISH_PORT = 4605
REQUEST_PORT = 4606
ID_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
MAX_EDITS = 2
MIB = 1024 * 1024
C = TypeVar("C", bound="Config")
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "nothing",
}
_PATHS = ("pki_dir", "cachedir", "data_dir", "sock_dir", "log_file", "pidfile")


def setting(default: Any, help: str) -> Any:
    """Declare a setting: its default and one sentence on what it does."""
    if isinstance(default, dict | list):
        return field(default_factory=lambda: type(default)(default), metadata={"help": help})
    return field(default=default, metadata={"help": help})


def key_of(field: dataclasses.Field[Any]) -> str:
    """Return what a setting is called in files: a word of Python's own (`return`) has an underscore only here."""
    return field.name.rstrip("_")


# nobody compares or prints configurations, and every program would make the code for it at its start
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Config:
    """Settings that master and minion share."""

    root_dir: str = setting("/", "Everything else lies below this directory; files of an unprivileged user start here.")
    user: str = setting(
        "", "The user that the daemon becomes before it opens a socket, for good; empty: whoever starts it."
    )
    pki_dir: Path = setting(Path("/etc/ctl/pki"), "Where keys are kept, readable by the daemon's user only.")
    cachedir: Path = setting(Path("/var/cache/ctl"), "What can be fetched or computed again.")
    data_dir: Path = setting(Path("/var/lib/ctl"), "What must not be lost: jobs, keys' states, ledgers, outboxes.")
    sock_dir: Path = setting(Path("/run/ctl"), "Where the socket for clients on this machine is.")
    pidfile: Path | None = setting(
        None,
        "Write the daemon's process id to this file; with -d, empty: ctl-master.pid or ctl-minion.pid in sock_dir "
        "(with `user`, in master or minion in it).",
    )
    log_level: str = setting("warning", "What goes to the terminal: debug, info, warning, error, critical, quiet.")
    log_file: Path | None = setting(
        None,
        "A file to log to, beside the terminal or the journal; with -d, empty: /var/log/ctl/master or minion.",
    )
    log_level_logfile: str = setting("", "What goes to the log file; empty: as log_level says.")
    file_roots: dict[str, list[str]] = setting(
        {"base": ["/srv/ctl", "/srv/salt"]},
        "Directories of the state tree, by environment; the first that has a file wins.",
    )
    pillar_roots: dict[str, list[str]] = setting(
        {"base": ["/srv/pillar"]}, "Directories of the pillar tree, by environment."
    )
    saltenv: str = setting("", "The environment that states come from; empty: as the top file says.")
    pillarenv: str = setting("", "The only environment that pillar comes from; empty: all that the top file names.")
    default_top: str = setting("base", "The environment whose top file is used where another has none.")
    state_top: str = setting("top.sls", "The name of the top file.")
    top_file_merging_strategy: str = setting(
        "merge", "How top files of environments go together: merge, same, merge_all."
    )
    env_order: list[str] = setting([], "The order of environments where top files are merged.")
    renderer: str = setting("jinja|yaml", "The renderers of a file without a first line that names them.")
    renderer_whitelist: list[str] = setting([], "Only these renderers; empty: all.")
    renderer_blacklist: list[str] = setting([], "Not these renderers (py runs what is in a file).")
    gpg_keydir: str = setting("", "Where gpg's keys are; empty: gpgkeys beside this configuration.")
    gpg_decrypt_must_succeed: bool = setting(
        True, "Make what gpg cannot decrypt an error, instead of leaving it as it is."
    )
    decrypt_pillar: list[Any] = setting(
        [], "Keys of pillar to decrypt after it is put together: a:b, or {a:b: renderer}."
    )
    decrypt_pillar_default: str = setting("gpg", "The renderer that decrypts them where none is named.")
    decrypt_pillar_delimiter: str = setting(":", "What is between the words of such a key.")
    decrypt_pillar_renderers: list[str] = setting(
        ["gpg"], "The renderers that may decrypt pillar, here and for pillar_enc."
    )
    jinja_env: dict[str, Any] = setting({}, "Options of Jinja's environment for file templates (trim_blocks, ...).")
    jinja_sls_env: dict[str, Any] = setting({}, "Options of Jinja's environment for SLS files.")
    failhard: bool = setting(False, "End a state run at the first state that fails.")
    hash_type: str = setting("sha256", "The digest that functions name where none is asked for.")
    pillar_source_merging_strategy: str = setting(
        "smart", "How pillar files go together: smart, recurse, aggregate, overwrite, none, list."
    )
    pillar_merge_lists: bool = setting(False, "Append lists of pillar files instead of replacing them.")
    nodegroups: dict[str, Any] = setting({}, "Names for compound targets: {group: expression or list}.")
    module_dirs: list[str] = setting([], "Directories with more execution modules.")
    render_dirs: list[str] = setting([], "Directories with more renderers.")
    state_output: str = setting("full", "How state runs print: full, terse, mixed, changes, filter; `_id` prints IDs.")
    state_verbose: bool = setting(True, "Print states that changed nothing, too.")
    file_ignore_glob: list[str] = setting([], "Globs of paths that the file server leaves out.")
    file_ignore_regex: list[str] = setting([], "Expressions of paths that the file server leaves out.")
    fileserver_followsymlinks: bool = setting(
        False,
        "Serve what a symlink leads to wherever that is. Symlinks that end inside a root of their environment are "
        "always served.",
    )
    heartbeat_seconds: float = setting(10.0, "How often a minion probes each of its connections.")
    heartbeat_timeout_seconds: float = setting(
        30.0, "After which silence of a minion's connection both ends give it up; the minion's setting counts."
    )
    keepalive_seconds: float = setting(20.0, "How often a minion's session tells the master which jobs run.")
    config_dir: Path = setting(DEFAULT_DIRECTORY, "Where the configuration was read from; not for the file itself.")
    raw: Mapping[str, Any] = field(default_factory=dict, metadata={"help": ""}, repr=False, compare=False)

    @classmethod
    def from_mapping(cls, given: Mapping[str, Any], *, lines: Mapping[str, tuple[str, int]] | None = None) -> Self:
        """Build from `{key: value}`; the rest gets its defaults. Raises `ConfigError` with every mistake's place."""
        values = _validated(cls, given, lines or {})
        root = Path(os.path.abspath(values.get("root_dir", "/")))
        config_dir = Path(values.get("config_dir", DEFAULT_DIRECTORY))
        for name in _PATHS:
            path = values.get(name, _default(cls, name))
            values[name] = _below(root, path) if path is not None else None
        values["config_dir"] = config_dir
        cls._complete(values, lines or {})
        config = cls(**{f"{key}_" if keyword.iskeyword(key) else key: value for key, value in values.items()})
        known = {key_of(f): getattr(config, f.name) for f in dataclasses.fields(config) if f.name != "raw"}
        raw = {**given, **{key: _plain(value) for key, value in known.items()}}
        object.__setattr__(config, "raw", raw)
        return config

    @classmethod
    def _complete(cls, values: dict[str, Any], lines: Mapping[str, tuple[str, int]]) -> None:
        """Work out what depends on other settings or on the machine; each kind of configuration has its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MasterConfig(Config):
    """Settings of the master."""

    interface: str = setting("0.0.0.0", "The address to listen on.")  # noqa: S104  # what users of Salt expect
    publish_port: int = setting(PUBLISH_PORT, "The port of publications.")
    ret_port: int = setting(REQUEST_PORT, "The port of requests and returns; minions call it master_port.")
    timeout: float = setting(
        5.0, "How long a connected minion may be silent before a client stops waiting, in seconds."
    )
    keep_jobs_seconds: float = setting(86400.0, "How long the job cache keeps a job.")
    delivery_window: float = setting(60.0, "How long a job waits for a minion that is away, in seconds.")
    auto_accept: bool = setting(False, "Accept every new key. For tests: whoever comes first owns the name.")
    autosign_file: Path | None = setting(
        None,
        "A file of ids (globs or expressions, one a line, after it addresses or networks) whose first key is accepted.",
    )
    autoreject_file: Path | None = setting(None, "A file of the same kind, of ids whose keys are rejected.")
    autosign_policy: Path | None = setting(
        None,
        "A program that decides on new keys: it reads JSON and exits with 0 to accept, 1 to leave the key waiting, "
        "2 to reject it.",
    )
    autosign_policy_timeout: float = setting(10.0, "How long that program may take, in seconds.")
    max_pending: int = setting(1000, "How many keys may wait for acceptance.")
    pending_per_source: int = setting(10, "How many new keys one address may bring a minute.")
    handshake_rate: float = setting(10.0, "Handshakes a second from one address.")
    handshake_burst: int = setting(50, "Handshakes at once from one address.")
    handshake_rate_global: float = setting(2000.0, "Handshakes a second from all addresses.")
    trusted_networks: list[str] = setting(
        ["127.0.0.0/8", "::1/128"],
        "Networks whose addresses may bring more connections, handshakes and keys: a site behind one address.",
    )
    direct_minions: int = setting(
        32, "A job for at most so many minions is sent to each of them alone, under its session's key; 0: never."
    )
    trusted_rate: float = setting(1000.0, "Handshakes a second from one address of a trusted network.")
    unauthenticated_per_source: int = setting(
        50, "How many connections of one address (in IPv6, of one /64) may be open that have not shown a session."
    )
    unauthenticated_per_trusted: int = setting(20000, "The same, for one address of a trusted network.")
    max_unauthenticated: int = setting(
        1000,
        "How many connections of all addresses that are not trusted may be open that have not shown a session, beside "
        "two for each accepted minion. Some are dropped by chance from three quarters on.",
    )
    memory_budget: int = setting(
        1024,
        "Above so much memory, in MiB, beside 128 KiB for each accepted minion, connections that hold it are cut, and "
        "where that does not help, the sockets are opened anew; 0: never.",
    )
    client_connections: int = setting(
        512,
        "How many clients on this machine may be connected; 64 of them are for root and the master's own user only.",
    )
    client_connections_per_user: int = setting(64, "How many of them may be of one user who may not do everything.")
    session_rate: float = setting(2000.0, "Requests a second of one minion; over that it is told to wait.")
    session_burst: int = setting(6000, "Requests of one minion at once.")
    session_mib: float = setting(64.0, "MiB a second that one minion may send in requests; over that it waits.")
    call_quota: float = setting(256.0, "MiB of returns of ctl-call that are taken of one minion an hour.")
    upload_quota: float = setting(256.0, "MiB of large returns that may be under way to the master of one minion.")
    grains_max_kib: int = setting(512, "The largest grains of one minion that are taken, in KiB, packed.")
    rekey_seconds: float = setting(3600.0, "After which time a session gets new keys.")
    session_idle_seconds: float = setting(900.0, "After which silence a session is forgotten.")
    publication_heartbeat_seconds: float = setting(10.0, "How often the head of the job log is published.")
    epoch_seconds: float = setting(86400.0, "How long one group key is used.")
    sock_group: str = setting(
        "", "The group that may reach the clients' socket, beside root; what its members may do, publisher_acl says."
    )
    publisher_acl: dict[str, Any] = setting(
        {},
        "What users of this machine may do beside root, {user or %group: [{targets, functions, args}]}; Salt's shapes "
        "are understood. Nobody else may do anything.",
    )
    publisher_acl_blacklist: dict[str, Any] = setting(
        {}, "What nobody but root may do, whatever is granted: {users: [patterns], modules: [patterns of functions]}."
    )
    external_auth: dict[str, Any] = setting(
        {}, "What accounts may do once they authenticated: {pam, ldap or file: {user or group%: [as publisher_acl]}}."
    )
    auth_pam_service: str = setting("login", "The PAM service that checks accounts of external_auth: pam.")
    auth_ldap: dict[str, Any] = setting(
        {},
        "The directory of external_auth: ldap: uri, ca_file, and user_dn or base_dn with filter; bind_dn and "
        "bind_password_file; group_base_dn, group_filter, group_attribute.",
    )
    auth_file: Path | None = setting(
        None, "The accounts of external_auth: file, one a line: name:hash:groups; `ctl-run auth.hash` makes hashes."
    )
    auth_failures: int = setting(5, "Failed authentications a minute, of one account and of one user of this machine.")
    token_expire: float = setting(43200.0, "How long a token is valid, in seconds.")
    token_idle_expire: float = setting(
        14400.0, "After which time without use a token is invalid, in seconds; 0: never."
    )
    audit_log: Path | None = setting(
        None, "The file that records who did what; empty: audit.log beside the master's data."
    )
    ext_pillar: list[Any] = setting([], "External pillars, in order: [{name: argument, list or mapping of arguments}].")
    ext_pillar_first: bool = setting(
        False, "Get external pillars before the pillar tree is rendered, which then sees them and wins over them."
    )
    pillar_dirs: list[str] = setting([], "Directories with more kinds of external pillars.")
    fileserver_backend: list[str] = setting(
        ["roots"], "What the state tree is made of, in order: roots (file_roots), git (gitfs_remotes)."
    )
    gitfs_remotes: list[Any] = setting(
        [],
        "Git repositories whose branches and tags are environments: URLs, or {url: [{base, root, mountpoint, name, "
        "ref_types, saltenv_whitelist, saltenv_blacklist}]}.",
    )
    gitfs_update_interval: float = setting(60.0, "How often git repositories are fetched, in seconds.")
    gitfs_saltenv: list[Any] = setting(
        [],
        "Environments by other branches, tags, commits or directories: [{env: [ref: …, root: …, mountpoint: …]}].",
    )
    gitfs_disable_saltenv_mapping: bool = setting(False, "Have no environments but base and those of gitfs_saltenv.")
    gitfs_base: str = setting("master", "The branch or tag that is the environment base.")
    gitfs_root: str = setting("", "The directory in a repository that is the state tree.")
    gitfs_mountpoint: str = setting("", "The directory of the state tree that a repository appears in.")
    gitfs_ref_types: list[str] = setting(["branch", "tag"], "What of a repository is an environment: branch, tag.")
    gitfs_saltenv_whitelist: list[str] = setting([], "Only these environments (globs or expressions); empty: all.")
    gitfs_saltenv_blacklist: list[str] = setting([], "Not these environments (globs or expressions).")
    git_timeout: float = setting(
        300.0, "How long one git command may take, in seconds; a remote that hangs is given up."
    )
    git_protocols: list[str] = setting(
        ["https", "ssh", "file"], "The protocols that git may speak: https, ssh, file (a path here), http, git."
    )
    git_pillar_base: str = setting("master", "The branch that an external pillar of git takes for base.")
    file_recv: bool = setting(False, "Let minions push files to the master (cp.push).")
    file_recv_max_size: float = setting(100.0, "The largest file that a minion may push, in MiB.")
    file_recv_quota: float = setting(1024.0, "How much pushed files of one minion may take on the master, in MiB.")
    runner_dirs: list[str] = setting([], "Directories with more runners.")
    worker_count: int = setting(2, "Worker processes at most, for pillar and runners; they start on demand.")
    render_timeout: float = setting(60.0, "How long the pillar of one minion may take to render, in seconds.")

    @classmethod
    def _complete(cls, values: dict[str, Any], lines: Mapping[str, tuple[str, int]]) -> None:
        for name in ("publish_port", "ret_port"):
            _check_port(name, values.get(name, 0), lines)
        _place(values, ("auth_file", "audit_log", "autosign_file", "autoreject_file", "autosign_policy"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class MinionConfig(Config):
    """Settings of a minion."""

    id: str = setting("", "This minion's name; empty: what the file minion_id says, else the host's full name.")
    master: list[str] = setting(["ctl"], "The master's host, or several; a host may carry its own port (`host:4606`).")
    master_port: int = setting(REQUEST_PORT, "The master's request port; its publish port is learnt from it.")
    master_fingerprint: str = setting("", "The fingerprint that the master's key must have, from `ctl-key -F`.")
    tofu: bool = setting(True, "Trust the key of the first master that answers, where no fingerprint is given.")
    enroll_token_file: Path | None = setting(
        None, "A file with an enrolment token of the master (`ctl-key token create`), readable by its owner only."
    )
    grains: dict[str, Any] = setting({}, "Grains of this minion that win over those of the machine.")
    file_client: str = setting(
        "remote", "Where files and pillar come from: remote (the master) or local (the roots here)."
    )
    test: bool = setting(False, "Make every state run a dry run.")
    autoload_dynamic_modules: bool = setting(True, "Sync users' plugins before a highstate.")
    process_count_max: int = setting(100, "How many jobs may run at once; more wait.")
    reconnect_min: float = setting(0.2, "The shortest pause before a lost master is tried again, in seconds.")
    reconnect_max: float = setting(30.0, "The longest pause before a lost master is tried again, in seconds.")
    pin_backoff_min: float = setting(5.0, "The shortest pause after the master showed a wrong key, in seconds.")
    pin_backoff_max: float = setting(600.0, "The longest pause after the master showed a wrong key, in seconds.")
    job_timeout: float = setting(0.0, "End a job that runs longer, in seconds; 0: never, unless the job says so.")
    shutdown_seconds: float = setting(10.0, "How long running jobs may take to finish when the minion is stopped.")
    return_: list[str] = setting(
        [], "Returners (_returners) that every job's return is handed to, beside those that the job names."
    )
    return_max_bytes: int = setting(64 * MIB, "A larger return is cut and marked.")
    output_max_bytes: int = setting(64 * MIB, "More output of one command is cut and marked.")
    outbox_max_bytes: int = setting(256 * MIB, "How much is kept of returns that the master has not confirmed.")
    unknown_arguments: str = setting("error", "What an unknown argument of a state is: error or warn.")
    state_queue: bool | int = setting(
        True, "Whether a state run waits for the one under way; a number: where so many wait at most."
    )
    state_aggregate: bool | list[str] = setting(
        False, "Let states of one module be drawn together (mod_aggregate): all modules, or those listed."
    )
    state_max_parallel: int = setting(16, "How many states with `parallel` may run at once.")
    global_state_conditions: dict[str, Any] = setting(
        {}, "Compound targets of which one must match: {module, module.function or *: target or list}."
    )
    states_dirs: list[str] = setting([], "Directories with more state modules.")
    grains_dirs: list[str] = setting([], "Directories with more grains.")
    disable_modules: list[str] = setting([], "Execution modules that must not be used here.")
    allowed_functions: list[str] = setting(
        [],
        "The functions and states (globs: test.*, state.apply, pkg.installed) that the master may have this minion "
        "run, by whatever way it names them; empty: all.",
    )

    @classmethod
    def _complete(cls, values: dict[str, Any], lines: Mapping[str, tuple[str, int]]) -> None:
        values["id"] = values.get("id") or _find_id(values["config_dir"])
        if not ID_PATTERN.fullmatch(values["id"]):
            raise _mistake(
                "id", f"{values['id']!r} is no minion id: letters, digits, '.', '_' and '-', at most 128", lines
            )
        _check_port("master_port", values.get("master_port", 0), lines)
        _place(values, ("enroll_token_file",))
        _check_word("file_client", values, ("remote", "local"), lines)
        _check_word("unknown_arguments", values, ("error", "warn"), lines)


def find_directory(directory: str | os.PathLike[str] | None = None) -> Path:
    """Choose the configuration directory: the given one, else $CTL_CONFIG_DIR, else /etc/ctl."""
    return Path(directory or os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY)


def load_master(directory: Path | None = None, overrides: Mapping[str, Any] | None = None) -> MasterConfig:
    """Read the master's configuration; raises `ConfigError`. A missing file means all defaults."""
    return _load(MasterConfig, "master", find_directory(directory), overrides or {})


def load_minion(directory: Path | None = None, overrides: Mapping[str, Any] | None = None) -> MinionConfig:
    """Read a minion's configuration; raises `ConfigError`. A missing file means all defaults."""
    return _load(MinionConfig, "minion", find_directory(directory), overrides or {})


def unknown_keys(config: Config) -> list[str]:
    """List the keys that are no settings of ours; plugins may read them."""
    known = {key_of(f) for f in dataclasses.fields(config)}
    return sorted(key for key in config.raw if key not in known)


def _load(cls: type[C], name: str, directory: Path, overrides: Mapping[str, Any]) -> C:
    values: dict[str, Any] = {}
    lines: dict[str, tuple[str, int]] = {}
    if (more := directory / f"{name}.d").is_dir():
        _check_writers(more)
    for path in [directory / name, *sorted((directory / f"{name}.d").glob("*.conf"))]:
        for key, (value, line) in _read(path).items():
            values[key] = value
            lines[key] = (str(path), line)
    return cls.from_mapping({**values, **overrides, "config_dir": directory}, lines=lines)


def _read(path: Path) -> dict[str, tuple[Any, int]]:
    """Read one YAML file into {key: (value, line)}."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"it cannot be read: {getattr(error, 'strerror', None) or error}", path=str(path)) from error
    _check_writers(path)
    return parse(text, str(path))


def parse(text: str, path: str) -> dict[str, tuple[Any, int]]:
    """Parse a configuration file's text into {key: (value, line)}; raises `ConfigError` naming the line."""
    import yaml  # programs that find no file need none

    try:
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return {}
            if not isinstance(node, yaml.MappingNode):
                raise ConfigError("it must be a mapping of settings", path=path, line=node.start_mark.line + 1)
            return _pairs(loader, node, path)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise ConfigError(f"it is no YAML: {error.problem or error.context}", path=path, line=line) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"it is no YAML: {error}", path=path) from error


def _pairs(loader: Any, node: Any, path: str) -> dict[str, tuple[Any, int]]:
    pairs: dict[str, tuple[Any, int]] = {}
    for key_node, value_node in node.value:
        key, line = loader.construct_object(key_node, deep=True), key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise ConfigError(f"the key {key!r} is no text", path=path, line=line)
        if key in pairs:
            raise ConfigError(
                "the key is there twice", path=f"{path}:{line}: {key}", hint=f"first in line {pairs[key][1]}"
            )
        pairs[key] = (loader.construct_object(value_node, deep=True), line)
    return pairs


def _check_writers(path: Path) -> None:
    """Refuse a file that others could have written: it, or a directory above it."""
    from .writers import other_writers  # programs that find no file need none

    if found := other_writers(path):
        raise ConfigError(f"{found[0]}, so it is not read", path=str(path), hint=found[1])


def _validated(cls: type[Config], given: Mapping[str, Any], lines: Mapping[str, tuple[str, int]]) -> dict[str, Any]:
    import msgspec  # settings are read once, and not by the thin programs

    types = _types(cls)
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in types:
            _check_unknown(key, types, lines)
            continue
        if value is None:
            continue  # `key:` with nothing after it means the default
        try:
            values[key] = msgspec.convert(_as_wanted(value, key), types[key], strict=False, dec_hook=_to_path)
        except msgspec.ValidationError as error:
            raise _mistake(key, _in_words(str(error)), lines) from None
    return values


def _in_words(problem: str) -> str:
    """Put what msgspec says of a value (Expected `int`, got `str` - at `$.base`) in words of YAML."""
    kinds, _, place = problem.replace("`", "").partition(" - at $")
    for kind, word in _KINDS.items():
        kinds = re.sub(rf"\b{kind}\b", word, kinds)
    where = f" (at {place.lstrip('.')})" if place.lstrip(".") else ""
    return f"{kinds[:1].lower()}{kinds[1:]}{where}"


def _types(cls: type[Config]) -> dict[str, Any]:
    import typing

    hints = typing.get_type_hints(cls)
    return {key_of(f): hints[f.name] for f in dataclasses.fields(cls) if f.name != "raw"}


def _to_path(kind: type, value: Any) -> Any:
    if issubclass(kind, Path) and isinstance(value, str | Path):
        return Path(value)
    raise TypeError(f"expected {kind.__name__}")


def _as_wanted(value: Any, key: str) -> Any:
    """Bend what users write into the declared shape: one word for a list, one directory for an environment's list."""
    if key == "master" and isinstance(value, str):
        return [value]
    if key == "return" and isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    if key in ("file_roots", "pillar_roots") and isinstance(value, Mapping):
        return {env: [roots] if isinstance(roots, str) else list(roots or []) for env, roots in value.items()}
    return value


def _check_unknown(key: str, known: Mapping[str, Any], lines: Mapping[str, tuple[str, int]]) -> None:
    close = nearest(key, known)
    if close is not None and edits(key, close) <= MAX_EDITS:
        raise _mistake(key, "there is no such setting", lines, hint=f"did you mean {close}?")
    log.info("the setting %s is not one of ctl's; plugins may read it", key)


def edits(one: str, other: str) -> int:
    """Count the letters that differ between two words, as insertions and deletions of a best match (pairs once)."""
    import difflib

    count = 0
    for tag, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag != "equal":
            count += max(b - a, d - c)
    return count


def _mistake(key: str, message: str, lines: Mapping[str, tuple[str, int]], hint: str = "") -> ConfigError:
    path, line = lines.get(key, ("", 0))
    return ConfigError(f"{key}: {message}", path=path or None, line=line or None, key=key, hint=hint)


def _check_port(name: str, port: int, lines: Mapping[str, tuple[str, int]]) -> None:
    if not 0 <= port <= 65535:
        raise _mistake(name, f"{port} is no port: 0 to 65535", lines)


def _check_word(
    name: str, values: Mapping[str, Any], words: Sequence[str], lines: Mapping[str, tuple[str, int]]
) -> None:
    if name in values and values[name] not in words:
        raise _mistake(name, f"{values[name]!r} is none of {', '.join(words)}", lines)


def _default(cls: type[Config], name: str) -> Any:
    return next(f.default for f in dataclasses.fields(cls) if f.name == name)


def _place(values: dict[str, Any], names: Sequence[str]) -> None:
    """Put those of the named paths that are set below the root directory."""
    root = Path(os.path.abspath(values.get("root_dir", "/")))
    for name in names:
        if values.get(name) is not None:
            values[name] = _below(root, values[name])


def _below(root: Path, path: Path) -> Path:
    """Put an absolute path below `root`, unless it is there already."""
    path = Path(path)
    if not path.is_absolute():
        return root / path
    return path if path.is_relative_to(root) else root / path.relative_to("/")


def _find_id(directory: Path) -> str:
    try:
        if found := (directory / "minion_id").read_text(encoding="utf-8").strip():
            return found
    except (OSError, UnicodeDecodeError):
        pass
    name = socket.getfqdn()
    return name if "." in name and not name.startswith("localhost") else socket.gethostname()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
