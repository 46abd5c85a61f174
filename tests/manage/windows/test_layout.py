"""The structures of netapi32, against offsets that a C compiler gave (see `support.netapi_stub`)."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from lanman.dtyp import SE_SELF_RELATIVE
from lanman.errors import MalformedMessage
from lanman.manage.windows import layout
from lanman.manage.windows.layout import Layout, descriptor_size, read_string
from lanman.records import ServerInfo, ShareInfo, TransportInfo
from lanman.rpc import srvsvc
from lanman.rpc.levels import Levels
from support.netapi_stub import LAYOUT, STRUCTURES

TABLES: list[Levels[Any]] = [
    srvsvc.SESSION_INFO,
    srvsvc.FILE_INFO,
    srvsvc.CONNECTION_INFO,
    srvsvc.SHARE_INFO,
    srvsvc.SERVER_INFO,
    srvsvc.TRANSPORT_INFO,
    srvsvc.STATISTICS,
    srvsvc.TIME_OF_DAY,
]

# The names of lmshare.h and lmserver.h behind their prefixes, where the records have others.
IN_C = {
    "client_name": "cname",
    "user_name": "username",
    "active_time": "time",
    "client_type": "cltype_name",
    "net_name": "netname",
    "path": "pathname",
    "server_name": "servername",
    "number_of_vcs": "numberofvcs",
    "name": "transportname",
    "address": "transportaddress",
    "address_size": "transportaddresslength",
    "network_address": "networkaddress",
    "password_length": "passwordlength",
    "security_descriptor_size": "reserved",
}

MEASURED = [
    (table, level) for table in TABLES for level in table.table if STRUCTURES[table.record].format(level) in LAYOUT
]


@pytest.mark.parametrize(("word", "place"), [(8, 0), (4, 1)])
@pytest.mark.parametrize(
    ("table", "level"), MEASURED, ids=[STRUCTURES[table.record].format(level) for table, level in MEASURED]
)
def test_members_lie_where_a_compiler_puts_them(table: Levels[Any], level: int, word: int, place: int) -> None:
    measured = LAYOUT[STRUCTURES[table.record].format(level)]
    made = Layout(table, level, word)
    assert made.size == measured["size64" if word == 8 else "size32"]
    expected = {name.partition("_")[2]: offsets[place] for name, offsets in measured["fields"].items()}
    # An array was not measured: it ends where the structure does.
    found = {name: offset for name, offset in made.offsets.items() if name != "password"}
    assert sorted(found.values()) == sorted(expected.values())
    for name, offset in found.items():
        assert offset in {expected.get(name), expected.get(IN_C.get(name, name))}, name


def test_every_structure_that_can_be_listed_was_measured() -> None:
    levels_of = {(table.record, level) for table, level in MEASURED}
    for table in TABLES:
        for level in table.table:
            # The levels from 1500 on, to be written only, have one member each.
            assert (
                (table.record, level) in levels_of
                or 1500 < level < 1600
                or (table.record, level)
                == (
                    ShareInfo,
                    1501,
                )
            )


RECORDS: list[tuple[Levels[Any], int, Any]] = [
    (
        srvsvc.SHARE_INFO,
        2,
        ShareInfo("data", 0, "", 7, 0xFFFFFFFF, 3, "C:\\d\U0001f600\udc00", None),
    ),
    (srvsvc.SERVER_INFO, 102, ServerInfo(500, "PC", 10, 0, 3, None, 5, -1, True, 240, 3000, 0, "C:\\")),
    (
        srvsvc.TRANSPORT_INFO,
        3,
        TransportInfo(2, "\\Device\\NetbiosSmb", b"PC" + b" " * 14, "000000000000", "D", 2, 3, b"abc" + bytes(253)),
    ),
]


@pytest.mark.parametrize(("table", "level", "record"), RECORDS)
def test_what_is_written_is_read(table: Levels[Any], level: int, record: Any) -> None:
    made = Layout(table, level)
    written = made.write(record)
    read = made.read(written.address, 1)[0]
    assert read == record


def descriptor(*, control: int = SE_SELF_RELATIVE) -> bytes:
    """An owner of two subauthorities and a DACL of 8 bytes."""
    owner = bytes([1, 2, 0, 0, 0, 0, 0, 5]) + bytes(8)
    header = bytes([1, 0]) + control.to_bytes(2, "little") + b"".join(n.to_bytes(4, "little") for n in (20, 0, 0, 36))
    return header + owner + bytes([2, 0, 8, 0, 0, 0, 0, 0])


def test_a_security_descriptor_tells_its_own_size() -> None:
    whole = descriptor()
    made = Layout(srvsvc.SHARE_INFO, 502)
    written = made.write(ShareInfo("data", security_descriptor=whole))
    reserved = made.offsets["security_descriptor_size"]
    assert ctypes.c_uint32.from_address(written.address + reserved).value == 0
    assert made.read(written.address, 1)[0].security_descriptor == whole
    # Windows may leave anything in what is reserved.
    ctypes.c_uint32.from_address(written.address + reserved).value = 0xFFFFFFFF
    assert made.read(written.address, 1)[0].security_descriptor == whole


def test_a_security_descriptor_in_pieces_is_not_followed() -> None:
    buffer = ctypes.create_string_buffer(descriptor(control=0))
    with pytest.raises(MalformedMessage):
        descriptor_size(ctypes.addressof(buffer))


def test_strings() -> None:
    text = "a\0b\0\0\0c\0".encode("latin-1")
    buffer = ctypes.create_string_buffer(text)
    assert read_string(0) is None
    assert read_string(ctypes.addressof(buffer)) == "ab"
    assert read_string(ctypes.addressof(buffer) + 4) == ""


def test_a_string_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MAX_UNITS", 4)
    buffer = ctypes.create_string_buffer(b"a\0b\0c\0d\0\0\0")
    with pytest.raises(MalformedMessage):
        read_string(ctypes.addressof(buffer))
