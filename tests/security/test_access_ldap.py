"""External authentication by LDAP, against a real slapd with certificates made here (S08, S19).

Skipped where slapd or the library is missing.
"""

from __future__ import annotations

import datetime
import importlib.util
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ctl.common.errors import AuthenticationError, AuthorizationError, JobError
from ctl.master.auth import HelperMethod

SLAPD = shutil.which("slapd") or shutil.which("slapd", path="/usr/sbin:/usr/lib/openldap:/usr/libexec")
SCHEMAS = Path("/etc/ldap/schema")
pytestmark = [
    pytest.mark.skipif(SLAPD is None or not SCHEMAS.is_dir(), reason="slapd (Debian's package) is not installed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # ldap3's own, of pyasn1
    pytest.mark.skipif(importlib.util.find_spec("ldap3") is None, reason="the extra `ldap` is not installed"),
]
PASSWORD = "Correct-horse 7"
BIND_PASSWORD = "search-only"

CONFIG = """\
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/nis.schema
include {schemas}/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {home}/slapd.pid
TLSCACertificateFile {home}/ca.pem
TLSCertificateFile {home}/server.pem
TLSCertificateKeyFile {home}/server.key
database mdb
suffix "dc=example,dc=org"
rootdn "cn=root,dc=example,dc=org"
directory {home}/db
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="cn=ops,dc=example,dc=org" by dn="cn=search,dc=example,dc=org" read by users read by * none
access to * by dn="cn=search,dc=example,dc=org" read by self read by * none
"""

TREE = f"""\
dn: dc=example,dc=org
objectClass: domain
dc: example

dn: cn=search,dc=example,dc=org
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: search
userPassword: {BIND_PASSWORD}

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: uid=alice,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: Alice
sn: A
uid: alice
userPassword: {PASSWORD}

dn: uid=bob,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
objectClass: shadowAccount
cn: Bob
sn: B
uid: bob
shadowExpire: 1
userPassword: {PASSWORD}

dn: cn=twin1,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: twin1
sn: T
uid: twin
userPassword: {PASSWORD}

dn: cn=twin2,ou=people,dc=example,dc=org
objectClass: inetOrgPerson
cn: twin2
sn: T
uid: twin
userPassword: {PASSWORD}

dn: cn=ops,dc=example,dc=org
objectClass: groupOfNames
cn: ops
member: uid=alice,ou=people,dc=example,dc=org
"""


def make_certificate(home: Path, name: str, san: list[x509.GeneralName], issuer: Any = None) -> Any:
    """Write `name.pem` and `name.key`; return what can sign others."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signer, signed_by = issuer or (key, subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signed_by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if issuer is None:
        usage = [name in ("key_cert_sign", "crl_sign") for name in KEY_USAGES]
        builder = builder.add_extension(x509.KeyUsage(*usage), critical=True)
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    (home / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (home / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return key, subject


KEY_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass
class Directory:
    """A running slapd."""

    home: Path
    tls_port: int
    plain_port: int

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return the setting auth_ldap for it."""
        return {
            "uri": f"ldaps://localhost:{self.tls_port}",
            "ca_file": str(self.home / "ca.pem"),
            "base_dn": "ou=people,dc=example,dc=org",
            "bind_dn": "cn=search,dc=example,dc=org",
            "bind_password_file": str(self.home / "bind"),
            "group_base_dn": "dc=example,dc=org",
            **more,
        }

    def method(self, **more: Any) -> Any:
        from ctl.master.auth_ldap import LdapMethod

        return LdapMethod(self.settings(**more))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Directory]:
    home = tmp_path_factory.mktemp("slapd")
    issuer = make_certificate(home, "ca", [])
    make_certificate(home, "other", [])
    make_certificate(home, "server", [x509.DNSName("localhost")], issuer)
    (home / "db").mkdir()
    (home / "bind").write_text(BIND_PASSWORD + "\n")
    (home / "slapd.conf").write_text(CONFIG.format(schemas=SCHEMAS, home=home))
    assert SLAPD is not None
    add = [SLAPD, "-T", "add", "-f", str(home / "slapd.conf")]
    subprocess.run(add, input=TREE, text=True, check=True, capture_output=True)
    ports = []
    for _ in range(2):
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
    found = Directory(home, *ports)
    urls = f"ldaps://127.0.0.1:{ports[0]} ldap://127.0.0.1:{ports[1]}"
    process = subprocess.Popen(
        [SLAPD, "-f", str(home / "slapd.conf"), "-h", urls, "-d", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(ports[1], process)
        yield found
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, "slapd ended"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "slapd does not listen"
            time.sleep(0.05)


def test_binding_as_the_user_over_tls(directory: Directory) -> None:
    method = directory.method()
    account = method.check("alice", PASSWORD)
    assert account is not None
    assert (account.user, list(account.groups)) == ("alice", ["ops"])
    assert method.find("alice") == account
    for wrong in ("wrong", PASSWORD + " ", ""):
        assert method.check("alice", wrong) is None
    for name in ("nobody", "*", "a*", "alice)(uid=*", "alice,ou=people", "", "ali\\63e"):
        assert method.check(name, PASSWORD) is None
        assert method.find(name) is None


def test_starttls_and_a_fixed_place_of_users(directory: Directory) -> None:
    plain = directory.method(uri=f"ldap://localhost:{directory.plain_port}")
    assert plain.check("alice", PASSWORD) is not None
    placed = directory.method(base_dn="", user_dn="uid={user},ou=people,dc=example,dc=org")
    assert placed.check("alice", PASSWORD) is not None
    assert placed.check("alice", "wrong") is None
    alone = directory.method(base_dn="", user_dn="uid={user},ou=people,dc=example,dc=org", bind_dn="")
    assert alone.check("alice", PASSWORD) is not None
    assert alone.check("alice", "wrong") is None
    assert alone.find("alice") is None
    assert placed.check("alice,ou=people,dc=example,dc=org", PASSWORD) is None


def test_s19_an_account_that_has_ended_or_is_not_one_is_refused(directory: Directory) -> None:
    method = directory.method()
    assert (method.check("bob", PASSWORD), method.find("bob")) == (None, None)
    assert (method.check("twin", PASSWORD), method.find("twin")) == (None, None)


def test_s08_a_server_that_is_not_the_right_one_is_never_told_a_password(directory: Directory) -> None:
    for wrong in (
        {"uri": f"ldaps://127.0.0.1:{directory.tls_port}"},  # the certificate is for another name
        {"uri": f"ldap://127.0.0.1:{directory.plain_port}"},
        {"ca_file": str(directory.home / "other.pem")},
        {"ca_file": ""},
        {"ca_file": "/nonexistent"},
    ):
        with pytest.raises(JobError):
            directory.method(**wrong).check("alice", PASSWORD)
    with pytest.raises(JobError, match="cannot be asked"):  # in a process of its own, where what ldap3 leaves open ends
        HelperMethod("ldap", directory.settings(uri="ldaps://localhost:1")).check("alice", PASSWORD)


def test_s08_without_tls_not_even_the_name_goes_out(directory: Directory) -> None:
    heard = b""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port = server.getsockname()[1]
        placed = {"base_dn": "", "user_dn": "uid={user},dc=x", "bind_dn": ""}
        asking = HelperMethod("ldap", directory.settings(uri=f"ldap://localhost:{port}", **placed))
        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(asking.check, "alice", PASSWORD)
            connection, _ = server.accept()
            with connection:
                connection.settimeout(20)
                heard = connection.recv(65536)
                # "success" to the wish for TLS, and then no TLS: who goes on in the clear says it all now
                connection.sendall(bytes.fromhex("300c02010178070a010004000400"))
                heard += connection.recv(65536)
            with pytest.raises(JobError):
                answer.result()
    assert b"1.3.6.1.4.1.1466.20037" in heard
    assert b"alice" not in heard
    assert PASSWORD.encode() not in heard


@pytest.mark.parametrize(
    "wrong",
    [
        {"uri": "http://x"},
        {"uri": ""},
        {"base_dn": "", "user_dn": ""},
        {"verify": False},
        {"bind_password_file": "/no"},
    ],
)
def test_a_setting_that_makes_no_sense_is_said(directory: Directory, wrong: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="auth_ldap"):
        directory.method(**wrong).check("alice", PASSWORD)


def test_the_whole_way_with_groups_and_a_token(
    run_house: Callable[..., None], directory: Directory, tmp_path: Path
) -> None:
    async def scenario(house: Any) -> None:
        await house.join("web1")
        right = {"eauth": "ldap", "username": "alice", "password": PASSWORD}
        token = {"token": (await house.call("token.make", auth=right))["token"]}
        frames = await house.publish("web1", auth=token)
        assert (await house.call("job.get", jid=frames[-1][1]["jid"]))["user"] == "ldap:alice"
        with pytest.raises(AuthorizationError):
            await house.publish("web1", "cmd.run", auth=token)
        with pytest.raises(AuthenticationError):
            await house.call("ping", auth={**right, "password": "wrong"})

    run_house(
        scenario,
        external_auth={"ldap": {"ops%": ["test.*"]}},
        auth_ldap=directory.settings(),
        root_dir=str(tmp_path / "master"),
    )
