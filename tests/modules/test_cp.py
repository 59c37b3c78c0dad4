"""cp: files of the tree, of this machine and of the web."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context
from ctl.common.errors import CommandExecutionError, FileServerError
from ctl.common.files import Roots

Call = Callable[..., Any]


@pytest.fixture
def call(call: Call, context: Context, tree: Path, tmp_path: Path) -> Call:
    (tmp_path / "out").mkdir()
    context.config = {**context.config, "cachedir": str(tmp_path / "cache")}
    context.files = Roots({"base": [tree], "dev": [tree / "dev"]})
    for name in ("motd", "web/index.html", "web/css/a.css", "dev/motd", "web/init.sls", "top.sls"):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name}\n")
    return call


def test_a_file_is_copied_to_a_path_or_into_a_directory(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("cp.get_file", "salt://motd", str(out / "a")) == str(out / "a")
    assert call("cp.get_file", "salt://motd", str(out)) == str(out / "motd")
    assert (out / "a").read_text() == "motd\n"
    assert call("cp.get_file", "salt://motd?saltenv=dev", str(out / "b"))
    assert (out / "b").read_text() == "dev/motd\n"
    assert call("cp.get_file", "salt://no", str(out / "c")) == ""
    with pytest.raises(CommandExecutionError, match="makedirs"):
        call("cp.get_file", "salt://motd", str(out / "x" / "y"))
    assert call("cp.get_file", "salt://motd", str(out / "x" / "y"), makedirs=True)
    assert call("cp.get_file", "salt://{{ grains.kernel | default('motd') }}", str(out / "d"), template="jinja")
    with pytest.raises(CommandExecutionError, match="absolute"):
        call("cp.get_file", "salt://motd", "relative")


def test_text_and_templates(call: Call, tree: Path, tmp_path: Path) -> None:
    assert call("cp.get_file_str", "salt://motd") == "motd\n"
    assert call("cp.get_file_str", "salt://no") is False
    (tree / "t").write_text("{{ grains.os }} {{ size }}\n")
    where = str(tmp_path / "out" / "t")
    assert call("cp.get_template", "salt://t", where, size=5) == where
    assert Path(where).read_text() == "Debian 5\n"


def test_a_directory_is_copied_under_its_name(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out"
    written = call("cp.get_dir", "salt://web/css", str(out))
    assert written == [str(out / "css" / "a.css")]


def test_caching_keeps_names_and_follows_changes(call: Call, tree: Path) -> None:
    where = Path(call("cp.cache_file", "salt://web/index.html"))
    assert where.name == "index.html"
    assert call("cp.is_cached", "salt://web/index.html") == str(where)
    assert call("cp.cache_dest", "salt://web/index.html") == str(where)
    assert not Path(call("cp.cache_dest", "salt://web/none")).exists()
    (tree / "web" / "index.html").write_text("new")
    assert Path(call("cp.cache_file", "salt://web/index.html")).read_text() == "new"
    assert call("cp.cache_file", "salt://no") is False
    assert call("cp.cache_files", ["salt://motd", "salt://no"])[1] is False
    assert [Path(one).name for one in call("cp.cache_dir", "salt://web", exclude_pat="*.sls")] == [
        "a.css",
        "index.html",
    ]
    assert str(where) in call("cp.list_minion")
    assert call("cp.cache_file", str(tree / "motd")) == str(tree / "motd")
    assert Path(call("cp.cache_local_file", str(tree / "motd"))).read_text() == "motd\n"
    assert call("cp.clear_cache")
    assert call("cp.is_cached", "salt://web/index.html") == ""


def test_hashes_and_modes(call: Call, tree: Path) -> None:
    (tree / "motd").chmod(0o640)
    found = call("cp.hash_file", "salt://motd")
    assert found["hash_type"] == "sha256"
    assert found == call("cp.hash_file", str(tree / "motd"))
    assert call("cp.hash_file", "salt://no") is False
    assert call("cp.stat_file", "salt://motd") == "0640"


def test_listings(call: Call) -> None:
    assert "web/css/a.css" in call("cp.list_master")
    assert call("cp.list_master", prefix="web/c") == ["web/css/a.css"]
    assert call("cp.list_master", "dev") == ["motd"]
    assert call("cp.list_master_dirs", prefix="web") == ["web", "web/css"]
    assert call("cp.list_states") == ["top", "web"]
    assert call("cp.envs") == ["base", "dev"]
    assert call("cp.list_master_symlinks") == {}


@pytest.mark.parametrize("path", ["../secret", "/etc/../../x", "a\0b", "x" * 5000])
def test_paths_out_of_the_tree_are_refused(call: Call, path: str) -> None:
    for function in ("cp.get_file_str", "cp.cache_file", "cp.hash_file", "cp.is_cached"):
        try:
            found = call(function, f"salt://{path}")
        except FileServerError:
            continue
        assert not found
    with pytest.raises(FileServerError):
        call("cp.list_minion", "../..")


@pytest.fixture
def web(tree: Path) -> Iterator[str]:
    handler = partial(QuietHandler, directory=str(tree))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_downloads(call: Call, web: str, tmp_path: Path) -> None:
    out = tmp_path / "out" / "got"
    assert call("cp.get_url", f"{web}/motd", str(out)) == str(out)
    assert out.read_text() == "motd\n"
    cached = call("cp.get_url", f"{web}/motd")
    assert Path(cached).read_text() == "motd\n"
    assert call("cp.is_cached", f"{web}/motd") == call("cp.cache_dest", f"{web}/motd") == cached
    assert call("cp.get_url", f"{web}/motd", None) == "motd\n"
    with pytest.raises(CommandExecutionError, match="cannot be downloaded"):
        call("cp.cache_file", f"{web}/no")
    assert call("cp.get_url", "file:///nowhere/x", str(out)) is False


def test_a_download_whose_digest_is_known_is_not_repeated(call: Call, web: str, tree: Path) -> None:
    cached = call("cp.cache_file", f"{web}/motd")
    digest = call("cp.hash_file", "salt://motd")["hsum"]
    (tree / "motd").write_text("changed")
    call("cp.cache_file", f"{web}/motd", source_hash=digest)
    assert Path(cached).read_text() == "motd\n"
    call("cp.cache_file", f"{web}/motd")
    assert Path(cached).read_text() == "changed"


def test_credentials_in_a_url_are_not_shown(call: Call) -> None:
    with pytest.raises(CommandExecutionError) as caught:
        call("cp.cache_file", "http://anne:hunter2@127.0.0.1:1/x?token=abc")
    assert "hunter2" not in str(caught.value)
    assert "abc" not in str(caught.value)
    assert os.sep in str(caught.value)
