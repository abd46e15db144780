# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of docs/monitoring with a real registry, Prometheus and exporters: each panel has something to show."""

from __future__ import annotations

import contextlib
import json
import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from .conftest import RunModule
from .packages import binary
from .registry import (
    HOST,
    LOOPBACK,
    Authority,
    Registry,
    RegistryFactory,
    authority,
    free_port,
    registry_binary,
    start_registry,
)

__all__ = ["authority", "registry_binary", "start_registry"]

DOCS = Path(__file__).parents[2] / "docs" / "monitoring"
DASHBOARD = json.loads((DOCS / "dashboard.json").read_text())
ALERTS: list[dict[str, Any]] = yaml.safe_load((DOCS / "alerts.yml").read_text())["groups"][0]["rules"]

VARIABLES = {"$instance": ".*", "$__rate_interval": "30s"}
"""What Grafana would fill in."""


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus that was given the files of docs/monitoring."""

    url: str

    def value(self, expression: str) -> list[float]:
        """The value of each series."""
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        return [float(series["value"][1]) for series in self._get("query", query=expression)["result"]]

    def alerts(self) -> dict[str, str]:
        """The state of each alert: inactive, pending or firing; unknown before it was looked at."""
        rules = self._get("rules")["groups"][0]["rules"]
        assert "err" not in {rule["health"] for rule in rules}, rules
        return {rule["name"]: rule["state"] for rule in rules}

    def _get(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        data: dict[str, Any] = answer["data"]
        return data


@pytest.fixture(params=[()])
def registry(
    request: pytest.FixtureRequest, authority: Authority, start_registry: RegistryFactory, run_module: RunModule
) -> tuple[Registry, int]:
    """A registry that is in use, and the port of its metrics; the parameter is its certificate's validity."""
    metrics = free_port()
    authority.sign("leaf", f"DNS:{HOST}", *request.param)
    debug = {"addr": f"{LOOPBACK}:{metrics}", "prometheus": {"enabled": True, "path": "/metrics"}}
    registry = start_registry(certificate="leaf", users=True, http={"debug": debug})
    run_module("registry_probe", fails=bool(request.param), **registry.probe)
    return registry, metrics


@pytest.fixture
def prometheus(registry: tuple[Registry, int], authority: Authority, tmp_path: Path) -> Iterator[Prometheus]:
    served, metrics = registry
    ports = {name: free_port() for name in ("prometheus", "node", "blackbox")}
    addresses = {
        "10.0.0.5:5001": metrics,
        "10.0.0.5:9100": ports["node"],
        "registry.example.com:5000": served.port,
        "127.0.0.1:9115": ports["blackbox"],
    }
    scraping = (DOCS / "prometheus.yml").read_text()
    for address, port in addresses.items():
        assert address in scraping
        scraping = scraping.replace(address, f"{LOOPBACK}:{port}")
    configuration = yaml.safe_load(scraping)
    often = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(often | configuration))
    (tmp_path / "alerts.yml").write_text((DOCS / "alerts.yml").read_text())
    probing = yaml.safe_load((DOCS / "blackbox.yml").read_text())
    # The registry of the test is reached by its address, which its certificate does not name.
    probing["modules"]["registry"]["tcp"]["tls_config"] = {
        "ca_file": str(authority.directory / "ca.crt"),
        "server_name": HOST,
    }
    (tmp_path / "blackbox.yml").write_text(yaml.safe_dump(probing))
    commands = {
        "prometheus": [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'series'}"],
        "node": [],
        "blackbox": [f"--config.file={tmp_path / 'blackbox.yml'}"],
    }
    with contextlib.ExitStack() as stack:
        for name, options in commands.items():
            program = binary(name if name == "prometheus" else f"prometheus-{name}-exporter")
            log = stack.enter_context((tmp_path / f"{name}.log").open("ab"))
            listening = f"--web.listen-address={LOOPBACK}:{ports[name]}"
            process = subprocess.Popen([program, listening, *options], stdout=log, stderr=log)
            stack.callback(process.wait, timeout=30)
            stack.callback(process.terminate)
        yield Prometheus(f"http://{LOOPBACK}:{ports['prometheus']}")


def eventually(happens: Callable[[], bool], seconds: float = 60, otherwise: Callable[[], object] = str) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(requests.RequestException):
            if happens():
                return
        assert time.monotonic() < end, otherwise()
        time.sleep(0.5)


def test_each_panel_has_something_to_show(
    registry: tuple[Registry, int], prometheus: Prometheus, run_module: RunModule
) -> None:
    eventually(lambda: prometheus.value('up{job=~"registry.*"}') == [1, 1, 1])
    # A rate is of what changes between two readings.
    run_module("registry_probe", **registry[0].probe)
    queries = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
    }

    def shows_nothing() -> set[str]:
        shown = {title: prometheus.value(query) for title, query in queries.items()}
        return {title for title, values in shown.items() if all(math.isnan(value) for value in values)}

    eventually(lambda: shows_nothing() == set(), 20, shows_nothing)
    (days,) = prometheus.value(next(query for title, query in queries.items() if title.startswith("Days left")))
    assert 9 < days < 10


def test_alerts_look_at_what_there_is(registry: tuple[Registry, int], prometheus: Prometheus) -> None:
    # Without the limit, and of errors all requests, since there are none.
    measured = {
        rule["alert"]: re.sub(r" (==|<|>) [\d. *]+$", "", rule["expr"].strip()).replace('"5.."', '"..."')
        for rule in ALERTS
    }
    assert all(measured[rule["alert"]] != rule["expr"].strip() for rule in ALERTS)

    def are_nothing() -> set[str]:
        return {name for name, query in measured.items() if not prometheus.value(query)}

    eventually(lambda: are_nothing() == set(), 30, are_nothing)


def test_an_alert_comes_before_a_certificate_expires(registry: tuple[Registry, int], prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.alerts().get("RegistryCertificateExpires") == "pending")
    # How full the disk of this machine is, is not the test's business.
    others = {rule["alert"] for rule in ALERTS} - {"RegistryCertificateExpires", "RegistryDiskFull"}
    states = {name: prometheus.alerts()[name] for name in others}
    assert set(states.values()) == {"inactive"}, states


@pytest.mark.parametrize("registry", [("-startdate", "20200101000000Z", "-enddate", "20200201000000Z")], indirect=True)
def test_an_alert_stays_when_it_has_expired(registry: tuple[Registry, int], prometheus: Prometheus) -> None:
    eventually(lambda: prometheus.alerts().get("RegistryUntrusted") == "pending")
