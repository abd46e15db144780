# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation names is there: variables with their values, playbooks, commands, pages and their parts."""

from __future__ import annotations

import fnmatch
import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md")])
WRITTEN = [page for page in PAGES if page.parent.parent.name != "roles"]
"""Without those that are made from the specs."""

PLAYBOOKS = {path.stem for path in ROOT.glob("playbooks/*.yml")}
MODULES = {path.stem for path in ROOT.glob("plugins/modules/*.py")}
FILTERS = {path.stem for path in ROOT.glob("plugins/filter/*.py")}
ROLES = {path.name for path in ROOT.glob("roles/*")}
GROUPS = {"registry_servers", "registry_clients", "registry_balancers", "registry_caches"}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {
    "lint", "units", "modules", "sanity", "package", "molecule", "cluster",
}  # fmt: skip
MAKE_VARIABLES = {"HOST", "PURGE", "ARGS", "SCENARIO"}

OTHER_PROGRAMS = {
    *("ansible-galaxy", "ansible-vault", "ansible-doc", "ansible-builder", "docker", "podman", "skopeo", "kubectl"),
    *("openssl", "tar", "gpg", "journalctl", "systemctl", "htpasswd", "pip", "python3", "git", "curl", "sha256sum"),
    "install",
}
"""What else is typed; not of this collection, so not looked at any further."""

PLAYBOOK_OPTIONS = {"-i", "-e", "--check", "--diff", "--limit", "--ask-vault-pass", "--ask-become-pass", "--extra-vars"}

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[(?P<label>[^\]]*)\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
_VARIABLE = re.compile(r"`(?P<name>registry_[a-z0-9_*]+)")


@cache
def variables() -> dict[str, dict[str, Any]]:
    """All public variables of all roles, with their specs."""
    found: dict[str, dict[str, Any]] = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry_point in yaml.safe_load(path.read_text())["argument_specs"].values():
            found.update(entry_point["options"])
    return found


def blocks(page: Path, *languages: str) -> list[str]:
    return [block["text"] for block in _BLOCK.finditer(page.read_text()) if block["language"] in languages]


def prose(page: Path) -> str:
    return _BLOCK.sub("", page.read_text())


def argument_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """A role's option as a module's, which a validator takes."""
    kept: dict[str, Any] = {key: spec[key] for key in ("type", "elements", "choices", "required") if key in spec}
    if "options" in spec:
        kept["options"] = {name: argument_spec(option) for name, option in spec["options"].items()}
    return kept


def without_templates(value: Any) -> Any:
    """The same with what has to be filled in taken out; what is left can be checked."""
    if isinstance(value, dict):
        return {key: without_templates(item) for key, item in value.items() if not is_template(item)}
    if isinstance(value, list):
        return [without_templates(item) for item in value if not is_template(item)]
    return value


