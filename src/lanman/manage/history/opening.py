"""Which database a store is in: a file in the home, one that is named, or PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from lanman import codes
from lanman.errors import LanmanError
from lanman.manage.history.database import without_password
from lanman.manage.history.store import NOTHING, Store
from lanman.net.home import default_home

FILE: Final = "history.sqlite"
"""The database in the home, where no other is named."""


def open_store(
    url: str | Path | None = None,
    *,
    home: str | Path | None = None,
    make: bool = True,
    wall_clock: Callable[[], float] = time.time,
) -> Store:
    """A store, to be used in `async with`, or opened and closed.

    `url` is `sqlite:///ABSOLUTE/PATH`, `sqlite:RELATIVE`, the path of a file, or `postgresql://...` as libpq has it;
    None for the file `history.sqlite` in the home (`home`, or the default one). Without `make`, a file that there is
    not is refused: nothing was recorded. Opening brings an older schema up to date. Raises LanmanError.
    """
    text = "" if url is None else str(url)
    if text.startswith(("postgresql://", "postgres://")):
        from lanman.manage.history.postgresql import PostgresqlDatabase

        return Store(PostgresqlDatabase(text), wall_clock=wall_clock)
    from lanman.manage.history.sqlite import SqliteDatabase

    path = default_home(None if home is None else str(home)).path / FILE if url is None else _file_of(text)
    if not make and not path.exists():
        raise LanmanError(
            f"{path}: nothing was recorded there",
            code=codes.ERROR_FILE_NOT_FOUND,
            hint=NOTHING,
        )
    return Store(SqliteDatabase(path), wall_clock=wall_clock)


def _file_of(text: str) -> Path:
    scheme, colon, rest = text.partition(":")
    if not text or (colon and len(scheme) > 1 and scheme != "sqlite"):
        raise LanmanError(
            f"{without_password(text) or 'an empty name'}: is no database",
            code=codes.ERROR_INVALID_PARAMETER,
            hint="Name a file, sqlite:///PATH or postgresql://USER@HOST/NAME.",
        )
    if scheme != "sqlite" or not colon:
        return Path(text).expanduser()
    # As SQLAlchemy and others write it: three slashes and a path of Windows, four and one that begins with a slash.
    rest = unquote(rest)
    path = rest[2:] if rest.startswith("//") else rest
    return Path(path[1:] if path[2:3] == ":" else path.replace("//", "/", 1)).expanduser()
