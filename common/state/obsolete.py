"""Arguments that public trees still carry and no state function takes any more: a warning, with what replaced them.

Data only. An empty replacement means that the argument never did anything, or does nothing now.
"""

from __future__ import annotations

_FILE = {
    "owner": "user",
    "dirmode": "dir_mode",
    "filemode": "file_mode",
    "createdirs": "makedirs",
    "make_dirs": "makedirs",
    "makedir": "makedirs",
    "mkdirs": "makedirs",
    "show_diff": "show_changes",
    "saltenv": "",
    "env": "saltenv",
    "allow_symlink": "follow_symlinks",
}
# By state module, or by function where only one is meant.
OBSOLETE: dict[str, dict[str, str]] = {
    "cmd": {
        "user": "runas",
        "group": "",
        "tgt": "",
        "whatch": "watch",
        "quiet": "output_loglevel",
        "state": "",
        "password": "",
    },
    "cron": {"require_in": ""},
    "file": _FILE,
    "git": {"runas": "user", "always_fetch": "", "unless": ""},
    "group": {"delusers": "members"},
    "pkg": {"skip_suggestions": "", "use_repo": "fromrepo", "repo": "fromrepo", "force_yes": ""},
    "pkgrepo": {"key_text": "gpgkey", "skip_verify": ""},
    "service": {"running": "", "sysvinit": ""},
    "user": {"gid_from_name": "usergroup", "unique": "", "home_dir": "home"},
    "virtualenv": {"no_site_packages": "system_site_packages", "runas": "user"},
}
# Arguments of any state that Salt once read.
EVERYWHERE: dict[str, str] = {
    "__env__": "",
    "env": "saltenv",
    "provider": "",
    "reload": "",
    "use_superseded": "",
}


def replacement(state: str, function: str, argument: str) -> str | None:
    """Return what replaced an obsolete argument (maybe nothing: ""), or None where it is not a known one."""
    for table in (OBSOLETE.get(f"{state}.{function}"), OBSOLETE.get(state), EVERYWHERE):
        if table is not None and argument in table:
            return table[argument]
    return None
