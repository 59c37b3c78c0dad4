"""How much unauthenticated peers may ask, and that nothing they do grows without bound."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ctl.master.admission import Admission, Bucket, Buckets, HalfOpen, Rates, Verdict


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(5.0, 0.0)
    assert [bucket.take(1.0, 5.0, 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert not bucket.take(1.0, 5.0, 0.5)
    assert bucket.take(1.0, 5.0, 1.0)


def test_sources_have_buckets_of_their_own_and_their_number_is_bounded() -> None:
    buckets = Buckets(1.0, 1.0, most=10)
    assert buckets.take("a", 0.0)
    assert not buckets.take("a", 0.0)
    assert buckets.take("b", 0.0)
    for number in range(1000):
        buckets.take(f"source{number}", 0.0)
    assert len(buckets._buckets) == 10


def admitted(admission: Admission, addresses: list[str], now: float = 0.0, *, solve: bool = False) -> list[Verdict]:
    return [admission.decide(address, now, lambda bits: solve) for address in addresses]


def test_a_source_has_its_rate_and_a_trusted_one_a_higher_one() -> None:
    rates = Rates(source=1.0, burst=2.0, trusted=100.0, total=1000.0, trusted_networks=("10.0.0.0/8",))
    admission = Admission(rates)
    assert admitted(admission, ["192.0.2.1"] * 50).count(Verdict.ADMIT) == 2
    assert admitted(admission, ["192.0.2.1"] * 50, 1.0).count(Verdict.ADMIT) == 1
    assert admitted(admission, ["10.0.0.1"] * 500, 1.0).count(Verdict.FIRST) == 100


def test_half_of_the_total_is_free_and_the_rest_is_for_who_solves_a_puzzle() -> None:
    admission = Admission(Rates(total=100.0))
    many = [f"192.0.2.{number}" for number in range(250)]
    found = admitted(admission, many)
    assert found.count(Verdict.ADMIT) == 50
    assert set(found[50:]) == {Verdict.PUZZLE}
    found = admitted(admission, many, solve=True)
    assert found.count(Verdict.FIRST) == 50
    assert set(found[50:]) == {Verdict.LATER}
    assert admission.bits(0.0) > admission.bits(1.0) >= 12


def test_a_trusted_network_solves_no_puzzles() -> None:
    admission = Admission(Rates(total=100.0, trusted=1000.0, trusted_networks=("192.0.2.0/24",)))
    assert admitted(admission, ["192.0.2.1"] * 100) == [Verdict.FIRST] * 100
    assert admission.decide("198.51.100.1", 1.0, lambda bits: False, crowded=True) is Verdict.PUZZLE


def test_an_ipv6_network_is_one_source() -> None:
    admission = Admission(Rates(trusted_networks=("2001:db8:5::/48",)))
    assert admission.source("2001:db8::1") == admission.source("2001:db8::ffff") == ("2001:db8::/64", False)
    assert admission.source("2001:db8:5::1") == ("2001:db8:5::/64", True)
    assert admission.source("fe80::1%eth0")[0] == "fe80::/64"
    assert admission.source("") == ("", False)


def test_half_open_handshakes_end_by_age() -> None:
    table: HalfOpen[str] = HalfOpen(most=10, seconds=10.0)
    table.add(b"1", "one", "a", 0.0)
    assert table.pop(b"1", 9.9) == "one"
    assert table.pop(b"1", 9.9) is None
    table.add(b"2", "two", "a", 0.0)
    assert table.pop(b"2", 10.0) is None


def test_a_full_table_drops_the_oldest_of_the_same_source_first() -> None:
    table: HalfOpen[str] = HalfOpen(most=3, seconds=10.0)
    table.add(b"honest", "x", "a", 0.0)
    for number in range(50):
        table.add(b"%d" % number, "y", "b", 0.0)
    assert len(table) == 3
    assert table.pop(b"honest", 1.0) == "x"
    table.add(b"new", "z", "c", 1.0)
    assert table.pop(b"new", 1.0) == "z"


@given(st.lists(st.tuples(st.sampled_from(["add", "pop"]), st.integers(0, 20), st.sampled_from("abc"))))
def test_the_table_is_bounded_and_its_indexes_agree(steps: list[tuple[str, int, str]]) -> None:
    table: HalfOpen[int] = HalfOpen(most=5, seconds=3.0)
    for now, (what, number, source) in enumerate(steps):
        key = b"%d-%d" % (number, now if what == "add" else number)
        if what == "add":
            table.add(key, number, source, float(now))
        else:
            table.pop(key, float(now))
        assert len(table) <= 5
        assert sum(len(keys) for keys in table._by_source.values()) == len(table)
