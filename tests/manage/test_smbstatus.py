"""What smbstatus prints, read: all recordings, and any bytes.

tests/data/smbstatus/README.md says which recordings were never seen live.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.errors import MalformedMessage
from lanman.manage.samba_local.json_status import parse_json
from lanman.manage.samba_local.records import files_of
from lanman.manage.samba_local.status import DISCONNECTED, NO_NODE, Protection, ServerId, Status, endpoint, host_of
from lanman.manage.samba_local.text_status import parse_text

DATA = Path(__file__).parent.parent / "data" / "smbstatus"
RECORDED = (DATA / "smbstatus-4.17-BN-guest-ipv6-notify.json").read_bytes()
TEXT = (DATA / "smbstatus-4.17-B.txt").read_bytes()


def status_of(name: str) -> Status:
    status = parse_json((DATA / name).read_bytes())
    assert status is not None
    return status


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_json_of_4_17() -> None:
    status = status_of("smbstatus-4.17-BN-guest-ipv6-notify.json")
    assert (status.version, status.configuration) == ("4.17.12-Debian", "/srv/smb.conf")
    assert status.at == at("2026-11-25T23:11:55.616507+00:00")
    assert sorted((one.user_name, one.address, one.dialect) for one in status.sessions) == [
        ("alice", "127.0.0.1:35312", "3.1.1"),
        ("alice", "127.0.0.1:35342", "3.1.1"),
        ("alice", "[::1]:46426", "3.1.1"),
        ("bob", "127.0.0.1:35328", "3.1.1"),
        ("bob", "127.0.0.1:35342", "3.1.1"),
        ("bob", "127.0.0.1:35344", "2.0.2"),
        ("bob", "127.0.0.1:35348", "3.1.1"),
        ("nobody", "127.0.0.1:50076", "3.1.1"),
        ("nobody", "127.0.0.1:50092", "3.1.1"),
    ]
    encrypted = next(one for one in status.sessions if one.id == "2999056076")
    assert encrypted.server_id == ServerId(9423, unique_id=14978751726947726523)
    assert (str(encrypted.encryption), str(encrypted.signing)) == ("AES-128-GCM (partial)", "AES-128-GMAC")
    assert (encrypted.uid, encrypted.begun, encrypted.channels) == (1002, None, ())
    assert status.seen_since(encrypted) == at("2026-11-25T23:11:38.108718+00:00")
    assert len(status.trees) == 12
    assert {tree.service for tree in status.trees} == {"share", "b ü", "secret", "pub", "IPC$"}
    assert status.locks is not None
    assert [(lock.path, lock.exclusive, lock.start, lock.size) for lock in status.locks] == [
        ("/srv/share/report.xlsx", True, 100, 50),
        ("/srv/share/report.xlsx", False, 500, 10),
    ]


def test_whose_opens_they_are() -> None:
    status = status_of("smbstatus-4.17-BN-guest-ipv6-notify.json")
    found = {}
    for one in status.opens:
        session = status.session_of(one)
        found[one.path] = None if session is None else session.user_name
    # alice is an `admin user`: her opens are root's. Beside bob on one connection, nothing tells that a3.txt is hers.
    assert found == {
        "/srv/b ü/naïve \u2013 文.txt": "alice",
        "/srv/secret/plan.txt": "bob",
        "/srv/share/old.txt": "bob",
        "/srv/share/a3.txt": None,
        "/srv/share/report2.xlsx": "bob",
        "/srv/share/leased.txt": "alice",
        "/srv/share/b3.txt": "bob",
        "/srv/secret/other.txt": "bob",
        "/srv/share/report.xlsx": "alice",
        "/srv/share/d": "alice",
    }
    leased = next(one for one in status.opens if one.name == "leased.txt")
    assert (leased.oplock, leased.access_mask, leased.file_id) == ("LEASE(RWH)", 3, 9418 << 16 | 13)
    assert (leased.lease, leased.lease_key) == ("RWH", "4b" * 16)
    batch = next(one for one in status.opens if one.name == "report.xlsx")
    assert (batch.oplock, batch.lease, batch.lease_key) == ("BATCH", "", "")


def test_what_later_versions_add() -> None:
    """Made from the sources of 4.23, never seen live."""
    status = status_of("smbstatus-4.23-made-from-source.json")
    session = next(one for one in status.sessions if one.id == "4217518781")
    assert session.begun == at("2026-11-25T23:11:02.117703+00:00")
    assert status.seen_since(session) == session.begun
    assert [(one.channel_id, one.remote_address, one.local_address, one.transport) for one in session.channels] == [
        ("1", "127.0.0.1:35342", "127.0.0.1:14450", "tcp"),
        ("2", "127.0.0.1:40002", "127.0.0.1:14450", "tcp"),
    ]
    assert status.locks is None


def test_nobody_was_ever_connected_and_nobody_may_ask() -> None:
    status = status_of("smbstatus-4.17-never-connected.json")
    assert (status.sessions, status.trees, status.opens, status.locks) == ((), (), (), None)
    assert parse_json((DATA / "smbstatus-4.17-nonroot.json").read_bytes()) is None


def changed(**parts: Any) -> bytes:
    return json.dumps(json.loads(RECORDED) | parts).encode()


PROCESS = {"pid": "7", "task_id": "0", "vnn": "2", "unique_id": "9"}
SESSION = {"server_id": PROCESS, "uid": 5, "username": "x", "remote_machine": "h", "hostname": "ipv4:10.0.0.7:1"}


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (b"", "is not JSON"),
        (b"JSON support not available", "is not JSON"),
        (RECORDED[:-200], "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "has no object in its top"),
        (b"{}", "has none of its tables"),
        (changed(sessions=[]), "has no object in sessions"),
        (changed(sessions={"1": 5}), "has no object in an entry of sessions"),
        (changed(sessions={"1": SESSION | {"username": 5}}), "has no text as username in a session"),
        (changed(sessions={"1": SESSION | {"server_id": {}}}), "has no number as pid in a session"),
        (changed(sessions={"1": SESSION | {"server_id": PROCESS | {"pid": "-1"}}}), "has no number as pid"),
        (changed(sessions={"1": SESSION | {"server_id": PROCESS | {"pid": "٣"}}}), "has no number as pid"),
        (changed(byte_range_locks={"/a": {"locks": {}}}), "has no list of locks"),
        (changed(open_files={"/a": {"opens": {"1/1": {"access_mask": {"hex": "3"}}}}}), "has no access mask"),
    ],
)
def test_what_is_no_output_is_said(output: bytes, sentence: str) -> None:
    with pytest.raises(MalformedMessage, match="the output of smbstatus") as caught:
        parse_json(output)
    assert sentence in caught.value.message


def test_a_log_on_under_way_is_no_session_yet_and_a_cluster_has_nodes() -> None:
    status = parse_json(
        changed(
            sessions={
                "1": SESSION | {"username": "", "uid": -1},
                "2": SESSION | {"uid": -1},
                "3": SESSION,
            }
        )
    )
    assert status is not None
    (session,) = status.sessions
    assert (session.id, session.server_id.destination) == ("3", "2:7")


def test_a_cluster_in_json() -> None:
    """Made from the recording and the sources: `vnn` is the node; never seen live."""
    clustered = RECORDED.replace(b'"vnn": "4294967295"', b'"vnn": "1"')
    # Two nodes give their processes the same numbers.
    other = json.loads(clustered)
    for entry in other["sessions"].values():
        if entry["server_id"]["pid"] == "9647":
            entry["server_id"] |= {"pid": "9423", "vnn": "0"}
    status = parse_json(json.dumps(other).encode())
    assert status is not None
    assert {one.server_id.node for one in status.sessions} == {0, 1}
    alice = next(one for one in status.sessions if one.address == "[::1]:46426")
    bob = next(one for one in status.sessions if one.server_id.destination == "1:9423")
    assert (alice.server_id.destination, alice.user_name, bob.user_name) == ("0:9423", "alice", "bob")
    assert {one.path for one in status.opens if status.session_of(one) is bob} == {
        "/srv/secret/plan.txt",
        "/srv/share/report2.xlsx",
    }
    assert status.by_process[alice.server_id] == [alice]


def test_a_cluster_in_text() -> None:
    """Made as above: `NODE:PID` stands where the number of the process stood."""
    clustered = re.sub(rb"(?m)^(9\d{3})( +)", rb"1:\1\2", TEXT)
    clustered = re.sub(rb"(?m)^((?:share|secret|pub|IPC\$|b \xc3\xbc) +)(9\d{3}) ", rb"\g<1>1:\2 ", clustered)
    status, plain = parse_text(clustered), parse_text(TEXT)
    assert status.left_out == 0
    for table in ("sessions", "trees", "opens"):
        ours, theirs = getattr(status, table), getattr(plain, table)
        assert [replace(one, server_id=replace(one.server_id, node=NO_NODE)) for one in ours] == list(theirs)
        assert {one.server_id.node for one in ours} == {1}
    assert {one.server_id.destination for one in status.sessions} >= {"1:9423", "1:9427"}


def test_text_of_4_17_tells_the_same() -> None:
    text = parse_text(TEXT)
    assert (text.left_out, text.left_out_of) == (0, frozenset())
    told = parse_json(RECORDED)
    assert told is not None
    # The recording in JSON was made later, when three more had come.
    before = {one.address for one in text.sessions}
    assert len(text.sessions) == 6
    for name in ("user_name", "client", "address", "dialect", "signing", "encryption", "group"):
        assert sorted(str(getattr(one, name)) for one in text.sessions) == sorted(
            str(getattr(one, name)) for one in told.sessions if one.address in before
        )
    assert len(text.trees) == 9
    tree = next(tree for tree in text.trees if tree.service == "b ü")
    assert (tree.server_id, tree.connected_at) == (ServerId(9418), at("2026-11-25T23:11:38+00:00"))
    assert {(one.path, one.uid, one.access_mask, one.oplock) for one in text.opens} == {
        (one.path, one.uid, one.access_mask, one.oplock) for one in told.opens
    }
    assert {one.file_id for one in text.opens} == {None}


def row(name: bytes) -> bytes:
    return TEXT.replace(b"plan.txt", name)


def test_a_table_alone() -> None:
    """`smbstatus -S` prints no version."""
    sessions, rest = TEXT.split(b"\nService ", 1)
    trees, _ = rest.split(b"\nLocked files", 1)
    alone = parse_text(b"\nService " + trees)
    assert alone.trees == parse_text(TEXT).trees
    assert (alone.version, alone.sessions, alone.opens) == ("", (), ())
    assert parse_text(sessions).sessions == parse_text(TEXT).sessions


def test_a_durable_handle_whose_client_is_away() -> None:
    """Shown with `-f`, and from 4.25 on always; made from the sources, never seen live."""
    away = TEXT.replace(b"9423         1002       DENY_NONE  0x3 ", b"disconnected 1002       DENY_NONE  0x3 ")
    status = parse_text(away)
    assert status.left_out == 0
    (handle,) = [one for one in status.opens if one.name == "plan.txt"]
    assert (handle.server_id.pid, handle.file_id, status.session_of(handle)) == (DISCONNECTED, None, None)
    files = json.loads(RECORDED)["open_files"]
    files["/srv/secret/plan.txt"]["opens"]["9423/5"]["server_id"]["pid"] = str(DISCONNECTED)
    told = parse_json(changed(open_files=files))
    assert told is not None
    (handle,) = [one for one in told.opens if one.name == "plan.txt"]
    assert (handle.file_id, told.session_of(handle)) == (None, None)
    (record,) = [one for one in files_of(told) if (one.path or "").endswith("plan.txt")]
    assert (record.pid, record.id, record.user_name) == (None, None, None)
    assert (record.durable, record.owner) == (True, str(handle.uid)), "nobody of this machine has that number"
    (other, *_) = [one for one in files_of(told) if one is not record]
    assert (other.durable, other.owner) == (None, "")


def test_the_column_that_4_25_adds() -> None:
    """Made from the sources: `Persistent` before the share's path; never seen live."""
    for word in (b"No ", b"Yes"):
        status = parse_text(re.sub(rb"   (/srv/[^\n]*2026)", b"   " + word + rb"          \1", TEXT))
        assert (status.left_out, status.opens) == (0, parse_text(TEXT).opens)


