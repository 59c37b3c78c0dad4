"""The options of `ctl-key`, and the parser that reads them."""

from __future__ import annotations

from ..output.keys import HEADINGS
from .options import Options
from .parser import Parser, add_common, add_output

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


def _add_making(parser: Parser) -> None:
    group = parser.add_argument_group("Keys made before a minion comes")
    add = group.add_argument
    add("--gen-keys", metavar="NAME", help="Make a minion's keys: NAME.pem (private) and NAME.pub.")
    add("--gen-keys-dir", metavar="DIR", help="Where to write them; here by default.")
    add("--preseed", metavar="ID", help="Accept the public key of --pub for a minion that has not come yet.")
    add("--pub", metavar="FILE", help="The public key for --preseed; ID.pub in --gen-keys-dir by default.")


# What may follow -l, by how it begins -> Salt's name of the state
LISTS = {"acc": "minions", "pre": "minions_pre", "un": "minions_pre", "pen": "minions_pre", "rej": "minions_rejected",
         "den": "minions_denied"}  # fmt: skip
ALL_LISTS = [name for name in HEADINGS if name != "local"]
