"""A process that asks PAM or an LDAP directory one question, and ends: `python -m ctl.master.auth_helper`.

The question comes on standard input and the answer goes to standard output, as JSON; a password is never among the
arguments or in the environment. What blocks or crashes in here costs one authentication.
"""

from __future__ import annotations

import json
import resource
import sys
from typing import Any

from ..common.errors import JobError
from .accounts import Method


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Answer one question: `{method, settings, user, password or None}`."""
    try:
        method = _make(question["method"], question["settings"])
        user, password = question["user"], question["password"]
        account = method.find(user) if password is None else method.check(user, password)
    except JobError as error:
        return {"error": str(error)}
    if account is None:
        return {"account": None}
    return {"account": {"user": account.user, "groups": list(account.groups), "stamp": account.stamp}}


def _make(name: str, settings: Any) -> Method:
    if name == "pam":
        from .auth_pam import PamMethod

        return PamMethod(settings)
    try:
        from .auth_ldap import LdapMethod  # an extra, which not everybody has
    except ImportError as error:
        raise JobError(
            f"external_auth: ldap needs the Python package {error.name}", hint="pip install ctl[ldap]"
        ) from None
    return LdapMethod(settings)


def main() -> None:
    """Answer the question on standard input."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
