# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each guard of a thaw: the same process goes on, so what counts is whether its key signed elsewhere meanwhile."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import guards

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r


def frozen(**changes: t.Any) -> t.Any:
    raw = r.data(True)
    raw["process"]["data"]["main"]["state"] = "T"
    for key, value in changes.pop("raw", {}).items():
        raw[key] = value
    return r.node("vs", raw, state="frozen", **changes)


def thaw(one: t.Any, votes: tuple[t.Any, ...] = (), others: t.Any = ()) -> dict[str, str]:
    now = one.data.now if one.data is not None else None
    seen = r.reading([one, r.voter(), *others], votes={r.ADDRESS_S: votes}, now=now)
    return r.states(guards.ask("thaw_node", r.case(seen, one)))


def test_a_frozen_validator_is_clear() -> None:
    assert set(thaw(frozen(), (r.vote(at="2026-01-30T12:09:59Z"),)).values()) == {"clear"}


def test_a_vote_after_the_freeze_was_seen_refuses() -> None:
    before = frozen().data
    later = frozen(raw={"clock": {"now": "2026-01-30T12:10:30Z"}}, before=before)
    assert thaw(later, (r.vote(at="2026-01-30T12:10:10Z"),))["votes"] == "refused"
    running = r.node("vs", r.data(True)).data
    fresh = frozen(raw={"clock": {"now": "2026-01-30T12:10:30Z"}}, before=running)
    assert thaw(fresh, (r.vote(at="2026-01-30T12:10:10Z"),))["votes"] == "clear"


def test_a_frozen_unit_by_its_cgroup_counts_as_frozen() -> None:
    raw = r.data(True)
    raw["unit"]["data"]["freezer_state"] = "frozen"
    one = r.node("vs", raw, state="frozen")
    assert thaw(one)["votes"] == "clear"


def test_thaw_is_refused_where_the_key_is_elsewhere() -> None:
    assert thaw(frozen(), others=[r.node("v2", r.data())])["key_elsewhere"] == "refused"
    assert thaw(frozen(), others=[r.node("v2", None)])["key_elsewhere"] == "open"


def test_thaw_of_a_node_whose_consensus_died_is_refused() -> None:
    dead = frozen(raw={"journal": r.ok({"marks": [r.mark("consensus_failure")]})})
    assert thaw(dead)["journal"] == "refused"
