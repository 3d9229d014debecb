# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain whose hosts nobody can log into: the verdict over nodes outside the inventory, of which one may lie."""

from __future__ import annotations

import copy
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import plan
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, held
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Other

RECORDED = Path(__file__).parents[5] / "data" / "recorded"


def endpoints(names: t.Sequence[str] = ("a", "b", "c"), **changes: t.Any) -> Data:
    """Validators of 40, 30, 20 and 10, and what the RPCs of so many other nodes show of them."""
    others = changes.pop("others", [Other("v1", 40), Other("v2", 30), Other("v3", 20), Other("v4", 10)])
    fleet = Fleet([], others, references={f"https://{name}.example": {} for name in names}, **changes)
    return _bundle.check(fleet.bundle(), CHAIN_HALT)


def of_recorded(name: str) -> Data:
    """What the RPCs of a recorded fleet showed, without its hosts."""
    bundle = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    seen = []
    for entry in bundle["observations"]:
        if entry["source"] != "node_evidence" or not entry["ok"] or not entry["data"]["rpc"]["status"]["ok"]:
            continue
        url, at = f"http://{entry['host']}:26657", entry["data"]["clock"]["now"]
        seen.append({**entry, "source": "cometbft_info", "host": url, "at": at, "data": entry["data"]["rpc"]})
    return _bundle.check({**bundle, "inventory": {}, "observations": seen}, CHAIN_HALT)


def answers(bundle: Data, name: str) -> t.Iterator[Data]:
    for entry in bundle["observations"]:
        if name in entry["host"]:
            yield entry["data"]


def test_two_that_show_new_blocks_are_enough_for_healthy() -> None:
    verdict = _halt_verdict.assess(endpoints(("a", "b"), moving=True))
    assert (verdict["status"], verdict["details"]["power"]["voting"]) == ("healthy", 100)
    assert "2 RPC endpoints" in verdict["summary"]


def test_one_alone_is_not() -> None:
    assert _halt_verdict.assess(endpoints(("a",), moving=True))["status"] == "unknown"


def test_nobody_answers() -> None:
    bundle = endpoints(("a", "b"))
    bundle["observations"] = [
        {
            **{key: value for key, value in entry.items() if key != "data"},
            "ok": False,
            "error": {"kind": "late", "text": ""},
        }
        for entry in bundle["observations"]
    ]
    verdict = _halt_verdict.assess(_bundle.check(bundle, CHAIN_HALT))
    assert verdict["status"] == "unknown"
    assert "None of the RPC endpoints answers" in verdict["summary"]
    assert "Of ours" not in verdict["summary"]
    assert "Name other RPC endpoints" in verdict["next"][0]


def test_power_that_all_of_them_lack_is_missing() -> None:
    others = [Other("v1", 40, vote=False), Other("v2", 30), Other("v3", 20), Other("v4", 10)]
    verdict = _halt_verdict.assess(endpoints(others=others))
    assert (verdict["status"], verdict["confirmed"]) == ("incident", True)
    assert held(verdict) == {"others_missing": "root"}
    assert verdict["details"]["power"]["absent"] == 40


def test_one_alone_may_be_the_one_that_is_cut_off() -> None:
    others = [Other("v1", 40, vote=False), Other("v2", 30), Other("v3", 20), Other("v4", 10)]
    verdict = _halt_verdict.assess(endpoints(("a",), others=others))
    assert held(verdict) == {"cannot_tell": "root"}


def test_votes_that_only_one_of_three_shows_are_not_counted() -> None:
    others = [Other("v1", 40, vote=False), Other("v2", 30), Other("v3", 20), Other("v4", 10)]
    bundle = endpoints(others=others, halted_s=40)
    for data in answers(bundle, "a.example"):
        rounds = data["consensus"]["data"]["rounds"]
        rounds[0]["prevotes"].append([0, *copy.deepcopy(rounds[0]["prevotes"][0][1:])])
    verdict = _halt_verdict.assess(bundle)
    assert verdict["details"]["power"]["voting"] == 60
    assert verdict["status"] == "incident"


def test_a_lying_height_heals_nothing() -> None:
    bundle = endpoints()
    for look, data in enumerate(answers(bundle, "c.example"), 1):
        data["status"]["data"]["height"] += 40 * look
    assert _halt_verdict.assess(bundle)["status"] in ("incident", "unknown")


def other_block(bundle: Data, *names: str) -> Data:
    for name in names:
        for data in answers(bundle, f"{name}.example"):
            data["status"]["data"]["block_hash"] = "EE" * 32
    return bundle


