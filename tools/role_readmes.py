# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write each role's README from its argument_specs and defaults: make docs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parent.parent / "roles"


def plain(text: str) -> str:
    """Turn Ansible's markup, such as O(option=value) or V(value), into Markdown's code."""
    return re.sub(r"\b[OVCMIB]\(([^()]*)\)", r"`\1`", text).strip()


def paragraphs(description: Any) -> list[str]:
    return [plain(text) for text in ([description] if isinstance(description, str) else description)]


def variable(name: str, spec: dict[str, Any], defaults: dict[str, Any]) -> str:
    facts = [spec["type"]]
    if spec.get("required"):
        facts.append("required")
    if "choices" in spec:
        facts.append("one of " + ", ".join(f"`{choice}`" for choice in spec["choices"]))
    # A default that is computed stands in defaults only, and one that would be secret in neither.
    if "default" in spec or ("{{" in str(defaults.get(name)) and spec["type"] != "str"):
        default = spec.get("default", defaults.get(name))
        facts.append(f"default `{default if isinstance(default, str) and default else json.dumps(default)}`")
    lines = [f"### `{name}`", "", "; ".join(facts) + ".", ""]
    lines += ["\n\n".join(paragraphs(spec["description"])), ""]
    lines += [part(key, option) for key, option in spec.get("options", {}).items()]
    return "\n".join(lines) + ("\n" if "options" in spec else "")


def part(key: str, spec: dict[str, Any]) -> str:
    """A key of a variable that is a dictionary, or a list of them."""
    kind = f"{spec['type']}, required" if spec.get("required") else spec["type"]
    return f"- `{key}` ({kind}): {' '.join(paragraphs(spec['description']))}"


def readme(role: Path) -> str:
    spec = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    parts = [
        "<!-- Made from meta/argument_specs.yml by `make docs`. -->\n",
        f"# {role.name}\n",
        f"{spec['short_description']}.\n",
        "\n\n".join(paragraphs(spec["description"])) + "\n",
        "## Variables\n",
        *(variable(name, option, defaults) for name, option in spec["options"].items()),
    ]
    return "\n".join(parts).rstrip() + "\n"


def main() -> None:
    for role in sorted(ROLES.iterdir()):
        (role / "README.md").write_text(readme(role))


if __name__ == "__main__":
    main()
