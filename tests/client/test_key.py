"""The program `ctl-key`: through a running master, and on the files while none runs."""

from __future__ import annotations

import fcntl
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctl.client import keys as key_access
from ctl.client import settings
from ctl.client.cli import key
from ctl.common import crypto
from ctl.common.enrol_token import EnrolToken
from ctl.common.errors import MasterUnavailable
from ctl.master.keys import KeyTable

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `ctl-key` with words (and what is typed); return its exit code and what it printed."""

    def run(*words: str, typed: str | io.StringIO = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed) if isinstance(typed, str) else typed)
        code = key.main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


class Site:
    """A master that does not run: its configuration and its keys."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "etc"
        self.config.mkdir()
        (self.config / "master").write_text(f"root_dir: {directory}\n")
        self.settings = settings.load(self.config)
        self.home = self.settings.data_dir / "master"
        self.publics: dict[str, bytes] = {}

    def add(self, minion: str, accept: bool = False) -> str:
        """Have a minion show a key; return its fingerprint."""
        public = crypto.IdentityKey.generate().public
        self.publics[minion] = public
        table = KeyTable(self.home / "keys.db", pending_per_source=1000)
        try:
            table.claim(minion, public, "10.0.0.1")
            fingerprint = crypto.fingerprint(crypto.MINION, public)
            if accept:
                table.accept(fingerprint=fingerprint)
        finally:
            table.close()
        return fingerprint


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    found = Site(tmp_path)
    monkeypatch.setenv("CTL_CONFIG_DIR", str(found.config))
    return found


def _lists(call: Run) -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(call("-L", "--out", "json")[1])
    return found


def test_keys_are_listed_by_state(site: Site, call: Run) -> None:
    site.add("web1", accept=True)
    site.add("web2")
    text = "Accepted Keys:\nweb1\nDenied Keys:\nUnaccepted Keys:\nweb2\nRejected Keys:\n"
    assert call("-L") == call() == (0, text, "")
    assert _lists(call) == {"minions": ["web1"], "minions_denied": [], "minions_pre": ["web2"], "minions_rejected": []}


@pytest.mark.parametrize("word", ["pre", "un", "unaccepted", "pending"])
def test_one_state_can_be_listed(site: Site, call: Run, word: str) -> None:
    site.add("web2")
    assert call("-l", word)[1] == "Unaccepted Keys:\nweb2\n"
    assert call("-l", "nonsense")[0] == 2


def test_accepting_with_yes_asks_nothing(site: Site, call: Run) -> None:
    site.add("web1")
    site.add("web2")
    assert call("-A", "-y") == (0, "Key for minion web1 accepted.\nKey for minion web2 accepted.\n", "")
    assert _lists(call)["minions"] == ["web1", "web2"]


@pytest.mark.parametrize(("typed", "accepted"), [("\n", True), ("y\n", True), ("n\n", False), ("", False)])
def test_without_yes_the_answer_counts(site: Site, call: Run, typed: str, accepted: bool) -> None:
    fingerprint = site.add("web1")
    code, _, err = call("-a", "web*", typed=typed)
    assert code == 0
    assert f"web1  {fingerprint}  (pending)" in err
    assert bool(_lists(call)["minions"]) is accepted


def test_a_key_that_arrives_while_the_question_stands_is_not_accepted(site: Site, call: Run) -> None:
    site.add("web1")

    class Typed(io.StringIO):
        def readline(self, *_: Any) -> str:  # type: ignore[override]
            site.add("web2")
            return "y\n"

    assert call("-A", typed=Typed())[0] == 0
    assert _lists(call)["minions_pre"] == ["web2"]


@pytest.mark.parametrize("words", [["-A", "-y"], ["-a", "web1", "-y"], ["-R", "-y"], ["-D", "-y"]])
def test_where_nothing_waits_a_sentence_says_so_and_all_is_well(site: Site, call: Run, words: list[str]) -> None:
    code, out, _ = call(*words)
    assert code == 0
    assert out.startswith("No key")


def test_a_name_that_fits_no_key_while_some_wait_is_a_mistake(site: Site, call: Run) -> None:
    site.add("web1")
    code, out, _ = call("-a", "wbe1", "-y")
    assert code == 2
    assert "did you mean web1?" in out
    assert call("-a", "db*", "-y")[0] == 0


def test_what_is_accepted_already_is_no_mistake(site: Site, call: Run) -> None:
    site.add("web1", accept=True)
    assert call("-a", "web1", "-y")[:2] == (0, "No keys wait for acceptance: web1 is accepted.\n")


