"""The password in a git URL, kept off command lines, which every user of the machine can read.

git is given the URL without it, and a credential helper, which takes it from an environment that only our user reads.
"""

from __future__ import annotations

import re
import urllib.parse
from typing import Final

from ..common.errors import ConfigError

_VARIABLE: Final = "CTL_GIT_PASSWORD"
_IN_URL: Final = re.compile(r"(https?://[^/@:]*):([^/@]*)(?=@)", re.IGNORECASE)
# git hands this text to a shell; nothing of the URL is in it
_HELPER: Final = f'!f() {{ test "$1" = get && printf \'password=%s\\n\' "${_VARIABLE}"; }}; f'


def take_password(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without its password, and the variables with which git finds it; raises `ConfigError`."""
    found = _IN_URL.match(url)
    if found is None:
        return url, {}
    password = urllib.parse.unquote(found[2])
    if set(password) & set("\n\r\0"):
        raise ConfigError("the password in a git URL holds a line break or a NUL")
    variables = {
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "credential.helper",
        "GIT_CONFIG_VALUE_0": "",  # forget those of the system
        "GIT_CONFIG_KEY_1": "credential.helper",
        "GIT_CONFIG_VALUE_1": _HELPER,
        _VARIABLE: password,
    }
    return found[1] + url[found.end() :], variables
