"""Who a client wants to be: Credentials, as people write them."""

from __future__ import annotations

from dataclasses import dataclass, field

from lanman.auth.md4 import parse_nt_hash

__all__ = ["Credentials", "parse_nt_hash"]


@dataclass(slots=True)
class Credentials:
    """Who to log on as. Nothing secret is shown by repr.

    `nt_hash` (16 bytes) stands in for the password. With `kerberos` the user name may be empty: then the ticket cache
    says who; `keytab` and `ccache` name another source of keys than the default one. `anonymous` is the null session.
    """

    user_name: str = ""
    password: str | None = field(default=None, repr=False)
    nt_hash: bytes | None = field(default=None, repr=False)
    domain: str = ""
    kerberos: bool = False
    anonymous: bool = False
    keytab: str | None = None
    ccache: str | None = None

    @classmethod
    def parse(cls, text: str) -> Credentials:
        """From `[DOMAIN\\]USER[%PASSWORD]` as smbclient takes it; `DOMAIN/USER` and `USER@DOMAIN` are its, too.

        The first `%` ends the name, so a password may have more of them. Without one the password is None, which is
        not the same as an empty one. An empty text is the null session's.
        """
        name, percent, password = text.partition("%")
        domain, user_name = "", name
        for separator in "\\/":
            if separator in name:
                domain, _, user_name = name.partition(separator)
                break
        return cls(user_name, password if percent else None, domain=domain, anonymous=not name and not percent)

    @property
    def logon_name(self) -> str:
        """`DOMAIN\\USER`, or USER alone."""
        return f"{self.domain}\\{self.user_name}" if self.domain else self.user_name
