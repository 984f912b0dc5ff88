# Copyright 2026 The hier_seg_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A real browser for the HTML pages: the system's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')


@contextmanager
def started_browser() -> Iterator[Any]:
    """Yield a browser; skip the test where there is none."""
    api = pytest.importorskip('playwright.sync_api', reason='needs playwright; run make setup')
    program = next((path for path in map(shutil.which, NAMES) if path), None)
    if program is None:
        pytest.skip(f'needs a browser: none of {", ".join(NAMES)} is installed')
    with api.sync_playwright() as playwright:
        # Chromium refuses its sandbox to root, who runs containers.
        browser = playwright.chromium.launch(executable_path=program, args=['--no-sandbox'])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Any, path: Path, **context: Any) -> Iterator[Any]:
    """Yield a page without a network; it may log no error and ask for no other file."""
    context = {'viewport': {'width': 1200, 'height': 900}, **context}
    faults: list[str] = []
    with browser.new_context(offline=True, **context) as session:
        page = session.new_page()
        page.set_default_timeout(60_000)

        def log(message: Any) -> None:
            if message.type in ('error', 'warning'):
                faults.append(message.text)

        def ask(request: Any) -> None:
            if request.url != path.as_uri() and not request.url.startswith('data:'):
                faults.append(f'asks for {request.url}')

        page.on('console', log)
        page.on('pageerror', lambda error: faults.append(str(error)))
        page.on('request', ask)
        page.goto(path.as_uri())
        yield page
        assert faults == []


def scroll_through(page: Any) -> None:
    """Show every part of a page once, so that all plots are drawn and all pictures decoded."""
    page.evaluate(
        """async () => {
            for (let top = 0; top < document.documentElement.scrollHeight; top += 600) {
                scrollTo(0, top);
                await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)));
            }
            scrollTo(0, 0);
        }"""
    )


def drawn(page: Any, plot: str) -> Any:
    """Bring a plot onto the screen, wait until it is drawn and return its element."""
    element = page.locator(f'#{plot}')
    element.scroll_into_view_if_needed()
    page.wait_for_selector(f'#{plot} .main-svg')
    page.wait_for_function(f"document.getElementById('{plot}')._fullLayout !== undefined")
    return element


def place_in_plot(page: Any, plot: str, x: Any, y: Any) -> tuple[float, float]:
    """Return the place on the screen of a point of a plot, given in the units of its axes."""
    place = page.evaluate(
        """([id, x, y]) => {
            const element = document.getElementById(id);
            const { xaxis, yaxis } = element._fullLayout;
            const { left, top } = element.getBoundingClientRect();
            return [left + xaxis._offset + xaxis.d2p(x), top + yaxis._offset + yaxis.d2p(y)];
        }""",
        [plot, x, y],
    )
    return place[0], place[1]
