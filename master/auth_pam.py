"""External authentication by PAM: authentication, then account management, by libpam itself.

This runs in a process of its own (`auth_helper`): modules of PAM may block, crash or leak without hurting the master.
Beside what PAM says, an account without a login shell, or one that is locked, is refused.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import grp
import os
import pwd
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..common.errors import JobError
from .accounts import Account

SUCCESS = 0
CONV_ERROR = 19
PROMPT_ECHO_OFF, PROMPT_ECHO_ON = 1, 2
USER_ITEM = 2
SILENT = 0x8000
DISALLOW_NULL_AUTHTOK = 0x1
MAX_MESSAGES = 32
SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
SERVICE_PLACES = ("/etc/pam.d", "/usr/lib/pam.d", "/usr/share/pam.d")
NO_SHELLS = frozenset({"nologin", "false"})


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_Converse = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("converse", _Converse), ("data", ctypes.c_void_p))


class PamMethod:
    """The accounts that one PAM service lets in."""

    def __init__(self, service: str) -> None:
        if not SERVICE.fullmatch(service):
            raise JobError(f"auth_pam_service: {service!r} is no name of a service")
        # PAM would take the service `other` instead, which lets in whom nobody thought of
        if not any((Path(place) / service).is_file() for place in SERVICE_PLACES):
            raise JobError(f"there is no PAM service {service}", hint=f"make /etc/pam.d/{service}")
        self._service = service

    def check(self, user: str, password: str) -> Account | None:
        """Return the account that this password is right for."""
        if not password or not self._ask(user, password):
            return None
        return _usable(user)

    def find(self, user: str) -> Account | None:
        """Return an account that may still be used."""
        account = _usable(user)
        if account is None or _is_locked(user) or not self._ask(user, None):
            return None
        return account

    def _ask(self, user: str, password: str | None) -> bool:
        """Ask PAM whether a user may come in: with the password, or without one only what the account allows."""
        library, libc = _libraries()
        converse = _Converse(_answers(libc, user, password))
        conversation = _Conversation(converse, None)
        handle = ctypes.c_void_p()
        started = library.pam_start(
            self._service.encode(), user.encode(), ctypes.byref(conversation), ctypes.byref(handle)
        )
        if started != SUCCESS:
            raise JobError(f"PAM does not start with the service {self._service} (code {started})")
        flags = SILENT | DISALLOW_NULL_AUTHTOK
        code = SUCCESS
        try:
            if password is not None:
                code = library.pam_authenticate(handle, flags)
            if code == SUCCESS:
                code = library.pam_acct_mgmt(handle, flags)
            return code == SUCCESS and _user_of(library, handle) == user
        finally:
            library.pam_end(handle, code)


def _libraries() -> tuple[Any, Any]:
    try:
        library = ctypes.CDLL(ctypes.util.find_library("pam") or "libpam.so.0")
    except OSError:
        raise JobError("libpam is not there", hint="install the package libpam0g (Debian) or pam") from None
    libc = ctypes.CDLL(None)
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p
    libc.calloc.argtypes = (ctypes.c_size_t, ctypes.c_size_t)
    libc.strdup.argtypes = (ctypes.c_char_p,)
    pointer = ctypes.c_void_p
    library.pam_start.argtypes = (ctypes.c_char_p, ctypes.c_char_p, pointer, pointer)
    library.pam_authenticate.argtypes = library.pam_acct_mgmt.argtypes = library.pam_end.argtypes = (
        pointer,
        ctypes.c_int,
    )
    library.pam_get_item.argtypes = (pointer, ctypes.c_int, pointer)
    return library, libc


def _answers(libc: Any, user: str, password: str | None) -> Callable[..., int]:
    """Make the function that answers PAM's questions: the password where nothing is shown, else the name."""

    def converse(count: int, messages: Any, responses: Any, _data: Any) -> int:
        if not 0 < count <= MAX_MESSAGES:
            return CONV_ERROR
        memory = libc.calloc(count, ctypes.sizeof(_Response))  # PAM frees it
        if not memory:
            return CONV_ERROR
        answers = ctypes.cast(memory, ctypes.POINTER(_Response))
        responses[0] = answers
        for index in range(count):
            style = messages[index].contents.style
            if style == PROMPT_ECHO_OFF and password is not None:
                answers[index].text = libc.strdup(password.encode())
            elif style == PROMPT_ECHO_ON:
                answers[index].text = libc.strdup(user.encode())
        return SUCCESS

    return converse


def _user_of(library: Any, handle: ctypes.c_void_p) -> str:
    """Return whom PAM let in: a module may have made somebody else of the name."""
    item = ctypes.c_void_p()
    if library.pam_get_item(handle, USER_ITEM, ctypes.byref(item)) != SUCCESS or not item.value:
        return ""
    return ctypes.string_at(item.value).decode("utf-8", "replace")


def _usable(user: str) -> Account | None:
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        return None
    if os.path.basename(entry.pw_shell) in NO_SHELLS or entry.pw_shell not in _shells():
        return None
    return Account(user, _groups(user, entry.pw_gid), str(entry.pw_uid))


def _groups(user: str, gid: int) -> list[str]:
    names = []
    for number in os.getgrouplist(user, gid):
        with contextlib.suppress(KeyError):
            names.append(grp.getgrgid(number).gr_name)
    return names


def _shells() -> set[str]:
    try:
        lines = Path("/etc/shells").read_text("utf-8", "replace").splitlines()
    except OSError:
        return {"/bin/sh", "/bin/bash"}
    return {line.strip() for line in lines if line.startswith("/")}


def _is_locked(user: str) -> bool:
    """Say whether the password of a local account is locked, which account management does not look at."""
    try:
        lines = Path("/etc/shadow").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    hashes = {line.split(":")[0]: line.split(":")[1] for line in lines if line.count(":") >= 2}
    return hashes.get(user, "").startswith(("!", "*"))
