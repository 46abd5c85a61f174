"""ksmbd's files, read: all that were made, and any bytes.

None of them was ever seen on a kernel: tests/data/ksmbd/README.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lanman.errors import MalformedMessage
from lanman.manage.ksmbd import text
from lanman.manage.ksmbd.conf import parse_conf
from lanman.manage.ksmbd.text import Channel, Connection, Details, Open, Stats, Tree, Used
from lanman.records import ShareInfo

DATA = Path(__file__).parent.parent.parent / "data" / "ksmbd"
FIRST, BETWEEN, LATER = (DATA / f"{name}-made-from-source" for name in ("linux-7.0", "between", "later"))

PARSERS: dict[str, Callable[[bytes], Any]] = {
    "stats": text.parse_stats,
    "sessions": text.parse_sessions,
    "session": text.parse_session,
    "clients": text.parse_clients,
    "files": text.parse_files,
    "shares": text.parse_shares,
    "server": text.parse_server,
    "conf": parse_conf,
}


def at(when: str) -> float:
    return datetime.fromisoformat(f"{when}+00:00").timestamp()


def test_sessions_of_7_0() -> None:
    assert text.parse_sessions((FIRST / "sessions" / "sessions").read_bytes()) == [
        Channel("192.0.2.7", "ann", 1, "valid"),
        Channel("2001:db8::7", "(Guest)", 2, "valid"),
    ]
    assert text.parse_session((FIRST / "sessions" / "1").read_bytes()) == Details(
        "aes-gmac", None, [Tree("pub", 1, False), Tree("ipc$", 2, True)]
    )


def test_a_user_with_blanks_and_a_state_without_a_name() -> None:
    assert text.parse_sessions((BETWEEN / "sessions" / "sessions").read_bytes()) == [
        Channel("192.0.2.7", "ann", 1, "valid"),
        Channel("192.0.2.8", "a user 7", 2, "valid"),
        Channel("192.0.2.8", "a user 7", 2, "valid"),
        Channel("192.0.2.9", "(Anonymous)", 3, "expired"),
        Channel("192.0.2.9", "bob", 4, "progress"),
        Channel("192.0.2.9", "bob 12", 5, ""),
    ]
    assert text.parse_session((BETWEEN / "sessions" / "1").read_bytes()) == Details(
        "aes-gmac", "aes128-gcm", [Tree("pub", 1, False), Tree("IPC$", 2, True)]
    )


def test_clients_of_all_three() -> None:
    first = Connection("192.0.2.7", "3.1.1", 1, at("2026-11-25T23:11:30"))
    assert text.parse_clients((FIRST / "clients").read_bytes()) == [first]
    assert text.parse_clients((LATER / "clients").read_bytes()) == [first]
    assert text.parse_clients((BETWEEN / "clients").read_bytes()) == [
        Connection("192.0.2.7", "3.1.1", 2, at("2026-11-25T23:11:30")),
        Connection("192.0.2.8", "3.0.2", 3, at("2026-11-25T23:11:31")),
        Connection("192.0.2.8", "3.0.2", 1, at("2026-11-25T23:11:32")),
    ]
    assert text.parse_clients(b"") == []


def test_files_of_7_0_whose_rows_are_broken() -> None:
    assert text.parse_files((FIRST / "files").read_bytes()) == [
        Open(1, 1, 0x120089, "OPLOCK_II OPLOCK_EXECL OPLOCK_BATCH", "report.xlsx"),
        Open(2, 1, 0x120089, "", "two words.txt"),
    ]


def test_files_with_odd_names() -> None:
    assert text.parse_files((BETWEEN / "files").read_bytes()) == [
        Open(1, 1, 0x120089, "LEASE_RWH", "report.xlsx"),
        Open(2, 1, 0x12019F, "", "two  words "),
        Open(0x100000003, 0, 0x81, "OPLOCK_BATCH", "line\nfeed\n\n.txt"),
        Open(4, 2, 0x100081, "0x9", "d"),
    ]


def test_shares_and_the_server() -> None:
    assert text.parse_shares((LATER / "shares").read_bytes()) == [Used("pub", 1)]
    server = text.parse_server((FIRST / "server").read_bytes())
    assert (server["name"], server["netbios"], server["sessions"]) == ("SMB SERVER", "SMBD SERVER", "2")
    assert text.parse_stats(b"2 running 445 7\n") == Stats("running", 445)
    assert text.parse_stats(b"3 startup\n") == Stats("startup", None)


@pytest.mark.parametrize(
    ("parser", "data"),
    [
        ("stats", b""),
        ("stats", b"running 445"),
        ("stats", b"2 flying 445 1\n"),
        ("sessions", b""),
        ("sessions", b"192.0.2.7 ann 1 valid\n"),
        ("sessions", b"#<client>\n 192.0.2.7 ann valid\n"),
        ("sessions", b"#<client>\n 192.0.2.7 1 valid\n"),
        ("session", b"user ann\n"),
        ("session", b"share\tpub\n"),
        ("clients", b"#<client>\n 192.0.2.7 0x311\n"),
        ("clients", b"dialect:\t0x0311\n"),
        ("clients", b"192.0.2.7\n"),
        ("files", b""),
        ("files", b"#<tree id>\nreport.xlsx\n"),
        ("files", b"#<tree id>\n0x1 0x1 0x0 0x1 OPLOCK_II\nreport.xlsx\n"),
        ("files", b"#<tree id>\n0x1 0x1 0x0 0x1 OPLOCK_II\n"),
        ("shares", b"type:\tdisk\n"),
        ("server", b"name: SMB SERVER\n"),
        ("conf", b"path = /srv\n"),
        ("conf", b"[pub]\n/srv\n"),
        ("conf", b"[]\n"),
    ],
)
def test_what_is_no_such_file(parser: str, data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        PARSERS[parser](data)


def test_a_file_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "MAX_FILE", 100)
    with pytest.raises(MalformedMessage, match="too long"):
        text.parse_sessions(b"#" + b"\n" * 101)


LINES = st.lists(
    st.sampled_from(
        [
            *(line for path in sorted(DATA.rglob("*")) if path.is_file() for line in path.read_bytes().split(b"\n")),
            b"0x1 0x1 0x1 0x1 " + b"OPLOCK_II " * 1000,
            b" " * 5000,
            b"[pub]",
        ]
    )
    | st.binary(max_size=60),
    max_size=8,
)


@pytest.mark.parametrize("parser", PARSERS)
@given(data=LINES.map(b"\n".join) | st.binary(max_size=200))
@example(data=b"#\n" + b" " * 200_000)
@example(data=b"#\n" + b"0x1 " * 50_000)
@example(data="#\n \u0663 ann \u0663 valid".encode())
def test_any_bytes(parser: str, data: bytes) -> None:
    with contextlib.suppress(MalformedMessage):
        PARSERS[parser](data)


@given(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
        lambda name: not any(text._FILE_HEAD.match(line) for line in name.split("\n")[1:]) and not name.endswith("\n")
    )
)
def test_any_name_of_a_file(name: str) -> None:
    """One that is made to look like a row cannot be told from one."""
    row = f" 0x1        0x2                0                  0x1        {'':16} 0x00120089 0x00000007 {name}\n"
    (found,) = text.parse_files(b"#<tree id>\n" + row.encode())
    assert (found.id, found.name) == (2, name)


CONF = """\
; a comment
[Global]
\tnetbios name = FILES # behind
\tmax connections = 5
\tserver string =
\troot directory = /srv/
[pub]
path = /data
comment = for all
Comment = never counts
path =
[two words]
\tpath=/elsewhere
max connections = 0
[PUB]
guest ok = yes
[ipc$]
"""


def test_a_configuration() -> None:
    configured = parse_conf(CONF.encode())
    assert configured.settings == {"netbios name": "FILES", "max connections": "5", "root directory": "/srv/"}
    assert configured.shares == (
        ShareInfo(netname="pub", type=0, remark="for all", max_uses=5, path="/srv/data"),
        ShareInfo(netname="two words", type=0, remark="", max_uses=0xFFFFFFFF, path="/srv/elsewhere"),
        ShareInfo(netname="IPC$", type=0x80000003),
    )


def test_what_a_configuration_does_not_say() -> None:
    (share, _) = parse_conf(b"[pub]\n").shares
    assert share == ShareInfo(netname="pub", type=0, remark="")
