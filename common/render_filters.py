"""The filters and tests that templates have beside Jinja's own: Salt's names over text, lists, dicts and hashes.

Each is a plain function; `FILTERS` and `TESTS` at the end are the tables. Those about networks are in
`render_addresses.py`, about hashes and files in `render_files.py`.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
import pprint
import random
import re
import shlex
import uuid
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from jinja2 import pass_context
from jinja2.exceptions import FilterArgumentError
from jinja2.runtime import Context

from . import render_yaml
from .data import lookup
from .render_addresses import FILTERS as ADDRESS_FILTERS
from .render_files import FILTERS as FILE_FILTERS
from .render_files import to_bytes

# -- text ------------------------------------------------------------------------------------------------------


def _flags(ignorecase: bool, multiline: bool) -> int:
    return (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)


def regex_search(text: str, pattern: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    """Return the groups of the first match anywhere in `text`, or None."""
    found = re.search(pattern, text, _flags(ignorecase, multiline))
    return found.groups() if found else None


def regex_match(text: str, pattern: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    """Return the groups of a match at the start of `text`, or None."""
    found = re.match(pattern, text, _flags(ignorecase, multiline))
    return found.groups() if found else None


def regex_replace(text: str, pattern: str, by: str, ignorecase: bool = False, multiline: bool = False) -> str:
    """Replace every match of `pattern` in `text`."""
    return re.sub(pattern, by, text, flags=_flags(ignorecase, multiline))


def to_bool(value: Any) -> bool:
    """Read yes, true and 1, positive numbers and filled collections as true."""
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str):
        return value.lower() in ("yes", "1", "true")
    if isinstance(value, int):
        return value > 0
    return not isinstance(value, Hashable) and len(value) > 0


def to_num(text: Any) -> Any:
    """Read a text as a whole number or a number; what is neither stays."""
    for kind in (int, float):
        try:
            return kind(text)
        except (TypeError, ValueError):
            continue
    return text


def to_snake_case(text: str) -> str:
    """Turn `CamelCase` into `camel_case`."""
    text = re.sub(r"([^_])([A-Z][a-z]+)", r"\1_\2", text)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text).lower()


def to_camelcase(text: str, uppercamel: bool = False) -> str:
    """Turn `snake_case` into `snakeCase`, or with `uppercamel` into `SnakeCase`."""
    joined = "".join(word.capitalize() if word else "_" for word in text.split("_"))
    return joined if uppercamel else joined[:1].lower() + joined[1:]


def is_hex(value: Any) -> bool:
    """Tell whether a text is a hexadecimal number."""
    try:
        int(str(value), 16)
    except ValueError:
        return False
    return True


_SIZE = re.compile(r"\s*([0-9.]+)\s*([kmgtpezy]?)(i?)(b?)\w*\s*$", re.IGNORECASE)
_UNITS = "KMGTPEZY"
_NO_FOLD = 2**31 - 1
# The name space that Salt's filter `uuid` has, so that the same names get the same ids.
_UUID_SPACE = uuid.UUID("91633ebf-1c86-5e33-935a-28061f4b480e")


def human_to_bytes(size: Any, default_unit: str = "B", handle_metric: bool = False) -> int:
    """Read `10M` or `1.5 GiB` as bytes; with `handle_metric`, `MB` counts in thousands."""
    text = str(size).strip()
    if text.replace(".", "", 1).isdigit():
        text += default_unit
    found = _SIZE.match(text)
    if not found:
        return 0
    number, unit, binary, byte = found.groups()
    base = 1000 if handle_metric and byte and not binary else 1024
    power = _UNITS.index(unit.upper()) + 1 if unit else 0
    return int(float(number) * base**power)


def strftime(moment: Any = None, form: str = "%Y-%m-%d") -> str:
    """Format a moment: a date, its text, seconds since 1970, or now."""
    return _moment(moment).strftime(form)


# Beside ISO 8601. Where day and month are both numbers, the month comes first.
_DATES = ("%Y/%m/%d", "%m/%d/%Y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%b %d, %Y", "%B %d, %Y")


def _moment(value: Any) -> datetime:
    if value is None or value == "":
        return datetime.now().astimezone()
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 (a date alone has no zone)
    number = to_num(value)
    if isinstance(number, int | float):
        return datetime.fromtimestamp(number).astimezone()
    text = str(value).strip()
    for form in _DATES:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 (its zone is not known)
        except ValueError:
            continue
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# -- serialised ------------------------------------------------------------------------------------------------


def to_yaml(value: Any, flow_style: bool = True) -> str:
    """Write a value as YAML, on one line unless `flow_style` is false."""
    return render_yaml.dump(value, flow=flow_style, sort_keys=True).strip().removesuffix("\n...")


def to_sls_params(value: Mapping[str, Any], flow_style: bool = False) -> str:
    """Write a mapping as the argument list of a state: one `- key: value` a line."""
    return to_yaml([{key: item} for key, item in value.items()], flow_style)


def to_json(value: Any, sort_keys: bool = True, indent: int | None = None) -> str:
    """Write a value as JSON."""
    return json.dumps(value, sort_keys=sort_keys, indent=indent, default=str).strip()


def to_python(value: Any) -> str:
    """Write a value as Python would."""
    return pprint.pformat(value).strip()


def yaml_dquote(text: Any) -> str:
    """Write a text as a YAML string in double quotes."""
    return render_yaml.dump(str(text), flow=True, default_style='"', width=_NO_FOLD).strip()


def yaml_squote(text: Any) -> str:
    """Write a text as a YAML string in single quotes."""
    return "'" + str(text).replace("'", "''") + "'"


def yaml_encode(value: Any) -> str:
    """Write a plain value (no list, no mapping) so that it stays on its line."""
    if isinstance(value, Mapping | list | tuple | set):
        raise FilterArgumentError("yaml_encode takes a plain value; use the filter yaml for a list or mapping")
    return yaml_dquote(value) if isinstance(value, str) else to_yaml(value)


def to_xml(value: Any) -> str:
    """Write nested mappings as elements; plain values inside become attributes."""
    from xml.dom import minidom

    document = minidom.Document()

    def fill(parent: Any, name: str, body: Any) -> None:
        element = document.createElement(str(name))
        parent.appendChild(element)
        for key, item in body.items() if isinstance(body, Mapping) else ():
            if isinstance(item, Mapping):
                fill(element, key, item)
            elif isinstance(item, list | tuple):
                for entry in item:
                    fill(element, key, entry)
            else:
                element.setAttribute(str(key), str(item))
        if not isinstance(body, Mapping):
            element.appendChild(document.createTextNode(str(body)))

    name, body = next(iter(value.items())) if isinstance(value, Mapping) and len(value) == 1 else ("root", value)
    fill(document, name, body)
    return document.toprettyxml(indent=" ")


def load_yaml(text: Any) -> Any:
    """Read YAML."""
    return render_yaml.load(str(text))


def load_json(text: Any) -> Any:
    """Read JSON."""
    try:
        return json.loads(str(text))
    except json.JSONDecodeError as error:
        raise FilterArgumentError(f"this is not JSON: {error}") from None


# -- lists -----------------------------------------------------------------------------------------------------


def unique(values: Any) -> Any:
    """Keep the first of equal items, in their order; a set of hashables stays a set."""
    if isinstance(values, set | frozenset):
        return values
    result: list[Any] = []
    seen: set[Any] = set()
    for value in values:
        if isinstance(value, Hashable):
            if value in seen:
                continue
            seen.add(value)
        elif value in result:
            continue
        result.append(value)
    return result


def union(first: Iterable[Any], second: Iterable[Any]) -> list[Any]:
    """Return the items of both lists, each once."""
    return list(unique([*first, *second]))


def intersect(first: Iterable[Any], second: Sequence[Any]) -> list[Any]:
    """Return the items that both lists have, each once."""
    return list(unique([item for item in first if item in second]))


def difference(first: Iterable[Any], second: Sequence[Any]) -> list[Any]:
    """Return the items of the first list that the second has not, each once."""
    return list(unique([item for item in first if item not in second]))


def symmetric_difference(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """Return the items that only one of the lists has."""
    return [item for item in union(first, second) if (item in first) != (item in second)]


def average(values: Any) -> float:
    """Return the mean of a list of numbers."""
    if not isinstance(values, list | tuple):
        return float(values)
    return float(sum(values)) / len(values) if values else 0.0


def flatten(values: Iterable[Any], levels: int | None = None, preserve_nulls: bool = False) -> list[Any]:
    """Take nested lists apart, as many `levels` deep as asked for; without nulls."""
    result: list[Any] = []
    for value in values:
        if value is None and not preserve_nulls:
            continue
        if isinstance(value, list | tuple) and (levels is None or levels > 0):
            result.extend(flatten(value, None if levels is None else levels - 1, preserve_nulls))
        else:
            result.append(value)
    return result


def is_list(value: Any) -> bool:
    """Tell whether a value is a list."""
    return isinstance(value, list)


def is_iter(value: Any, ignore: Any = (str,)) -> bool:
    """Tell whether a value can be iterated over; strings do not count."""
    return hasattr(value, "__iter__") and not isinstance(value, tuple(ignore))


def compare_lists(old: Sequence[Any], new: Sequence[Any]) -> dict[str, list[Any]]:
    """Show which items are new and which are gone."""
    sides = {"new": [item for item in new if item not in old], "old": [item for item in old if item not in new]}
    return {side: items for side, items in sides.items() if items}


def exactly_n_true(values: Iterable[Any], amount: int = 1) -> bool:
    """Tell whether as many values as `amount` are true."""
    return sum(bool(value) for value in values) == amount


def allowed(value: str, whitelist: Any = None, blacklist: Any = None) -> bool:
    """Tell whether `value` matches the whitelist's globs (if there is one) and none of the blacklist's."""

    def matches(patterns: Any) -> bool:
        patterns = [patterns] if isinstance(patterns, str) else patterns
        return any(fnmatch.fnmatch(value, pattern) or re.fullmatch(pattern, value) for pattern in patterns)

    if blacklist and matches(blacklist):
        return False
    return matches(whitelist) if whitelist else True


def sequence(value: Any) -> Any:
    """Make a list of a value that is none."""
    return value if isinstance(value, list | tuple | set | Mapping) else [value]


def random_sample(values: Any, size: int, seed: Any = None) -> Any:
    """Choose `size` items; the same ones for the same seed."""
    chosen = random.Random(seed).sample(list(values), size)  # noqa: S311 (spread, not secrecy)
    return "".join(chosen) if isinstance(values, str) else chosen


def random_shuffle(values: Any, seed: Any = None) -> Any:
    """Shuffle a list; the same way for the same seed."""
    return random_sample(values, len(values), seed)


# -- mappings --------------------------------------------------------------------------------------------------


def compare_dicts(old: Mapping[Any, Any], new: Mapping[Any, Any]) -> dict[Any, dict[str, Any]]:
    """Show each key that differs as `{old, new}`, with an empty string for what is missing."""
    return {
        key: {"old": old.get(key, ""), "new": new.get(key, "")}
        for key in [*old, *(key for key in new if key not in old)]
        if key not in old or key not in new or old[key] != new[key]
    }


def to_entries(value: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Turn a mapping into a list of `{key, value}`."""
    return [{"key": key, "value": item} for key, item in value.items()]


