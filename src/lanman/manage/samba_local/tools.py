"""Samba's own tools, run for the smbd of one configuration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lanman import codes
from lanman.errors import AccessDenied, MalformedMessage, Win32Error
from lanman.manage.samba_local.json_status import parse_json
from lanman.manage.samba_local.status import MAX_OUTPUT, ServerId, Status
from lanman.manage.samba_local.testparm import MAX_OUTPUT as MAX_CONFIGURATION
from lanman.manage.samba_local.testparm import Configured, parse_testparm
from lanman.manage.samba_local.text_status import parse_text
from lanman.net.tool import FOLDERS, Finished, find_tool, run_tool

WAYS_OUT: Final = "ask as root, or over the network: -S localhost -U USER"

_ONLY_ROOT: Final = "only works as root"
_MAX_ANSWER: Final = 1 << 20


def denied(what: str) -> AccessDenied:
    """What an ordinary user is told."""
    return AccessDenied(f"only root may ask this machine's Samba for {what}", hint=WAYS_OUT, subject=what)


class SambaTools:
    """smbstatus, smbcontrol and testparm for one configuration, None for Samba's default."""

    def __init__(self, configuration: str | None = None, *, folders: Sequence[Path] = FOLDERS) -> None:
        self._configuration = None if configuration is None else os.path.abspath(configuration)
        self._folders = folders
        self._has_json = True
        self.unread_files = 0
        """How many open files the last status had whose rows could not be read."""
        if self._configuration is not None and not os.access(self._configuration, os.R_OK):
            raise Win32Error(
                codes.ERROR_FILE_NOT_FOUND,
                f"{configuration}: this configuration of Samba cannot be read",
                hint="name the smb.conf of the smbd that is meant with --samba-config",
                subject="Samba's configuration",
            )

    @property
    def configuration(self) -> str | None:
        """The absolute path of the configuration."""
        return self._configuration

    async def status(self, *, files: bool = True) -> Status:
        """What smbstatus tells; without `files` its sessions alone, which takes less time.

        Raises AccessDenied for anybody but root, MalformedMessage for output that cannot be read.
        """
        selected = ("-B",) if files else ("-p",)
        if self._has_json:
            done = await self._run("smbstatus", "--json", *selected, max_output=MAX_OUTPUT)
            self._check(done.status, done.output, done.messages)
            if done.output.strip():
                status = parse_json(done.output)
                if status is None:
                    raise denied("its sessions and open files")
                self._check_configuration(status)
                self.unread_files = 0
                return status
            # A build without JSON says so and succeeds; before 4.17 the option is unknown.
            self._has_json = False
        done = await self._run("smbstatus", *(() if files else ("-p",)), max_output=MAX_OUTPUT)
        self._check(done.status, done.output, done.messages)
        status, unread = parse_text(done.output)
        self.unread_files = unread.files
        return status

    def _check(self, status: int, output: bytes, messages: str) -> None:
        # Samba before 4.17 says this on standard output.
        if _ONLY_ROOT in messages or _ONLY_ROOT in output[:200].decode("utf-8", "replace"):
            raise denied("its sessions and open files")
        if status < 0:
            raise MalformedMessage(f"smbstatus was ended by signal {-status}")

    def _check_configuration(self, status: Status) -> None:
        """smbstatus reads built-in paths where it cannot load the configuration, and succeeds."""
        told, wanted = status.configuration, self._configuration
        if told is not None and wanted is not None and os.path.abspath(told) != wanted:
            raise Win32Error(
                codes.ERROR_FILE_NOT_FOUND,
                f"smbstatus read {told} in place of {wanted}",
                subject="Samba's configuration",
            )

    async def end_connection(self, process: ServerId) -> None:
        """Tell a process of smbd to end, with all sessions of its connection. One that is gone already is no error.

        Raises AccessDenied for anybody but root.
        """
        done = await self._run("smbcontrol", process.destination, "shutdown", max_output=_MAX_ANSWER)
        if "not root" in done.messages:
            raise denied("the end of a connection")

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
