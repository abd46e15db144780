# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the documentation as a site that opens without a network: make site.

Guides are the pages of docs/, as they are. Pages of modules, roles and filters are made by antsibull-docs from their
own specs, those of playbooks from the playbooks. Whatever Sphinx complains about fails the build.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "site"
SOURCE, HTML = WORK / "source", WORK / "html"
COLLECTION = "stronghold.registry"

GUIDES = {
    "Begin": ["quickstart", "tutorial", "example"],
    "Use": ["clients", "lifecycle", "operate", "scaling", "controller"],
    "Understand": ["architecture", "data-flow", "security", "speed", "benchmarks"],
    "Look up": ["troubleshooting", "playbooks", "reference/index", "support", "changes", "contributing", "reporting"],
}
"""The pages, by their names, in the order of the sidebar."""

RETURNED = """\
:orphan:

.. _common_return_values:

What every module returns
=========================

``changed`` tells whether something was changed, ``failed`` whether it failed, and ``msg`` why. Ansible's own
documentation has more of them.

.. _ansible_configuration_settings:

Ansible's own settings
======================

They are explained in Ansible's documentation, and by ``ansible-config list``.
"""

_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")
_TITLE = re.compile(rf"^{re.escape(COLLECTION)}\.(?P<short>\w+ (?:module|role|filter) -- )", re.MULTILINE)
"""Each page says once more which collection it is of."""

_ROLE = re.compile(r"^roles/(?P<role>\w+)/README\.md$")


def main() -> None:
    if WORK.exists():
        shutil.rmtree(WORK)
    SOURCE.mkdir(parents=True)
    shutil.copy(ROOT / "tools" / "site_conf.py", SOURCE / "conf.py")
    (SOURCE / "static").mkdir()
    shutil.copy(ROOT / "tools" / "site.css", SOURCE / "static")
    guides()
    reference()
    (SOURCE / "playbooks.md").write_text(playbooks())
    (SOURCE / "index.md").write_text(index())
    run("sphinx-build", "-W", "--keep-going", "-q", "-b", "html", str(SOURCE), str(HTML))
    sys.stdout.write(f"The site is {HTML / 'index.html'}\n")


def run(*command: str) -> None:
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build" / "collections")}
    subprocess.run(command, check=True, env=environment)


def guides() -> None:
    for path in (ROOT / "docs").rglob("*"):
        if path.is_file() and path.suffix != ".md":
            target = SOURCE / path.relative_to(ROOT / "docs")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    pages = {path.stem: path for path in (ROOT / "docs").glob("*.md")}
    pages |= {
        "quickstart": ROOT / "README.md",
        "example": ROOT / "docs" / "example" / "README.md",
        "contributing": ROOT / "CONTRIBUTING.md",
        "changes": ROOT / "CHANGELOG.md",
        "reporting": ROOT / "SECURITY.md",
    }
    for name, path in pages.items():
        (SOURCE / f"{name}.md").write_text(page(path, {source: stem for stem, source in pages.items()}))


def page(path: Path, pages: dict[Path, str]) -> str:
    """A page of the repository, with its links made those of the site."""

    def link(match: re.Match[str]) -> str:
        there = (path.parent / match["target"]).resolve()
        target = destination(there, pages)
        return f"{match['before']}{target}{match['anchor'] or ''}{match['after']}"

    return _LINK.sub(link, path.read_text())


def destination(there: Path, pages: dict[Path, str]) -> str:
    """Where the site has what lies there in the repository; what it has not is in the repository itself."""
    relative = there.relative_to(ROOT)
    if there in pages:
        return f"{pages[there]}.md"
    if role := _ROLE.match(str(relative)):
        return f"reference/{role['role']}_role.rst"
    if relative.parts[0] == "docs" and there.is_file():
        return str(relative.relative_to("docs"))
    repository = yaml.safe_load((ROOT / "galaxy.yml").read_text())["repository"]
    return f"{repository}/blob/main/{relative}"


def reference() -> None:
    directory = SOURCE / "reference"
    directory.mkdir(mode=0o755)
    run(
        *("antsibull-docs", "collection", "--use-current", "--squash-hierarchy", "--fail-on-error"),
        *("--dest-dir", str(directory), COLLECTION),
    )
    for path in directory.glob("*.rst"):
        # The theme has a table of contents of its own.
        text = re.sub(r"^\.\. contents::\n(?: +.*\n)*", "", path.read_text(), flags=re.MULTILINE)
        path.write_text(_TITLE.sub(r"\g<short>", text.replace("Stronghold.Registry\n===", "Reference\n===")))
    # Pages of modules name it for what every module returns.
    (SOURCE / "returned.rst").write_text(RETURNED)


def playbooks() -> str:
    """A page of all playbooks: what the comment at their head says, on whom they act, and what they call."""
    parts = ["# Playbooks\n", "Each is run as `ansible-playbook -i inventory.yml stronghold.registry.NAME`.\n"]
    for path in sorted((ROOT / "playbooks").glob("*.yml")):
        text = path.read_text()
        comment = re.match(r"---\n((?:#.*\n)*)", text)
        plays = yaml.safe_load(text)
        said = " ".join(line.lstrip("# ") for line in comment[1].splitlines()) if comment else ""
        steps = [f"1. {described(play)}" for play in plays]
        parts += [f"## {path.stem}\n", f"{said or plays[0]['name']}\n", *steps, ""]
    return "\n".join(parts)


def described(play: dict[str, str]) -> str:
    imported = play.get("ansible.builtin.import_playbook", "")
    if imported:
        name = Path(imported).stem
        return f"{play['name']}: all of [{name}](#{name})"
    return f"{play['name']} (`{play['hosts']}`)"


def index() -> str:
    head = (ROOT / "README.md").read_text().split("\n## ")[0]
    trees = [
        "\n".join([f"```{{toctree}}\n:caption: {title}\n:maxdepth: 2\n:hidden:\n", *names, "```\n"])
        for title, names in GUIDES.items()
    ]
    return "\n".join([head, *trees])


if __name__ == "__main__":
    main()