def from_entries(entries: Iterable[Mapping[str, Any]]) -> dict[Any, Any]:
    """Turn a list of `{key, value}` into a mapping."""
    result = {}
    for entry in entries:
        fields = {str(name).lower(): item for name, item in entry.items()}
        key = next((fields[name] for name in ("key", "k", "name") if name in fields), None)
        result[key] = next((fields[name] for name in ("value", "v") if name in fields), None)
    return result


def traverse(data: Any, key: Any, default: Any = None, delimiter: str = ":") -> Any:
    """Look up `a:b:c` in nested data."""
    return lookup(data, str(key), default, delimiter)


def _leaf(data: Any, keys: str, delimiter: str) -> tuple[Any, str]:
    *parents, last = keys.split(delimiter)
    for word in parents:
        child = data.get(word)
        if not isinstance(child, dict):
            child = data[word] = {}
        data = child
    return data, last


def set_dict_key_value(data: Any, keys: str, value: Any, delimiter: str = ":") -> Any:
    """Set the value at `a:b:c`, making the mappings on the way."""
    target, last = _leaf(data, keys, delimiter)
    target[last] = value
    return data


def update_dict_key_value(data: Any, keys: str, value: Any, delimiter: str = ":") -> Any:
    """Update the mapping at `a:b:c`."""
    target, last = _leaf(data, keys, delimiter)
    target.setdefault(last, {}).update(value)
    return data


