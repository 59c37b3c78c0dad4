"""Arguments for every built-in state: `@/x` stands for the path `x` below the sandbox, `salt://t/` for a small tree.

A state that has no entry here fails the tests of `test_every_state.py`.
"""

from __future__ import annotations

import base64
from typing import Any

from hypothesis import strategies as st

Given = dict[str, Any]

TREE = {"t/plain": "one\ntwo\n", "t/page": "{{ colour }}\n", "t/d/inner": "inner\n", "t/patch": ""}
TREE["t/make"] = '#!/bin/sh\ntouch "$1"\n'
TREE["t/made"] = "#!/bin/sh\ntouch {{ path }}\n"
TREE["t/patch"] = "--- a\n+++ a\n@@ -1,2 +1,2 @@\n one\n-two\n+zwei\n"
BEFORE = {
    "a": "one\ntwo\n",
    "b": "key = value\n# other = x\n",
    "d/inner": "old\n",
    "d/deep/x": "x\n",
    "z.json": '{"k": 1}',
}

_NOBODY = "ctl-no-such-name"
# What each function is dry-run with: things that would change, and things that would not.
DRY: dict[str, list[Given]] = {
    "cmd.call": [{"name": "@/new", "func": "test.ping"}],
    "cmd.mod_watch": [{"name": "touch @/new", "sfun": "wait"}],
    "cmd.run": [{"name": "touch @/new"}, {"name": "touch @/new", "cwd": "@/missing"}],
    "cmd.script": [{"name": "salt://t/plain"}, {"name": "run it", "source": "salt://t/page", "template": "jinja"}],
    "cmd.wait": [{"name": "touch @/new"}],
    "cmd.wait_script": [{"name": "salt://t/plain"}],
    "cmd.watch": [{"name": "touch @/new"}],
    "environ.setenv": [{"name": "CTL_TEST_DRY", "value": "1"}],
    "file.absent": [{"name": "@/a"}, {"name": "@/d"}, {"name": "@/missing"}],
    "file.accumulated": [{"name": "lines", "filename": "@/a", "text": ["x", "y"]}],
    "file.append": [{"name": "@/a", "text": "three"}, {"name": "@/new/x", "text": "one", "makedirs": True}],
    "file.blockreplace": [{"name": "@/a", "content": "x", "append_if_not_found": True}],
    "file.cached": [{"name": "salt://t/plain"}],
    "file.comment": [{"name": "@/a", "regex": "^one"}],
    "file.copy": [{"name": "@/new", "source": "@/a"}, {"name": "@/d", "source": "@/a", "subdir": True}],
    "file.decode": [{"name": "@/new", "encoded_data": "eA=="}, {"name": "@/a", "encoded_data": "eA=="}],
    "file.directory": [
        {"name": "@/new/x", "makedirs": True, "mode": "0700"},
        {"name": "@/d", "clean": True, "mode": "0700", "file_mode": "0600", "recurse": ["mode"]},
        {"name": "@/a", "force": True},
    ],
    "file.exists": [{"name": "@/a"}, {"name": "@/missing"}],
    "file.hardlink": [{"name": "@/new/x", "target": "@/a", "makedirs": True}, {"name": "@/b", "target": "@/a"}],
    "file.keyvalue": [{"name": "@/b", "key": "key", "value": "2"}],
    "file.line": [{"name": "@/a", "mode": "insert", "content": "zero", "location": "start"}],
    "file.managed": [
        {
            "name": "@/new/x",
            "source": "salt://t/page",
            "template": "jinja",
            "context": {"colour": "red"},
            "makedirs": True,
        },
        {"name": "@/a", "contents": "other", "mode": "0600", "backup": "minion"},
        {"name": "@/a", "source": "salt://t/plain"},
    ],
    "file.missing": [{"name": "@/a"}, {"name": "@/missing"}],
    "file.mknod": [{"name": "@/pipe", "ntype": "p"}],
    "file.not_cached": [{"name": "salt://t/plain"}],
    "file.patch": [{"name": "@/a", "source": "salt://t/patch"}, {"name": "@", "source": "salt://t/patch", "strip": 0}],
    "file.prepend": [{"name": "@/a", "text": "zero", "header": True}],
    "file.pruned": [{"name": "@/empty"}, {"name": "@", "recurse": True}],
    "file.recurse": [{"name": "@/new", "source": "salt://t"}, {"name": "@/d", "source": "salt://t/d", "clean": True}],
    "file.rename": [{"name": "@/new", "source": "@/a"}, {"name": "@/b", "source": "@/a", "force": True}],
    "file.replace": [{"name": "@/a", "pattern": "one", "repl": "two"}],
    "file.retention_schedule": [{"name": "@/d", "retain": {"most_recent": 0}}],
    "file.serialize": [{"name": "@/z.json", "serializer": "json", "merge_if_exists": True, "dataset": {"n": 1}}],
    "file.symlink": [
        {"name": "@/new/x", "target": "@/a", "makedirs": True},
        {"name": "@/a", "target": "b", "force": True},
    ],
    "file.tidied": [{"name": "@/d"}, {"name": "@", "size": 1, "rmdirs": True}],
    "file.touch": [{"name": "@/a"}, {"name": "@/new/x", "makedirs": True}],
    "file.uncomment": [{"name": "@/b", "regex": "other"}],
    "group.absent": [{"name": "nogroup"}, {"name": _NOBODY}],
    "group.present": [{"name": _NOBODY}, {"name": "root", "members": ["nobody"]}],
    "module.mod_watch": [{"name": "file.touch", "sfun": "wait", "m_name": "@/new"}],
    "module.run": [{"name": "file.touch", "m_name": "@/new"}, {"name": "x", "file.touch": [{"name": "@/new"}]}],
    "module.wait": [{"name": "file.touch", "m_name": "@/new"}],
    "module.watch": [{"name": "file.touch", "m_name": "@/new"}],
    "pkg.held": [{"name": "dpkg"}, {"name": _NOBODY}],
    "pkg.installed": [{"name": _NOBODY}, {"name": "dpkg"}],
    "pkg.latest": [{"name": _NOBODY}],
    "pkg.purged": [{"name": _NOBODY}, {"name": "dpkg"}],
    "pkg.removed": [{"name": _NOBODY}, {"name": "dpkg"}],
    "pkg.unheld": [{"name": "dpkg"}, {"name": "x", "all": True}],
    "pkg.uptodate": [{"name": "all"}],
    "service.dead": [{"name": _NOBODY}],
    "service.disabled": [{"name": _NOBODY}],
    "service.enabled": [{"name": _NOBODY}],
    "service.masked": [{"name": _NOBODY}],
    "service.mod_watch": [{"name": _NOBODY, "sfun": "running"}],
    "service.running": [{"name": _NOBODY}],
    "service.unmasked": [{"name": _NOBODY}],
    "test.check_pillar": [{"name": "x", "present": ["y"]}],
    "test.configurable_test_state": [{"name": "x"}],
    "test.fail_with_changes": [{"name": "x"}],
    "test.fail_without_changes": [{"name": "x"}],
    "test.mod_watch": [{"name": "x", "sfun": "nop"}],
    "test.nop": [{"name": "x"}],
    "test.show_notification": [{"name": "x", "text": "y"}],
    "test.succeed_with_changes": [{"name": "x"}],
    "test.succeed_without_changes": [{"name": "x"}],
    "timezone.system": [{"name": "Asia/Tokyo"}],
    "user.absent": [{"name": "nobody"}, {"name": _NOBODY}],
    "user.present": [{"name": _NOBODY}, {"name": "nobody", "shell": "/bin/sh"}],
}
# Functions that steer a run, and return no plan.
STEERING = {"mod_aggregate", "mod_init"}

