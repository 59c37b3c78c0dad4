"""External pillar from git repositories: each branch is a pillar tree with a top file of its own.

Configuration:

    ext_pillar:
      - git:
        - main https://git.example.com/pillar.git:
          - root: pillar
          - env: base
        - __env__ https://git.example.com/more.git

`__env__` takes the branch of the pillar environment that is asked for.
"""

from __future__ import annotations

from typing import Any

from ...common.config import MasterConfig
from ...common.context import current
from ...common.errors import PillarError
from ...common.files import Roots
from ...common.merging import merged
from ...common.pillar import ERRORS, Pillar
from ..pillar_git import read_remotes, repository

# How long a minion's pillar waits for the daemon, which fetches a repository for the first time.
FIRST_FETCH_S = 10.0


def ext_pillar(minion_id: str, pillar: dict[str, Any], *remotes: Any) -> dict[str, Any]:
    """Render a minion's pillar from the trees of these remotes."""
    around = current()
    config = MasterConfig.from_mapping(around.config)
    environments: dict[str, list[str]] = {}
    for remote in read_remotes(list(remotes), config.git_pillar_base):
        fetched = repository(config, remote)
        if not fetched.fetched_at:
            fetched.fetch(only_first=True, patience=FIRST_FETCH_S)
        tree = remote.tree(fetched, around.saltenv, config.git_pillar_base)
        if tree is not None:
            environments.setdefault(remote.env, []).append(str(tree))
    found: dict[str, Any] = {}
    for env, directories in environments.items():
        options = {**around.config, "ext_pillar_first": False}
        compiler = Pillar(
            Roots({env: directories}),
            options,
            around.grains,
            minion_id,
            around.functions,
            engines=around.renderers,
            confined=True,
        )
        data = compiler.compile(env, env)
        if ERRORS in data:
            raise PillarError(data[ERRORS])
        found = merged(found, data)
    return found
