"""Samba's own tools, run for the smbd of one configuration."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AccessDenied, MalformedMessage, Win32Error
from lanman.manage.samba_local.complete import complaints, completed, with_opens
from lanman.manage.samba_local.json_status import parse_json
from lanman.manage.samba_local.status import MAX_OUTPUT, ServerId, Status
from lanman.manage.samba_local.testparm import MAX_OUTPUT as MAX_CONFIGURATION
from lanman.manage.samba_local.testparm import Configured, parse_testparm
from lanman.manage.samba_local.text_status import parse_text
from lanman.net.tool import FOLDERS, Finished, find_tool, run_tool

WAYS_OUT: Final = "ask as root, or over the network: -S localhost -U USER"

# Debian's default sends a mail to root.
_NO_PANIC_ACTION: Final = "--option=panic action="

_LOADED_FROM: Final = re.compile(r"^Load smb config files from (/.*)$", re.MULTILINE)
_CANNOT_LOAD: Final = re.compile(r"Can't load (\S+)")
_ONLY_ROOT: Final = "only works as root"
_MAX_ANSWER: Final = 1 << 20


class Table(Enum):
    """Which of smbstatus' tables are asked for, by its option."""

    ALL = ""
    SESSIONS = "-p"
    SHARES = "-S"


def is_address(text: str) -> bool:
    """Whether smbcontrol takes it for an address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def denied(what: str) -> AccessDenied:
    """What an ordinary user is told."""
    return AccessDenied(f"only root may ask this machine's Samba for {what}", hint=WAYS_OUT, subject=what)


class SambaTools:
    """smbstatus, smbcontrol and testparm for one configuration, None for Samba's default."""

    def __init__(self, configuration: str | None = None, *, folders: Sequence[Path] = FOLDERS) -> None:
        self._configuration = None if configuration is None else os.path.abspath(configuration)
        self._folders = folders
        self._has_json = True
        self._opens_crash = False
        self._ends_by_address = True
        if self._configuration is not None and not os.access(self._configuration, os.R_OK):
            raise self._not_read(f"{configuration}: this configuration of Samba cannot be read")

    @property
    def configuration(self) -> str | None:
        """The absolute path of the configuration."""
        return self._configuration

    async def status(self, table: Table = Table.ALL) -> Status:
        """What smbstatus tells: everything with locks, or one of its tables, which takes less time.

        Raises AccessDenied for anybody but root, MalformedMessage for output that cannot be read.
        """
        if table is Table.ALL and self._opens_crash:
            return await self._without_crash()
        if self._has_json:
            selected = ("-B",) if table is Table.ALL else (table.value,)
            done = await self._run("smbstatus", "--json", _NO_PANIC_ACTION, *selected, max_output=MAX_OUTPUT)
            if done.output.strip():
                self._check(done)
                status = parse_json(done.output)
                if status is None:
                    raise denied("its sessions and open files")
                self._check_configuration(status)
                complained = complaints(done.messages)
                return completed(status, complained, await self._tables(table)) if complained else status
            if table is Table.ALL:
                # Where the sessions can be told, it was the open files that ended it.
                sessions = await self.status(Table.SESSIONS)
                if self._has_json:
                    self._opens_crash = True
                    return await self._without_crash(sessions)
            self._check(done)
            # A build without JSON says so and succeeds; before 4.17 the option is unknown.
            self._has_json = False
        return await self._tables(table)

    async def counted(self) -> Status:
        """The sessions and tree connects, and the open files to be counted: without their ids, where tables will do.

        JSON of 3,000 open files takes smbstatus 1.5 s, and its tables 0.1 s.
        """
        if not self._has_json:
            return await self.status()
        status = await self._without_crash()
        return await self.status() if status.left_out and not self._opens_crash else status

    async def _without_crash(self, sessions: Status | None = None) -> Status:
        """Everything, with the open files from the tables."""
        if sessions is None:
            sessions = await self.status(Table.SESSIONS)
        trees = (await self.status(Table.SHARES)).trees
        return with_opens(replace(sessions, trees=trees), await self._tables(Table.ALL))

    async def _tables(self, table: Table) -> Status:
        selected = () if table is Table.ALL else (table.value,)
        done = await self._run("smbstatus", *selected, max_output=MAX_OUTPUT)
        self._check(done)
        return parse_text(done.output)

    async def connections(self) -> Status:
        """The sessions and their tree connects, without open files."""
        trees = (await self.status(Table.SHARES)).trees
        return replace(await self.status(Table.SESSIONS), trees=trees)

    def _check(self, done: Finished) -> None:
        # Samba before 4.17 says this on standard output.
        if _ONLY_ROOT in done.messages or _ONLY_ROOT in done.output[:200].decode("utf-8", "replace"):
            raise denied("its sessions and open files")
        if match := _CANNOT_LOAD.search(done.messages):
            # It goes on with built-in paths, and succeeds.
            raise self._not_read(f"smbstatus cannot load {match[1]}")
        if done.status < 0:
            raise MalformedMessage(f"smbstatus was ended by signal {-done.status}")

    def _check_configuration(self, status: Status) -> None:
        """smbstatus reads built-in paths where it cannot load the configuration, and succeeds."""
        told, wanted = status.configuration, self._configuration
        if told is not None and wanted is not None and os.path.abspath(told) != wanted:
            raise self._not_read(f"smbstatus read {told} in place of {wanted}")

    def _not_read(self, message: str) -> Win32Error:
        return Win32Error(
            codes.ERROR_FILE_NOT_FOUND,
            message,
            hint="name the smb.conf of the smbd that is meant with --samba-config",
            subject="Samba's configuration",
        )

    async def end_connection(self, process: ServerId, address: str) -> None:
        """Tell a process of smbd to end, with all sessions of its connection. One that is gone already is no error.

        With the `address` of its client, without the port, where that is known: smbd then ends the process only if it
        serves that client. Raises AccessDenied for anybody but root.
        """
        if self._ends_by_address and is_address(address):
            done = await self._control(process.destination, "kill-client-ip", address)
            if "unknown command" not in done.messages:
                return
            self._ends_by_address = False
        await self._control(process.destination, "shutdown")

    async def end_client(self, address: str) -> bool:
        """Tell all processes of smbd that serve a client's address to end; False where this smbcontrol cannot.

        Raises AccessDenied for anybody but root.
        """
        if not self._ends_by_address or not is_address(address):
            return False
        done = await self._control("smbd", "kill-client-ip", address)
        self._ends_by_address = "unknown command" not in done.messages
        return self._ends_by_address

    async def close_share(self, process: ServerId, share: str) -> None:
        """Tell a process of smbd to close the tree connects of all its sessions to a share, with what is open there.

        Raises AccessDenied for anybody but root, Win32Error 87 for `*`, which would be all shares.
        """
        if share in ("", "*"):
            raise Win32Error(codes.ERROR_INVALID_PARAMETER, f"{share!r} names no share", subject="Samba")
        # A share may be called `-x`, which smbcontrol would take for an option.
        await self._control(process.destination, "close-share", "--", share)

    async def _control(self, *arguments: str) -> Finished:
        done = await self._run("smbcontrol", *arguments, max_output=_MAX_ANSWER)
        if "not root" in done.messages:
            raise denied("an end")
        return done

    async def loaded_from(self) -> str | None:
        """The path of the configuration that the tools read, by what testparm says of it."""
        done = await self._run("testparm", "-s", "--parameter-name=pid directory", max_output=MAX_CONFIGURATION)
        match = _LOADED_FROM.search(done.messages)
        return None if match is None else match[1]

    async def configured(self) -> Configured:
        """The global settings and the shares, by testparm, which anybody may run."""
        done = await self._run("testparm", "-s", "-v", max_output=MAX_CONFIGURATION)
        return parse_testparm(done.output)

    async def _run(self, name: str, *arguments: str, max_output: int) -> Finished:
        path = find_tool(name, self._folders)
        if self._configuration is not None:
            chosen = (self._configuration,) if name == "testparm" else ("-s", self._configuration)
            arguments = (*arguments, *chosen) if name == "testparm" else (*chosen, *arguments)
        return await run_tool(path, *arguments, max_output=max_output)
