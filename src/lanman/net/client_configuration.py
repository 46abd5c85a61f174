"""lanman.toml and the file `credentials` beside it: the configuration of a client.

They are read when something of them is needed, and not before. Rules:

  - The folder is `$XDG_CONFIG_HOME/lanman`, `~/.config/lanman` without that; for root `/etc/lanman`, unless the
    variable says otherwise; on Windows `%APPDATA%\\lanman`.
  - A file that others may change is refused, since [command] would have them run what they like as this user: it, and
    all folders above it, belong to this user or root, and nobody else may write there (`net.place`).
  - `credentials` that others may read are used, with a warning, as for `-A`; whoever logs on with them at many servers
    refuses them (`read_logons`).
  - Every error names the file, the line and the key. What is secret is in no error and no warning.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lanman.client_settings import (
    CLASSES,
    CREDENTIAL,
    SECTIONS,
    ClientConfiguration,
    Cluster,
    Credential,
    Mail,
    is_this_machine,
)
from lanman.errors import AccessDenied
from lanman.net.configuration import ConfigurationError, Reader, parsed_toml
from lanman.net.credentials import Credentials
from lanman.net.place import read_file

FILE: Final = "lanman.toml"
CREDENTIALS: Final = "credentials"

SYSTEM_FOLDER: Final = Path("/etc/lanman")

MAX_SIZE: Final = 16 * 1024 * 1024
"""Far more than the addresses of a hundred thousand users take, in bytes."""

_CLUSTERS: Final = "clusters"


def configuration_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration of this user's programs lies."""
    if sys.platform == "win32":
        return Path(environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "lanman"
    # The XDG base directory specification: a relative path is invalid, and is ignored.
    folder = Path(environ.get("XDG_CONFIG_HOME", ""))
    if folder.is_absolute():
        return folder / "lanman"
    return SYSTEM_FOLDER if os.geteuid() == 0 else Path("~/.config").expanduser() / "lanman"


def read_client_configuration(folder: Path | None = None) -> ClientConfiguration:
    """The configuration in `folder`, or where this user's is; an empty one where there is none.

    Raises ConfigurationError for a mistake, AccessDenied for files that others could have changed.
    """
    place = configuration_folder() if folder is None else folder
    text, _ = guarded_text(place / FILE)
    if text is None:
        return ClientConfiguration()
    document, reader = parsed_toml(text, str(place / FILE))
    clusters = document.get(_CLUSTERS)
    sections = [*document.values(), *(clusters.values() if isinstance(clusters, dict) else ())]
    if not any(map(_names_credentials, sections)):
        return _understood(document, reader, {})
    secrets, mode = guarded_text(place / CREDENTIALS)
    if secrets is None:
        raise ConfigurationError(
            f"{place / CREDENTIALS}: is not there, and {FILE} names credentials",
            code=2,
            hint=f'Write it, with a section [NAME] for each `credentials = "NAME"`, and chmod 600 {CREDENTIALS}.',
        )
    warnings: tuple[str, ...] = ()
    if os.name == "posix" and mode & 0o044:
        warnings = (f"{place / CREDENTIALS} can be read by others; `chmod 600 {place / CREDENTIALS}` keeps it to you.",)
    return _understood(document, reader, parse_credentials(secrets, str(place / CREDENTIALS)), warnings)


def read_logons(path: Path | None = None) -> Mapping[str, Credential]:
    """All sections of the file `credentials` at `path`, or of this user's; none where this user has no such file.

    For who logs on with them at many servers: others may not even read the file. Raises ConfigurationError for a
    mistake, and for a file that is named and not there; AccessDenied for one that others may read or change.
    """
    place = configuration_folder() / CREDENTIALS if path is None else path
    secrets, mode = guarded_text(place)
    if secrets is None:
        if path is None:
            return {}
        raise ConfigurationError(f"{place}: is not there", code=2, hint="Name a file with a section for each user.")
    if os.name == "posix" and mode & 0o077:
        raise AccessDenied(f"{place}: others can read it, so it is not used", hint=f"chmod 600 {place}")
    return parse_credentials(secrets, str(place))


def logon_credentials(name: str, section: Credential) -> Credentials:
    """Who a section of the file `credentials` says to be. Raises ConfigurationError where it does not say enough."""
    if not section.can_log_on:
        raise ConfigurationError(
            f"credentials: [{name}] cannot log on", hint="It needs `user` and `password` or `nt_hash`, or `kerberos`."
        )
    credentials = Credentials.parse(section.user)
    credentials.password = section.password or None
    credentials.nt_hash = bytes.fromhex(section.nt_hash) if section.nt_hash else None
    credentials.anonymous = False
    credentials.kerberos = section.kerberos
    credentials.keytab, credentials.ccache = section.keytab or None, section.ccache or None
    return credentials


def parse_client_configuration(
    text: str, source: str = FILE, credentials: Mapping[str, Credential] | None = None
) -> ClientConfiguration:
    """The configuration that `text` describes. Raises ConfigurationError, which names `source`, line and key."""
    return _understood(*parsed_toml(text, source), credentials or {})


def parse_credentials(text: str, source: str = CREDENTIALS) -> Mapping[str, Credential]:
    """The credentials that `text` has, by name. Raises ConfigurationError, which repeats no value."""
    document, reader = parsed_toml(text, source)
    return {name: Credential(**reader.section(document, name, CREDENTIAL)) for name in document}


def _understood(
    document: Mapping[str, Any], reader: Reader, credentials: Mapping[str, Credential], warnings: tuple[str, ...] = ()
) -> ClientConfiguration:
    for name in document:
        if name not in CLASSES and name != _CLUSTERS:
            raise reader.error((), name, "is not a section of this file")
    parts = {
        name: each(**reader.complete_section(document, name, SECTIONS[name]))
        for name, each in CLASSES.items()
        if name in document
    }
    clusters = reader.table(document, _CLUSTERS)
    nodes = SECTIONS["clusters.NAME"]
    configuration = ClientConfiguration(
        **parts,
        clusters={name: Cluster(**reader.complete_section(clusters, name, nodes, _CLUSTERS)) for name in clusters},
        credentials=credentials,
        warnings=warnings,
    )
    _check_credentials(configuration, reader)
    return configuration


def _names_credentials(section: Any) -> bool:
    return isinstance(section, dict) and bool(section.get("credentials"))


def _check_credentials(configuration: ClientConfiguration, reader: Reader) -> None:
    """Raises ConfigurationError for a name that is none of `credentials`, lacks what is needed, or would be sent in the
    clear."""
    log_on = ("user", "password")
    wanted: list[tuple[tuple[str, ...], Any, tuple[str, ...]]] = [
        (("mail",), configuration.mail, log_on),
        (("webhook",), configuration.webhook, ("authorization",)),
        *(((_CLUSTERS, name), cluster, ()) for name, cluster in configuration.clusters.items()),
    ]
    for section, part, keys in wanted:
        if part is None or not part.credentials:
            continue
        found = configuration.credentials.get(part.credentials)
        if found is None:
            raise reader.error(section, "credentials", f"is no section of the file `{CREDENTIALS}`")
        if isinstance(part, Cluster) and not found.can_log_on:
            raise reader.error(
                section,
                "credentials",
                f"cannot log on: in `{CREDENTIALS}` it needs `user` and `password` or `nt_hash`, or `kerberos`",
            )
        for key in keys:
            if not getattr(found, key):
                raise reader.error(section, "credentials", f"has no `{key}` in the file `{CREDENTIALS}`")
        if _in_the_clear(part):
            remedy = '`tls = "starttls"`' if isinstance(part, Mail) else "an address that begins with https"
            raise reader.error(section, "credentials", f"would be sent unencrypted: it needs {remedy}")


def _in_the_clear(part: Any) -> bool:
    if isinstance(part, Cluster):
        return False  # NTLM and Kerberos send no password
    if isinstance(part, Mail):
        return part.tls == "none" and not is_this_machine(part.server)
    from urllib.parse import urlsplit

    address = urlsplit(part.url)
    return address.scheme != "https" and not is_this_machine(address.hostname or "")


def guarded_text(path: Path) -> tuple[str | None, int]:
    """The text of a file that no other user could have changed, and its permission bits; None where there is none.
    Raises as `read_client_configuration`."""
    try:
        found = read_file(path, MAX_SIZE + 1)
    except AccessDenied as error:  # a folder or a link of somebody else's
        remedy = None if "--home" in (error.hint or "") else error.hint
        raise AccessDenied(error.text.replace("nothing is kept there", f"{path} is not used"), hint=remedy) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}", code=5 if isinstance(error, PermissionError) else 2
        ) from None
    if found is None:
        return None, 0
    data, status = found
    if len(data) > MAX_SIZE:
        raise ConfigurationError(f"{path}: is too long for a configuration: more than {MAX_SIZE} bytes")
    if sys.platform != "win32":
        _check_writers(path, status)
    try:
        return data.decode("utf-8-sig"), status.st_mode
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not UTF-8 text (byte {error.start})") from None


def _check_writers(path: Path, status: os.stat_result) -> None:
    """Raises AccessDenied for a file that somebody else may change."""
    if status.st_uid not in (0, os.geteuid()):
        raise AccessDenied(f"{path}: belongs to another user, so it is not used", hint=f"chown {os.geteuid()} {path}")
    if status.st_mode & 0o022:
        raise AccessDenied(f"{path}: others may change it, so it is not used", hint=f"chmod go-w {path}")
