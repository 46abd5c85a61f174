"""A name on the wire and on the disk: both ways agree, and nothing becomes a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanman import codes
from lanman.names import fold
from lanman.net.disk.system import DiskRefused
from lanman.net.disk.translation import disk_name, disk_path, wire_name
from lanman.server.disk_effects import is_device


@pytest.mark.parametrize(
    ("on_disk", "on_wire"),
    [
        (b"a.txt", "a.txt"),
        ("Straße.txt".encode(), "Straße.txt"),
        ("\U0001f600".encode(), "\U0001f600"),
        (b"a:b", "a\uf022b"),
        (b'"*:<>?\\|', "\uf020\uf021\uf022\uf023\uf024\uf025\uf026\uf027"),
        (b"tab\there", "tab\uf009here"),
        (b"dot.", "dot\uf029"),
        (b"space ", "space\uf028"),
        (b"...", "..\uf029"),
        (b"aux", "\uf061ux"),
        (b"AUX.c", "\uf041UX.c"),
        (b"com1", "\uf063om1"),
        (b"latin-\xe4", "latin-\uefe4"),
        (b"\xff\xfe", "\uefff\ueffe"),
    ],
)
def test_what_the_wire_cannot_say_is_written_otherwise_and_read_back(on_disk: bytes, on_wire: str) -> None:
    assert wire_name(on_disk) == on_wire
    assert disk_name(on_wire) == on_disk


@given(st.binary(min_size=1, max_size=255).filter(lambda name: name not in (b".", b"..")))
def test_every_name_on_a_disk_has_a_name_that_clients_can_say(name: bytes) -> None:
    if b"/" in name or b"\0" in name:
        return
    said = wire_name(name)
    assert said
    assert len(said) <= 255
    said.encode("utf-16-le")
    assert not set(said) & set('\\/:*?"<>|')
    assert not is_device(said)
    # Unless the disk has a name with characters that stand for others, it is the very name that is found again.
    if not any(0xEF80 <= ord(character) <= 0xF07A for character in name.decode(errors="replace")):
        assert disk_name(said) == name


@given(
    st.text(alphabet=st.characters(), max_size=300) | st.text("./\\\uf029\uf028\uf026\uefaf\uefae\uef80ab:", max_size=8)
)
def test_no_name_on_the_wire_is_a_path_on_the_disk(name: str) -> None:
    try:
        on_disk = disk_name(name)
    except DiskRefused:
        return
    assert on_disk not in (b"", b".", b"..")
    assert b"/" not in on_disk
    assert b"\0" not in on_disk
    assert len(on_disk) <= 255


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "a/b", "a\\b", "a:b", "a::$DATA", ":x", "*", "a?", "<", ">", '"', "|", "\0", "a\n", "\x1f"),
        *("CON", "con", "NUL", "nul.txt", "Com1", "LPT9.a.b", "aux .c", "CONIN$", "com¹", "prn."),
        *("\ud800", "a\udfff", "x" * 256, "x" * 32768),
    ],
)
def test_names_that_no_file_has(name: str) -> None:
    with pytest.raises(DiskRefused) as refused:
        disk_name(name)
    assert refused.value.status == codes.STATUS_OBJECT_NAME_INVALID


@pytest.mark.parametrize("name", ["\uf029", ".\uf029", "\uf029\uf029", "\uef2e\uef2e", "\uf02e\uf02e"])
def test_characters_that_stand_for_others_do_not_make_a_parent(name: str) -> None:
    assert disk_name(name) == name.encode()


def test_names_that_are_no_devices() -> None:
    for name in ("CONSOLE", "com", "com10", "nulls", "auxiliary.c", "xnul"):
        assert disk_name(name) == name.encode()


def test_a_name_that_is_too_long_for_the_disk_alone() -> None:
    assert disk_name("ü" * 127) == "ü".encode() * 127
    with pytest.raises(DiskRefused) as refused:
        disk_name("ü" * 128)
    assert refused.value.status == codes.STATUS_NAME_TOO_LONG


def test_a_path_that_no_wire_carries() -> None:
    assert len(disk_path(("ab",) * 10000)) == 10000
    with pytest.raises(DiskRefused):
        disk_path(("ab",) * 11000)


def test_names_are_compared_as_windows_does() -> None:
    assert fold("Ärger.TXT") == fold("äRGER.txt")
    assert fold("ΟΔΟΣ") == fold("οδοσ")
    assert fold("ΟΔΟΣ") != fold("οδος"), "the final sigma has no upper case in NTFS"
    assert fold("straße") != fold("STRASSE")
    assert fold("\N{LATIN SMALL LETTER DOTLESS I}") != fold("i")
    assert fold("\N{LATIN SMALL LETTER LONG S}") != fold("s")