def is_template(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def value_problems(name: str, value: Any) -> list[str]:
    if name not in variables():
        return [] if name in GROUPS else [f"{name} is no variable"]
    if is_template(value):
        return []
    spec = {name: argument_spec(variables()[name])}
    messages: list[str] = ArgumentSpecValidator(spec).validate({name: without_templates(value)}).error_messages
    return [message for message in messages if "missing required" not in message]


def mapping_problems(content: dict[str, Any]) -> list[str]:
    return [
        problem
        for name, value in content.items()
        if str(name).startswith("registry_")
        for problem in value_problems(name, value)
    ]


def play_problems(play: dict[str, Any]) -> list[str]:
    found = mapping_problems(play.get("vars", {}))
    for key in ("ansible.builtin.import_playbook", "import_playbook"):
        if key in play:
            found += [] if play[key].removeprefix("stronghold.registry.") in PLAYBOOKS else [f"no playbook {play[key]}"]
    for role in play.get("roles", []):
        name = role if isinstance(role, str) else role["role"]
        found += [] if name.removeprefix("stronghold.registry.") in ROLES else [f"no role {name}"]
    for task in [play, *play.get("tasks", [])]:
        found += task_problems(task)
    return found


def task_problems(task: dict[str, Any]) -> list[str]:
    found = []
    for key, arguments in task.items():
        name = key.removeprefix("stronghold.registry.")
        if name == key:
            continue
        if name not in MODULES:
            return [f"no module {key}"]
        module = importlib.import_module(f"ansible_collections.stronghold.registry.plugins.modules.{name}")
        spec = {option: {**each, "no_log": False} for option, each in module.ARGUMENT_SPEC.items()}
        found += ArgumentSpecValidator(spec).validate(without_templates(arguments)).error_messages
    return found


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_yaml_says_what_the_roles_and_modules_take(page: Path) -> None:
    for text in blocks(page, "yaml"):
        for content in yaml.safe_load_all(text):
            parts = content if isinstance(content, list) else [content or {}]
            for part in parts:
                problems = play_problems(part) if isinstance(content, list) else mapping_problems(part)
                assert problems == [], text


def commands(page: Path) -> Iterator[list[str]]:
    for language in ("shell", "console"):
        for text in blocks(page, language):
            for line in text.replace("\\\n", " ").splitlines():
                prompt = re.match(r"[$#] ", line)
                if prompt or (language == "shell" and line and not line.startswith("#")):
                    yield shlex.split(line[2:] if prompt else line, comments=True)


def command_problems(words: list[str]) -> list[str]:
    if words[0] == "make":
        settings = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        targets = {word for word in words[1:] if "=" not in word}
        return [f"no target {name}" for name in targets - TARGETS] + [
            f"make knows no {name}" for name in set(settings) - MAKE_VARIABLES
        ]
    if words[0] == "ansible-playbook":
        return playbook_problems(words[1:])
    return [] if words[0] in OTHER_PROGRAMS else [f"no program {words[0]}"]


def playbook_problems(words: list[str]) -> list[str]:
    found = []
    options = {word.partition("=")[0] for word in words if word.startswith("-")}
    found += [f"ansible-playbook has no {option} here" for option in options - PLAYBOOK_OPTIONS]
    for flag, value in zip(words, words[1:]):
        if flag in ("-e", "--extra-vars") and not value.startswith("@"):
            found += value_problems(*value.split("=", 1))
    named = [word for word in words if word.startswith("stronghold.registry.")]
    return found + [f"no playbook {word}" for word in named if word.rpartition(".")[2] not in PLAYBOOKS]


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_name_what_is_there(page: Path) -> None:
    for words in commands(page):
        assert command_problems(words) == [], words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_names_in_prose_are_known(page: Path) -> None:
    known = {*variables(), *GROUPS, *ROLES, *MODULES, *FILTERS, *(f"registry_{name}" for name in PLAYBOOKS)}
    for variable in _VARIABLE.finditer(prose(page)):
        pattern = variable["name"]
        assert fnmatch.filter(known, f"{pattern}*" if pattern.endswith("_") else pattern), pattern


def anchors(page: Path) -> set[str]:
    """The parts of a page, by what its headings become in links."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.finditer(prose(page)):
        target = link["target"] or link["image"]
        if re.match(r"(?:https|mailto):", target):
            continue
        path, _hash, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(there), target


def sources() -> str:
    """All that can say something, as it would be said: without line breaks, and texts of several parts as one."""
    paths = [path for where in ("roles", "playbooks") for path in ROOT.glob(f"{where}/**/*.yml")]
    said = [" ".join(path.read_text().split()) for path in paths]
    said += [re.sub(r'"\s+f?"', "", path.read_text()) for path in ROOT.glob("plugins/**/*.py")]
    return "\n".join(said)


def test_messages_that_are_explained_are_said() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    rows = page[page.index("## What a run says") : page.index("## When a message")].splitlines()[4:]
    everything = sources()
    messages = [message for row in rows if row for message in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(messages) > 10
    for message in messages:
        # What stands in capitals differs from case to case.
        for part in re.split(r"\b[A-Z]{2,}\b", message):
            assert part.strip(" '") in everything, message
