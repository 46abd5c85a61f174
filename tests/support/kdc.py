"""MIT Kerberos as a peer of the tests: a realm of its own with a KDC on a free loopback port, thrown away afterwards.

Everything of it lives in one temporary directory. `environment` is what makes a program use this realm and no other;
`activate` puts it into this process, for GSS-API as a library. Nothing resolves a name: the configuration leaves
host names as they are typed.

What the fixture knows about Debian's krb5 1.20 and smbd 4.17:

* The KDC puts a PAC into its tickets. A standalone smbd refuses a ticket with one (NT_STATUS_BAD_TOKEN_TYPE), and one
  without is good: `disable_pac`.
* smbd takes tickets only with `kerberos method` and a keytab, and maps a principal of its own `realm` to the Unix user
  of that name. Its krb5 is Heimdal, built in: it reads the same krb5.conf.
* MIT's acceptor keeps a replay cache in /var/tmp, unless KRB5RCACHENAME names another place.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from support.smbd import SEARCH
from support.waiting import free_port

REALM = "LANMAN.TEST"
HOST = "localhost"
# Samba's programs refuse to ask for a ticket for localhost or for an address; this is neither to them, and 127.0.0.1 to
# every resolver.
HOST_FOR_SAMBA = "127.1"
TOOLS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit", "klist", "kvno", "faketime")

_KRB5_CONF = """\
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
udp_preference_limit = 1
default_ccache_name = FILE:{directory}/ccache
clockskew = {clockskew}
kdc_timesync = 0

[realms]
{realm} = {{
    kdc = 127.0.0.1:{port}
}}
SILENT.TEST = {{
    kdc = 127.0.0.1:{silent}
}}
CLOSED.TEST = {{
    kdc = 127.0.0.1:1
}}

[domain_realm]
silent.test = SILENT.TEST
closed.test = CLOSED.TEST
elsewhere.test = NOWHERE.TEST
"""

_KDC_CONF = """\
[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}

[realms]
{realm} = {{
    database_name = {directory}/principal
    key_stash_file = {directory}/stash
    acl_file = {directory}/acl
    supported_enctypes = {enctypes}
    max_life = 24h
    disable_pac = true
}}

