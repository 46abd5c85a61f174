"""The same bytes as Samba and impacket make: kept ones, and whatever the installed peers make of our messages."""

from __future__ import annotations

import json
import pathlib
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from lanman.records import FileInfo, ServerInfo, SessionInfo, ShareInfo, Statistics, TimeOfDay
from lanman.rpc import srvsvc
from lanman.rpc.ndr import Message
from lanman.rpc.srvsvc import (
    DfsCall,
    NetprNameCanonicalizeResponse,
    NetprNameValidate,
    NetprPathCanonicalize,
    NetrConnectionEnum,
    NetrFileClose,
    NetrFileEnum,
    NetrFileEnumResponse,
    NetrFileGetInfo,
    NetrRemoteTOD,
    NetrRemoteTODResponse,
    NetrServerDiskEnum,
    NetrServerGetInfo,
    NetrServerGetInfoResponse,
    NetrServerSetInfo,
    NetrServerStatisticsGet,
    NetrServerStatisticsGetResponse,
    NetrServerTransportEnum,
    NetrSessionDel,
    NetrSessionEnum,
    NetrSessionEnumResponse,
    NetrShareAdd,
    NetrShareDel,
    NetrShareDelCommitResponse,
    NetrShareEnum,
    NetrShareGetInfo,
    NetrShareSetInfo,
)
from rpc.messages import call_of, samples

VECTORS = pathlib.Path(__file__).parent.parent / "vectors"
PEER = pathlib.Path(__file__).with_name("samba_peer.py")
PYTHON = "/usr/bin/python3"


def read_vectors(name: str) -> list[tuple[str, bool, bytes]]:
    """The lines of a file of vectors: the message's name, whether NDR64, and its stub."""
    rows = [line.split() for line in (VECTORS / name).read_text().splitlines()]
    return [(message, bits == "64", bytes.fromhex(stub)) for message, bits, stub in rows]


# --- Samba ------------------------------------------------------------------------------------------------------------


def sessions(level: int) -> NetrSessionEnumResponse:
    every = [
        SessionInfo(r"\\10.0.0.7", "ann", 3, 61, 7, 1, "Windows 2002", r"\Device\NetbiosSmb"),
        SessionInfo(r"\\pc", "", 0, 1, 0, 0, "Windows 2002", r"\Device\NetbiosSmb"),
    ]
    names = srvsvc.SESSION_INFO.table[level].split()
    entries = [SessionInfo(**{name: getattr(entry, name) for name in names}) for entry in every]
    return NetrSessionEnumResponse(level, entries, 2, 5, 0)


SAMBA: dict[str, Message] = {
    **{f"NetrSessionEnumResponse-{level}": sessions(level) for level in (0, 1, 2, 10, 502)},
    "NetrSessionEnum": NetrSessionEnum(r"\\srv", None, "ann", 10),
    "NetrSessionDel": NetrSessionDel(None, r"\\10.0.0.7", "ann"),
    "NetrFileEnumResponse-3": NetrFileEnumResponse(
        3, [FileInfo(0xFFFF0001, 0x120089, 2, r"C:\srv\a.txt", "ann")], total_entries=1
    ),
    "NetrServerGetInfoResponse-102": NetrServerGetInfoResponse(
        102, ServerInfo(500, "SRV", 10, 1, 0x9003, "files", 0xFFFFFFFF, 15, False, 240, 3000, 0, "c:\\")
    ),
    "NetrRemoteTODResponse": NetrRemoteTODResponse(TimeOfDay(1700000000, 5, 22, 13, 20, 1, -60, 310, 14, 11, 2023, 2)),
    "NetrServerStatisticsGetResponse": NetrServerStatisticsGetResponse(Statistics(*range(100, 117))),
}


@pytest.mark.parametrize(
    ("name", "ndr64", "stub"), read_vectors("rpc_samba.txt"), ids=lambda value: value if isinstance(value, str) else ""
)
def test_samba_vectors(name: str, ndr64: bool, stub: bytes) -> None:
    message = SAMBA[name]
    assert type(message).unpack(stub, ndr64) == message
    assert message.pack(ndr64).hex() == stub.hex()


