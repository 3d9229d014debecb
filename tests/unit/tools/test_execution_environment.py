# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image that is built by ``meta/execution-environment.yml`` can run the collection, and holds no more for it."""

from __future__ import annotations

import ast
import re
import sys

import yaml

from tools import places

DECLARED = yaml.safe_load((places.REPO / "meta/execution-environment.yml").read_text(encoding="utf-8"))
# What comes with ansible-core.
WITH_ANSIBLE = {"ansible", "ansible_collections", "jinja2", "yaml"}
# What community.postgresql imports for the modules that use it.
FOR_THE_DEPENDENCY = {"psycopg2_binary"}


def declared(kind: str) -> list[str]:
    """The lines of the file that is named for a kind of dependency; none where no file is named."""
    name = DECLARED["dependencies"].get(kind)
    lines = (places.REPO / name).read_text(encoding="utf-8").splitlines() if name else []
    return [line for line in lines if line and not line.startswith("#")]


def test_every_python_package_that_is_imported_is_declared() -> None:
    imported: set[str] = set()
    for path in (places.REPO / "plugins").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    needed = imported - set(sys.stdlib_module_names) - WITH_ANSIBLE
    assert needed | FOR_THE_DEPENDENCY == {
        re.split(r"[^\w-]", line)[0].replace("-", "_") for line in declared("python")
    }


def test_a_client_of_ssh_is_declared_for_both_kinds_of_image() -> None:
    assert DECLARED["version"] == 3
    for platform in ("rpm", "dpkg"):
        lines = [line for line in declared("system") if line.endswith(f"[platform:{platform}]")]
        assert any(line.startswith("openssh-client") for line in lines)
