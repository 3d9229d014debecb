# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every fleet: unknown is never healthy, and evidence cannot be added or lost into health."""

from __future__ import annotations

import copy
import json
import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import power as _power
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.reading import read
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes import order
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, held
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Host, Other, mark

DOING = (
    "voting",
    "mute",
    "dead_consensus",
    "busy",
    "stopped",
    "killed",
    "failed",
    "crash_loop",
    "frozen",
    "frozen_group",
    "unreachable",
    "late",
    "blind",
)
STATES = {"voting", "not_voting", "unreachable", "stopped", "frozen", "crashed", "busy", "voted_at", "unknown"}
MARKS = ("no_space", "double_sign_check", "panic", "exited", "wrong_app_hash", "signing_regression")

ENOUGH = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def hosts(draw: st.DrawFn, name: str) -> Host:
    return Host(
        name,
        draw(st.sampled_from([0, 1, 1, 7, 33, 34, 10**9])),
        draw(st.sampled_from(("voting", "voting", *DOING))),
        vote=draw(st.sampled_from([None, None, True, False])),
        vote_seconds=draw(st.sampled_from([-500.0, 1.0, 30.0])),
        marks=[mark(kind) for kind in draw(st.lists(st.sampled_from(MARKS), max_size=2, unique=True))],
        declared=draw(st.booleans()),
        observed=draw(st.sampled_from([True, True, True, False])),
        behind=draw(st.sampled_from([0, 0, 0, 3, 90])),
    )


@st.composite
def fleets(draw: st.DrawFn, moving: bool | None = None) -> Fleet:
    names = [f"h{number}" for number in range(draw(st.integers(min_value=0, max_value=5)))]
    others = [
        Other(f"o{number}", draw(st.sampled_from([1, 7, 40])), draw(st.booleans()), signs=draw(st.booleans()))
        for number in range(draw(st.integers(min_value=0, max_value=3)))
    ]
    lacks = [other.name for other in others if draw(st.booleans())]
    return Fleet(
        [draw(hosts(name)) for name in names],
        others,
        moving=draw(st.booleans()) if moving is None else moving,
        halted_s=draw(st.sampled_from([3.0, 29.0, 40.0, 70.0, 300.0, 90000.0])),
        gap_s=draw(st.sampled_from([1.0, 6.0])),
        round=draw(st.sampled_from([0, 0, 5])),
        grow=draw(st.sampled_from([0, 0, 2])),
        step=draw(st.sampled_from([4, 6, 2, 8])),
        interval_s=draw(st.sampled_from([None, 1.0, 6.0])),
        references=draw(
            st.sampled_from(
                [{}, {"https://rpc.example": {"lacks": lacks}}, {"https://rpc.example": {"answers": False}}]
            )
        ),
        peers=draw(st.sampled_from([{}, {"outside": lacks}])),
    )


def status(bundle: Data) -> str:
    return t.cast(str, _halt_verdict.assess(bundle)["status"])


@ENOUGH
@given(fleets(), st.integers(min_value=1, max_value=2))
def test_a_verdict_is_whole_and_sums_up(fleet: Fleet, looks: int) -> None:
    verdict = _halt_verdict.assess(_bundle.check(fleet.bundle(looks), CHAIN_HALT))
    power = verdict["details"]["power"]
    assert json.loads(json.dumps(verdict, allow_nan=False)) == verdict
    assert (
        power["voting"] + power["absent"] + power["unknown"]
        == power["total"]
        == sum(row["power"] for row in verdict["details"]["validators"])
    )
    assert {row["state"] for row in verdict["details"]["validators"]} <= STATES
    listed = [entry["id"] for kind in ("causes", "refuted", "cannot_tell") for entry in verdict[kind]]
    assert sorted(listed) == sorted(cause.id for cause in order.CAUSES)
    assert verdict["summary"].isprintable()
    assert verdict["severity"] == {"healthy": None, "degraded": "SEV-3", "incident": "SEV-1"}.get(
        verdict["status"], verdict["severity"]
    )


