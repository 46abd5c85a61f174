"""Who a client wants to be: Credentials, as people write them."""

from __future__ import annotations

from dataclasses import field

from lanman.auth.md4 import nt_hash, parse_nt_hash
from lanman.plain import dataclass

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
    # The password that was hashed last and its hash, for whoever asks many servers. It goes with this object.
    _hashed: tuple[str, bytes] | None = field(default=None, init=False, repr=False, compare=False)

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
    def key(self) -> bytes | None:
        """What NTLM proves to know: the NT hash, or else that of the password. None where both are missing."""
        if self.nt_hash is not None or self.password is None:
            return self.nt_hash
        if self._hashed is None or self._hashed[0] != self.password:
            self._hashed = self.password, nt_hash(self.password)
        return self._hashed[1]

    @property
    def logon_name(self) -> str:
        """`DOMAIN\\USER`, or USER alone."""
        return f"{self.domain}\\{self.user_name}" if self.domain else self.user_name