_TRIGGERED = "a trigger calls it, once, and it acts each time"
_ALWAYS = "it changes something at every run, as is its purpose"
_UNITS = "only systemd masks services, and none runs where these tests do"
# Why a state cannot take part in a property test.
EXCUSED: dict[str, str] = {
    **dict.fromkeys(("cmd.mod_watch", "module.mod_watch", "service.mod_watch", "test.mod_watch"), _TRIGGERED),
    **dict.fromkeys(("test.fail_with_changes", "test.succeed_with_changes"), _ALWAYS),
    **dict.fromkeys(("service.masked", "service.unmasked"), _UNITS),
}

_words = st.text("abk=#. \tä", max_size=8)
_line = st.text("ab k=#.ä", min_size=1, max_size=8)
_text = st.lists(_line, max_size=5).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).flatmap(
        lambda end: st.sampled_from([end.join(lines), end.join([*lines, ""])])
    )
)
_mode = st.sampled_from(["0600", "0644", "0755", "644"])
_file = st.sampled_from(["@/a", "@/b", "@/d/inner", "@/new"])
_directory = st.sampled_from(["@/d", "@/empty", "@/new"])
_flag = st.booleans()
_key = st.sampled_from(["key", "other", "k", "new key"])
_owner = st.sampled_from([0, "0", "root"])
_scalar = st.one_of(st.integers(-5, 5), _line, st.booleans())
_data = st.dictionaries(
    st.sampled_from(["a", "b", "c d"]), st.one_of(_scalar, st.lists(_scalar, max_size=3)), max_size=3
)
_nested = st.dictionaries(st.sampled_from(["k", "s"]), st.one_of(_data, _scalar), max_size=2)
_sections = st.dictionaries(
    st.sampled_from(["one", "two"]), st.dictionaries(st.just("k"), _line, max_size=1), max_size=2
)


