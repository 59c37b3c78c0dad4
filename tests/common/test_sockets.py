"""The sockets: both directions, the subscription gate, and what happens when a peer goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ctl.common import sockets


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


def test_the_library_is_new_enough() -> None:
    assert sockets.library_version() >= sockets.MIN_LIBZMQ
