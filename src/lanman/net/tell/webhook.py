"""Telling a web service that somebody should know: one POST of one JSON object for each person, by urllib.

Redirections are not followed: where they lead was configured by nobody, and the Authorization would go there. The
proxies of the environment are used, as for other programs, but not for this machine itself: what is sent unencrypted
to it must not go out on the network.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import IO, Any, Final
from urllib.parse import urlsplit

from lanman.client_settings import Credential, Webhook, is_this_machine
from lanman.net.tell.blocking import in_thread, shut_down
from lanman.net.tell.mail import trusted
from lanman.net.tell.people import Message, NotTold, Person, Told, no_answer, one_line
from lanman.shown import escape

# Of an answer no more is read than what may be quoted.
MAX_ANSWER: Final = 4096


class WebhookWay:
    """[webhook] of lanman.toml. Raises LanmanError for certificates that cannot be read."""

    name = "webhook"

    def __init__(self, settings: Webhook, credential: Credential | None = None) -> None:
        self._settings = settings
        self._headers = {"User-Agent": "lanman", **settings.headers}
        self._secret = {} if credential is None else {"Authorization": credential.authorization}
        self._context = trusted(settings.ca_file) if settings.url.casefold().startswith("https:") else None

    async def tell(self, person: Person, message: Message) -> None:
        """Send one object. Raises NotTold."""
        request = urllib.request.Request(
            self._settings.url, json.dumps(_object(person, message)).encode(), method="POST"
        )
        for name, text in {**self._headers, "Content-Type": "application/json", **self._secret}.items():
            request.add_unredirected_header(name, text)
        proxies: dict[str, str] | None = {} if is_this_machine(urlsplit(self._settings.url).hostname or "") else None
        post = _Post(self._context, self._settings.deadline, proxies)
        try:
            await in_thread(lambda: post.send(request), self._settings.deadline, post.abort)
        except TimeoutError:
            told = Told.UNKNOWN if post.connected else Told.NO
            raise no_answer(self._settings.deadline, told) from None
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            told = Told.UNKNOWN if post.connected else Told.NO
            if isinstance(reason, TimeoutError):
                raise no_answer(self._settings.deadline, told) from None
            words = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
            raise NotTold(
                f"the web service cannot be spoken to: {one_line(words)}", told=told, for_all=not post.connected
            ) from None


def _object(person: Person, message: Message) -> dict[str, Any]:
    """What is sent; docs/reference/client-configuration.md has it as a table. Peers' words are escaped."""
    text = "\n".join(map(escape, message.text.split("\n")))
    return {
        "schema": 1,
        "title": escape(message.title),
        "text": f"{escape(person.user_name)}: {text}",
        "message": text,
        "server": message.server,
        "user_name": person.user_name,
        "clients": list(person.clients),
    }


def _refused(error: urllib.error.HTTPError) -> NotTold:
    if 300 <= error.code < 400:
        return NotTold(f"the web service redirects ({error.code}), which is not followed", for_all=True)
    refused = error.code in (401, 403, 404, 405, 410)
    return NotTold(f"the web service refused ({error.code} {one_line(str(error.reason))})", for_all=refused)


class _NoRedirections(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """Follow none: the answer is an HTTPError."""
        return None


class _Post:
    """One request on its way, in a thread."""

    def __init__(self, context: Any, seconds: float, proxies: dict[str, str] | None) -> None:
        self._connection: http.client.HTTPConnection | None = None
        self._seconds = seconds
        self.connected = False  # whether the service was reached, so that it may have got something
        post = self

        class Http(urllib.request.HTTPHandler):
            def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
                return self.do_open(post._kept(http.client.HTTPConnection), req)

        class Https(urllib.request.HTTPSHandler):
            def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
                return self.do_open(post._kept(http.client.HTTPSConnection), req, context=context)

        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(proxies),
            _NoRedirections(),
            Http(),
            Https(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPDefaultErrorHandler(),
        ):
            self._opener.add_handler(handler)

    def _kept(self, kind: Any) -> Any:
        def make(*arguments: Any, **options: Any) -> http.client.HTTPConnection:
            connection: http.client.HTTPConnection = kind(*arguments, **options)
            connect = connection.connect

            def connected() -> None:
                connect()
                self.connected = True

            connection.connect = connected  # type: ignore[method-assign]
            self._connection = connection
            return connection

        return make

    def send(self, request: urllib.request.Request) -> None:
        """Send it, and read the answer. Raises HTTPError, OSError, HTTPException."""
        with self._opener.open(request, timeout=self._seconds) as answer:
            answer.read(MAX_ANSWER)

    def abort(self) -> None:
        """End whatever it waits for."""
        shut_down(None if self._connection is None else self._connection.sock)
