"""server.toml: what it may say, and what is said about what it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lanman.net.configuration import ConfigurationError, parse_configuration, read_configuration, with_options
from lanman.settings import (
    Configuration,
    Limits,
    NullSessions,
    ShareConfiguration,
    listen_address,
    number_of_sessions,
    share_name_problem,
)

WHOLE = """
# A comment
[server]
listen = ["127.0.0.1", "::1"]
port = 1445
name = "FS1"
comment = "second floor"
hidden = true
user = "lanman"
autodisconnect = -1
max_sessions = 20
signing = "required"
encryption = "required"
session_rights = "legacy"
guest = false
filesystem_name = "LANMAN"
share_roots = ["/srv"]

[limits]
opens_per_session = 100
sessions_per_connection = 7
unauthenticated = 50
unauthenticated_per_address = 5

[null_sessions]
pipes = ["srvsvc"]
shares = ["public"]
linger = 90

[shares.data]
path = "/srv/data"
comment = "what we work on"
read = ["Users"]
write = ["ann"]
guest = "read"
max_users = 3
hidden = false
encryption = true
windows_names = "allow"

[shares."old data"]
path = "/srv/old"
"""


def test_everything_can_be_said() -> None:
    assert parse_configuration(WHOLE) == Configuration(
        listen=("127.0.0.1", "::1"),
        port=1445,
        name="FS1",
        comment="second floor",
        hidden=True,
        user="lanman",
        autodisconnect=-1,
        max_sessions=20,
        signing="required",
        encryption="required",
        session_rights="legacy",
        guest=False,
        filesystem_name="LANMAN",
        share_roots=("/srv",),
        limits=Limits(
            opens_per_session=100, sessions_per_connection=7, unauthenticated=50, unauthenticated_per_address=5
        ),
        null_sessions=NullSessions(pipes=("srvsvc",), shares=("public",), linger=90),
        shares={
            "data": ShareConfiguration(
                "/srv/data",
                "what we work on",
                read=("Users",),
                write=("ann",),
                max_users=3,
                encryption=True,
                guest="read",
                windows_names="allow",
            ),
            "old data": ShareConfiguration("/srv/old"),
        },
    )


def test_nothing_need_be_said(tmp_path: Path) -> None:
    assert parse_configuration("") == Configuration() == read_configuration(tmp_path / "server.toml")
    assert Configuration().port == 445
    assert Configuration().autodisconnect == 15


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[server]\nport = 70000", "server.toml line 2: [server] port must be a number from 0 to 65535"),
        ("[server]\n\nport = true", "line 3: [server] port must be a number"),
        ('[server]\nname = "x"\nautodisconnect = "abc"', "line 3: [server] autodisconnect must be a number from -1"),
        ("[server]\nautodisconnect = 65536", "line 2: [server] autodisconnect"),
        ("[server]\nmax_sessions = -5", "line 2: [server] max_sessions must be a number from 0 (no limit)"),
        ('[server]\nmax_sessions = "windows95"', 'or "unlimited", "workstation" (10), "home" (5), "windows11" (20)'),
        ('[shares.a]\npath = "/a"\nguest = true', 'line 3: [shares.a] guest must be false, "read" or "write"'),
        ('[shares.a]\npath = "/a"\n[shares.A]\npath = "/b"', "line 3: [shares.A] is the same share as [shares.a]"),
        ('[server]\nshare_roots = ["srv"]', "line 2: [server] share_roots must be a list of the absolute paths"),
        ('[server]\nfilesystem_name = ""', "line 2: [server] filesystem_name must be the name of a file system"),
        ('[shares.a]\npath = "/srv"\nwindows_names = "no"', 'windows_names must be "strict" or "allow"'),
        ("[limits]\ntree_connects_per_session = 2049", "line 2: [limits] tree_connects_per_session"),
        ('[server]\nencyption = "required"', "line 2: [server] encyption is not a key of this section"),
        ('[server]\nencryption = "sure"', 'must be "offered" or "required" or "off"'),
        ('[server]\nlisten = "0.0.0.0"', "line 2: [server] listen must be a list"),
        ("[server]\nhidden = 1", "line 2: [server] hidden must be true or false"),
        ("[server]\ncomment = '" + "x" * 49 + "'", "line 2: [server] comment must be at most 48"),
        ("[limits]\nunauthenticated = 0", "line 2: [limits] unauthenticated"),
        ("[sever]\nport = 1", "line 1: sever is not a section of this file"),
        ("server = 3", "server must be a section, written [server]"),
        ("[server]\nport = ", "server.toml line 2: Invalid value"),
        ('[shares.data]\ncomment = "no path"', "[shares.data] path must be the absolute path of a folder"),
        ('[shares.data]\npath = "/srv\\u0000/data"', "[shares.data] path must be the absolute path of a folder"),
        ('[server]\nshare_roots = ["/srv\\u0000"]', "share_roots must be a list of the absolute paths of folders"),
        ('[shares.data]\n\npath = "data"', "line 3: [shares.data] path must be the absolute path"),
        ('[shares."a/b"]\npath = "/srv"', "is not a share name"),
        (f'[shares.{"x" * 81}]\npath = "/srv"', "is not a share name"),
        ("[null_sessions]\nlinger = -1", "line 2: [null_sessions] linger"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration(text)
    assert complaint in caught.value.message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_bytes(b'[server]\nname = "\xff"')
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read_configuration(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_configuration(path)


def test_options_go_over_the_file() -> None:
    configuration = with_options(Configuration(port=1445), listen=("127.0.0.1",), port=None, max_sessions=3)
    assert (configuration.listen, configuration.port, configuration.max_sessions) == (("127.0.0.1",), 1445, 3)
    assert with_options(Configuration(), max_sessions="home").max_sessions == 5
    with pytest.raises(ConfigurationError, match="max-sessions: must be a number"):
        with_options(Configuration(), max_sessions=-1)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("7", 7), ("Workstation", 10), ("home", 5), ("windows11", 20), ("unlimited", 0)],
)
def test_limits_of_sessions_by_number_and_by_name(text: str, number: int) -> None:
    assert number_of_sessions(text) == number
    value = text if text.isdigit() else f'"{text.lower()}"'
    assert parse_configuration(f"[server]\nmax_sessions = {value}").max_sessions == number


@pytest.mark.parametrize("text", ["-5", "abc", "", "1.5", "99999999999", "²"])
def test_what_is_no_limit_of_sessions(text: str) -> None:
    assert number_of_sessions(text) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", ("127.0.0.1", None)),
        ("127.0.0.1:4450", ("127.0.0.1", 4450)),
        ("::", ("::", None)),
        ("::1", ("::1", None)),
        ("[::1]", ("::1", None)),
        ("[::1]:4450", ("::1", 4450)),
        ("[::1]:0", ("::1", 0)),
        (r"\\127.0.0.1", ("127.0.0.1", None)),
        ("//[::1]:4450", ("::1", 4450)),
        ("smb://127.0.0.1", ("127.0.0.1", None)),
        ("SMB://[::1]:4450/", ("::1", 4450)),
        ("127.0.0.1/", ("127.0.0.1", None)),
        ("fe80::1%eth0", ("fe80::1%eth0", None)),
        ("[fe80::1%eth0]:4450", ("fe80::1%eth0", 4450)),
    ],
)
def test_addresses_to_listen_on(text: str, address: tuple[str, int | None]) -> None:
    """As `-S` takes them."""
    assert listen_address(text) == address
    assert parse_configuration(f"[server]\nlisten = ['{text}']").listen == (text,)
    assert with_options(Configuration(), listen=(text,)).listen == (text,)


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "localhost:445", "*", "0", "127.1", "1.2.3.4.5", "[::1", "::1]", "[::1]4450", "1.2.3.4:", "[]:1",
     "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:x", "[127.0.0.1]:1", "1.2.3.4 ", "1.2.3.4\n", "10.0.0.0/8",
     "224.0.0.1", "[ff02::1]:445", "::ffff:127.0.0.1", "smb://localhost", "smb://", "/"],
)  # fmt: skip
def test_what_is_no_address_is_refused_before_anything_is_bound(text: str) -> None:
    with pytest.raises(ConfigurationError, match="listen"):
        with_options(Configuration(), listen=(text,))
    with pytest.raises(ConfigurationError, match=r"line 2: \[server\] listen"):
        parse_configuration(f"[server]\nlisten = [{json.dumps(text)}]")


@pytest.mark.parametrize(
    "name", [".", "..", "...", " ", ". .", " a", "a ", "pipe", "MailSlot", "", "a" * 81, "\U0001f600" * 41]
)
def test_names_that_no_share_may_have(name: str) -> None:
    assert share_name_problem(name)
    with pytest.raises(ConfigurationError):
        parse_configuration(f'[shares.{json.dumps(name)}]\npath = "/srv"')


@pytest.mark.parametrize("name", [".git", "a.b", "..x", "a b", "IPC", "\U0001f600" * 40])
def test_names_that_a_share_may_have(name: str) -> None:
    assert share_name_problem(name) == ""
