# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks: the pause between two of the same host, hosts that left nothing, and what a host says of locks."""

from __future__ import annotations

import dataclasses
import typing as t
from collections.abc import Iterator

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller import looks
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import now
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.state import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as bundles
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Source
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.lamp import LAMP, SOURCE

WORLD = dataclasses.replace(
    LAMP,
    sources={
        SOURCE: Source(),
        "mains_info": Source(groups=("mains", "relays")),
        "weather": Source(in_inventory=False),
    },
)
INVENTORY = {
    "hall": {"declared": {}, "target": True, "observed": True, "groups": ["lamps"]},
    "cellar": {"declared": {}, "target": False, "observed": True, "groups": ["lamps", "mains"]},
    "attic": {"declared": {}, "target": False, "observed": False, "groups": ["lamps", "relays"]},
}


@pytest.fixture
def state() -> Iterator[RunState]:
    made = RunState.create({"run": "run-1", "incident": "lamp"})
    made.keep("bundle", bundles.new(WORLD, now(), INVENTORY))
    yield made
    made.remove()


def observation(host: str, look: int, source: str = SOURCE, **more: t.Any) -> dict[str, t.Any]:
    return {"source": source, "host": host, "look": look, "at": now(), "ok": True, "data": {"on": True}, **more}


def note(state: RunState, host: str, source: str = SOURCE, **more: t.Any) -> None:
    looks.note(state, host, [observation(host, looks.current(state)["number"], source, **more)])


def heads(bundle: dict[str, t.Any]) -> set[tuple[str, str, int, bool]]:
    return {(entry["source"], entry["host"], entry["look"], entry["ok"]) for entry in bundle["observations"]}


def test_a_run_begins_with_its_first_look_and_no_pause(state: RunState) -> None:
    assert looks.current(state) == {"number": 1, "pause_s": 0}
    assert looks.pause_left_s(state, SOURCE, "hall") == 0.0
    looks.turn(state, 6)
    assert looks.current(state) == {"number": 2, "pause_s": 6}
    looks.turn(state, 0)
    assert looks.current(state) == {"number": 3, "pause_s": 0}


@pytest.mark.parametrize(
    ("clock", "left"),
    [("10:00:00", 6.0), ("10:00:02", 4.0), ("10:00:06", 0.0), ("10:01:40", 0.0), ("09:59:00", 6.0)],
    ids=["at once", "soon", "just", "late", "the clock went back"],
)
def test_the_pause_is_counted_from_the_look_before(
    state: RunState, monkeypatch: pytest.MonkeyPatch, clock: str, left: float
) -> None:
    note(state, "hall", at="2026-05-04T10:00:00.000000Z")
    note(state, "cellar", at="2026-05-04T09:00:00.000000Z")
    looks.turn(state, 6)
    monkeypatch.setattr(looks, "now", lambda: f"2026-05-04T{clock}.000000Z")
    assert looks.pause_left_s(state, SOURCE, "hall") == left


def test_the_pause_is_whole_for_a_host_that_left_nothing_and_for_another_source(state: RunState) -> None:
    note(state, "hall", at="2020-05-04T10:00:00Z")
    looks.turn(state, 6)
    assert looks.pause_left_s(state, SOURCE, "cellar") == 6.0
    assert looks.pause_left_s(state, "mains_info", "hall") == 6.0
    assert looks.pause_left_s(state, SOURCE, "hall") == 0.0


def test_only_the_look_before_counts_for_the_pause(state: RunState) -> None:
    note(state, "hall", at="2020-05-04T10:00:00Z")
    looks.turn(state, 6)
    looks.turn(state, 6)
    assert looks.pause_left_s(state, SOURCE, "hall") == 6.0


def test_who_left_no_observation_did_not_answer(state: RunState) -> None:
    note(state, "hall")
    found = looks.add_look(state, WORLD)
    assert heads(found) == {
        (SOURCE, "hall", 1, True),
        (SOURCE, "cellar", 1, False),
        ("mains_info", "cellar", 1, False),
    }, "the attic is not observed, the hall has no mains, the weather is of no host"
    lost = next(entry for entry in found["observations"] if entry["host"] == "cellar")
    assert lost["error"] == {"kind": "failed", "text": "cellar left no observation in this look"}
    assert state.read("bundle") == found


