# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What imports nothing of Ansible is tested on one ansible-core only, where that takes long."""

from __future__ import annotations

from pathlib import Path

import pytest

# ``verdict`` and ``render`` run on both: they show that the other core's Python decides alike. So does what a module or
# an action plugin is asked by Ansible itself.
ONCE = (
    "causes",
    "plan",
    "recorded",
    "probe/test_fan_out.py",
    "probe/test_http_many.py",
    "probe/test_probe.py",
    "rpc/test_gather.py",
    "rpc/test_hostile.py",
    "rpc/test_json.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs once."""
    once = [Path(__file__).parent / name for name in ONCE]
    for item in items:
        if any(item.path.is_relative_to(path) for path in once):
            item.add_marker(pytest.mark.one_core)
