"""A Dask cluster of processes on this machine, on 127.0.0.1 alone, whose workers can be killed one by one.

    with DaskCluster(tmp_path, workers=2) as cluster:
        DaskWorkers(cluster.address, task=scripted_ask)

With `tls` all three present certificates of one authority made for this; `client_environ` names them to a client.
Its workers read the file `credentials` of `cluster.home`, which has one section: [lab], for all hosts.
"""

from __future__ import annotations

import errno
import ipaddress
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lanman.fleet.dask.task import Unable, ask
from lanman.fleet.guard import Proof
from lanman.fleet.values import FleetOutcome, Job, Target
from lanman.fleet.visit import ChunkAnswer
from support import fleet_script

_TESTS = Path(__file__).parents[1]

QUIET: Final = {
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
    "DASK_DISTRIBUTED__WORKER__MEMORY__MONITOR_INTERVAL": "1s",
    "DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL": "1s",
}
"""What Dask need not look at all the time; docs/how-to/a-fleet-on-several-machines.md has the same."""

SECRET = "not-on-the-wire"
SECTION = f'[lab]\nuser = "ann"\npassword = "{SECRET}"\nhosts = ["*"]\n'


def scripted_ask(wanted: str, parcel: bytes, permit: str) -> ChunkAnswer | Unable | None:
    """The task, with servers that do as their ports say."""
    assert SECRET.encode() not in parcel
    return ask(wanted, parcel, permit, fleet_script.scripted)


def other_release(wanted: str, parcel: bytes, permit: str) -> ChunkAnswer | Unable | None:
    """The task, as a client of another release gives it."""
    return ask(f"{wanted}.1", parcel, permit, fleet_script.scripted)


def few_files_ask(wanted: str, parcel: bytes, permit: str) -> ChunkAnswer | Unable | None:
    """The task of a worker that may have ten connections."""
    with patch("lanman.fleet.dask.task.raise_open_files", lambda: 10):
        return ask(wanted, parcel, permit, fleet_script.scripted)


def _wrong(change: Callable[[ChunkAnswer], object]) -> Callable[[str, bytes, str], Any]:
    def task(wanted: str, parcel: bytes, permit: str) -> Any:
        answer = scripted_ask(wanted, parcel, permit)
        return change(answer) if isinstance(answer, ChunkAnswer) else answer

    return task


def _elsewhere(answer: ChunkAnswer) -> ChunkAnswer:
    first = answer.outcomes[0]
    return replace(answer, outcomes=[replace(first, target=Target("10.99.0.1")), *answer.outcomes[1:]])


def _out_of_files(answer: ChunkAnswer) -> ChunkAnswer:
    raise OSError(errno.EMFILE, "Too many open files")


WRONG_ANSWERS: dict[str, Callable[[ChunkAnswer], object]] = {
    "another target": _elsewhere,
    "a target twice": lambda answer: replace(answer, outcomes=[*answer.outcomes, answer.outcomes[0]]),
    "a target in both": lambda answer: replace(answer, left=[Job(answer.outcomes[0].target, "lab", 1.0)]),
    "a target is missing": lambda answer: replace(answer, outcomes=answer.outcomes[1:]),
    "more log-ons": lambda answer: replace(answer, proofs={"lab": [(Proof.WRONG, True)] * 90}),
    "proofs that are none": lambda answer: replace(answer, proofs={"lab": [(cast("Proof", "right"), True)]}),
    "outcomes that are none": lambda answer: replace(answer, outcomes=cast("list[FleetOutcome]", ["ok"])),
    "another shape": lambda answer: {"outcomes": []},
}
"""What a worker may make of an answer that was right."""


def wrong_ask(name: str) -> Callable[[str, bytes, str], Any]:
    """The task of a worker that answers so."""
    return _wrong(WRONG_ANSWERS[name])


@contextmanager
def hanging_ask(folder: Path, times: int) -> Iterator[Callable[[str, bytes, str], Any]]:
    """The task of a worker that asks, and then hangs, `times` times in all, until the end of this.

    Threads of one worker and several workers share the count: each takes a file of `folder` away, which one of them
    can do and no other.
    """
    folder.mkdir()
    for number in range(times):
        (folder / str(number)).touch()

    def task(wanted: str, parcel: bytes, permit: str) -> Any:
        answer = scripted_ask(wanted, parcel, permit)
        if any(_taken(folder / str(number)) for number in range(times)):
            while folder.exists():
                time.sleep(0.02)
        return answer

    try:
        yield task
    finally:
        folder.rename(folder.with_suffix(".ended"))


