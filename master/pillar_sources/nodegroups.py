"""External pillar with the names of the nodegroups that a minion is in.

Configuration: `ext_pillar: [{nodegroups: {pillar_name: nodegroups}}]`.
"""

from __future__ import annotations

from typing import Any

from ...common import target
from ...common.context import current
from ...common.matchers import DictMinion


def ext_pillar(minion_id: str, pillar: dict[str, Any], pillar_name: str = "nodegroups") -> dict[str, list[str]]:
    """List the minion's nodegroups under `pillar_name`."""
    return {pillar_name: member_of(minion_id, pillar)}


def member_of(minion_id: str, pillar: dict[str, Any]) -> list[str]:
    """List the nodegroups that a minion is in."""
    groups = current().config.get("nodegroups") or {}
    minion = DictMinion(minion_id, current().grains, pillar)
    return [name for name in groups if target.parse(name, "nodegroup", nodegroups=groups).matches(minion)]