def _given(optional: dict[str, st.SearchStrategy[Any]] | None = None, **required: st.SearchStrategy[Any]) -> Any:
    return st.fixed_dictionaries(required, optional=optional or {})


def _one_of_files(optional: dict[str, st.SearchStrategy[Any]] | None = None, **required: st.SearchStrategy[Any]) -> Any:
    return _given(optional, name=_file, **required)


_named = _given(name=st.just("x"))
_touch = _given(name=st.just("touch @/new"))
_attributes = {"user": _owner, "mode": _mode, "makedirs": _flag}
STRATEGIES: dict[str, st.SearchStrategy[Given]] = {
    "cmd.wait": _touch,
    "cmd.wait_script": _given(name=st.just("salt://t/plain")),
    "cmd.watch": _touch,
    "environ.setenv": _given(name=st.just("CTL_TEST_PROPERTY"), value=_line.filter(str.strip)),
    "file.absent": _given(name=st.one_of(_file, _directory)),
    "file.accumulated": _one_of_files(filename=_file, text=st.lists(_line, max_size=3)),
    "file.append": _one_of_files(
        {"ignore_whitespace": _flag, "makedirs": _flag}, text=st.one_of(_text, st.lists(_words, max_size=3))
    ),
    "file.blockreplace": _one_of_files(
        {
            "append_if_not_found": _flag,
            "prepend_if_not_found": _flag,
            "append_newline": st.sampled_from([None, False, True]),
            "backup": st.sampled_from([False, ".bak"]),
        },
        content=_text,
    ),
    "file.cached": _given(name=st.sampled_from(["salt://t/plain", "salt://t/d/inner"])),
    "file.comment": _one_of_files({"char": st.sampled_from(["#", "//"])}, regex=st.sampled_from(["^one", "key", "a"])),
    "file.copy": _given(
        {"preserve": _flag, "makedirs": _flag, "mode": _mode},
        name=st.sampled_from(["@/new", "@/new/x", "@/b", "@/empty"]),
        source=st.sampled_from(["@/a", "@/d", "@/missing"]),
        force=_flag,
    ),
    "file.decode": _one_of_files(encoded_data=st.binary(max_size=20).map(lambda data: base64.b64encode(data).decode())),
    "file.directory": _given(
        {
            **_attributes,
            "clean": _flag,
            "force": _flag,
            "dir_mode": _mode,
            "file_mode": _mode,
            "recurse": st.lists(st.sampled_from(["user", "mode", "ignore_files", "ignore_dirs"]), unique=True),
            "exclude_pat": st.sampled_from(["deep", "E@x$"]),
        },
        name=st.sampled_from(["@/d", "@/new", "@/new/x", "@/a"]),
    ),
    "file.exists": _one_of_files(),
    "file.hardlink": _given({"force": _flag, "makedirs": _flag}, name=st.one_of(_file, st.just("@/q/x")), target=_file),
    "file.keyvalue": _one_of_files(
        {
            "append_if_not_found": _flag,
            "prepend_if_not_found": _flag,
            "create_if_missing": _flag,
            "ignore_if_missing": _flag,
            "key_ignore_case": _flag,
            "value_ignore_case": _flag,
            "uncomment": st.sampled_from(["#", "# "]),
            "count": st.integers(-1, 2),
        },
        key_values=st.dictionaries(_key, _words, min_size=1, max_size=2),
        separator=st.sampled_from(["=", " = ", ":", " "]),
    ),
    "file.line": _one_of_files(
        {
            "match": st.sampled_from(["one", "key", "^t"]),
            "before": st.just("two"),
            "after": st.just("one"),
            "location": st.sampled_from(["start", "end"]),
            "create": _flag,
            "quiet": _flag,
        },
        # What a replaced line becomes must match too, or one replacement is followed by another.
        content=st.sampled_from(["one more", "key = 2", "two"]),
        mode=st.sampled_from(["ensure", "insert", "delete"]),
    ),
    "file.managed": _one_of_files(
        {
            **_attributes,
            "replace": _flag,
            "create": _flag,
            "backup": st.just("minion"),
            "contents_newline": _flag,
            "show_changes": _flag,
            "encoding": st.sampled_from(["utf-8", "utf-16"]),
        },
        contents=st.one_of(_text, st.lists(_line, max_size=3)),
    ),
    "file.missing": _one_of_files(),
    "file.mknod": _given({"user": _owner, "mode": _mode}, name=st.sampled_from(["@/pipe", "@/a"]), ntype=st.just("p")),
    "file.not_cached": _given(name=st.just("salt://t/plain")),
    "file.patch": _given(name=st.sampled_from(["@/a", "@/b", "@/missing"]), source=st.just("salt://t/patch")),
    "file.prepend": _one_of_files({"header": _flag}, text=st.one_of(_text, st.lists(_words, max_size=3))),
    "file.pruned": _given({"recurse": _flag, "ignore_errors": _flag}, name=_directory),
    "file.recurse": _given(
        {
            "clean": _flag,
            "include_empty": _flag,
            "file_mode": st.one_of(_mode, st.just("keep")),
            "dir_mode": st.sampled_from(["0700", "0755"]),
            "exclude_pat": st.just("*inner"),
            "maxdepth": st.integers(0, 1),
        },
        name=_directory,
        source=st.sampled_from(["salt://t", "salt://t/d"]),
    ),
    "file.rename": _given(
        {"makedirs": _flag}, name=st.sampled_from(["@/new", "@/b", "@/q/x"]), source=_file, force=_flag
    ),
    "file.replace": _one_of_files(
        {
            "append_if_not_found": _flag,
            "ignore_if_missing": _flag,
            "count": st.integers(0, 1),
            "backup": st.sampled_from([False, ".bak"]),
        },
        pattern=st.sampled_from(["^key.*", "^(key) *=.*$", "one"]),
        repl=st.sampled_from(["key = 3", "zwei"]),
    ),
    "file.retention_schedule": _given(
        name=_directory,
        retain=st.dictionaries(
            st.sampled_from(["most_recent", "first_of_hour", "first_of_week", "first_of_year"]),
            st.one_of(st.integers(0, 3), st.just("all")),
        ),
    ),
    "file.serialize": st.one_of(
        _given(
            {"merge_if_exists": _flag, "create": _flag, **_attributes},
            name=st.sampled_from(["@/z.json", "@/new"]),
            dataset=_nested,
            serializer=st.sampled_from(["json", "yaml", "toml", "python", "plist"]),
        ),
        _given(name=st.just("@/new"), dataset=_sections, serializer=st.just("configparser"), merge_if_exists=_flag),
    ),
    "file.symlink": _given(
        {"force": _flag, "makedirs": _flag, "user": _owner, "backupname": st.just("aside")},
        name=st.one_of(_file, _directory, st.just("@/q/x")),
        target=st.sampled_from(["a", "@/b", "nowhere"]),
    ),
    "file.tidied": _given(
        {
            "age": st.integers(0, 2),
            "size": st.sampled_from([0, 3, "1k"]),
            "rmdirs": _flag,
            "matches": st.just(["x", "in.*"]),
            "exclude": st.just("x"),
            "age_size_logical_operator": st.sampled_from(["AND", "or"]),
        },
        name=_directory,
    ),
    # No atime: comparing the sandbox reads the file.
    "file.touch": _one_of_files({"makedirs": _flag}, mtime=st.integers(1, 2000)),
    "file.uncomment": _one_of_files(regex=st.sampled_from(["other", "key", "one"])),
    "module.watch": _given(name=st.just("file.touch"), m_name=st.just("@/new")),
    "module.wait": _given(name=st.just("file.touch"), m_name=st.just("@/new")),
    "test.check_pillar": _given(name=st.just("x"), present=st.just(["y"])),
    "test.fail_without_changes": _named,
    "test.nop": _named,
    "test.show_notification": _given(name=st.just("x"), text=_line),
    "test.succeed_without_changes": _named,
}

