"""Manage files whose content is spelled out in an encoding: base64."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from typing import Any

from ..common import data
from ..common.context import current
from ..common.errors import CommandExecutionError
from ..common.state.plan import Plan, same
from ._content import content_of_bytes
from ._managed import Wanted, check_name, plan_file
from ._planning import planning

__virtualname__ = "file"


@planning
def decode(
    name: str,
    encoded_data: str | None = None,
    contents_pillar: str | None = None,
    encoding_type: str = "base64",
    checksum: str = "md5",
) -> Plan:
    """Make sure that a file holds what some data in base64 decodes to.

    encoded_data, contents_pillar
        The data, or the key of the pillar that holds it.
    encoding_type
        `base64`.
    checksum
        Accepted for trees that have it; files are compared by their content.

    SLS example:

        /etc/app/keytab:
          file.decode:
            - encoding_type: base64
            - contents_pillar: app:keytab
    """
    path = check_name(name)
    if encoding_type != "base64":
        raise CommandExecutionError(f"encoding_type is base64, not {encoding_type!r}")
    content = content_of_bytes(_decoded(_encoded(encoded_data, contents_pillar)))
    plan = plan_file(Wanted(path, content, show_changes=False))
    if plan.result is True:
        return same(f"Path {path} exists and is correct")
    return replace(plan, comment=f"Path {path} is set for change", done="Encoded file was updated")


def _encoded(encoded_data: str | None, pillar_key: str | None) -> Any:
    if (encoded_data is None) == (pillar_key is None):
        raise CommandExecutionError("one of encoded_data and contents_pillar says what is in the file")
    if pillar_key is None:
        return encoded_data
    found = data.lookup(current().pillar, pillar_key, None)
    if found is None:
        raise CommandExecutionError(f"there is no pillar {pillar_key!r}")
    return found


def _decoded(encoded: Any) -> bytes:
    if isinstance(encoded, bytes):
        encoded = encoded.decode("ascii", "replace")
    text = "".join(encoded) if isinstance(encoded, list) else str(encoded)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CommandExecutionError(f"this is not base64: {error}") from None
