"""Codes: values and mappings against what independent programs say, texts and names at the edges."""

from __future__ import annotations

import json
import subprocess

import pytest

from lanman import codes


def constants(prefix: str) -> dict[str, int]:
    return {name: value for name, value in vars(codes).items() if name.startswith(prefix)}


def test_seed_texts() -> None:
    assert codes.win32_text(5) == "Access is denied."
    assert codes.win32_text(2312) == "A session does not exist with that computer name."
    assert codes.win32_text(2314) == "There is not an open file with that identification number."
    assert codes.win32_text(2114) == "The Server service is not started."
    assert codes.win32_text(2351) == "This computer name is invalid."


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (codes.STATUS_USER_SESSION_DELETED, 59),
        (codes.STATUS_NETWORK_NAME_DELETED, 64),
        (codes.STATUS_FILE_CLOSED, 6),
        (codes.STATUS_LOGON_FAILURE, 1326),
        (codes.STATUS_ACCESS_DENIED, 5),
        (codes.STATUS_REQUEST_NOT_ACCEPTED, 71),
        (codes.STATUS_TOO_MANY_SESSIONS, 69),
        (codes.STATUS_INSUFF_SERVER_RESOURCES, 1130),
        (codes.STATUS_PIPE_NOT_AVAILABLE, 231),
        (codes.STATUS_PIPE_BROKEN, 109),
        (codes.STATUS_PIPE_DISCONNECTED, 233),
        (codes.STATUS_PIPE_EMPTY, 232),
        (codes.STATUS_NOTIFY_CLEANUP, 745),
        (codes.STATUS_NOTIFY_ENUM_DIR, 1022),
        (codes.STATUS_ACCOUNT_LOCKED_OUT, 1909),
        (codes.STATUS_PASSWORD_MUST_CHANGE, 1907),
        (codes.STATUS_SUCCESS, 0),
        (0xC0070005, 5),  # NTSTATUS_FROM_WIN32 (MS-ERREF 2.3.1)
        (0xCEEEEEEE, codes.ERROR_UNEXP_NET_ERR),
    ],
)
def test_status_as_the_caller_of_a_net_function_sees_it(status: int, code: int) -> None:
    assert codes.ntstatus_to_win32(status) == code


@pytest.mark.parametrize(
    ("fault", "code"),
    [(5, 5), (0x1C010002, 1745), (0x1C010003, 1717), (0x1C01000B, 1728), (0x6F7, 1783), (0x1C000006, 1733), (0, 1726)],
)
def test_fault_as_the_caller_of_a_net_function_sees_it(fault: int, code: int) -> None:
    assert codes.fault_to_win32(fault) == code


def test_every_constant_has_a_text_and_every_status_a_win32_code() -> None:
    for prefix in ("ERROR_", "NERR_", "RPC_S_", "RPC_X_", "EPT_S_"):
        for value in constants(prefix).values():
            assert codes.has_win32_text(value)
            assert codes.win32_text(value)
    for name, value in constants("STATUS_").items():
        assert codes.ntstatus_name(value) == name
        assert codes.has_ntstatus_text(value)
        if value >> 30 == 3:
            assert codes.has_win32_text(codes.ntstatus_to_win32(value))
            assert codes.ntstatus_to_win32(value) != 0


def test_names() -> None:
    assert codes.win32_name(5) == "ERROR_ACCESS_DENIED"
    assert codes.win32_name(2312) == "NERR_ClientNameNotFound"
    assert codes.win32_name(1722) == "RPC_S_SERVER_UNAVAILABLE"
    assert codes.ntstatus_name(0xC0000203) == "STATUS_USER_SESSION_DELETED"


def test_unknown_numbers_say_which() -> None:
    assert codes.win32_name(77777) == "77777"
    assert "77777" in codes.win32_text(77777)
    assert codes.ntstatus_name(0xCEEEEEEE) == "0xCEEEEEEE"
    assert "0xCEEEEEEE" in codes.ntstatus_text(0xCEEEEEEE)
    assert not codes.has_win32_text(77777)
    assert not codes.has_ntstatus_text(0xCEEEEEEE)


def test_messages() -> None:
    assert codes.message_text(3506, "/FOO") == "The option /FOO is unknown."
    assert codes.message_text(3506) == "The option %1 is unknown."
    assert codes.message_text(3871, 9999) == "9999 is not a valid Windows network message number."
    assert codes.has_message_text(3500)
    assert not codes.has_message_text(3999)
    with pytest.raises(KeyError):
        codes.message_text(3999)


def test_insertions_are_not_substituted_twice() -> None:
    assert codes.message_text(3675, "%1%2") == "The session from %1%2 has open files."


def test_values_agree_with_impacket() -> None:
    nt_errors = pytest.importorskip("impacket.nt_errors")
    theirs = {name: value for name, value in vars(nt_errors).items() if name.startswith("STATUS_")}
    ours = constants("STATUS_")
    assert {name: ours[name] for name in ours.keys() & theirs.keys()} == {
        name: theirs[name] for name in ours.keys() & theirs.keys()
    }
    assert len(ours.keys() & theirs.keys()) > 100

    system_errors = pytest.importorskip("impacket.system_errors")
    theirs = {name: value for name, value in vars(system_errors).items() if isinstance(value, int)}
    ours = constants("ERROR_") | constants("RPC_") | constants("EPT_")
    assert {name: ours[name] for name in ours.keys() & theirs.keys()} == {
        name: theirs[name] for name in ours.keys() & theirs.keys()
    }
    assert len(ours.keys() & theirs.keys()) > 130


@pytest.mark.samba
def test_values_agree_with_samba() -> None:
    program = (
        "import json; from samba import ntstatus, werror; "
        "print(json.dumps([{k: v for k, v in vars(m).items() if isinstance(v, int)} for m in (ntstatus, werror)]))"
    )
    try:
        run = subprocess.run(["/usr/bin/python3", "-c", program], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("python3-samba is not installed")
    statuses, errors = json.loads(run.stdout)
    for name, value in constants("STATUS_").items():
        theirs = statuses.get(f"NT_{name}")
        assert theirs is None or theirs & 0xFFFFFFFF == value, name
    known = 0
    for name, value in (constants("ERROR_") | constants("NERR_")).items():
        theirs = errors.get(
            f"WERR_{name.removeprefix('ERROR_')}", errors.get(f"WERR_{name.removeprefix('NERR_').upper()}")
        )
        assert theirs is None or theirs == value, name
        known += theirs is not None
    assert known > 100
