# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation as a site: built, and looked at in a real browser as a file, judged by axe (WCAG 2.1 AA)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from ..browser import browser, opened

__all__ = ["browser"]

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "first": "index.html",
    "guide": "lifecycle.html",
    "module": "reference/certificate_module.html",
    "role": "reference/registry_server_role.html",
    "playbooks": "playbooks.html",
}


@pytest.fixture(scope="module")
def site() -> Path:
    """Where it was built, without a complaint."""
    built = subprocess.run([sys.executable, "tools/site.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, ""), built.stdout + built.stderr
    return ROOT / "build" / "site" / "html"


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(browser: Browser, site: Path, scheme: str, name: str) -> None:
    page = opened(browser, site / PAGES[name], scheme)
    # What is around it is the theme's, and the buttons are antsibull-docs'.
    found = Axe().run(page, context={"include": [["article"]], "exclude": [[".ansible-links"]]})
    page.screenshot(path=site.parent / f"{name}-{scheme}.png")
    assert found.violations_count == 0, found.generate_report()
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_it_fits_a_telephone(browser: Browser, site: Path, name: str) -> None:
    page = opened(browser, site / PAGES[name], width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_it_needs_no_network(browser: Browser, site: Path, name: str) -> None:
    page = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((site / PAGES[name]).as_uri())
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    page.close()


def test_it_can_be_searched(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q=live-restore")
    page.wait_for_selector("#search-results li a", timeout=30_000)
    assert page.locator("#search-results li a").count() > 0
    page.close()


def test_every_page_is_reached_from_the_first(browser: Browser, site: Path) -> None:
    page = browser.new_page()
    pending, reached = [(site / "index.html").as_uri()], set()
    while pending:
        url = pending.pop()
        if url in reached or not url.endswith(".html"):
            continue
        reached.add(url)
        page.goto(url)
        links = page.evaluate("Array.from(document.links, link => link.href.split('#')[0])")
        pending += [link for link in links if link.startswith("file:")]
    page.close()
    reference = {path.as_uri() for path in (site / "reference").glob("*_module.html")}
    roles = {path.as_uri() for path in (site / "reference").glob("*_role.html")}
    assert len(reference) == len(list((ROOT / "plugins" / "modules").glob("*.py")))
    assert len(roles) == len(list((ROOT / "roles").iterdir()))
    assert reference | roles <= reached
