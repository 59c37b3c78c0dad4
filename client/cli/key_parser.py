"""The options of `ctl-key`, and the parser that reads them."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError

from ..output.keys import HEADINGS
from .options import Options
from .parser import Parser, add_common, add_login, add_output

DESCRIPTION = "See which minions' keys wait, and accept, reject or delete them."
USAGE = "ctl-key [options]"


class KeyOptions(Options):
    """The options of `ctl-key`; of the actions at most one is given."""

    listing: str = ""
    list_all: bool = False
    accept: str = ""
    accept_all: bool = False
    reject: str = ""
    reject_all: bool = False
    delete: str = ""
    delete_all: bool = False
    finger: str = ""
    finger_all: bool = False
    print: str = ""
    print_all: bool = False
    gen_keys: str = ""
    preseed: str = ""
    fingerprint: str = ""
    include_all: bool = False
    include_accepted: bool = False
    include_rejected: bool = False
    include_denied: bool = False
    gen_keys_dir: str = "."
    pub: str = ""
    yes: bool = False
    quiet: bool = False
    verbose: bool = False
    enrols: str = "*"
    uses: int = 1
    expires: float = 3600.0
    finish: bool = False

    def included(self) -> list[str]:
        """Return the states beside `pending` that accepting or rejecting also looks at."""
        return [
            state
            for state in ("accepted", "rejected", "denied")
            if self.include_all or getattr(self, f"include_{state}")
        ]


def make_parser() -> Parser:
    """Build the parser of the command line."""
    parser = Parser("ctl-key", USAGE, DESCRIPTION)
    _add_actions(parser)
    _add_choice(parser)
    _add_making(parser)
    _add_trust(parser)
    add_login(parser, short=False)
    add_output(parser)
    add_common(parser, short_log=False)
    return parser


def _add_actions(parser: Parser) -> None:
    group = parser.add_argument_group("Actions (MATCH is an id or a glob over ids; without an action: list all)")
    add = group.add_argument
    add(
        "-l",
        "--list",
        dest="listing",
        metavar="STATE",
        help="List the keys that are accepted, pending, rejected, denied, or all.",
    )
    add("-L", "--list-all", action="store_true", help="List all keys.")
    for short, verb, what in (
        ("a", "accept", "waiting"),
        ("r", "reject", "waiting"),
        ("d", "delete", ""),
    ):
        kind = f"{what} keys" if what else "keys"
        add(f"-{short}", f"--{verb}", metavar="MATCH", help=f"{verb.capitalize()} {kind}.")
        add(f"-{short.upper()}", f"--{verb}-all", action="store_true", help=f"{verb.capitalize()} all {kind}.")
    add("-f", "--finger", metavar="MATCH", help="Print fingerprints of keys.")
    add("-F", "--finger-all", action="store_true", help="Print the fingerprints of all keys, the master's too.")
    add("-p", "--print", metavar="MATCH", help="Print public keys.")
    add("-P", "--print-all", action="store_true", help="Print all public keys.")


def _add_choice(parser: Parser) -> None:
    group = parser.add_argument_group("Which keys")
    add = group.add_argument
    add("--fingerprint", metavar="FP", help="Only the key with this fingerprint; needed where several claim one id.")
    add("--include-all", action="store_true", help="Accept or reject keys of any state.")
    for state in ("accepted", "rejected", "denied"):
        add(f"--include-{state}", action="store_true", help=f"Also those that are {state}.")
    add("-y", "--yes", action="store_true", help="Do not ask.")
    add("-q", "--quiet", action="store_true", help="Print nothing but errors.")
    add("-v", "--verbose", action="store_true", help="List where keys that are not accepted came from, and when.")


def _add_making(parser: Parser) -> None:
    group = parser.add_argument_group("Keys made before a minion comes")
    add = group.add_argument
    add("--gen-keys", metavar="NAME", help="Make a minion's keys: NAME.pem (private) and NAME.pub.")
    add("--gen-keys-dir", metavar="DIR", help="Where to write them; here by default.")
    add("--preseed", metavar="ID", help="Accept the public key of --pub for a minion that has not come yet.")
    add("--pub", metavar="FILE", help="The public key for --preseed; ID.pub in --gen-keys-dir by default.")


def _add_trust(parser: Parser) -> None:
    group = parser.add_argument_group(
        "Words: accept ID, reject ID, delete ID, list; token create, token list, token revoke NAME; rotate-master"
    )
    add = group.add_argument
    add("--id", dest="enrols", metavar="GLOB", help="token create: for minions with these ids; all by default.")
    add("--uses", type=_uses, metavar="N", help="token create: for so many minions; 1 by default.")
    add("--expires", type=_span, metavar="TIME", help="token create: for so long (90s, 30m, 1h, 7d); 1h by default.")
    add("--finish", action="store_true", help="rotate-master: forget the former key. Minions that have not come lose "
        "their trust in this master.")  # fmt: skip


def _uses(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"takes a number from 1 on, not {text!r}")
    return int(text)


def _span(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw]?)", text)
    if not found or float(found[1]) <= 0:
        raise ArgumentTypeError(f"takes a time such as 90s, 30m, 1h or 7d, not {text!r}")
    return float(found[1]) * SPANS[found[2] or "s"]


SPANS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}

# What may follow -l, by how it begins -> Salt's name of the state
LISTS = {"acc": "minions", "pre": "minions_pre", "un": "minions_pre", "pen": "minions_pre", "rej": "minions_rejected",
         "den": "minions_denied"}  # fmt: skip
ALL_LISTS = [name for name in HEADINGS if name != "local"]
