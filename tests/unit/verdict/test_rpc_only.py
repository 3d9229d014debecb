# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain whose hosts nobody can log into: the verdict over RPCs of strangers, of whom one may lie."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils import _bundle, _halt_plan, _halt_verdict

from tests.unit.verdict.asking import Data, held
from tests.unit.verdict.builders import Fleet, Other

RECORDED = Path(__file__).parents[2] / "data" / "recorded"


def strangers(names: t.Sequence[str] = ("a", "b", "c"), **changes: t.Any) -> Data:
    """Validators of 40, 30, 20 and 10, and what the RPCs of so many other nodes show of them."""
    others = changes.pop("others", [Other("v1", 40), Other("v2", 30), Other("v3", 20), Other("v4", 10)])
    fleet = Fleet([], others, references={f"https://{name}.example": {} for name in names}, **changes)
    return _bundle.check(fleet.bundle())


def of_recorded(name: str) -> Data:
    """What the RPCs of a recorded fleet showed, without its hosts."""
    bundle = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    seen = []
    for entry in bundle["observations"]:
        if entry["source"] != "node_evidence" or not entry["ok"] or not entry["data"]["rpc"]["status"]["ok"]:
            continue
        url, at = f"http://{entry['host']}:26657", entry["data"]["clock"]["now"]
        seen.append({**entry, "source": "cometbft_info", "host": url, "at": at, "data": entry["data"]["rpc"]})
    return _bundle.check({**bundle, "chain_id": None, "inventory": {}, "observations": seen})


def answers(bundle: Data, name: str) -> t.Iterator[Data]:
    for entry in bundle["observations"]:
        if name in entry["host"]:
            yield entry["data"]


def test_two_that_show_new_blocks_are_enough_for_healthy() -> None:
    verdict = _halt_verdict.assess(strangers(("a", "b"), moving=True))
    assert (verdict["status"], verdict["power"]["voting"]) == ("healthy", 100)
    assert "2 RPC endpoints" in verdict["summary"]


def test_one_alone_is_not() -> None:
    assert _halt_verdict.assess(strangers(("a",), moving=True))["status"] == "unknown"


def test_nobody_answers() -> None:
    bundle = strangers(("a", "b"))
    bundle["observations"] = [
        {
            **{key: value for key, value in entry.items() if key != "data"},
            "ok": False,
            "error": {"kind": "late", "text": ""},
        }
        for entry in bundle["observations"]
    ]
    assert _halt_verdict.assess(_bundle.check(bundle))["status"] == "unknown"


def test_power_that_all_of_them_lack_is_missing() -> None:
    others = [Other("v1", 40, vote=False), Other("v2", 30), Other("v3", 20), Other("v4", 10)]
    verdict = _halt_verdict.assess(strangers(others=others))
    assert (verdict["status"], verdict["confirmed"]) == ("incident", True)
    assert held(verdict) == {"others_missing": "root"}
    assert verdict["power"]["absent"] == 40


def test_one_alone_may_be_the_one_that_is_cut_off() -> None:
    others = [Other("v1", 40, vote=False), Other("v2", 30), Other("v3", 20), Other("v4", 10)]
    verdict = _halt_verdict.assess(strangers(("a",), others=others))
    assert held(verdict) == {"cannot_tell": "root"}


def test_votes_that_only_one_of_three_shows_are_not_counted() -> None:
    others = [Other("v1", 40, vote=False), Other("v2", 30), Other("v3", 20), Other("v4", 10)]
    bundle = strangers(others=others, halted_s=40)
    for data in answers(bundle, "a.example"):
        rounds = data["consensus"]["data"]["rounds"]
        rounds[0]["prevotes"].append([0, *copy.deepcopy(rounds[0]["prevotes"][0][1:])])
    verdict = _halt_verdict.assess(bundle)
    assert verdict["power"]["voting"] == 60
    assert verdict["status"] == "incident"


def test_a_lying_height_heals_nothing() -> None:
    bundle = strangers()
    for look, data in enumerate(answers(bundle, "c.example"), 1):
        data["status"]["data"]["height"] += 40 * look
    assert _halt_verdict.assess(bundle)["status"] in ("incident", "unknown")


def test_another_hash_at_the_same_height_stops_every_automation() -> None:
    bundle = strangers(moving=True)
    for data in answers(bundle, "b.example"):
        data["status"]["data"]["block_hash"] = "EE" * 32
    verdict = _halt_verdict.assess(bundle)
    assert verdict["status"] == "unknown"
    assert any("Two different blocks" in note for note in verdict["notes"])


def test_another_chain_is_set_aside() -> None:
    bundle = strangers(moving=True)
    for data in answers(bundle, "b.example"):
        data["status"]["data"]["chain_id"] = "another-1"
    verdict = _halt_verdict.assess(dict(bundle, chain_id=None))
    assert (verdict["status"], verdict["chain_id"]) == ("healthy", "virtengine-1")


@pytest.mark.parametrize(
    ("name", "causes"),
    [
        ("healthy", {"not_halted": "root"}),
        ("split", {"network_split": "root"}),
        ("app-hash-split", {"app_hash_divergence": "root"}),
        ("halt-height", {"block_not_executed": "root", "others_missing": "root"}),
        ("panic", {"block_not_executed": "root", "others_missing": "root"}),
    ],
)
def test_what_the_rpcs_of_a_recorded_fleet_say_alone(name: str, causes: Data) -> None:
    verdict = _halt_verdict.assess(of_recorded(name))
    assert held(verdict) == causes
    assert _halt_plan.plan(of_recorded(name), verdict, None)["steps"] == []
