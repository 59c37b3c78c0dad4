"""The options of `ctl`, and the parser that reads them."""

from __future__ import annotations

from argparse import ArgumentTypeError

from .. import batch
from .parser import Parser, add_common, add_login, add_output, add_words, seconds

DESCRIPTION = "Run a function on the minions that a target means, and print what they return."
USAGE = "ctl [options] '<target>' <function> [arguments]"
TARGETS = (
    ("-E", "--pcre", "pcre", "a regular expression over ids"),
    ("-L", "--list", "list", "a list of ids, with commas or spaces"),
    ("-G", "--grain", "grain", "a grain and a glob (os:Debian)"),
    ("-P", "--grain-pcre", "grain_pcre", "a grain and a regular expression"),
    ("-I", "--pillar", "pillar", "a pillar value and a glob"),
    ("-J", "--pillar-pcre", "pillar_pcre", "a pillar value and a regular expression"),
    ("-S", "--ipcidr", "ipcidr", "an address or network"),
    ("-N", "--nodegroup", "nodegroup", "a nodegroup of the master's configuration"),
    ("-C", "--compound", "compound", "several of these with and, or, not and ( )"),
)


def make_parser() -> Parser:
    """Build the parser of the command line."""
    parser = Parser("ctl", USAGE, DESCRIPTION)
    _add_targets(parser)
    _add_job(parser)
    _add_waiting(parser)
    _add_batch(parser)
    add_words(parser)
    parser.add_argument("--args-separator", metavar="WORD",
        help="The word between the arguments of several functions (a,b).")  # fmt: skip
    add_login(parser)
    add_output(parser)
    add_common(parser)
    return parser


def _add_targets(parser: Parser) -> None:
    group = parser.add_argument_group("Target (a glob over ids unless one of these says otherwise)")
    for short, long, kind, help_text in TARGETS:
        group.add_argument(short, long, dest="tgt_type", action="store_const", const=kind, help=f"It is {help_text}.")
    group.add_argument("--delimiter", metavar="C", help="Between the levels of a grain's key.")
    group.add_argument("--preview-target", action="store_true", help="Show the minions that are meant; run nothing.")


def _add_job(parser: Parser) -> None:
    group = parser.add_argument_group("Job")
    add = group.add_argument
    add("--async", dest="asynchronous", action="store_true", help="Print the job's jid and do not wait.")
    add("--subset", type=_count, metavar="N", help="Only N of the minions, chosen at random.")
    add("--private", action="store_true", help="Send the job to the minions that are meant alone.")
    add("--secret-arg", metavar="NAMES",
        help="Arguments (names or positions, a,b,...) to mask where jobs are shown; the job is private.")  # fmt: skip
    add("--return", dest="returners", metavar="NAMES",
        help="Returners of the minions (a,b,...) that get each return, too.")  # fmt: skip
    add("--metadata", metavar="DATA", help="Keep this with the job, to find it by.")
    add("--job-timeout", type=seconds, metavar="S", help="End the job on a minion after S seconds.")
    add("-d", "--doc", "--documentation", action="store_true", help="Print the documentation of functions instead.")
    add("--start-event", action="store_true", help="Nothing: minions always acknowledge a job before they run it.")
    add("--config-dump", action="store_true", help="Print the master's configuration and exit.")


def _add_waiting(parser: Parser) -> None:
    group = parser.add_argument_group("Waiting and printing")
    add = group.add_argument
    add("-t", "--timeout", type=seconds, metavar="S",
        help="How long a minion may be silent. One that runs the job is waited for.")  # fmt: skip
    add("--max-time", type=seconds, metavar="S", help="Wait at most S seconds in all.")
    add("--wait", action="store_true", help="Wait for minions that are away, until the job is too old for them.")
    add("--no-queue", action="store_true", help="A minion that is away now will not run the job.")
    add("-s", "--static", action="store_true", help="Print everything together at the end.")
    add("-v", "--verbose", action="store_true", help="Print the jid and the minions that are waited for.")
    add("--show-jid", action="store_true", help="Print the jid.")
    add("--hide-timeout", action="store_true", help="Do not print minions that did not return.")
    add("--summary", action="store_true", help="Print how many returned, failed, or did not return.")
    add("-p", "--progress", action="store_true", help="Show progress, on a terminal.")


def _add_batch(parser: Parser) -> None:
    group = parser.add_argument_group("Batches")
    add = group.add_argument
    add("-b", "--batch", "--batch-size", type=_size, metavar="N|N%", help="Run on so many minions at a time.")
    add("--batch-wait", type=seconds, metavar="S", help="Let a slot rest before its next minion.")
    add("--failhard", action="store_true", help="Start no more minions once one has failed.")
    add("--batch-safe-limit", type=_count, metavar="N", help="Use batches from N minions on.")
    add("--batch-safe-size", type=_size, metavar="N|N%", help="How many at a time then.")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"takes a number from 1 on, not {text!r}")
    return int(text)


def _size(text: str) -> batch.Size:
    try:
        return batch.Size.parse(text)
    except ValueError:
        raise ArgumentTypeError(f"takes a number of minions or a share of them (10%), not {text!r}") from None
