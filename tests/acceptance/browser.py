"""A real browser, headless: Chromium as the system has it, and what a page of it does wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
DESK, PHONE = (1440, 900), (390, 844)


def find_chromium() -> str | None:
    """Return where the browser is; None when none is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def needed_chromium() -> str:
    """Return where the browser is. Skip the test without one; where CI is set, fail."""
    found = find_chromium()
    if found is not None:
        return found
    reason = "no Chromium is installed (Debian: apt-get install chromium)"
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium(executable: str) -> Iterator[Browser]:
    """Run a browser. The sandbox stays off, as root cannot have it; all pages are our own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Look:
    """A page, and what went wrong on it: errors on the console, requests that failed or went elsewhere."""

    page: Page
    origin: str
    wrong: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take note of all that goes wrong from now on."""
        self.page.on(
            "console", lambda message: self._note(message.type in {"error", "warning"}, message.text)
        )
        self.page.on("pageerror", lambda error: self._note(True, str(error)))
        self.page.on("requestfailed", lambda request: self._note(True, f"failed: {request.url}"))
        self.page.on("request", lambda request: self._note(not self._ours(request.url), request.url))

    def text(self, selector: str) -> str:
        """Return an element's text."""
        return self.page.inner_text(selector)

    def wait_for(self, condition: str, timeout_s: float = 20.0) -> None:
        """Wait until a condition, in JavaScript, is true."""
        self.page.wait_for_function(f"() => {condition}", timeout=1000 * timeout_s)

    def overflow(self) -> int:
        """Return by how many pixels the page is wider than its window."""
        width: int = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return width

    def _ours(self, url: str) -> bool:
        return url.startswith((f"http://{self.origin}/", f"ws://{self.origin}/"))

    def _note(self, wrong: Any, what: str) -> None:
        if wrong:
            self.wrong.append(what)


@contextmanager
def looking(
    browser: Browser, origin: str, *, size: tuple[int, int] = DESK, scheme: Any = "dark", **context: Any
) -> Iterator[Look]:
    """Open the Arena of a server in a window of its own."""
    window = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, **context
    )
    try:
        look = Look(window.new_page(), origin)
        look.page.goto(f"http://{origin}/")
        yield look
    finally:
        window.close()
