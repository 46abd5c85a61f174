"""`lanman session` against a fake server: NET's layout to the letter, its questions, and its exit statuses."""

from __future__ import annotations

import csv
import io
import json
import os
import struct

import pytest

from lanman.errors import AccessDenied, ConnectionLost, Win32Error
from lanman.faces.cli import output
from lanman.faces.cli.verbs.session import blocks
from lanman.manage.own import DetailedSession
from lanman.records import ConnectionInfo, SessionInfo
from support.fake_manager import Command

NO_SUCH_SESSION = (
    "A session does not exist with that computer name.\n\nMore help is available by typing NET HELPMSG 2312.\n"
)


def some_sessions() -> list[SessionInfo]:
    return [
        SessionInfo(r"\\10.20.0.14", "mira.holt", 3, 2890, 41, 0, "", r"\Device\NetbiosSmb"),
        SessionInfo("10.20.0.15", "", 0, 100, 65, 1, "", ""),
        SessionInfo("fe80::9c1a:2", "KIOSK07$", 0, 200000, 86400 + 3 * 3600 + 12 * 60, 0, "", ""),
        SessionInfo(r"\\OLDBOX", "jonas", 1, 5000, 1042, 0, "Windows 2002 Service Pack 2", ""),
    ]


TABLE = r"""
Computer               User name            Client Type       Opens Idle time

-------------------------------------------------------------------------------
\\10.20.0.14           mira.holt                                  3 00:00:41
\\10.20.0.15                                                      0 00:01:05
\\[fe80::9c1a:2]       KIOSK07$                                   0 01D 03H 12M
\\OLDBOX               jonas                Windows 2002 Serv     1 00:17:22
The command completed successfully.

"""


