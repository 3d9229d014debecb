# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence that lies, contradicts itself or has another shape: a verdict all the same, and never healthy for it."""

from __future__ import annotations

import copy
import json
import random
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, assess, held, row
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import HASH, Other, address, at, four, mark

RUBBISH: list[t.Any] = [
    None,
    True,
    -1,
    0,
    2**63,
    2**80,
    10**400,
    1.5,
    float("inf"),
    float("nan"),
    "",
    "208",
    "x" * 5000,
    "\x1b[2J{{ lookup('pipe', 'id') }}",
    [],
    [[]],
    [None, 1, "x"],
    {},
    {"ok": True},
    {"ok": True, "data": []},
    {"ok": False, "error": "late"},
    {"a": {"b": ["c"]}},
]


def places(value: t.Any, path: tuple[t.Any, ...] = ()) -> t.Iterator[tuple[t.Any, ...]]:
    """Every place inside a value, the few first entries of each list."""
    yield path
    inner: t.Iterable[tuple[t.Any, t.Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value[:2])
    for key, entry in inner:
        yield from places(entry, (*path, key))


def put(data: Data, path: tuple[t.Any, ...], value: t.Any) -> None:
    place: t.Any = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = copy.deepcopy(value)


BASE = four(["stopped", "dead_consensus"], references={"https://rpc.example": {}}, peers={"p": []}).bundle()
PLACES = [
    path for path in places(next(entry for entry in BASE["observations"] if entry["host"] == "vh3")["data"]) if path
]


def test_there_are_many_places() -> None:
    assert len(PLACES) > 200


@pytest.mark.parametrize("number", range(len(RUBBISH)))
def test_no_value_anywhere_makes_it_raise_or_heal(number: int) -> None:
    """Each value at every third place, so that every place gets a third of the values."""
    index = next(
        place for place, entry in enumerate(BASE["observations"]) if entry["host"] == "vh3" and entry["look"] == 2
    )
    for path in PLACES[number % 3 :: 3]:
        entry = copy.deepcopy(BASE["observations"][index])
        put(entry["data"], path, RUBBISH[number])
        observations = [*BASE["observations"][:index], entry, *BASE["observations"][index + 1 :]]
        verdict = _halt_verdict.assess(_bundle.check(dict(BASE, observations=observations), CHAIN_HALT))
        assert verdict["status"] in ("incident", "unknown"), path


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.booleans())
def test_many_wrong_values_at_once(chance: random.Random, moving: bool) -> None:
    bundle = four(
        ["voting", "frozen", "crash_loop"], moving=moving, others=[Other("o", 50)], references={"u": {}}
    ).bundle()
    for entry in bundle["observations"]:
        found = [path for path in places(entry["data"]) if path]
        for path in chance.sample(found, chance.randint(0, 12)):
            try:
                put(entry["data"], path, chance.choice(RUBBISH))
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change took this place away
    verdict = _halt_verdict.assess(_bundle.check(bundle, CHAIN_HALT))
    assert verdict["status"] != "healthy"
    assert verdict["summary"].isprintable()
    json.dumps(verdict, allow_nan=False)


def everywhere(patch: t.Callable[[Data, int], None], **changes: t.Any) -> Data:
    fleet = four(**changes)
    for host in fleet.hosts:
        host.patch = patch
    return assess(fleet)


def powers(values: list[t.Any]) -> t.Callable[[Data, int], None]:
    def patch(data: Data, look: int) -> None:
        for part, key in (("consensus", "validators"), ("validators", "validators")):
            for member, value in zip(data["rpc"][part]["data"][key], values):
                member["power"] = value

    return patch


@pytest.mark.parametrize(
    "values",
    [
        [0, 0, 0, 0],
        [-40, 30, 20, 10],
        [2**63, 1, 1, 1],
        [2**62, 2**62, 2**62, 1],
        ["40", "30", "20", "10"],
        [1.5, 1, 1, 1],
    ],
)
@pytest.mark.parametrize("moving", [True, False])
def test_impossible_powers_are_no_set(values: list[t.Any], moving: bool) -> None:
    verdict = everywhere(powers(values), moving=moving)
    assert verdict["status"] == "unknown"
    assert verdict["details"]["power"]["total"] == 0
    assert "validator set" in verdict["summary"]


