"""Telling people: what is sent, what is said of those who were not told, and what no name can get into."""

from __future__ import annotations

import asyncio
import email
import json
from email import policy
from pathlib import Path

import pytest

from lanman.client_settings import ClientConfiguration, Command, Credential, Mail, Webhook
from lanman.errors import LanmanError
from lanman.net.tell.people import Message, NotTold, Person, Telling, Told, address_of
from lanman.net.tell.teller import AT_ONCE, MAX_SILENT, Teller
from support.told_services import MailServer, WebService, certificate, server_context

MESSAGE = Message("fs1", "fs1 will be closed", "Please save your work.\nThank you.")
BOB = Person("bob", (r"\\pc7",), ("D:\\a.txt",))
SHORT = 0.2  # a deadline that will pass; what is reachable is given much more


def mail(port: int, **more: object) -> Mail:
    options = {"server": "localhost", "sender": "lanman@b.org", "port": port, "address": "{user}@b.org"} | more
    return Mail(**options)  # type: ignore[arg-type]


async def outcome(configuration: ClientConfiguration, person: Person = BOB, message: Message = MESSAGE) -> Telling:
    (found,) = await Teller.of(configuration).tell([person], message)
    return found


# --- mail


async def test_a_letter_over_starttls_with_a_log_on(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    async with MailServer(server_context(pem)).running() as server:
        settings = mail(server.port, ca_file=str(pem), credentials="x")
        found = await outcome(ClientConfiguration(settings, credentials={"x": Credential("ann", "secret")}))
    assert (found.told, found.reason) == (Told.YES, "")
    assert (
        " ".join(line.split()[0].upper() for line in server.commands) == "EHLO STARTTLS EHLO AUTH MAIL RCPT DATA QUIT"
    )
    letter = email.message_from_string(server.letters[0], policy=policy.default)
    assert [letter[name] for name in ("From", "To", "Subject")] == ["lanman@b.org", "bob@b.org", "fs1 will be closed"]
    assert letter["Auto-Submitted"] == "auto-generated"
    body = letter.get_content()
    assert "Please save your work.\nThank you.\n\nYou have open on fs1:\n\n    D:\\a.txt" in body.replace("\r\n", "\n")


async def test_tls_from_the_start(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    async with MailServer(server_context(pem)).running(tls=True) as server:
        found = await outcome(ClientConfiguration(mail(server.port, tls="tls", ca_file=str(pem))))
    assert (found.told, len(server.letters)) == (Told.YES, 1)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_a_certificate_is_verified_and_its_name_too(tmp_path: Path, tls: str) -> None:
    own, other = certificate(tmp_path), certificate(tmp_path, "mx.example.org")
    for shown, known in ((own, other), (other, other)):
        async with MailServer(server_context(shown)).running(tls=tls == "tls") as server:
            found = await outcome(ClientConfiguration(mail(server.port, tls=tls, ca_file=str(known))))
        assert found.told is Told.NO
        assert found.reason.startswith("the mail server's certificate is refused: ")
        assert server.letters == []


async def test_no_tls_is_offered_so_nothing_is_sent() -> None:
    async with MailServer().running() as server:
        found = await outcome(ClientConfiguration(mail(server.port)))
    assert found.reason.startswith("the mail server cannot do it: STARTTLS")
    assert not any(line.upper().startswith("MAIL") for line in server.commands)


@pytest.mark.parametrize(
    ("command", "answer", "reason"),
    [
        ("greeting", "554 no service\x1b[2J", r"the mail server refused (554 no service\x1b[2J)"),
        ("MAIL", "550 not you", "the mail server refused (550 not you)"),
        ("RCPT", "550 no such user", "the mail server refused (550 no such user)"),
        (".", "552 too much", "the mail server refused (552 too much)"),
        ("DATA", "451 later", "the mail server refused (451 later)"),
    ],
)
async def test_a_mail_server_that_refuses(command: str, answer: str, reason: str) -> None:
    async with MailServer(answers={command: answer}).running() as server:
        found = await outcome(ClientConfiguration(mail(server.port, tls="none")))
    assert (found.told, found.reason) == (Told.NO, reason)


async def test_a_log_on_that_is_refused_is_not_tried_for_everybody(tmp_path: Path) -> None:
    pem = certificate(tmp_path)
    async with MailServer(server_context(pem), answers={"AUTH": "535 bad"}).running() as server:
        settings = mail(server.port, ca_file=str(pem), credentials="x")
        teller = Teller.of(ClientConfiguration(settings, credentials={"x": Credential("ann", "secret")}))
        found = await teller.tell([Person(f"u{number}") for number in range(50)], MESSAGE)
    assert server.connections <= AT_ONCE
    assert {each.told for each in found} == {Told.NO}
    assert found[0].reason == "the mail server refused the log-on (535)"
    assert found[-1].reason == "not tried: the mail server refused the log-on (535)"
    assert not any("secret" in each.reason for each in found)


async def test_one_address_that_is_refused_is_nobody_elses_trouble() -> None:
    async with MailServer().running() as server:
        teller = Teller.of(ClientConfiguration(mail(server.port, tls="none", addresses={"eve": ""})))
        found = await teller.tell([BOB, Person("eve"), Person(""), Person("dave")], MESSAGE)
    assert [each.told.value for each in found] == ["yes", "no", "no", "yes"]
    assert found[1].reason == "no address known"
    assert found[2].reason == "nobody is logged on there"


@pytest.mark.parametrize("answer", [None, "drip"])
async def test_a_mail_server_that_hangs_or_drips(answer: str | None) -> None:
    async with MailServer(answers={"greeting": answer}).running() as server:
        found = await outcome(ClientConfiguration(mail(server.port, tls="none", deadline=SHORT)))
        assert (found.told, found.reason) == (Told.NO, "there was no answer within 0.2 seconds")
        if answer == "drip":
            await server.left.wait()  # its socket was shut down, though something came all the time


async def test_an_answer_that_is_missing_after_the_letter_leaves_it_unknown() -> None:
    async with MailServer(answers={".": None}).running() as server:
        found = await outcome(ClientConfiguration(mail(server.port, tls="none", deadline=SHORT)))
    assert found.told is Told.UNKNOWN


@pytest.mark.parametrize("answer", [None, "", "421 busy"])
async def test_a_letter_that_was_taken_is_taken_however_the_server_takes_leave(answer: str | None) -> None:
    async with MailServer(answers={"QUIT": answer}).running() as server:
        found = await outcome(ClientConfiguration(mail(server.port, tls="none", deadline=SHORT)))
    assert (found.told, found.reason) == (Told.YES, "")


async def test_a_mail_server_that_is_not_there() -> None:
    async with MailServer().running() as server:
        pass
    found = await outcome(ClientConfiguration(mail(server.port, tls="none")))
    assert (found.told, found.reason) == (Told.NO, "the mail server cannot be spoken to: Connection refused")


def test_certificates_that_cannot_be_read() -> None:
    with pytest.raises(LanmanError, match=r"/nowhere.pem: the certificates cannot be read: No such file"):
        Teller.of(ClientConfiguration(mail(1, ca_file="/nowhere.pem")))


@pytest.mark.parametrize(
    ("user", "address"),
    [
        ("bob", "bob@b.org"),
        (r"EXAMPLE\bob", "bob@b.org"),
        ("bob@EXAMPLE.COM", "bob@b.org"),
        ("Eve", "e@b.org"),
        (r"X\eve", "e@b.org"),
        (r"Y\EVE", "other@b.org"),
        ("dave", ""),
        ("bob\r\nBcc: all@b.org", ""),
        ("bob, all", ""),
        ("<bob>", ""),
        ("b b", ""),
        ("bob\u202e", ""),
        ("", ""),
        ("x" * 300, ""),
        ("{user}", ""),
        ("bob%evil.org", ""),
        ("evil.org!bob", ""),
        ("EXAMPLE+bob", ""),
        ("|id", ""),
        ("../../bob", ""),
        ("-oQ.", ""),
        ("PC7$", ""),
        ("b.o'neill-x_1", "b.o'neill-x_1@b.org"),
    ],
)
def test_addresses(user: str, address: str) -> None:
    settings = mail(1, addresses={"eve": "e@b.org", r"Y\eve": "other@b.org", "dave": ""})
    assert address_of(settings, user) == address


async def test_no_header_comes_from_a_peer() -> None:
    message = Message("fs1\r\nBcc: a@b.org", "fs1\r\nBcc: a@b.org will be closed", "x\r\n.\r\nMAIL FROM:<a@b.org>")
    person = Person("bob", files=("a\r\nBcc: c@b.org",))
    async with MailServer().running() as server:
        found = await outcome(ClientConfiguration(mail(server.port, tls="none")), person, message)
    assert found.told is Told.YES
    letter = email.message_from_string(server.letters[0], policy=policy.default)
    assert (letter["Bcc"], letter["To"]) == (None, "bob@b.org")
    assert letter["Subject"] == r"fs1\x0d\x0aBcc: a@b.org will be closed"
    sent = [line.upper() for line in server.commands if line.upper().startswith(("MAIL", "RCPT"))]
    assert sent == ["MAIL FROM:<LANMAN@B.ORG>", "RCPT TO:<BOB@B.ORG>"]


# --- webhook


def webhook(port: int, **more: object) -> ClientConfiguration:
    secrets = {"x": Credential(authorization="Bearer hush")}
    settings = Webhook(f"http://127.0.0.1:{port}/hook?a=b", credentials="x", **more)  # type: ignore[arg-type]
    return ClientConfiguration(webhook=settings, credentials=secrets)


async def test_what_a_web_service_gets() -> None:
    async with WebService().running() as service:
        found = await outcome(webhook(service.port, headers={"X-Priority": "high"}), Person("b\x1bob", (r"\\pc7",)))
    assert found.told is Told.YES
    ((head, body),) = service.requests
    assert head.startswith("POST /hook?a=b HTTP/1.1\r\n")
    lines = {line.casefold() for line in head.splitlines()}
    assert {"authorization: bearer hush", "x-priority: high", "content-type: application/json"} <= lines
    assert json.loads(body) == {
        "schema": 1,
        "title": "fs1 will be closed",
        "text": "b\\x1bob: Please save your work.\nThank you.",
        "message": "Please save your work.\nThank you.",
        "server": "fs1",
        "user_name": "b\x1bob",
        "clients": [r"\\pc7"],
    }


async def test_what_is_meant_for_this_machine_goes_to_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with WebService().running() as proxy, WebService().running() as service:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        found = await outcome(webhook(service.port))
    assert found.told is Told.YES
    assert (len(proxy.requests), len(service.requests)) == (0, 1)


async def test_a_redirection_is_not_followed() -> None:
    async with WebService().running() as elsewhere:
        answer = f"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:{elsewhere.port}/\r\nContent-Length: 0\r\n\r\n"
        async with WebService(answer.encode()).running() as service:
            found = await outcome(webhook(service.port))
    assert (found.told, found.reason) == (Told.NO, "the web service redirects (307), which is not followed")
    assert elsewhere.requests == []


async def test_a_web_service_that_refuses() -> None:
    answer = b"HTTP/1.1 500 Out of\x1b order\r\nContent-Length: 0\r\n\r\n"
    async with WebService(answer).running() as service:
        found = await outcome(webhook(service.port))
    assert (found.told, found.reason) == (Told.NO, r"the web service refused (500 Out of\x1b order)")


async def test_a_web_service_that_speaks_nonsense() -> None:
    async with WebService(b"what?\r\n\r\n").running() as service:
        found = await outcome(webhook(service.port))
    assert found.told is Told.UNKNOWN
    assert found.reason.startswith("the web service cannot be spoken to: ")


async def test_a_webhook_that_hangs() -> None:
    async with WebService(None).running() as service:
        found = await outcome(webhook(service.port, deadline=SHORT))
        assert (found.told, found.reason) == (Told.UNKNOWN, "there was no answer within 0.2 seconds")
        await service.left.wait()


async def test_a_web_service_that_is_not_there() -> None:
    async with WebService().running() as service:
        pass
    found = await outcome(webhook(service.port))
    assert (found.told, found.reason) == (Told.NO, "the web service cannot be spoken to: Connection refused")


async def test_a_web_services_certificate_is_verified(tmp_path: Path) -> None:
    own, other = certificate(tmp_path), certificate(tmp_path, "example.org")
    for known, told in ((own, Told.YES), (other, Told.NO)):
        async with WebService().running(server_context(own)) as service:
            settings = Webhook(f"https://localhost:{service.port}/", ca_file=str(known))
            found = await outcome(ClientConfiguration(webhook=settings))
        assert found.told is told, found
        assert len(service.requests) == (told is Told.YES)


# --- command


def program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "tell"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.posix
async def test_a_program_gets_its_words_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/of/the/caller")
    written = tmp_path / "written"
    words = program(
        tmp_path, f'printf "%s|" "$@" "$LANMAN_USER" "$LANMAN_CLIENTS" "$LANMAN_SERVER" "$HOME" > {written}'
    )
    nasty = "b'o\"b; touch /tmp/x $(id) `id` {message}\n*"
    configuration = ClientConfiguration(command=Command((words, "--to={user}", "{server}: {message}", "{clients}")))
    found = await outcome(configuration, Person(nasty, (r"\\pc7", r"\\pc8")), Message("fs1", "t", "a b"))
    assert found.told is Told.YES
    expected = [f"--to={nasty}", "fs1: a b", r"\\pc7 \\pc8", nasty, r"\\pc7 \\pc8", "fs1", ""]
    assert written.read_text() == "".join(f"{word}|" for word in expected)


@pytest.mark.posix
@pytest.mark.parametrize(
    ("text", "told", "reason"),
    [
        (
            "echo first >&2; printf 'no \\033such user\\n' >&2; exit 3",
            Told.NO,
            r"ended with status 3: no \x1bsuch user",
        ),
        ("exit 1", Told.NO, "ended with status 1"),
        ("sleep 1000", Told.UNKNOWN, "was ended: there was no answer within 0.2 seconds"),
        ("cat /dev/zero", Told.UNKNOWN, "was ended: it writes too much"),
    ],
)
async def test_a_program_that_does_not_do(tmp_path: Path, text: str, told: Told, reason: str) -> None:
    words = program(tmp_path, text)
    deadline = SHORT if "sleep" in text else 60
    found = await outcome(ClientConfiguration(command=Command((words, "{user}"), deadline)))  # type: ignore[arg-type]
    assert (found.told, found.reason) == (told, f"{words} {reason}")


@pytest.mark.posix
@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("-rf", "its name begins with a dash, and a program could take that for an option"),
        ("a\0b", "a name with a NUL cannot be given to a program"),
        ("a\ud800", "a name with half a character cannot be given to a program"),
    ],
)
async def test_names_that_no_program_gets(tmp_path: Path, user: str, reason: str) -> None:
    found = await outcome(ClientConfiguration(command=Command((program(tmp_path, ""), "{user}"))), Person(user))
    assert (found.told, found.reason) == (Told.NO, reason)


