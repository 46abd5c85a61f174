"""Kerberos by the system's GSS-API (python-gssapi on MIT's or Heimdal's libraries): both halves of a log-on.

The rules:

* Everything here may block: the client's half asks a key distribution centre (KDC) over the network, the server's reads
  a keytab and writes a replay cache. It is called in threads, and imported only where Kerberos is asked for.
* The client asks for a ticket for the name as the user typed it, in the realm that [domain_realm] of krb5.conf has for
  that name, or else where the client's own KDC refers it to. GSS-API by itself would ask the DNS for a canonical name
  and take the realm of that one: an attacker who answers for the DNS, and has the keys of any realm that ours trusts,
  would then be the server.
* What the libraries report is turned into words here, by the codes of libkrb5 (`explain` for the client, to the user;
  `TicketRefused` for the server, to its log and as an NTSTATUS to the client). No step of a log-on raises a
  GSSError.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lanman import codes
from lanman.auth.kerberos import KerberosAcceptor, Ticket, TicketRefused
from lanman.auth.outcome import Mechanism
from lanman.auth.spnego import KERBEROS_OID, MS_KERBEROS_OID
from lanman.errors import AuthenticationError, LanmanError

if TYPE_CHECKING:
    from lanman.net.credentials import Credentials

INSTALL: Final = "pip install 'lanman[kerberos]'"

# GSS_C_INQ_SSPI_SESSION_KEY: the key that both sides share, the acceptor's subkey if it made one.
_SESSION_KEY_OID: Final = "1.2.840.113554.1.2.2.5.5"
_KRB5_OID: Final = "1.2.840.113554.1.2.2"

# Codes of libkrb5, as 32 bits without sign; the first are RFC 4120's plus 0x96C73A00.
_RFC4120: Final = 0x96C73A00
_C_PRINCIPAL_UNKNOWN: Final = _RFC4120 + 6
_S_PRINCIPAL_UNKNOWN: Final = _RFC4120 + 7
_CLIENT_REVOKED: Final = _RFC4120 + 18
_KEY_EXPIRED: Final = _RFC4120 + 23
_PREAUTH_FAILED: Final = _RFC4120 + 24
_BAD_INTEGRITY: Final = _RFC4120 + 31
_TICKET_EXPIRED: Final = _RFC4120 + 32
_TICKET_NOT_YET_VALID: Final = _RFC4120 + 33
_SKEW: Final = _RFC4120 + 37
_NEVER_VALID: Final = _RFC4120 + 11
_WRONG_REALM: Final = _RFC4120 + 68
_KDC_UNREACHABLE: Final = 0x96C73A9C
_REALM_UNKNOWN: Final = 0x96C73A9A
_REALM_CANNOT_RESOLVE: Final = 0x96C73ADC
_CACHE_NOT_FOUND: Final = 0x96C73A8D
_NO_CACHE_FILE: Final = 0x96C73AC3

_NO_CRED: Final = 7  # GSS_S_NO_CRED, GSS_S_DEFECTIVE_TOKEN, GSS_S_CREDENTIALS_EXPIRED (RFC 2744 3.9.1)
_DEFECTIVE_TOKEN: Final = 9
_CREDENTIALS_EXPIRED: Final = 11


def _load() -> Any:
    """python-gssapi. Raises AuthenticationError (50) where it, or the system's library, is missing."""
    try:
        return importlib.import_module("gssapi")
    except (ImportError, OSError) as error:
        reason = "" if isinstance(error, ModuleNotFoundError) else f": {error}"
        raise AuthenticationError(
            f"Kerberos is not available here{reason}", code=codes.ERROR_NOT_SUPPORTED, hint=INSTALL
        ) from error


# --- the client's half