def append_dict_key_value(data: Any, keys: str, value: Any, delimiter: str = ":") -> Any:
    """Append to the list at `a:b:c`."""
    target, last = _leaf(data, keys, delimiter)
    target.setdefault(last, []).append(value)
    return data


def extend_dict_key_value(data: Any, keys: str, value: Any, delimiter: str = ":") -> Any:
    """Extend the list at `a:b:c`."""
    target, last = _leaf(data, keys, delimiter)
    target.setdefault(last, []).extend(value)
    return data


def json_query(data: Any, expression: str) -> Any:
    """Query with JMESPath; needs the package jmespath."""
    try:
        import jmespath
    except ImportError:
        raise FilterArgumentError("json_query needs the Python package jmespath") from None
    return jmespath.search(expression, data)


def mysql_to_dict(rows: Iterable[str], key: str) -> dict[Any, Any]:
    """Read the table that the mysql client prints into rows named by the column `key`."""
    result: dict[Any, Any] = {}
    headers: list[str] = []
    for row in rows:
        if not row or row.startswith("+"):
            continue
        cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
        if not headers:
            headers = cells
            continue
        entry = {header: to_num(cell) for header, cell in zip(headers, cells, strict=False)}
        result[entry.get(key)] = entry
    return result


@pass_context
def method_call(context: Context, value: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method by its name, under the sandbox's rules."""
    environment: Any = context.environment
    return environment.call(context, environment.getattr(value, name), *args, **kwargs)


FILTERS: dict[str, Callable[..., Any]] = {
    **ADDRESS_FILTERS,
    **FILE_FILTERS,
    "append_dict_key_value": append_dict_key_value,
    "avg": average,
    "check_whitelist_blacklist": allowed,
    "combinations": itertools.combinations,
    "combinations_with_replacement": itertools.combinations_with_replacement,
    "compare_dicts": compare_dicts,
    "compare_lists": compare_lists,
    "compress": itertools.compress,
    "contains_whitespace": lambda text: any(letter.isspace() for letter in text),
    "date_format": strftime,
    "dict_to_sls_yaml_params": to_sls_params,
    "difference": difference,
    "exactly_n_true": exactly_n_true,
    "exactly_one_true": exactly_n_true,
    "extend_dict_key_value": extend_dict_key_value,
    "flatten": flatten,
    "from_entries": from_entries,
    "human_to_bytes": human_to_bytes,
    "intersect": intersect,
    "is_hex": is_hex,
    "is_iter": is_iter,
    "is_list": is_list,
    "is_sorted": lambda values: list(values) == sorted(values),
    "json": to_json,
    "json_decode_dict": lambda value: value,
    "json_decode_list": lambda value: value,
    "json_encode_dict": lambda value: value,
    "json_encode_list": lambda value: value,
    "json_query": json_query,
    "load_json": load_json,
    "load_text": str,
    "load_yaml": load_yaml,
    "max": max,
    "method_call": method_call,
    "min": min,
    "mysql_to_dict": mysql_to_dict,
    "permutations": itertools.permutations,
    "product": itertools.product,
    "python": to_python,
    "quote": lambda text: shlex.quote(str(text)),
    "random_sample": random_sample,
    "random_shuffle": random_shuffle,
    "regex_escape": lambda text: re.escape(text),
    "regex_match": regex_match,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "sequence": sequence,
    "set_dict_key_value": set_dict_key_value,
    "skip": lambda value: "",
    "sorted_ignorecase": lambda values: sorted(values, key=str.lower),
    "str_to_num": to_num,
    "strftime": strftime,
    "substring_in_list": lambda text, values: any(text in value for value in values),
    "symmetric_difference": symmetric_difference,
    "to_bool": to_bool,
    "to_bytes": to_bytes,
    "to_camelcase": to_camelcase,
    "to_entries": to_entries,
    "to_num": to_num,
    "to_snake_case": to_snake_case,
    "traverse": traverse,
    "union": union,
    "unique": unique,
    "update_dict_key_value": update_dict_key_value,
    "uuid": lambda value: str(uuid.uuid5(_UUID_SPACE, str(value))),
    "xml": to_xml,
    "yaml": to_yaml,
    "yaml_dquote": yaml_dquote,
    "yaml_encode": yaml_encode,
    "yaml_squote": yaml_squote,
    "zip": lambda *lists: zip(*lists, strict=False),
    "zip_longest": itertools.zip_longest,
}

TESTS: dict[str, Callable[..., bool]] = {
    "list": is_list,
    "match": lambda text, pattern, ignorecase=False, multiline=False: bool(
        re.match(pattern, text, _flags(ignorecase, multiline))
    ),
}