def test_table(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command("session")
    assert (result.status, result.out, result.err) == (0, TABLE, "")


@pytest.mark.parametrize("words", ["SESSION", "sess", "sessions", "Session", "-S fs1 -N session"])
def test_verb_in_any_case_and_under_its_other_names(command: Command, words: str) -> None:
    command.manager.entries = some_sessions()
    assert command(words).out == TABLE


def test_what_the_server_did_not_say_is_no_zero(command: Command) -> None:
    command.manager.level = 0
    command.manager.entries = [SessionInfo(r"\\pc7")]
    result = command("session")
    assert r"\\pc7                  -                                          - -" in result.out.splitlines()
    assert command("session /list").out.startswith(
        "User name       -\nComputer        pc7\nGuest logon     -\nClient type\n"
        "Sess time       -\nIdle time       -\n\n"
    )


def test_empty_list(command: Command) -> None:
    for words in ("session", "session /list", "session --user nobody", "session --client pc9"):
        result = command(words)
        assert (result.status, result.out, result.err) == (0, "There are no entries in the list.\n\n", "")


DETAIL = """User name       mira.holt
Computer        10.20.0.14
Guest logon     No
Client type
Sess time       00:48:10
Idle time       00:00:41

Share name     Type     # Opens
-------------------------------------------------------------------------------
projects       Disk          2
IPC$           IPC           1
The command completed successfully.

"""


@pytest.mark.parametrize("client", [r"\\10.20.0.14", r"\10.20.0.14", "//10.20.0.14", "10.20.0.14"])
def test_detail(command: Command, client: str) -> None:
    command.manager.entries = some_sessions()
    command.manager.tree_connects = [
        ConnectionInfo(1, 0, 2, 1, 10, "mira.holt", "projects"),
        ConnectionInfo(2, 0x80000003, 1, 1, 10, "mira.holt", "IPC$"),
        ConnectionInfo(3, 0, 1, 1, 10, "somebody.else", "secret"),
    ]
    result = command(["session", client])
    assert (result.status, result.out) == (0, DETAIL)
    assert ("connections", r"\\10.20.0.14") in command.manager.told


def test_detail_without_connections_still_shows_the_session(command: Command) -> None:
    command.manager.entries = some_sessions()
    command.manager.refuses["connections"] = AccessDenied()
    result = command(r"session \\oldbox")
    assert result.status == 0
    assert "User name       jonas" in result.out
    assert "Share name" not in result.out
    assert "the shares in use cannot be listed" in result.err


def test_list_has_a_block_for_each_session(command: Command) -> None:
    command.manager.entries = some_sessions()[:2]
    assert command("session /l").out == (
        "User name       mira.holt\nComputer        10.20.0.14\nGuest logon     No\nClient type\n"
        "Sess time       00:48:10\nIdle time       00:00:41\n\n"
        "User name\nComputer        10.20.0.15\nGuest logon     Yes\nClient type\n"
        "Sess time       00:01:40\nIdle time       00:01:05\n\n"
        "The command completed successfully.\n\n"
    )


def test_filters_choose_what_is_shown(command: Command) -> None:
    command.manager.entries = some_sessions()
    shown = command("session --user JONAS").out
    assert "jonas" in shown
    assert "mira" not in shown
    assert "KIOSK07$" in command("session /client:[FE80:0::9c1a:2]").out
    assert command("session --client oldbox --user mira.holt").out == "There are no entries in the list.\n\n"


def test_unknown_client(command: Command) -> None:
    command.manager.entries = some_sessions()
    for words in (
        r"session \\pc9",
        r"session \\pc9 /delete",
        r"session \\pc9 /delete /y",
        r"session \\oldbox --user mira.holt",
    ):
        result = command(words)
        assert (result.status, result.out) == (2, "")
        assert result.err.startswith(NO_SUCH_SESSION)
        assert r"\\pc9" in result.err or r"\\oldbox" in result.err
    assert len(command.manager.entries) == 4


@pytest.mark.parametrize(
    "words", ["session /frobnicate", "session /c", r"session \\", "session a b", r"session \\pc7\share"]
)
def test_wrong_syntax(command: Command, words: str) -> None:
    result = command(words)
    assert (result.status, result.out) == (1, "")
    assert "lanman session [" in result.err
    assert command.manager.opened_with == []


def test_access_denied_is_five(command: Command) -> None:
    command.manager.fails = AccessDenied(r"\\fs1: access denied to srvsvc", hint="ann is no member of Administrators")
    result = command("session")
    assert result.status == 5
    assert result.out == ""
    assert result.err == (
        "System error 5 has occurred.\n\nAccess is denied.\n\n"
        "\\\\fs1: access denied to srvsvc; ann is no member of Administrators.\n"
    )


def test_a_server_that_cannot_be_reached_is_two(command: Command) -> None:
    command.manager.fails = ConnectionLost(r"\\fs1: no host of that name is known", code=53, hint="check the spelling")
    result = command("session -S fs1 -N")
    assert result.status == 2
    assert result.err == (
        "System error 53 has occurred.\n\nThe network path was not found.\n\n"
        "\\\\fs1: no host of that name is known; check the spelling.\n"
    )


# --- data for programs


def test_json(command: Command) -> None:
    command.manager.entries = [SessionInfo(r"\\pc7", "ann", 1), SessionInfo("pc8")]
    command.manager.level = 1
    result = command("session --json")
    document = json.loads(result.out)
    assert document == {
        "schema": 1,
        "server": "FILER01",
        "level": 1,
        "sessions": [
            {
                "client_name": client,
                "client": client.lstrip("\\"),
                "user_name": user,
                "num_opens": opens,
                "active_time": None,
                "idle_time": None,
                "user_flags": None,
                "client_type": None,
                "transport": None,
            }
            for client, user, opens in ((r"\\pc7", "ann", 1), ("pc8", None, None))
        ],
    }
    assert list(document["sessions"][0])[:3] == ["client_name", "client", "user_name"]
    assert json.loads(command("session --json --user nobody").out)["sessions"] == []
    assert json.loads(command("session pc7 --json").out)["connections"] == []


@pytest.mark.parametrize(
    ("listed", "bare"),
    [(r"\\pc7", "pc7"), ("10.0.0.7", "10.0.0.7"), (r"\\[fe80::7]", "fe80::7"), ("::1", "::1"), (None, None), ("", "")],
)
def test_json_has_the_client_bare_too(command: Command, listed: str | None, bare: str | None) -> None:
    command.manager.entries = [SessionInfo(listed, "ann", 0)]
    (shown,) = json.loads(command("session --json").out)["sessions"]
    assert (shown["client_name"], shown["client"]) == (listed, bare)
    assert list(shown)[:2] == ["client_name", "client"]
    (ended,) = json.loads(command("session /delete /y --json").out)["ended"]
    assert (ended["client_name"], ended["client"]) == (listed, bare)


def test_json_is_harmless_on_a_terminal(command: Command) -> None:
    command.manager.entries = [SessionInfo("pc\u202e\x1b]0;x\x07\x9b", "bü\ud83d")]
    result = command("session --json")
    assert result.out.isascii()
    assert "\x1b" not in result.out
    assert json.loads(result.out)["sessions"][0]["client_name"] == "pc\u202e\x1b]0;x\x07\x9b"


def test_csv(command: Command) -> None:
    command.manager.entries = [SessionInfo(r"\\pc7", "ann, of\nIT", 1), SessionInfo("pc8", "=cmd|'/c calc'!A1", 0, 7)]
    rows = list(csv.reader(io.StringIO(command("session --csv").out)))
    assert rows == [
        ["client_name", "user_name", "num_opens", "active_time", "idle_time", "user_flags", "client_type", "transport"],
        [r"\\pc7", r"ann, of\x0aIT", "1", "", "", "", "", ""],
        ["pc8", "'=cmd|'/c calc'!A1", "0", "7", "", "", "", ""],
    ]
    command.manager.entries = []
    assert command("session --csv").out.startswith('"client_name","user_name"')


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("  +1", "  '+1"),
        ("\uff1d1", "'\uff1d1"),
        ("\uff0b1", "'\uff0b1"),
        ("\uff0d1", "'\uff0d1"),
        ("\uff201", "'\uff201"),
        ("a;=1", "a;'=1"),
        ("a, -1|@x", "a, '-1|'@x"),
        ("a-b@c=d", "a-b@c=d"),
        ('say "x"', 'say "x"'),
    ],
)
def test_no_cell_is_a_formula(command: Command, name: str, cell: str) -> None:
    command.manager.entries = [SessionInfo("pc8", name, 0)]
    out = command("session --csv").out
    assert all(line.startswith('"') and line.endswith('"') for line in out.splitlines())
    assert list(csv.reader(io.StringIO(out)))[1][1] == cell


