"""Samba's own encoding of srvsvc, by its Python bindings. Runs in the system's Python, which has them: never imported.

samba_peer.py vectors                   prints "name 32|64 hex" for messages that are made here, attribute by attribute
samba_peer.py echo < JSON               decodes stubs and encodes them again; JSON of [opnum, "in"|"out", ndr64, hex,
                                        {attribute: value to set before decoding an answer}]
"""

import json
import sys

from samba import ndr
from samba.dcerpc import srvsvc


def filled(kind, **values):
    info = kind()
    for name, value in values.items():
        setattr(info, name, value)
    return info


def enum(call, level, container, infos, prefix):
    """Fill the container of an Enum call, in or out."""
    holder = container
    holder.count = len(infos)
    holder.array = infos
    info_ctr = getattr(call, prefix + "_info_ctr" if hasattr(call, prefix + "_info_ctr") else prefix + "_transports")
    info_ctr.level = level
    info_ctr.ctr = holder
    return call


SESSION = {"client": "\\\\10.0.0.7", "user": "ann", "num_open": 3, "time": 61, "idle_time": 7, "user_flags": 1}
OTHER = {"client": "\\\\pc", "user": "", "num_open": 0, "time": 1, "idle_time": 0, "user_flags": 0}
MORE = {"client_type": "Windows 2002", "transport": "\\Device\\NetbiosSmb"}


def take(values, names):
    return {name: values[name] for name in names.split()}


def sessions(level):
    names = {
        0: "client",
        1: "client user num_open time idle_time user_flags",
        2: "client user num_open time idle_time user_flags client_type",
        10: "client user time idle_time",
        502: "client user num_open time idle_time user_flags client_type transport",
    }[level]
    kind = getattr(srvsvc, f"NetSessInfo{level}")
    infos = [filled(kind, **take(dict(values, **MORE), names)) for values in (SESSION, OTHER)]
    call = srvsvc.NetSessEnum()
    call.out_info_ctr = srvsvc.NetSessInfoCtr()
    enum(call, level, getattr(srvsvc, f"NetSessCtr{level}")(), infos, "out")
    call.out_totalentries = 2
    call.out_resume_handle = 5
    call.result = 0
    return call


def session_enum_request():
    call = srvsvc.NetSessEnum()
    call.in_server_unc = "\\\\srv"
    call.in_client = None
    call.in_user = "ann"
    call.in_info_ctr = srvsvc.NetSessInfoCtr()
    enum(call, 10, srvsvc.NetSessCtr10(), [], "in")
    call.in_info_ctr.ctr.array = None
    call.in_max_buffer = 0xFFFFFFFF
    call.in_resume_handle = 0
    return call


def session_del_request():
    call = srvsvc.NetSessDel()
    call.in_server_unc = None
    call.in_client = "\\\\10.0.0.7"
    call.in_user = "ann"
    return call


def files():
    call = srvsvc.NetFileEnum()
    call.out_info_ctr = srvsvc.NetFileInfoCtr()
    values = {"fid": 0xFFFF0001, "permissions": 0x120089, "num_locks": 2, "path": "C:\\srv\\a.txt", "user": "ann"}
    enum(call, 3, srvsvc.NetFileCtr3(), [filled(srvsvc.NetFileInfo3, **values)], "out")
    call.out_totalentries = 1
    call.result = 0
    return call


def server_info():
    call = srvsvc.NetSrvGetInfo()
    call.in_level = 102
    call.out_info = filled(
        srvsvc.NetSrvInfo102,
        platform_id=500,
        server_name="SRV",
        version_major=10,
        version_minor=1,
        server_type=0x9003,
        comment="files",
        users=0xFFFFFFFF,
        disc=15,
        hidden=0,
        announce=240,
        anndelta=3000,
        licenses=0,
        userpath="c:\\",
    )
    call.result = 0
    return call


def time_of_day():
    call = srvsvc.NetRemoteTOD()
    names = "elapsed msecs hours mins secs hunds timezone tinterval day month year weekday"
    values = [1700000000, 5, 22, 13, 20, 1, -60, 310, 14, 11, 2023, 2]
    call.out_info = filled(srvsvc.NetRemoteTODInfo, **dict(zip(names.split(), values, strict=True)))
    call.result = 0
    return call


def statistics():
    call = srvsvc.NetServerStatisticsGet()
    names = (
        "start fopens devopens jobsqueued sopens stimeouts serrorout pwerrors permerrors syserrors bytessent_low "
        "bytessent_high bytesrcvd_low bytesrcvd_high avresponse reqbufneed bigbufneed"
    )
    call.out_stats = filled(srvsvc.Statistics, **{name: n for n, name in enumerate(names.split(), 100)})
    call.result = 0
    return call


def vectors():
    for level in (0, 1, 2, 10, 502):
        yield f"NetrSessionEnumResponse-{level}", "out", sessions(level)
    yield "NetrSessionEnum", "in", session_enum_request()
    yield "NetrSessionDel", "in", session_del_request()
    yield "NetrFileEnumResponse-3", "out", files()
    yield "NetrServerGetInfoResponse-102", "out", server_info()
    yield "NetrRemoteTODResponse", "out", time_of_day()
    yield "NetrServerStatisticsGetResponse", "out", statistics()


def calls_by_number():
    found = {}
    for name in dir(srvsvc):
        kind = getattr(srvsvc, name)
        if isinstance(kind, type) and hasattr(kind, "opnum"):
            found[kind.opnum()] = kind
    return found


def echo(opnum, direction, ndr64, stub, preset):
    call = calls_by_number()[opnum]()
    for name, value in preset.items():
        setattr(call, name, value)
    unpack, pack = (ndr.ndr_unpack_in, ndr.ndr_pack_in) if direction == "in" else (ndr.ndr_unpack_out, ndr.ndr_pack_out)
    try:
        unpack(call, bytes.fromhex(stub), ndr64=ndr64)
        return pack(call, ndr64=ndr64).hex()
    except (RuntimeError, TypeError) as error:
        return repr(error)


if sys.argv[1] == "vectors":
    for name, direction, call in vectors():
        pack = ndr.ndr_pack_in if direction == "in" else ndr.ndr_pack_out
        for ndr64 in (False, True):
            print(name, 64 if ndr64 else 32, pack(call, ndr64=ndr64).hex())
else:
    print(json.dumps([echo(*item) for item in json.load(sys.stdin)]))
