"""Logging in and out: who gets in, what they get, and when it ends."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from typing import TYPE_CHECKING

import pytest

from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost, LanmanError, TimedOut
from lanman.faces.web.attempts import WINDOW
from lanman.faces.web.logins import ONCE_LASTS
from lanman.faces.web.people import IDLE
from lanman.faces.web.protection import SOCKET, Rules
from lanman.net.credentials import Credentials
from support.passwords import PASSWORD
from support.web_guarded import guarded

if TYPE_CHECKING:
    from lanman.manage.kept import Opening

PROXY = Rules(proxy="10.0.0.7", user_header="x-remote-user")


async def test_a_person_logs_in_as_themselves_and_out_again() -> None:
    async with guarded() as web, web.browser() as browser:
        assert (await browser.get("/api/v1/nothing")).status_code == 401
        answer = await web.log_in(browser, r"EXAMPLE\ann")
        assert (answer.status_code, answer.content) == (204, b"")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("lanman-8445=")
        assert {part.strip().lower() for part in cookie.split(";")[1:]} == {"httponly", "samesite=strict", "path=/"}
        who = (await browser.get("/api/v1/login")).json()["person"]
        assert who == {"name": r"EXAMPLE\ann", "kind": "login", "servers": ["fs1"]}
        (tried,) = web.judges["fs1"].tried
        assert (tried.user_name, tried.domain) == ("ann", "EXAMPLE")
        assert web.judges["fs2"].tried == []
        assert (await browser.post("/api/v1/logout")).status_code == 204
        assert (await browser.get("/api/v1/login")).json()["person"] is None


async def test_a_session_is_not_used_again_after_the_log_out() -> None:
    async with guarded() as web, web.browser() as browser, web.browser() as thief:
        await web.log_in(browser, "ann")
        stolen = dict(browser.cookies)
        await browser.post("/api/v1/logout")
        assert not dict(browser.cookies)
        thief.cookies.update(stolen)
        assert (await thief.get("/api/v1/nothing")).status_code == 401


async def test_a_session_cannot_be_fixed_before_the_log_in() -> None:
    async with guarded() as web, web.browser() as browser, web.browser() as attacker:
        for fixed in ("chosen-by-an-attacker", None):
            if fixed is None:  # one that is good: the attacker's own
                await web.log_in(attacker, "eve")
                fixed = attacker.cookies["lanman-8445"]
            browser.cookies.set("lanman-8445", fixed, domain="127.0.0.1")
            await web.log_in(browser, "ann", server="fs2")
            assert browser.cookies["lanman-8445"] != fixed
            attacker.cookies.set("lanman-8445", fixed, domain="127.0.0.1")
            assert (await attacker.get("/api/v1/nothing")).status_code == 401


async def test_logging_in_at_another_server_adds_it_under_a_new_id() -> None:
    async with guarded() as web, web.browser() as browser:
        await web.log_in(browser, "ann")
        before = browser.cookies["lanman-8445"]
        await web.log_in(browser, "adm-ann", server="fs2")
        assert browser.cookies["lanman-8445"] != before
        who = (await browser.get("/api/v1/login")).json()["person"]
        assert who == {"name": "ann", "kind": "login", "servers": ["fs1", "fs2"]}
        assert len(web.console.people) == 1


async def test_the_password_is_gone_at_the_log_out() -> None:
    user = "whom no other test logs on"  # what others have left behind is in this process too
    async with guarded() as web, web.browser() as browser:
        await web.log_in(browser, user, "a password of hers")  # a wrong one goes at once
        await web.log_in(browser, user)
        web.judges["fs1"].tried.clear()
        held = [each for each in gc.get_objects() if isinstance(each, Credentials) and each.user_name == user]
        assert [each.password for each in held if each.password] == [PASSWORD]
        await browser.post("/api/v1/logout")
        assert [each.password for each in held if each.password] == []


async def test_guessing_ends_after_two_and_says_until_when() -> None:
    async with guarded() as web, web.browser() as browser, web.browser(peer="127.0.0.2") as other:
        for user in ("ann", r"EXAMPLE\ANN"):
            answer = await web.log_in(browser, user, "guess")
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, 1326)
        web.now += 60
        answer = await web.log_in(other, "ann@example.com")
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == str(int(WINDOW - 60))
        assert answer.json()["error"]["hint"] == "try again in 29 minutes"
        assert len(web.judges["fs1"].tried) == 2
        web.now += WINDOW - 60
        assert (await web.log_in(other, "ann")).status_code == 204


async def test_guesses_at_once_are_no_more_than_two() -> None:
    async with guarded() as web, web.browser() as browser:
        answers = await asyncio.gather(*(web.log_in(browser, "ann", f"guess {number}") for number in range(8)))
        assert sorted(each.status_code for each in answers) == [401] * 2 + [429] * 6
        assert len(web.judges["fs1"].tried) == 2


@pytest.mark.parametrize(
    ("error", "status"),
    [(ConnectionLost("fs1 cannot be reached"), 502), (TimedOut("fs1 does not answer"), 504), (AccessDenied("no"), 403)],
)
async def test_a_server_that_did_not_judge_the_password(error: LanmanError, status: int) -> None:
    async with guarded() as web, web.browser() as browser:
        web.judges["fs1"].error = error
        for _ in range(4):
            answer = await web.log_in(browser, "ann")
            assert (answer.status_code, answer.json()["error"]["message"]) == (status, error.message)
        web.judges["fs1"].error = None
        assert (await web.log_in(browser, "ann")).status_code == 204


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"server": "elsewhere.example.com", "user": "ann", "password": "x"}, 404),
        ({"server": "fs1", "user": " ", "password": "x"}, 400),
        ({"server": "fs1", "user": "EXAMPLE\\", "password": "x"}, 400),
        ({"server": "fs1", "user": "a\nb", "password": "x"}, 400),
        ({"server": "fs1", "user": "a" * 257, "password": "x"}, 400),
        ({"server": "fs1", "user": "ann", "password": "x" * 1025}, 400),
        ({"server": "fs1", "user": "ann", "password": None}, 400),
        ({"server": "fs1", "user": "ann", "password": "\ud800"}, 400),
        ({"server": "fs1", "user": "a\ud800", "password": "x"}, 400),
        ({"server": "fs1", "user": "ann"}, 400),
        ({"once": 1}, 400),
        ([], 400),
    ],
)
async def test_what_is_no_log_in(sent: object, status: int) -> None:
    async with guarded() as web, web.browser() as browser:
        content = json.dumps(sent).encode()
        answer = await browser.post("/api/v1/login", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["schema"]) == (status, 1)
        assert all(judge.tried == [] for judge in web.judges.values())


async def test_a_password_is_sent_to_no_server_where_two_are_named() -> None:
    async with guarded() as web, web.browser() as browser:
        content = b'{"server":"fs1","server":"fs2","user":"ann","password":"x"}'
        answer = await browser.post("/api/v1/login", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "a name is given twice")
        assert all(judge.tried == [] for judge in web.judges.values())


async def test_a_log_on_that_was_refused_since_is_tried_once_whatever_it_is_for() -> None:
    async with guarded() as web, web.browser() as browser:
        await web.log_in(browser, "ann")
        (person,) = [each.person for each in web.console.people._sessions.values()]
        access = person.accesses["fs1"]
        assert access.credentials is not None
        access.credentials.password = "what it was before somebody changed it"
        tried = web.judges["fs1"].tried
        tried.clear()
        again, wipe = web.console.opening_for(access)

        async def opened(opening: Opening) -> None:
            async with opening():
                pass

        ways = [access.opening, access.opening, again, access.opening, again]
        outcomes = await asyncio.gather(*map(opened, ways), return_exceptions=True)
        assert [type(each) for each in outcomes] == [AuthenticationError] * 5
        await browser.get("/api/v1/servers/fs1/statistics")
        await browser.get("/api/v1/servers/fs1/doctor")
        assert len(tried) == 1
        wipe()
        assert (await web.log_in(browser, "ann")).status_code == 204
        assert (await browser.get("/api/v1/servers/fs1/statistics")).status_code != 401


async def test_credentials_of_the_command_that_were_refused_are_tried_once_whoever_uses_them() -> None:
    async with guarded(own=Credentials("ann", "what it was before somebody changed it")) as web:
        people = [web.console.person_of_link(), web.console.person_of_proxy("bob")]
        ways = [person.accesses["fs1"] for person in people for _ in range(3)]

        async def opened(opening: Opening) -> None:
            async with opening():
                pass

        outcomes = await asyncio.gather(*(opened(each.opening) for each in ways), return_exceptions=True)
        assert [type(each) for each in outcomes] == [AuthenticationError] * 6
        assert len(web.judges["fs1"].tried) == 1
        with pytest.raises(AuthenticationError):
            ways[0].refusal.check()
        people[0].accesses["fs2"].refusal.check()  # another server has an account of its own


async def test_somebody_who_has_logged_in_is_not_kept_out_by_guesses_from_elsewhere() -> None:
    async with guarded() as web, web.browser(peer="10.0.0.1") as browser, web.browser(peer="10.0.9.1") as stranger:
        await web.log_in(browser, "admin")
        answers = [(await web.log_in(stranger, "admin", "guessed")).status_code for _ in range(5)]
        assert answers == [401, 429, 429, 429, 429]
        await browser.post("/api/v1/logout")
        assert (await web.log_in(browser, "admin")).status_code == 204


async def test_a_percent_sign_begins_no_password() -> None:
    async with guarded() as web, web.browser() as browser:
        await web.log_in(browser, "an%n")
        (tried,) = web.judges["fs1"].tried
        assert (tried.user_name, tried.password) == ("an%n", PASSWORD)


# --- the one-time link


async def test_the_link_works_once() -> None:
    async with guarded() as web, web.browser() as browser, web.browser() as second:
        assert (await browser.post("/api/v1/login", json={"once": "guess"})).status_code == 401
        assert (await browser.post("/api/v1/login", json={"once": web.once.word})).status_code == 204
        who = (await browser.get("/api/v1/login")).json()["person"]
        assert (who["kind"], who["servers"]) == ("link", ["fs1", "fs2"])
        assert (await second.post("/api/v1/login", json={"once": web.once.word})).status_code == 401


async def test_the_link_is_for_ten_minutes() -> None:
    async with guarded() as web, web.browser() as browser:
        web.now += ONCE_LASTS
        assert (await browser.post("/api/v1/login", json={"once": web.once.word})).status_code == 401


@pytest.mark.parametrize(
    ("peer", "fields", "status"),
    [
        ("127.0.0.1", {}, 204),
        ("::1", {}, 204),
        (None, {}, 204),
        ("10.0.0.9", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 403),
        ("127.0.0.1", {"Via": "1.1 proxy"}, 403),
    ],
)
async def test_the_link_is_for_this_machine(peer: str | None, fields: dict[str, str], status: int) -> None:
    async with guarded() as web, web.browser(peer=peer) as browser:
        answer = await browser.post("/api/v1/login", json={"once": web.once.word}, headers=fields)
        assert answer.status_code == status


# --- how long


async def test_a_stream_and_what_the_page_asks_by_itself_keep_nobody_logged_in() -> None:
    async with guarded() as web, web.browser() as browser:
        await web.log_in(browser, "ann")
        web.now += IDLE - 1
        assert (await browser.get("/api/v1/login", headers={"Lanman-Unattended": "1"})).json()["person"] is not None
        await browser.get("/api/v1/events", params={"servers": "nothing"})
        web.now += 1
        assert (await browser.get("/api/v1/login")).json()["person"] is None


async def test_a_person_who_asks_stays() -> None:
    async with guarded() as web, web.browser() as browser:
        await web.log_in(browser, "ann")
        for _ in range(3):
            web.now += IDLE - 1
            assert (await browser.get("/api/v1/login")).json()["person"] is not None


async def test_under_tls_the_cookie_is_for_tls_alone() -> None:
    async with guarded() as web, web.browser("https://127.0.0.1:8445") as browser:
        cookie = (await web.log_in(browser, "ann")).headers["set-cookie"]
        assert cookie.startswith("__Host-lanman=")
        assert {part.strip().lower() for part in cookie.split(";")[1:]} == {
            "httponly",
            "samesite=strict",
            "path=/",
            "secure",
        }


# --- proxies


async def test_whom_the_proxy_names_looks_and_gives_no_orders() -> None:
    async with guarded(PROXY) as web, web.browser(peer="10.0.0.7") as browser:
        fields = {"X-Remote-User": "ann", "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1, 192.0.2.9"}
        who = (await browser.get("/api/v1/login", headers=fields)).json()["person"]
        assert who == {"name": "ann", "kind": "proxy", "servers": ["fs1", "fs2"]}
        person = web.console.people.of_proxy("ann", web.now, web.console.person_of_proxy, touch=True)
        assert [each.may_order for each in person.accesses.values()] == [False, False]
        assert (await browser.get("/api/v1/login")).json()["person"] is None
        answer = await browser.post(
            "/api/v1/login", json={"server": "fs1", "user": "ann", "password": PASSWORD}, headers=fields
        )
        assert answer.headers["set-cookie"].startswith("__Host-lanman=")


@pytest.mark.parametrize("peer", ["10.0.0.8", "127.0.0.1", "::ffff:10.0.0.70", None])
async def test_a_forged_header_of_a_proxy_is_refused_and_logged(
    peer: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with guarded(PROXY) as web, web.browser(peer=peer) as browser:
        answer = await browser.get("/api/v1/login", headers={"X-Remote-User": "ann"})
        assert answer.status_code == 403
        assert "x-remote-user counts from the trusted proxy alone" in caplog.text
        answer = await browser.get(
            "/api/v1/login", headers={"X-Forwarded-For": "10.0.0.7", "X-Forwarded-Proto": "https"}
        )
        assert answer.json()["person"] is None
        assert not (await web.log_in(browser, "ann")).headers["set-cookie"].startswith("__Host-")


async def test_the_proxy_by_an_address_of_the_other_family_is_the_same() -> None:
    async with guarded(PROXY) as web, web.browser(peer="::ffff:10.0.0.7") as browser:
        answer = await browser.get("/api/v1/login", headers={"X-Remote-User": "ann"})
        assert answer.json()["person"]["name"] == "ann"


async def test_a_proxy_that_comes_by_the_socket() -> None:
    async with guarded(Rules(proxy=SOCKET, user_header="x-remote-user")) as web, web.browser(peer=None) as browser:
        answer = await browser.get("/api/v1/login", headers={"X-Remote-User": "ann"})
        assert answer.json()["person"]["kind"] == "proxy"
        assert (await browser.post("/api/v1/login", json={"once": web.once.word})).status_code == 403


async def test_a_log_in_ends_where_the_proxy_names_somebody_else() -> None:
    async with guarded(PROXY) as web, web.browser(peer="10.0.0.7") as browser:
        ann, bob = {"X-Remote-User": "ann"}, {"X-Remote-User": "bob"}
        sent = {"server": "fs1", "user": "adm-ann", "password": PASSWORD}
        assert (await browser.post("/api/v1/login", json=sent, headers=ann)).status_code == 204
        assert (await browser.get("/api/v1/login", headers=ann)).json()["person"]["name"] == "adm-ann"
        assert (await browser.get("/api/v1/login", headers=bob)).json()["person"]["name"] == "bob"
        assert (await browser.get("/api/v1/login", headers=ann)).json()["person"]["name"] == "ann"


async def test_a_header_with_two_users_is_none() -> None:
    async with guarded(PROXY) as web, web.browser(peer="10.0.0.7") as browser:
        answer = await browser.get("/api/v1/login", headers=[("X-Remote-User", "ann"), ("X-Remote-User", "bob")])
        assert answer.status_code == 400


async def test_guesses_behind_a_proxy_count_by_the_address_that_it_saw() -> None:
    async with guarded(PROXY) as web, web.browser(peer="10.0.0.7") as browser:
        for number in range(11):
            browser.headers["X-Forwarded-For"] = f"192.0.2.{number}, 198.51.100.1"
            answer = await web.log_in(browser, f"user{number}", "guess")
        assert answer.status_code == 429
        browser.headers["X-Forwarded-For"] = "198.51.100.1, 198.51.100.2"
        assert (await web.log_in(browser, "user11", "guess")).status_code == 401


async def test_read_only_means_everybody() -> None:
    async with guarded(readonly=True) as web:
        assert not any(each.may_order for each in web.console.person_of_link().accesses.values())


async def test_the_log_tells_who_and_nothing_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "lanman.web")
    async with guarded() as web, web.browser() as browser:
        await web.log_in(browser, "ann", "h1dden-guess")
        assert (await web.log_in(browser, "ev\u202ee")).status_code == 400
        await web.log_in(browser, "bob")
        session = browser.cookies["lanman-8445"]
        await browser.post("/api/v1/logout")
        await browser.post("/api/v1/login", json={"once": web.once.word})
    assert "127.0.0.1: ann did not log on at fs1" in caplog.text
    assert "127.0.0.1: bob is logged on at fs1" in caplog.text
    assert "127.0.0.1: the one-time link was used" in caplog.text
    assert "\u202e" not in caplog.text
    for secret in ("h1dden-guess", PASSWORD, web.once.word, session):
        assert secret not in caplog.text
