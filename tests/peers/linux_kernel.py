"""The Linux kernel's SMB client under QEMU, whose connections to our Server are cut: does its work go on, and is
anything lost that was acknowledged?

    python tests/peers/linux_kernel.py [--cuts 20] [--kernel VMLINUZ] [--modules DIR] [OPTIONS ...]

boots Debian's kernel (linux-image-amd64) with one program of ours (`linux_kernel.c`, compiled by gcc) for each set of
mount options, by default all of SETS. The program mounts a share of a Server in this process and writes records into
one file that it keeps open, and small files, each followed by fsync. Between it and the Server is a relay, which cuts
all connections at a random moment, CUTS times, each time after work has gone on. At the end the program reads all of it
back over a new mount, and so does this script from the disk. Nothing of the machine outside is used but QEMU's own
network in user space, and ports of 127.0.0.1.

It takes a minute or two for each set, and is no part of the tests.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lanman.settings import Configuration, ShareConfiguration
from support.loopback_server import PASSWORDS, running_server

SETS: Final = (
    *(f"vers={dialect},cache={cache}" for dialect in ("2.1", "3.0", "3.1.1") for cache in ("strict", "none", "loose")),
    "vers=3.1.1,cache=strict,seal",
    "vers=3.1.1,cache=strict,multichannel,max_channels=2",
    "vers=3.0,cache=strict,nohandlecache",
)
RECORD: Final = 512
# A cut comes when so many records more are acknowledged, and the work is stuck when none is for so many seconds.
WORKS: Final = 12
STUCK_AFTER: Final = 150.0
# What the client needs that may be a module.
# fmt: off
MODULES: Final = (
    "e1000", "cifs", "cifs_md4", "cifs_arc4", "cmac", "ccm", "gcm", "ctr", "ghash_generic", "gf128mul", "aes_generic",
    "sha256_generic", "sha512_generic", "md5", "hmac", "ecb", "des_generic", "nls_utf8", "crypto_null", "cbc", "seqiv",
)
# fmt: on


@dataclass
class Machine:
    """What the program on the console has said."""

    acknowledged: int = -1
    files: int = -1
    failures: int = 0
    opened_again: int = 0
    verified: int | None = None
    faults: list[str] = field(default_factory=list)
    ready: bool = False
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, line: str) -> None:
        """A line."""
        kind, _, rest = line.strip().partition(" ")
        if kind == "ready":
            self.ready = True
        elif kind == "A":
            self.acknowledged = int(rest)
        elif kind == "F":
            self.files = int(rest)
        elif kind == "E":
            self.failures += 1
        elif kind == "R":
            self.opened_again += 1
        elif kind == "V":
            self.verified = int(rest)
        elif kind == "X":
            self.faults.append(rest)
        self.heard.set()


class Relay:
    """Between the client and the Server: all its connections can be cut."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writers: set[asyncio.StreamWriter] = set()
        self.made = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.made += 1
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.port)
        ends = {writer, server_writer}
        self.writers |= ends
        with contextlib.suppress(OSError):
            await asyncio.gather(carry(reader, server_writer), carry(server_reader, writer))
        self.writers -= ends
        for each in ends:
            each.close()

    def cut(self) -> None:
        """Cut all there are; what is on its way is lost."""
        for each in self.writers:
            each.transport.abort()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


# --- the machine's memory at its start


def modules_in_order(folder: Path) -> Iterator[Path]:
    """The files of MODULES and of what they say they need, those first that others need."""
    by_name = {path.stem.replace("-", "_"): path for path in folder.rglob("*.ko")}
    given: set[str] = set()

    def with_needs(name: str) -> Iterator[Path]:
        path = by_name.get(name)
        if path is None or name in given:
            return  # it is in the kernel itself
        given.add(name)
        needs = re.search(rb"\0depends=([^\0]*)\0", path.read_bytes())
        for each in needs[1].decode().split(",") if needs is not None else ():
            yield from with_needs(each.replace("-", "_"))
        yield path

    for name in MODULES:
        yield from with_needs(name)


def archive(files: Sequence[tuple[str, bytes, int]]) -> bytes:
    """A cpio archive of the format "newc": names, contents, modes."""
    whole = bytearray()
    for number, (name, data, mode) in enumerate([*files, ("TRAILER!!!", b"", 0)], 1):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        whole += b"070701" + b"".join(b"%08X" % each for each in fields) + name.encode() + b"\0"
        whole += bytes(-len(whole) % 4) + data
        whole += bytes(-len(whole) % 4)
    return bytes(whole)


def initial_memory(modules: Path, directory: Path) -> Path:
    """The initramfs: the program and its modules."""
    program = directory / "init"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(["gcc", "-O2", "-Wall", "-static", "-o", program, source], check=True)
    files: list[tuple[str, bytes, int]] = [("dev", b"", 0o040755), ("modules", b"", 0o040755)]
    order = []
    for path in modules_in_order(modules):
        files.append((f"modules/{path.name}", path.read_bytes(), 0o100644))
        order.append(f"/modules/{path.name}\n")
    files.append(("modules/order", "".join(order).encode(), 0o100644))
    files.append(("init", program.read_bytes(), 0o100755))
    image = directory / "initramfs"
    image.write_bytes(archive(files))
    return image


# --- one set of options


