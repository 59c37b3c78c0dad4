"""Where a source that may change unseen is checked: signatures by the real gpg, ETags, and a real FTP server."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ctl.common.errors import CommandExecutionError
from ctl.states._signature import Signers, _good_keys

DEADLINE_S = 20.0


@dataclass
class Keys:
    """A GnuPG home with the keys of two people."""

    home: Path
    anne: str
    ben: str

    def gpg(self, *words: str) -> str:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--pinentry-mode", "loopback", *words]
        return subprocess.run([*command], check=True, capture_output=True, text=True).stdout

    def sign(self, path: Path, *people: str) -> Path:
        """Make a detached signature."""
        who = [word for one in people or (self.anne,) for word in ("--local-user", one)]
        signature = path.with_name(f"{path.name}.asc")
        self.gpg("--armor", *who, "--output", str(signature), "--detach-sign", str(path))
        return signature

    def clearsign(self, path: Path) -> None:
        signed = path.with_name("signed")
        self.gpg("--local-user", self.anne, "--output", str(signed), "--clearsign", str(path))
        signed.replace(path)


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    home = Path("/tmp", f"ctl-gpg-{os.getpid()}")  # a short path: gpg's agent has a socket in it
    home.mkdir(mode=0o700)
    made = Keys(home, "", "")
    try:
        for person in ("anne", "ben"):
            made.gpg("--passphrase", "", "--quick-generate-key", f"{person}@example.org", "ed25519", "sign", "never")
            listed = made.gpg("--with-colons", "--list-keys", f"{person}@example.org")
            fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
            setattr(made, person, fingerprint)
        yield made
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)
        shutil.rmtree(home)


def test_a_file_with_a_good_signature_is_written_and_one_without_is_not(machine: Any, keys: Keys) -> None:
    path, source = machine.root / "app", machine.tree / "app"
    source.write_text("good\n")
    keys.sign(source)
    given = {"name": str(path), "source": "salt://app", "signature": "salt://app.asc", "gnupghome": str(keys.home)}
    machine.settle("file.managed", **given)
    source.write_text("evil\n")
    refused = machine.run("file.managed", **given)
    assert refused.result is False
    assert "salt://app has no good signature" in refused.comment
    assert path.read_text() == "good\n"
    assert machine.run("file.managed", **{**given, "signature": "salt://none.asc"}).result is False
    source.write_text("good\n")
    (machine.tree / "app.asc").unlink()
    assert machine.run("file.managed", **given).result is True, "what is there already is not checked again"


def test_it_matters_who_signed(machine: Any, keys: Keys, tmp_path: Path) -> None:
    source = machine.tree / "app"
    source.write_text("good\n")
    keys.sign(source, keys.anne)
    given = {"source": "salt://app", "signature": "salt://app.asc", "gnupghome": str(keys.home)}

    def run(name: str, **signers: Any) -> Any:
        return machine.run("file.managed", name=str(machine.root / name), **given, **signers)

    assert run("a", signed_by_any=[keys.ben, keys.anne.lower()]).result is True
    assert "signed by none of" in run("b", signed_by_any=keys.ben).comment
    assert f"is not signed by {keys.ben}" in run("b", signed_by_all=[keys.anne, keys.ben]).comment
    keys.sign(source, keys.anne, keys.ben)
    assert run("b", signed_by_all=[keys.anne, keys.ben]).result is True
    assert "a key's id is not enough" in run("c", signed_by_any=keys.anne[-16:]).comment
    stranger = tmp_path / "stranger"
    stranger.mkdir(mode=0o700)
    outcome = machine.run("file.managed", name=str(machine.root / "c"), **{**given, "gnupghome": str(stranger)})
    assert "no good signature" in outcome.comment


def test_a_template_is_checked_before_it_is_rendered(machine: Any, keys: Keys) -> None:
    source = machine.tree / "page"
    source.write_text("{{ 1 + 1 }}\n")
    keys.sign(source)
    given = {"name": str(machine.root / "page"), "source": "salt://page", "template": "jinja"}
    given |= {"signature": "salt://page.asc", "gnupghome": str(keys.home)}
    machine.settle("file.managed", **given)
    assert (machine.root / "page").read_text() == "2\n"
    source.write_text("{{ 2 + 1 }}\n")
    assert machine.run("file.managed", **given).result is False


def test_an_inline_signature_stays_in_the_file(machine: Any, keys: Keys) -> None:
    source = machine.tree / "note"
    source.write_text("hello\n")
    keys.clearsign(source)
    given = {"name": str(machine.root / "note"), "source": "salt://note", "signature": True}
    machine.settle("file.managed", **given, gnupghome=str(keys.home))
    assert "BEGIN PGP SIGNED MESSAGE" in (machine.root / "note").read_text()


def test_only_what_is_signed_of_a_file_of_digests_counts(machine: Any, keys: Keys, web: Web) -> None:
    good, evil = b"good\n", b"evil\n"
    web.files["/app"] = good
    sums = machine.tree / "SUMS"
    sums.write_text(f"{hashlib.sha256(good).hexdigest()}  app\n")
    keys.clearsign(sums)
    web.files["/SUMS"] = sums.read_bytes()
    path = machine.root / "app"
    given = {"name": str(path), "source": f"{web.url}/app", "source_hash": f"{web.url}/SUMS", "source_hash_sig": True}
    given["gnupghome"] = str(keys.home)
    machine.settle("file.managed", **given)
    web.files["/app"] = evil
    web.files["/SUMS"] = f"{hashlib.sha256(evil).hexdigest()}  app\n".encode() + sums.read_bytes()
    assert machine.run("file.managed", **given).result is True
    assert path.read_bytes() == good
    web.files["/SUMS"] = f"{hashlib.sha256(evil).hexdigest()}  app\n".encode()
    assert "no good signature" in machine.run("file.managed", **given).comment


def test_a_file_of_digests_may_have_a_detached_signature(machine: Any, keys: Keys, web: Web) -> None:
    sums = machine.tree / "SUMS"
    sums.write_text(f"{hashlib.sha256(b'good').hexdigest()}  app\n")
    web.files |= {"/app": b"good", "/SUMS": sums.read_bytes(), "/SUMS.asc": keys.sign(sums).read_bytes()}
    given = {"name": str(machine.root / "app"), "source": f"{web.url}/app", "source_hash": f"{web.url}/SUMS"}
    given |= {"source_hash_sig": f"{web.url}/SUMS.asc", "gnupghome": str(keys.home)}
    machine.settle("file.managed", **given)
    web.files["/SUMS"] += b"\n"
    assert "no good signature" in machine.run("file.managed", **given).comment


def test_what_gpg_says_of_spoilt_signatures_does_not_count() -> None:
    one, two = "A" * 40, "B" * 40
    status = (
        f"[GNUPG:] NEWSIG\n[GNUPG:] EXPKEYSIG X old\n[GNUPG:] VALIDSIG {one} 2020 0 0 4 0 22 8 00 {one}\n"
        f"[GNUPG:] NEWSIG\n[GNUPG:] REVKEYSIG X gone\n[GNUPG:] VALIDSIG {one} 2020 0 0 4 0 22 8 00 {one}\n"
        f"[GNUPG:] NEWSIG\n[GNUPG:] GOODSIG X b\n[GNUPG:] VALIDSIG {two} 2020 0 0 4 0 22 8 00 {two}\n"
        f"gpg: GOODSIG\n[GNUPG:] NEWSIG\n[GNUPG:] BADSIG X a\n"
    )
    assert set(_good_keys(status)) == {two}
    with pytest.raises(CommandExecutionError, match="no fingerprint"):
        Signers.read("0xDEADBEEF", None, None, None)


@dataclass
class Web:
    """A web server that knows ETags, and remembers what it answered."""

    url: str
    files: dict[str, bytes]
    answers: list[int]
    tags: bool = True


@pytest.fixture
def web() -> Iterator[Web]:
    found = Web("", {}, [])

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = found.files.get(self.path)
            tag = f'"{hashlib.sha256(body or b"").hexdigest()}"'
            code = 404 if body is None else 304 if self.headers.get("If-None-Match") == tag else 200
            found.answers.append(code)
            self.send_response(code)
            if found.tags:
                self.send_header("ETag", tag)
            sent = body or b"" if code == 200 else b""
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def test_what_the_server_says_is_as_it_was_is_not_fetched_again(machine: Any, web: Web) -> None:
    path = machine.root / "a"
    given = {"name": str(path), "source": f"{web.url}/a", "use_etag": True}
    web.files["/a"] = b"one"
    assert machine.run("file.managed", **given).changes["diff"] == "New file"
    assert machine.run("file.managed", **given).changes == {}
    assert web.answers == [200, 304]
    web.files["/a"] = b"two"
    machine.settle("file.managed", **given)
    assert (path.read_bytes(), web.answers) == (b"two", [200, 304, 200, 304])
    path.unlink()
    machine.settle("file.managed", **given)
    assert (path.read_bytes(), set(web.answers[4:])) == (b"two", {304})


def test_a_copy_that_was_changed_is_fetched_again(machine: Any, web: Web) -> None:
    web.files["/a"] = b"one"
    given = {"name": str(machine.root / "a"), "source": f"{web.url}/a", "use_etag": True}
    machine.run("file.managed", **given)
    (copy,) = [one for one in Path(machine.context.config["cachedir"]).rglob("a") if one.read_bytes() == b"one"]
    copy.write_bytes(b"something else")
    machine.run("file.managed", **given)
    assert (machine.root / "a").read_bytes() == b"one"
    assert web.answers == [200, 200]


def test_a_server_without_etags_is_asked_for_everything(machine: Any, web: Web) -> None:
    web.tags = False
    web.files["/a"] = b"one"
    machine.settle("file.managed", name=str(machine.root / "a"), source=f"{web.url}/a", use_etag=True)
    assert web.answers == [200, 200]


def test_a_cached_file_needs_no_digest_where_the_server_knows(machine: Any, web: Web) -> None:
    web.files["/a"] = b"one"
    assert machine.run("file.cached", name=f"{web.url}/a", use_etag=True).changes["hash"]["old"] is None
    assert machine.run("file.cached", name=f"{web.url}/a", use_etag=True).changes == {}
    assert web.answers == [200, 304]


@pytest.fixture
def ftp(machine: Any) -> Iterator[str]:
    pytest.importorskip("pyftpdlib")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "pyftpdlib", "-i", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen([*command, "-d", str(machine.tree)], stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "the FTP server does not answer"
                time.sleep(0.05)
        yield f"ftp://127.0.0.1:{port}"
        server.terminate()


def test_a_source_may_be_on_an_ftp_server(machine: Any, ftp: str) -> None:
    machine.source("app", "good\n")
    machine.source("SUMS", f"{hashlib.sha256(b'good' + bytes([10])).hexdigest()}  app\n")
    given = {"name": str(machine.root / "app"), "source": f"{ftp}/app"}
    assert "needs a source_hash" in machine.run("file.managed", **given).comment
    machine.settle("file.managed", **given, source_hash=f"{ftp}/SUMS")
    assert (machine.root / "app").read_text() == "good\n"
    machine.source("app", "evil\n")
    (machine.root / "app").unlink()
    shutil.rmtree(machine.context.config["cachedir"])
    os.mkdir(machine.context.config["cachedir"])
    assert "digest" in machine.run("file.managed", **given, source_hash=f"{ftp}/SUMS").comment
    assert (
        "cannot be downloaded" in machine.run("file.managed", name="/x", source=f"{ftp}/no", skip_verify=True).comment
    )
