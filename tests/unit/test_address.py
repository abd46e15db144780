# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses: what engines take as a host, a port and a registry."""

from __future__ import annotations

import pytest
from ansible_collections.stronghold.registry.plugins.filter.address_problems import FilterModule
from ansible_collections.stronghold.registry.plugins.module_utils._address import (
    address_problems,
    is_network,
    registry_problems,
    split_registry,
)
from hypothesis import given
from hypothesis import strategies as st


def test_the_filter_says_what_the_function_says() -> None:
    said = FilterModule().filters()["address_problems"]("https://registry.lab", 0)
    assert (said, len(said)) == (address_problems("https://registry.lab", 0), 2)


@pytest.mark.parametrize(
    "host",
    ["registry", "registry.lab", "a-b.c1", "127.0.0.1", "10.1.2.3", "fd00::1", "::1", "x" * 63, "3com.lab"],
)
@pytest.mark.parametrize("port", [1, 443, 5000, 65535, "5000"])
def test_good_addresses(host: str, port: object) -> None:
    assert address_problems(host, port) == []


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        (None, "is empty"),
        ("https://registry.lab", "has a scheme: write it without 'https://'"),
        ("registry.lab/team", "has a slash"),
        ("reg istry.lab", "has white space"),
        ("registry.lab\n", "has white space"),
        ("registry.lab:5000", "has a port in it"),
        ("[fd00::1]", "has brackets"),
        ("fd00::g", "not a valid IPv6 address"),
        ("fe80::1%eth0", "not a valid IPv6 address"),
        ("1::2::3", "not a valid IPv6 address"),
        ("10.0.0.256", "not a valid IPv4 address"),
        ("10.0.0", "not a valid IPv4 address"),
        ("Registry.Lab", "write 'registry.lab'"),
        ("under_score.lab", "not a valid name"),
        ("-dash.lab", "not a valid name"),
        ("dash-.lab", "not a valid name"),
        ("two..dots", "not a valid name"),
        ("dot.at.end.", "not a valid name"),
        ("user@registry.lab", "not a valid name"),
        ("ümlaut.lab", "not a valid name"),
        ("x" * 64 + ".lab", "too long"),
        (".".join(["x" * 60] * 5), "too long"),
    ],
)
def test_bad_hosts(host: object, told: str) -> None:
    problems = address_problems(host, 5000)
    assert len(problems) == 1
    assert told in problems[0]


@pytest.mark.parametrize(
    ("port", "told"),
    [
        (0, "The port 0 is outside 1 to 65535."),
        (70000, "The port 70000 is outside 1 to 65535."),
        (-1, "The port -1 is outside 1 to 65535."),
        ("0", "The port 0 is outside 1 to 65535."),
        ("abc", "The port 'abc' is not a whole number."),
        ("", "The port '' is not a whole number."),
        (None, "The port 'None' is not a whole number."),
        (True, "The port 'True' is not a whole number."),
        (5000.5, "The port '5000.5' is not a whole number."),
        ("5000 ", "The port '5000 ' is not a whole number."),
        ("\u0665", "The port '\u0665' is not a whole number."),
    ],
)
def test_bad_ports(port: object, told: str) -> None:
    assert address_problems("registry.lab", port) == [told]


def test_host_and_port_are_both_told() -> None:
    assert len(address_problems("", 0)) == 2


@given(st.text(), st.one_of(st.integers(), st.text(), st.none()))
def test_any_address_is_answered_in_sentences(host: str, port: object) -> None:
    for problem in address_problems(host, port) + registry_problems(host):
        assert problem.startswith("The ")
        assert problem.endswith(".")


@given(
    st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{1,10}){0,3}", fullmatch=True),
    st.integers(1, 65535),
)
def test_good_names_make_good_registries(host: str, port: int) -> None:
    assert address_problems(host, port) == []
    assert registry_problems(f"{host}:{port}") == []
    assert split_registry(f"{host}:{port}") == (host, str(port))


@pytest.mark.parametrize(
    "registry",
    [
        "registry.lab",
        "registry:5000",
        "localhost",
        "10.0.0.1",
        "10.0.0.1:5000",
        "[fd00::1]:5000",
        "[fd00::1]",
    ],
)
def test_good_registries(registry: str) -> None:
    assert registry_problems(registry) == []


@pytest.mark.parametrize("registry", ["registry", "fd00::1", "[fd00::1", "[fd00::1]5000", "[registry.lab]x", "a:b:c"])
def test_bad_registries(registry: str) -> None:
    assert len(registry_problems(registry)) == 1


@pytest.mark.parametrize(
    ("text", "answer"),
    [("10.0.0.0/8", True), ("10.1.2.3/8", True), ("fd00::/8", True), ("10.0.0.1", False), ("a/8", False)],
)
def test_networks(text: str, answer: bool) -> None:
    assert is_network(text) is answer