def test_rejecting_and_deleting(site: Site, call: Run) -> None:
    site.add("web1")
    site.add("web2", accept=True)
    assert call("-r", "web1", "-y")[1] == "Key for minion web1 rejected.\n"
    assert "add --include-accepted" in call("-r", "web2", "-y")[1]
    assert call("-r", "web2", "-y", "--include-accepted")[1] == "Key for minion web2 rejected.\n"
    assert call("-a", "*", "-y", "--include-rejected")[1].count("accepted.") == 2
    assert call("-d", "web1", "-y")[1] == "Key for minion web1 deleted.\n"
    assert call("-D", "-y")[1] == "Key for minion web2 deleted.\n"
    assert not any(_lists(call).values())


def test_of_two_keys_for_one_id_a_fingerprint_chooses(site: Site, call: Run) -> None:
    first = site.add("web1")
    second = site.add("web1")
    code, _, err = call("-a", "web1", "-y")
    assert code == 2
    assert "--fingerprint" in err
    assert call("-a", "other", "--fingerprint", second, "-y")[0] == 2
    assert call("-a", "web1", "--fingerprint", second, "-y")[0] == 0
    found = json.loads(call("-F", "--out", "json")[1])
    assert found["minions"] == {"web1": second}
    assert found["minions_denied"] == {"web1": first}


def test_fingerprints(site: Site, call: Run) -> None:
    fingerprint = site.add("web1", accept=True)
    identity = crypto.IdentityKey.generate()
    site.settings.pki_dir.mkdir(parents=True, mode=0o700)
    identity.save(site.settings.pki_dir / "master.pem")
    master = crypto.fingerprint(crypto.MASTER, identity.public)
    assert call("-F")[1] == f"Local Keys:\nmaster.pub:  {master}\nAccepted Keys:\nweb1:  {fingerprint}\n"
    assert json.loads(call("-f", "WEB*", "--out", "json")[1]) == {"minions": {"web1": fingerprint}}
    code, _, err = call("-f", "wb1")
    assert (code, err) == (2, "No key matches 'wb1'; did you mean web1?\n")


def test_public_keys(site: Site, call: Run) -> None:
    site.add("web1", accept=True)
    pem = crypto.public_pem(site.publics["web1"])
    assert call("-p", "web1")[1] == f"Accepted Keys:\nweb1:\n{pem}"
    assert json.loads(call("-P", "--out", "json")[1]) == {"minions": {"web1": pem}}
    assert call("-p", "other")[0] == 2


def test_keys_are_made_and_accepted_before_their_minion_comes(site: Site, call: Run, tmp_path: Path) -> None:
    tmp_path = tmp_path / "made" / "here"
    code, out, _ = call("--gen-keys", "web9", "--gen-keys-dir", str(tmp_path))
    assert code == 0
    identity = crypto.IdentityKey.load(tmp_path / "web9.pem")
    assert (tmp_path / "web9.pem").stat().st_mode & 0o777 == 0o600
    assert crypto.fingerprint(crypto.MINION, identity.public) in out
    assert call("--preseed", "web9", "--pub", str(tmp_path / "web9.pub"))[0] == 0
    assert _lists(call)["minions"] == ["web9"]
    assert call("--gen-keys", "web9", "--gen-keys-dir", str(tmp_path))[0] == 2
    assert call("--gen-keys", "web8", "--gen-keys-dir", str(tmp_path), "--preseed", "web8")[0] == 0
    assert call("--preseed", "web7")[0] == 2


def test_quiet_prints_nothing(site: Site, call: Run) -> None:
    site.add("web1")
    assert call("-A", "-y", "-q") == (0, "", "")


@pytest.mark.parametrize(
    "words", [["-A", "-D"], ["--fingerprint", "x"], ["web1"], ["--keysize", "2048"], ["-a"], ["--acept", "x"]]
)
def test_usage_errors_are_exit_code_2(site: Site, call: Run, words: list[str]) -> None:
    code, _, err = call(*words)
    assert code == 2
    assert err.startswith("ctl-key: ")


def test_looking_makes_no_files(site: Site, call: Run) -> None:
    call("-L")
    assert not site.settings.data_dir.exists()