def samba(command: str, stdin: str = "") -> str:
    """What Samba's bindings have to say; without them, skip."""
    if not pathlib.Path(PYTHON).exists():
        pytest.skip(f"not installed: {PYTHON}")
    probe = [PYTHON, "-c", "import samba.dcerpc.srvsvc"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("not installed: python3-samba (see system-packages.txt)")
    done = subprocess.run([PYTHON, str(PEER), command], input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.posix
def test_the_installed_samba_makes_the_vectors() -> None:
    assert samba("vectors") == (VECTORS / "rpc_samba.txt").read_text()


# What Samba's IDL of 4.17 has differently, or not at all; the specification is followed.
NOT_SAMBA = {
    "NetrServerTransportAdd": "takes a union there",
    "NetrShareDelCommit": "takes a pointer to the handle there",
    "NetrShareDelCommitResponse": "likewise",
    "NetrShareDelStartResponse": "likewise",
}
NOT_SAMBA_LEVELS = {
    ("Share", 503): "unknown there",
    ("ServerSetInfo", 103): "unknown there",
    ("ServerGetInfo", 103): "unknown there",
    ("ServerSetInfo", 599): "lacks maxkeepsearch there",
    ("ServerGetInfo", 599): "lacks maxkeepsearch there",
    ("TransportAddEx", 4711): "no default arm there",
}


def shared_with_samba(name: str, ndr64: bool) -> bool:
    base, _, level = name.partition("-")
    if name == "NetrServerDiskEnumResponse" and ndr64:
        return False  # its counts have 4 bytes in Samba's NDR64
    return name not in NOT_SAMBA and not any(part in base and str(number) == level for part, number in NOT_SAMBA_LEVELS)


@pytest.mark.posix
def test_samba_reads_every_message_and_writes_the_same() -> None:
    items, names = [], []
    for name, message in samples():
        call = call_of(type(message))
        # Samba's IDL ends with opnum 53, and has no parameters for the calls that it does not serve.
        if call is None or call.opnum >= 43 or call.opnum == 34:
            continue
        direction = "in" if type(message) is call else "out"
        # An answer is read with the level that was asked for, and the size of buffer.
        level, size = getattr(message, "level", None), len(getattr(message, "outbuf", b""))
        preset = {"in_level": level} if "GetInfo" in name and direction == "out" else {}
        preset |= {"in_maxbuf": size} if name == "NetprPathCanonicalizeResponse" else {}
        for ndr64 in (False, True):
            if shared_with_samba(name, ndr64):
                items.append((call.opnum, direction, ndr64, message.pack(ndr64).hex(), preset))
                names.append(f"{name} {'NDR64' if ndr64 else 'NDR'}")
    echoes = dict(zip(names, json.loads(samba("echo", json.dumps(items))), strict=True))
    assert len(echoes) > 400
    assert {name: echo for (name, echo), item in zip(echoes.items(), items, strict=True) if echo != item[3]} == {}


# --- impacket ---------------------------------------------------------------------------------------------------------

# Made with impacket 0.13.1's helpers: what they send for these arguments.
IMPACKET: dict[str, tuple[Message, Callable[[Any, Any], Any]]] = {
    **{
        f"NetrSessionEnum-{level}": (
            NetrSessionEnum(None, "\\\\pc", "ann", level),
            partial(lambda level, srvs, dce: srvs.hNetrSessionEnum(dce, "\\\\pc\0", "ann\0", level), level),
        )
        for level in (0, 1, 2, 10, 502)
    },
    "NetrSessionDel": (
        NetrSessionDel(None, "\\\\pc", "ann"),
        lambda srvs, dce: srvs.hNetrSessionDel(dce, "\\\\pc\0", "ann\0"),
    ),
    "NetrFileEnum": (
        NetrFileEnum(None, "C:\\a", "ann", 3),
        lambda srvs, dce: srvs.hNetrFileEnum(dce, "C:\\a\0", "ann\0", 3),
    ),
    "NetrFileGetInfo": (NetrFileGetInfo(None, 7, 3), lambda srvs, dce: srvs.hNetrFileGetInfo(dce, 7, 3)),
    "NetrFileClose": (NetrFileClose(None, 7), lambda srvs, dce: srvs.hNetrFileClose(dce, 7)),
    "NetrConnectionEnum": (
        NetrConnectionEnum(None, "IPC$", 1),
        lambda srvs, dce: srvs.hNetrConnectionEnum(dce, "IPC$\0", 1),
    ),
    "NetrShareEnum": (NetrShareEnum("", 502), lambda srvs, dce: srvs.hNetrShareEnum(dce, 502)),
    "NetrShareGetInfo": (
        NetrShareGetInfo(None, "data", 2),
        lambda srvs, dce: srvs.hNetrShareGetInfo(dce, "data\0", 2),
    ),
    "NetrShareDel": (NetrShareDel(None, "data"), lambda srvs, dce: srvs.hNetrShareDel(dce, "data\0")),
    "NetrServerGetInfo": (NetrServerGetInfo(None, 102), lambda srvs, dce: srvs.hNetrServerGetInfo(dce, 102)),
    "NetrServerDiskEnum": (NetrServerDiskEnum(None), lambda srvs, dce: srvs.hNetrServerDiskEnum(dce, 0)),
    "NetrServerStatisticsGet": (
        NetrServerStatisticsGet(None, "srv"),
        lambda srvs, dce: srvs.hNetrServerStatisticsGet(dce, "srv\0", 0, 0),
    ),
    "NetrServerTransportEnum": (
        NetrServerTransportEnum(None, 1),
        lambda srvs, dce: srvs.hNetrServerTransportEnum(dce, 1),
    ),
    "NetrRemoteTOD": (NetrRemoteTOD(None), lambda srvs, dce: srvs.hNetrRemoteTOD(dce)),
    "NetprPathCanonicalize": (
        NetprPathCanonicalize(None, "\\a\\..\\b", 50, "c:", 0, 0),
        lambda srvs, dce: srvs.hNetprPathCanonicalize(dce, "\\a\\..\\b\0", "c:\0"),
    ),
    "NetprNameValidate": (
        NetprNameValidate(None, "ann", 1),
        lambda srvs, dce: srvs.hNetprNameValidate(dce, "ann\0", 1),
    ),
}


class Recorder:
    """Stands for impacket's connection, and keeps the request."""

    def request(self, call: Any) -> None:
        self.stub = call.getData()


@pytest.mark.parametrize(("name", "ndr64", "stub"), read_vectors("rpc_impacket.txt"), ids=lambda value: str(value)[:40])
def test_impacket_vectors(name: str, ndr64: bool, stub: bytes) -> None:
    expected = IMPACKET[name][0]
    assert type(expected).unpack(stub, ndr64) == expected


@pytest.mark.parametrize("name", IMPACKET)
def test_the_installed_impacket_is_understood(name: str) -> None:
    srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")
    expected, make = IMPACKET[name]
    recorder = Recorder()
    make(srvs, recorder)
    assert type(expected).unpack(recorder.stub) == expected
    # But for the numbers of its pointers, which are random, and its padding, it is what we send. Two of its helpers
    # send an array of no entries rather than none, four bytes more.
    assert len(recorder.stub) - len(expected.pack()) == 4 * (name in ("NetrFileEnum", "NetrConnectionEnum"))


# What impacket 0.13.1 fills gaps with.
FILLERS = frozenset(b"\xaa\xab\xbb\xbc\xbd\xbf\xcc\xef")


def same_but_for_padding(ours: bytes, theirs: bytes) -> bool:
    return len(ours) == len(theirs) and all(
        one == other or (one == 0 and other in FILLERS) for one, other in zip(ours, theirs, strict=True)
    )


def impacket_echo(srvs: Any, message: Message, ndr64: bool) -> bytes | None:
    """A stub read and written again by impacket; None where it does not know the call or the level."""
    kind = getattr(srvs, type(message).__name__, None)
    if kind is None:
        return None
    structure = kind(isNDR64=ndr64)
    try:
        structure.fromString(message.pack(ndr64))
        return bytes(structure.getData())
    except Exception as error:
        # It has no other class for this.
        if type(error) is Exception and "Unknown tag" in str(error):
            return None
        raise


NOT_IMPACKET = (
    NetrServerSetInfo,  # lacks ParmErr
    NetprNameCanonicalizeResponse,  # an array of bytes there, of wchar_t in the specification
    NetrShareDelCommitResponse,  # lacks the handle
    DfsCall,  # we do not read their parameters
)


def test_impacket_reads_every_message_and_writes_the_same() -> None:
    srvs = pytest.importorskip("impacket.dcerpc.v5.srvs")
    compared = 0
    for name, message in samples():
        if name.endswith(("-4711", "-1501")) or isinstance(message, NOT_IMPACKET):
            continue  # it has no default arms, nor a pointer to the security descriptor of level 1501
        if isinstance(message, NetrShareAdd | NetrShareSetInfo):
            message.parm_err = None  # the number behind that pointer is lost there
        echo = impacket_echo(srvs, message, False)
        if echo is None:
            continue
        assert same_but_for_padding(message.pack(), echo), (name, message.pack().hex(), echo.hex())
        compared += 1
    assert compared > 150


def test_shares_with_a_security_descriptor() -> None:
    """SHARE_INFO_502 as impacket sends it: the size before the pointer, the descriptor behind the strings."""
    share = ShareInfo("d", 0, "", 0, 5, 0, "C:\\d", None, security_descriptor=b"\1" * 21)
    request = NetrShareAdd(None, 502, share)
    assert NetrShareAdd.unpack(request.pack()).info == share
