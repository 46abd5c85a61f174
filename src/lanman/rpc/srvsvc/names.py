"""Paths and names: the calls Netpr* (MS-SRVS 3.1.4.29 to 3.1.4.34)."""

from __future__ import annotations

from lanman.rpc.ndr import Call, Response, i32, raw_bytes, ref_string, string, u32, wide_buffer
from lanman.rpc.srvsvc.interface import SRVSVC, StatusResponse


class NetprPathTypeResponse(Response):
    path_type: u32 = 0
    status: u32 = 0


@SRVSVC.call(30)
class NetprPathType(Call[NetprPathTypeResponse]):
    """What kind of path a path is (MS-SRVS 3.1.4.29)."""

    server_name: string
    path_name: ref_string
    flags: u32 = 0


class NetprPathCanonicalizeResponse(Response):
    """`outbuf` has as many bytes as were asked for: UTF-16 up to the first NUL."""

    outbuf: raw_bytes = b""
    path_type: u32 = 0
    status: u32 = 0


@SRVSVC.call(31)
class NetprPathCanonicalize(Call[NetprPathCanonicalizeResponse]):
    """A path in canonical form; `outbuf_len` is in bytes (MS-SRVS 3.1.4.30)."""

    server_name: string
    path_name: ref_string
    outbuf_len: u32
    prefix: ref_string = ""
    path_type: u32 = 0
    flags: u32 = 0


class NetprPathCompareResponse(Response):
    """`status` is -1, 0 or 1 for the order, or an error."""

    status: i32 = 0


@SRVSVC.call(32)
class NetprPathCompare(Call[NetprPathCompareResponse]):
    """The order of two paths (MS-SRVS 3.1.4.31)."""

    server_name: string
    path_name_1: ref_string
    path_name_2: ref_string
    path_type: u32 = 0
    flags: u32 = 0


class NetprNameValidateResponse(StatusResponse):
    pass


@SRVSVC.call(33)
class NetprNameValidate(Call[NetprNameValidateResponse]):
    """Whether a name is valid for its type (MS-SRVS 3.1.4.32)."""

    server_name: string
    name: ref_string
    name_type: u32
    flags: u32 = 0


class NetprNameCanonicalizeResponse(Response):
    """`outbuf` has as many UTF-16 code units as were asked for: the name ends at the first NUL."""

    outbuf: wide_buffer = ""
    status: u32 = 0


@SRVSVC.call(34)
class NetprNameCanonicalize(Call[NetprNameCanonicalizeResponse]):
    """A name in canonical form; `outbuf_len` is in code units (MS-SRVS 3.1.4.33)."""

    server_name: string
    name: ref_string
    outbuf_len: u32
    name_type: u32
    flags: u32 = 0


class NetprNameCompareResponse(Response):
    """`status` is -1, 0 or 1 for the order, or an error."""

    status: i32 = 0


@SRVSVC.call(35)
class NetprNameCompare(Call[NetprNameCompareResponse]):
    """The order of two names (MS-SRVS 3.1.4.34)."""

    server_name: string
    name_1: ref_string
    name_2: ref_string
    name_type: u32
    flags: u32 = 0