class KerberosMechanism:
    """The client's half of Kerberos, inside SPNEGO. Nothing is asked of a KDC before the first step.

    Where the realm has no `cifs/` for the server, `host/` will do, of which the other is an alias in a domain.
    """

    # Windows 2000's misspelt identifier first, as every client does; the token in it is the same.
    oids = (MS_KERBEROS_OID, KERBEROS_OID)
    signs = False
    challenge = None

    def __init__(self, credentials: Credentials, host: str, services: Sequence[str] = ("cifs", "host")) -> None:
        self._credentials = credentials
        self._host = host.removeprefix("[").removesuffix("]")
        self._services = services
        self._context: Any = None

    @property
    def complete(self) -> bool:
        """Whether the server has proven that it has the key of the ticket (mutual authentication)."""
        return self._context is not None and bool(self._context.complete)

    @property
    def session_key(self) -> bytes:
        """The key of the ticket, or the subkey of the server if it made one; once `complete`."""
        return _session_key(self._context)

    def step(self, token: bytes | None) -> bytes | None:
        """Raises AuthenticationError."""
        gssapi = _load()
        try:
            answer = self._begin(gssapi) if self._context is None else self._context.step(token)
            if self.complete and not int(self._context.actual_flags) & int(
                gssapi.RequirementFlag.mutual_authentication
            ):
                raise AuthenticationError("the server did not prove that it is the one that was asked for")
        except gssapi.exceptions.GSSError as error:
            raise self._explained(error) from error
        return bytes(answer) if answer else None

    def sign(self, data: bytes) -> bytes:
        """GSS_GetMIC, for the mechListMIC of SPNEGO (RFC 4178 5)."""
        gssapi = _load()
        try:
            return bytes(self._context.get_signature(data))
        except gssapi.exceptions.GSSError as error:
            raise self._explained(error) from error

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether a mechListMIC is right."""
        return _verify(self._context, data, signature)

    def _begin(self, gssapi: Any) -> Any:
        creds = _credentials(gssapi, self._credentials)
        *first, last = self._services
        for service in first:
            try:
                return self._ask(gssapi, creds, service)
            except gssapi.exceptions.GSSError as error:
                if error.min_code & 0xFFFFFFFF != _S_PRINCIPAL_UNKNOWN:
                    raise
        return self._ask(gssapi, creds, last)

    def _ask(self, gssapi: Any, creds: Any, service: str) -> Any:
        flag = gssapi.RequirementFlag
        self._context = gssapi.SecurityContext(
            name=_service_name(gssapi, service, self._host, creds),
            creds=creds,
            usage="initiate",
            mech=gssapi.OID.from_int_seq(_KRB5_OID),
            flags=[flag.mutual_authentication, flag.integrity, flag.replay_detection, flag.out_of_sequence_detection],
        )
        return self._context.step(None)

    def _explained(self, error: Any) -> AuthenticationError:
        return explain(error, self._host, self._credentials)


def _service_name(gssapi: Any, service: str, host: str, creds: Any) -> Any:
    """`cifs/HOST@REALM` with HOST as it was typed, and of REALM what krb5.conf says; empty is for the KDC to find."""
    realm, asks_dns = _host_realm(gssapi, host)
    if not realm and asks_dns:
        # With an empty realm the library would ask the DNS where the KDC gives no referral; with ours it does not.
        who = creds or gssapi.Credentials(usage="initiate", mechs=[gssapi.OID.from_int_seq(_KRB5_OID)])
        realm = _principal(who.name).rpartition("@")[2]
    escaped = "".join(f"\\{sign}" if sign in "\\/@" else sign for sign in host.lower())
    return gssapi.Name(f"{service}/{escaped}@{realm}", gssapi.NameType.kerberos_principal)


def _host_realm(gssapi: Any, host: str) -> tuple[str, bool]:
    """What [domain_realm] says of a name, "" if nothing; and whether the library would ask the DNS then.

    GSS-API has no function for it, and MIT's libkrb5, on which it stands, has one that resolves nothing. Of another
    library (Heimdal's asks the DNS) nothing is asked.
    """
    library = ctypes.CDLL(gssapi.raw.names.__file__)  # its symbols, and those of all that it is linked with
    if not all(hasattr(library, name) for name in ("krb5_get_fallback_host_realm", "profile_get_boolean")):
        return "", False
    context, profile, asks_dns = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int()
    realms = ctypes.POINTER(ctypes.c_char_p)()
    if library.krb5_init_context(ctypes.byref(context)):
        return "", False
    try:
        if not library.krb5_get_profile(context, ctypes.byref(profile)):
            option = (b"libdefaults", b"dns_lookup_realm", None)
            library.profile_get_boolean(profile, *option, 0, ctypes.byref(asks_dns))
            library.profile_release(profile)
        if library.krb5_get_host_realm(context, os.fsencode(host), ctypes.byref(realms)):
            return "", bool(asks_dns.value)
        try:
            return (realms[0] or b"").decode("utf-8", "backslashreplace"), bool(asks_dns.value)
        finally:
            library.krb5_free_host_realm(context, realms)
    finally:
        library.krb5_free_context(context)


def _credentials(gssapi: Any, who: Credentials) -> Any:
    """A keytab, a named ticket cache, a password, or None: the default ticket cache, or the default client keytab."""
    principal = who.user_name
    if principal and who.domain and "@" not in principal:
        principal = f"{principal}@{who.domain.upper()}"
    name = gssapi.Name(principal, gssapi.NameType.user) if principal else None
    mechs = [gssapi.OID.from_int_seq(_KRB5_OID)]
    if who.keytab:
        # A ticket cache of its own, so that the user's are left alone.
        cache = f"MEMORY:lanman-{os.urandom(8).hex()}"
        store = {"client_keytab": who.keytab, "ccache": cache}
        return gssapi.Credentials(usage="initiate", name=name, mechs=mechs, store=store)
    if who.ccache:
        return gssapi.Credentials(usage="initiate", name=name, mechs=mechs, store={"ccache": who.ccache})
    if name is not None and who.password is not None:
        password = who.password.encode("utf-8", "surrogateescape")
        raw = gssapi.raw.acquire_cred_with_password(name, password, mechs=mechs, usage="initiate")
        return gssapi.Credentials(base=raw.creds)
    # Without a name GSS-API may choose among several tickets by the server's realm.
    return gssapi.Credentials(usage="initiate", name=name, mechs=mechs) if name is not None else None


def principal_of(who: Credentials) -> str:
    """Whose tickets a log-on would use that names no user; "" where there are none."""
    try:
        gssapi = _load()
    except AuthenticationError:
        return ""
    try:
        creds = _credentials(gssapi, who)
        if creds is None:
            creds = gssapi.Credentials(usage="initiate", mechs=[gssapi.OID.from_int_seq(_KRB5_OID)])
        return _principal(creds.name)
    except gssapi.exceptions.GSSError:
        return ""


def explain(error: Any, host: str, who: Credentials) -> AuthenticationError:
    """A GSSError of the client's half, in words and with what to do about it."""
    major, minor = error.maj_code >> 16 & 0xFF, error.min_code & 0xFFFFFFFF
    name = who.logon_name or "the user"
    kinit = f"kinit {who.user_name}".rstrip()
    if who.keytab and (major == _NO_CRED or minor in _NO_TICKET):
        return AuthenticationError(
            f"{who.keytab}: no keys of {name} can be had from this keytab",
            code=codes.ERROR_NOT_AUTHENTICATED,
            hint=f"look at it with: klist -k {who.keytab}",
        )
    for wanted, message, code, hint in _EXPLANATIONS:
        if minor in wanted:
            return AuthenticationError(
                message.format(name=name, host=host), code=code, hint=hint.format(kinit=kinit, host=host)
            )
    if major == _CREDENTIALS_EXPIRED:
        return AuthenticationError(
            "the Kerberos ticket has expired", code=codes.ERROR_NOT_AUTHENTICATED, hint=f"get a new one: {kinit}"
        )
    if major == _NO_CRED or minor in _NO_TICKET:
        return AuthenticationError(
            f"there is no Kerberos ticket for {name}", code=codes.ERROR_NOT_AUTHENTICATED, hint=f"get one: {kinit}"
        )
    return AuthenticationError(f"the Kerberos log-on could not be made: {' '.join(_reasons(error))}")


_NO_TICKET: Final = frozenset({_CACHE_NOT_FOUND, _NO_CACHE_FILE})

_Explanation = tuple[frozenset[int], str, int, str]

_EXPLANATIONS: Final[tuple[_Explanation, ...]] = (
    (
        frozenset({_S_PRINCIPAL_UNKNOWN}),
        "the Kerberos realm knows no server cifs/{host} or host/{host}",
        codes.ERROR_LOGON_FAILURE,
        "name the server as the realm does, mostly by its full name and never by an address",
    ),
    (
        frozenset({_C_PRINCIPAL_UNKNOWN}),
        "the Kerberos realm does not know {name}",
        codes.ERROR_LOGON_FAILURE,
        "check the user's name and its realm, which counts upper and lower case",
    ),
    (
        frozenset({_PREAUTH_FAILED, _BAD_INTEGRITY}),
        "the key distribution centre refuses the password or keytab of {name}",
        codes.ERROR_LOGON_FAILURE,
        "check the password; a keytab is out of date once the password has been changed",
    ),
    (
        frozenset({_CLIENT_REVOKED}),
        "the account of {name} is disabled or locked in the Kerberos realm",
        codes.ERROR_ACCOUNT_DISABLED,
        "an administrator of the realm can enable it",
    ),
    (
        frozenset({_KEY_EXPIRED}),
        "the password of {name} has expired",
        codes.ERROR_PASSWORD_EXPIRED,
        "change it with kpasswd",
    ),
    (
        frozenset({_TICKET_EXPIRED}),
        "the Kerberos ticket has expired",
        codes.ERROR_LOGON_FAILURE,
        "get a new one: {kinit}",
    ),
    (
        frozenset({_SKEW, _TICKET_NOT_YET_VALID, _NEVER_VALID}),
        "the clocks of this machine, of the key distribution centre and of the server differ too much for Kerberos",
        codes.ERROR_TIME_SKEW,
        "set them by NTP; five minutes are allowed",
    ),
    (
        frozenset({_KDC_UNREACHABLE}),
        "no key distribution centre of the Kerberos realm answers",
        codes.ERROR_NO_LOGON_SERVERS,
        "check the network, and `kdc =` of the realm in krb5.conf",
    ),
    (
        frozenset({_REALM_UNKNOWN, _REALM_CANNOT_RESOLVE, _WRONG_REALM}),
        "no key distribution centre is known for the Kerberos realm",
        codes.ERROR_NO_LOGON_SERVERS,
        "check the realm's name, and [realms] and [domain_realm] in krb5.conf",
    ),
)


def _reasons(error: Any) -> Iterator[str]:
    """What the libraries say themselves; the mechanism's words, where there are some, say it better."""
    for code, is_major in ((error.min_code, False), (error.maj_code, True)):
        texts = [str(text).rstrip("\0.") for text in error.get_all_statuses(code, is_major)]
        if any(texts) and not all(text in ("Success", "Unknown error") for text in texts):
            yield "; ".join(texts)
            return


# --- the server's half


class AcceptingContext:
    """The server's half of one exchange, by keys from a keytab (`lanman.auth.kerberos.TicketContext`)."""

    def __init__(self, gssapi: Any, creds: Any) -> None:
        self._gssapi = gssapi
        self._context = gssapi.SecurityContext(creds=creds, usage="accept")
        self.ticket: Ticket | None = None

    def step(self, token: bytes) -> bytes:
        """Raises TicketRefused."""
        try:
            answer = self._context.step(token)
            if self._context.complete:
                lifetime = self._context.lifetime
                self.ticket = Ticket(
                    client=_principal(self._context.initiator_name),
                    service=_principal(self._context.target_name),
                    lifetime=None if lifetime >= 0xFFFFFFFF else float(lifetime),
                    session_key=_session_key(self._context),
                )
        except self._gssapi.exceptions.GSSError as error:
            raise _ticket_refused(error) from error
        return bytes(answer or b"")

    def sign(self, data: bytes) -> bytes:
        """GSS_GetMIC, for the mechListMIC of SPNEGO (RFC 4178 5)."""
        return bytes(self._context.get_signature(data))

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Whether a mechListMIC is right."""
        return _verify(self._context, data, signature)


def _principal(name: Any) -> str:
    """A principal as text. What is not UTF-8 keeps a backslash in it, so that it is no account's name."""
    return bytes(name).rstrip(b"\0").decode("utf-8", "backslashreplace")


def _ticket_refused(error: Any) -> TicketRefused:
    minor = error.min_code & 0xFFFFFFFF
    if minor in (_SKEW, _TICKET_NOT_YET_VALID):
        status = codes.STATUS_TIME_DIFFERENCE_AT_DC
    elif error.maj_code >> 16 & 0xFF == _DEFECTIVE_TOKEN:
        status = codes.STATUS_INVALID_PARAMETER
    else:
        status = codes.STATUS_LOGON_FAILURE
    return TicketRefused(status, f"Kerberos: {' '.join(_reasons(error)) or 'refused'}")


def keep_replays_in(folder: Path, environ: MutableMapping[str, str] = os.environ) -> None:
    """Have MIT's library keep what tells it of replayed tickets there, and not in the folder for everybody's temporary
    files (krb5 1.18 and later by the first of these variables, earlier ones by the second). Where somebody has said
    otherwise, that counts; what an earlier Server of this process had said does not."""
    ours = {"KRB5RCACHENAME": f"file2:{folder / 'replays'}", "KRB5RCACHEDIR": str(folder)}
    if all(environ.get(name, "") == _said.get(name, "") for name in ours):
        environ.update(ours)
        _said.update(ours)


# The variables as this process has set them.
_said: Final[dict[str, str]] = {}


def accepting(keytab: str, realm: str = "") -> Callable[[], Sequence[Mechanism]]:
    """What makes the mechanism of each log-on at a Server that has this keytab, and whose users `realm` names: "" is
    the default realm of krb5.conf.

    The file is read for each log-on, so keys may be added to it. Raises LanmanError for one that cannot be used now,
    and where no realm is known.
    """
    gssapi = _load()
    try:
        with open(keytab, "rb"):
            pass
    except OSError as error:
        raise LanmanError(
            f"{keytab}: the Server's keytab cannot be read: {error.strerror}",
            code=5 if isinstance(error, PermissionError) else 2,
            hint="it must belong to the user that the Server runs as",
        ) from None
    try:
        mechs = [gssapi.OID.from_int_seq(_KRB5_OID)]
        creds = gssapi.Credentials(usage="accept", mechs=mechs, store={"keytab": f"FILE:{keytab}"})
    except gssapi.exceptions.GSSError as error:
        raise LanmanError(
            f"{keytab}: is no keytab that the Server could use: {' '.join(_reasons(error))}",
            code=codes.ERROR_INVALID_DATA,
            hint=f"look at it with: klist -k {keytab}",
        ) from error
    users_realm = realm or _default_realm(gssapi)
    return lambda: (KerberosAcceptor(AcceptingContext(gssapi, creds), users_realm),)


def _default_realm(gssapi: Any) -> str:
    """That of krb5.conf: the keytab may hold keys of several realms, and does not say whose users are ours."""
    try:
        name = gssapi.Name("user", gssapi.NameType.user).canonicalize(gssapi.OID.from_int_seq(_KRB5_OID))
        realm = _principal(name).rpartition("@")[2]
    except gssapi.exceptions.GSSError:
        realm = ""
    if not realm:
        raise LanmanError(
            "the Server has a keytab and no Kerberos realm",
            code=codes.ERROR_INVALID_DATA,
            hint='say which realm names its users: [domain] realm = "EXAMPLE.COM" in server.toml, or default_realm '
            "in krb5.conf",
        )
    return realm


# --- both


def _session_key(context: Any) -> bytes:
    gssapi = _load()
    found = gssapi.raw.inquire_sec_context_by_oid(context, gssapi.OID.from_int_seq(_SESSION_KEY_OID))
    return bytes(found[0])


def _verify(context: Any, data: bytes, signature: bytes) -> bool:
    gssapi = _load()
    try:
        context.verify_signature(data, signature)
    except gssapi.exceptions.GSSError:
        return False
    return True
