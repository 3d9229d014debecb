# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles of a real network give the verdict that what was done to it deserves."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, held, ids

FOLDER = Path(__file__).parents[5] / "data" / "bundles"


def verdict_of(name: str) -> Data:
    bundle = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return _halt_verdict.assess(_bundle.check(bundle, CHAIN_HALT))


def states(verdict: Data) -> dict[int, str]:
    """Power -> state: the recorded validators have 40, 30, 20 and 10."""
    return {row["power"]: row["state"] for row in verdict["details"]["validators"]}


def test_one_look_at_a_healthy_network() -> None:
    verdict = verdict_of("network-healthy")
    assert (verdict["status"], verdict["severity"], verdict["details"]["height"]) == ("unknown", None, 12)
    assert states(verdict) == {40: "voting", 30: "voting", 20: "voting", 10: "voting"}


def test_a_stopped_validator_of_40() -> None:
    verdict = verdict_of("network-halted")
    assert (verdict["status"], verdict["confirmed"], verdict["details"]["height"]) == ("incident", True, 208)
    assert held(verdict) == {"processes_down": "root"}
    assert verdict["details"]["power"] == {
        "total": 100,
        "quorum": 67,
        "voting": 60,
        "absent": 40,
        "unknown": 0,
        "to_quorum": 7,
    }
    assert states(verdict) == {40: "stopped", 30: "voting", 20: "voting", 10: "voting"}
    assert ids(verdict, "refuted") >= {"not_halted", "hosts_unreachable", "others_missing", "node_dead_for_reason"}


def test_half_the_power_has_another_app_hash() -> None:
    verdict = verdict_of("network-apphash-split")
    assert (verdict["status"], verdict["confirmed"], verdict["details"]["height"]) == ("incident", True, 21)
    assert held(verdict) == {"app_hash_divergence": "root"}
    assert "counting does not say who is right" in verdict["causes"][0]["because"]
    assert verdict["details"]["power"]["voting"] == 100
    assert any("differ at height 21" in note and "vh1, vh4 have" in note for note in verdict["notes"])
    assert verdict["causes"][0]["justifies"] == []


def test_a_minority_that_diverged() -> None:
    verdict = verdict_of("network-diverged-minority")
    assert (verdict["status"], verdict["severity"], verdict["details"]["height"]) == ("unknown", None, 37)
    row = next(entry for entry in verdict["details"]["validators"] if entry["host"] == "vh3")
    assert row["state"] == "not_voting"
    assert "wrong Block.Header.AppHash" in row["detail"]


def test_an_upgrade_that_the_binary_lacks() -> None:
    verdict = verdict_of("network-upgrade-needed")
    assert verdict["status"] == "incident"
    assert held(verdict) == {
        "upgrade_needed": "root",
        "consensus_failure": "symptom",
        "block_not_executed": "symptom",
    }
    assert "upgrade v9.9.9 is due at height 170" in verdict["causes"][0]["because"]
    assert verdict["causes"][0]["forbids"] == ["start_node", "thaw_node"]
    assert verdict["details"]["power"]["absent"] == verdict["details"]["power"]["voting"] == 0


def test_double_sign_check_keeps_a_validator_down() -> None:
    verdict = verdict_of("network-double-sign-check")
    assert held(verdict) == {"double_sign_check": "root", "processes_down": "symptom"}
    assert verdict["causes"][0]["justifies"] == ["relax_double_sign_check", "start_node", "restore_double_sign_check"]
    assert states(verdict)[40] == "crashed"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: t.cast(str, path.stem))
def test_every_kept_bundle_is_judged_the_same_twice(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text) < 1_000_000
    first, second = (_halt_verdict.assess(_bundle.check(json.loads(text), CHAIN_HALT)) for _time in range(2))
    assert first == second
    assert first["status"] != "healthy" or "healthy" in path.stem
