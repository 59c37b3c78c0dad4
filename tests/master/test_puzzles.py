"""Puzzles: bound to a source, a minute and a HELLO, good once; and what they cost."""

from __future__ import annotations

from ctl.common import puzzle
from ctl.common.hints import MAX_PUZZLE_BITS
from ctl.master.puzzles import LEAST_BITS, Puzzles, bits_for

KEY = bytes(range(32))
EPHEMERAL = bytes(32)


def test_a_solution_is_taken_once() -> None:
    puzzles = Puzzles(KEY)
    seed = puzzles.seed("192.0.2.1", 100.0)
    nonce = puzzle.solve(seed, EPHEMERAL, 8)
    assert nonce is not None
    assert puzzles.takes("192.0.2.1", seed, EPHEMERAL, nonce, 8, 100.0)
    assert not puzzles.takes("192.0.2.1", seed, EPHEMERAL, nonce, 8, 100.0)


def test_a_solution_is_of_its_source_its_minute_and_its_key() -> None:
    puzzles = Puzzles(KEY)
    seed = puzzles.seed("192.0.2.1", 100.0)
    nonce = puzzle.solve(seed, EPHEMERAL, 8)
    assert nonce is not None
    assert not puzzles.takes("192.0.2.2", seed, EPHEMERAL, nonce, 8, 100.0)
    assert not puzzles.takes("192.0.2.1", seed, EPHEMERAL, nonce, 8, 181.0)
    assert not puzzles.takes("192.0.2.1", seed, bytes(31) + b"x", nonce, 16, 100.0)
    assert not Puzzles(bytes(32)).takes("192.0.2.1", seed, EPHEMERAL, nonce, 8, 100.0)
    assert not puzzles.takes("192.0.2.1", bytes(16), EPHEMERAL, bytes(16), 0, 100.0)
    assert puzzles.takes("192.0.2.1", seed, EPHEMERAL, nonce, 8, 179.0)


def test_the_puzzle_gets_harder_with_the_load() -> None:
    bits = [bits_for(load / 10) for load in range(11)]
    assert bits == sorted(bits)
    assert bits[0] == LEAST_BITS
    assert bits[-1] <= MAX_PUZZLE_BITS


def test_a_puzzle_that_nobody_wants_solved_any_more_is_left() -> None:
    assert puzzle.solve(bytes(16), EPHEMERAL, 200, lambda: False) is None


def test_no_bits_are_no_puzzle() -> None:
    assert puzzle.solve(bytes(16), EPHEMERAL, 0) == bytes(16)
    assert puzzle.is_solved(bytes(16), EPHEMERAL, bytes(16), 0)
