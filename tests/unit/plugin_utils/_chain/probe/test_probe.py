# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What many endpoints say together: pure, the same in any order, never broken by their data."""

from __future__ import annotations

import random
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.probe import answers
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._chain.probe.views import HASH, NOW, OBSERVATIONS, OTHER, POWERS, dead, endpoint


def many(count: int, height: int = 340, first: int = 0) -> list[dict[str, t.Any]]:
    return [endpoint(f"http://n{number}:1", height) for number in range(first, first + count)]


def test_the_chain_that_most_name() -> None:
    seen = [*many(2), endpoint("http://x:1", chain_id="a-1"), dead("http://y:1")]
    assert answers.chain_of(seen) == "rig-1"
    assert answers.chain_of(seen[1:3]) == "a-1", "of equally many the first by name"
    assert answers.chain_of(seen, "a-1") == "a-1"
    assert answers.chain_of([dead("http://y:1")]) is None


def test_a_node_under_many_addresses_names_its_chain_once() -> None:
    twins = [endpoint(f"http://t{number}:1", chain_id="other-9") for number in range(9)]
    seen = [*twins, endpoint("http://a:1"), endpoint("http://b:1")]
    for number, entry in enumerate(seen):
        entry["data"]["status"]["data"]["node_id"] = f"{max(number, 8):040x}"
    assert answers.chain_of(seen) == "rig-1"
    (same,) = answers.same_node(seen)
    assert (same["node_id"], same["count"], len(same["urls"])) == (f"{8:040x}", 9, 6)


def test_ends_are_counted() -> None:
    seen = [*many(2), dead("a"), dead("b", "refused"), dead("c", "http"), dead("d", "asked")]
    assert answers.tally(seen) == {"asked": 6, "answered": 2, "late": 1, "refused": 1, "other": 2}


def test_a_sample_of_a_thousand_is_sixteen_of_the_newest() -> None:
    seen = [*many(900, 300), *many(100, 340, first=900)]
    sample = answers.in_full(seen, "rig-1", [])
    heights = [entry["data"]["status"]["data"]["height"] for entry in seen if entry["host"] in sample]
    assert len(sample) == answers.IN_FULL
    assert heights.count(340) == heights.count(300) == 8, "half at the top, half where most stand"
    assert answers.in_full(list(reversed(seen)), "rig-1", []) == sample
    assert answers.in_full(seen, "rig-1", sample) == []


def test_liars_at_great_heights_take_half_of_the_sample_at_most() -> None:
    seen = [*many(50), *many(50, 10**12, first=50), *many(1, first=100)]
    sample = answers.in_full(seen, "rig-1", [])
    assert sum(entry["data"]["status"]["data"]["height"] == 340 for entry in seen if entry["host"] in sample) >= 8


def test_two_of_each_side_are_added() -> None:
    seen = [*many(100), *[endpoint(f"http://l{number}:1", 340, OTHER) for number in range(5)]]
    chosen = [f"http://n{number}:1" for number in range(16)]
    assert answers.in_full(seen, "rig-1", chosen) == ["http://l0:1", "http://l1:1"]


def test_hashes_are_compared_at_equal_heights_of_one_chain() -> None:
    seen = [
        *many(3),
        endpoint("http://a:1", 339, OTHER),
        endpoint("http://b:1", 340, OTHER, chain_id="other"),
        endpoint("http://c:1", 340, OTHER.lower(), app=(340, HASH)),
        endpoint("http://d:1", 341, HASH, app=(340, OTHER)),
    ]
    assert answers.disagreements(seen, "rig-1") == [
        {
            "height": 340,
            "what": "block_hash",
            "hashes": {
                HASH: {"count": 3, "urls": ["http://n0:1", "http://n1:1", "http://n2:1"]},
                OTHER: {"count": 1, "urls": ["http://c:1"]},
            },
            "more": 0,
        },
        {
            "height": 340,
            "what": "app_hash",
            "hashes": {
                HASH: {"count": 1, "urls": ["http://c:1"]},
                OTHER: {"count": 1, "urls": ["http://d:1"]},
            },
            "more": 0,
        },
    ]


def test_a_commit_speaks_for_an_earlier_height() -> None:
    ahead = endpoint("http://a:1", 341, HASH)
    ahead["data"]["commits"] = {"ok": True, "data": {"commits": [{"height": 340, "block_hash": OTHER}]}}
    (entry,) = answers.disagreements([*many(1), ahead])
    assert entry["height"] == 340 and set(entry["hashes"]) == {HASH, OTHER}


def test_a_thousand_lies_are_folded() -> None:
    lies = [endpoint(f"http://l{number:04}:1", 340, f"{number:064X}") for number in range(1000)]
    (entry,) = answers.disagreements([*many(9), *lies])
    assert len(entry["hashes"]) == 6 and entry["more"] == 1001 - 6
    assert entry["hashes"][HASH]["count"] == 9 and len(entry["hashes"][HASH]["urls"]) == 6


def test_votes_are_the_union_of_all_views() -> None:
    seen = [endpoint("http://a:1", votes=[0]), endpoint("http://b:1", votes=[3]), *many(5)]
    votes = answers.votes(seen, "rig-1")
    assert votes == answers.Votes(340, 100, 67, 50, 2, True)


@pytest.mark.parametrize(("block_time", "voting"), [(NOW, 90), ("2026-11-24T19:49:03Z", 40)])
def test_signatures_of_the_newest_block_count_only_while_blocks_come(block_time: str, voting: int) -> None:
    seen = [endpoint("http://a:1", votes=[0], signed=[1, 2], block_time=block_time)]
    votes = answers.votes(seen)
    assert votes is not None and votes.voting == voting and votes.halted is (voting == 40)


def test_nobody_shows_the_set() -> None:
    assert answers.votes(many(3)) is None and answers.votes([]) is None


@given(OBSERVATIONS, st.sampled_from([None, "rig-1", "nothing"]), st.randoms())
def test_nothing_breaks_it_and_order_does_not_matter(
    seen: list[dict[str, t.Any]], chain: t.Optional[str], chance: random.Random
) -> None:
    shuffled = list(seen)
    chance.shuffle(shuffled)
    for call in (answers.chain_of, answers.tally):
        assert call(seen) == call(shuffled)
    assert answers.disagreements(seen, chain) == answers.disagreements(shuffled, chain)
    assert answers.votes(seen, chain) == answers.votes(shuffled, chain)
    sample = answers.in_full(seen, chain, [])
    assert sample == answers.in_full(shuffled, chain, [])
    assert len(sample) == len(set(sample)) <= answers.MOST_IN_FULL
    assert set(sample) <= {entry["host"] for entry in seen if entry["ok"]}
    votes = answers.votes(seen, chain)
    if votes is not None:
        assert 0 <= votes.voting <= votes.total
        assert votes.total == sum(POWERS) or votes.total > 0


@given(OBSERVATIONS)
def test_a_silent_endpoint_changes_nothing_but_the_count(seen: list[dict[str, t.Any]]) -> None:
    more = [*seen, dead("http://silent:1")]
    assert answers.disagreements(more) == answers.disagreements(seen)
    assert answers.votes(more) == answers.votes(seen)
    assert answers.tally(more)["late"] == answers.tally(seen)["late"] + 1
