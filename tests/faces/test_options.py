"""Who to be and whom to ask: the options of every verb, the authentication file, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanman.faces.cli.invocation import split_host
from lanman.faces.cli.options import duration, seconds
from lanman.faces.cli.parameters import Option
from lanman.faces.dialect import DialectError
from lanman.net.credentials import Credentials
from support.fake_manager import Command

HASH = "0123456789abcdef0123456789ABCDEF"


def opened(command: Command) -> tuple[str | None, Credentials | None, dict[str, object]]:
    """The server, the credentials and the other options with which a Manager was opened last."""
    server, credentials, options = command.manager.opened_with[-1]
    return server, credentials, options


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("fs1", "fs1", None),
        (r"\\fs1", "fs1", None),
        ("//fs1", "fs1", None),
        ("fs1:4450", "fs1", 4450),
        (r"\\fs1:4450", "fs1", 4450),
        ("10.0.0.1:1", "10.0.0.1", 1),
        ("::1", "::1", None),
        ("fe80::1%eth0", "fe80::1%eth0", None),
        ("[::1]", "[::1]", None),
        ("[::1]:65535", "[::1]", 65535),
        ("smb://fs1", "fs1", None),
        ("SMB://fs1:4450/data/x", "fs1", 4450),
        ("cifs://[::1]:4450/data", "[::1]", 4450),
        ("smb://10.0.0.1/", "10.0.0.1", None),
        ("fs1/", "fs1", None),
        ("fs1:4450/", "fs1", 4450),
        ("//fs1/data", "fs1", None),
        ("//fs1/", "fs1", None),
        (r"\\fs1\share", "fs1", None),
        (r"\\fs1\share\folder\a b.txt", "fs1", None),
        (r"\\fs1:4450\share", "fs1", 4450),
        ("\\\\fs1\\", "fs1", None),
    ],
)
def test_a_host_and_its_port(text: str, host: str, port: int | None) -> None:
    assert split_host(text) == (host, port)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("90", 90),
        ("1.5", 1.5),
        ("5s", 5),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("1d2h3m4.5s", 93784.5),
        ("0m", 0),
    ],
)
def test_a_duration(text: str, value: float) -> None:
    assert duration(Option("--warn"), text) == value


@pytest.mark.parametrize(("text", "value"), [("10", 10), ("0.5", 0.5), ("5s", 5), ("2m", 120), ("1h30m", 5400)])
def test_a_deadline_is_seconds_or_a_duration(text: str, value: float) -> None:
    assert seconds(Option("--deadline"), text) == value


@pytest.mark.parametrize("text", ["0", "0s", "-1", "5 s", "s", "inf", "nan", "400d"])
def test_what_is_no_deadline(text: str) -> None:
    with pytest.raises(DialectError):
        seconds(Option("--deadline"), text)


@pytest.mark.parametrize(
    "text", ["", " ", "-1", "1e3", "m", "10x", "10 m", "30m1h", "1h1h", "inf", "nan", "٣", "400d", "9" * 10, "1.5h"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(DialectError) as caught:
        duration(Option("--warn"), text)
    assert caught.value.hint is not None
    assert "duration" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message_id"),
    [
        ("", 3870),
        ("\\\\", 3870),
        ("fs1:0", 3952),
        ("fs1:99999", 3952),
        ("fs1:x", 3952),
        ("fs1:", 3952),
        (":445", 3870),
        ("[::1]:x", 3952),
        ("a/b", 3870),
        ("smb://", 3870),
        ("smb:///data", 3870),
        ("smb://ann@fs1", 3870),
        ("//fs1:x/data", 3952),
        ("///data", 3870),
        ("http://fs1", 3952),
        ("fs 1", 3870),
    ],
)
def test_no_host(text: str, message_id: int) -> None:
    with pytest.raises(DialectError) as caught:
        split_host(text)
    assert caught.value.message_id == message_id


def test_this_machine_needs_no_credentials(command: Command) -> None:
    assert command("session").status == 0
    server, credentials, options = opened(command)
    assert server is None
    assert credentials is None
    assert options["port"] is None
    assert options["timeout"] == 10.0


def test_where_to_and_for_how_long(command: Command) -> None:
    assert command("session -S fs1:4450 -N --timeout 2.5 --home /tmp/x").status == 0
    server, credentials, options = opened(command)
    assert server == "fs1"
    assert credentials == Credentials(anonymous=True)
    assert (options["port"], options["timeout"], options["home"]) == (4450, 2.5, "/tmp/x")
    assert command("session -S fs1 -p 139 -N").status == 0
    assert opened(command)[2]["port"] == 139


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("-U ann%secret", Credentials("ann", "secret")),
        (r"-U CONTOSO\ann%a%b", Credentials("ann", "a%b", domain="CONTOSO")),
        ("-U ann%", Credentials("ann", "")),
        ("-U%", Credentials(anonymous=True)),
        (f"-U ann --nt-hash {HASH}", Credentials("ann", None, bytes.fromhex(HASH))),
        (f"-U ann --nt-hash {HASH}:{HASH}", Credentials("ann", None, bytes.fromhex(HASH))),
        ("-k", Credentials(kerberos=True)),
        ("-k -U ann@EXAMPLE.ORG%secret", Credentials("ann@EXAMPLE.ORG", "secret", kerberos=True)),
    ],
)
def test_who_to_be(command: Command, words: str, expected: Credentials) -> None:
    result = command(f"session -S fs1 {words}")
    assert (result.status, result.err) == (0, "")
    assert opened(command)[1] == expected


def test_a_server_that_is_no_name_is_not_called_a_client(command: Command) -> None:
    result = command(["session", "-S", "fs 1:445", "-N"])
    assert result.status == 1
    assert result.err.startswith("fs 1:445 is not a valid computer name.\n")
    assert "A server is HOST or HOST:PORT" in result.err


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="only on POSIX is there /dev/zero")
def test_an_authentication_file_without_end(command: Command) -> None:
    result = command(["session", "-S", "fs1", "-A", "/dev/zero"])
    assert result.status == 2
    assert "/dev/zero: is too long" in result.err


def test_password_from_the_environment(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANMAN_PASSWORD", "from-env")
    command("session -S fs1 -U ann")
    assert opened(command)[1] == Credentials("ann", "from-env")
    command("session -S fs1 -U ann%typed")
    assert opened(command)[1] == Credentials("ann", "typed")


def test_authentication_file(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "credentials"
    file.write_text("# mine\nusername = ann\npassword = se=cret word\n\nDomain=CONTOSO\n")
    file.chmod(0o600)
    result = command(["session", "-S", "fs1", "-A", str(file)])
    assert (result.status, result.err) == (0, "")
    assert opened(command)[1] == Credentials("ann", "se=cret word", domain="CONTOSO")
    command(["session", "-S", "fs1", "-A", str(file), "-U", "bob%x"])
    assert opened(command)[1] == Credentials("bob", "x", domain="CONTOSO")
    monkeypatch.setenv("LANMAN_PASSWORD", "from-env")
    command(["session", "-S", "fs1", "-A", str(file)])
    assert opened(command)[1] == Credentials("ann", "se=cret word", domain="CONTOSO")
    monkeypatch.delenv("LANMAN_PASSWORD")
    file.write_text(f"username = ann\nnt_hash = {HASH}\n")
    command(["session", "-S", "fs1", "-A", str(file)])
    assert opened(command)[1] == Credentials("ann", None, bytes.fromhex(HASH))


TYPED, FILED, SURROUNDING = "typed", "filed", "surrounding"
OTHER_HASH = 32 * "7"


@pytest.mark.parametrize(
    ("words", "file", "environment", "expected"),
    [
        # The password: the command line, its file, the environment.
        ("-U ann%typed", "password = filed", SURROUNDING, Credentials("ann", TYPED)),
        ("-U ann%typed", None, SURROUNDING, Credentials("ann", TYPED)),
        ("-U ann%", "password = filed", SURROUNDING, Credentials("ann", "")),
        ("-U ann", "password = filed", SURROUNDING, Credentials("ann", FILED)),
        ("-U ann", "password =", SURROUNDING, Credentials("ann", "")),
        ("-U ann", "domain = CONTOSO", SURROUNDING, Credentials("ann", SURROUNDING, domain="CONTOSO")),
        ("-U ann", None, SURROUNDING, Credentials("ann", SURROUNDING)),
        ("-k", None, "", Credentials(kerberos=True)),
        # Its NT hash is as good.
        (f"-U ann --nt-hash {HASH}", "password = filed", SURROUNDING, Credentials("ann", None, bytes.fromhex(HASH))),
        ("-U ann", f"nt_hash = {HASH}", SURROUNDING, Credentials("ann", None, bytes.fromhex(HASH))),
        ("-U ann%typed", f"nt_hash = {HASH}", SURROUNDING, Credentials("ann", TYPED)),
        (
            f"-U ann --nt-hash {HASH}",
            f"nt_hash = {OTHER_HASH}",
            SURROUNDING,
            Credentials("ann", None, bytes.fromhex(HASH)),
        ),
        # The user and the domain.
        ("-U bob", "username = ann\ndomain = D\npassword = x", SURROUNDING, Credentials("bob", "x", domain="D")),
        (r"-U E\bob", "username = ann\ndomain = D\npassword = x", None, Credentials("bob", "x", domain="E")),
        # Kerberos, and nobody.
        ("-k -U ann", "password = filed", SURROUNDING, Credentials("ann", FILED, kerberos=True)),
        ("-k -U ann", None, SURROUNDING, Credentials("ann", SURROUNDING, kerberos=True)),
        ("-k", "realm = EXAMPLE.ORG\ndomain = EX", None, Credentials(domain="EXAMPLE.ORG", kerberos=True)),
        ("-N", None, SURROUNDING, Credentials(anonymous=True)),
    ],
)
def test_the_command_line_its_file_the_environment(
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    file: str | None,
    environment: str | None,
    expected: Credentials,
) -> None:
    line = ["session", "-S", "fs1", *words.split()]
    if file is not None:
        (tmp_path / "credentials").touch(0o600)
        (tmp_path / "credentials").write_text(file)
        line += ["-A", str(tmp_path / "credentials")]
    if environment is not None:
        monkeypatch.setenv("LANMAN_PASSWORD", environment)
    result = command(line)
    assert (result.status, result.err) == (0, "")
    assert opened(command)[1] == expected


def test_an_empty_password_in_the_environment_is_none(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of a script that was not set is not sent as a wrong password."""
    monkeypatch.setenv("LANMAN_PASSWORD", "")
    result = command("session -S fs1 -U ann")
    assert result.status == 2
    assert "System error 1244 has occurred." in result.err
    assert command.manager.opened_with == []
    command("session -S fs1 -U ann%")
    assert opened(command)[1] == Credentials("ann", "")