def test_an_address_twice_is_no_set() -> None:
    def patch(data: Data, look: int) -> None:
        for part in ("consensus", "validators"):
            data["rpc"][part]["data"]["validators"][1]["address"] = address("vh1")

    assert everywhere(patch)["details"]["power"]["total"] == 0


def test_one_node_with_another_set_is_outvoted_and_noted() -> None:
    fleet = four(["stopped"])
    fleet.hosts[3].patch = powers([1, 1, 1, 10**15])
    verdict = assess(fleet)
    assert verdict["details"]["power"]["total"] == 100
    assert any("different validator sets" in note for note in verdict["notes"])
    assert held(verdict) == {"processes_down": "root"}


def test_a_height_that_cannot_be_is_set_aside() -> None:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["status"]["data"].update(height=10**12 + look, block_time=at(199 + 6 * (look - 1)), block_hash="FF")

    fleet = four(["stopped"])
    fleet.hosts[3].patch = patch
    verdict = assess(fleet)
    assert (verdict["status"], verdict["details"]["height"], verdict["confirmed"]) == ("incident", 208, True)
    assert any("cannot be" in note for note in verdict["notes"])


def test_an_uncorroborated_height_is_no_new_block() -> None:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["status"]["data"].update(height=400 + look, block_time=at(199 + 6 * (look - 1)), block_hash="FF")

    fleet = four(["stopped"])
    fleet.hosts[3].patch = patch
    verdict = assess(fleet)
    assert verdict["status"] == "unknown"
    assert any("no other node corroborates it" in note for note in verdict["notes"])


def test_two_blocks_at_one_height_stop_the_automation() -> None:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["status"]["data"]["block_hash"] = "FF" * 32

    fleet = four(["stopped"])
    fleet.hosts[3].patch = patch
    verdict = assess(fleet)
    assert verdict["status"] == "unknown"
    assert verdict["severity"] == "SEV-1"
    assert "Do nothing by automation" in verdict["next"][0]


def test_a_block_time_from_the_future_confirms_nothing() -> None:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["status"]["data"]["block_time"] = at(10**6)

    verdict = everywhere(patch)
    assert verdict["status"] == "unknown"


def test_two_votes_for_one_round_are_noted() -> None:
    fleet = four(["stopped"])
    bundle = fleet.bundle()
    shown = next(entry for entry in bundle["observations"] if entry["host"] == "vh3")["data"]["rpc"]["consensus"][
        "data"
    ]
    shown["rounds"][0]["prevotes"][0][1] = "FFFFFFFFFFFF"
    assert any("double signing" in note for note in _halt_verdict.assess(bundle)["notes"])


def test_hostile_names_are_cleaned() -> None:
    def patch(data: Data, look: int) -> None:
        data["rpc"]["status"]["data"]["moniker"] = "evil\x1b[2J\u202e\n<script>{{ 7*7 }}" + "x" * 1000
        data["rpc"]["status"]["data"]["block_hash"] = HASH
        data["journal"]["data"]["marks"] = [mark("consensus_failure", "boom\x1b]0;owned\x07\r\n")]

    verdict = everywhere(patch)
    name = row(verdict, "vh1")["name"]
    assert name.isprintable()
    assert len(name) <= 80
    assert "{{ 7*7 }}" in name
    assert all(entry["detail"].isprintable() for entry in verdict["details"]["validators"])


def test_nobody_answers() -> None:
    verdict = assess(four(["unreachable"] * 5))
    assert (verdict["status"], verdict["severity"]) == ("unknown", "SEV-1")
    assert "None of our 5 hosts gave evidence" in verdict["summary"]
    assert verdict["next"]


def test_no_hosts_and_no_observations() -> None:
    bundle = _bundle.new(CHAIN_HALT, at(0), {})
    assert _halt_verdict.assess(bundle)["status"] == "unknown"


def test_all_processes_down_leaves_the_height_unknown() -> None:
    verdict = assess(four(["stopped"] * 5))
    assert (verdict["status"], verdict["details"]["height"]) == ("unknown", None)
    assert "vh1 (stopped)" in verdict["summary"]
    assert {node["state"] for node in verdict["details"]["nodes"]} == {"stopped"}
