"""Who to be at a server, as the command line, its authentication file, the environment and a person say.

The first that has a password, or an NT hash in its place, is asked alone:

  1. the command line: `-U USER%PASSWORD`, `--nt-hash`;
  2. the file that the command line names (`-A`): `password =`, `nt_hash =`;
  3. the environment: LANMAN_PASSWORD, where it is not empty;
  4. the person at the terminal. It is asked for on the terminal itself, whatever standard input is.

What is wrong in one of them is never made good by a later one: a password that was not meant locks accounts. The user's
name and domain come from the command line, else from the file, else from this process.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.errors import AuthenticationError, LanmanError
from lanman.faces.cli.output import is_terminal, warn
from lanman.faces.dialect import DialectError

if TYPE_CHECKING:
    from lanman.net.credentials import Credentials

# What is longer was never meant to be an authentication file: a device, a log, the wrong file.
MAX_AUTHENTICATION_FILE: Final = 65536

# smbclient's names, and those that mount.cifs takes besides. Each tool passes over the other's, and so does this one.
_KEYS: Final = {
    "username": "user_name",
    "user": "user_name",
    "password": "password",
    "pass": "password",
    "domain": "domain",
    "dom": "domain",
    "workgroup": "domain",
    "realm": "realm",
    "nt_hash": "nt_hash",
}
_FOR_MOUNTS_ALONE: Final = frozenset({"password2"})


def credentials_from(options: dict[str, Any], server: str | None) -> Credentials | None:
    """Who the options say to be; None for this machine's own Server, which asks the kernel who we are."""
    login, file, nt_hash = options["login"], options["authentication_file"], options["nt_hash"]
    named = any(each is not None for each in (login, file, nt_hash))
    if options["no_pass"] and (options["kerberos"] or named):
        raise DialectError(3510, hint="-N is an anonymous log-on: it goes with none of -U, -A, -k and --nt-hash.")
    if file == "":
        # A variable of a script that was not set; whoever runs the command would be meant.
        raise DialectError(3952, "--authentication-file", "It is a file with a user and a password.")
    if server is None and not (named or options["kerberos"] or options["no_pass"]):
        return None

    from lanman.net.credentials import Credentials

    if options["no_pass"] or login == "%":
        return Credentials(anonymous=True)
    credentials = Credentials()
    if file is not None:
        credentials, realm = read_authentication_file(file)
        if options["kerberos"] and realm:
            credentials.domain = realm
    if login is not None:
        typed = Credentials.parse(login)
        if not typed.user_name:
            raise DialectError(3952, "--login", "The user's name is empty. -N is an anonymous log-on.")
        credentials.user_name, credentials.domain = typed.user_name, typed.domain or credentials.domain
        if typed.password is not None:
            credentials.password, credentials.nt_hash = typed.password, None
    if nt_hash is not None:
        credentials.password, credentials.nt_hash = None, _typed_hash(nt_hash)
    if credentials.password is None and credentials.nt_hash is None:
        # An empty one is a variable of a script that was not set, and would count as a wrong password.
        credentials.password = os.environ.get("LANMAN_PASSWORD") or None
    credentials.kerberos = options["kerberos"]
    if not credentials.kerberos:
        credentials.user_name = credentials.user_name or _own_name()
        if credentials.password is None and credentials.nt_hash is None:
            credentials.password = ask_password(credentials.logon_name, server)
    return credentials


def _typed_hash(text: str) -> bytes:
    from lanman.net.credentials import parse_nt_hash

    try:
        return parse_nt_hash(text)
    except ValueError as error:
        raise DialectError(3952, "--nt-hash", f"{error}.".capitalize().replace("an nt hash", "An NT hash")) from None


def _own_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise DialectError(3952, "--login", "This process has no user's name: give one with -U.") from None


# --- the person


