"""Keep values of keys in files of `key = value` lines, with the lines' own layout kept."""

from __future__ import annotations

import os
from typing import Any

from ..common.errors import CommandExecutionError
from ..common.state.plan import Plan, refuse, same
from ._content import content_of_bytes
from ._edited import ERRORS, plan_edit, read_text
from ._managed import Wanted, check_name, plan_file
from ._pairs import Pairs, check_pairs, set_values
from ._planning import planning

__virtualname__ = "file"


@planning
def keyvalue(
    name: str,
    key: str | None = None,
    value: Any = None,
    key_values: dict[str, Any] | None = None,
    separator: str = "=",
    append_if_not_found: bool = False,
    prepend_if_not_found: bool = False,
    search_only: bool = False,
    show_changes: bool = True,
    ignore_if_missing: bool = False,
    count: int = 1,
    uncomment: str | None = None,
    key_ignore_case: bool = False,
    value_ignore_case: bool = False,
    create_if_missing: bool = False,
) -> Plan:
    """Make sure that keys of a file have the given values; white space around the separator stays as it is.

    key and value, or key_values
        One key, or a mapping of several.
    separator
        What is between key and value; a space stands for any white space.
    append_if_not_found, prepend_if_not_found
        Add a key that is not there, at the end or at the start.
    uncomment
        Characters that may stand before a key: such a line counts as the key's, and loses them.
    count
        How many lines of a key may stay; further ones are removed. 0 removes them all, -1 leaves them all.
    search_only
        Change nothing; fail where a value differs.
    key_ignore_case, value_ignore_case
        Compare without regard to upper and lower case.
    create_if_missing, ignore_if_missing
        Where the file is not there: make it, or succeed.

    SLS example:

        /etc/ssh/sshd_config:
          file.keyvalue:
            - key_values:
                PermitRootLogin: 'no'
            - separator: ' '
            - uncomment: '# '
            - append_if_not_found: True
    """
    path = check_name(name)
    pairs = Pairs(
        _values(key, value, key_values),
        separator,
        count,
        uncomment,
        key_ignore_case,
        value_ignore_case,
        append_if_not_found or create_if_missing,
        prepend_if_not_found,
    )
    check_pairs(pairs)
    if not os.path.lexists(path):
        if create_if_missing:
            return plan_file(Wanted(path, content_of_bytes(set_values("", pairs).encode("utf-8", ERRORS))))
        if ignore_if_missing:
            return same(f"File {path} is not there, and need not be")
    old = read_text(path)
    new = set_values(old, pairs)
    if search_only and new != old:
        return refuse(f"{path} does not have the given values")
    return plan_edit(
        path,
        old,
        new,
        why_same=f"All keys of {path} have the given values",
        done=f"Changed values of {path}",
        show_changes=show_changes,
    )


def _values(key: str | None, value: Any, key_values: dict[str, Any] | None) -> dict[str, str]:
    if key_values and (key is not None or value is not None):
        raise CommandExecutionError("key and value, or key_values, but not both")
    if key_values is None:
        if key is None or value is None:
            raise CommandExecutionError("key and value, or key_values, say what to set")
        key_values = {key: value}
    if not key_values:
        raise CommandExecutionError("key_values is empty")
    return {str(one).strip(): str(wanted).strip() for one, wanted in key_values.items()}