[logging]
kdc = FILE:{directory}/kdc.log
admin_server = FILE:{directory}/kdc.log
default = FILE:{directory}/kdc.log
"""


def missing() -> list[str]:
    """What is not installed: programs, and the Python package."""
    absent = [name for name in TOOLS if shutil.which(name, path=SEARCH) is None]
    return absent + ["the Python package gssapi"] * (find_spec("gssapi") is None)


class Realm:
    """A realm with a KDC that runs; `close()` or the end of `with` stops it and removes its directory.

    `user_name` is a Unix account that every Debian has, so that smbd can take it too. `server_keytab` has the keys of
    cifs/HOST, `host_keytab` those of host/hostonly.test alone, `user_keytab` the user's.
    """

    def __init__(
        self, name: str = REALM, *, enctypes: str = "aes256-cts-hmac-sha1-96:normal", clockskew: int = 300
    ) -> None:
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix="lanman-krb5-"))
        self.directory.chmod(0o711)
        self.user_name, self.password = "daemon", secrets.token_hex(8)
        self.server_keytab = self.directory / "server.keytab"
        self.host_keytab = self.directory / "host.keytab"
        self.user_keytab = self.directory / "user.keytab"
        self.ccache = self.directory / "ccache"
        # Accepts and never answers: nobody calls accept(), the kernel lets a few in all the same.
        self._silent = socket.create_server(("127.0.0.1", 0))
        self._process: subprocess.Popen[bytes] | None = None
        self._values = {
            "realm": name,
            "directory": self.directory,
            "silent": self._silent.getsockname()[1],
            "enctypes": enctypes,
            "clockskew": clockskew,
        }
        self.environment = {
            "KRB5_CONFIG": str(self.directory / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(self.directory / "kdc.conf"),
            "KRB5CCNAME": f"FILE:{self.ccache}",
            "KRB5_KTNAME": f"FILE:{self.directory}/no-default.keytab",
            "KRB5_CLIENT_KTNAME": f"FILE:{self.directory}/no-client.keytab",
            "KRB5RCACHENAME": f"file2:{self.directory}/rcache",
        }
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self) -> None:
        self._configure()
        self.run("kdb5_util", "create", "-s", "-r", self.name, "-P", secrets.token_hex(8))
        self.add(self.user_name, self.password)
        for principal, keytab in (
            (f"cifs/{HOST}", self.server_keytab),
            (f"cifs/{HOST_FOR_SAMBA}", self.server_keytab),
            ("host/hostonly.test", self.host_keytab),
            (self.user_name, self.user_keytab),
        ):
            if "/" in principal:
                self.add(principal)
            self.keytab(principal, keytab)
        for _ in range(3):  # another process may take the port between our look and the KDC's bind
            if self._listen():
                return
            self._configure()
        raise RuntimeError(f"krb5kdc did not start: {(self.directory / 'kdc.log').read_text()[-2000:]}")

    def _configure(self) -> None:
        self.port = free_port()
        for name, text in (("krb5.conf", _KRB5_CONF), ("kdc.conf", _KDC_CONF)):
            (self.directory / name).write_text(text.format(port=self.port, **self._values))

    def _listen(self) -> bool:
        self._process = subprocess.Popen(
            [_tool("krb5kdc"), "-n", "-r", self.name],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self._process.poll() is None
            time.sleep(0.01)
        self._stop_kdc()
        return False

    # --- principals, keytabs, tickets

    def add(self, principal: str, password: str = "") -> None:
        """Add a principal, with a random key where there is no password."""
        key = ["-pw", password] if password else ["-randkey"]
        self.kadmin("addprinc", *key, principal)

    def keytab(self, principal: str, path: Path) -> None:
        """Write a principal's keys to a keytab."""
        self.kadmin("ktadd", "-q", "-k", str(path), "-norandkey", principal)

    def kadmin(self, *query: str) -> str:
        return self.run("kadmin.local", "-r", self.name, *query)

    def trust(self, other: Realm) -> None:
        """Let this realm's users have tickets for what is in the other."""
        key = secrets.token_hex(8)
        for realm in (self, other):
            realm.add(f"krbtgt/{other.name}@{self.name}", key)

    def configuration(self, *others: Realm, options: str = "", domains: str = "") -> Path:
        """A krb5.conf of a client that knows these realms too, with lines for [libdefaults] and [domain_realm]."""
        kdcs = "".join(f"{realm.name} = {{\nkdc = 127.0.0.1:{realm.port}\n}}\n" for realm in (self, *others))
        path = self.directory / f"client-{secrets.token_hex(4)}.conf"
        path.write_text(
            f"[libdefaults]\ndefault_realm = {self.name}\nudp_preference_limit = 1\ndns_lookup_kdc = false\n{options}\n"
            f"[realms]\n{kdcs}[domain_realm]\n{domains}\n"
        )
        return path

    def kinit(self, *options: str, user_name: str | None = None, password: str | None = None) -> None:
        """Get a ticket for the user into the cache of `environment`."""
        text = f"{self.password if password is None else password}\n"
        self.run("kinit", *options, user_name or self.user_name, text=text)

    def kdestroy(self) -> None:
        """Forget all tickets."""
        self.ccache.unlink(missing_ok=True)

    def expire(self) -> None:
        """Make every ticket of the cache one that ended an hour ago; programs believe what the cache says."""
        data = self.ccache.read_bytes()
        now = int(time.time())
        at = 0
        while at <= len(data) - 16:
            # FILE cache, version 4: authtime, starttime, endtime, renew_till, big-endian.
            authtime, starttime, endtime, renew_till = struct.unpack_from(">4I", data, at)
            if abs(authtime - now) < 60 and abs(starttime - now) < 60 and endtime > now and renew_till in (0, endtime):
                moved = struct.pack(">4I", authtime - 90000, starttime - 90000, endtime - 90000, renew_till)
                data = data[:at] + moved + data[at + 16 :]
                at += 15
            at += 1
        self.ccache.write_bytes(data)

    def run(self, name: str, *arguments: str, text: str = "") -> str:
        """Run one of Kerberos's programs in this realm; CalledProcessError, with its output, when it fails."""
        return subprocess.run(
            [_tool(name), *arguments],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.environment, "LC_ALL": "C"},
            timeout=60,
            check=True,
            text=True,
        ).stdout

    def samba_options(self) -> dict[str, str]:
        """What makes an smbd take this realm's tickets."""
        return {
            "realm": self.name,
            "kerberos method": "dedicated keytab",
            "dedicated keytab file": f"FILE:{self.server_keytab}",
        }

    def _stop_kdc(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop the KDC and remove the directory. More than once does no harm."""
        self._stop_kdc()
        self._silent.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@contextlib.contextmanager
def in_realm(realm: Realm, **more: str) -> Iterator[None]:
    """This process, and what it starts, in the realm; libkrb5 reads the environment anew for each context."""
    values = {**realm.environment, **more}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _tool(name: str) -> str:
    path = shutil.which(name, path=SEARCH)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed (system-packages.txt)")
    return path
