"""The checks of `reach`: whether there is a server at that name and port at all."""

from __future__ import annotations

from collections.abc import Iterator

from lanman import codes
from lanman.errors import TimedOut
from lanman.manage.doctor.check import Cause, Said, check, ok, problem
from lanman.manage.doctor.facts import Facts, Stage
from lanman.manage.doctor.protocol import speaks_smb1
from lanman.manage.doctor.report import Mark


@check(
    "LD011",
    "reach",
    "name",
    stage=Stage.RESOLVED,
    severity=Mark.PROBLEM,
    looks_at="Whether the server's name has an address, as the system's name service answers.",
    means="Nothing was sent to any server: the name service of this machine gave no address to send it to.",
    causes=(
        Cause(
            "unknown-name",
            "the name service knows no host named {server}",
            "check the spelling; give its full name or its address; see /etc/hosts and the DNS",
        ),
        Cause(
            "name-service-silent",
            "the name service did not answer in time",
            "give the server's address in place of its name, and see whether the DNS of this machine can be reached",
        ),
    ),
)
def name(facts: Facts) -> Iterator[Said]:
    """The addresses, or why there are none."""
    if (error := facts.failed_at(Stage.RESOLVED)) is not None:
        silent = isinstance(error, TimedOut) or "does not answer" in error.text
        yield problem(f"{facts.server}: {error.text}", "name-service-silent" if silent else "unknown-name")
    elif facts.addresses and facts.stage >= Stage.RESOLVED:
        if facts.addresses == [facts.server]:
            yield ok(f"{facts.server} is an address", addresses=facts.addresses)
        else:
            yield ok(f"{facts.server} is {', '.join(facts.addresses[:4])}", addresses=facts.addresses)


@check(
    "LD012",
    "reach",
    "port",
    stage=Stage.CONNECTED,
    severity=Mark.PROBLEM,
    looks_at="Whether the port of the server accepts a TCP connection, and how long that takes.",
    means="The host is known, and no connection to its port came to be.",
    causes=(
        Cause(
            "closed",
            "the host answers, and says that nothing listens on port {port}",
            "start the Server service there, or name the port that it listens on with -p",
        ),
        Cause(
            "silent",
            "no answer at all, not even a refusal: it is switched off, or a firewall drops what is sent",
            "on a Windows of the same network see there: Get-NetFirewallRule -Name FILE-SERVER-SMB-IN-TCP; between "
            "networks many providers block port 445, and it is to be reached through a VPN",
        ),
        Cause(
            "unreachable",
            "the network says that there is no way to that host",
            "see whether it is switched on, and whether a VPN or a route is missing",
        ),
    ),
)
def port(facts: Facts) -> Iterator[Said]:
    """Whether it accepts connections."""
    if (error := facts.failed_at(Stage.CONNECTED)) is not None:
        refused = error.code == codes.ERROR_CONNECTION_REFUSED
        cause = "closed" if refused else "silent" if _is_silent(facts) else "unreachable"
        yield problem(error.text, cause, port=facts.port, code=error.code)
    elif facts.stage >= Stage.CONNECTED:
        took = facts.connect_seconds * 1000
        yield ok(
            f"port {facts.port} answers in {took:.0f} ms" if took >= 1 else f"port {facts.port} answers at once",
            port=facts.port,
            address=facts.address,
            milliseconds=round(took, 1),
        )


def _is_silent(facts: Facts) -> bool:
    error = facts.failure
    # The kernel gives up by itself after a while (ETIMEDOUT).
    return isinstance(error, TimedOut) or (error is not None and "timed out" in error.text.casefold())


@check(
    "LD013",
    "reach",
    "server",
    stage=Stage.NEGOTIATED,
    severity=Mark.PROBLEM,
    looks_at="Whether what listens on the port answers an SMB2 NEGOTIATE at all.",
    means="A connection came to be, and what is at the other end is no SMB server, or does not answer as one.",
    causes=(
        Cause(
            "says-nothing",
            "port {port} accepts connections and says nothing",
            "the server hangs or is very busy, or a firewall accepts in its place; look at it there",
        ),
        Cause(
            "not-smb",
            "what came back is no SMB: another service has this port",
            "see what listens there (`ss -ltnp`, `netstat -abn`), and name the right port with -p",
        ),
    ),
)
def server(facts: Facts) -> Iterator[Said]:
    """Whether an SMB server answers."""
    error = facts.failed_at(Stage.NEGOTIATED)
    if error is None or speaks_smb1(error) or error.code in (codes.ERROR_NOT_SUPPORTED, codes.ERROR_ACCESS_DENIED):
        return  # a server is there: what it says is LD020's matter
    if isinstance(error, TimedOut):
        yield problem(f"port {facts.port} accepts connections and says nothing", "says-nothing", port=facts.port)
    else:
        yield problem(error.text, "not-smb", port=facts.port)