def test_names_from_a_peer_are_escaped(command: Command) -> None:
    command.manager.entries = [SessionInfo("pc\x1b[31m", "exe\u202egpj", 1, 1, 1, 0, "\x07", "")]
    for words in ("session", "session /list", "session --csv"):
        shown = command(words).out
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "pc\\x1b[31m" in shown


def test_resolve(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    async def name_of(address: str) -> str | None:
        return {"10.20.0.14": "mira-pc.example"}.get(address)

    monkeypatch.setattr("lanman.net.resolve.name_of", name_of)
    command.manager.entries = some_sessions()
    lines = command("session --resolve").out.splitlines()
    assert lines[1].endswith("Idle time    Name")
    assert lines[4].endswith("00:00:41     mira-pc.example")
    assert lines[5].endswith("00:01:05")
    assert "Computer        10.20.0.14 (mira-pc.example)\n" in command("session /list --resolve").out
    resolved = [entry["resolved_name"] for entry in json.loads(command("session --json --resolve").out)["sessions"]]
    assert resolved == ["mira-pc.example", None, None, None]


# --- ending


def test_a_client_without_open_files_is_ended_without_a_question(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command(r"session \\10.20.0.15 /delete")
    assert (result.status, result.out, result.err) == (0, "The command completed successfully.\n\n", "")
    assert len(command.manager.entries) == 3


QUESTION = "The session from 10.20.0.14 has open files.\n\nDo you want to continue this operation? (Y/N) [N]: "


@pytest.mark.parametrize(("answers", "status"), [("y\n", 0), ("YES\n", 0), ("n\n", 2), ("\n", 2), ("No\n", 2)])
def test_a_client_with_open_files_is_asked_about(command: Command, answers: str, status: int) -> None:
    command.manager.entries = some_sessions()
    result = command(r"session \\10.20.0.14 /delete", answers)
    assert result.status == status
    assert result.out == QUESTION + ("The command completed successfully.\n\n" if status == 0 else "")
    assert len(command.manager.entries) == (3 if status == 0 else 4)


def test_an_invalid_answer_is_asked_for_again(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command(r"session \\10.20.0.14 /delete", "perhaps\ny\n")
    assert result.status == 0
    assert "This is an invalid response.\n" in result.out
    assert len(command.manager.entries) == 3


def test_no_answer_at_all_ends_nothing(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command("session /delete", "")
    assert result.status == 2
    assert "No valid response was provided.\n\nMore help is available by typing NET HELPMSG 3757.\n" in result.err
    assert len(command.manager.entries) == 4


@pytest.mark.parametrize(
    "words", ["session /delete /y", "session /d /YES", "session --delete --yes", "/y session /del"]
)
def test_all_without_a_question(command: Command, words: str) -> None:
    command.manager.entries = some_sessions()
    result = command(words)
    assert (result.status, result.out, result.err) == (0, "The command completed successfully.\n\n", "")
    assert command.manager.entries == []


def test_all_after_naming_them(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command("session /delete", "y\n")
    assert result.out == (
        "These workstations have sessions on this server:\n\n"
        "    \\\\10.20.0.15\n    \\\\[fe80::9c1a:2]\n\n"
        "These workstations have sessions with open files on this server:\n\n"
        "    \\\\10.20.0.14\n    \\\\OLDBOX\n\n"
        "Do you want to continue this operation? (Y/N) [N]: The command completed successfully.\n\n"
    )
    assert command.manager.entries == []


def test_all_without_open_files_is_yes_unless_told_otherwise(command: Command) -> None:
    command.manager.entries = some_sessions()[1:3]
    result = command("session /delete", "\n")
    assert result.out.startswith("These workstations have sessions on this server:\n\n    \\\\10.20.0.15\n")
    assert "(Y/N) [Y]: " in result.out
    assert command.manager.entries == []


def test_answered_no_beforehand(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command("session /delete /n")
    assert (result.status, result.out) == (2, "")
    assert len(command.manager.entries) == 4
    assert command("session /delete /y /n").status == 1


def test_deleting_where_nobody_is_connected(command: Command) -> None:
    result = command("session /delete")
    assert (result.status, result.out, result.err) == (0, "There are no entries in the list.\n\n", "")


def test_deleting_what_a_filter_does_not_match(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command("session --user nobody /delete /y")
    assert result.status == 2
    assert "NET HELPMSG 2312" in result.err
    assert "nobody" in result.err


def test_filters_choose_what_is_ended(command: Command) -> None:
    command.manager.entries = some_sessions()
    assert command("session --user jonas /delete /y").status == 0
    assert [entry.user_name for entry in command.manager.entries] == ["mira.holt", "", "KIOSK07$"]


def test_a_failure_is_reported_and_the_others_go_on(command: Command) -> None:
    command.manager.entries = some_sessions()
    command.manager.refuses["jonas"] = AccessDenied("\\\\OLDBOX: access denied", hint="ann is no administrator")
    result = command("session /delete /y")
    assert result.status == 5
    assert "\\\\OLDBOX, jonas:\nSystem error 5 has occurred.\n" in result.err
    assert result.err.endswith("The command completed with one or more errors.\n\n")
    assert result.out == ""
    assert [entry.user_name for entry in command.manager.entries] == ["jonas"]


def test_what_was_ended_as_json(command: Command) -> None:
    command.manager.entries = some_sessions()
    command.manager.refuses["jonas"] = Win32Error(2312)
    result = command("session /delete --json /y")
    ended = json.loads(result.out)["ended"]
    assert [(one["user_name"], one["error"]) for one in ended][2:] == [("KIOSK07$", None), ("jonas", 2312)]
    assert result.status == 2


def test_questions_stay_out_of_the_data(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command("session /delete --json", "y\n")
    assert len(json.loads(result.out)["ended"]) == 4
    assert "Do you want to continue this operation?" in result.err


def test_showing_and_ending_at_once_is_neither(command: Command) -> None:
    command.manager.entries = some_sessions()
    result = command("session /list /delete /y")
    assert (result.status, result.out) == (1, "")
    assert "conflicting switches" in result.err
    assert len(command.manager.entries) == 4


# --- what is selected is what is meant


@pytest.mark.parametrize("option", ["--user=", "--user=EXAMPLE\\", "--user=@x", "/USER:", "--client=", "--client=\\\\"])
@pytest.mark.parametrize("rest", [[], ["/delete", "/y"]])
def test_an_empty_filter_is_refused(command: Command, option: str, rest: list[str]) -> None:
    command.manager.entries = some_sessions()
    result = command(["session", option, *rest])
    assert (result.status, result.out) == (1, "")
    assert "empty" in result.err
    assert command.manager.opened_with == []
    assert len(command.manager.entries) == 4


def test_null_sessions_are_chosen_by_a_switch(command: Command) -> None:
    command.manager.entries = some_sessions()
    shown = json.loads(command("session --null-sessions --json").out)["sessions"]
    assert [entry["client_name"] for entry in shown] == ["10.20.0.15"]
    assert command("session --null-sessions --user ann").status == 1
    assert command("session --null-sessions /delete /y").status == 0
    assert [entry.user_name for entry in command.manager.entries] == ["mira.holt", "KIOSK07$", "jonas"]


def test_a_name_as_it_is_shown_selects_itself(command: Command) -> None:
    command.manager.entries = [
        SessionInfo(r"\\PC7", "exe\u202egpj", 0),
        SessionInfo(r"\\pc7", "[ab]", 0),
        SessionInfo(r"\\pc7.", "a", 0),
        SessionInfo("pc 7", "b*", 0),
    ]
    for option, clients in (
        (["--user", r"exe\u202egpj"], [r"\\PC7"]),
        (["--user", "exe\u202egpj"], [r"\\PC7"]),
        (["--user", "[ab]"], [r"\\pc7"]),
        (["--user", "b*"], ["pc 7"]),
        (["--client", "pc7"], [r"\\pc7"]),
        (["--client", "Pc7"], [r"\\PC7", r"\\pc7", r"\\pc7."]),
        (["--client", "pc?7"], ["pc 7"]),
        (["pc 7"], ["pc 7"]),
        (["//PC7"], [r"\\PC7"]),
    ):
        shown = json.loads(command(["session", *option, "--json"]).out)["sessions"]
        assert [entry["client_name"] for entry in shown] == clients, option


# --- who goes along


def a_terminal_server(command: Command) -> None:
    command.manager.whole_connections = True
    command.manager.entries = [
        SessionInfo("10.0.0.1", "games", 0),
        SessionInfo("10.0.0.1", "daemon", 2),
        SessionInfo("10.0.0.1", "", 0),
        SessionInfo("10.0.0.2", "games", 0),
    ]


OTHERS = (
    "The server may end these sessions with them:\n\n"
    "    \\\\10.0.0.1, daemon (open files: 2)\n    \\\\10.0.0.1, nobody (open files: 0)\n\n"
    "Do you want to continue this operation? (Y/N) [N]: "
)


@pytest.mark.parametrize(("answers", "status", "left"), [("y\n", 0, 0), ("\n", 2, 4), ("n\n", 2, 4)])
def test_who_goes_along_is_named_and_asked_about(command: Command, answers: str, status: int, left: int) -> None:
    a_terminal_server(command)
    result = command("session --user games /delete", answers)
    assert result.status == status
    assert result.out.startswith(
        "These workstations have sessions on this server:\n\n    \\\\10.0.0.1\n    \\\\10.0.0.2\n\n" + OTHERS
    )
    assert len(command.manager.entries) == left


def test_one_client_with_nothing_open_is_asked_about_where_others_go_along(command: Command) -> None:
    a_terminal_server(command)
    result = command("session 10.0.0.1 --user games /delete", "n\n")
    assert (result.status, result.out) == (2, OTHERS)


def test_yes_beforehand_does_not_consent_to_others(command: Command) -> None:
    a_terminal_server(command)
    result = command("session --user games /delete /y --json")
    assert result.status == 2
    left, ended = json.loads(result.out)["ended"]
    assert (left["error"], [other["user_name"] for other in left["others"]]) == (170, ["daemon", ""])
    assert left["others"][0] == {"client_name": "10.0.0.1", "user_name": "daemon", "num_opens": 2}
    assert (ended["error"], ended["others"]) == (None, [])
    assert [entry.user_name for entry in command.manager.entries] == ["games", "daemon", ""]
    lines = command("session --user games /delete /y --csv").out.splitlines()
    assert lines[0].endswith('"error","message","note","others"')
    assert lines[1].endswith('"daemon; nobody"')


@pytest.mark.parametrize("switch", ["--with-others", "/WITHOTHERS", "/with-others", "--withothers"])
def test_with_others_consents(command: Command, switch: str) -> None:
    a_terminal_server(command)
    result = command(f"session --user games /delete /y {switch}")
    assert (result.status, result.out) == (0, "The command completed successfully.\n\n")
    assert command.manager.entries == []


@pytest.mark.parametrize(("answers", "left"), [("y\n", []), ("n\n", ["games", "daemon", ""])])
def test_a_person_is_asked_the_question_that_yes_does_not_answer(
    command: Command, monkeypatch: pytest.MonkeyPatch, answers: str, left: list[str]
) -> None:
    monkeypatch.setattr("lanman.faces.cli.sessionends.is_terminal", lambda stream: True)
    a_terminal_server(command)
    result = command("session --user games /delete /y", answers)
    assert OTHERS in result.out + result.err
    assert [entry.user_name for entry in command.manager.entries] == left
    assert result.status == (2 if left else 0)


def test_a_whole_client_has_no_others(command: Command) -> None:
    a_terminal_server(command)
    result = command(r"session \\10.0.0.1 /delete /y")
    assert (result.status, result.out) == (0, "The command completed successfully.\n\n")
    assert [entry.client_name for entry in command.manager.entries] == ["10.0.0.2"]


def test_with_others_goes_with_delete(command: Command) -> None:
    result = command("session --with-others")
    assert (result.status, result.out) == (1, "")


@pytest.mark.parametrize("words", [r"session \\10.0.0.1 /delete", "session /delete"])
def test_who_has_come_to_a_client_during_the_question_goes_too(
    command: Command, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    a_terminal_server(command)

    class Thinking(io.StringIO):
        def readline(self, size: int | None = -1) -> str:  # type: ignore[override]
            command.manager.entries += [SessionInfo("10.0.0.1", "late", 1), SessionInfo("10.0.0.3", "else", 1)]
            return "y\n"

    monkeypatch.setattr("io.StringIO", Thinking)
    assert command(words, "y\n").status == 0
    left = [(entry.client_name, entry.user_name) for entry in command.manager.entries]
    assert ("10.0.0.3", "else") in left
    assert "10.0.0.1" not in [client for client, _ in left]


# --- names that are long


LONG = r"\\a-workstation-with-a-long-name"


def test_names_that_are_cut_are_marked(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command.manager.entries = [
        SessionInfo(LONG, "first.middle.last-of-them", 1, 1, 1),
        SessionInfo(r"\\[2001:db8:1:2:3:4:5:6]", "first.middle.last-of-all", 1, 1, 1, 0, "Windows 2002 Service Pack"),
    ]
    command.manager.tree_connects = [
        ConnectionInfo(1, 0, 1, 1, 1, "first.middle.last-of-them", "a-share-with-a-long-name")
    ]
    # In a pipe the layout is NET's.
    rows = command("session").out.splitlines()[5 - 1 : 6]
    assert [row[:22] for row in rows] == [r"\\a-workstation-wit...", r"\\[2001:d...2:3:4:5:6]"]
    assert all("..." in row[:22] and row[23:43] == "first.middle.last..." for row in rows)
    assert rows[1][44:61] == "Windows 2002 Serv"
    assert [row[62:] for row in rows] == ["    1 00:00:01"] * 2

    monkeypatch.setattr(output, "terminal_columns", lambda: 132)
    header, *_, first, second, _, _ = command("session").out.splitlines()[1:]
    assert first.startswith(f"{LONG} first.middle.last-of-them ")
    assert second.startswith(r"\\[2001:db8:1:2:3:4:5:6] ")
    assert "Windows 2002 Service Pack" in second
    for title, text in (("User name", "first.middle"), ("Idle time", "00:00:01")):
        assert header.index(title) == first.index(text) == second.index(text)
    assert "a-share-with-a-long-name" in command(["session", LONG]).out


def test_a_cut_name_typed_back_leads_to_the_whole_one(command: Command) -> None:
    command.manager.entries = [SessionInfo(LONG, "ann", 0)]
    result = command(r"session \\a-workstation-wi...")
    assert result.status == 2
    assert "`lanman session /list` shows names whole" in result.err
    # An address is cut in the middle.
    result = command(r"session \\[2001:d...2:3:4:5:6]")
    assert "`lanman session /list` shows names whole" in result.err


@pytest.mark.parametrize("words", ["session fs1", r"session \\fs1 /delete /y"])
def test_who_names_a_server_where_none_is_started_is_told_how(command: Command, words: str) -> None:
    # A new error each time, as a Manager raises it.
    hint = "start one with `lanman start server`"
    command.manager.fails = Win32Error(2114, hint=hint)
    result = command(words)
    assert (result.status, result.out) == (2, "")
    assert "NET HELPMSG 2114" in result.err
    assert "a server is named by -S: lanman session -S fs1" in result.err
    command.manager.fails = Win32Error(2114, hint=hint)
    assert "named by -S" not in command("session").err


@pytest.mark.parametrize("words", ["session fs1", r"session \\fs1", "session fs1 /delete"])
def test_who_names_a_server_is_told_how(command: Command, words: str) -> None:
    command.manager.entries = [SessionInfo(r"\\pc7", "ann", 0)]
    result = command(words)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith(NO_SUCH_SESSION)
    assert "a server is named by -S: lanman session -S fs1" in result.err
    # With a server named, it was a client that was meant.
    assert "named by -S" not in command(f"{words} -S fs2 -N").err
    # And where such a client is known, it is the client.
    assert command("session pc7").status == 0


@pytest.mark.posix
def test_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl
    import termios

    master, slave = os.openpty()
    try:
        with open(slave, "w", closefd=False) as terminal:
            monkeypatch.setattr("sys.stdout", terminal)
            assert output.terminal_columns() is None
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 132, 0, 0))
            assert output.terminal_columns() == 132
        monkeypatch.setattr("sys.stdout", io.StringIO())
        assert output.terminal_columns() is None
    finally:
        os.close(master)
        os.close(slave)


def test_the_connections_of_a_session_are_shown_where_there_are_several() -> None:
    entry = DetailedSession(r"\\192.0.2.7", "ann", channels=["192.0.2.7"], channel_signing=["AES-128-CMAC"])
    assert not any("Connections" in line for line in blocks([entry]))
    entry.channels, entry.channel_signing = ["192.0.2.7", "192.0.2.8"], ["AES-128-CMAC", "HMAC-SHA256"]
    assert "Connections     2: 192.0.2.7 (AES-128-CMAC), 192.0.2.8 (HMAC-SHA256)" in list(blocks([entry]))
    entry.channel_signing = None
    assert "Connections     2: 192.0.2.7, 192.0.2.8" in list(blocks([entry]))
