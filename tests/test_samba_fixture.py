"""The smbd of the tests does what the tests rely on, told by Samba's own clients."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import skip_is_failure
from support.smbd import Account, Samba, Tools

pytestmark = [pytest.mark.samba, pytest.mark.root]


def processes_of(directory: Path) -> list[str]:
    """The command lines of all processes that name `directory`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue  # it ended while we looked
        if str(directory) in words:
            found.append(words)
    return found


def test_rights_fall_on_both_sides_of_both_lines(samba: Samba) -> None:
    listing = {account.user_name: samba.rpcclient(account, "netsessenum") for account in samba.accounts}
    assert [name for name, answer in listing.items() if "Received" in answer] == ["root", "bin"]
    assert all("WERR_ACCESS_DENIED" in listing[name] for name in ("daemon", "games"))


def test_client_is_held_and_seen(samba: Samba) -> None:
    (samba.share / "a.txt").write_text("a")
    with samba.hold(samba.user) as held, samba.hold(samba.user), samba.hold(samba.other_user):
        assert "a.txt" in held.command("ls")
        assert "open file" in held.command("open a.txt")
        assert samba.user_names() == ["daemon", "daemon", "games"]
        assert [file["filename"] for file in samba.status()["open_files"].values()] == ["a.txt"]
        assert "Received 4 entries" in samba.rpcclient(samba.administrator, "netsessenum")


def test_deleted_session_ends_its_client(samba: Samba) -> None:
    with samba.hold(samba.user) as held, samba.hold(samba.other_user) as other:
        samba.rpcclient(samba.administrator, r"netsessdel \\\\127.0.0.1 daemon")  # rpcclient takes half of them
        assert "NT_STATUS_" in held.command("ls")
        assert "blocks available" in other.command("ls")


def test_wrong_password_is_refused(samba: Samba) -> None:
    stranger = Account("daemon", "wrong")
    assert "NT_STATUS_LOGON_FAILURE" in samba.smbclient(stranger, "ls")
    with pytest.raises(ConnectionError, match="NT_STATUS_LOGON_FAILURE"):
        samba.hold(stranger)


@pytest.mark.parametrize(
    ("options", "dialect"),
    [
        ({}, "SMB3_11"),
        ({"server max protocol": "SMB2_02"}, "SMB2_02"),
        ({"server max protocol": "SMB2_10"}, "SMB2_10"),
        ({"server max protocol": "SMB3_00"}, "SMB3_00"),
        ({"server max protocol": "SMB3_02"}, "SMB3_02"),
        ({"server signing": "mandatory"}, "SMB3_11"),
        ({"smb encrypt": "required"}, "SMB3_11"),
    ],
)
def test_options_take_effect(start_samba: Callable[..., Samba], options: dict[str, str], dialect: str) -> None:
    server = start_samba(options)
    with server.hold(server.user):
        (session,) = server.status()["sessions"].values()
    assert session["session_dialect"] == dialect
    if "smb encrypt" in options:
        assert session["encryption"]["degree"] == "full"


def test_unmapped_administrators_are_denied(start_samba: Callable[..., Samba]) -> None:
    server = start_samba(mapped=False)
    assert "WERR_ACCESS_DENIED" in server.rpcclient(server.administrator, "netsessenum")


def test_accounts_can_be_changed(start_samba: Callable[..., Samba]) -> None:
    server = start_samba()
    server.pdbedit("-c", "[D]", "daemon")
    server.net("sam", "set", "pwdmustchangenow", "games", "yes")
    assert "NT_STATUS_ACCOUNT_DISABLED" in server.smbclient(server.user, "ls")
    assert "NT_STATUS_PASSWORD_MUST_CHANGE" in server.smbclient(server.other_user, "ls")


def test_nothing_is_left_over() -> None:
    with Samba() as server:
        server.rpcclient(server.administrator, "netsessenum")  # starts the RPC helpers
        with server.hold(server.user):
            assert any("samba-dcerpcd" in line for line in processes_of(server.directory))
            server.close()
        server.close()
    assert processes_of(server.directory) == []
    assert not server.directory.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), 5)


def test_smbd_that_cannot_start_says_why() -> None:
    with tempfile.TemporaryDirectory(prefix="t") as temporary, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", temporary)
        with pytest.raises(RuntimeError, match="smbd did not start"):
            Samba({"smb ports": "none"})
        assert list(Path(temporary).iterdir()) == []


def test_tools_reach_any_server(samba: Samba, samba_tools: Callable[..., Tools]) -> None:
    assert "Account Name: daemon" in samba_tools(samba.port).rpcclient(samba.user, "getusername")


def test_skips_are_failures_where_peers_are_required() -> None:
    assert skip_is_failure("not installed: smbd", required=True)
    assert not skip_is_failure("not installed: smbd", required=False)
    assert not skip_is_failure("only on Windows", required=True)
