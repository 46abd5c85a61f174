"""The structures of MS-FSCC: bytes of real peers where there are any (from tests/vectors), and any bytes at all."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman.errors import CutShort, LocalProtocolError, MalformedMessage
from lanman.fscc import controls, directories, files, notify, volumes
from lanman.fscc.attributes import FILE_ATTRIBUTE_ARCHIVE, FILE_ATTRIBUTE_DIRECTORY, file_name, file_name_bytes
from lanman.wire import Structure, pack_chain, packer, unpack_chain

STRUCTURES: list[type[Structure]] = sorted(
    {
        kind
        for room in (controls, directories, files, notify, volumes)
        for kind in vars(room).values()
        if isinstance(kind, type) and issubclass(kind, Structure) and kind is not Structure
    },
    key=lambda kind: kind.__name__,
)

BASIC = files.FileBasicInformation(0x01DD79A791A815A9, 0x01DD79A791A815A9, 0x01DD79A791A92E1E, 0x01DD79A791A92E1E, 0x80)

GOLDEN: list[tuple[Structure, str]] = [
    # smbd 4.17.12 to smbclient
    (
        files.FileAllInformation(
            BASIC,
            files.FileStandardInformation(4096, 5, 1, delete_pending=False, directory=False),
            files.FileInternalInformation(0x20C3D1),
            files.FileEaInformation(0),
            files.FileAccessInformation(0x00120089),
            files.FilePositionInformation(0),
            files.FileModeInformation(8),
            files.FileAlignmentInformation(0),
            "\\a.txt",
        ),
        "a915a891a779dd01a915a891a779dd011e2ea991a779dd011e2ea991a779dd01 80000000 00000000"
        "0010000000000000 0500000000000000 01000000 00 00 0000 d1c3200000000000 00000000 89001200 0000000000000000"
        "08000000 00000000 0c000000 5c0061002e00740078007400",
    ),
    (
        files.FileStandardInformation(4096, 5, 1, delete_pending=False, directory=False),
        "0010000000000000 0500000000000000 01000000 00 00 0000",
    ),
    (files.FileNameInformation("a.txt"), "0a000000 61002e00740078007400"),
    (
        files.FileStreamInformation("::$DATA", 5, 4096),
        "00000000 0e000000 0500000000000000 0010000000000000 3a003a0024004400410054004100",
    ),
    (
        volumes.FileFsSizeInformation(0x0FBF8E74, 0x04F8D9D0, 2, 512),
        "748ebf0f00000000 d0d9f80400000000 02000000 00020000",
    ),
    # smbclient and smbprotocol to a server
    (
        files.FileRenameInformation(replace_if_exists=False, root_directory=0, file_name="c.txt"),
        "00 00000000000000 0000000000000000 0a000000 63002e00740078007400",
    ),
    (files.FileDispositionInformation(delete_pending=True), "01"),
    (files.FileBasicInformation(0, 0, 0, 0, 0x80), "00" * 32 + "80000000 00000000"),
    # laid out as the specification's tables say
    (files.FilePositionInformation(-1), "ffffffffffffffff"),
    (files.FileCompressionInformation(5), "0500000000000000 0000 00 00 00 000000"),
    (files.FileAttributeTagInformation(0x400, 0xA000000C), "00040000 0c0000a0"),
    (files.FileIdInformation(7, bytes(range(16))), "0700000000000000 000102030405060708090a0b0c0d0e0f"),
    (files.FileAllocationInformation(65536), "0000010000000000"),
    (files.FileEndOfFileInformation(5), "0500000000000000"),
    (
        files.FileNetworkOpenInformation(1, 2, 3, 4, 4096, 5, 0x20),
        "0100000000000000 0200000000000000 0300000000000000 0400000000000000 0010000000000000 0500000000000000"
        "20000000 00000000",
    ),
    (files.FilePipeInformation(1, 0), "01000000 00000000"),
    (
        files.FilePipeLocalInformation(1, 2, 0xFFFFFFFF, 1, 4096, 9, 4096, 4096, 3),
        "01000000 02000000 ffffffff 01000000 00100000 09000000 00100000 00100000 03000000 00000000",
    ),
    (
        volumes.FileFsVolumeInformation(1, 0xDEADBEEF, "data"),
        "0100000000000000 efbeadde 08000000 00 00 6400610074006100",
    ),
    (volumes.FileFsDeviceInformation(7, 0x10), "07000000 10000000"),
    (volumes.FileFsAttributeInformation(6, 255, "NTFS"), "06000000 ff000000 08000000 4e00540046005300"),
    (volumes.FileFsControlInformation(), "00" * 24 + "ff" * 16 + "00000000 00000000"),
    (
        volumes.FileFsFullSizeInformation(100, 50, 60, 8, 512),
        "6400000000000000 3200000000000000 3c00000000000000 08000000 00020000",
    ),
    (volumes.FileFsObjectIdInformation(b"i" * 16), "69" * 16 + "00" * 48),
    (
        volumes.FileFsSectorSizeInformation(512, 4096, 4096, 4096, 3, 0, 0),
        "00020000 00100000 00100000 00100000 03000000 00000000 00000000",
    ),
    (notify.FileNotifyInformation(3, "a\\b"), "00000000 03000000 06000000 61005c006200"),
    (controls.Compression(), "0000"),
    (controls.FileObjectIdBuffer(b"i" * 16, birth_object_id=b"b" * 16), "69" * 16 + "00" * 16 + "62" * 16 + "00" * 16),
    (
        controls.PipeWait(-50_000_000, "srvsvc", timeout_specified=True),
        "800f05fdffffffff 0c000000 01 00 730072007600730076006300",
    ),
    (controls.PipePeek(3, 9), "03000000 09000000 00000000 00000000"),
    (directories.FileNamesInformation(0, "a.txt"), "00000000 00000000 0a000000 61002e00740078007400"),
    (
        directories.FileBothDirectoryInformation(1, 2, 3, 4, 5, 6, 7, 0x20, "long name", 8, "LONGNA~1"),
        "00000000 01000000 0200000000000000 0300000000000000 0400000000000000 0500000000000000 0600000000000000"
        "0700000000000000 20000000 12000000 08000000 10 00 4c004f004e0047004e0041007e0031000000000000000000"
        "6c006f006e00670020006e0061006d006500",
    ),
]


@pytest.mark.parametrize(("structure", "golden"), GOLDEN, ids=[type(structure).__name__ for structure, _ in GOLDEN])
def test_declared_once(structure: Structure, golden: str) -> None:
    raw = bytes.fromhex(golden)
    assert structure.pack() == raw
    assert type(structure).unpack(raw) == structure
    assert type(structure).unpack(memoryview(raw + b"what follows")) == structure


def test_every_structure_has_golden_bytes() -> None:
    tested = {type(structure) for structure, _ in GOLDEN} | {kind for kind, _, _ in LISTINGS}
    nested = {"FileAccessInformation", "FileAlignmentInformation", "FileEaInformation"}  # in FileAllInformation
    nested |= {"FileInternalInformation", "FileModeInformation", "FileDirectoryInformation"}
    assert {kind.__name__ for kind in set(STRUCTURES) - tested} == nested


ROOT = (0x01DD79A791595969, 0x01DD79A791595969, 0x01DD79A7919BE0A9, 0x01DD79A7919BE0A9, 0, 0, FILE_ATTRIBUTE_DIRECTORY)
LISTINGS: list[tuple[type[Structure], list[Structure], str]] = [
    # smbd to impacket
    (
        directories.FileFullDirectoryInformation,
        [
            directories.FileFullDirectoryInformation(
                0, 0x01DD79A7920E20C6, 0x01DD79A7920EA97D, 0x01DD79A7920E20C6, 0x01DD79A7920E20C6, 0, 0, 0x10, "."
            ),
            directories.FileFullDirectoryInformation(0, *ROOT, ".."),
        ],
        "48000000 00000000 c6200e92a779dd01 7da90e92a779dd01 c6200e92a779dd01 c6200e92a779dd01 0000000000000000"
        "0000000000000000 10000000 02000000 00000000 2e00 0000"
        "00000000 00000000 69595991a779dd01 69595991a779dd01 a9e09b91a779dd01 a9e09b91a779dd01 0000000000000000"
        "0000000000000000 10000000 04000000 00000000 2e002e00",
    ),
    # smbd to smbclient
    (
        directories.FileIdBothDirectoryInformation,
        [
            directories.FileIdBothDirectoryInformation(0, *ROOT, "..", file_id=0x12C114),
            directories.FileIdBothDirectoryInformation(
                0,
                0x01DD79A791A815A9,
                0x01DD79A791A815A9,
                0x01DD79A791A92E1E,
                0x01DD79A791A92E1E,
                5,
                4096,
                0x80,
                "a.txt",
                file_id=0x20C3D1,
            ),
        ],
        "70000000 00000000 69595991a779dd01 69595991a779dd01 a9e09b91a779dd01 a9e09b91a779dd01 0000000000000000"
        "0000000000000000 10000000 04000000 00000000 0000" + "00" * 24 + "0000 14c1120000000000 2e002e00 00000000"
        "00000000 00000000 a915a891a779dd01 a915a891a779dd01 1e2ea991a779dd01 1e2ea991a779dd01 0500000000000000"
        "0010000000000000 80000000 0a000000 00000000 0000" + "00" * 24 + "0000 d1c3200000000000 61002e00740078007400",
    ),
    # laid out as the specification's table says
    (
        directories.FileIdFullDirectoryInformation,
        [
            directories.FileIdFullDirectoryInformation(
                1, 2, 3, 4, 5, 6, 7, FILE_ATTRIBUTE_ARCHIVE, "a", ea_size=8, file_id=9
            )
        ],
        "00000000 01000000 0200000000000000 0300000000000000 0400000000000000 0500000000000000 0600000000000000"
        "0700000000000000 20000000 02000000 08000000 00000000 0900000000000000 6100",
    ),
]


@pytest.mark.parametrize(("kind", "entries", "golden"), LISTINGS, ids=[kind.__name__ for kind, _, _ in LISTINGS])
def test_listings(kind: type[Structure], entries: list[Structure], golden: str) -> None:
    raw = bytes.fromhex(golden)
    assert unpack_chain(kind, raw) == entries
    assert pack_chain(entries, directories.ENTRY_ALIGNMENT) == raw


def test_directory_information_is_the_beginning_of_the_other_classes() -> None:
    plain = directories.FileDirectoryInformation(0, *ROOT, "..").pack()
    full = directories.FileFullDirectoryInformation(0, *ROOT, "..").pack()
    assert plain == full[:64] + full[68:]


def test_changes_stand_at_multiples_of_four() -> None:
    changes = [notify.FileNotifyInformation(4, "abc"), notify.FileNotifyInformation(5, "d")]
    packed = pack_chain(changes, notify.CHANGE_ALIGNMENT)
    assert packed == bytes.fromhex("14000000 04000000 06000000 61006200 6300 0000 00000000 05000000 02000000 6400")
    assert unpack_chain(notify.FileNotifyInformation, packed) == changes


def test_a_class_is_packed_from_its_values_as_from_an_object() -> None:
    for kind in (*directories.DETAILED_ENTRIES.values(), directories.FileNamesInformation):
        names: tuple[str, ...] = kind.__match_args__  # type: ignore[attr-defined]
        values: dict[str, Any] = {name: number for number, name in enumerate(names)}
        values |= {name: "N\ud800ME" for name in names if name.endswith("name")}
        assert packer(kind)(**values) == kind(**values).pack()
        required: dict[str, Any] = dict(list(values.items())[: names.index("file_name") + 1])
        assert packer(kind)(**required) == kind(**required).pack()


def test_names_are_any_16_bit_units() -> None:
    assert file_name(memoryview(b"\x00\xd8a\x00")) == "\ud800a"
    assert file_name_bytes("\ud800a") == b"\x00\xd8a\x00"
    with pytest.raises(MalformedMessage):
        file_name(b"abc")


def test_a_new_name_is_text_and_no_longer_than_that_of_a_create() -> None:
    def new_name(data: bytes, length: int | None = None) -> files.FileRenameInformation:
        head = struct.pack("<B7xQI", 1, 0, len(data) if length is None else length)
        return files.FileRenameInformation.unpack(head + data)

    assert new_name("ab".encode("utf-16-le")) == files.FileRenameInformation(True, 0, "ab")
    assert len(new_name(bytes(65534)).file_name) == 32767
    for data in (b"\x00\xd8", b"a", bytes(65536)):
        with pytest.raises(MalformedMessage) as raised:
            new_name(data)
        assert not isinstance(raised.value, CutShort)
    with pytest.raises(CutShort):
        new_name(b"a\x00", length=4)


def test_a_short_name_has_twelve_characters() -> None:
    entry = directories.FileBothDirectoryInformation(0, *ROOT, "a", short_name="A" * 12)
    raw = bytearray(entry.pack())
    assert directories.FileBothDirectoryInformation.unpack(bytes(raw)) == entry
    raw[68] = 26
    with pytest.raises(MalformedMessage):
        directories.FileBothDirectoryInformation.unpack(bytes(raw))
    with pytest.raises(LocalProtocolError):
        directories.FileBothDirectoryInformation(0, *ROOT, "a", short_name="A" * 13).pack()


@pytest.mark.parametrize("kind", STRUCTURES, ids=lambda kind: kind.__name__)
@given(data=st.binary(max_size=140))
def test_any_bytes_give_a_value_or_malformed(kind: type[Structure], data: bytes) -> None:
    with suppress(MalformedMessage):
        value = kind.unpack(data)
        assert kind.unpack(value.pack()) == value
    with suppress(MalformedMessage):
        entries = unpack_chain(kind, data)
        assert all(isinstance(entry, kind) for entry in entries)


@pytest.mark.parametrize(("structure", "golden"), GOLDEN, ids=[type(structure).__name__ for structure, _ in GOLDEN])
def test_what_is_cut_short_says_so(structure: Structure, golden: str) -> None:
    raw = bytes.fromhex(golden)
    # Reserved bytes at the end are not asked for.
    short = {files.FileBasicInformation: 36, files.FileStandardInformation: 22}.get(type(structure), len(raw))
    for size in range(short):
        with pytest.raises(CutShort):
            type(structure).unpack(raw[:size])
