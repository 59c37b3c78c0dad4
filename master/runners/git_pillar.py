"""Have the git repositories of external pillars fetched.

CLI example: `ctl-run git_pillar.update`
"""

from __future__ import annotations

from ...common.config import MasterConfig
from ...common.context import current
from ...common.errors import CommandExecutionError, nearest
from ..pillar_git import configured, repository


def update(branch: str | None = None, repo: str | None = None) -> dict[str, bool]:
    """Fetch them now, all or the one of `repo` (its URL); returns for each whether that went well.

    CLI example: `ctl-run git_pillar.update`
    """
    config = MasterConfig.from_mapping(current().config)
    remotes = {remote.url: remote for remote in configured(config) if branch in (None, remote.branch)}
    if repo is not None and repo not in remotes:
        near = nearest(repo, remotes)
        raise CommandExecutionError(f"no external pillar is {repo!r}", hint=f"did you mean {near}?" if near else "")
    found = {}
    for url, remote in remotes.items():
        if repo in (None, url):
            try:
                repository(config, remote).fetch()
                found[url] = True
            except CommandExecutionError:
                found[url] = False
                current().scratch["retcode"] = 1
    return found
