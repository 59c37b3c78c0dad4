"""LocalClient against a socket that speaks the real framing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import ctl.client
from ctl.client import LocalClient
from ctl.common.errors import CtlError, MasterUnavailable, TargetError
from ctl.common.payload import unpack_payload


@pytest.fixture
def client(master: Any) -> Iterator[LocalClient]:
    with LocalClient(str(master.config)) as found:
        yield found


def test_cmd_returns_what_each_minion_returned(client: LocalClient) -> None:
    assert client.cmd("*", "test.ping") == {"web1": True, "web2": True}
    assert client.cmd("web1", "test.echo", ["hello"]) == {"web1": "hello"}
    assert client.cmd("web1", "test.echo", kwarg={"text": {80: "x"}}) == {"web1": {80: "x"}}


def test_cmd_leaves_out_minions_that_are_not_connected(master: Any, client: LocalClient) -> None:
    master.minions["web2"] = False
    assert client.cmd("*", "test.ping") == {"web1": True}


def test_full_returns_carry_what_is_known_beside_the_return(master: Any, client: LocalClient) -> None:
    master.functions["test.fail"] = lambda: master.reply("no", retcode=3, success=False, out="txt")
    found = client.cmd("web1", "test.fail", full_return=True)["web1"]
    assert found == {
        "ret": "no",
        "retcode": 3,
        "success": False,
        "out": "txt",
        "fun": "test.fail",
        "jid": "20240101000000000001",
    }
    assert client.cmd_full_return("web1", "test.ping")["web1"]["ret"] is True


def test_nothing_matching_is_an_empty_answer(client: LocalClient) -> None:
    assert client.cmd("db*", "test.ping") == {}
    assert client.cmd_async("db*", "test.ping") == ""
    assert client.run_job("db*", "test.ping") == {}
    assert list(client.cmd_iter("db*", "test.ping")) == []
    assert list(client.cmd_iter_no_block("db*", "test.ping")) == []
    assert list(client.cmd_batch("db*", "test.ping")) == []


def test_a_mistaken_target_is_an_error_that_points_at_the_word(client: LocalClient) -> None:
    with pytest.raises(TargetError, match="not closed") as caught:
        client.cmd("(", "test.ping", tgt_type="compound")
    assert caught.value.expression == "("


def test_what_is_published_has_the_contract_s_shape(master: Any, client: LocalClient) -> None:
    client.cmd("os:Debian", "test.ping", tgt_type="grain", timeout=7, job_timeout=30, window=0, metadata={"a": 1})
    request = master.of("publish")[0]
    assert request["tgt"] == "os:Debian"
    assert (request["tgt_type"], request["delimiter"], request["fun"]) == ("grain", ":", "test.ping")
    assert (request["timeout"], request["job_timeout"], request["window"]) == (7.0, 30, 0)
    assert (request["wait"], request["max_time"], request["follow"], request["progress"]) == (False, 0.0, True, False)
    assert isinstance(request["metadata"], bytes)
    assert len(request["request_id"]) == 32


def test_defaults_come_from_the_master_s_configuration(master: Any) -> None:
    master.config.write_text(f"sock_dir: {master.directory}/run\ntimeout: 9\ndelivery_window: 33\n")
    with LocalClient(str(master.config.parent)) as client:
        client.cmd("*", "test.ping")
    assert (master.requests[0]["timeout"], master.requests[0]["window"]) == (9.0, 33.0)


def test_a_list_of_minions_is_a_list_target(master: Any, client: LocalClient) -> None:
    assert client.cmd(["web2"], "test.ping") == {"web2": True}
    assert master.requests[0]["tgt_type"] == "list"


def test_several_functions_go_in_one_job(master: Any, client: LocalClient) -> None:
    assert client.cmd("web1", ["test.ping", "test.echo"], [[], ["x"]]) == {
        "web1": {"test.ping": True, "test.echo": "x"}
    }
    assert len(master.of("publish")) == 1


def test_salts_marked_keywords_become_keywords(master: Any, client: LocalClient) -> None:
    client.cmd("web1", "test.echo", [{"__kwarg__": True, "text": "y"}])
    assert master.published()[0] == {"fun": "test.echo", "arg": [], "kwarg": {"text": "y"}}


def test_a_bare_text_is_one_argument(client: LocalClient) -> None:
    assert client.cmd("web1", "test.echo", "hello") == {"web1": "hello"}


@pytest.mark.parametrize(("ret", "names"), [("a, b,", ["a", "b"]), (["c"], ["c"]), ("", None)])
def test_returners_go_with_the_payload(master: Any, client: LocalClient, ret: Any, names: Any) -> None:
    client.cmd("web1", "test.ping", ret=ret)
    assert unpack_payload(master.of("publish")[0]["payload"]).get("ret") == names


def test_a_jid_of_the_callers_is_refused_rather_than_ignored(client: LocalClient) -> None:
    with pytest.raises(CtlError, match="jid"):
        client.cmd("*", "test.ping", jid="2024")


def test_an_unknown_argument_names_the_nearest(client: LocalClient) -> None:
    with pytest.raises(TypeError, match="did you mean 'metadata'"):
        client.cmd("*", "test.ping", metdata={})  # type: ignore[call-arg]


def test_async_gives_a_jid_whose_returns_are_kept(client: LocalClient, master: Any) -> None:
    jid = client.cmd("*", "test.ping", full_return=True)["web1"]["jid"]
    assert client.cmd_async("*", "test.ping") != jid
    assert client.run_job("*", "test.ping")["minions"] == ["web1", "web2"]
    assert client.pub("*", "test.ping")["jid"]
    assert {minion: found["ret"] for minion, found in client.get_cache_returns(jid).items()} == {
        "web1": True,
        "web2": True,
    }
    assert client.get_returns(jid, ["web1"]) == {"web1": True}
    assert client.get_returns(jid) == {"web1": True, "web2": True}


def test_cmd_iter_yields_each_return_as_it_comes(master: Any, client: LocalClient) -> None:
    slow = {"web1": master.reply("slow", delay=0.3), "web2": master.reply("fast")}
    master.functions["test.each"] = lambda: slow
    found = list(client.cmd_iter("*", "test.each"))
    assert [list(item) for item in found] == [["web2"], ["web1"]]
    assert found[0]["web2"]["ret"] == "fast"


def test_cmd_iter_no_block_yields_none_while_nothing_comes(master: Any, client: LocalClient) -> None:
    master.functions["test.slow"] = lambda: master.reply("late", delay=0.35)
    found = list(client.cmd_iter_no_block("web1", "test.slow"))
    assert found[0] is None
    assert found[-1] is not None
    assert found[-1]["web1"]["ret"] == "late"


def test_a_large_return_comes_in_parts(master: Any, client: LocalClient) -> None:
    text = "x" * 12_345
    master.functions["test.large"] = lambda: master.reply(text, split=True)
    assert client.cmd("*", "test.large") == {"web1": text, "web2": text}


def test_a_batch_runs_no_more_than_its_size_at_once(master: Any, client: LocalClient) -> None:
    master.minions = {f"m{i}": True for i in range(9)} | {"away": False}
    master.functions["test.slow"] = lambda: master.reply("done", delay=0.02)
    found = list(client.cmd_batch("*", "test.slow", batch=3))
    assert sorted(minion for item in found for minion in item) == [f"m{i}" for i in range(9)]
    assert master.most_running <= 3


def test_a_batch_stops_at_a_failure_where_that_is_asked_for(master: Any, client: LocalClient) -> None:
    master.minions = {f"m{i}": True for i in range(9)}
    master.functions["test.fail"] = lambda: master.reply("no", retcode=1, success=False)
    assert len(list(client.cmd_batch("*", "test.fail", batch="11%", failhard=True))) == 1


def test_a_subset_is_asked_of_the_master(master: Any, client: LocalClient) -> None:
    assert len(client.cmd_subset("*", "test.ping", subset=1)) == 1
    assert master.requests[0]["subset"] == 1


def test_gather_minions_runs_nothing(master: Any, client: LocalClient) -> None:
    assert client.gather_minions("web*") == ["web1", "web2"]
    assert [request["op"] for request in master.requests] == ["targets"]


def test_calls_one_after_another_share_a_connection(master: Any, client: LocalClient) -> None:
    for _ in range(5):
        client.cmd("*", "test.ping")
    assert len(master.connections) == 1


def test_many_threads_use_one_client(master: Any, client: LocalClient) -> None:
    master.functions["test.slow"] = lambda text: master.reply(text, delay=0.05)
    with ThreadPoolExecutor(12) as threads:
        found = list(threads.map(lambda i: client.cmd("web1", "test.slow", [i]), range(24)))
    assert found == [{"web1": i} for i in range(24)]


def test_a_call_survives_a_master_that_closed_an_idle_connection(master: Any, client: LocalClient) -> None:
    client.cmd("*", "test.ping")
    kept, _ = client.pool.take()
    kept._sock.shutdown(2)
    client.pool.give(kept)
    assert client.cmd("*", "test.ping") == {"web1": True, "web2": True}


def test_a_request_that_met_a_dead_connection_is_repeated_once(
    master: Any, client: LocalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.cmd("*", "test.ping")
    monkeypatch.setattr("ctl.client.connection._is_alive", lambda _: True)
    kept, _ = client.pool.take()
    kept._sock.shutdown(2)
    client.pool.give(kept)
    assert client.cmd("*", "test.ping") == {"web1": True, "web2": True}


def test_giving_up_an_iteration_closes_its_connection(master: Any, client: LocalClient) -> None:
    before = len(os.listdir("/proc/self/fd"))
    master.functions["test.each"] = lambda: {"web1": master.reply(1), "web2": master.reply(2, never=True)}
    found = client.cmd_iter("*", "test.each")
    assert next(found)["web1"]["ret"] == 1
    found.close()
    deadline = time.monotonic() + 10  # the fake's end of it is closed a moment later
    while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before
    assert client.cmd("*", "test.ping") == {"web1": True, "web2": True}


def test_a_forked_child_does_not_share_its_parent_s_connections(master: Any, client: LocalClient) -> None:
    client.cmd("*", "test.ping")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.cmd("*", "test.ping") == {"web1": True, "web2": True} else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert client.cmd("*", "test.ping") == {"web1": True, "web2": True}


def test_without_a_master_the_error_says_so(tmp_path: Any) -> None:
    client = LocalClient(str(tmp_path / "master"), {"sock_dir": str(tmp_path)})
    with pytest.raises(MasterUnavailable, match="no master is running"):
        client.cmd("*", "test.ping")


def test_the_clients_are_imported_when_they_are_used() -> None:
    assert set(ctl.client.__all__) <= set(dir(ctl.client))
    with pytest.raises(AttributeError):
        ctl.client.Nothing  # noqa: B018


def test_a_waiting_call_does_not_hold_up_others(master: Any, client: LocalClient) -> None:
    master.functions["test.slow"] = lambda: master.reply("late", delay=0.5)
    waiting = threading.Thread(target=lambda: client.cmd("*", "test.slow"))
    waiting.start()
    started = time.monotonic()
    client.cmd("*", "test.ping")
    assert time.monotonic() - started < 0.4
    waiting.join()