async def listen(output: asyncio.StreamReader, machine: Machine, log: Path) -> None:
    """Hear what comes on the console."""
    with log.open("a", buffering=1) as kept:
        async for line in output:
            text = line.decode(errors="replace")
            kept.write(text)
            machine.hear(text)
    machine.faults += [] if machine.verified is not None else ["the machine has ended"]
    machine.heard.set()


async def until_acknowledged(machine: Machine, number: int) -> float:
    """Wait until a record is; for how many seconds. Raises TimeoutError when nothing more is acknowledged."""
    began = time.monotonic()
    while (machine.acknowledged < number or not machine.ready) and not machine.faults:
        before = machine.acknowledged
        machine.heard.clear()
        async with asyncio.timeout(STUCK_AFTER):
            await machine.heard.wait()
            while machine.acknowledged == before and not machine.faults and machine.ready:
                machine.heard.clear()
                await machine.heard.wait()
    return time.monotonic() - began


async def cut_again_and_again(machine: Machine, relay: Relay, cuts: int, dice: random.Random) -> float:
    """The longest that the next record has taken after a cut, in seconds."""
    longest = 0.0
    await until_acknowledged(machine, WORKS)
    for _ in range(cuts):
        await asyncio.sleep(dice.random() * 0.2)
        relay.cut()
        longest = max(longest, await until_acknowledged(machine, machine.acknowledged + 1))
        await until_acknowledged(machine, machine.acknowledged + WORKS)
        if machine.faults:
            break
    return longest


def lost(folder: Path, machine: Machine) -> list[str]:
    """What was acknowledged and is not on the disk."""

    def record(number: int) -> bytes:
        text = f"record {number}\n".encode() + b"\0"
        whole = bytearray(bytes([97 + number % 26]) * RECORD)
        whole[: len(text)] = text
        whole[-1:] = b"\n"
        return bytes(whole)

    whole = (folder / "records").read_bytes() if machine.acknowledged >= 0 else b""
    missing = [
        f"record {number}"
        for number in range(machine.acknowledged + 1)
        if whole[number * RECORD : (number + 1) * RECORD] != record(number)
    ]
    for number in range(0, machine.files + 1, 8):
        if (folder / f"file {number}").read_bytes() != record(number):
            missing.append(f"file {number}")
    return missing


async def try_options(
    options: str, kernel: Path, image: Path, cuts: int, directory: Path, accelerator: Sequence[str]
) -> bool:
    """Boot, work, cut, compare, print what came of it. Whether all is well."""
    folder = directory / "share"
    folder.mkdir(parents=True)
    machine, dice = Machine(), random.Random(options)
    configuration = Configuration(
        name="LANTEST", multichannel="multichannel" in options, shares={"share": ShareConfiguration(str(folder))}
    )
    async with running_server(directory / "home", configuration) as server:
        relay = Relay(server.port)
        listener = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        mount = f"ip=10.0.2.2,port={port},username=ann,password={PASSWORDS['ann']},hard,echo_interval=5,{options}"
        process = await asyncio.create_subprocess_exec(
            *("qemu-system-x86_64", *accelerator, "-m", "512", "-nographic", "-no-reboot", "-monitor", "none"),
            *("-kernel", kernel, "-initrd", image, "-netdev", "user,id=net", "-device", "e1000,netdev=net"),
            *("-append", f'console=ttyS0 loglevel=4 panic=-1 no_timer_check "options={mount}"'),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        listening = asyncio.create_task(listen(process.stdout, machine, directory / "console"))
        longest = 0.0
        try:
            longest = await cut_again_and_again(machine, relay, cuts, dice)
            process.stdin.write(b"\n")
            await asyncio.wait_for(listening, STUCK_AFTER)
        except TimeoutError:
            machine.faults.append("the work is stuck")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
            listener.close()
            relay.cut()
    missing = lost(folder, machine)
    print(
        f"{options}: {cuts} cuts, {relay.made} connections, {machine.acknowledged + 1} records acknowledged, "
        f"{len(missing)} lost, {machine.failures} failures told to the program, "
        f"{machine.opened_again} times opened again, longest pause {longest:.1f} s"
        + "".join(f"\n    {each}" for each in [*machine.faults, *missing[:5]]),
        flush=True,
    )
    if machine.faults:
        print(*(directory / "console").read_text(errors="replace").splitlines()[-20:], sep="\n", flush=True)
    return not missing and not machine.faults and machine.verified == machine.acknowledged + 1


def main() -> int:
    """Try all sets of options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("options", nargs="*", default=SETS)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--kvm", action="store_true", help="have the processor do it, where /dev/kvm is all there")
    parser.add_argument("--kernel", type=Path, help="the newest below /boot, if it is not said")
    parser.add_argument("--modules", type=Path, help="the folder with its modules (*.ko)")
    given = parser.parse_args()
    kernel = given.kernel or max(Path("/boot").glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime)
    modules = given.modules or Path("/lib/modules") / kernel.name.removeprefix("vmlinuz-")
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        image = initial_memory(modules, directory)
        accelerator = ["-enable-kvm", "-cpu", "host"] if given.kvm else ["-accel", "tcg", "-cpu", "max"]
        well = True
        for number, options in enumerate(given.options):
            place = directory / str(number)
            well &= asyncio.run(try_options(options, kernel, image, given.cuts, place, accelerator))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
