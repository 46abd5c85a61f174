"""A configuration in force: what it means to the domain and to dispatch, and how one takes the place of another.

A configuration is put in force as a whole or not at all: everything that can be wrong with it is found before the
first change is made. Over what was read (`base`) lies what management calls have changed (`net.overlay`).

Which shares are the configuration's is remembered by the objects in the domain: a share that an administrator has
removed and added again meanwhile is that administrator's, and stays when the configuration does not name it. Temporary
shares (STYPE_TEMPORARY) never belong to a configuration.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, Final

from lanman.domain import STYPE_DISKTREE, STYPE_TEMPORARY, ServerService, Share
from lanman.names import fold
from lanman.net.configuration import ConfigurationError
from lanman.net.overlay import SettingsFile
from lanman.server.changes import KeepSettings, KeepShare
from lanman.server.effects import Effect
from lanman.server.watch import NOT_LOOKED_AT
from lanman.settings import Configuration, RunningSettings, ShareConfiguration

log: Final = logging.getLogger("lanman.server")


class AppliedConfiguration:
    """The configuration in force (`current`), and what was read of it (`base`)."""

    def __init__(
        self, base: Configuration, state: SettingsFile, service: ServerService, settings: RunningSettings
    ) -> None:
        self.base = base
        self.current = base
        self._state = state
        self._service = service
        self._settings = settings
        self._shares: dict[str, Share] = {}  # the configuration's, by folded name

    def apply(self, base: Configuration, fit: Callable[[Configuration], Configuration]) -> None:
        """Put a configuration in force, with what was changed at run time lying over it. `fit` makes of it what this
        process can keep. Raises LanmanError; then nothing has changed."""
        configuration = self._over(base)
        self._share(configuration)
        # In one step, or followers of events would see limits change and change back.
        self._settings.current = dataclasses.replace(fit(configuration), name=self._settings.current.name)
        if configuration.guest and not any(share.guest for share in configuration.shares.values()):
            log.warning("guests may log on, and no share lets them in: guest of [shares.NAME] does")
        self.base = base
        self.current = configuration

    def performers(self) -> dict[type[Effect[Any]], Callable[[Any], Any]]:
        """What keeps the changes of management calls. Called in threads, one at a time."""
        return {
            KeepSettings: lambda effect: self._state.keep_settings(self.base, effect.values),
            KeepShare: lambda effect: self._state.keep_share(self.base, effect.name, effect.share),
        }

    def _over(self, base: Configuration) -> Configuration:
        """The configuration with the changes over it; which shares are the configuration's is determined anew."""
        configuration = self._state.over(base)
        kept = self._state.share_names()
        now = {fold(share.name): share for share in self._service.shares() if not share.type & STYPE_TEMPORARY}
        self._shares = {name: share for name, share in now.items() if name in kept or self._shares.get(name) is share}
        return configuration

    def _share(self, configuration: Configuration) -> None:
        """Share what the configuration says, and nothing that only its predecessor said. Raises ConfigurationError;
        then nothing has changed. A folder that does not exist is no error: its share is refused until it does."""
        wanted = {fold(name): share_of(name, each) for name, each in configuration.shares.items()}
        self._check(wanted, configuration)
        for name, share in list(self._shares.items()):
            new = wanted.get(name)
            if new is None or place_of(new) != place_of(share):
                self._service.remove_share(share)
                del self._shares[name]
        for name, new in wanted.items():
            if (known := self._shares.get(name)) is None:
                self._shares[name] = new
                self._service.add_share(new)
            else:
                self._change(known, new)

    def _check(self, wanted: dict[str, Share], configuration: Configuration) -> None:
        for name, share in wanted.items():
            if name not in self._shares and self._service.share_by_name(name) is not None:
                raise ConfigurationError(f"{share.name}: something is shared by this name already")
            if share.encrypt_data and configuration.encryption == "off":
                raise ConfigurationError(f"{share.name}: is to be encrypted, and encryption is off")

    def _change(self, known: Share, new: Share) -> None:
        """Change a share that is in use. What is open on it stays open."""
        self._service.change_access(
            known,
            readers=new.readers,
            writers=new.writers,
            guest=new.guest,
            hidden=new.hidden,
            device_names=new.device_names,
        )
        if (known.remark, known.max_users) != (new.remark, new.max_users):
            self._service.change_share(known, remark=new.remark, max_users=new.max_users)


def share_of(name: str, configuration: ShareConfiguration) -> Share:
    """A folder of the configuration, as the domain has it."""
    return Share(
        name,
        STYPE_DISKTREE,
        path=configuration.path,
        remark=configuration.comment,
        max_users=configuration.max_users,
        hidden=configuration.hidden,
        readers=None if configuration.read is None else frozenset(configuration.read),
        writers=None if configuration.write is None else frozenset(configuration.write),
        guest=configuration.guest,
        encrypt_data=configuration.encryption,
        device_names=configuration.windows_names == "allow",
        confined=configuration.confined,
        problem=NOT_LOOKED_AT,
    )


def place_of(share: Share) -> tuple[object, ...]:
    """What cannot be changed while a share is in use."""
    return share.name, share.path, share.encrypt_data, share.confined


def fitted(configuration: Configuration, connections: int) -> Configuration:
    """The configuration with no more than so many connections, which is what this process has descriptors for."""
    # A connection with a session is never closed for others, so the anonymous ones must leave room.
    anonymous = min(configuration.limits.anonymous, max(1, connections // 2))
    limits = dataclasses.replace(configuration.limits, connections=connections, anonymous=anonymous)
    return dataclasses.replace(configuration, limits=limits)