def test_of_earlier_looks_the_last_is_kept_to_compare_with(state: RunState) -> None:
    for _look in range(4):
        note(state, "hall")
        found = looks.add_look(state, WORLD)
        looks.turn(state, 0)
    assert {entry["look"] for entry in found["observations"]} == {3, 4}
    assert len(found["observations"]) == 6


def test_what_is_seen_from_outside_is_in_the_look(state: RunState) -> None:
    looks.note(state, "weather", [observation("http://a:1", 1, "weather"), observation("http://b:1", 1, "weather")])
    found = heads(looks.add_look(state, WORLD))
    assert {head for head in found if head[0] == "weather"} == {
        ("weather", "http://a:1", 1, True),
        ("weather", "http://b:1", 1, True),
    }


def test_what_a_host_sent_of_the_wrong_shape_is_no_evidence(state: RunState) -> None:
    note(state, "hall", data=["x"])
    (entry,) = (one for one in looks.add_look(state, WORLD)["observations"] if one["host"] == "hall")
    assert (entry["ok"], entry["error"]["kind"]) == (False, "malformed")


def answer(owner: str, *used: str) -> dict[str, t.Any]:
    locks = [{"scope": "lamp:hall", "owner": owner, "who": "ops@laptop", "at": "x", "age_s": 7}]
    return looks.locks_of({"ok": True, "data": {"locks": locks, "used": list(used)}})


def test_of_each_host_the_newest_answer_about_locks_counts(state: RunState) -> None:
    state.note("locks1", "hall", answer("run-1"))
    state.note("locks1", "cellar", answer("run-1"))
    looks.turn(state, 0)
    state.note("locks2", "hall", answer("run-2", "lamp-1"))
    assert {host: one["locks"][0]["owner"] for host, one in looks.locks_seen(state).items()} == {
        "hall": "run-2",
        "cellar": "run-1",
    }
    assert list(looks.locks_of_look(state, 2)) == ["hall"]
    assert looks.locks_seen(state)["hall"]["used"] == ["lamp-1"]


def test_of_a_lock_only_what_is_relied_on_is_taken() -> None:
    assert answer("run-1", "lamp-1") == {
        "ok": True,
        "locks": [{"scope": "lamp:hall", "owner": "run-1", "who": "ops@laptop", "age_s": 7}],
        "used": ["lamp-1"],
    }
    assert looks.locks_of({"ok": True, "data": {"locks": [], "used": []}}) == {"ok": True, "locks": [], "used": []}


NOTHING = {"ok": False, "locks": [], "used": []}


@pytest.mark.parametrize(
    "part",
    [
        None,
        "x",
        [],
        {},
        {"ok": False, "error": {"kind": "privilege", "text": "x"}},
        {"ok": "true", "data": {"locks": [], "used": []}},
        {"ok": True},
        {"ok": True, "data": []},
        {"ok": True, "data": {}},
        {"ok": True, "data": {"locks": [], "used": None}},
        {"ok": True, "data": {"locks": 5, "used": []}},
        {"ok": True, "data": {"locks": {"a": 1}, "used": []}},
        {"ok": True, "data": {"locks": [["run-1"]], "used": []}},
        {"ok": True, "data": {"locks": [], "used": 5}},
        {"ok": True, "data": {"locks": [], "used": [["lamp-1"]]}},
    ],
)
def test_what_cannot_be_read_is_never_taken_for_no_lock(part: t.Any) -> None:
    assert looks.locks_of(part) == NOTHING


@pytest.mark.parametrize("value", [None, 5, ["run-1"], {"a": 1}, True])
def test_names_that_are_no_text_are_nobodys(value: t.Any) -> None:
    made = looks.locks_of(
        {"ok": True, "data": {"locks": [dict.fromkeys(("scope", "owner", "who"), value)], "used": []}}
    )
    assert made["locks"] == [{"scope": "", "owner": "", "who": "", "age_s": None}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(JSON, JSON, JSON)
def test_no_answer_about_locks_raises(part: t.Any, locks: t.Any, used: t.Any) -> None:
    for given_part in (part, {"ok": True, "data": {"locks": locks, "used": used}}, {"ok": True, "data": part}):
        made = looks.locks_of(given_part)
        assert set(made) == set(NOTHING)
        assert all(isinstance(lock[key], str) for lock in made["locks"] for key in ("scope", "owner", "who"))
