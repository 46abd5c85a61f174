"""The command against a real smbd: list, filter, end one, close a file, be refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.smbd import WORKGROUP, Account, Samba, tool

pytestmark = [pytest.mark.samba, pytest.mark.root]

Lanman = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def lanman(samba: Samba, tmp_path: Path) -> Lanman:
    """Runs the command against the smbd as `account`, its administrator by default."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}

    def run(*words: str, account: Account = samba.administrator, typed: str = "") -> subprocess.CompletedProcess[str]:
        file = tmp_path / "credentials"
        file.touch(0o600)
        file.write_text(f"username = {account.user_name}\npassword = {account.password}\n")
        server = f"--server={samba.host}:{samba.port}"
        return subprocess.run(
            [sys.executable, "-m", "lanman", *words, server, "-A", str(file), "--timeout", "60"],
            input=typed,
            capture_output=True,
            text=True,
            env=environment,
        )

    return run


def test_list_filter_and_end_one(samba: Samba, lanman: Lanman) -> None:
    with samba.hold(samba.user) as stays, samba.hold(samba.other_user) as goes:
        listed = lanman("session")
        assert listed.stderr == ""
        rows = [line.split() for line in listed.stdout.splitlines()[4:] if line.startswith("\\\\")]
        # Samba knows no idle time and no client type.
        assert {(row[0], row[1], row[-1]) for row in rows} == {
            (f"\\\\{samba.host}", name, "-") for name in ("daemon", "games", "root")
        }
        document = json.loads(lanman("session", "--json", "--user", "games").stdout)
        assert document["level"] == 1
        assert [(one["user_name"], one["idle_time"]) for one in document["sessions"]] == [("games", None)]

        answered_no = lanman("session", "--user", "games", "/delete", typed="n\n")
        assert answered_no.returncode == 2
        assert "blocks available" in goes.command("ls")

        alone = lanman("session", "/delete", "--user", "games", "/y", "--json")
        assert alone.returncode == 2
        (record,) = json.loads(alone.stdout)["ended"]
        assert (record["error"], [other["user_name"] for other in record["others"]]) == (170, ["daemon"])
        assert "blocks available" in goes.command("ls")

        ended = lanman("session", "/delete", "--user", "games", "/y", "/WITHOTHERS")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout == "The command completed successfully.\n\n"
        assert "games" not in lanman("session").stdout
        assert "blocks available" in stays.command("ls")


@pytest.mark.parametrize(
    ("password", "content"),
    [
        ("blanks behind  ", "username = {user}\npassword = {password}\n"),
        ("tab behind\t", "username={user}\npassword=\t{password}\n"),
        ("with = and % in it", "username = {user}\r\npassword = {password}\r\n"),
        ("x y", "User Name = {domain}\\{user}\nPASSWORD = {password}\nrealm = EXAMPLE.ORG\nother = thing\n"),
    ],
)
def test_an_authentication_file_is_read_as_smbclient_reads_it(
    samba: Samba, tmp_path: Path, password: str, content: str
) -> None:
    file = tmp_path / "credentials"
    file.touch(0o600)
    user = samba.administrator
    file.write_bytes(content.format(user=user.user_name, password=password, domain=WORKGROUP).encode())
    environment = {**os.environ, "LANMAN_PASSWORD": "another"}
    samba.pdbedit("-a", "-t", user.user_name, text=f"{password}\n{password}\n")
    try:
        theirs = subprocess.run(
            [tool("smbclient"), f"//{samba.host}/share", *f"-p {samba.port} -A {file} -c ls".split()],
            capture_output=True,
            text=True,
        )
        ours = subprocess.run(
            [sys.executable, "-m", "lanman", "session", "-S", f"{samba.host}:{samba.port}", "-A", str(file)],
            capture_output=True,
            text=True,
            env=environment,
        )
    finally:
        samba.pdbedit("-a", "-t", user.user_name, text=f"{user.password}\n{user.password}\n")
    assert "blocks available" in theirs.stdout, theirs.stdout + theirs.stderr
    assert ours.returncode == 0, ours.stderr
    assert user.user_name in ours.stdout