def test_odd_file_names_in_text() -> None:
    shown = parse_text(row(b"\x1b[31m \xff a  b"))
    assert shown.left_out == 0
    assert "/srv/secret/\x1b[31m \udcff a  b" in {one.path for one in shown.opens}
    for ambiguous in (b"a\nb", b"a   b"):
        shown = parse_text(row(ambiguous))
        assert len(shown.opens) == 9
        assert (shown.left_out, shown.left_out_of) == (1, frozenset({ServerId(9423)}))


def test_a_file_name_cannot_forge_a_session() -> None:
    forged = b"x\nPID     Username\n" + b"-" * 40 + b"\n1 root root 10.0.0.1 (ipv4:10.0.0.1:1) SMB3_11 - -\nend"
    shown = parse_text(row(forged))
    assert {one.user_name for one in shown.sessions} == {"alice", "bob"}


@pytest.mark.parametrize(
    ("line", "user", "machine"),
    [
        (
            b"2:9427.3 EXAMPLE\\domain admins  EXAMPLE\\domain users pc7 (ipv6:fe80::7:35342) SMB3_11 - -",
            "EXAMPLE\\domain admins",
            "pc7",
        ),
        (
            b"9427    averyverylongname bob pc7 (ipv4:10.0.0.7:1) Unknown (0x0999) - partial(HMAC)",
            "averyverylongname",
            "pc7",
        ),
    ],
)
def test_sessions_whose_columns_are_shifted(line: bytes, user: str, machine: str) -> None:
    head = TEXT.split(b"9427")[0]
    status = parse_text(head + line + b"\n")
    (session,) = status.sessions
    assert (session.user_name, session.client) == (user, machine)


