"""The tables of docs/protocol.md name what the code has: frame types, sizes, methods, fields, operations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ctl.common import crypto, handshake, hints, ipc, payload, publication, session, wire
from ctl.master import clients, handlers

TEXT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text("utf-8")


def section(title: str) -> str:
    """Return the text below a heading, up to the next one of any level."""
    return re.split(r"^#+ ", TEXT.split(f" {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(title: str) -> list[str]:
    rows = re.findall(r"^\| ([^|]+) \|", section(title), re.MULTILINE)
    return [row.strip() for row in rows]


def test_every_frame_type_is_listed_with_its_number() -> None:
    types = dict(re.findall(r"^\| (0x\w\w) \| (\w+) \|", section("3. Frames"), re.MULTILINE))
    names = {"REQUEST": "REQ", "REPLY": "REP"}
    handshakes = ("HELLO", "CHALLENGE", "AUTH", "RESULT")
    known = (*handshakes, "REQUEST", "REPLY", "PUSH", "PUBLICATION", "BUSY", "UNSUPPORTED", "NOSESSION", "NUDGE")
    assert types == {f"{getattr(wire, name):#04x}": names.get(name, name) for name in known}


def test_every_method_is_listed_with_who_may_call_it_and_whether_it_replies() -> None:
    rows = [cell for cell in first_cells("Requests") if cell != "method"]
    assert {row.split()[0] for row in rows} == set(handlers.METHODS)
    assert {row.split()[0] for row in rows if "●" in row} == handlers.AGENT_ONLY
    assert {row.split()[0] for row in rows if "→" in row} == handlers.ONE_WAY


def test_every_operation_of_clients_is_listed() -> None:
    listed = ", ".join(first_cells("7. The clients' socket")).split(", ")
    assert set(clients.OPERATIONS) <= set(listed)


@pytest.mark.parametrize(
    "context",
    [
        crypto.CONTEXT_HANDSHAKE_MASTER,
        crypto.CONTEXT_HANDSHAKE_MINION,
        crypto.CONTEXT_PUBLICATION,
        crypto.CONTEXT_ROTATE,
    ],
)
def test_every_context_of_signatures_is_listed(context: bytes) -> None:
    assert f"| `{context[:-1].decode()}\\0` |" in TEXT


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("**Version 1.**", wire.PROTOCOL_VERSION == 1 and wire.MAGIC == b"CTL1"),
        ("more than 1,000 elements (in REP and PUSH 16,384; in the handshake 200)", wire.MAX_ELEMENTS == 1000),
        ("16,384", wire.MAX_REPLY_ELEMENTS == 16384),
        ("in the handshake 200", handshake.MAX_ELEMENTS == 200),
        ("limits are 64 MiB, the same 64 levels", (payload.MAX_PAYLOAD_BYTES, payload.MAX_DEPTH) == (64 << 20, 64)),
        ("| 1 MiB + 64 |", wire.MAX_MESSAGE_BYTES == (1 << 20) + 64),
        ("| 128 bytes |", wire.MAX_TOPIC_BYTES == 128),
        ("| HELLO | minion | 128 |", handshake.HELLO_BYTES == 128),
        ("| CHALLENGE | master | ≤ 8,192 |", handshake.MAX_CHALLENGE_BYTES == 8192),
        ("| AUTH | minion | ≤ 4,096 |", handshake.MAX_AUTH_BYTES == 4096),
        ("| RESULT | master | ≤ 8,192 |", handshake.MAX_RESULT_BYTES == 8192),
        ("bits u8 (≤ 20)", hints.MAX_PUZZLE_BITS == 20),
        ("n u8 (≤ 32)", hints.MAX_SUITES == 32),
        ("map of at most 16", handshake.MAX_VERSIONS == 16),
        ("array of at most 8", handshake.MAX_CHAIN == 8),
        ("a chunk has at most 512 KiB", wire.MAX_CHUNK_BYTES == 512 << 10),
        ("made at 60 min", session.REKEY_SECONDS == 3600 and session.REKEY_MESSAGES == 2**20),
        ("after 2 h, 2²⁴ frames or 16 GiB", session.MAX_SECONDS == 7200 and session.MAX_MESSAGES == 2**24),
        ("16 GiB", session.MAX_BYTES == 16 << 30 and session.REKEY_BYTES == 4 << 30),
        ("≤ 30 s", publication.CLOCK_WINDOW_MS == 30_000),
        ("`<contains itself>`", payload.CYCLE == "<contains itself>"),
        ("`<nested deeper than 64 levels>`", payload.TOO_DEEP == "<nested deeper than 64 levels>"),
        ("at most 8 MiB", ipc.MAX_FRAME_BYTES == 8 << 20),
    ],
)
def test_the_limits_are_those_of_the_code(words: str, value: bool) -> None:
    assert words in TEXT
    assert value


def test_the_links_inside_the_page_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= anchors
