"""What `ctl-key` does: list, show, accept, reject, delete, make keys; it asks first where something changes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ...common.errors import ConfigError, KeyTableError, nearest
from ..keys import STATES, KeyList, Keys, Row, open_keys
from ..output import DOCUMENTS
from . import exits, key_trust
from .key_parser import ALL_LISTS, LISTS, KeyOptions, make_parser
from .key_trust import confirmed, moment
from .options import UsageError, read, set_up_log
from .printer import Printer

OUTPUTTER = "key"
SALT_NAMES = dict(zip(STATES, ("minions", "minions_denied", "minions_pre", "minions_rejected"), strict=True))
PAST = {"accept": "accepted", "reject": "rejected", "delete": "deleted"}
WILDCARDS = frozenset("*?[")


def work(words: list[str]) -> int:
    """Do what the words of a command line ask for."""
    options = read(words, KeyOptions(), make_parser)
    set_up_log(options)
    words_of_trust = _take_words(options)
    if options.quiet:
        options.out = "quiet"
    settings = options.settings()
    with Printer(options, settings) as printer:
        if options.gen_keys:
            _generate(options, printer)
            if not options.preseed:
                return exits.OK
        keys = open_keys(settings, auth=options.credentials(settings))
        try:
            if words_of_trust:
                return key_trust.act(words_of_trust, options, keys, printer)
            return _act(options, keys, printer)
        finally:
            keys.close()


def _take_words(options: KeyOptions) -> list[str]:
    """Read words as the options that they stand for; return those about tokens and the master's own key."""
    words = list(options.words)
    if words[:1] == ["list"] and len(words) <= 2:
        options.listing = words[1] if len(words) == 2 else "all"
    elif len(words) == 2 and words[0] in PAST:
        setattr(options, words[0], words[1])
    elif words and words[0] not in key_trust.WORDS:
        raise UsageError(f"no argument was expected: {words[0]!r}", hint="ctl-key --help lists the options")
    else:
        return words
    return []


def _act(options: KeyOptions, keys: Keys, printer: Printer) -> int:
    what, match = _change_wanted(options)
    if options.preseed:
        return _preseed(options, keys, printer)
    if what:
        return Change(options, keys, printer, what, match).carry_out()
    if options.finger or options.finger_all:
        return _show_fingerprints(options.finger or "*", keys, printer)
    if options.print or options.print_all:
        return _show_pems(options.print or "*", keys, printer)
    return _list(options.listing or "all", keys, printer, options.verbose)


def _change_wanted(options: KeyOptions) -> tuple[str, str]:
    """Return which change is asked for and for which ids; raises `UsageError` for two at once."""
    wanted = [(verb, getattr(options, verb) or "*") for verb in PAST
              if getattr(options, verb) or getattr(options, f"{verb}_all")]  # fmt: skip
    if len(wanted) > 1:
        raise UsageError(f"--{wanted[0][0]} and --{wanted[1][0]} do not go together")
    if options.fingerprint and not wanted:
        raise UsageError(
            "--fingerprint says which key to accept, reject or delete", hint="add -a, -r or -d with its id"
        )
    return wanted[0] if wanted else ("", "")


def _list(which: str, keys: Keys, printer: Printer, verbose: bool) -> int:
    names = ALL_LISTS if which == "all" else [name for start, name in LISTS.items() if which.startswith(start)][:1]
    if not names:
        known = "accepted, pending, rejected, denied, all"
        raise UsageError(f"there is no list {which!r}", hint=f"known: {known}")
    found = keys.listed()
    if verbose:
        printer.show(_detailed(found, keys, names), OUTPUTTER)
        return exits.OK
    lists = {name: sorted(getattr(found, state)) for state, name in SALT_NAMES.items() if name in names}
    printer.show(lists, OUTPUTTER)
    return exits.OK


