"""The parts of Salt's library that users' plugins may import do what their names say."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ctl.common.context import Context, use
from ctl.common.errors import CommandExecutionError
from ctl.common.files import Roots
from ctl.common.loader_names import Utilities, inject
from ctl.common.saltcompat.utils import (
    data,
    dictdiffer,
    files,
    functools,
    hashutils,
    stringutils,
    url,
    user,
    versions,
)
from ctl.common.saltcompat.utils.decorators import depends
from ctl.common.saltcompat.utils.decorators.path import which
from ctl.common.saltcompat.utils.validate import net
from ctl.common.user_utils import use_utils

LIBRARY = Path(str(importlib.import_module("ctl.common.saltcompat").__file__)).parent
NAMES = sorted(
    ".".join(["salt", *path.relative_to(LIBRARY).with_suffix("").parts]).removesuffix(".__init__")
    for path in LIBRARY.rglob("*.py")
)


@pytest.mark.parametrize("name", NAMES)
def test_a_plugin_can_import_it(name: str) -> None:
    module: Any = type(os)("plugin")
    inject(module, None)
    exec(f"import {name}\nfound = {name}", module.__dict__)
    assert module.found.__doc__


def test_a_part_that_is_not_there_is_an_import_error_with_its_name() -> None:
    module: Any = type(os)("plugin")
    inject(module, None)
    with pytest.raises(ModuleNotFoundError, match=r"salt\.utils\.nosuch"):
        exec("import salt.utils.nosuch", module.__dict__)


def test_a_function_whose_needs_are_missing_says_so() -> None:
    @depends("nosuchpythonmodule")
    def absent() -> None: ...

    @depends("json", "sh", True)
    def present() -> str:
        return "here"

    @depends(False, fallback_function=lambda: "instead")
    def fallen() -> str:
        return "here"

    @which("nosuchprogram")
    def programless() -> None: ...

    assert (present(), fallen()) == ("here", "instead")
    with pytest.raises(CommandExecutionError, match="absent needs nosuchpythonmodule"):
        absent()
    with pytest.raises(CommandExecutionError, match="'nosuchprogram' is not installed"):
        programless()


@pytest.mark.parametrize(
    ("value", "expected"), [("true", True), ("TRUE", True), ("yes", False), ("1", True), (0, False), (None, False)]
)
def test_only_true_and_positive_numbers_are_true(value: Any, expected: bool) -> None:
    assert data.is_true(value) is expected


def test_nested_data() -> None:
    assert data.flatten([1, [2, [None, 3]]]) == [1, 2, 3]
    assert data.compare_lists([1, 2], [2, 3]) == {"new": [3], "old": [1]}
    assert data.subdict_match({"a": {"b": ["web1"]}}, "a:b:web*")
    assert not data.subdict_match({"a": 1}, "b:*")
    assert data.is_dictlist([{"a": 1}])
    assert not data.is_dictlist([{"a": 1, "b": 2}])


def test_differences_of_mappings() -> None:
    found = dictdiffer.deep_diff({"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"x": 1, "y": 3}, "c": 2})
    assert found == {"old": {"a": {"y": 2}, "b": 1}, "new": {"a": {"y": 3}, "c": 2}}
    differ = dictdiffer.DictDiffer({"a": 1, "b": 2}, {"b": 3, "c": 4})
    assert (differ.added(), differ.removed(), differ.changed()) == ({"a"}, {"c"}, {"b"})


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with files.set_umask(0o077):
        path.write_bytes(b"x\0")
    assert path.stat().st_mode & 0o777 == 0o600
    assert files.is_binary(str(path))
    assert hashutils.get_hash(str(path), "md5") == hashutils.md5_digest("x\0")
    files.safe_rm(str(path))
    files.safe_rm(str(path))
    files.rm_rf(str(tmp_path))
    assert not tmp_path.exists()
    assert [files.normalize_mode(mode) for mode in ("0644", 755, "0", None)] == ["644", "755", "0", None]


def test_texts_addresses_and_versions() -> None:
    assert stringutils.to_none(" None ") is None
    assert stringutils.dequote("'a'") == "a"
    assert (net.ipv4_addr("192.0.2.1/24"), net.ipv6_addr("::1"), net.mac("00:11:22:aa:BB:cc")) == (True, True, True)
    assert (net.ip_addr("x"), net.netmask("255.255.255.0"), net.netmask("255.0.255.0")) == (False, True, False)
    assert url.parse("salt://a/b?saltenv=dev") == ("a/b", "dev")
    assert url.create("a/b", "dev") == "salt://a/b?saltenv=dev"
    assert versions.LooseVersion("1.10") > versions.LooseVersion("1.9")
    assert str(max(map(versions.Version, ["2.0", "10.1"]))) == "10.1"
    assert user.get_uid(user.get_user()) == os.geteuid()
    assert user.get_uid("nosuchuser") is None
    assert "root" in user.get_group_list("root")


def test_a_function_can_see_another_modules_names() -> None:
    space: dict[str, Any] = {}
    exec("def ask(x=1):\n    return __salt__ + x", space)
    assert functools.namespaced_function(space["ask"], {"__salt__": 41})() == 42


def test_utils_of_users_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "user_helper.py").write_text("def double(number):\n    return 2 * number\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert Utilities()["user_helper.double"](21) == 42
    assert "user_helper.nothing" not in Utilities()
    assert "nosuch.helper" not in Utilities()


@pytest.fixture
def utils(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "_utils"
    (folder / "user_box").mkdir(parents=True)
    (folder / "user_box" / "__init__.py").write_text("from .inner import text\n")
    (folder / "user_box" / "inner.py").write_text(
        "import salt.utils.stringutils\n\ndef text():\n    return salt.utils.stringutils.to_unicode(b'x')\n"
    )
    (folder / "user_asks.py").write_text(
        "from salt.utils.odict import OrderedDict\n\ndef who():\n    return __grains__['id'], __salt__['a.b']()\n"
    )
    (folder / "json.py").write_text("hides = True\n")
    use_utils([str(folder)])
    yield folder
    for name in [name for name in sys.modules if name.startswith("user_")]:
        del sys.modules[name]


def test_utils_may_import_salt_and_are_asked_on_behalf_of_the_job_that_runs(utils: Path) -> None:
    for id_ in ("web1", "web2"):
        job = Context(id_, {}, {"id": id_}, {}, Roots({}), None, functions={"a.b": lambda id_=id_: id_ * 2})  # type: ignore[arg-type]
        with use(job):
            assert Utilities()["user_asks.who"]() == (id_, id_ * 2)
            assert Utilities()["user_box.text"]() == "x"


def test_utils_hide_no_other_module(utils: Path) -> None:
    sys.modules.pop("json")
    assert not hasattr(importlib.import_module("json"), "hides")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("user_nothing")
