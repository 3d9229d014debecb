# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking for a verdict, and for what stands in it."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle

from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, address

Data = dict[str, t.Any]


def assess(fleet: Fleet, looks: int = 2) -> Data:
    return _halt_verdict.assess(bundle.check(fleet.bundle(looks), CHAIN_HALT))


def held(verdict: Data) -> dict[str, str]:
    """Causes that hold, with their role."""
    return {cause["id"]: cause["role"] for cause in verdict["causes"]}


def ids(verdict: Data, kind: str) -> set[str]:
    return {entry["id"] for entry in verdict[kind]}


def row(verdict: Data, name: str) -> Data:
    return next(entry for entry in verdict["details"]["validators"] if entry["address"] == address(name))
