"""lanman.toml and `credentials`: what they may say, what is said about what they may not, and whose they may be."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from lanman import client_settings
from lanman.client_settings import ClientConfiguration, Cluster, Command, Credential, Mail, Webhook, usual_port
from lanman.errors import AccessDenied
from lanman.net.client_configuration import (
    configuration_folder,
    parse_client_configuration,
    parse_credentials,
    read_client_configuration,
)
from lanman.net.configuration import ConfigurationError
from lanman.settings import Setting

MAIL = '[mail]\nserver = "mx"\nsender = "a@b.org"\n'

WHOLE = """
[mail]
server = "smtp.example.com"
sender = "lanman@example.com"
port = 2525
tls = "tls"
ca_file = "/etc/ca.pem"
address = "{user}@example.com"
credentials = "post"
deadline = 5
addresses = { "EXAMPLE\\\\bob" = "b.jones@example.com", eve = "" }

[webhook]
url = "https://hooks.example.com:8443/x?y=1"
headers = { X-Priority = "high" }
credentials = "hook"

[command]
argv = ["/usr/bin/env", "A=1", "tell", "--", "{user}: {message}"]

[clusters.files]
nodes = ["fs1", "[::1]:4450"]
"""

SECRETS = {"post": Credential("ann", "secret"), "hook": Credential(authorization="Bearer x")}


def test_a_whole_one() -> None:
    assert parse_client_configuration(WHOLE, credentials=SECRETS) == ClientConfiguration(
        Mail(
            "smtp.example.com",
            "lanman@example.com",
            2525,
            "tls",
            "/etc/ca.pem",
            "{user}@example.com",
            {r"EXAMPLE\bob": "b.jones@example.com", "eve": ""},
            "post",
            5,
        ),
        Webhook("https://hooks.example.com:8443/x?y=1", {"X-Priority": "high"}, credentials="hook"),
        Command(("/usr/bin/env", "A=1", "tell", "--", "{user}: {message}")),
        {"files": Cluster(("fs1", "[::1]:4450"))},
        SECRETS,
    )


def test_nothing_is_configured_without_a_section() -> None:
    assert parse_client_configuration("# nothing\n") == ClientConfiguration()


@pytest.mark.parametrize(("tls", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_usual_ports(tls: str, port: int) -> None:
    mail = parse_client_configuration(f'{MAIL}tls = "{tls}"\n').mail
    assert mail is not None
    assert usual_port(mail) == port


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[post]\n", "lanman.toml line 1: post is not a section of this file"),
        ("\n[mail]\nserver = 1\n", "lanman.toml line 3: [mail] server must be text in quotation marks"),
        ('[mail]\nserver = "mx"\n', "line 1: [mail] sender must be the address of a mailbox"),
        (f'{MAIL}sendr = "x"\n', "line 4: [mail] sendr is not a key of this section"),
        ('[mail]\nserver = "mx"\nsender = "a@b\\nBcc: c@d"\n', "line 3: [mail] sender must be the address"),
        (f"{MAIL}port = 70000\n", "line 4: [mail] port must be a number from 0 to 65535"),
        (f'{MAIL}tls = "on"\n', 'line 4: [mail] tls must be "starttls" or "tls" or "none"'),
        (f'{MAIL}address = "all@b.org"\n', "line 4: [mail] address must be an address with {user} in it"),
        (f'{MAIL}address = "{{user}} <x@b.org>"\n', "line 4: [mail] address must be an address with {user} in it"),
        (f'{MAIL}addresses = {{ bob = "b" }}\n', "line 4: [mail] addresses must have for 'bob' the address of"),
        (f"{MAIL}deadline = 0\n", "line 4: [mail] deadline must be a number from 1 to 600"),
        (f'{MAIL}credentials = "x"\n', "line 4: [mail] credentials is no section of the file `credentials`"),
        ('[mail]\nserver = "a b"\n', "line 2: [mail] server must be the name or the address of a host"),
        ('[webhook]\nurl = "file:///etc/passwd"\n', "line 2: [webhook] url must be an address of the web"),
        ('[webhook]\nurl = "https://u:p@h/"\n', "line 2: [webhook] url must be an address of the web without a user"),
        ('[webhook]\nurl = "https://h/ x"\n', "line 2: [webhook] url must be an address of the web"),
        ('[webhook]\nurl = "https://h"\nheaders = { Authorization = "x" }\n', "belongs into the file `credentials`"),
        ('[webhook]\nurl = "https://h"\nheaders = { Host = "x" }\n', "line 3: [webhook] headers must not have 'Host'"),
        (
            '[webhook]\nurl = "https://h"\nheaders = { X = "a\\r\\nb" }\n',
            "headers must have printable ASCII text for X",
        ),
        ("[command]\n", "line 1: [command] argv must be a list of words"),
        ('[command]\nargv = "wall"\n', "line 2: [command] argv must be a list of words"),
        ('[command]\nargv = ["wall"]\n', "line 2: [command] argv must begin with the absolute path of a program"),
        ('[command]\nargv = ["/bin/x", "{name}"]\n', "must have no other word in braces than {clients}, {message}"),
        ("[clusters.a]\nnodes = []\n", "line 2: [clusters.a] nodes must be a list of servers"),
        ('[clusters.a]\nnodes = ["b:0"]\n', "nodes must be a list of servers; 'b:0' is no HOST and no HOST:PORT"),
        ('[clusters.a]\nnodes = ["b", "B"]\n', "line 2: [clusters.a] nodes must name each server once"),
        ("[mail\n", "lanman.toml line 1:"),
    ],
)
def test_a_mistake_names_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        parse_client_configuration(text)


@pytest.mark.parametrize(
    ("text", "secrets", "message"),
    [
        (f'{MAIL}credentials = "x"\n', {"x": Credential("ann")}, "line 4: [mail] credentials has no `password`"),
        (
            f'{MAIL}tls = "none"\ncredentials = "x"\n',
            {"x": Credential("ann", "secret")},
            'line 5: [mail] credentials would be sent unencrypted: it needs `tls = "starttls"`',
        ),
        (
            '[webhook]\nurl = "http://h/"\ncredentials = "x"\n',
            {"x": Credential(authorization="Bearer secret")},
            "line 3: [webhook] credentials would be sent unencrypted",
        ),
        (
            '[clusters.a]\nnodes = ["b"]\ncredentials = "x"\n',
            {"x": Credential("ann")},
            "line 3: [clusters.a] credentials cannot log on: in `credentials` it needs `user` and `password` or",
        ),
    ],
)
def test_credentials_that_do_not_do(text: str, secrets: dict[str, Credential], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)) as caught:
        parse_client_configuration(text, credentials=secrets)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "section", [Credential("ann", "x"), Credential("ann", nt_hash="0" * 32), Credential(kerberos=True)]
)
def test_a_cluster_is_asked_by_whatever_can_log_on(section: Credential) -> None:
    text = '[clusters.a]\nnodes = ["b"]\ncredentials = "x"\n'
    assert parse_client_configuration(text, credentials={"x": section}).clusters["a"].credentials == "x"


def test_this_machine_itself_may_be_told_in_the_clear() -> None:
    text = '[webhook]\nurl = "http://127.0.0.1:80/"\ncredentials = "x"\n'
    assert parse_client_configuration(text, credentials={"x": Credential(authorization="Bearer x")}).webhook


def test_nothing_secret_is_shown() -> None:
    shown = repr(parse_client_configuration(WHOLE, credentials={**SECRETS, "hook": Credential(authorization="Hush")}))
    assert "secret" not in shown
    assert "Hush" not in shown
    with pytest.raises(ConfigurationError, match=r"line 2: .x. pasword is not a key of this section") as caught:
        parse_credentials('[x]\npasword = "hush"\n')
    assert "hush" not in str(caught.value)


@pytest.mark.posix
@pytest.mark.parametrize(
    ("environ", "folder"),
    [({"XDG_CONFIG_HOME": "/x"}, "/x/lanman"), ({"XDG_CONFIG_HOME": "x"}, None), ({}, None)],
)
def test_where_it_lies(environ: dict[str, str], folder: str | None) -> None:
    usual = "/etc/lanman" if os.geteuid() == 0 else os.path.expanduser("~/.config/lanman")
    assert configuration_folder(environ) == Path(folder or usual)


def test_files_are_read_once_they_are_there(tmp_path: Path) -> None:
    assert read_client_configuration(tmp_path / "nowhere") == ClientConfiguration()
    (tmp_path / "lanman.toml").write_text("[clusters.a]\nnodes = ['b']\n")
    assert read_client_configuration(tmp_path).clusters == {"a": Cluster(("b",))}


@pytest.mark.posix
def test_credentials_lie_beside_it(tmp_path: Path) -> None:
    (tmp_path / "lanman.toml").write_text(f'{MAIL}credentials = "x"\n')
    with pytest.raises(ConfigurationError, match=r"credentials: is not there, and lanman.toml names") as caught:
        read_client_configuration(tmp_path)
    assert "chmod 600" in str(caught.value.hint)
    secrets = tmp_path / "credentials"
    secrets.write_text("[x]\nuser = 'ann'\npassword = 'secret'\n")
    secrets.chmod(0o600)
    found = read_client_configuration(tmp_path)
    assert (found.credentials, found.warnings) == ({"x": Credential("ann", "secret")}, ())
    secrets.chmod(0o644)
    assert read_client_configuration(tmp_path).warnings == (
        f"{secrets} can be read by others; `chmod 600 {secrets}` keeps it to you.",
    )


@pytest.mark.posix
@pytest.mark.parametrize("name", ["lanman.toml", "credentials"])
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_change_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    (tmp_path / "lanman.toml").write_text(f'{MAIL}credentials = "x"\n')
    (tmp_path / "credentials").write_text("[x]\nuser = 'ann'\npassword = 'secret'\n")
    (tmp_path / "credentials").chmod(0o600)
    (tmp_path / name).chmod(mode)
    with pytest.raises(AccessDenied, match=f"{name}: others may change it") as caught:
        read_client_configuration(tmp_path)
    assert caught.value.hint == f"chmod go-w {tmp_path / name}"


@pytest.mark.posix
def test_a_folder_that_others_may_change_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lanman.toml").write_text(MAIL)
    tmp_path.chmod(0o777)
    with pytest.raises(AccessDenied, match=r"others may write to it, so /.*/lanman.toml is not used"):
        read_client_configuration(tmp_path)


@pytest.mark.root
def test_root_does_not_run_what_another_user_has_configured(tmp_path: Path) -> None:
    (tmp_path / "lanman.toml").write_text("[command]\nargv = ['/bin/x']\n")
    os.chown(tmp_path / "lanman.toml", 65534, -1)
    with pytest.raises(AccessDenied, match="belongs to another user"):
        read_client_configuration(tmp_path)


@pytest.mark.posix
def test_what_is_no_text_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "lanman.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"lanman.toml: is not UTF-8 text \(byte 0\)"):
        read_client_configuration(tmp_path)
    (tmp_path / "lanman.toml").unlink()
    (tmp_path / "lanman.toml").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_client_configuration(tmp_path)


@pytest.mark.parametrize(
    ("name", "setting"),
    [(name, each) for settings in client_settings.SECTIONS.values() for name, each in settings.items()],
)
def test_a_default_and_an_example_are_values(name: str, setting: Setting) -> None:
    assert setting.doc
    for value in (setting.default, setting.example):
        if value not in (None, ""):
            setting.check(list(value) if isinstance(value, tuple) else value)