def _detailed(found: KeyList, keys: Keys, names: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """Return the lists with each key's fingerprint and, where it is not accepted, where it came from and when."""
    lists: dict[str, dict[str, list[str]]] = {name: {} for name in SALT_NAMES.values() if name in names}
    if "minions" in lists:
        lists["minions"] = {minion: list(fps) for minion, fps in sorted(found.accepted.items())}
    for one in sorted(keys.candidates()):
        if (name := SALT_NAMES[one.state]) in lists:
            seen = f"first seen {moment(one.first_seen)}, last {moment(one.last_seen)}"
            text = f"{one.fingerprint} (from {one.address or 'nowhere yet'}, {seen})"
            lists[name].setdefault(one.id, []).append(text)
    return lists


def _show_fingerprints(match: str, keys: Keys, printer: Printer) -> int:
    found = keys.listed()
    shown: dict[str, Mapping[str, object]] = {}
    fingerprint = keys.master_fingerprint()
    if fingerprint and fnmatchcase("master.pub", match):
        shown["local"] = {"master.pub": fingerprint}
    for state, name in SALT_NAMES.items():
        matching = {minion: fps for minion, fps in getattr(found, state).items() if _matches(minion, match)}
        if matching:
            shown[name] = {minion: fps[0] if len(fps) == 1 else fps for minion, fps in sorted(matching.items())}
    if not shown and match != "*":
        return _nothing_found(match, found, printer)
    printer.show(shown, OUTPUTTER)
    return exits.OK


def _show_pems(match: str, keys: Keys, printer: Printer) -> int:
    pems = keys.pems(match)
    found = keys.listed()
    if not pems and match != "*":
        return _nothing_found(match, found, printer)
    shown: dict[str, dict[str, str]] = {}
    for minion, pem in sorted(pems.items()):
        state = next((state for state in STATES if minion in getattr(found, state)), "accepted")
        shown.setdefault(SALT_NAMES[state], {})[minion] = pem
    printer.show(shown, OUTPUTTER)
    return exits.OK


def _nothing_found(match: str, found: KeyList, printer: Printer) -> int:
    close = nearest(match, found.ids())
    hint = f"; did you mean {close}?" if close and not WILDCARDS & set(match) else ""
    printer.remark(f"No key matches {match!r}{hint}")
    return exits.REFUSED


def _matches(minion: str, match: str) -> bool:
    return fnmatchcase(minion.lower(), match.lower())


class Change:
    """One change of keys' states: look up which, show them, ask, and carry it out."""

    def __init__(self, options: KeyOptions, keys: Keys, printer: Printer, what: str, match: str) -> None:
        self._options = options
        self._keys = keys
        self._printer = printer
        self._what = what
        self._match = match

    def carry_out(self) -> int:
        """Do it; return the exit code."""
        if self._options.fingerprint:
            self._check_fingerprint()
        rows = self._change(dry_run=True)
        if not rows:
            return self._explain_nothing()
        if self._options.yes:
            done = self._change(dry_run=False)
        else:
            if not self._confirmed(rows):
                return exits.OK
            # exactly the keys that were shown, whatever has arrived since
            done = [row for shown in rows for row in self._keys.change(self._what, fingerprint=shown.fingerprint)]
        self._report(done)
        return exits.OK

    def _change(self, dry_run: bool) -> list[Row]:
        options = self._options
        match = "" if options.fingerprint else self._match
        return self._keys.change(self._what, match, options.fingerprint, options.included(), dry_run)

    def _check_fingerprint(self) -> None:
        """Refuse a fingerprint whose key claims an id other than the one that was named."""
        wanted = self._options.fingerprint.strip().removeprefix("SHA256:").rstrip("=")
        found = self._keys.listed()
        owners = {
            minion for keys in found for minion, fps in keys.items() if any(fp.rstrip("=") == wanted for fp in fps)
        }
        strangers = sorted(minion for minion in owners if not _matches(minion, self._match))
        if strangers:
            raise KeyTableError(f"the key with this fingerprint claims to be {strangers[0]}, not {self._match}")

    def _explain_nothing(self) -> int:
        """Say why nothing changes. Only a name that fits no key at all, where some wait, is a mistake."""
        found = self._keys.listed()
        known = any(_matches(minion, self._match) for minion in found.ids())
        if self._what == "delete":
            return self._nothing(f"No key matches {self._match!r}", known or self._is_glob or not found.ids(), found)
        waits = "No keys wait for acceptance" if not found.pending else f"No key that waits matches {self._match!r}"
        return self._nothing(waits, known or self._is_glob or not found.pending, found)

    @property
    def _is_glob(self) -> bool:
        return bool(WILDCARDS & set(self._match))

    def _nothing(self, sentence: str, fine: bool, found: KeyList) -> int:
        state = next((state for state in STATES if self._match in getattr(found, state)), "")
        if state:
            sentence += f": {self._match} is {state}"
            if state != PAST[self._what] and self._what != "delete":
                sentence += f"; add --include-{state} to {self._what} it"
        elif not fine and (close := nearest(self._match, found.ids())):
            sentence += f"; did you mean {close}?"
        self._say(f"{sentence}.")
        return exits.OK if fine else exits.REFUSED

    def _confirmed(self, rows: Sequence[Row]) -> bool:
        print(f"These keys will be {PAST[self._what]}:", file=sys.stderr)
        for row in rows:
            print(f"  {row.id}  {row.fingerprint}  ({row.state})", file=sys.stderr)
        return confirmed("Proceed? [n/Y] ")

    def _report(self, done: Sequence[Row]) -> None:
        if self._printer.out in DOCUMENTS:
            after = f"minions_{PAST[self._what]}" if self._what != "accept" else "minions"
            self._printer.show({after: [row.id for row in done if not self._was_replaced(row)]})
            return
        for row in done:
            became = "denied, since another key took its place" if self._was_replaced(row) else PAST[self._what]
            self._say(f"Key for minion {row.id} {became}.")

    def _was_replaced(self, row: Row) -> bool:
        return self._what == "accept" and row.state == "accepted"

    def _say(self, text: str) -> None:
        self._printer.say(text)


def _generate(options: KeyOptions, printer: Printer) -> None:
    from ...common import crypto  # nothing else here needs it

    directory = Path(options.gen_keys_dir)
    private, public = directory / f"{options.gen_keys}.pem", directory / f"{options.gen_keys}.pub"
    identity = crypto.IdentityKey.generate()
    if os.sep in options.gen_keys:
        raise UsageError("--gen-keys takes a name; the directory goes into --gen-keys-dir")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        crypto.write_private_file(private, identity.pem(), replace=False)
        public.write_text(crypto.public_pem(identity.public), encoding="ascii")
    except FileExistsError:
        raise ConfigError(f"{private} is there already and is not overwritten") from None
    except OSError as error:
        raise ConfigError(f"the keys cannot be written to {directory}: {error.strerror or error}") from error
    printer.say(f"Private key: {private} (becomes minion.pem in the minion's pki_dir)")
    printer.say(f"Public key:  {public} (accept it with ctl-key --preseed ID --pub {public})")
    printer.say(f"Fingerprint: {crypto.fingerprint(crypto.MINION, identity.public)}")


def _preseed(options: KeyOptions, keys: Keys, printer: Printer) -> int:
    from ...common import crypto  # nothing else here needs it

    path = Path(options.pub) if options.pub else Path(options.gen_keys_dir) / f"{options.preseed}.pub"
    try:
        public = crypto.public_from_pem(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"the public key {path} cannot be read: {error.strerror}", hint="--pub names it") from error
    except ValueError as error:
        raise ConfigError(str(error), path=str(path)) from None
    keys.preseed(options.preseed, public)
    printer.say(f"Key for minion {options.preseed} accepted: {crypto.fingerprint(crypto.MINION, public)}")
    return exits.OK
