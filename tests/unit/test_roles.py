# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all roles have to hold to: one truth for each variable, and READMEs that follow from it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())

ACCOUNT = {"registry_endpoint_username", "registry_endpoint_password"}
"""Have no default in the specs: a failing validation prints these with their defaults filled in, passwords included."""


def load(role: str, file: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "roles" / role / file).read_text())
    return content


def options(role: str) -> dict[str, Any]:
    specs: dict[str, Any] = load(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    return specs


def computed(role: str) -> set[str]:
    """Variables whose default is an expression that gives no text: a spec takes only a value of the variable's type."""
    return {
        name
        for name, value in load(role, "defaults/main.yml").items()
        if isinstance(value, str) and "{{" in value and options(role)[name]["type"] not in ("str", "path")
    }


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_argument_specs_are_equal(role: str) -> None:
    specified = {name: spec["default"] for name, spec in options(role).items() if "default" in spec}
    without = ACCOUNT | computed(role)
    defaults = {name: value for name, value in load(role, "defaults/main.yml").items() if name not in without}
    assert specified == defaults


@pytest.mark.parametrize("role", ROLES)
def test_only_required_variables_lack_a_default(role: str) -> None:
    for name, spec in options(role).items():
        without = ACCOUNT | computed(role)
        assert ("default" in spec) is not (spec.get("required", False) or name in without), name


@pytest.mark.parametrize("role", ROLES)
def test_names_bear_the_roles_prefix(role: str) -> None:
    assert all(name.startswith(f"{role}_") for name in options(role))
    for file in (ROOT / "roles" / role / "vars").glob("*.yml"):
        assert all(name.startswith(f"__{role}_") for name in load(role, f"vars/{file.name}")), file


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_is_fresh(role: str) -> None:
    spec = importlib.util.spec_from_file_location("role_readmes", ROOT / "tools" / "role_readmes.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    path = ROOT / "roles" / role
    assert (path / "README.md").read_text() == tool.readme(path), "run: make docs"


@pytest.mark.parametrize("role", [role for role in ROLES if role != "registry_endpoint"])
def test_every_role_sees_the_endpoint(role: str) -> None:
    assert {"role": "stronghold.registry.registry_endpoint"} in load(role, "meta/main.yml")["dependencies"]


@pytest.mark.parametrize("role", ROLES)
def test_a_preflight_checks_what_the_role_does(role: str) -> None:
    specs = load(role, "meta/argument_specs.yml")["argument_specs"]
    # site.yml runs the preflights, and what comes after them without a check of its own.
    assert specs.get("preflight", specs["main"])["options"] == specs["main"]["options"]


def tasks_of(content: Any) -> Iterator[dict[str, Any]]:
    """All tasks in a file of tasks or plays, those of blocks as well."""
    for task in content or ():
        yield task
        for part in ("block", "rescue", "always", "pre_tasks", "tasks", "post_tasks"):
            yield from tasks_of(task.get(part))


FILES = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/*.yml")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_becomes_root_on_the_controller(path: Path) -> None:
    # The inventory may say ansible_become for all hosts, which no keyword outdoes, and a variable of the task does.
    for task in tasks_of(yaml.safe_load(path.read_text())):
        if task.get("delegate_to") == "localhost":
            assert task.get("vars", {}).get("ansible_become") is False, task["name"]


def conditions_of(task: dict[str, Any]) -> Iterator[str]:
    for key in ("when", "changed_when", "failed_when", "until"):
        yield from in_list(task.get(key))
    yield from in_list((task.get("ansible.builtin.assert") or {}).get("that"))


def in_list(value: Any) -> list[str]:
    return [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_conditions_are_what_ansible_core_before_2_19_understands(path: Path) -> None:
    # It puts them into a statement, in which a conditional expression has to be in brackets.
    environment = jinja2.Environment(autoescape=True)
    for task in tasks_of(yaml.safe_load(path.read_text())):
        for condition in conditions_of(task):
            environment.parse(f"{{% if {condition} %}}{{% endif %}}")
