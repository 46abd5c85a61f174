"""Answers that are JSON, and what becomes of errors: handlers raise, and this says so to whoever asked."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from lanman import codes
from lanman.errors import AccessDenied, AuthenticationError, ConnectionLost, LanmanError, TimedOut

if TYPE_CHECKING:
    from starlette.requests import Request

SCHEMA: Final = 1

_STATUS_OF_CODE: Final = {
    codes.ERROR_NOT_SUPPORTED: HTTPStatus.NOT_IMPLEMENTED,
    codes.ERROR_INVALID_PARAMETER: HTTPStatus.BAD_REQUEST,
    codes.NERR_InvalidComputer: HTTPStatus.BAD_REQUEST,
    codes.ERROR_DUP_NAME: HTTPStatus.BAD_REQUEST,
    codes.ERROR_BAD_NETPATH: HTTPStatus.BAD_REQUEST,
    codes.ERROR_FILE_NOT_FOUND: HTTPStatus.NOT_FOUND,
    codes.ERROR_NOT_FOUND: HTTPStatus.NOT_FOUND,
    codes.NERR_NetNameNotFound: HTTPStatus.NOT_FOUND,
    codes.NERR_ClientNameNotFound: HTTPStatus.NOT_FOUND,
    codes.NERR_FileIdNotFound: HTTPStatus.NOT_FOUND,
    codes.ERROR_BUSY: HTTPStatus.CONFLICT,
    codes.ERROR_CANCELLED: HTTPStatus.CONFLICT,
    codes.NERR_DuplicateShare: HTTPStatus.CONFLICT,
}


class Refused(Exception):
    """A request is refused: the status of HTTP and what whoever sent it is told. `code` is a Win32 error, if any."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: int | None = None,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.hint = int(status), message, code, hint
        self.headers, self.more = headers, more


class JsonAnswer(Response):
    """An answer of JSON: compact, in UTF-8, no NaN."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Starlette: the content as bytes."""
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
            "utf-8", "backslashreplace"
        )


def answer(status: int = HTTPStatus.OK, **parts: Any) -> JsonAnswer:
    """`parts` as an object with its version: `{"schema": 1, ...}`."""
    return JsonAnswer({"schema": SCHEMA, **parts}, int(status))


def error_answer(refused: Refused) -> JsonAnswer:
    """What whoever is refused gets."""
    error = {"code": refused.code, "message": refused.message, "hint": refused.hint, **refused.more}
    return JsonAnswer({"schema": SCHEMA, "error": error}, refused.status, headers=refused.headers)


def refused_by(error: LanmanError) -> Refused:
    """What an error of a server comes to: 401 and 403 for those that are about rights, 502 and 504 for one that is
    away, 501 for what it cannot do."""
    if isinstance(error, AuthenticationError):
        status = HTTPStatus.UNAUTHORIZED
    elif isinstance(error, AccessDenied):
        status = HTTPStatus.FORBIDDEN
    elif isinstance(error, TimedOut):
        status = HTTPStatus.GATEWAY_TIMEOUT
    elif isinstance(error, ConnectionLost):
        status = HTTPStatus.BAD_GATEWAY
    else:
        status = _STATUS_OF_CODE.get(error.code or 0, HTTPStatus.BAD_GATEWAY)
    return Refused(status, error.message, code=error.code, hint=error.hint)


async def object_of(request: Request) -> dict[str, Any]:
    """The JSON object that was sent, each name once: a second server would be another one than a proxy in front has
    read. Raises Refused 400. How long it is, and its content type, is checked before."""
    try:
        value = json.loads(await request.body(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise Refused(HTTPStatus.BAD_REQUEST, "this is no JSON") from None
    if not isinstance(value, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "this is no JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Refused(HTTPStatus.BAD_REQUEST, "a name is given twice", hint="give it once")
    return found


def text_of(parts: dict[str, Any], name: str) -> str:
    """The text that an object has under a name. Raises Refused 400."""
    value = parts.get(name)
    if not isinstance(value, str):
        raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is missing, or no text")
    return value
