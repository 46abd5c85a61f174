"""The files of the page: what lies in `static/`, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

STATIC: Final = Path(__file__).parent / "static"


def routes() -> list[Mount]:
    """The routes of the page: / is static/index.html."""
    return [Mount("/", StaticFiles(directory=STATIC, html=True))]
