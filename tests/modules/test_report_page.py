# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the playbook check, written by the role and looked at in a real browser, judged by axe (WCAG 2.1 AA)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from ..browser import browser, opened

__all__ = ["browser"]

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "report"
DAY = 24 * 3600
GIB = 2**30
EVIL = "<script>document.title = 'evil'</script><img src=x onerror=\"document.title='evil'\">"


def server(name: str, days: int, **changes: Any) -> dict[str, Any]:
    """What was seen of a registry."""
    now = time.time()
    until = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(now + days * DAY))
    repositories = [
        {
            "name": repository,
            "size": size,
            "tags": [
                {
                    "name": tag,
                    "digest": f"sha256:{'0' * 64}",
                    "pushed": int(now - age * DAY),
                    "size": size,
                    "schema1": False,
                }
                for age, tag in enumerate(tags)
            ],
        }
        for repository, size, tags in (
            ("builds/shop", 9 * GIB, [f"build-{number}" for number in range(412, 392, -1)]),
            ("base/debian", GIB, ["12", "13"]),
            (
                "team/a-name-that-is-rather-long-for-a-repository/and-goes-on-for-a-while/web",
                GIB // 3,
                ["latest", "v1.4.2"],
            ),
            ("team/empty", 0, []),
        )
    ]
    history = [
        {
            "event": "backup",
            "time": int(now - age * DAY),
            "archive": "/backups/x.tar",
            "disk": {"total": 100 * GIB, "free": free * GIB},
        }
        for age, free in ((90, 80), (60, 64), (40, 52), (39, 71), (20, 60), (3, 48))
    ]
    info = {
        "container": {
            "name": "registry",
            "runs": True,
            "image": "registry:3.1.1",
            "version": "3.1.1",
            "problems": [],
            "interrupted": False,
        },
        "certificates": {
            "server": {"days_left": days, "not_after": until},
            "ca": {"days_left": 3100, "not_after": "2035-05-01T00:00:00Z"},
        },
        "users": [{"name": "moby", "cost": 10}, {"name": "robot", "cost": 5}],
        "disk": {"total": 100 * GIB, "free": 47 * GIB},
        "stored": 11 * GIB,
        "repositories": repositories,
        "damaged": [],
        "history": history,
    }
    return {
        "host": f"{name}-server",
        "registry": f"{name}.example.com:5000",
        "anonymous_expected": "refused",
        "error": "",
        "info": {**info, **changes},
        "probe": {"anonymous": "refused"},
        "probe_error": "",
    }


def client(number: int, registry: str, *reasons: str) -> dict[str, Any]:
    return {"host": f"builder-{number:02}", "registry": f"{registry}.example.com:5000", "error": "", "reasons": reasons}


def write(
    directory: Path, servers: list[dict[str, Any]], clients: list[dict[str, Any]], *, fails: bool = False
) -> Path:
    """Have the role write a report."""
    given = {
        "registry_endpoint_host": "registry.example.com",
        "registry_maintenance_report_directory": str(directory),
        "__registry_maintenance_servers": servers,
        "__registry_maintenance_clients": clients,
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
    }
    (directory / "given.json").write_text(json.dumps(given))
    role = {"name": "stronghold.registry.registry_maintenance", "tasks_from": "report"}
    play = {
        "name": "Report",
        "hosts": "localhost",
        "gather_facts": False,
        "tasks": [{"name": "R", "import_role": role}],
    }
    (directory / "play.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-e", f"@{directory}/given.json", directory / "play.yml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return directory / "report.html"


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all kinds of things on it."""
    servers = [
        server("shop", 9, damaged=[f"builds/shop:build-400 can't be pulled: {EVIL}."]),
        server("lab", 21, history=[], repositories=[], disk={"total": 100 * GIB, "free": 15 * GIB}),
        {**server("gone", 100), "info": None, "error": "The host cannot be reached."},
    ]
    clients = [client(number, "shop") for number in range(1, 9)]
    clients += [client(9, "lab", "/etc/docker/certs.d/lab.example.com:5000/ca.crt: is not there")]
    return write(tmp_path_factory.mktemp("troubled"), servers, clients, fails=True)


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("fine"), [server("shop", 300)], [client(number, "shop") for number in (1, 2)])


@pytest.mark.parametrize("width", [1200, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(browser: Browser, troubled: Path, fine: Path, scheme: str, width: int) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for path in (fine, troubled):
        page = opened(browser, path, scheme, width)
        for details in page.locator("details").all():
            details.evaluate("element => element.open = true")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for details in page.locator("details").all():
            details.evaluate("element => element.open = false")
        name = f"{scheme}-{'wide' if width > 600 else 'narrow'}"
        page.screenshot(path=PICTURES / f"{path.parent.name.rstrip('0123456789')}-{name}.png", full_page=True)
        page.close()


def test_it_is_one_file_without_scripts(browser: Browser, troubled: Path) -> None:
    requests = []
    page = browser.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.goto(troubled.as_uri())
    assert requests == [troubled.as_uri()]
    assert page.locator("script").count() == 0


def test_it_shows_texts_as_they_are(browser: Browser, troubled: Path) -> None:
    page = opened(browser, troubled)
    assert "evil" not in page.title()
    assert page.get_by_text(EVIL).count() == 1


def test_a_person_takes_it_in_at_a_glance(browser: Browser, troubled: Path, fine: Path) -> None:
    page = opened(browser, troubled)
    assert page.get_by_role("heading", level=1).inner_text() == "4 things need attention now"
    assert page.title() == "Attention now: registries"
    page = opened(browser, fine)
    assert page.get_by_role("heading", level=1).inner_text() == "All is well"
    assert page.get_by_role("img", name="needs attention now").count() == 0


def test_what_expires_first_comes_first(browser: Browser, troubled: Path) -> None:
    page = opened(browser, troubled)
    rows = page.get_by_role("region", name="When certificates expire").get_by_role("row").all_inner_texts()
    assert [row.split("\t")[3].strip() for row in rows[1:]] == ["9", "21", "3100", "3100"]


def test_the_matrix_of_clients(browser: Browser, troubled: Path) -> None:
    page = opened(browser, troubled)
    table = page.get_by_role("region", name="Clients")
    headers = [cell.inner_text() for cell in table.get_by_role("columnheader").all()]
    assert headers == ["Client", "shop.example.com:5000", "lab.example.com:5000", "gone.example.com:5000"]
    row = table.get_by_role("row", name="builder-09")
    assert "ca.crt: is not there" in row.inner_text()
    assert row.get_by_role("img", name="needs attention now").count() == 1


def test_it_is_used_without_a_mouse(browser: Browser, fine: Path) -> None:
    page = opened(browser, fine)
    assert not page.get_by_text("build-412").is_visible()
    for _press in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "SUMMARY":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    assert page.get_by_text("build-412").is_visible()


def test_an_inventory_without_anything(browser: Browser, tmp_path: Path) -> None:
    page = opened(browser, write(tmp_path, [], []))
    assert page.get_by_text("The inventory has no clients.").is_visible()
    assert page.get_by_text("No registry has a certificate that could be read.").is_visible()