def test_another_hash_of_one_is_set_aside_and_of_two_it_stops_everything() -> None:
    names = ("a", "b", "c", "d")
    verdict = _halt_verdict.assess(other_block(endpoints(names, moving=True), "b"))
    assert verdict["status"] == "healthy"
    assert any("b.example has another block" in note for note in verdict["notes"])
    verdict = _halt_verdict.assess(other_block(endpoints(names, moving=True), "b", "c"))
    assert verdict["status"] == "unknown"
    assert any("Two different blocks" in note for note in verdict["notes"])


Lie = t.Callable[[Data, Data, Data], None]


def old_block_above(entry: Data, status: Data, _consensus: Data) -> None:
    status.update(height=status["height"] + 15, block_time="2026-01-01T00:00:00Z", block_hash="CC" * 32)


def new_blocks(entry: Data, status: Data, _consensus: Data) -> None:
    status.update(height=status["height"] + entry["look"], block_time=entry["at"], block_hash="CC" * 32)


def another_block(_entry: Data, status: Data, _consensus: Data) -> None:
    status["block_hash"] = "EE" * 32


def impossible_height(_entry: Data, status: Data, _consensus: Data) -> None:
    status.update(height=10**12, block_hash="CC" * 32)


def another_set(_entry: Data, status: Data, consensus: Data) -> None:
    consensus["validators"] = [{"address": "AA" * 20, "power": 1}]
    status["height"] += 1


def fresh_votes(entry: Data, _status: Data, consensus: Data) -> None:
    for row in consensus["rounds"][0]["prevotes"]:
        row[2] = entry["at"]


def other_votes(_entry: Data, _status: Data, consensus: Data) -> None:
    for row in consensus["rounds"][0]["prevotes"]:
        row[1] = "nil"


def young_block(entry: Data, status: Data, _consensus: Data) -> None:
    status["block_time"] = entry["at"]


LIES: tuple[Lie, ...] = (
    old_block_above, new_blocks, another_block, impossible_height, another_set, fresh_votes, other_votes, young_block,
)  # fmt: skip


def lied(bundle: Data, name: str, lie: Lie) -> Data:
    """The bundle with one endpoint that lies."""
    lying = copy.deepcopy(bundle)
    for entry in lying["observations"]:
        if f"//{name}.example" in entry["host"]:
            lie(entry, entry["data"]["status"]["data"], entry["data"]["consensus"]["data"])
    return _bundle.check(lying, CHAIN_HALT)


@pytest.mark.parametrize("moving", [False, True])
def test_one_liar_among_honest_endpoints_changes_nothing_that_counts(moving: bool) -> None:
    others = [Other("v1", 40, vote=moving), Other("v2", 30), Other("v3", 20), Other("v4", 10)]
    honest = endpoints(tuple("abcdefgh"), others=others, moving=moving)
    kept = ("power", "height")
    before = _halt_verdict.assess(honest)
    for lie in LIES:
        name, after = lie.__name__, _halt_verdict.assess(lied(honest, "a", lie))
        assert {key: after["details"][key] for key in kept} == {key: before["details"][key] for key in kept}, name
        assert (after["status"], after["severity"]) == (before["status"], before["severity"]), name
        assert {cause["id"] for cause in after["causes"] if cause["role"] == "root"} == {
            cause["id"] for cause in before["causes"] if cause["role"] == "root"
        }, name


def test_one_node_by_two_names_counts_once() -> None:
    others = [Other("v1", 40, vote=False), Other("v2", 30), Other("v3", 20), Other("v4", 10)]
    bundle = endpoints(("a", "b"), others=others)
    for data in answers(bundle, "b.example"):
        data["status"]["data"]["node_id"] = next(answers(bundle, "a.example"))["status"]["data"]["node_id"]
    assert held(_halt_verdict.assess(bundle)) == {"cannot_tell": "root"}


def test_two_that_move_do_not_outvote_those_that_stand() -> None:
    bundle = endpoints(tuple("abcdefgh"))
    for entry in bundle["observations"]:
        if entry["host"][8] in "ab":
            status = entry["data"]["status"]["data"]
            status.update(height=status["height"] + 2 * entry["look"], block_time=entry["at"], block_hash="CC" * 32)
    verdict = _halt_verdict.assess(_bundle.check(bundle, CHAIN_HALT))
    assert (verdict["status"], verdict["severity"]) != ("healthy", None)
    assert verdict["status"] in ("unknown", "incident")


def test_another_chain_is_set_aside() -> None:
    bundle = endpoints(moving=True)
    for data in answers(bundle, "b.example"):
        data["status"]["data"]["chain_id"] = "another-1"
    verdict = _halt_verdict.assess(bundle)
    assert (verdict["status"], verdict["details"]["chain_id"]) == ("healthy", "virtengine-1")


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
    assert plan.plan(of_recorded(name), verdict, None)["steps"] == []
