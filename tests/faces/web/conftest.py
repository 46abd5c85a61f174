"""A browser for the tests of the web console: one for all tests of a process, a new context for each of them.

Tests that have a page run in one event loop, that of the session: the browser is in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from support import web_pages
from support.web_pages import Browsing

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page


@pytest.fixture(scope="session", autouse=True)
def _web_patience() -> None:
    """How many sessions a server admits is waited for, however long it takes."""
    from lanman.faces.web.api import seen

    seen.PATIENCE = 60.0  # type: ignore[misc]


FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    if why := web_pages.missing():
        pytest.skip(why)
    from playwright.async_api import expect

    # How long it takes is not what is tested: on a machine that is busy all of it takes long.
    expect.set_options(timeout=web_pages.PATIENCE)
    async with web_pages.chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def browsing(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Browsing]:
    """Contexts and pages at will: `await browsing.page("dark")`."""
    async with AsyncExitStack() as stack:
        browsing = Browsing(browser, stack)
        yield browsing
        wrong = [words for faults in browsing.faults for words in faults.listed()]
        if wrong or request.node.stash.get(FAILED, False):
            await browsing.keep(request.node.name)
        assert wrong == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(browsing: Browsing) -> Page:
    """A page in light colours, 1280 x 800."""
    return await browsing.page()
