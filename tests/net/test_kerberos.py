"""Kerberos with a real key distribution centre: our client at Debian's smbd, and clients of all sorts at our Server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lanman import codes
from lanman.auth.acceptor import Accepted, Acceptor, Refused
from lanman.auth.accounts import Accounts
from lanman.auth.spnego import KERBEROS_OID, NegTokenInit, pack_init
from lanman.domain import Event, LogonRefused, State
from lanman.errors import AuthenticationError, LanmanError
from lanman.net.client import SmbClient
from lanman.net.configuration import ConfigurationError, parse_configuration
from lanman.net.credentials import Credentials
from lanman.net.home import Home
from lanman.net.initiators import initiator_for
from lanman.net.kerberos import keep_replays_in
from lanman.net.server import SmbServer
from lanman.settings import Configuration, ShareConfiguration
from lanman.smb2.constants import AES_256_GCM
from support.kdc import HOST, HOST_FOR_SAMBA, REALM, Realm, in_realm
from support.passwords import PASSWORD
from support.smbd import Samba, tool

pytestmark = pytest.mark.kerberos


@pytest.fixture(scope="module")
def running_realm() -> Iterator[Realm]:
    with Realm() as realm:
        yield realm


@pytest.fixture
def realm(running_realm: Realm) -> Iterator[Realm]:
    """The realm, with this process in it and no ticket."""
    running_realm.kdestroy()
    with in_realm(running_realm):
        yield running_realm


@pytest.fixture(scope="module")
def smbd(running_realm: Realm) -> Iterator[Samba]:
    # Those that AES-256-GCM leaves: it takes all 32 bytes of the session key, and the signature of the last
    # SESSION_SETUP the first 16.
    options = {**running_realm.samba_options(), "server smb3 encryption algorithms": "AES-256-GCM, AES-128-GCM"}
    with in_realm(running_realm), Samba(options) as server:
        yield server


def tickets(user_name: str = "", password: str | None = None, **more: Any) -> Credentials:
    return Credentials(user_name, password, kerberos=True, **more)


async def use(port: int, credentials: Credentials, host: str = HOST, *, encrypt: bool = False) -> SmbClient:
    """Log on, and connect to a share: the answer has to be signed, or encrypted, with the right key."""
    async with SmbClient(host, port, credentials, encrypt=encrypt) as client:
        await client.tree_connect("IPC$")
        return client


# --- our client at smbd


@pytest.mark.samba
@pytest.mark.root
@pytest.mark.parametrize("encrypt", [False, True])
async def test_ticket_cache(realm: Realm, smbd: Samba, encrypt: bool) -> None:
    realm.kinit()
    client = await use(smbd.port, tickets(), encrypt=encrypt)
    assert client.negotiated.cipher == AES_256_GCM


@pytest.mark.samba
@pytest.mark.root
@pytest.mark.parametrize("dialect", [0x0202, 0x0210, 0x0302])
async def test_older_dialects(realm: Realm, start_samba: Callable[..., Samba], dialect: int) -> None:
    realm.kinit()
    server = start_samba(realm.samba_options())
    async with SmbClient(HOST, server.port, tickets(), dialects=(dialect,), encrypt=dialect >= 0x0300) as client:
        await client.tree_connect("IPC$")


@pytest.mark.samba
@pytest.mark.root
async def test_other_sources_of_keys(realm: Realm, smbd: Samba) -> None:
    user = realm.user_name
    for credentials in (
        tickets(user, keytab=str(realm.user_keytab)),
        tickets(keytab=str(realm.user_keytab)),
        tickets(user, realm.password),
        tickets(f"{user}@{REALM}", realm.password),
        tickets(user, realm.password, domain=REALM.lower()),
    ):
        await use(smbd.port, credentials)
        assert not realm.ccache.exists()  # nobody's tickets are changed
    with in_realm(realm, KRB5_CLIENT_KTNAME=f"FILE:{realm.user_keytab}"):
        await use(smbd.port, tickets())
    realm.kdestroy()
    realm.kinit("-c", f"FILE:{realm.directory}/other")
    await use(smbd.port, tickets(ccache=f"FILE:{realm.directory}/other"))


@pytest.mark.samba
@pytest.mark.root
async def test_host_will_do(realm: Realm, start_samba: Callable[..., Samba]) -> None:
    if "host/127.0.0.1@" not in realm.kadmin("listprincs"):
        realm.add("host/127.0.0.1")
        realm.keytab("host/127.0.0.1", realm.host_keytab)
    realm.kinit()
    server = start_samba({**realm.samba_options(), "dedicated keytab file": f"FILE:{realm.host_keytab}"})
    await use(server.port, tickets(), "127.0.0.1")
    listed = realm.run("klist")
    assert f"host/127.0.0.1@{REALM}" in listed
    assert "cifs/" not in listed


# --- our client where somebody else answers for the DNS

_SPOOF = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    if (node == NULL || strcmp(node, "fs1.home.test") != 0)
        return real(node, service, hints, found);
    int failed = real("127.0.0.1", service, hints, found);
    if (!failed && hints != NULL && (hints->ai_flags & AI_CANONNAME)) {
        free((*found)->ai_canonname);
        (*found)->ai_canonname = strdup("evil.trusted.test");
    }
    return failed;
}
"""