def test_the_command_ends_its_own_session_under_a_name(start_samba: Callable[..., Samba], tmp_path: Path) -> None:
    samba = start_samba({"hostname lookups": "yes"})
    file = tmp_path / "credentials"
    file.touch(0o600)
    file.write_text(f"username = root\npassword = {samba.administrator.password}\n")
    server = f"--server={samba.host}:{samba.port}"
    with samba.hold(samba.user):
        for words in (["session", "127.0.0.1", "/delete", "/y"], ["session", "/delete", "/y"]):
            words.append("--include-mine")
            result = subprocess.run(
                [sys.executable, "-m", "lanman", *words, server, "-A", str(file), "--timeout", "60"],
                capture_output=True,
                text=True,
            )
            assert (result.returncode, result.stdout) == (0, "The command completed successfully.\n\n"), result.stderr


def test_what_is_not_there(lanman: Lanman) -> None:
    for words, code in (
        (("session", r"\\192.0.2.1"), 2312),
        (("session", r"\\192.0.2.1", "/delete", "/y"), 2312),
        (("session", "--user", "nobody", "/delete", "/y"), 2312),
        (("file", "99999", "/close"), 2314),
        (("share", "nothing"), 2310),
    ):
        result = lanman(*words)
        assert (result.returncode, result.stdout) == (2, ""), words
        assert f"NET HELPMSG {code}" in result.stderr


def test_who_may_not(samba: Samba, lanman: Lanman) -> None:
    denied = lanman("session", account=samba.user)
    assert (denied.returncode, denied.stdout) == (5, "")
    assert denied.stderr.startswith("System error 5 has occurred.\n\nAccess is denied.\n\n")
    wrong = lanman("session", account=Account("root", "wrong"))
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("System error 1326 has occurred.\n")
    # May list, and lacks the other right, to end: the error says which.
    with samba.hold(samba.other_user) as stays:
        refused = lanman("session", "--user", "games", "/delete", "/y", account=samba.operator)
        assert refused.returncode == 5
        assert "admin users" in refused.stderr
        assert "blocks available" in stays.command("ls")


def test_the_server_itself(samba: Samba, lanman: Lanman) -> None:
    shares = lanman("share").stdout
    assert "\nshare        " in shares
    assert "\nIPC$         " in shares
    configuration = lanman("config", "server")
    assert configuration.stdout.startswith("Server Name                           \\\\")
    # smbd says yes and does nothing: that is no success.
    ignored = lanman("config", "server", "/srvcomment:never seen")
    assert ignored.returncode == 2
    assert ignored.stdout == ""
    assert "System error 50" in ignored.stderr


