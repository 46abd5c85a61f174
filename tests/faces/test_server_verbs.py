"""`lanman config`, `statistics`, `share` and `helpmsg` against a fake server."""

from __future__ import annotations

import json
import time

import pytest

from lanman.records import ConnectionInfo, ServerInfo, ShareInfo, Statistics, TransportInfo
from support.fake_manager import Command

CONFIGURATION = r"""Server Name                           \\FILER01
Server Comment                        branch file server

Software version                      Windows 10.0
Server is active on
        NetbiosSmb (FILER01)
        NetBT_Tcpip_{0C6B} (FILER01)


Server hidden                         No
Maximum Logged On Users               16777216
Maximum open files per session        16384

Idle session time (min)               15
The command completed successfully.

"""


@pytest.fixture
def configured(command: Command) -> Command:
    command.manager.info = ServerInfo(
        500, "FILER01", 10, 0, 0x9003, "branch file server", 16777216, 15, False, sessopens=16384
    )
    command.manager.listening = [
        TransportInfo(3, "\\Device\\NetbiosSmb", b"FILER01         ", "000000000000"),
        TransportInfo(0, "\\Device\\NetBT_Tcpip_{0C6B}", b"FILER01         ", "00155d010203"),
    ]
    return command


def test_configuration(configured: Command) -> None:
    result = configured("config server")
    assert (result.status, result.out, result.err) == (0, CONFIGURATION, "")


def test_configuration_of_a_server_that_says_little(command: Command) -> None:
    command.manager.info = ServerInfo(500, "samba", 6, 1, 0x809A03, None, 0xFFFFFFFF, -1, None)
    lines = command("config server").out.splitlines()
    assert lines[0] == "Server Name                           \\\\samba"
    assert "Server Comment                        -" in lines
    assert "Software version                      6.1, not Windows" in lines
    assert "Server hidden                         -" in lines
    assert "Maximum Logged On Users               Unlimited" in lines
    assert "Maximum open files per session        -" in lines
    assert "Idle session time (min)               Unlimited" in lines


def test_config_alone_names_the_services(command: Command) -> None:
    assert command("config").out == (
        "The following running services can be controlled:\n\n   Server\n\nThe command completed successfully.\n\n"
    )
    assert command("statistics").out.startswith("Statistics are available for the following running services:\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("config server /autodisconnect:30", ("autodisconnect", 30)),
        ("config server /AUTO:-1", ("autodisconnect", -1)),
        ("config server --autodisconnect 65535", ("autodisconnect", 65535)),
        ("config server /hidden:yes", ("hidden", True)),
        ("config server /HID:N", ("hidden", False)),
        (["config", "server", "/srvcomment:a b"], ("comment", "a b")),
        (["config", "server", "/srvcomment:"], ("comment", "")),
    ],
)
def test_settings(command: Command, words: str | list[str], told: tuple[str, object]) -> None:
    result = command(words)
    assert (result.status, result.out, result.err) == (0, "The command completed successfully.\n\n", "")
    assert told in command.manager.told


@pytest.mark.parametrize(
    ("words", "option"),
    [
        ("config server /autodisconnect:70000", "/AUTODISCONNECT"),
        ("config server /autodisconnect:-2", "/AUTODISCONNECT"),
        ("config server /autodisconnect:abc", "/AUTODISCONNECT"),
        ("config server /autodisconnect:", "/AUTODISCONNECT"),
        ("config server /autodisconnect", "/autodisconnect"),
        ("config server /hidden:maybe", "/HIDDEN"),
        (["config", "server", "/srvcomment:" + "x" * 49], "/SRVCOMMENT"),
        (["config", "server", "/srvcomment:a\nb"], "/SRVCOMMENT"),
    ],
)
def test_wrong_settings(command: Command, words: str | list[str], option: str) -> None:
    result = command(words)
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith(f"You entered an invalid value for the {option} option.\n")
    assert "NET HELPMSG 3952" in result.err
    assert command.manager.told == []


@pytest.mark.parametrize("words", ["config workstation", "config /hidden:yes", "config server more"])
def test_config_wrong_syntax(command: Command, words: str) -> None:
    result = command(words)
    assert result.status == 1
    assert "lanman config server [/AUTODISCONNECT:n]" in result.err


def test_configuration_as_json(configured: Command) -> None:
    configuration = json.loads(configured("config server --json").out)["configuration"]
    assert configuration["disc"] == 15
    assert configuration["transports"][0] == {"name": "NetbiosSmb", "address": "FILER01"}
    changed = json.loads(configured("config server /auto:5 --json").out)
    assert changed == {"schema": 1, "server": "FILER01", "changed": {"autodisconnect": 5}}


