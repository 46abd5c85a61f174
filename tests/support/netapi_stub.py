"""A netapi32 of the tests' own, in real memory: C functions by ctypes, whose buffers come from libc's malloc.

    stub = NetapiStub(answer)           # answer(request): the response of a call of MS-SRVS
    NetApi(stub).answer(request)
    stub.check()                        # nothing leaked, nothing freed twice

It shares no layout with lanman: members lie where `data/netapi32/layout.json` has them, which was measured with a C
compiler (mingw-w64 10.0; SHARE_INFO_503 and SERVER_INFO_103, which its headers lack, were computed by the same rule).
Nothing of it was recorded from a running Windows.

What was freed is kept and overwritten until the stub is closed: a string that is read too late is FREED, and a number
FREED_NUMBER. Any call can be made to fail, before its buffer is set or after.
"""

from __future__ import annotations

import ctypes
import functools
import json
import struct
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from lanman import codes, records
from lanman.rpc import srvsvc
from lanman.rpc.levels import Levels

LAYOUT: Final = json.loads((Path(__file__).parent.parent / "data" / "netapi32" / "layout.json").read_text())
FREED: Final = "freed"
FREED_NUMBER: Final = 0xDDDDDDDD

STRUCTURES: Final = {
    records.SessionInfo: "SESSION_INFO_{}",
    records.FileInfo: "FILE_INFO_{}",
    records.ConnectionInfo: "CONNECTION_INFO_{}",
    records.ShareInfo: "SHARE_INFO_{}",
    records.ServerInfo: "SERVER_INFO_{}",
    records.TransportInfo: "SERVER_TRANSPORT_INFO_{}",
    records.Statistics: "STAT_SERVER_{}",
    records.TimeOfDay: "TIME_OF_DAY_INFO",
}

# Of each function the request, its arguments behind the server's name (s string, d DWORD, o what it sets, i structure
# to read, e where the wrong member goes), the request's fields in their order, and the records. [lmshare.h, lmserver.h]
FUNCTIONS: Final[dict[str, tuple[Any, str, str, Any]]] = {
    "NetSessionEnum": (srvsvc.NetrSessionEnum, "ssdodooo", "client_name user_name level", srvsvc.SESSION_INFO),
    "NetFileEnum": (srvsvc.NetrFileEnum, "ssdodooo", "base_path user_name level", srvsvc.FILE_INFO),
    "NetConnectionEnum": (srvsvc.NetrConnectionEnum, "sdodooo", "qualifier level", srvsvc.CONNECTION_INFO),
    "NetShareEnum": (srvsvc.NetrShareEnum, "dodooo", "level", srvsvc.SHARE_INFO),
    "NetShareEnumSticky": (srvsvc.NetrShareEnumSticky, "dodooo", "level", srvsvc.SHARE_INFO),
    "NetServerTransportEnum": (srvsvc.NetrServerTransportEnum, "dodooo", "level", srvsvc.TRANSPORT_INFO),
    "NetFileGetInfo": (srvsvc.NetrFileGetInfo, "ddo", "file_id level", srvsvc.FILE_INFO),
    "NetShareGetInfo": (srvsvc.NetrShareGetInfo, "sdo", "net_name level", srvsvc.SHARE_INFO),
    "NetServerGetInfo": (srvsvc.NetrServerGetInfo, "do", "level", srvsvc.SERVER_INFO),
    "NetStatisticsGet": (srvsvc.NetrServerStatisticsGet, "sddo", "service level options", srvsvc.STATISTICS),
    "NetRemoteTOD": (srvsvc.NetrRemoteTOD, "o", "", srvsvc.TIME_OF_DAY),
    "NetShareAdd": (srvsvc.NetrShareAdd, "die", "level", srvsvc.SHARE_INFO),
    "NetShareSetInfo": (srvsvc.NetrShareSetInfo, "sdie", "net_name level", srvsvc.SHARE_INFO),
    "NetServerSetInfo": (srvsvc.NetrServerSetInfo, "die", "level", srvsvc.SERVER_INFO),
    "NetSessionDel": (srvsvc.NetrSessionDel, "ss", "client_name user_name", None),
    "NetFileClose": (srvsvc.NetrFileClose, "d", "file_id", None),
    "NetShareDel": (srvsvc.NetrShareDel, "sd", "net_name reserved", None),
}

