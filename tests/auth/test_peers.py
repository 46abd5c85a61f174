"""Samba's own client, in process with our acceptor; and log-ons of Samba and impacket as they were once recorded."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lanman.auth.acceptor import Accepted, Acceptor, Refused, Step
from lanman.auth.accounts import Accounts
from lanman.names import GUESTS

NOW = 1_700_000_000.0
VECTORS = Path(__file__).parent.parent / "vectors"
PYTHON = "/usr/bin/python3"  # python3-samba is Debian's, and so for Debian's Python

# Prints its tokens and reads ours, a line of hexadecimal digits each, then prints its session key.
CLIENT = """
import sys
from samba import credentials, gensec, param
user, password, feature, mechanism = sys.argv[1:]
configuration = param.LoadParm()
configuration.set("netbios name", "CLIENT")
who = credentials.Credentials()
who.guess(configuration)
who.set_kerberos_state(credentials.DONT_USE_KERBEROS)
if user:
    who.set_username(user)
    who.set_password(password)
    who.set_domain("DOM")
else:
    who.set_anonymous()
client = gensec.Security.start_client({"lp_ctx": configuration, "target_hostname": "srv"})
client.set_credentials(who)
client.want_feature(getattr(gensec, feature))
client.start_mech_by_name(mechanism)
finished, token = client.update(b"")
while not finished:
    print(token.hex(), flush=True)
    finished, token = client.update(bytes.fromhex(sys.stdin.readline()))
if token:
    print(token.hex(), flush=True)
print("key", client.session_key().hex(), flush=True)
"""


@pytest.fixture
def accounts() -> Accounts:
    accounts = Accounts()
    accounts.add("Ann", "Secret1")
    accounts.add("Käthe", "Straße")
    return accounts


def acceptor(accounts: Accounts, random: Callable[[int], bytes] = os.urandom) -> Acceptor:
    return Acceptor(accounts, server_name="SRV", dns_name="srv.example", random=random)


def gensec(server: Acceptor, *arguments: str) -> tuple[Step, str]:
    """The last step of our acceptor with Samba's client, and what that client printed last."""
    if subprocess.run([PYTHON, "-c", "import samba.gensec"], capture_output=True, check=False).returncode:
        pytest.skip("not installed: python3-samba (see system-packages.txt)")
    step = Step()
    with subprocess.Popen(
        [PYTHON, "-c", CLIENT, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        line = ""
        for line in client.stdout:
            if line.startswith("key "):
                break
            step = server.step(bytes.fromhex(line), NOW)
            if isinstance(step.outcome, Refused):
                client.kill()
                break
            if step.token:  # without SPNEGO there is no last word, and the client does not wait for one
                client.stdin.write(step.token.hex() + "\n")
                client.stdin.flush()
    return step, line.strip()


@pytest.mark.parametrize("mechanism", ["spnego", "ntlmssp"])
@pytest.mark.parametrize("feature", ["FEATURE_SESSION_KEY", "FEATURE_SIGN", "FEATURE_SEAL"])
def test_samba_logs_on(accounts: Accounts, feature: str, mechanism: str) -> None:
    step, said = gensec(acceptor(accounts), "KÄTHE", "Straße", feature, mechanism)
    assert isinstance(step.outcome, Accepted)
    assert step.outcome.user_name == "Käthe"
    assert said == f"key {step.outcome.session_key.hex()}"  # so it took our mechListMIC too


@pytest.mark.parametrize("mechanism", ["spnego", "ntlmssp"])
def test_samba_null_session(accounts: Accounts, mechanism: str) -> None:
    step, said = gensec(acceptor(accounts), "", "", "FEATURE_SIGN", mechanism)
    assert isinstance(step.outcome, Accepted)
    assert step.outcome.anonymous
    assert said == f"key {step.outcome.session_key.hex()}"


@pytest.mark.parametrize("mechanism", ["spnego", "ntlmssp"])
def test_samba_as_an_account_that_is_a_guest(accounts: Accounts, mechanism: str) -> None:
    accounts.add_member(GUESTS, "ann")
    step, said = gensec(acceptor(accounts), "ann", "Secret1", "FEATURE_SIGN", mechanism)
    assert isinstance(step.outcome, Accepted)
    assert step.outcome.guest
    assert said == f"key {step.outcome.session_key.hex()}"


@pytest.mark.parametrize("mechanism", ["spnego", "ntlmssp"])
@pytest.mark.parametrize(("user", "password"), [("ann", "wrong"), ("bob", "Secret1")])
def test_samba_is_refused(accounts: Accounts, user: str, password: str, mechanism: str) -> None:
    step, _ = gensec(acceptor(accounts), user, password, "FEATURE_SIGN", mechanism)
    assert isinstance(step.outcome, Refused)


@pytest.mark.parametrize("name", ["samba-spnego", "samba-raw", "samba-anonymous", "impacket"])
def test_recorded_log_on(accounts: Accounts, name: str) -> None:
    """The same random bytes and the same time give the same challenge, so what a client answered stays right."""
    server = acceptor(accounts, lambda size: bytes(range(size)))
    step = Step()
    for line in (VECTORS / f"ntlm-{name}.txt").read_text().splitlines():
        who, _, text = line.partition(" ")
        data = bytes.fromhex(text)
        if who == "client":
            assert step.outcome is None
            step = server.step(data, NOW)
        elif who == "server":
            assert step.token == data
        else:
            assert isinstance(step.outcome, Accepted)
            assert step.outcome.session_key == data
            assert step.outcome.user_name == ("" if "anonymous" in name else "Ann")


@pytest.mark.parametrize("name", ["samba-spnego", "samba-raw", "impacket"])
def test_recorded_log_on_with_another_password(accounts: Accounts, name: str) -> None:
    accounts.set_password("ann", "secret1")
    server = acceptor(accounts, lambda size: bytes(range(size)))
    lines = (VECTORS / f"ntlm-{name}.txt").read_text().splitlines()
    steps = [server.step(bytes.fromhex(line[7:]), NOW) for line in lines if line.startswith("client ")]
    assert isinstance(steps[-1].outcome, Refused)


def test_accounts_that_change_between_two_legs(accounts: Accounts) -> None:
    server = acceptor(Accounts(), lambda size: bytes(range(size)))
    lines = (VECTORS / "ntlm-samba-spnego.txt").read_text().splitlines()
    server.step(bytes.fromhex(lines[0][7:]), NOW)
    server.use_accounts(accounts)
    assert isinstance(server.step(bytes.fromhex(lines[2][7:]), NOW).outcome, Accepted)
