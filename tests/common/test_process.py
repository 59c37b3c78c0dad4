"""Running programs: output and its limits, time and its limits, who they run as, and what cannot be started."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ctl.common import process
from ctl.common.errors import CommandExecutionError, CommandNotFoundError


def wait_for(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def shell(text: str, **options: object) -> process.Completed:
    return process.run(["/bin/sh", "-c", text], **options)  # type: ignore[arg-type]


def test_streams_exit_code_and_input_are_kept_apart() -> None:
    done = shell("cat; echo bad >&2; exit 3", stdin="given")
    assert (done.stdout, done.stderr, done.retcode) == (b"given", b"bad\n", 3)
    assert done.pid > 0
    assert not done.truncated
    assert not done.timed_out


def test_merged_streams_come_in_the_order_of_writing() -> None:
    assert shell("echo 1; echo 2 >&2; echo 3", merge_stderr=True).stdout == b"1\n2\n3\n"


def test_a_signal_is_a_negative_exit_code() -> None:
    assert shell("kill -9 $$").retcode == -9


def test_large_input_and_output_pass_without_a_deadlock() -> None:
    data = os.urandom(3_000_000)
    assert process.run(["cat"], stdin=data).stdout == data


def test_input_that_nobody_reads_is_no_error() -> None:
    assert process.run(["true"], stdin=b"x" * 3_000_000).retcode == 0


def test_output_beyond_the_limit_keeps_start_and_end() -> None:
    done = shell("echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo last", limit_bytes=100)
    assert done.truncated
    assert done.stdout.startswith(b"first\nxxx")
    assert done.stdout.endswith(b"xxxlast\n")
    assert b"bytes left out, the limit is 100 bytes" in done.stdout
    assert len(done.stdout) < 200


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 10, 15, 16, 100])
def test_a_limit_never_loses_bytes_silently(size: int) -> None:
    done = process.run(["cat"], stdin=b"a" * size, limit_bytes=9)
    assert done.stdout.count(b"a") == min(size, 9)
    assert done.truncated == (size > 9)


def test_a_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    started = time.monotonic()
    done = shell(f"sleep 300 & echo $! >{pids}; echo out; sleep 300", timeout=0.3)
    assert done.timed_out
    assert done.stdout == b"out\n"
    assert time.monotonic() - started < 5
    wait_for(lambda: not psutil.pid_exists(int(pids.read_text())))


def test_who_ignores_the_request_to_terminate_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    done = shell("trap '' TERM; while :; do sleep 60; done", timeout=0.2)
    assert done.timed_out
    assert done.retcode == -signal.SIGKILL


def test_a_program_left_behind_does_not_hold_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "QUIET_S", 0.1)
    started = time.monotonic()
    done = shell("sleep 60 & echo $!")
    assert time.monotonic() - started < 10
    os.kill(int(done.stdout), signal.SIGKILL)


def test_an_interrupted_caller_takes_its_program_along(tmp_path: Path) -> None:
    pids = tmp_path / "pids"

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGUSR1, interrupt)

    def send() -> None:
        wait_for(lambda: pids.exists() and pids.read_text().endswith("\n"))
        os.kill(os.getpid(), signal.SIGUSR1)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            shell(f"echo $$ >{pids}; sleep 300")
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, old)
    assert not psutil.pid_exists(int(pids.read_text()))


def test_without_exit_descriptors_the_end_is_polled_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_open_exit_watch", lambda pid: None)
    assert shell("echo a; exec >&- 2>&-; sleep 0.2; exit 5").retcode == 5


def test_no_descriptor_and_no_zombie_remains() -> None:
    before = len(os.listdir("/proc/self/fd"))
    children = len(psutil.Process().children())
    for _ in range(5):
        process.run(["true"], stdin="x", timeout=10)
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(psutil.Process().children()) == children


def test_environment_directory_and_umask_are_the_callers(tmp_path: Path) -> None:
    done = shell('echo "$A-$HOME"; pwd; umask', env={"A": "1"}, cwd=tmp_path, umask=0o27)
    assert done.text.split() == ["1-", str(tmp_path), "0027"]


@pytest.mark.parametrize(
    ("argv", "cwd", "words"),
    [
        (["no-such-program"], None, "there is no such program"),
        (["/etc/passwd"], None, "Permission denied"),
        (["true"], "/no/such/place", "working directory /no/such/place does not exist"),
        (["a\0b"], None, "null byte"),
    ],
)
def test_what_cannot_start_says_why(argv: list[str], cwd: str | None, words: str) -> None:
    with pytest.raises(CommandExecutionError, match=words):
        process.run(argv, cwd=cwd)


def test_a_missing_program_has_its_own_error() -> None:
    with pytest.raises(CommandNotFoundError):
        process.run(["no-such-program"])


def test_an_unknown_user_is_named() -> None:
    with pytest.raises(CommandExecutionError, match="there is no user 'nobody-such'"):
        process.run(["true"], user="nobody-such")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.root
def test_another_user_has_its_own_groups() -> None:
    done = process.run(["id"], user="nobody")
    assert done.text.startswith("uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can become anyone")
def test_only_root_becomes_another_user() -> None:
    with pytest.raises(CommandExecutionError, match="only root"):
        process.run(["id"], user="root")


def test_a_tool_runs_in_the_c_locale_and_explains_its_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    assert process.tool(["/bin/sh", "-c", "echo $LC_ALL$LANGUAGE"]).text == "C.UTF-8\n"
    with pytest.raises(CommandExecutionError, match="sh failed with exit code 4: why not"):
        process.tool(["/bin/sh", "-c", "echo why not >&2; exit 4"])
    assert process.tool(["/bin/sh", "-c", "exit 4"], ok=(0, 4)).retcode == 4
    with pytest.raises(CommandExecutionError, match=r"did not finish within 0\.1 seconds"):
        process.tool(["sleep", "60"], timeout=0.1)


def test_a_detached_program_outlives_its_caller(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pid = process.start_detached(["/bin/sh", "-c", "sleep 0.2; echo $$ >$0", str(mark)])
    assert psutil.Process(pid).ppid() != os.getpid()
    wait_for(lambda: mark.exists() and mark.read_text() == f"{pid}\n")
    with pytest.raises(CommandNotFoundError):
        process.start_detached(["no-such-program"])


def test_arguments_are_never_a_shells_text(tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/a);`touch {tmp_path}/b`\n;touch {tmp_path}/c"
    assert process.run(["printf", "%s", hostile]).text == hostile
    process.start_detached(["printf", hostile])
    process.run(["sleep", "0.1"])
    assert list(tmp_path.iterdir()) == []