STATISTICS = r"""Server Statistics for \\FILER01


Statistics since 3/4/2026 8:15:02 AM


Sessions accepted                  12
Sessions timed-out                 3
Sessions errored-out               0

Kilobytes sent                     4194304
Kilobytes received                 4102

Mean response time (msec)          0

System errors                      0
Permission violations              0
Password violations                2

Files accessed                     540
Communication devices accessed     0
Print jobs spooled                 0

Times buffers exhausted

  Big buffers                      0
  Request buffers                  0

The command completed successfully.

"""


def test_statistics(command: Command) -> None:
    start = int(time.mktime((2026, 3, 4, 8, 15, 2, 0, 0, -1)))
    command.manager.counted = Statistics(
        start=start, sopens=12, stimedout=3, pwerrors=2, fopens=540, bytessent_high=1, bytesrcvd_low=4102 * 1024
    )
    assert command("statistics server").out == STATISTICS
    assert command("stats server").out == STATISTICS
    document = json.loads(command("statistics server --json").out)
    assert document["statistics"]["bytes_sent"] == 1 << 32
    assert document["statistics"]["start"] == start


SHARES = r"""
Share name   Resource                        Remark

-------------------------------------------------------------------------------
C$           C:\                             Default share
IPC$                                         Remote IPC
a-rather-long-name
             C:\data\...\more\the-long-one   x
projects     C:\data\projects
The command completed successfully.

"""


@pytest.fixture
def sharing(command: Command) -> Command:
    command.manager.shared = [
        ShareInfo("C$", 0x80000000, "Default share", path="C:\\"),
        ShareInfo("IPC$", 0x80000003, "Remote IPC", path=""),
        ShareInfo("a-rather-long-name", 0, "x", path=r"C:\data\quite\some\more\the-long-one"),
        ShareInfo("projects", 0, "", 0, 0xFFFFFFFF, 2, r"C:\data\projects", "secret", 0),
    ]
    return command


def test_shares(sharing: Command) -> None:
    assert sharing("share").out == SHARES


def test_one_share(sharing: Command) -> None:
    sharing.manager.tree_connects = [
        ConnectionInfo(number, 0, 1, 1, 1, name, "pc")
        for number, name in enumerate(["mira.holt", "jonas", "a-user-with-a-long-name", "x"])
    ]
    assert sharing("share projects").out == (
        "Share name        projects\n"
        "Path              C:\\data\\projects\n"
        "Remark\n"
        "Maximum users     No limit\n"
        "Users             mira.holt            jonas\n"
        "                  a-user-with-a-long-name x\n"
        "Caching           Manual caching of documents\n"
        "\n"
        "The command completed successfully.\n\n"
    )


def test_unknown_share(sharing: Command) -> None:
    result = sharing("share nothing")
    assert result.status == 2
    assert result.err.startswith(
        "This shared resource does not exist.\n\nMore help is available by typing NET HELPMSG 2310."
    )


def test_shares_as_data_keep_the_password_to_themselves(sharing: Command) -> None:
    for words in ("share --json", "share --csv", "share projects --json"):
        assert "secret" not in sharing(words).out
    assert json.loads(sharing("share --json").out)["shares"][3]["max_users"] is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("2312", "A session does not exist with that computer name."),
        ("5", "Access is denied."),
        ("259", "No more data is available."),
        ("0x103", "No more data is available."),
        ("0x00000103", "The operation that was requested is pending completion."),
        ("0xC0000203", "The remote user session has been deleted."),
        ("3221225987", "The remote user session has been deleted."),
        ("3960", "You specified an invalid file number."),
    ],
)
def test_helpmsg(command: Command, number: str, text: str) -> None:
    result = command(f"helpmsg {number}")
    assert result.status == 0
    assert result.out.startswith(f"\n{text}\n\n")


def test_helpmsg_explains_what_people_look_up(command: Command) -> None:
    shown = command("helpmsg 2312").out
    assert "\nEXPLANATION\n" in shown
    assert "\nACTION\n" in shown


def test_helpmsg_of_nothing(command: Command) -> None:
    result = command("helpmsg 99999")
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("99999 is not a valid Windows network message number.\n")
    assert "NET HELPMSG 3871" in result.err
    for words in ("helpmsg", "helpmsg abc", "helpmsg 0xyz", "helpmsg -1"):
        assert command(words).status == 1


def test_helpmsg_as_json(command: Command) -> None:
    message = json.loads(command("helpmsg 5 --json").out)["message"]
    assert message == {"code": 5, "name": "ERROR_ACCESS_DENIED", "text": "Access is denied."}
