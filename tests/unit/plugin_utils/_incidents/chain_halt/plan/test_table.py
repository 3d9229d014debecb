# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of guards and remedies are whole, and the code of causes and of remedies does not know the other."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.actions import ACTIONS
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.guards import GUARDS
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.remedies.table import (
    BLOCKERS,
    CHANGES,
    REMEDIES,
)

PACKAGE = "ansible_collections.virtengine.incident."
REPO = Path(__file__).resolve().parents[6]
HALT = "plugins.plugin_utils._incidents.chain_halt."
CAUSES, REMEDY_FILES = f"{HALT}causes.", f"{HALT}remedies."
GUARD_FILES = ("plugins.plugin_utils._chain.guards.", f"{HALT}guards", f"{HALT}builder", f"{HALT}plan")


def test_every_action_has_its_guards() -> None:
    assert set(GUARDS) == set(ACTIONS)
    assert {action for action, guards in GUARDS.items() if not guards} == {
        "relax_double_sign_check",
        "restore_double_sign_check",
    }


def test_every_remedy_is_whole() -> None:
    assert len(CHANGES) == len([remedy for remedy in REMEDIES if remedy.change is not None]) == 4
    for remedy in BLOCKERS:
        assert remedy.starts and remedy.stop_guards[0].__name__ == "halted"
        assert remedy.change is None or remedy.change.guards[-1].__name__ == "unit_stopped"
    for action, (remedy, change) in CHANGES.items():
        assert action == change.action and change.done.format(host="v1") != change.done and remedy.blocker


def file_of(module: str) -> Path:
    return REPO / (module.replace(".", "/") + ".py")


def imports(module: str) -> set[str]:
    """The modules of this collection that a module imports, by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.level or str(node.module).startswith(PACKAGE)):
            above = module.split(".")[: -node.level] if node.level else []
            name = ".".join([*above, *([node.module] if node.module else [])]).removeprefix(PACKAGE)
            found |= {name} if file_of(name).is_file() else {f"{name}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith(PACKAGE) for alias in node.names), "written as from ... import"
    return found


def reached(module: str) -> set[str]:
    """All that a module imports, and what that imports."""
    found: set[str] = set()
    left = imports(module)
    while left:
        found |= left
        left = set().union(*(imports(name) for name in left)) - found
    return found


def modules(prefix: str) -> list[str]:
    folder = REPO / prefix.replace(".", "/")
    return [f"{prefix}{path.stem}" for path in sorted(folder.glob("*.py"))]


def test_the_planner_knows_both() -> None:
    known = reached(f"{HALT}plan")
    assert {f"{CAUSES}signing", f"{REMEDY_FILES}table", f"{HALT}guards"} <= known


@pytest.mark.parametrize("module", modules(CAUSES), ids=lambda name: name.removeprefix(HALT))
def test_a_cause_reaches_no_guard_and_no_remedy(module: str) -> None:
    known = reached(module)
    assert f"{HALT}causes.context" in known or module in (f"{CAUSES}context", f"{CAUSES}hashes")
    assert not [name for name in known if name.startswith((*GUARD_FILES, REMEDY_FILES))]


@pytest.mark.parametrize("module", modules(REMEDY_FILES), ids=lambda name: name.removeprefix(HALT))
def test_a_remedy_reaches_no_cause_and_no_planner(module: str) -> None:
    assert not [name for name in reached(module) if name.startswith((CAUSES, *GUARD_FILES[1:]))]