@pytest.mark.parametrize("output", [b"", b"smbstatus only works as root!\n", b"\xff\x00"])
def test_what_is_no_text_output(output: bytes) -> None:
    with pytest.raises(MalformedMessage):
        parse_text(output)


def test_small_words() -> None:
    assert [endpoint(text) for text in ("ipv6:::1:47268", "ipv4:1.2.3.4:5", "unix:/x", "")] == [
        "[::1]:47268",
        "1.2.3.4:5",
        "unix:/x",
        "",
    ]
    assert str(Protection("", "none")) == ""
    addresses = ["1.2.3.4:5", "[::1]:47268", "[fe80::1%eth0]:1", ""]
    assert [host_of(address) for address in addresses] == ["1.2.3.4", "::1", "fe80::1%eth0", ""]


# --- any bytes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "server_id",
                    "pid",
                    "uid",
                    "username",
                    "opens",
                    "locks",
                    "channels",
                    "hex",
                    "text",
                    "encryption",
                    "cipher",
                ]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
TABLES = st.sampled_from(["sessions", "tcons", "open_files", "byte_range_locks", "timestamp", "version", "smb_conf"])


@given(st.dictionaries(TABLES, st.dictionaries(st.text(max_size=3), JSON, max_size=3) | JSON))
def test_any_json_is_a_status_or_an_error(document: dict[str, Any]) -> None:
    try:
        status = parse_json(json.dumps(document).encode())
    except MalformedMessage:
        return
    assert status is None or isinstance(status, Status)


@given(st.binary(), st.integers(0, len(RECORDED)), st.integers(0, 50))
def test_any_damage_to_json_is_a_status_or_an_error(noise: bytes, place: int, length: int) -> None:
    for damaged in (RECORDED[:place] + noise + RECORDED[place + length :], noise):
        with contextlib.suppress(MalformedMessage):
            parse_json(damaged)


@given(st.binary(), st.integers(0, len(TEXT)), st.integers(0, 50))
def test_any_damage_to_text_is_a_status_or_an_error(noise: bytes, place: int, length: int) -> None:
    for damaged in (TEXT[:place] + noise + TEXT[place + length :], noise):
        with contextlib.suppress(MalformedMessage):
            parse_text(damaged)