def test_a_home_on_the_command_line_comes_before_the_environment(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANMAN_HOME", "/tmp/surrounding")
    command("session --home /tmp/typed")
    assert opened(command)[2]["home"] == "/tmp/typed"
    command("session")
    assert opened(command)[2]["home"] == "/tmp/surrounding"
    # An empty one is a script's mistake and means neither.
    result = command(["session", "--home", ""])
    assert result.status == 1
    assert "--home" in result.err


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("username = ann\npassword = blanks behind  \t\n", Credentials("ann", "blanks behind  \t")),
        ("username = ann  \npassword =  \t blanks before\n", Credentials("ann", "blanks before")),
        ("username = ann\r\npassword = x \r\n", Credentials("ann", "x ")),
        ("\ufeffusername = ann\npassword = x\n", Credentials("ann", "x")),
        ("username=ann\npassword=a\x0bb\x0cc\x85d\u2028e\u2029f\rg\x1ch\n", None),
        ("user=ann\npass=x\ndom=D\n", Credentials("ann", "x", domain="D")),
        ("USERNAME=ann\n Pass Word = x\ndomain = D\n", Credentials("ann", "x", domain="D")),
        ("username = ann\npassword = x\nrealm = EXAMPLE.ORG\npassword2=y", Credentials("ann", "x")),
        ("username = D\\ann\npassword = x\n", Credentials("ann", "x", domain="D")),
        ("username = D/ann%x\ndomain=E\n", Credentials("ann", "x", domain="D")),
        ("password = =x=\nusername = ann", Credentials("ann", "=x=")),
        ("username = ann\npassword = one\npassword = two\n", Credentials("ann", "two")),
        (" # mine\n;\n \t\nusername = ann\npassword = #x;\n", Credentials("ann", "#x;")),
    ],
)
def test_what_an_authentication_file_may_hold(
    command: Command, tmp_path: Path, content: str, expected: Credentials | None
) -> None:
    file = tmp_path / "credentials"
    file.touch(0o600)
    file.write_bytes(content.encode())
    result = command(["session", "-S", "fs1", "-A", str(file)])
    assert (result.status, result.err) == (0, "")
    # Only LF and CR LF end a line: what else Python takes for an end may stand in a password.
    odd = "a\x0bb\x0cc\x85d\u2028e\u2029f\rg\x1ch"
    assert opened(command)[1] == (expected or Credentials("ann", odd))