def test_a_samba_here_is_named_where_no_server_of_lanman_is(samba: Samba, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    said = subprocess.run(
        [sys.executable, "-m", "lanman", "session", "-p", str(samba.port), "--home", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith("The Server service is not started.\n")
    assert f"Samba serves port {samba.port} of this machine" in said.stderr
    assert f"lanman session -S localhost:{samba.port} -U USER" in said.stderr


def test_a_file_by_its_share(samba: Samba, lanman: Lanman) -> None:
    with samba.hold(samba.user) as client:
        (samba.share / "a.txt").touch()
        (samba.share / "a.txt").chmod(0o666)
        client.command("open a.txt")
        path = rf"\\{samba.host}\share\a.txt"
        (found,) = json.loads(lanman("file", "--path", path, "--json").stdout)["files"]
        assert found["path"].endswith("/a.txt") or found["path"].endswith("\\a.txt")
        assert lanman("file", "--path", rf"\\{samba.host}\share\b.txt", "--json").stdout.count('"id"') == 0
        elsewhere = lanman("file", "--path", r"\\192.0.2.1\share\a.txt", "/close", "/y")
        assert elsewhere.returncode == 2
        assert "--server 192.0.2.1" in elsewhere.stderr


# --- by its own tools, on its own machine


def by_tools(samba: Samba, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LANMAN_")}
    return subprocess.run(
        [sys.executable, "-m", "lanman", *words, "--samba-config", str(samba.directory / "smb.conf")],
        capture_output=True,
        text=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_by_its_own_tools(samba: Samba) -> None:
    with samba.hold(samba.user), samba.hold(samba.other_user) as stays:
        listed = by_tools(samba, "session")
        assert listed.stderr == "Note: answered by this machine's Samba, by its own tools.\n"
        assert [line.split()[:2] for line in listed.stdout.splitlines() if line.startswith("\\\\")] in (
            [["\\\\127.0.0.1", "daemon"], ["\\\\127.0.0.1", "games"]],
            [["\\\\127.0.0.1", "games"], ["\\\\127.0.0.1", "daemon"]],
        )
        (record,) = json.loads(by_tools(samba, "session", "--user", "games", "--json").stdout)["sessions"]
        assert record["user_name"] == "games"
        # Another connection is no bystander: smbstatus tells them apart.
        ended = by_tools(samba, "session", "/delete", "--user", "daemon", "/y")
        assert ended.returncode == 0
        assert "blocks available" in stays.command("ls")
        assert samba.user_names() == ["games"]


@pytest.mark.parametrize("server", [(), ("-S", "localhost"), ("-S", "127.0.0.1")])
def test_a_file_is_closed_at_the_port_of_the_configuration(
    samba: Samba, tmp_path: Path, server: tuple[str, ...]
) -> None:
    file = tmp_path / "credentials"
    file.touch(0o600)
    file.write_text(f"username = root\npassword = {samba.administrator.password}\n")
    with samba.hold(samba.user) as client:
        (samba.share / "a.txt").touch()
        (samba.share / "a.txt").chmod(0o666)
        client.command("open a.txt")
        (record,) = json.loads(by_tools(samba, "file", "--user", "daemon", "--json").stdout)["files"]
        without = by_tools(samba, "file", str(record["id"]), "/close")
        assert without.returncode == 2
        assert "none of Samba's own tools closes one file" in without.stderr
        assert "--service samba -U USER" in without.stderr
        closed = by_tools(samba, "file", str(record["id"]), "/close", "-A", str(file), *server, "--timeout", "60")
        assert (closed.returncode, closed.stdout) == (0, "The command completed successfully.\n\n"), closed.stderr
        assert json.loads(by_tools(samba, "file", "--user", "daemon", "--json").stdout)["files"] == []


def test_a_file_of_another_samba_is_not_closed(samba: Samba, start_samba: Callable[..., Samba], tmp_path: Path) -> None:
    """Who names the port of another Samba gets none of its files closed by a number that means another there."""
    other = start_samba()
    file = tmp_path / "credentials"
    file.touch(0o600)
    file.write_text(f"username = root\npassword = {other.administrator.password}\n")
    with samba.hold(samba.user) as client:
        (samba.share / "a.txt").touch()
        (samba.share / "a.txt").chmod(0o666)
        client.command("open a.txt")
        (record,) = json.loads(by_tools(samba, "file", "--user", "daemon", "--json").stdout)["files"]
        elsewhere = ("-A", str(file), "-S", f"localhost:{other.port}", "--timeout", "60")
        refused = by_tools(samba, "file", str(record["id"]), "/close", *elsewhere)
        assert refused.returncode == 2
        assert "2314" in refused.stderr
        assert len(json.loads(by_tools(samba, "file", "--user", "daemon", "--json").stdout)["files"]) == 1


def test_verbose_says_who_answered(samba: Samba, lanman: Lanman, tmp_path: Path) -> None:
    over_smb = lanman("session", "-v", "--json")
    assert over_smb.stderr == f"Note: answered by \\\\{samba.host}, a Samba, over SMB, port {samba.port}.\n"
    for words in (("share", "-v", "--json"), ("session", "-v", "--csv"), ("file", "--verbose"), ("config", "server")):
        assert by_tools(samba, *words).stderr == "Note: answered by this machine's Samba, by its own tools.\n"
    assert by_tools(samba, "session", "--json").stderr == ""


def test_that_samba_does_not_run(samba: Samba, tmp_path: Path) -> None:
    other = tmp_path / "smb.conf"
    other.write_text(f"[global]\npid directory = {tmp_path}\n")
    result = subprocess.run(
        [sys.executable, "-m", "lanman", "session", "--samba-config", str(other)], capture_output=True, text=True
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "System error 1062" in result.stderr
    assert "no smbd runs with" in result.stderr
