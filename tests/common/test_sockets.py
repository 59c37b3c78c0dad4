"""The sockets: both directions, the subscription gate, and what happens when a peer goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

from ctl.common import connections, sockets


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


def test_requests_and_answers() -> None:
    async def run() -> None:
        answers: list[bytes] = []
        addresses: set[str] = set()

        def on_message(peer: bytes, frame: bytes, address: str) -> None:
            addresses.add(address)
            assert router.send(peer, b"re " + frame)

        router = sockets.Router("127.0.0.1", 0, on_message)
        dealer = sockets.Dealer("127.0.0.1", router.port, answers.append)
        for number in range(1000):
            assert dealer.send(b"%d" % number)
        await _until(lambda: len(answers) == 1000)
        assert answers[-1] == b"re 999"
        assert addresses == {"127.0.0.1"}
        dealer.close()
        await _until(lambda: not router.send(b"nobody", b"x"))
        router.close()

    asyncio.run(run())


def test_only_an_attached_subscription_receives() -> None:
    async def run() -> None:
        got: list[bytes] = []
        stolen: list[bytes] = []
        events: list[str] = []

        def on_subscribe(topic: bytes) -> None:
            events.append(f"+{topic.decode()}")
            if topic == b"Sgood":
                publisher.attach(b"G", topic)

        publisher = sockets.Publisher("127.0.0.1", 0, on_subscribe, lambda topic: events.append(f"-{topic.decode()}"))
        member = sockets.Subscriber("127.0.0.1", publisher.port, lambda _topic, packet: got.append(packet))
        member.subscribe(b"G")
        member.subscribe(b"Sgood")
        thief = sockets.Subscriber("127.0.0.1", publisher.port, lambda _topic, packet: stolen.append(packet))
        thief.subscribe(b"")
        await _until(lambda: {"+Sgood", "+"} <= set(events))
        publisher.send(b"G", b"news")
        publisher.send(b"Sgood", b"for you")
        await _until(lambda: len(got) == 2)
        assert got == [b"news", b"for you"]
        assert stolen == []
        member.close()
        await _until(lambda: "-Sgood" in events)
        thief.close()
        publisher.close()

    asyncio.run(run())


def test_a_lost_connection_is_told_and_made_again() -> None:
    async def run() -> None:
        lost: list[int] = []
        answers: list[bytes] = []
        router = sockets.Router("127.0.0.1", 0, lambda peer, frame, _a: (router.send(peer, frame), None)[1])
        port = router.port
        dealer = sockets.Dealer("127.0.0.1", port, answers.append, lambda: lost.append(1))
        dealer.send(b"one")
        await _until(lambda: answers)
        router.close()
        await _until(lambda: lost)
        router = sockets.Router("127.0.0.1", port, lambda peer, frame, _a: (router.send(peer, frame), None)[1])
        dealer.send(b"two")
        await _until(lambda: answers[-1] == b"two")
        dealer.close()
        router.close()

    asyncio.run(run())


def test_a_frame_over_the_limit_does_not_arrive() -> None:
    async def run() -> None:
        got: list[bytes] = []
        lost: list[int] = []
        router = sockets.Router("127.0.0.1", 0, lambda _p, frame, _a: got.append(frame), max_frame=1000)
        dealer = sockets.Dealer("127.0.0.1", router.port, got.append, lambda: lost.append(1))
        dealer.send(b"x" * 2000)
        await _until(lambda: lost)
        assert got == []
        dealer.close()
        router.close()

    asyncio.run(run())


def test_a_bound_socket_sends_no_heartbeats_of_its_own() -> None:
    """With them, a peer that fills its queue and resets its connection could end the whole process in libzmq 4.3.5."""

    async def run() -> None:
        router = sockets.Router("127.0.0.1", 0, lambda peer, frame, address: None)
        publisher = sockets.Publisher("127.0.0.1", 0, lambda topic: None, lambda topic: None)
        dealer = sockets.Dealer("127.0.0.1", router.port, lambda frame: None)
        assert router._socket.getsockopt(zmq.HEARTBEAT_IVL) == publisher._socket.getsockopt(zmq.HEARTBEAT_IVL) == 0
        assert dealer._socket.getsockopt(zmq.HEARTBEAT_IVL) == 10_000
        for sock in (dealer, publisher, router):
            sock.close()

    asyncio.run(run())


def test_connections_are_told_as_they_come_and_go_and_by_their_messages() -> None:
    class Watcher:
        def __init__(self) -> None:
            self.events: list[tuple[str, int]] = []

        def accepted(self, descriptor: int) -> None:
            self.events.append(("accepted", descriptor))

        def closed(self, descriptor: int) -> None:
            self.events.append(("closed", descriptor))

    async def run() -> None:
        watcher, seen = Watcher(), []
        router = sockets.Router(
            "127.0.0.1", 0, lambda peer, frame, address: seen.append(router.descriptor), watcher=watcher
        )
        dealer = sockets.Dealer("127.0.0.1", router.port, lambda frame: None)
        dealer.send(b"hello")
        await _until(lambda: seen)
        assert watcher.events == [("accepted", seen[0])]
        address, port = connections.peer_name(seen[0])
        assert address == "127.0.0.1"
        assert connections.received_bytes(seen[0]) > 64
        assert not connections.shut(seen[0], (address, port + 1))  # somebody else's by now
        assert watcher.events == [("accepted", seen[0])]
        assert connections.shut(seen[0], (address, port))
        await _until(lambda: ("closed", seen[0]) in watcher.events)
        dealer.close()
        router.close()

    asyncio.run(run())


def test_the_library_is_new_enough() -> None:
    assert sockets.library_version() >= sockets.MIN_LIBZMQ