def test_a_name_that_is_not_known_is_passed_over_and_not_repeated(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.touch(0o600)
    file.write_text("username = ann\nsecret=word\npassword = x\n")
    result = command(["session", "-S", "fs1", "-A", str(file)])
    assert result.status == 0
    assert f"Warning: {file} line 2 is passed over" in result.err
    assert "secret" not in result.err
    assert opened(command)[1] == Credentials("ann", "x")


def test_one_port_and_not_two(command: Command) -> None:
    result = command("session -S fs1:4455 -p 1 -N")
    assert (result.status, result.out) == (1, "")
    assert "conflicting" in result.err
    assert "-S says port 4455 and -p says 1" in result.err
    assert command.manager.opened_with == []
    assert command("session -S fs1:4455 -p 4455 -N").status == 0
    assert opened(command)[2]["port"] == 4455


@pytest.mark.posix
def test_an_authentication_file_that_others_can_read_is_warned_about(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("username = ann\npassword = secret\n")
    file.chmod(0o640)
    result = command(["session", "-S", "fs1", "-A", str(file)])
    assert result.status == 0
    assert "can be read by others" in result.err
    assert f"chmod 600 {file}" in result.err
    assert "secret" not in result.err


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"username = ann\npassword: secret\n", "line 2"),
        (b"username = ann\nsecret\n", "line 2"),
        (b"nt_hash = secret\n", "line 1"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"username = ann\n" + 70000 * b"#", "too long"),
    ],
)
def test_a_bad_authentication_file(command: Command, tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "credentials"
    file.write_bytes(content)
    file.chmod(0o600)
    result = command(["session", "-S", "fs1", "-A", str(file)])
    assert result.status == 2
    assert str(file) in result.err
    assert says in result.err
    assert "secret" not in result.err


def test_an_authentication_file_that_cannot_be_read(command: Command, tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        result = command(["session", "-S", "fs1", "-A", str(path)])
        assert result.status == 2
        assert str(path) in result.err
        assert "username = " in result.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("session --port 0", "The port is not one"),
        ("session -S fs1 -N --port 0", "3952"),
        ("session -p 99999", "--port"),
        ("session -p x", "--port"),
        ("session --port=", "--port"),
        ("session --port", "--port"),
        ("session --timeout 0", "--timeout"),
        ("session --timeout -1", "--timeout"),
        ("session --timeout nan", "--timeout"),
        ("session --timeout soon", "--timeout"),
        ("session -S fs1:x -N", "fs1:x"),
        (["session", "-S", "", "-N"], "is not a valid computer name"),
        (["session", "-S", "fs1", "-U", ""], "The user's name is empty"),
        (["session", "-S", "fs1", "-U", "%secret"], "The user's name is empty"),
        (["session", "-U", ""], "The user's name is empty"),
        # What was meant by an empty variable of a script was somebody else, or another Samba.
        (["session", "/delete", "/y", "-A", ""], "--authentication-file"),
        (["file", "-S", "fs1", "--authentication-file="], "--authentication-file"),
        (["session", "/delete", "/y", "--nt-hash", ""], "32 hexadecimal digits"),
        (["session", "-N", "--nt-hash="], "-N"),
        (["session", "-N", "-A", ""], "-N"),
        (["session", "/delete", "/y", "--samba-config", ""], "--samba-config"),
        (["share", "--service", "samba", "--samba-config="], "--samba-config"),
        ("session -S fs1 -U ann --nt-hash abc", "32 hexadecimal digits"),
        ("session -S fs1 -U ann --nt-hash " + "x" * 32, "32 hexadecimal digits"),
        ("session -S fs1 -N -U ann%secret", "-N"),
        ("session -N -k", "-N"),
        ("session --json --csv", "--json and --csv"),
        ("session -x", "The option -x is unknown."),
        ("--frobnicate session", "The option --frobnicate is unknown."),
        ("frobnicate", "The verb frobnicate is unknown."),
        ("list", "The verb list is unknown."),
        ("help list", "The verb list is unknown."),
        ("", "lanman VERB"),
        ("-S fs1", "lanman VERB"),
    ],
)
def test_wrong_syntax_is_one(command: Command, words: str | list[str], says: str) -> None:
    result = command(words)
    assert (result.status, result.out) == (1, "")
    assert (says if says != "The port is not one" else "A port is a number from 1 to 65535.") in result.err
    assert "secret" not in result.err
    assert "x" * 32 not in result.err


