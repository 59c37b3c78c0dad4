"""Who has no session gets nothing: no method, no key, no state change; and one front's credentials open no other."""

from __future__ import annotations

import ast
import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.common import crypto, ipc, wire
from ctl.common.session import MinionSession, SessionKeys
from ctl.common.wire import pack_payload
from ctl.master.clients import OPERATIONS
from ctl.master.handlers import METHODS

RunFleet = Callable[..., None]
ROOT = Path(__file__).parents[2]
NAMES = [
    *METHODS,
    *OPERATIONS,
    "__class__",
    "__init__",
    "_x",
    "a.b",
    "handlers.register",
    "os.system",
    "_prep_auth_info",
]


def _assigned(path: Path, name: str) -> ast.expr:
    for node in ast.parse(path.read_text()).body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            assert isinstance(node, ast.Assign | ast.AnnAssign)
            assert node.value is not None
            return node.value
    raise AssertionError(f"{path} has no {name}")


@pytest.mark.parametrize(("file", "name"), [("master/handlers.py", "METHODS"), ("master/clients.py", "OPERATIONS")])
def test_s01_what_can_be_asked_is_a_literal_table(file: str, name: str) -> None:
    table = _assigned(ROOT / file, name)
    assert isinstance(table, ast.Dict)
    assert all(isinstance(key, ast.Constant) and isinstance(key.value, str) for key in table.keys)
    assert all(isinstance(value, ast.Name | ast.Attribute) for value in table.values)


def test_s01_without_a_session_there_is_the_handshake_and_nothing_else() -> None:
    """The function that takes a frame off the wire branches on three types: REQUEST, which needs a session, and two."""
    tree = ast.parse((ROOT / "master" / "channel.py").read_text())
    function = next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "_on_message")
    kinds = {n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute) and n.attr.isupper()}
    assert kinds == {"REQUEST", "HELLO", "AUTH"}


def test_s01_no_method_can_be_called_without_a_session(
    run_fleet: RunFleet, hostile: Any, attack: Any, lines: Any, eventually: Any
) -> None:
    async def scenario(fleet: Any) -> None:
        desk = fleet.master.desk
        before = (desk.keys.list()["accepted"], desk.joblog.head, len(desk.grains), fleet.master.fingerprint)
        events = desk.events.subscribe(["salt/job/*", "minion/*", "salt/presence/*"])
        session = MinionSession(SessionKeys(bytes(32), bytes(32), bytes(32), b"s" * 16))
        for name in NAMES:  # each over a connection of its own, since strays are cut off
            with hostile(fleet) as stranger:
                arguments = {"id": "m1", "grains": pack_payload({}), "match": "*", "jid": "1" * 20, "jids": []}
                stranger.open().dealer.send(session.request(name[:64], arguments)[0])
                for kind in (wire.HELLO, wire.AUTH, wire.REPLY, wire.PUSH, wire.PUBLICATION, wire.NUDGE):
                    stranger.dealer.send(wire.header(kind) + wire.pack([name, bytes(16), arguments]))
                stranger.dealer.send(wire.pack({"cmd": name, "enc": "clear", "load": {"cmd": name}}))
                await eventually(lambda peer=stranger: peer.frames)
                answers = {(attack.kind_of(frame), len(frame)) for frame in stranger.frames}
                assert answers == {(wire.NOSESSION, 24)}
        with hostile(fleet) as stranger:
            assert await stranger.open().shake() == "pending"
        assert (desk.keys.list()["accepted"], desk.joblog.head, len(desk.grains), fleet.master.fingerprint) == before
        assert not events._queue
        assert len(lines.about("", room="ctl.master")) <= 4, "lines that a stranger causes are limited"
        assert lines.alarms() == []

    run_fleet(scenario, minions=0, auto_accept=False)


def test_s02_nothing_secret_is_sent_to_who_has_no_session(
    run_fleet: RunFleet, hostile: Any, attack: Any, eventually: Any
) -> None:
    """Every byte that goes out before a session, and to keys that wait: public keys are in it, and no others."""

    async def scenario(fleet: Any) -> None:
        desk = fleet.master.desk
        seen: list[bytes] = []
        channel = fleet.master._channel
        real = channel._router.send

        def send(routing_id: bytes, frame: bytes) -> bool:
            seen.append(frame)
            return bool(real(routing_id, frame))

        channel._router.send = send
        with hostile(fleet) as stranger:
            assert await stranger.open().shake() == "pending"
            stranger.dealer.send(wire.header(wire.REQUEST) + bytes(64))
            stranger.dealer.send(b"CTL9" + wire.header(wire.HELLO)[4:] + bytes(120))
            await eventually(lambda: stranger.of_kind(wire.UNSUPPORTED))
            outcome = stranger.group
        epoch = desk.publications._packets.epoch
        identity = crypto.IdentityKey.load(fleet.master.config.pki_dir / "master.pem")
        private = identity._private.private_bytes_raw()
        secrets = [private, epoch.group_key, epoch.signer._private.private_bytes_raw()]
        assert outcome is None
        assert seen
        for secret in secrets:
            assert not any(secret in frame or secret.hex().encode() in frame for frame in seen)

    run_fleet(scenario, minions=0, auto_accept=False)


def test_s33_a_jid_is_twenty_digits_and_nothing_else(run_hostile: Any, tmp_path: Path) -> None:
    odd: list[Any] = [
        "../../../proc/self/fd/0",
        str(tmp_path / "fifo"),
        "1" * 900_000,
        ["1" * 20],
        12345678901234567890,
    ]
    odd += ["", "1" * 19, "1" * 21, "1" * 20 + "\n", "\u0661" * 20, None, {"jid": "1" * 20}]

    async def scenario(fleet: Any, bad: Any) -> None:
        for jid in odd:
            for method, more in (
                ("return", {"state": "returned", "payload": b"\xc0"}),
                ("return_chunk", {"offset": 0, "size": 1, "data": b"x"}),
            ):
                assert await bad.ask(method, jid=jid, **more) == "arguments", (method, repr(jid)[:40])
            assert await bad.ask("keepalive", jids=[jid]) == "arguments"

    run_hostile(scenario)


def test_p07_an_accepted_minion_has_no_operation_of_clients(run_hostile: Any) -> None:
    async def scenario(fleet: Any, bad: Any) -> None:
        for name in set(OPERATIONS) - set(METHODS):
            assert await bad.ask(name, match="*", tgt="*", fun="test.ping", payload=b"\xc0") == "unknown_method", name

    run_hostile(scenario)


def test_p07_a_client_of_the_socket_is_no_minion(run_fleet: RunFleet) -> None:
    """What speaks the minions' protocol on the clients' socket is cut off, and root's own socket has no methods."""

    async def scenario(fleet: Any) -> None:
        def talk(data: bytes) -> bytes:
            with ipc.connect_socket(fleet.socket) as sock:
                sock.settimeout(5)
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := sock.recv(65536):
                    answer += piece
                return answer

        assert await asyncio.to_thread(talk, wire.header(wire.HELLO) + bytes(120)) == b""
        for name in sorted(set(METHODS) - set(OPERATIONS)):
            with pytest.raises(Exception, match=re.escape(f"there is no operation '{name}'")):
                await fleet.call(name, id="m1")

    run_fleet(scenario, minions=0)
