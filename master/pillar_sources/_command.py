"""Run the command of an external pillar for one minion."""

from __future__ import annotations

import logging
import shlex

from ...common import process
from ...common.errors import CommandExecutionError

log = logging.getLogger(__name__)

TIMEOUT_S = 300.0


def output_of(command: str, minion_id: str) -> str:
    """Return what a command prints, with `%s` in its words replaced by the id; raises where it fails."""
    try:
        words = [word.replace("%s", minion_id) for word in shlex.split(command)]
    except ValueError as error:
        raise CommandExecutionError(f"the command cannot be split into words: {error}") from error
    if not words:
        raise CommandExecutionError("there is no command to run")
    done = process.run(words, timeout=TIMEOUT_S)
    if done.timed_out:
        raise CommandExecutionError(f"the command did not finish within {TIMEOUT_S:g} s")
    if done.retcode:
        log.error("the command %s for the pillar of %s says: %s", words[0], minion_id, process.complaint(done))
        raise CommandExecutionError(f"the command ended with exit code {done.retcode}")
    return done.text
