# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles: what is refused and how, and what becomes an observation."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import (
    CHAIN_HALT,
    CHAIN_PROBE,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import at, four

ADDRESS = "incident_validator_address"
HEAD: dict[str, t.Any] = {"source": "node_evidence", "host": "vh1", "look": 3, "at": at(300)}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def changed(path: tuple[t.Any, ...], value: t.Any) -> dict[str, t.Any]:
    bundle = copy.deepcopy(four().bundle())
    place: t.Any = bundle
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return bundle


def deep(levels: int) -> dict[str, t.Any]:
    value: dict[str, t.Any] = {}
    for _level in range(levels):
        value = {"a": value}
    return value


def test_a_bundle_passes_unchanged() -> None:
    bundle = four().bundle()
    assert _bundle.check(bundle, CHAIN_HALT) is bundle


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("schema",), "virtengine.incident.evidence/1", "schema"),
        (("incident",), "Chain Halt!", "incident"),
        (("incident",), 7, "incident"),
        (("settings",), [], "settings"),
        (("settings",), {"incident_halt_is_over": 5}, "settings"),
        (("settings",), {"incident_target": "all"}, "settings"),
        (("not_looked_at",), None, "not_looked_at"),
        (("not_looked_at",), [7], "not_looked_at"),
        (("incident",), "chain_probe", "incident"),
        (("taken_at",), "yesterday", "taken_at"),
        (("taken_at",), None, "taken_at"),
        (("min_seconds_between_looks",), 0, "min_seconds_between_looks"),
        (("min_seconds_between_looks",), float("nan"), "min_seconds_between_looks"),
        (("min_seconds_between_looks",), True, "min_seconds_between_looks"),
        (("inventory",), [], "inventory"),
        (("inventory", "vh1"), None, "inventory of vh1"),
        (("inventory", "vh1", "declared"), None, "inventory of vh1, declared"),
        (("inventory", "vh1", "declared"), {ADDRESS: "abc"}, "settings"),
        (("inventory", "vh1", "declared"), {ADDRESS: "a" * 40}, "settings"),
        (("inventory", "vh1", "declared"), {"incident_node_home": "/x"}, "settings"),
        (("inventory", "vh1", "target"), "yes", "inventory of vh1"),
        (("inventory", "vh1", "groups"), "validators", "inventory of vh1"),
        (("inventory", ""), {}, "inventory"),
        (("observations",), {}, "observations"),
        (("observations", 0), "x", "observation 1"),
        (("observations", 1, "source"), "rumour", "observation 2"),
        (("observations", 1, "host"), "stranger", "observation 2"),
        (("observations", 1, "look"), 0, "observation 2"),
        (("observations", 1, "look"), "1", "observation 2"),
        (("observations", 1, "look"), True, "observation 2"),
        (("observations", 1, "at"), "2026-13-01T00:00:00Z", "observation 2"),
        (("observations", 1, "ok"), 1, "observation 2"),
        (("observations", 1, "data"), [], "observation 2, data"),
        (("observations", 1, "data"), deep(60), "observation 2, data"),
        (("observations", 1, "data"), {"a": [0] * 500000}, "observation 2, data"),
        (("observations", 1, "ok"), False, "observation 2, error"),
        (("observations", 1, "host"), "vh1", "observation 2"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path: tuple[t.Any, ...], value: t.Any, where: str) -> None:
    with pytest.raises(_bundle.BadEvidence) as caught:
        _bundle.check(changed(path, value), CHAIN_HALT)
    assert caught.value.where == where
    assert str(caught.value).isprintable()


@given(JSON)
def test_any_json_is_a_bundle_or_a_clear_refusal(value: t.Any) -> None:
    with pytest.raises(_bundle.BadEvidence):
        _bundle.check(value, CHAIN_HALT)


@given(JSON)
def test_what_a_host_sends_never_stops_the_run(answer: t.Any) -> None:
    bundle = _bundle.add(four().bundle(), dict(HEAD, ok=True, data=answer), CHAIN_HALT.sources)
    added = bundle["observations"][-1]
    assert added["ok"] is isinstance(answer, dict)
    assert _bundle.check(bundle, CHAIN_HALT)


def test_a_huge_answer_becomes_an_observation() -> None:
    for answer in (deep(100), {"a": [[0] * 1000] * 1000}):
        added = _bundle.add(four().bundle(), dict(HEAD, ok=True, data=answer), CHAIN_HALT.sources)["observations"][-1]
        assert added["ok"] is False
        assert added["error"]["kind"] == "malformed"


def test_one_observation_takes_the_place_of_the_same() -> None:
    bundle = four().bundle()
    newer = dict(bundle["observations"][0], ok=False, error={"kind": "late", "text": "no answer"})
    added = _bundle.add(bundle, newer, CHAIN_HALT.sources)
    assert len(added["observations"]) == len(bundle["observations"])
    assert added["observations"][-1] == newer


def test_a_wrong_head_is_the_callers_mistake() -> None:
    with pytest.raises(_bundle.BadEvidence, match="not in the inventory"):
        _bundle.add(four().bundle(), {**HEAD, "host": "x", "ok": True, "data": {}}, CHAIN_HALT.sources)


def test_the_newest_look_and_who_answered_in_it() -> None:
    bundle = four(["unreachable"]).bundle()
    bundle = _bundle.add(bundle, {**HEAD, "host": "vh2", "ok": True, "data": {}}, CHAIN_HALT.sources)
    bundle = _bundle.add(
        bundle, {**HEAD, "source": "cometbft_info", "host": "http://x:1", "ok": True, "data": {}}, CHAIN_HALT.sources
    )
    assert _bundle.newest_look(bundle) == 3
    assert _bundle.answered(bundle, CHAIN_HALT.sources) == ["vh2"]
    assert _bundle.newest_look(_bundle.new(CHAIN_HALT, at(0), {})) == 0


def test_an_incident_knows_its_own_sources_alone() -> None:
    seen = {**HEAD, "ok": True, "data": {}}
    bundle = _bundle.new(CHAIN_PROBE, at(0), {}, settings={"incident_reference_rpcs": ["http://x:1"]})
    with pytest.raises(_bundle.BadEvidence, match="source is none of cometbft_info"):
        _bundle.add(bundle, seen, CHAIN_PROBE.sources)
