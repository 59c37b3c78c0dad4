"""What `ctl-key` does with words: enrolment tokens, and the change of the master's own key."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from ..keys import Keys, TokenLine
from . import exits
from .key_parser import KeyOptions
from .options import UsageError
from .printer import Printer

WORDS = ("token", "rotate-master")


def moment(seconds: float) -> str:
    """Write a time (seconds since 1970) as people read it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def act(words: Sequence[str], options: KeyOptions, keys: Keys, printer: Printer) -> int:
    """Do what the words ask for."""
    match list(words):
        case ["token", "create"]:
            return _create(options, keys, printer)
        case ["token", "list"] | ["token"]:
            return _list(keys, printer)
        case ["token", "revoke", name]:
            return _revoke(name, keys, printer)
        case ["rotate-master"]:
            return _finish(options, keys, printer) if options.finish else _rotate(options, keys, printer)
    raise UsageError(
        f"not understood: {' '.join(words)}",
        hint="token create, token list, token revoke NAME, rotate-master [--finish]",
    )


def _create(options: KeyOptions, keys: Keys, printer: Printer) -> int:
    made = keys.create_token(options.enrols, options.uses, options.expires)
    if printer.prints_documents:
        printer.show({"token": made.text, "name": made.name, "expires": made.expires})
        return exits.OK
    printer.say(made.text)
    uses = "one minion" if options.uses == 1 else f"{options.uses} minions"
    whom = f" with the id {options.enrols}" if options.enrols != "*" else ""
    printer.remark(f"Token {made.name}: accepts {uses}{whom} until {moment(made.expires)}. It is shown this once.")
    printer.remark("Put it into a file of mode 0600 on the minion, and name that as enroll_token_file in its settings.")
    return exits.OK


def _list(keys: Keys, printer: Printer) -> int:
    tokens = keys.tokens()
    if printer.prints_documents:
        printer.show([line._asdict() for line in tokens])
        return exits.OK
    for line in tokens:
        printer.say(_described(line))
    if not tokens:
        printer.remark("There are no enrolment tokens.")
    return exits.OK


def _described(line: TokenLine) -> str:
    by = f", by {line.creator}" if line.creator else ""
    until = f"until {moment(line.expires)}"
    return f"{line.name}: for {line.match}, used {line.used} of {line.uses}, {until}, made {moment(line.created)}{by}"


def _revoke(name: str, keys: Keys, printer: Printer) -> int:
    gone = keys.revoke_token(name)
    for one in gone:
        printer.say(f"Token {one} revoked.")
    if not gone:
        printer.remark(f"No token's name begins with {name!r}; ctl-key token list shows them.")
    return exits.OK if gone else exits.REFUSED


def _rotate(options: KeyOptions, keys: Keys, printer: Printer) -> int:
    before = keys.master_fingerprint()
    if not options.yes and not confirmed("The master gets a new key; connected minions follow it. Proceed? [n/Y] "):
        return exits.OK
    after = keys.rotate_master()
    printer.say(f"The master's key is now {after}")
    printer.say(f"It follows {before}")
    printer.remark("Minions that are away follow when they are back. ctl-key rotate-master --finish ends that.")
    return exits.OK


def _finish(options: KeyOptions, keys: Keys, printer: Printer) -> int:
    finished, behind = keys.finish_rotation(force=False)
    if behind and not finished:
        listed = ", ".join(behind[:20]) + (f" and {len(behind) - 20} more" if len(behind) > 20 else "")
        printer.warn(f"Not seen since the key was changed: {listed}")
        printer.warn("They will refuse this master until `ctl-minion trust reset` is run on them.")
        if not options.yes and not confirmed("Forget the former key nevertheless? [y/N] "):
            return exits.OK
        finished, _ = keys.finish_rotation(force=True)
    printer.say("The former key is forgotten." if finished else "No change of the master's key is under way.")
    return exits.OK


def confirmed(question: str) -> bool:
    """Ask on the terminal; an empty line is the answer in capitals, and an end of input is nobody's yes."""
    print(question, end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    if answer and answer.strip().lower() in ("y", "yes", *([""] if "Y]" in question else [])):
        return True
    print("Nothing was changed.", file=sys.stderr)
    return False