def _taken(token: Path) -> bool:
    try:
        token.unlink()
    except FileNotFoundError:
        return False
    return True


failing_ask = _wrong(_out_of_files)
"""The task of a worker that has too many open files."""


class DaskCluster:
    """A scheduler and workers. A `nanny` starts a worker again that has died."""

    def __init__(
        self, folder: Path, *, workers: int = 2, threads: int = 2, nanny: bool = False, tls: bool = False
    ) -> None:
        self.home = folder / "home"
        self._tls = folder / "tls" if tls else None
        if self._tls is not None:
            self._tls.mkdir()
            write_certificates(self._tls)
        self._folder, self._threads, self._nanny = folder, threads, nanny
        (self.home / "lanman").mkdir(parents=True)
        self.credentials = self.home / "lanman" / "credentials"
        self.credentials.write_text(SECTION)
        self.credentials.chmod(0o600)
        self.scheduler: subprocess.Popen[bytes]
        self.workers: list[subprocess.Popen[bytes]] = []
        self._count, self._generation = workers, 0
        self.address = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """A scheduler, and the workers."""
        self._generation += 1
        file = self._folder / f"scheduler-{self._generation}.json"
        self.scheduler = self._process(
            "dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
        )
        self.address = _address(file, self.scheduler)
        for _ in range(self._count):
            self.add_worker()

    def add_worker(self) -> subprocess.Popen[bytes]:
        """One more worker."""
        self.workers.append(
            self._process(
                "dask_worker",
                self.address,
                "--nthreads",
                str(self._threads),
                "--nanny" if self._nanny else "--no-nanny",
                "--no-dashboard",
                "--local-directory",
                str(self._folder / "scratch"),
            )
        )
        return self.workers[-1]

    def client_environ(self, name: str = "this") -> dict[str, str]:
        """What tells a client's Dask its certificate, `name`, and the authority."""
        assert self._tls is not None
        files = {
            "CA_FILE": "ca.pem",
            "CLIENT__CERT": f"{name}.pem",
            "CLIENT__KEY": f"{name}.key",
        }
        return {f"DASK_DISTRIBUTED__COMM__TLS__{key}": str(self._tls / file) for key, file in files.items()}

    def stop(self) -> None:
        """End all of it."""
        for process in (*self.workers, self.scheduler):
            # A nanny is asked first: it takes its worker with it.
            (process.terminate if self._nanny else process.kill)()
        for process in (*self.workers, self.scheduler):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.workers.clear()

    def _process(self, module: str, *words: str) -> subprocess.Popen[bytes]:
        if self._tls is not None:
            files = {"--tls-ca-file": "ca.pem", "--tls-cert": "this.pem", "--tls-key": "this.key"}
            words = (*words, *(word for option, name in files.items() for word in (option, str(self._tls / name))))
            words += ("--protocol", "tls")
        environ = os.environ | QUIET | {"PYTHONPATH": str(_TESTS), "XDG_CONFIG_HOME": str(self.home)}
        with (self._folder / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environ,
                cwd=self._folder,
            )


def write_certificates(folder: Path) -> None:
    """ca.pem, with this.pem and this.key that it has signed; other.pem and other.key, that another authority has."""
    authority, stranger = _key_pair("an authority", None), _key_pair("a stranger", None)
    (folder / "ca.pem").write_bytes(authority[1].public_bytes(Encoding.PEM))
    for name, issuer in (("this", authority), ("other", stranger)):
        key, certificate = _key_pair(name, issuer)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{name}.key").write_bytes(secret)


_Pair = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def _key_pair(name: str, issuer: _Pair | None) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[1].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return key, builder.sign(key if issuer is None else issuer[0], hashes.SHA256())


def _address(file: Path, scheduler: subprocess.Popen[bytes]) -> str:
    while scheduler.poll() is None:
        try:
            found: dict[str, Any] = json.loads(file.read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            time.sleep(0.02)
            continue
        return str(found["address"])
    raise RuntimeError("the scheduler has ended")