def has_terminal() -> bool:
    """Whether this process has a terminal on which a person can be asked, wherever its standard input comes from."""
    if is_terminal(sys.stdin):
        return True
    try:
        # A process without a controlling terminal cannot open it (tty(4)).
        os.close(os.open("CONIN$" if sys.platform == "win32" else "/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return False
    return True


def ask_password(user: str, server: str | None) -> str:
    """Ask for a password on the terminal. Raises AuthenticationError where there is none, or no answer."""
    # Nothing has been sent, so the error is not 1326: no server has called a password incorrect.
    if not has_terminal():
        raise AuthenticationError(
            f"there is no password for {user}, and no terminal to ask for it on",
            code=codes.ERROR_NOT_AUTHENTICATED,
            hint="Give it in a file with -A or in LANMAN_PASSWORD, or log on anonymously with -N.",
        )
    import getpass

    try:
        return getpass.getpass(f"Password for {user}{f' on {server}' if server else ''}: ")
    except EOFError:
        raise AuthenticationError(f"no password was given for {user}", code=codes.ERROR_NOT_AUTHENTICATED) from None


# --- the file


def read_authentication_file(path: str) -> tuple[Credentials, str]:
    """What the files of smbclient (`-A`) and mount.cifs (`credentials=`) hold: credentials, and a Kerberos realm or "".

    A line is `NAME = VALUE` and ends with LF or CR LF. Names have any letter case; one that is not known is passed
    over, with a warning. Blanks before a value are none of it; those behind a password are. A user is written as behind
    `-U`, with a domain or a password if need be. Beyond those two there are `nt_hash =`, and lines that begin with `#`
    or `;`. Raises LanmanError, which names the file and the line and repeats nothing of it.
    """
    values: dict[str, str] = {}
    places: dict[str, int] = {}
    for number, line in enumerate(_text_of(path).split("\n"), 1):
        line = line.removesuffix("\r")
        if not line.strip() or line.lstrip().startswith(("#", ";")):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            names = "username, password, domain, realm or nt_hash"
            raise LanmanError(
                f"{path} line {number}: it is no {names} with `=` behind it", code=codes.ERROR_INVALID_DATA
            )
        name = "".join(name.split()).casefold()
        field = _KEYS.get(name)
        if field is None:
            if name not in _FOR_MOUNTS_ALONE:
                warn(f"{path} line {number} is passed over: it is no username, password, domain, realm or nt_hash.")
            continue
        values[field], places[field] = value.lstrip(" \t"), number
    return _credentials_of(path, values, places)


def _credentials_of(path: str, values: dict[str, str], places: dict[str, int]) -> tuple[Credentials, str]:
    from lanman.net.credentials import Credentials, parse_nt_hash

    user = Credentials.parse(values.get("user_name", "").strip())
    credentials = Credentials(
        user.user_name,
        user.password if user.password is not None else values.get("password"),
        domain=user.domain or values.get("domain", "").strip(),
    )
    if "nt_hash" in values:
        try:
            credentials.nt_hash = parse_nt_hash(values["nt_hash"].strip())
        except ValueError as error:
            raise LanmanError(f"{path} line {places['nt_hash']}: {error}", code=codes.ERROR_INVALID_DATA) from None
    return credentials, values.get("realm", "").strip()


def _text_of(path: str) -> str:
    try:
        # A byte order mark is how some editors begin a text, and no part of it. Line ends are left as they are.
        with open(path, encoding="utf-8-sig", newline="") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_AUTHENTICATION_FILE + 1)
    except UnicodeDecodeError:
        raise LanmanError(f"{path}: is not UTF-8 text", code=codes.ERROR_INVALID_DATA) from None
    except OSError as error:
        # A folder is denied to whoever opens it as a file on Windows.
        denied = isinstance(error, PermissionError) and not os.path.isdir(path)
        code = codes.ERROR_ACCESS_DENIED if denied else codes.ERROR_FILE_NOT_FOUND
        hint = "Name a file that holds `username = ` and `password = `."
        raise LanmanError(
            f"{path}: the authentication file cannot be read: {error.strerror}", code=code, hint=hint
        ) from None
    if len(text) > MAX_AUTHENTICATION_FILE:
        raise LanmanError(f"{path}: is too long for an authentication file", code=codes.ERROR_INVALID_DATA)
    if os.name == "posix" and mode & 0o044:  # Windows has other rights, of which the mode tells nothing
        warn(f"{path} can be read by others; `chmod 600 {path}` keeps it to you.")
    return text