def test_no_terminal_to_ask_for_a_password_on(command: Command) -> None:
    result = command("session -S fs1 -U ann", "typed into a pipe\n")
    assert result.status == 2
    # Nothing was sent, so nothing was incorrect.
    assert result.err.startswith("System error 1244 has occurred.\n\n")
    assert "incorrect" not in result.err
    assert "there is no password for ann" in result.err
    assert "LANMAN_PASSWORD" in result.err
    assert command.manager.opened_with == []


def test_nothing_secret_in_what_is_shown_of_a_call(command: Command) -> None:
    command("session -S fs1 -U ann%secret")
    assert "secret" not in repr(opened(command))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("session --service SAMBA", {"service": "samba"}),
        ("session --samba-config /srv/smb.conf", {"service": "samba", "samba_config": "/srv/smb.conf"}),
        ("session", {}),
    ],
)
def test_the_service_of_this_machine(command: Command, words: str, named: dict[str, str]) -> None:
    assert command(words).status == 0
    *_, options = command.manager.opened_with[-1]
    assert {name: options[name] for name in ("service", "samba_config") if options[name] is not None} == named


def test_a_port_that_is_the_default_is_named_all_the_same(command: Command) -> None:
    command("session -p 445")
    *_, options = opened(command)
    assert options["port"] == 445


def test_a_samba_that_contradicts(command: Command) -> None:
    result = command("session --service lanman --samba-config x")
    assert (result.status, command.manager.opened_with) == (1, [])
    assert "--service" in result.err