# States that only a condition keeps from acting again: run as low chunks, whose second run must change nothing.
GUARDED: dict[str, list[Given]] = {
    "cmd.call": [
        {"name": "touch it", "func": "file.touch", "args": ["@/new"], "creates": "@/new"},
        {"name": "x", "func": "file.append", "args": ["@/a", "three"], "unless": "grep -q three @/a"},
    ],
    "cmd.run": [
        {"name": "touch @/new", "creates": "@/new"},
        {"name": "echo three >> a", "cwd": "@/", "unless": "grep -q three a"},
        {"name": "rm @/a", "onlyif": "test -e @/a"},
        {"name": "rm @/a", "onlyif": [{"fun": "file.file_exists", "args": ["@/a"]}]},
        {"name": "test -e @/new && echo changed=no || { touch @/new; echo changed=yes; }", "stateful": True},
    ],
    "cmd.script": [
        {"name": "salt://t/make", "args": "@/new", "creates": ["@/new"]},
        {"name": "x", "source": "salt://t/made", "template": "jinja", "context": {"path": "@/new"}, "creates": "@/new"},
    ],
    "module.run": [
        {"name": "x", "file.touch": [{"name": "@/new"}], "creates": "@/new"},
        {"name": "file.append", "args": ["@/a", "three"], "unless": "grep -q three @/a"},
    ],
    "test.configurable_test_state": [{"name": "x", "changes": False}],
}

