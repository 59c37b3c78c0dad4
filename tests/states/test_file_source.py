"""Where a managed file's content comes from when it is not in the tree: the web, and what its digest is."""

from __future__ import annotations

import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from ctl.common.errors import CommandExecutionError
from ctl.common.state.low import LOWSTATE
from ctl.states._checksum import Checksum, parse_checksum, search_checksum

MD5, SHA1, SHA256 = "d" * 32, "a" * 40, "b" * 64


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (MD5, Checksum("md5", MD5)),
        (SHA256.upper(), Checksum("sha256", SHA256)),
        (f"sha1={SHA1}", Checksum("sha1", SHA1)),
        (f"SHA256: {SHA256}", Checksum("sha256", SHA256)),
        ("https://example.com/sums", None),
        ("d" * 33, None),
    ],
)
def test_digests_are_read(text: str, wanted: Checksum | None) -> None:
    assert parse_checksum(text) == wanted


def test_a_digest_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(CommandExecutionError, match="64 hex digits"):
        parse_checksum(f"sha256={MD5}")


@pytest.mark.parametrize(
    ("lines", "names", "wanted"),
    [
        ([f"{SHA1}  other", f"{SHA256}  app.tar.gz"], ["app.tar.gz"], SHA256),
        ([f"{SHA256} *./sub/app.tar.gz", f"{SHA1}  other"], ["app.tar.gz"], SHA256),
        ([f"SHA256 (app.tar.gz) = {SHA256}", f"MD5 (app.tar.gz2) = {MD5}"], ["app.tar.gz"], SHA256),
        ([f"/etc/app.tar.gz {MD5}", f"/etc/x {SHA1}"], ["", "app.tar.gz"], MD5),
        ([f" {SHA256} 12345 app.tar.gz", f" {SHA256[::-1].replace('b', 'c')} 9 x"], ["app.tar.gz"], SHA256),
        ([f"{MD5}\n"], ["app.tar.gz"], MD5),
        ([f"{SHA1}  one", f"{MD5}  two"], ["app.tar.gz"], None),
        (["nothing here"], ["app.tar.gz"], None),
    ],
)
def test_files_of_digests_have_many_layouts(lines: list[str], names: list[str], wanted: str | None) -> None:
    found = search_checksum(lines, names)
    assert (found.digest if found else None) == wanted


class CountingHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, says nothing, and remembers what it was asked for."""

    asked: list[str]

    def log_message(self, format: str, *args: Any) -> None:
        self.asked.append(self.path)


@pytest.fixture
def web(machine: Any) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (CountingHandler,), {"asked": asked})
    serve = partial(handler, directory=str(machine.tree))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
        thread.join()


def test_a_download_is_verified_and_not_repeated(machine: Any, web: tuple[str, list[str]]) -> None:
    url, asked = web
    machine.source("app.conf", "hello\n")
    path = machine.root / "a"
    digest = hashlib.sha256(b"hello\n").hexdigest()
    machine.settle("file.managed", name=str(path), source=f"{url}/app.conf", source_hash=digest)
    assert path.read_text() == "hello\n"
    assert asked == ["/app.conf"]
    wrong = machine.run("file.managed", name=str(path), source=f"{url}/app.conf", source_hash="0" * 64)
    assert wrong.result is False
    assert "digest" in wrong.comment
    assert path.read_text() == "hello\n"


def test_a_file_of_digests_can_come_from_the_web_or_the_tree(machine: Any, web: tuple[str, list[str]]) -> None:
    url, _asked = web
    machine.source("app.conf", "hello\n")
    sums = machine.source("SUMS", f"{hashlib.sha256(b'hello').hexdigest()}  app.conf.old\n{'0' * 63}1  x\n")
    given = {"name": str(machine.root / "a"), "source": f"{url}/app.conf"}
    assert "no digest for app.conf" in machine.run("file.managed", source_hash=sums, **given).comment
    machine.source("SUMS", f"{hashlib.sha512(b'hello' + bytes([10])).hexdigest()}  app.conf\n")
    machine.settle("file.managed", source_hash=sums, **given)
    machine.settle("file.managed", source_hash=f"{url}/SUMS", **given)
    machine.settle("file.managed", source_hash=f"{url}/SUMS", source_hash_name="app.conf", **given)


def test_a_download_without_a_digest_needs_a_word(machine: Any, web: tuple[str, list[str]]) -> None:
    url, _asked = web
    machine.source("app.conf", "hello {{ grains.os }}\n")
    given = {"name": str(machine.root / "a"), "source": f"{url}/app.conf"}
    assert "needs a source_hash" in machine.run("file.managed", **given).comment
    machine.settle("file.managed", skip_verify=True, template="jinja", **given)
    assert (machine.root / "a").read_text() == "hello Debian\n"


@pytest.mark.parametrize("source", ["gopher://x/y", "etc/motd", "C:\\x"])
def test_other_sources_are_refused(machine: Any, source: str) -> None:
    outcome = machine.run("file.managed", name=str(machine.root / "a"), source=source)
    assert "neither a URL of a known kind" in outcome.comment


def test_a_source_hash_that_is_nothing_is_named(machine: Any) -> None:
    (machine.root / "s").write_text("")
    given = {"name": str(machine.root / "a"), "source": str(machine.root / "s")}
    assert "neither a digest nor a file" in machine.run("file.managed", source_hash="hello", **given).comment


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"])
@pytest.mark.parametrize("form", ["{digest}", "{name}={digest}", "{name}:{digest}", "{url}.{name}", "/file", "salt"])
def test_every_form_of_a_source_hash(machine: Any, web: tuple[str, list[str]], algorithm: str, form: str) -> None:
    url, _asked = web
    machine.source("app.conf", "hello\n")
    digest = hashlib.new(algorithm, b"hello\n").hexdigest()
    machine.source(f"app.conf.{algorithm}", f"{digest}  app.conf\n")
    written = form.format(digest=digest, name=algorithm, url=f"{url}/app.conf")
    written = {"/file": str(machine.tree / f"app.conf.{algorithm}"), "salt": f"salt://app.conf.{algorithm}"}.get(
        form, written
    )
    path = machine.root / "a"
    machine.settle("file.managed", name=str(path), source=f"{url}/app.conf", source_hash=written)
    assert path.read_text() == "hello\n"


def test_a_list_of_sources_takes_the_first_with_its_own_hash(machine: Any, web: tuple[str, list[str]]) -> None:
    url, _asked = web
    machine.source("app.conf", "hello\n")
    digest = hashlib.sha256(b"hello\n").hexdigest()
    given = {"name": str(machine.root / "a"), "source": ["salt://none", {f"{url}/app.conf": f"sha256={digest}"}]}
    machine.settle("file.managed", **given)
    assert (machine.root / "a").read_text() == "hello\n"


def test_a_download_is_kept_and_used_again(machine: Any, web: tuple[str, list[str]]) -> None:
    url, asked = web
    machine.source("app.conf", "hello\n")
    digest = hashlib.md5(b"hello\n").hexdigest()
    machine.settle("file.cached", name=f"{url}/app.conf", source_hash=digest)
    machine.settle("file.managed", name=str(machine.root / "a"), source=f"{url}/app.conf", source_hash=digest)
    assert asked == ["/app.conf"]
    machine.settle("file.not_cached", name=f"{url}/app.conf")
    assert "needs a source_hash" in machine.run("file.cached", name=f"{url}/app.conf").comment
    wrong = machine.run("file.cached", name=f"{url}/app.conf", source_hash="0" * 64)
    assert "is not 000" in wrong.comment
    assert (
        machine.run("file.managed", name=str(machine.root / "b"), source=f"{url}/none", use_etag=True).result is False
    )


class RemoteRoots:
    """A master's file server as a minion sees it: every look-up is a request."""

    def __init__(self, roots: Any) -> None:
        self._roots = roots
        self.requests: list[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._roots, name)

    def find(self, paths: Any, saltenv: str) -> Any:
        self.requests.append(list(paths))
        return self._roots.find(paths, saltenv)


def test_a_run_asks_once_for_all_its_sources(machine: Any) -> None:
    names = [f"f{number}" for number in range(20)]
    urls = [machine.source(name, f"{name}\n") for name in names]
    machine.context.files = remote = RemoteRoots(machine.context.files)
    low = {"state": "file", "fun": "managed", "__env__": "base"}
    bad = [{**low, "source": "salt://../x"}, {**low, "source": "salt://x?saltenv=none"}]
    machine.context.scratch[LOWSTATE] = [*bad, *({**low, "source": url} for url in urls)]
    for name, url in zip(names, urls, strict=True):
        assert machine.run("file.managed", name=str(machine.root / name), source=url).result is True
    assert remote.requests == [names]
    machine.source("f0", "changed\n")
    machine.run("file.managed", name=str(machine.root / "f0"), source=urls[0])
    assert (machine.root / "f0").read_text() == "f0\n", "a run sees one version of a file"
    machine.context.scratch[LOWSTATE] = list(machine.context.scratch[LOWSTATE])
    machine.run("file.managed", name=str(machine.root / "f0"), source=urls[0])
    assert (machine.root / "f0").read_text() == "changed\n"