def test_a_starting_master_is_waited_for(site: Site, call: Run) -> None:
    site.add("web1")
    lock = os.open(site.home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    timer = threading.Timer(0.3, os.close, [lock])
    timer.start()
    assert call("-A", "-y")[0] == 0
    timer.join()


def test_a_master_that_never_answers_is_given_up(site: Site) -> None:
    site.add("web1")
    with open(site.home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(MasterUnavailable, match="does not answer"):
            key_access.open_keys(site.settings, wait_seconds=0.2)


@pytest.fixture
def online(master: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("CTL_CONFIG_DIR", str(master.config.parent))
    master.keys["accepted"]["web1"] = "FP1"
    master.keys["pending"]["web2"] = [["FP2", "10.0.0.2", 1.0, 2.0]]
    return master


def test_a_running_master_is_asked(online: Any, call: Run) -> None:
    assert call("-L")[1] == "Accepted Keys:\nweb1\nDenied Keys:\nUnaccepted Keys:\nweb2\nRejected Keys:\n"
    assert call("-F")[1].startswith("Local Keys:\nmaster.pub:  MASTERFP\nAccepted Keys:\nweb1:  FP1\n")
    assert call("-p", "web1")[1] == "Accepted Keys:\nweb1:\nPEM of\nweb1\n"
    assert call("-a", "web2", typed="\n")[1] == "Key for minion web2 accepted.\n"
    assert [request["dry_run"] for request in online.of("key.accept")] == [True, False]
    assert online.of("key.accept")[1]["fingerprint"] == "FP2"
    assert _lists(call)["minions"] == ["web1", "web2"]


def test_documents_name_what_was_changed(online: Any, call: Run) -> None:
    assert json.loads(call("-A", "-y", "--out", "json")[1]) == {"minions": ["web2"]}


# -- words: tokens, the master's own key


def test_a_token_is_printed_once_and_listed_without_its_secret(site: Site, call: Run) -> None:
    code, out, err = call("token", "create", "--id", "web*", "--uses", "3", "--expires", "2h")
    assert code == 0
    token = EnrolToken.parse(out)
    assert "3 minions with the id web*" in err
    listed = call("token", "list")[1]
    assert listed.startswith(f"{token.id.hex()[:16]}: for web*, used 0 of 3, until ")
    assert out.strip() not in listed
    (row,) = json.loads(call("token", "list", "--out", "json")[1])
    assert 7100 < row["expires"] - row["created"] <= 7200
    assert call("token", "revoke", row["name"])[1] == f"Token {row['name']} revoked.\n"
    assert call("token", "revoke", row["name"])[0] == 2


@pytest.mark.parametrize(
    "words",
    [
        ("token", "create", "--expires", "soon"),
        ("token", "create", "--expires", "0"),
        ("token", "create", "--uses", "0"),
        ("token", "burn"),
        ("rotate-master", "now"),
        ("nonsense",),
        ("accept",),
    ],
)
def test_words_that_are_not_understood_change_nothing(site: Site, call: Run, words: tuple[str, ...]) -> None:
    assert call(*words)[0] == 2
    assert call("token", "list")[1] == ""


def test_keys_are_accepted_by_words_too(site: Site, call: Run) -> None:
    site.add("web1")
    assert call("accept", "web1", "-y") == (0, "Key for minion web1 accepted.\n", "")
    assert call("list", "acc")[1] == "Accepted Keys:\nweb1\n"
    assert call("delete", "web1", "-y")[0] == 0


def test_a_verbose_list_says_where_keys_came_from_and_when(site: Site, call: Run) -> None:
    fingerprint = site.add("web1")
    text = call("-l", "pre", "-v")[1]
    assert f"web1:  {fingerprint} (from 10.0.0.1, first seen 20" in text


def test_the_masters_key_is_changed_while_no_master_runs(site: Site, call: Run) -> None:
    site.add("web1", accept=True)
    pki = site.settings.pki_dir
    pki.mkdir(parents=True)
    first = crypto.IdentityKey.load_or_create(pki / "master.pem").public
    assert call("rotate-master", typed="n\n")[0] == 0
    assert crypto.IdentityKey.load(pki / "master.pem").public == first
    code, out, _ = call("rotate-master", "-y")
    assert code == 0
    assert crypto.fingerprint(crypto.MASTER, first) in out
    second = crypto.IdentityKey.load(pki / "master.pem").public
    assert crypto.fingerprint(crypto.MASTER, second) in out
    code, _, err = call("rotate-master", "--finish", typed="\n")
    assert code == 0
    assert "Not seen since the key was changed: web1" in err
    assert (pki / "master.chain").exists()
    assert call("rotate-master", "--finish", typed="y\n")[1] == "The former key is forgotten.\n"
    assert not (pki / "master.chain").exists()
    assert call("rotate-master", "--finish")[1] == "No change of the master's key is under way.\n"
