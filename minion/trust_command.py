"""`ctl-minion trust`: see which master this minion trusts, and have it trust another."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..common.config import MinionConfig, load_minion
from ..common.daemon import exit_code
from ..common.errors import ConfigError, CtlError
from ..common.privileges import become
from ..common.writers import make_own_directory
from .addresses import parse_address
from .trust import Trust

DESCRIPTION = (
    "Show the keys of the masters that this minion trusts, or have it trust anew: the key with --fingerprint, else the "
    "one of the next master that answers. A running minion notices by itself."
)


def main(argv: Sequence[str]) -> int:
    """Run the command with the words after `ctl-minion trust`; return its exit code."""
    options = _parser().parse_args(argv)
    try:
        if options.config_dir is not None and not options.config_dir.is_dir():
            raise ConfigError(f"-c: there is no directory {options.config_dir}")
        config = load_minion(options.config_dir)
        become(config.user)
        if options.action == "reset":
            _reset(config, options.fingerprint)
        _show(config)
    except (CtlError, OSError) as error:
        sys.stderr.write(f"ctl-minion: {error}\n")
        return exit_code(error) if isinstance(error, CtlError) else 1
    return 0


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="ctl-minion trust", description=DESCRIPTION, allow_abbrev=False)
    add = made.add_argument
    add("action", choices=("show", "reset"))
    add("--fingerprint", default="", metavar="FP", help="with reset: the only key to trust, as `ctl-key -F` prints it")
    add("-c", "--config-dir", type=Path, metavar="DIR", help="read the configuration in DIR")
    return made


def _masters(config: MinionConfig) -> list[str]:
    return [str(parse_address(entry, config.master_port)) for entry in config.master]


def _reset(config: MinionConfig, fingerprint: str) -> None:
    trust = Trust.of(config)
    if trust.configured:
        raise ConfigError(
            "master_fingerprint says which key this minion trusts, and wins over this", hint="change it there"
        )
    if not fingerprint and not config.tofu:
        raise ConfigError("tofu is off, so nothing would be trusted", hint="add --fingerprint")
    make_own_directory(config.pki_dir)
    trust.reset(_masters(config), fingerprint)


def _show(config: MinionConfig) -> None:
    trust = Trust.of(config)
    pinned = trust.masters()
    for master in dict.fromkeys([*_masters(config), *pinned]):
        found = trust.pin(master)
        source = "from master_fingerprint" if trust.configured else "pinned" if master in pinned else "from the token"
        first = "none yet: the first that answers is trusted" if config.tofu else "none: nothing is trusted"
        sys.stdout.write(f"{master}: {f'{found} ({source})' if found else first}\n")