_libc = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
_libc.malloc.restype, _libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
_libc.free.restype, _libc.free.argtypes = None, [ctypes.c_void_p]


class Heap:
    """Memory that functions give away. `faults` are what was done to it that must not be, in words."""

    def __init__(self) -> None:
        self.live: dict[int, tuple[int, list[int]]] = {}
        self.freed: dict[int, int] = {}
        self.allocated = 0
        self.faults: list[str] = []
        self._freed_text = ctypes.create_string_buffer(FREED.encode("utf-16-le") + b"\0\0")

    def allocate(self, data: bytes, pointers: Sequence[int]) -> int:
        """A block with `data`; at the offsets `pointers` there are offsets within it, which become addresses, or 0."""
        address = _libc.malloc(max(len(data), 1))
        assert address
        ctypes.memmove(address, data, len(data))
        for at in pointers:
            place = ctypes.c_uint64.from_address(address + at)
            place.value += address if place.value else 0
        self.live[address] = len(data), list(pointers)
        self.allocated += 1
        return int(address)

    def free(self, address: int | None) -> int:
        """NetApiBufferFree. The memory stays, and is overwritten."""
        if address is None or address not in self.live:
            self.faults.append("freed twice" if address in self.freed else f"freed, but not allocated: {address}")
            return codes.ERROR_INVALID_PARAMETER
        size, pointers = self.live.pop(address)
        ctypes.memset(address, 0xDD, size)
        for at in pointers:
            ctypes.c_uint64.from_address(address + at).value = ctypes.addressof(self._freed_text)
        self.freed[address] = size
        return 0

    def close(self) -> None:
        """Give all of it back to libc."""
        for address in [*self.live, *self.freed]:
            _libc.free(address)
        self.live.clear()
        self.freed.clear()


@dataclass(frozen=True)
class Failure:
    """What a call returns instead of its success; `with_buffer`: after it has set its buffer."""

    status: int
    with_buffer: bool = False


class NetapiStub:
    """The DLL. `page` bounds the entries of one answer, `fail` may fail each call by its name; `asked` are the
    requests as they arrived."""

    def __init__(self, answer: Callable[[Any], Any], *, page: int | None = None, heap: Heap | None = None) -> None:
        self.answer = answer
        self.page = page
        self.fail: Callable[[str], Failure | None] = lambda name: None
        self.heap = Heap() if heap is None else heap
        self.asked: list[Any] = []
        self.calls: list[str] = []
        self.servers: list[int | None] = []
        for name, (_, kinds, _, _) in FUNCTIONS.items():
            types = [ctypes.c_uint32 if kind == "d" else ctypes.c_void_p for kind in kinds]
            prototype = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, *types)
            setattr(self, name, prototype(functools.partial(self._called, name)))
        self.NetApiBufferFree = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)(self.heap.free)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.heap.close()

    def check(self) -> None:
        """Nothing is allocated any more, and nothing was freed that was not."""
        assert (self.heap.live, self.heap.faults) == ({}, [])

    def _called(self, name: str, server: int | None, *arguments: Any) -> int:
        kind, kinds, fields, levels = FUNCTIONS[name]
        self.calls.append(name)
        self.servers.append(server)
        given = [text_at(value) if code == "s" else value for code, value in zip(kinds, arguments, strict=True)]
        empty = {"info": None} if "i" in kinds else {}
        request = kind(None, **dict(zip(fields.split(), given, strict=False)), **empty)
        outs = [value for code, value in zip(kinds, arguments, strict=True) if code == "o"]
        failure = self.fail(name)
        if failure is not None and not failure.with_buffer:
            return failure.status
        if "i" in kinds:
            request.info = read(levels, request.level, arguments[kinds.index("i")])
        self.asked.append(request)
        response = self.answer(request)
        if "e" in kinds:
            ctypes.c_uint32.from_address(arguments[-1]).value = response.parm_err or 0
        status: int = response.status
        if outs and status in (codes.ERROR_SUCCESS, codes.ERROR_MORE_DATA):
            level = getattr(request, "level", 0)
            if len(outs) == 1:
                self._set(outs[0], levels, level, [response.info])
            else:
                status = self._page(name, outs, levels, level, response.entries or [])
        return status if failure is None else failure.status

    def _set(self, out: int, levels: Levels[Any], level: int, entries: Sequence[Any]) -> None:
        ctypes.c_uint64.from_address(out).value = self.heap.allocate(*placed(levels, level, entries))

    def _page(self, name: str, outs: Sequence[int], levels: Levels[Any], level: int, entries: Sequence[Any]) -> int:
        """One page from where the resume handle says. NetFileEnum's has 64 bits, all of which are used."""
        buffer, read_out, total_out, resume_out = outs
        wide = name == "NetFileEnum"
        high = 0x7000_0000_0000_0000 if wide else 0x7000_0000
        resume: Any = (ctypes.c_uint64 if wide else ctypes.c_uint32).from_address(resume_out)
        begin = resume.value & 0xFFFF
        if resume.value != (begin + high if begin else 0):
            self.heap.faults.append(f"{name} was given another resume handle than it left: {resume.value:#x}")
        page = entries[begin:][: self.page]
        self._set(buffer, levels, level, page)
        ctypes.c_uint32.from_address(read_out).value = len(page)
        ctypes.c_uint32.from_address(total_out).value = len(entries) - begin
        if begin + len(page) < len(entries):
            resume.value = begin + len(page) + high
            return codes.ERROR_MORE_DATA
        resume.value = 0x7777  # Windows leaves something behind on success
        return codes.ERROR_SUCCESS


