# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of variables in the roles' READMEs out of their argument specs: ``python3 -m tools.role_readmes``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROLES = Path(__file__).resolve().parents[1] / "roles"
PATH_ROLE = "incident"
BEGIN, END = "<!-- variables: begin -->", "<!-- variables: end -->"


def readme(role: str) -> str:
    """The README of a role with the tables as its argument specs have them now."""
    text = (ROLES / role / "README.md").read_text(encoding="utf-8")
    before, _begin, rest = text.partition(BEGIN)
    _old, _end, after = rest.partition(END)
    tables = _table(_options(role))
    if role != PATH_ROLE:
        # What the path's role takes from whoever calls it is no variable of a person.
        shared = {name: option for name, option in _options(PATH_ROLE).items() if not option.get("required")}
        tables += "\n\nVariables that every incident takes:\n\n" + _table(shared)
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def main() -> None:
    """Write all of them."""
    for path in sorted(ROLES.iterdir()):
        (path / "README.md").write_text(readme(path.name), encoding="utf-8")


def _options(role: str) -> dict[str, Any]:
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    options: dict[str, Any] = specs["argument_specs"]["main"]["options"]
    return options


def _table(options: dict[str, Any]) -> str:
    lines = ["| Variable | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, option in options.items():
        default = "required" if option.get("required") else _shown(option.get("default"))
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        lines.append(f"| `{name}` | {kind} | {default} | {_plain(option['description'])}{_parts(option)} |")
    return "\n".join(lines)


def _parts(option: dict[str, Any]) -> str:
    """The entries of a dictionary, behind its meaning."""
    entries = (f"`{name}`: {_plain(part['description'])}" for name, part in option.get("options", {}).items())
    text = " ".join(entries)
    return f" {text}" if text else ""


def _plain(description: str | list[str]) -> str:
    text = " ".join([description] if isinstance(description, str) else description)
    text = re.sub(r"P\(([\w.]+)#role\)", lambda found: f"`{found[1]}`", text)
    return re.sub(r"[A-Z]\(([^)]*)\)", lambda found: f"`{found[1]}`", text).replace("|", "\\|")


def _shown(default: object) -> str:
    if default is None:
        return ""
    return f"`{str(default).lower() if isinstance(default, (bool, list)) else default}`"


if __name__ == "__main__":
    main()