_ASK = """
import sys, gssapi
from lanman.errors import AuthenticationError
from lanman.net.credentials import Credentials
from lanman.net.initiators import initiator_for
name = gssapi.Name(f"cifs@{sys.argv[1]}", gssapi.NameType.hostbased_service)
print(name.canonicalize(gssapi.MechType.kerberos))
try:
    initiator_for(Credentials(kerberos=True), sys.argv[1]).step(None)
    print("a ticket")
except AuthenticationError as error:
    print(error.message)
"""


@pytest.fixture(scope="module")
def trusted(running_realm: Realm) -> Iterator[Realm]:
    """Another realm, which ours trusts. Whoever runs it has made a principal of the name of a server of ours."""
    with Realm("TRUSTED.TEST") as other:
        running_realm.trust(other)
        other.add("cifs/fs1.home.test")
        yield other


@pytest.fixture(scope="module")
def spoof(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that resolves fs1.home.test as who can answer for the DNS would like it."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed (system-packages.txt)")
    library = tmp_path_factory.mktemp("spoof") / "spoof.so"
    command = ["gcc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-", "-ldl"]
    subprocess.run(command, input=_SPOOF, text=True, check=True)
    return library


@pytest.mark.parametrize("lookups", ["", "dns_lookup_realm = true\n"])
def test_the_name_service_does_not_choose_the_realm(realm: Realm, trusted: Realm, spoof: Path, lookups: str) -> None:
    """Who spoofs the DNS and runs a realm that ours trusts is not taken for the server."""
    options, domains = f"dns_canonicalize_hostname = true\nrdns = false\n{lookups}", ".trusted.test = TRUSTED.TEST"

    def ask(host: str, domains: str) -> list[str]:
        realm.kdestroy()
        realm.kinit()
        configuration = realm.configuration(trusted, options=options, domains=domains)
        environment = {**os.environ, "KRB5_CONFIG": str(configuration), "LD_PRELOAD": str(spoof)}
        done = subprocess.run([sys.executable, "-c", _ASK, host], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    by_the_library, by_us = ask("fs1.home.test", domains)
    assert by_the_library == "cifs/evil.trusted.test@TRUSTED.TEST"
    assert "knows no server cifs/fs1.home.test" in by_us
    assert "TRUSTED.TEST" not in realm.run("klist")
    # What a person has written down counts, for the name as it was typed.
    assert ask("fs1.home.test", f"{domains}\nfs1.home.test = TRUSTED.TEST")[1] == "a ticket"
    assert "cifs/fs1.home.test@TRUSTED.TEST" in realm.run("klist")


# --- our client where it goes wrong: no server is needed for what the client has to say


async def refusal(realm: Realm, credentials: Credentials, host: str = HOST) -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        await asyncio.to_thread(initiator_for(credentials, host).step, None)
    assert "\n" not in str(caught.value)
    return caught.value


async def test_no_ticket(realm: Realm) -> None:
    error = await refusal(realm, tickets())
    assert "there is no Kerberos ticket" in error.message
    assert error.hint == "get one: kinit"
    error = await refusal(realm, tickets("ann", ccache="FILE:/nonexistent/cache"))
    assert error.message == "there is no Kerberos ticket for ann"
    realm.kinit()
    error = await refusal(realm, tickets("somebody"))
    assert error.message == "there is no Kerberos ticket for somebody"
    assert error.hint == "get one: kinit somebody"


async def test_expired_ticket(realm: Realm) -> None:
    realm.kinit()
    realm.expire()
    error = await refusal(realm, tickets())
    assert error.message == "the Kerberos ticket has expired"
    assert error.hint == "get a new one: kinit"


async def test_unknown_server(realm: Realm) -> None:
    realm.kinit()
    error = await refusal(realm, tickets(), "127.0.0.9")
    assert "knows no server cifs/127.0.0.9 or host/127.0.0.9" in error.message
    assert error.hint is not None
    assert "full name" in error.hint
    await refusal(realm, tickets(), "a/b@c\\d")  # a name like no other is no other server's


@pytest.mark.parametrize(
    ("user_name", "code", "says"),
    [
        ("stranger", codes.ERROR_LOGON_FAILURE, "does not know stranger"),
        ("daemon", codes.ERROR_LOGON_FAILURE, "refuses the password"),
        ("daemon@NOWHERE.TEST", codes.ERROR_NO_LOGON_SERVERS, "no key distribution centre is known"),
        (
            "daemon@CLOSED.TEST",
            codes.ERROR_NO_LOGON_SERVERS,
            "no key distribution centre of the Kerberos realm answers",
        ),
    ],
)
async def test_realm_that_refuses(realm: Realm, user_name: str, code: int, says: str) -> None:
    error = await refusal(realm, tickets(user_name, "wrong"))
    assert says in error.message
    assert error.code == code
    assert error.hint


async def test_server_in_another_realm(realm: Realm) -> None:
    realm.kinit()
    error = await refusal(realm, tickets(), "fs1.elsewhere.test")
    assert error.hint


@pytest.mark.parametrize("kind", ["missing", "another's", "rubbish"])
async def test_keytab_that_will_not_do(realm: Realm, kind: str) -> None:
    path = realm.directory / "odd.keytab"
    path.write_bytes(b"no keytab at all")
    keytab = {"missing": "/nonexistent/keytab", "another's": str(realm.server_keytab), "rubbish": str(path)}[kind]
    error = await refusal(realm, tickets("daemon", keytab=keytab))
    assert keytab in error.message
    assert error.hint == f"look at it with: klist -k {keytab}"


async def test_account_that_the_realm_shuts_out(realm: Realm) -> None:
    if "shut@" not in realm.kadmin("listprincs"):
        realm.add("shut", "secret")
    realm.kadmin("modprinc", "-allow_tix", "shut")
    error = await refusal(realm, tickets("shut", "secret"))
    assert error.code == codes.ERROR_ACCOUNT_DISABLED
    realm.kadmin("modprinc", "+allow_tix", "-pwexpire", "yesterday", "shut")
    error = await refusal(realm, tickets("shut", "secret"))
    assert error.code == codes.ERROR_PASSWORD_EXPIRED


def lanman(*arguments: str, ahead: str = "") -> subprocess.CompletedProcess[str]:
    """The command, on a machine whose clock is as much `ahead`."""
    elsewhen = [tool("faketime"), "-f", f"+{ahead}"] if ahead else []
    return subprocess.run(
        [*elsewhen, sys.executable, "-m", "lanman", *arguments],
        env={**os.environ, "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        text=True,
    )


@pytest.mark.samba
@pytest.mark.root
def test_command(realm: Realm, smbd: Samba) -> None:
    server = ("-S", f"{HOST}:{smbd.port}", "-k")
    done = lanman("session", *server)
    assert done.returncode == 2
    assert "there is no Kerberos ticket" in done.stderr
    assert "kinit" in done.stderr
    if "root@" not in realm.kadmin("listprincs"):
        realm.add("root", "secret")
    realm.kinit(user_name="root", password="secret")
    done = lanman("session", *server)
    assert done.returncode == 0, done.stderr
    assert "root" in done.stdout
    # A password that would do for NTLM changes nothing: -k is Kerberos or nothing.
    realm.kdestroy()
    done = lanman("session", *server, "-U", smbd.administrator.login)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.samba
@pytest.mark.root
def test_key_distribution_centre_that_says_nothing(realm: Realm, smbd: Samba) -> None:
    login = ("-U", "daemon@SILENT.TEST%secret")
    done = lanman("session", "-S", f"{HOST}:{smbd.port}", "-k", *login, "--timeout", "5")
    assert done.returncode == 2
    assert "no answer from the Kerberos key distribution centre" in done.stderr
    assert "Traceback" not in done.stderr


async def test_clocks_that_differ(realm: Realm, tmp_path: Path) -> None:
    realm.kinit()
    async with server(tmp_path, realm.server_keytab) as running:
        ask = ("session", "-S", f"{HOST}:{running.port}", "-k")
        # The key distribution centre is the first to see it, and with its ticket in the cache the server.
        for _ in range(2):
            done = await asyncio.to_thread(lanman, *ask, ahead="1h")
            assert done.returncode == 2
            assert "time" in done.stderr or "clocks" in done.stderr
            assert "NTP" in done.stderr
            await asyncio.to_thread(realm.run, "kvno", f"cifs/{HOST}")


@pytest.mark.samba
@pytest.mark.root
async def test_server_that_takes_no_tickets(realm: Realm, start_samba: Callable[..., Samba]) -> None:
    realm.kinit()
    with pytest.raises(LanmanError) as caught:
        await use(start_samba().port, tickets(realm.user_name, "secret"))
    assert caught.value.message.startswith(f"\\\\{HOST}: ")


# --- our Server


@asynccontextmanager
async def server(path: Path, keytab: Path, **more: object) -> AsyncIterator[SmbServer]:
    folder = path / "share"
    folder.mkdir(exist_ok=True)
    configuration = Configuration(
        name="LANTEST",
        listen=("127.0.0.1",),
        port=0,
        keytab=str(keytab),
        shares={"share": ShareConfiguration(str(folder))},
        **more,  # type: ignore[arg-type]
    )
    running = SmbServer(configuration, Home(path / "home"))
    running.accounts.update(lambda accounts: accounts.find("daemon") or accounts.add("daemon", PASSWORD))
    async with running:
        yield running


@pytest.mark.parametrize("encrypt", [False, True])
async def test_our_client_at_our_server(realm: Realm, tmp_path: Path, encrypt: bool) -> None:
    realm.kinit()
    async with server(tmp_path, realm.server_keytab, encryption="required" if encrypt else "offered") as running:
        async with SmbClient(HOST, running.port, tickets()) as client:
            await client.tree_connect("share")
            (session,) = running.service.sessions()
            assert (session.user_name, session.domain) == ("daemon", REALM)
            assert session.expires_at is not None
            left = session.expires_at - asyncio.get_running_loop().time()
            assert 85000 < left <= 86400 + 300  # GSS-API adds the clock skew that it allows
            running.service.expire_session(session)
            assert session.state is State.EXPIRED
            with pytest.raises(LanmanError):
                await client.open_pipe("srvsvc")
        # NTLM goes on as ever.
        await use(running.port, Credentials("daemon", PASSWORD))


async def test_whom_the_server_does_not_take(realm: Realm, tmp_path: Path) -> None:
    for name in ("stranger2", "daemon/admin"):
        if f"{name}@" not in realm.kadmin("listprincs"):
            realm.add(name, "secret")
    async with server(tmp_path, realm.server_keytab) as running:
        for name in ("stranger2", "daemon/admin"):
            with pytest.raises(AuthenticationError) as caught:
                await use(running.port, tickets(name, "secret"))
            assert caught.value.code == codes.ERROR_LOGON_FAILURE
        running.accounts.update(lambda accounts: setattr(accounts.account("daemon"), "disabled", True))
        with pytest.raises(AuthenticationError) as caught:
            await use(running.port, tickets("daemon", realm.password))
        assert caught.value.code == codes.ERROR_ACCOUNT_DISABLED
        assert not list(running.service.sessions())
    # Another server's key.
    async with server(tmp_path, realm.host_keytab) as running:
        with pytest.raises(AuthenticationError) as caught:
            await use(running.port, tickets("daemon", realm.password))


def acceptor(realm: Realm, users_realm: str = "") -> Acceptor:
    from lanman.net.kerberos import accepting

    accounts = Accounts()
    accounts.add("daemon")
    made = Acceptor(
        Accounts(),
        server_name="S",
        dns_name="s",
        random=os.urandom,
        mechanisms=accepting(str(realm.server_keytab), users_realm)(),
    )
    made.use_accounts(accounts)
    return made


def test_a_token_of_an_unknown_kind_is_refused(realm: Realm) -> None:
    """RFC 4121 4.1: 01 00 is an AP-REQ. MIT's library answers others with an error token and would go on for ever."""
    realm.kinit()
    token = initiator_for(tickets(), HOST).step(None) or b""
    at = token.index(KERBEROS_OID + b"\x01\x00") + len(KERBEROS_OID)
    for kind in (b"\x02\x00", b"\x03\x00", b"\x05\x01", b"\x07\x07"):
        step = acceptor(realm).step(token[:at] + kind + token[at + 2 :], 0)
        assert isinstance(step.outcome, Refused)
        assert step.token == b""


def test_look_alikes_are_nobody(realm: Realm) -> None:
    for name in ("DAEMON", "daem\u00f6n", "dae\u217fon"):
        if f"{name}@" not in realm.kadmin("listprincs"):
            realm.add(name, "secret")
        token = initiator_for(tickets(name, "secret"), HOST).step(None) or b""
        outcome = acceptor(realm).step(token, 0).outcome
        assert isinstance(outcome, Refused)
        assert outcome.user_name == f"{name}@{REALM}"


def test_users_of_another_realm_are_nobody(realm: Realm) -> None:
    realm.kinit()
    token = initiator_for(tickets(), HOST).step(None) or b""
    outcome = acceptor(realm, "OTHER.TEST").step(token, 0).outcome
    assert outcome == Refused(
        codes.STATUS_LOGON_FAILURE, f"daemon@{REALM}", "the principal is not of the realm OTHER.TEST"
    )


def test_ticket_serves_once_and_unchanged(realm: Realm) -> None:
    realm.kinit()
    token = initiator_for(tickets(), HOST).step(None) or b""
    assert isinstance(acceptor(realm).step(token, 0).outcome, Accepted)
    again = acceptor(realm).step(token, 0).outcome
    assert isinstance(again, Refused)  # the replay cache has seen it
    for at in range(30, len(token), 97):
        changed = bytearray(token)
        changed[at] ^= 1
        assert not isinstance(acceptor(realm).step(bytes(changed), 0).outcome, Accepted)
    for rubbish in (b"x", b"\x60\x00", bytes(5000), token[60:]):
        step = acceptor(realm).step(pack_init(NegTokenInit([KERBEROS_OID], rubbish)), 0)
        assert isinstance(step.outcome, Refused)


@pytest.mark.samba("smbclient")
async def test_smbclient(realm: Realm, tmp_path: Path) -> None:
    realm.kinit()
    by_ticket = ["--use-kerberos=required", f"--use-krb5-ccache=FILE:{realm.ccache}"]
    by_password = ["--use-kerberos=off", "-U", f"daemon%{PASSWORD}"]
    async with server(tmp_path, realm.server_keytab) as running:
        for options in (by_ticket, [*by_ticket, "--client-protection=encrypt"], by_password):
            ask = [tool("smbclient"), "-s", "/dev/null", "-p", str(running.port), *options]
            done = await asyncio.to_thread(
                subprocess.run,
                [*ask, f"//{HOST_FOR_SAMBA}/share", "-c", "ls"],
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert "blocks available" in done.stdout


@pytest.mark.samba("smbtorture")
async def test_tickets_that_end(tmp_path: Path) -> None:
    """smbtorture asks for tickets of four seconds and waits for ten; so GSS-API may add no more than a few."""
    with Realm(clockskew=4) as realm, in_realm(realm):
        async with server(tmp_path, realm.server_keytab, signing="offered") as running:
            refused: list[Event] = []  # smbtorture does not tell why
            running.service.subscribe(refused.append, LogonRefused)
            running.accounts.update(lambda accounts: accounts.set_password("daemon", realm.password))
            login = ["-U", f"daemon@{REALM}%{realm.password}", f"--realm={REALM}", "--use-kerberos=required"]
            ask = [tool("smbtorture"), "-s", "/dev/null", "-p", str(running.port), *login, f"--basedir={tmp_path}"]
            cases = ("expire1n", "expire2e")
            answers = await asyncio.gather(
                *(
                    asyncio.to_thread(
                        subprocess.run,
                        [*ask, f"//{HOST_FOR_SAMBA}/share", f"smb2.session.{case}"],
                        capture_output=True,
                        text=True,
                        timeout=100,
                        check=False,
                    )
                    for case in cases
                )
            )
    for case, done in zip(cases, answers, strict=True):
        assert f"success: {case}" in done.stdout, f"{done.stdout}{done.stderr}{refused}"


async def test_keytabs_that_no_server_starts_with(realm: Realm, tmp_path: Path) -> None:
    odd = tmp_path / "odd.keytab"
    odd.write_bytes(b"no keytab")
    for keytab, says in ((tmp_path / "missing", "cannot be read"), (odd, "no keytab")):
        with pytest.raises(LanmanError, match=says):
            async with server(tmp_path, keytab):
                pass


def test_keytab_in_the_configuration() -> None:
    assert parse_configuration('[server]\nkeytab = "/etc/lanman.keytab"\n').keytab == "/etc/lanman.keytab"
    with pytest.raises(ConfigurationError, match=r"line 2: \[server\] keytab must be the absolute path"):
        parse_configuration('[server]\nkeytab = "lanman.keytab"\n')


def test_realm_in_the_configuration() -> None:
    assert parse_configuration('[domain]\nrealm = "EXAMPLE.COM"\n').domain.realm == "EXAMPLE.COM"
    assert parse_configuration("").domain.realm == ""
    for wrong in ("", "ann@EXAMPLE.COM", "EXAMPLE COM"):
        with pytest.raises(ConfigurationError, match=r"line 2: \[domain\] realm must be the name of a Kerberos realm"):
            parse_configuration(f'[domain]\nrealm = "{wrong}"\n')


async def test_a_keytab_without_any_realm(realm: Realm, tmp_path: Path) -> None:
    bare = tmp_path / "krb5.conf"
    bare.write_text("[libdefaults]\ndns_lookup_realm = false\n")
    with in_realm(realm, KRB5_CONFIG=str(bare)), pytest.raises(LanmanError, match="no Kerberos realm") as caught:
        async with server(tmp_path, realm.server_keytab):
            pass
    assert caught.value.hint is not None
    assert "[domain] realm" in caught.value.hint


def test_nothing_of_it_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys, lanman.net.server, lanman.net.initiators; print([m for m in sys.modules if 'gss' in m or m == "
    )
    script += "'lanman.net.kerberos'])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


async def test_a_log_on_is_kept_from_being_replayed_in_the_home(
    realm: Realm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KRB5RCACHENAME", "KRB5RCACHEDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("lanman.net.kerberos._said", {})
    realm.kinit()
    async with server(tmp_path, realm.server_keytab) as running:
        async with SmbClient(HOST, running.port, tickets()) as client:
            await client.tree_connect("share")
        assert (running.home.path / "replays").is_file()
    for name in ("KRB5RCACHENAME", "KRB5RCACHEDIR"):
        monkeypatch.setenv(name, "")  # so that what the Server has set goes, too


def test_replays_are_kept_in_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lanman.net.kerberos._said", {})
    environ: dict[str, str] = {}
    for home in (tmp_path / "one", tmp_path / "other"):
        keep_replays_in(home, environ)
        assert environ == {"KRB5RCACHENAME": f"file2:{home}/replays", "KRB5RCACHEDIR": str(home)}
    environ = {"KRB5RCACHENAME": "dfl:"}
    keep_replays_in(tmp_path, environ)
    assert environ == {"KRB5RCACHENAME": "dfl:"}