# --- structures


def structure(levels: Levels[Any], level: int) -> tuple[int, list[tuple[str, int]]]:
    """The size of a level on 64-bit Windows, and its members by the record's fields, in order; "" for a reserved."""
    found = LAYOUT[STRUCTURES[levels.record].format(level)]
    offsets = sorted(offset for offset, _ in found["fields"].values())
    names: list[str] = []
    for name in levels.table[level].split():
        names += {"security_descriptor": ["", name], "address": [name, "address_size"]}.get(name, [name])
    return found["size64"], list(zip(names, offsets, strict=True))


def placed(levels: Levels[Any], level: int, entries: Sequence[Any]) -> tuple[bytes, list[int]]:
    """An array of structures with what they point to behind them; and where in it there are pointers."""
    size, members = structure(levels, level)
    texts = {name for name, kind in levels.members(level) if kind.text or kind.data}
    data, pointers = bytearray(size * len(entries)), list[int]()
    for index, entry in enumerate(entries):
        for name, offset in members:
            at = size * index + offset
            if name == "address_size":
                struct.pack_into("<I", data, at, len(entry.address or b""))
                continue
            value = getattr(entry, name) if name else 0
            if name in texts:
                pointers.append(at)
            if isinstance(value, str):
                value = value.encode("utf-16-le", "surrogatepass") + b"\0\0"
            if isinstance(value, bytes) and name != "password":
                struct.pack_into("<Q", data, at, len(data))
                data += value + bytes(-len(value) % 8)
            elif isinstance(value, bytes):
                data[at : at + len(value)] = value
            else:
                struct.pack_into("<I", data, at, int(value or 0) & 0xFFFFFFFF)
    return bytes(data), pointers


def read(levels: Levels[Any], level: int, address: int) -> Any:
    """The record in a structure that a caller passed. A security descriptor is left out: nothing tells its size."""
    record = levels.record()
    strings = {name for name, kind in levels.members(level) if kind.text}
    signed = {name for name, kind in levels.members(level) if kind.codes == "i"}
    for name, offset in structure(levels, level)[1]:
        if name in strings:
            setattr(record, name, text_at(ctypes.c_uint64.from_address(address + offset).value))
        elif name and name != "security_descriptor":
            number: Any = ctypes.c_int32 if name in signed else ctypes.c_uint32
            setattr(record, name, number.from_address(address + offset).value)
    return record


def text_at(address: int | None) -> str | None:
    """The string that a caller passed; None for NULL."""
    if not address:
        return None
    data = bytearray()
    while (unit := ctypes.string_at(address + len(data), 2)) != b"\0\0":
        data += unit
    return data.decode("utf-16-le", "surrogatepass")
