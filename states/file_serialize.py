"""Manage files that hold data: what the state says is written in one of the known formats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common import data
from ..common.arguments import Mode
from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Plan, same
from ._attributes import attributes, parse_mode
from ._content import content_of_bytes
from ._edited import read_text
from ._managed import Wanted, check_name, file_status, plan_file
from ._planning import planning

__virtualname__ = "file"

# What makes a file pleasant to read and its order the same at each run.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "json": {"indent": 2, "separators": (",", ": "), "sort_keys": True},
    "yaml": {"default_flow_style": False},
}


@planning
def serialize(
    name: str,
    dataset: Any = None,
    dataset_pillar: str | None = None,
    user: str | int | None = None,
    group: str | int | None = None,
    mode: Mode | None = None,
    backup: str | bool = "",
    makedirs: bool = False,
    dir_mode: Mode | None = None,
    show_changes: bool = True,
    create: bool = True,
    merge_if_exists: bool = False,
    encoding: str | None = None,
    encoding_errors: str = "strict",
    serializer: str | None = None,
    serializer_opts: list[dict[str, Any]] | dict[str, Any] | None = None,
    deserializer_opts: list[dict[str, Any]] | dict[str, Any] | None = None,
    formatter: str | None = None,
    tmp_dir: str = "",
    tmp_ext: str = "",
    check_cmd: str | None = None,
) -> Plan:
    """Make sure that a file holds the given data, written as YAML, JSON, TOML, INI and the like.

    dataset, dataset_pillar
        The data, or the key of the pillar that holds it.
    serializer (or formatter)
        `yaml` (the default), `json`, `toml`, `configparser`, `plist` or `python`.
    serializer_opts
        Options of the format, such as `indent: 4`. `deserializer_opts` are accepted for trees that have them.
    merge_if_exists
        Read the file that is there, and change in it only what `dataset` names.
    create
        False: do nothing where the file does not exist.
    user, group, mode, makedirs, dir_mode, backup, encoding, show_changes
        As in `file.managed`.

    SLS example:

        /etc/docker/daemon.json:
          file.serialize:
            - serializer: json
            - merge_if_exists: True
            - dataset:
                log-driver: journald
    """
    path = check_name(name)
    form = _format(serializer, formatter)
    wanted = _dataset(dataset, dataset_pillar)
    exists = file_status(path) is not None
    if not exists and not create:
        return same(f"File {path} is not there, and is not to be created")
    present = _present(path, form) if merge_if_exists and exists else None
    if present is not None:
        wanted = _merged(path, present, wanted)
    text = _text(form, wanted, serializer_opts)
    return plan_file(
        Wanted(
            path,
            # A file that holds the data already may be written in another way, with comments.
            content_of_bytes(_encoded(text, encoding, encoding_errors)) if present != wanted else None,
            attributes(user, group, mode),
            makedirs=makedirs,
            dir_mode=parse_mode(dir_mode),
            backup=backup,
            show_changes=show_changes,
            check_cmd=check_cmd or "",
            tmp_dir=tmp_dir,
            tmp_ext=tmp_ext,
        )
    )


def _format(serializer: str | None, formatter: str | None) -> str:
    if serializer and formatter and serializer != formatter:
        raise CommandExecutionError("only one of serializer and formatter can say how the file is written")
    return (serializer or formatter or "yaml").lower()


def _dataset(dataset: Any, pillar_key: str | None) -> Any:
    if dataset is not None and pillar_key is not None:
        raise CommandExecutionError("only one of dataset and dataset_pillar can say what is in the file")
    if pillar_key is not None:
        dataset = data.lookup(current().pillar, pillar_key, None)
        if dataset is None:
            raise CommandExecutionError(f"there is no pillar {pillar_key!r}")
    if dataset is None:
        raise CommandExecutionError("dataset or dataset_pillar must say what is in the file")
    return dataset


def _present(path: str, form: str) -> Any:
    text = read_text(path)
    if not text.strip():
        return None
    try:
        return current().call("slsutil.deserialize", form, text)
    except (ValueError, SyntaxError) as error:
        raise CommandExecutionError(f"{path} cannot be read as {form}: {error}") from error


def _merged(path: str, present: Any, wanted: Any) -> Any:
    if not isinstance(present, Mapping) or not isinstance(wanted, Mapping):
        raise CommandExecutionError(f"merge_if_exists: {path} and the dataset must both be mappings")
    return data.merge(present, wanted)


def _text(form: str, wanted: Any, options: Any) -> str:
    given = _options(options)
    text: str = current().call("slsutil.serialize", form, wanted, **{**_DEFAULTS.get(form, {}), **given})
    return text if text.endswith("\n") else text + "\n"


def _options(options: Any) -> dict[str, Any]:
    """Return options that are written as a mapping or as a list of mappings as one mapping."""
    if isinstance(options, Mapping):
        return dict(options)
    return {key: value for item in options or () for key, value in item.items()}


def _encoded(text: str, encoding: str | None, errors: str) -> bytes:
    try:
        return text.encode(encoding or "utf-8", errors)
    except (UnicodeEncodeError, LookupError) as error:
        raise CommandExecutionError(f"the content cannot be encoded: {error}") from None
