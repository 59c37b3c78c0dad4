"""The loader: discovery, virtual names, reasons, and Salt's names in users' plugins."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context
from ctl.common.errors import PluginError, PluginNotFound, PluginNotLoaded
from ctl.common.loader import Loader, load_plugins

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


def _context(directory: Path) -> Context:
    context = Context(
        id="m1",
        config={"mine": 1},
        grains={"pythonversion": [3, 11, 0, "final", 0]},
        pillar={"secret": "s"},
        files=None,  # type: ignore[arg-type]  # no plugin here asks for files
        daemon=None,  # type: ignore[arg-type]
    )
    return load_plugins(context, module_dirs=[directory])


def test_salts_names_and_import_salt_work_in_a_users_plugin(tmp_path: Path, write: Write) -> None:
    write(
        "pbrian.py",
        "import salt\nimport salt.utils.files\nfrom salt.exceptions import CommandExecutionError\n"
        "def hello():\n    return 'hello world'\n"
        "def show_grains():\n    return __grains__['pythonversion']\n"
        "def rest():\n    return [__salt__['pbrian.hello'](), __pillar__['secret'], __opts__['mine']]\n"
        "def version():\n    return salt.__version__\n"
        "def keep():\n    __context__['retcode'] = 3\n",
    )
    context = _context(tmp_path)
    assert context.call("pbrian.hello") == "hello world"
    assert context.call("pbrian.show_grains") == [3, 11, 0, "final", 0]
    assert context.call("pbrian.rest") == ["hello world", "s", 1]
    assert context.call("pbrian.version") == "3008.3"
    context.call("pbrian.keep")
    assert context.scratch == {"retcode": 3}
    assert "salt" not in sys.modules


def test_a_part_of_salt_that_is_not_there_says_so(tmp_path: Path, write: Write) -> None:
    write("x.py", "import salt.cloud.clouds\ndef f(): pass\n")
    with pytest.raises(PluginNotLoaded, match=r"salt\.cloud\.clouds"):
        _context(tmp_path).functions["x.f"]


def test_names_aliases_and_what_is_private(tmp_path: Path, write: Write) -> None:
    write(
        "one.py",
        "from os.path import join\n__virtualname__ = 'uno'\n__func_alias__ = {'list_': 'list'}\n"
        "def list_(): return 1\ndef _hidden(): pass\nclass Thing: pass\n",
    )
    loader = Loader("modules", None, [tmp_path])
    assert list(loader) == ["uno.list"]
    assert loader["uno.list"]() == 1


def test_the_nearest_name_is_offered(tmp_path: Path, write: Write) -> None:
    write("pkg.py", "def install(): pass\n")
    loader = Loader("modules", None, [tmp_path])
    with pytest.raises(PluginNotFound, match=r"did you mean pkg\.install\?"):
        loader["pkg.instal"]
    with pytest.raises(PluginNotFound, match=r"did you mean pkg\?"):
        loader["pkgg.install"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def __virtual__(): return False, 'no such tool'\ndef f(): pass\n", "no such tool"),
        ("def __virtual__(): return False\ndef f(): pass\n", "declined"),
        ("def __virtual__(): raise ValueError('oops')\ndef f(): pass\n", "oops"),
        ("import nothing_of_that_name\ndef f(): pass\n", "nothing_of_that_name"),
        ("def f(:\n", "SyntaxError"),
    ],
)
def test_what_does_not_load_says_why(tmp_path: Path, write: Write, text: str, reason: str) -> None:
    write("x.py", text)
    loader = Loader("modules", None, [tmp_path])
    with pytest.raises(PluginNotLoaded, match=reason):
        loader["x.f"]
    assert reason in loader.failures()["x"]
    assert "x.f" not in loader


def test_a_signature_is_read_where_the_plugin_declines(tmp_path: Path, write: Write) -> None:
    write("x.py", "def __virtual__(): return False\ndef f(a, b=1): pass\n")
    assert list(Loader("modules", None, [tmp_path]).signature("x.f").parameters) == ["a", "b"]


def test_a_name_that_only_loading_tells(tmp_path: Path, write: Write) -> None:
    write("impl.py", "def __virtual__(): return 'thing'\ndef f(): return 1\n")
    loader = Loader("modules", None, [tmp_path])
    assert loader["thing.f"]() == 1
    assert loader.modules() == ["thing"]


def test_the_first_directory_wins(tmp_path: Path, write: Write) -> None:
    write("a/x.py", "def f(): return 'a'\n")
    write("b/x.py", "def f(): return 'b'\n")
    assert Loader("modules", None, [tmp_path / "a", tmp_path / "b"])["x.f"]() == "a"


def test_a_users_plugin_wins_over_a_built_in_one(tmp_path: Path, write: Write) -> None:
    write("test.py", "def ping(): return 'mine'\n")
    context = _context(tmp_path)
    assert context.call("test.ping") == "mine"
    assert context.call("test.echo", "x") == "x"


def test_built_in_plugins_share_names_without_clashes() -> None:
    for kind in ("modules", "states"):
        loader = Loader(kind, f"ctl.{kind}", (), None)
        for name in sorted(loader._sources):
            try:
                loader.functions(name)
            except PluginError as error:
                pytest.fail(str(error))


def _documented() -> list[Any]:
    return [(kind, name) for kind in ("modules", "states") for name in Loader(kind, f"ctl.{kind}", (), None)]


def test_every_built_in_function_has_a_manual() -> None:
    loaders = {kind: Loader(kind, f"ctl.{kind}", (), None) for kind in ("modules", "states")}
    assert [name for kind, name in _documented() if not loaders[kind].doc(name)] == []


def test_threads_that_ask_for_one_plugin_at_once_all_get_it(tmp_path: Path) -> None:
    text = "__context__['began'].set()\n__context__['go on'].wait(0.3)\n\n\ndef answer():\n    return 42\n"
    (tmp_path / "slow.py").write_text(text)
    context = _context(tmp_path)
    scratch = context.scratch = {"began": threading.Event(), "go on": threading.Event()}
    loader = Loader("modules", None, [tmp_path], context)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(lambda: loader["slow.answer"]())
        assert scratch["began"].wait(10)
        second = threads.submit(lambda: loader["slow.answer"]())
        assert [first.result(10), second.result(10)] == [42, 42]
