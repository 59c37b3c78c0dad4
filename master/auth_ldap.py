"""External authentication by an LDAP directory: bind as the user, over TLS that is verified.

The only importer of `ldap3`. This runs in a process of its own (`auth_helper`). Where a user's entry is, `user_dn` says
(`uid={user},ou=people,dc=example,dc=org`), or a search below `base_dn` with `filter` finds it; the search is made with
`bind_dn`, or anonymously. There is no way to do without verification.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ldap3
from ldap3.core.exceptions import LDAPException, LDAPInvalidCredentialsResult, LDAPNoSuchObjectResult
from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import escape_rdn

from ..common.errors import JobError
from .accounts import Account

CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
MAX_GROUPS = 1000
# Attributes by which directories say that an account must not be used.
LOCKS = ("pwdAccountLockedTime", "nsAccountLock", "userAccountControl", "shadowExpire")
AD_DISABLED = 0x2


@dataclass(frozen=True, slots=True)
class Directory:
    """The setting `auth_ldap`."""

    uri: str
    ca_file: str = ""
    user_dn: str = ""
    base_dn: str = ""
    filter: str = "(uid={user})"
    bind_dn: str = ""
    bind_password_file: str = ""
    group_base_dn: str = ""
    group_filter: str = "(|(member={dn})(uniqueMember={dn})(memberUid={user}))"
    group_attribute: str = "cn"

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Read the setting; raises `JobError`."""
        unknown = set(given) - set(cls.__slots__)
        if unknown:
            raise JobError(f"auth_ldap: there is no {sorted(unknown)[0]!r}; there are {', '.join(cls.__slots__)}")
        if not str(given.get("uri", "")).startswith(("ldap://", "ldaps://")):
            raise JobError("auth_ldap: uri must be ldaps://host or ldap://host (which then starts TLS)")
        if not given.get("user_dn") and not given.get("base_dn"):
            raise JobError("auth_ldap: user_dn or base_dn must say where users are")
        return cls(**{key: str(value) for key, value in given.items()})

    @property
    def password(self) -> str:
        """The password of `bind_dn`."""
        try:
            return Path(self.bind_password_file).read_text("utf-8").strip() if self.bind_password_file else ""
        except OSError as error:
            raise JobError(f"auth_ldap: {self.bind_password_file} cannot be read: {error.strerror}") from error


class _VerifiedTls(ldap3.Tls):  # type: ignore[misc]  # ldap3 ships no types
    """TLS by the standard library's own rules, names included."""

    def __init__(self, ca_file: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context = ssl.create_default_context(cafile=ca_file or None)

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Begin TLS; raises where the certificate is not one of this server, signed by whom we trust."""
        connection.socket = self._context.wrap_socket(
            connection.socket, server_hostname=connection.server.host, do_handshake_on_connect=True
        )


class LdapMethod:
    """The accounts of one directory."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._directory = Directory.of(settings)

    def check(self, user: str, password: str) -> Account | None:
        """Return the account that this password is right for."""
        if not password:  # a bind without one succeeds as nobody
            return None
        with _plainly():
            dn = self._find_dn(user)
            if dn is None:
                return None
            try:
                with self._connect(dn, password) as connection:
                    if not self._directory.bind_dn:  # who may look for others, if not whoever it is about
                        return self._describe(connection, user, dn)
            except (LDAPInvalidCredentialsResult, LDAPNoSuchObjectResult):
                return None
            with self._searcher() as connection:
                return self._describe(connection, user, dn)

    def find(self, user: str) -> Account | None:
        """Return an account that is still there and not locked, as far as we may search."""
        with _plainly():
            dn = self._find_dn(user)
            if dn is None:
                return None
            with self._searcher() as connection:
                return self._describe(connection, user, dn)

    def _find_dn(self, user: str) -> str | None:
        directory = self._directory
        if directory.user_dn:
            return directory.user_dn.replace("{user}", escape_rdn(user))
        with self._searcher() as connection:
            wanted = directory.filter.replace("{user}", escape_filter_chars(user))
            found = _search(connection, directory.base_dn, wanted, ["1.1"], limit=2)
        # two entries for one name: whose password would count?
        return str(found[0]["dn"]) if len(found) == 1 else None

    def _describe(self, connection: Any, user: str, dn: str) -> Account | None:
        directory = self._directory
        found = _search(connection, dn, "(objectClass=*)", [*LOCKS, "entryUUID"], scope=ldap3.BASE)
        if len(found) != 1 or _is_locked(found[0]["raw_attributes"]):
            return None
        groups: Sequence[str] = ()
        if directory.group_base_dn:
            wanted = directory.group_filter.replace("{dn}", escape_filter_chars(dn))
            wanted = wanted.replace("{user}", escape_filter_chars(user))
            rows = _search(connection, directory.group_base_dn, wanted, [directory.group_attribute], limit=MAX_GROUPS)
            groups = [text for row in rows for text in _texts(row, directory.group_attribute)]
        return Account(user, groups, ",".join([dn, *_texts(found[0], "entryUUID")]))

    def _searcher(self) -> Any:
        return self._connect(self._directory.bind_dn, self._directory.password)

    @contextmanager
    def _connect(self, dn: str, password: str) -> Iterator[Any]:
        directory = self._directory
        tls = _VerifiedTls(directory.ca_file)
        server = ldap3.Server(directory.uri, tls=tls, get_info=ldap3.NONE, connect_timeout=CONNECT_SECONDS)
        connection = ldap3.Connection(
            server,
            user=dn or None,
            password=password or None,
            authentication=ldap3.SIMPLE if dn else ldap3.ANONYMOUS,
            auto_referrals=False,
            receive_timeout=ANSWER_SECONDS,
            raise_exceptions=True,
            check_names=False,
        )
        try:
            connection.open()
            if not server.ssl:
                connection.start_tls()
            connection.bind()
            yield connection
        finally:
            connection.strategy.close()


@contextmanager
def _plainly() -> Iterator[None]:
    """Turn what a library says of a directory that does not answer, or is not the right one, into an error of ours."""
    try:
        yield
    except (LDAPException, OSError, ValueError) as error:
        raise JobError(f"the directory cannot be asked: {error}") from error


def _search(
    connection: Any, base: str, wanted: str, attributes: Sequence[str], scope: Any = ldap3.SUBTREE, limit: int = 1
) -> list[Any]:
    try:
        connection.search(base, wanted, scope, attributes=list(attributes), size_limit=0, time_limit=ANSWER_SECONDS)
    except LDAPNoSuchObjectResult:
        return []
    return [row for row in connection.response if row["type"] == "searchResEntry"][:limit]


def _texts(row: Any, attribute: str) -> list[str]:
    values = {key.lower(): value for key, value in row["raw_attributes"].items()}.get(attribute.lower(), [])
    return [value.decode("utf-8", "replace") for value in values]


def _is_locked(attributes: Mapping[str, Sequence[bytes]]) -> bool:
    found = {key.lower(): value[0].decode("ascii", "replace") for key, value in attributes.items() if value}
    control = found.get("useraccountcontrol", "0")
    return (
        "pwdaccountlockedtime" in found
        or found.get("nsaccountlock", "").lower() == "true"
        or (control.isdecimal() and bool(int(control) & AD_DISABLED))
        or _is_over(found.get("shadowexpire", ""))
    )


def _is_over(days: str) -> bool:
    """Say whether the day is past on which a shadow account ends, counted from 1970."""
    return days.isdecimal() and int(days) * 86400 <= time.time()