_PROBE = st.just("ctl-probe")
_person = st.sampled_from(["ctl-anne", "ctl-ben"])
_members = st.lists(st.sampled_from(["nobody", "mail", "games"]), unique=True)
_groups = st.lists(st.sampled_from(["games", "users", "mail"]), unique=True)
_secret = st.sampled_from(["!", "*", "$6$salt$hash", "$y$j9T$salt$hash"])
_days = st.integers(0, 30)
_version = st.sampled_from(["1.0", "2.*", ">=1.0"])
_packages = st.lists(
    st.sampled_from(["ctl-probe", {"ctl-probe": "1.0"}, {"ctl-probe": ">=1.0,<2"}, "ctl-probe-b"]),
    min_size=1,
    unique_by=str,
)
_user = _given(
    {
        "uid": st.sampled_from([4101, 4102]),
        "gid": st.sampled_from([100, "users", "games"]),
        "usergroup": _flag,
        "groups": _groups,
        "optional_groups": st.just(["games", "ctl-no-such-group"]),
        "remove_groups": _flag,
        "home": st.sampled_from(["/home/ctl-one", "/home/ctl-two"]),
        "createhome": _flag,
        "persist_home": _flag,
        "password": _secret,
        "enforce_password": _flag,
        "password_lock": _flag,
        "shell": st.sampled_from(["/bin/sh", "/usr/sbin/nologin"]),
        "system": _flag,
        "fullname": st.sampled_from(["Anne Ölçer", "Ben"]),
        "workphone": st.just("12-3"),
        "mindays": _days,
        "maxdays": _days,
        "warndays": _days,
        "inactdays": _days,
        "date": st.integers(18000, 19000),
        "expire": st.integers(20000, 30000),
    },
    name=_person,
    allow_uid_change=st.just(True),
    allow_gid_change=st.just(True),
)
_group = st.one_of(
    _given({"gid": st.sampled_from([4201, 4202]), "system": _flag, "members": _members}, name=_person),
    _given({"addusers": st.just(["nobody"]), "delusers": st.just(["games"])}, name=_person),
)
# States that change the machine itself: run on a Debian of their own (`debian_machine.py`), each after the other case.
DEBIAN: dict[str, st.SearchStrategy[Given]] = {
    "group.absent": _given(name=_person),
    "group.present": _group,
    "pkg.held": _given({"replace": _flag}, name=_PROBE),
    "pkg.installed": st.one_of(
        _given({"version": _version, "hold": _flag, "update_holds": _flag, "refresh": _flag}, name=_PROBE),
        _given(name=st.just("x"), pkgs=_packages),
        _given(name=st.just("ctl-probe-transport")),
    ),
    "pkg.latest": _given(name=st.just("x"), pkgs=st.sampled_from([["ctl-probe"], ["ctl-probe", "ctl-probe-b"]])),
    "pkg.purged": _given(name=_PROBE),
    "pkg.removed": _given(name=_PROBE),
    "pkg.unheld": _given({"all": _flag}, name=_PROBE),
    "pkg.uptodate": _given(name=st.just("x"), pkgs=st.just(["ctl-probe", "ctl-probe-b"])),
    "service.dead": _given({"enable": _flag}, name=_PROBE),
    "service.disabled": _given(name=_PROBE),
    "service.enabled": _given(name=_PROBE),
    "service.running": _given({"enable": _flag, "sig": st.just("sleep 600")}, name=_PROBE),
    "timezone.system": _given(
        {"utc": st.sampled_from([True, False, None])}, name=st.sampled_from(["Asia/Tokyo", "Europe/Vienna", "Etc/UTC"])
    ),
    "user.absent": _given({"purge": _flag, "force": _flag}, name=_person),
    "user.present": _user,
}
# What may have been done before, by kind of state.
DEBIAN_BEFORE: dict[str, tuple[str, st.SearchStrategy[Given]]] = {
    "group": ("group.present", _group),
    "pkg": ("pkg.installed", _given({"version": st.just("1.0"), "hold": _flag}, name=_PROBE)),
    "service": ("service.running", _given({"enable": _flag}, name=_PROBE)),
    "timezone": ("timezone.system", _given(name=st.just("America/Lima"), utc=st.just(False))),
    "user": ("user.present", _user),
}
