"""What a chunk's requisites say about its turn: run, run and watch, or be left out, and why. Pure decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Return = Mapping[str, Any]

# What the requisites of one chunk come to, and the comment of a chunk that is left out by it.
LEFT_OUT = {
    "pre": "No changes detected",
    "onfail": "State was not run because onfail req did not change",
    "onchanges": "State was not run because none of the onchanges reqs changed",
    "skip_req": "State was not run because requisites were skipped by another state",
}


def base(kind: str) -> str:
    """Return the requisite's kind without `_any` and `_all`."""
    return kind.removesuffix("_any").removesuffix("_all")


def has_changed(ret: Return) -> bool:
    """Tell whether a state changed something, or in a dry run would."""
    return bool(ret["changes"]) or ret["result"] is None


def decide(found: Mapping[str, Iterable[Return]]) -> str:
    """Decide on a chunk by the returns of what it requires, grouped by the kind of requisite.

    `met` and `change` let it run (with `change`, a watched state changed), `skip_watch` too but without the watch;
    `fail` and the keys of `LEFT_OUT` do not.
    """
    signs: set[str] = set()
    for kind, returns in found.items():
        signs |= _signs(kind, returns)
    if "fail" in signs:
        return "fail"
    if "skip_req" in signs and signs & {"onchangesmet", "premet"}:
        return "skip_req"
    if "skip_req" in signs and "change" in signs:
        return "skip_watch"
    if "pre" in signs or "premet" in signs:
        return "met" if "premet" in signs else "pre"
    for sign in ("onfail", "onchanges"):
        if sign in signs and "onchangesmet" not in signs:
            return sign
    if "change" in signs:
        return "change"
    return "onfail" if "onfail" in signs else "met"


def _signs(kind: str, returns: Iterable[Return]) -> set[str]:
    signs: set[str] = set()
    for ret in returns:
        if ret.get("skip_req"):
            signs.add("skip_req")
        signs.add(_sign(base(kind), ret))
    signs.discard("")
    if (kind.endswith("_any") or kind == "onfail") and signs & {"met", "change"}:
        signs -= {"fail", "onfail"}
    if "onchangesmet" in signs:
        signs -= {"onchanges"}
    if kind == "onfail_all" and "onfail" in signs:
        signs -= {"met"}
    return signs


def _sign(kind: str, ret: Return) -> str:
    failed = ret["result"] is False
    if kind == "onfail" and not failed:
        return "onfail"
    if kind == "onchanges":
        return "onchangesmet" if not failed and has_changed(ret) else "onchanges"
    if failed and kind != "onfail":
        return "fail"
    if kind == "watch" and has_changed(ret):
        return "change"
    if kind == "prereq":
        return "premet" if ret["result"] is None else "pre"
    return "met" if ret.get("__state_ran__", True) else ""