@ENOUGH
@given(fleets())
def test_healthy_needs_all_of_ours_and_new_blocks(fleet: Fleet) -> None:
    bundle = fleet.bundle()
    if status(bundle) == "healthy":
        reading = read(bundle)
        assert fleet.moving
        assert reading.moved
        assert all(node.state in ("voting", "running") for node in reading.nodes.values() if node.observed)
        assert all(row.counts_as == "voting" for row in reading.validators if row.owner == "ours")
        assert reading.total > 0


@ENOUGH
@given(fleets(moving=False), st.integers(min_value=1, max_value=2))
def test_without_new_blocks_never_healthy(fleet: Fleet, looks: int) -> None:
    assert status(fleet.bundle(looks)) in ("incident", "unknown")


@ENOUGH
@given(fleets(), st.data())
def test_losing_observations_never_heals(fleet: Fleet, data: st.DataObject) -> None:
    bundle = fleet.bundle()
    before = status(bundle)
    less = dict(bundle, observations=[entry for entry in bundle["observations"] if data.draw(st.booleans())])
    after = _halt_verdict.assess(_bundle.check(less, CHAIN_HALT))
    if before != "healthy":
        assert after["status"] != "healthy"
    if before != "incident" or not _halt_verdict.assess(bundle)["confirmed"]:
        assert not (after["status"] == "incident" and after["confirmed"] and before in ("healthy", "degraded"))


@ENOUGH
@given(fleets(moving=False), fleets(moving=False), st.data())
def test_adding_an_observation_without_new_blocks_never_heals(fleet: Fleet, other: Fleet, data: st.DataObject) -> None:
    bundle = fleet.bundle()
    if not fleet.hosts or status(bundle) != "incident":
        return
    host = data.draw(st.sampled_from([entry.name for entry in fleet.hosts]))
    look = data.draw(st.integers(min_value=1, max_value=3))
    added = data.draw(st.sampled_from(other.bundle()["observations"] or bundle["observations"]))
    behind = {entry.name: entry.behind for entry in other.hosts}
    if behind.get(added["host"], 0) < next(entry.behind for entry in fleet.hosts if entry.name == host):
        return  # the added one has blocks that this host had not: new blocks came
    added = dict(copy.deepcopy(added), source="node_evidence", host=host, look=look)
    assert status(_bundle.add(bundle, added, CHAIN_HALT.sources)) != "healthy"


@ENOUGH
@given(fleets(), st.randoms(use_true_random=False))
def test_the_order_of_the_observations_does_not_matter(fleet: Fleet, chance: t.Any) -> None:
    bundle = fleet.bundle()
    mixed = copy.deepcopy(bundle)
    chance.shuffle(mixed["observations"])
    mixed["inventory"] = dict(sorted(mixed["inventory"].items(), reverse=True))
    assert _halt_verdict.assess(mixed) == _halt_verdict.assess(bundle)


@ENOUGH
@given(fleets(moving=False))
def test_missing_power_follows_the_arithmetic(fleet: Fleet) -> None:
    verdict = _halt_verdict.assess(fleet.bundle())
    power = verdict["details"]["power"]
    missing = [cause for cause in held(verdict) if cause in ("processes_down", "hosts_unreachable", "others_missing")]
    roots = [name for name in missing if held(verdict)[name] == "root"]
    if verdict["status"] == "incident" and roots:
        # What is down makes the halt alone, or together with what lives and is kept from voting.
        kept = [name for name, role in held(verdict).items() if role == "root" and name not in missing]
        assert _power.halts(power["total"], power["absent"] + (power["unknown"] if kept else 0))
    if verdict["status"] == "incident" and power["voting"] >= power["quorum"]:
        assert not roots
    if verdict["status"] == "incident" and _power.halts(power["total"], power["absent"]) and power["absent"]:
        assert verdict["causes"][0]["id"] != "cannot_tell"


@ENOUGH
@given(fleets())
def test_assessing_changes_nothing(fleet: Fleet) -> None:
    bundle = fleet.bundle()
    kept = copy.deepcopy(bundle)
    _halt_verdict.assess(bundle)
    assert bundle == kept