@pytest.mark.posix
async def test_a_program_that_is_not_there() -> None:
    found = await outcome(ClientConfiguration(command=Command(("/nowhere/tell",))))
    assert (found.told, found.reason) == (Told.NO, "/nowhere/tell cannot be started: No such file or directory")


# --- several people, several ways


class Scripted:
    """A way that answers from a list, and counts how many it is asked about at once."""

    def __init__(self, name: str, *answers: NotTold | None) -> None:
        self.name = name
        self.answers = list(answers)
        self.now = self.most = self.asked = 0

    async def tell(self, person: Person, message: Message) -> None:
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        if self.answers and (error := self.answers.pop(0)) is not None:
            raise error


async def test_one_way_that_works_is_enough() -> None:
    teller = Teller([Scripted("mail", NotTold("no address known")), Scripted("webhook")])
    (found,) = await teller.tell([BOB], MESSAGE)
    assert (found.told, found.reason) == (Told.YES, "")
    assert [(each.way, each.told.value) for each in found.ways] == [("mail", "no"), ("webhook", "yes")]


async def test_the_reasons_of_all_ways_are_told() -> None:
    teller = Teller([Scripted("mail", NotTold("x")), Scripted("webhook", NotTold("y", told=Told.UNKNOWN))])
    (found,) = await teller.tell([BOB], MESSAGE)
    assert (found.told, found.reason) == (Told.UNKNOWN, "mail: x; webhook: y")
    (found,) = await Teller([]).tell([BOB], MESSAGE)
    assert (found.told, found.reason) == (Told.NO, "there is no way to tell anybody")


async def test_a_bounded_number_is_told_at_once_and_each_is_reported() -> None:
    way = Scripted("mail")
    seen: list[str] = []
    people = [Person(f"u{number}") for number in range(100)]
    found = await Teller([way]).tell(people, MESSAGE, lambda each: seen.append(each.person.user_name))
    assert [each.person for each in found] == people
    assert sorted(seen) == sorted(each.user_name for each in people)
    assert (way.asked, way.most) == (100, AT_ONCE)


async def test_a_way_that_is_silent_is_given_up() -> None:
    way = Scripted("webhook", *[NotTold("silence", silent=True)] * 100)
    found = await Teller([way]).tell([Person(f"u{number}") for number in range(100)], MESSAGE)
    assert MAX_SILENT <= way.asked <= AT_ONCE + MAX_SILENT
    assert found[-1].reason == "not tried: silence"
