# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What screen and report are given of a halt: headline, table, gauge. The path draws them."""

from __future__ import annotations

import json

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import view
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.verdict import LOOKS
from hypothesis import given

from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, assess
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import HASH, Fleet, Host, Other, address, four
from tests.unit.plugin_utils._incidents.chain_halt.verdict.test_properties import STATES, fleets


def cells(verdict: Data, column: int) -> list[str]:
    return [row["cells"][column] for row in verdict["tables"][0]["rows"]]


def test_who_does_not_vote_comes_first_then_the_most_power() -> None:
    verdict = assess(four(["voting", "stopped", "voting", "frozen"]))
    assert cells(verdict, 0) == ["vh2", "vh4", "vh1", "vh3"]
    assert cells(verdict, 1)[0] == address("vh2")
    assert cells(verdict, 2) == ["30", "10", "40", "20"]
    assert cells(verdict, 3) == ["30.0 %", "10.0 %", "40.0 %", "20.0 %"]
    assert [row["state"] for row in verdict["tables"][0]["rows"]] == ["STOPPED", "FROZEN", "voting", "voting"]
    assert [row["looks"] for row in verdict["tables"][0]["rows"]] == ["stopped", "frozen", "good", "good"]
    assert verdict["brief"] == ["Not seen voting: vh2 30 STOPPED, vh4 10 FROZEN."]
    assert verdict["tables"][0]["after"] == ["Not validators: 1 running (vh5)."]


def test_the_screen_leaves_out_the_date_of_the_last_block() -> None:
    verdict = assess(four(["stopped"]))
    row = verdict["tables"][0]["rows"][0]
    day = verdict["details"]["last_block_at"][:10]
    assert f"STOPPED since {day} " in row["cells"][-1]
    assert day not in row["short"][-1]
    assert row["short"][:-1] == row["cells"][:-1]


def test_of_others_nobody_knows_whether_they_run() -> None:
    others = [Other("other", 60, vote=False)]
    verdict = assess(four(["stopped"], others=others, peers={"outside": ["other", "vh1"]}))
    row = next(row for row in verdict["tables"][0]["rows"] if not row["ours"])
    assert (row["looks"], row["state"], row["cells"][4]) == ("refusing", "not voting", "theirs")


def test_the_gauge_is_in_words_as_well() -> None:
    (gauge,) = assess(four(["stopped"]))["gauges"]
    assert (gauge["value"], gauge["total"], gauge["needed"], gauge["table"]) == (60, 100, 67, 0)
    assert gauge["words"] == "60 of 100 voting power is voting; 67 needed"


def test_without_a_validator_set_there_is_no_gauge_and_the_hosts_are_named() -> None:
    verdict = assess(four(["stopped"] * 5))
    assert verdict["gauges"] == [] and verdict["tables"][0]["rows"] == [] and verdict["brief"] == []
    assert verdict["tables"][0]["empty"].startswith("No node shows the validator set")
    assert verdict["tables"][0]["after"] == [
        "Our hosts: vh1 STOPPED, vh2 STOPPED, vh3 STOPPED, vh4 STOPPED, vh5 STOPPED."
    ]


@pytest.mark.parametrize(
    ("fleet", "looks", "headline"),
    [
        (four(["stopped"]), 2, "THE CHAIN IS HALTED"),
        (four(["stopped"]), 1, "THE CHAIN SEEMS HALTED, NOT CONFIRMED YET"),
        (four(moving=True), 2, "THE CHAIN RUNS"),
        (four(moving=True), 1, "NO HALT SEEN SO FAR, NOT CONFIRMED YET"),
        (
            four(["voting", "voting", "voting", "stopped"], moving=True),
            2,
            "THE CHAIN RUNS, SOMETHING OF OURS IS MISSING",
        ),
        (four(["unreachable"] * 5), 2, "CANNOT TELL WHETHER THE CHAIN RUNS"),
        (
            Fleet([Host("a", 50), Host("b", 0, key="a", declared=False), Host("c", 50)], moving=True),
            2,
            "ONE KEY RUNS ON TWO HOSTS: SECURITY INCIDENT",
        ),
    ],
)
def test_the_headline(fleet: Fleet, looks: int, headline: str) -> None:
    verdict = assess(fleet, looks)
    assert verdict["headline"] == headline
    assert len(headline) <= 47


def test_the_facts_name_chain_height_and_block() -> None:
    facts = dict(assess(four(["stopped"]))["facts"])
    assert (facts["Chain"], facts["Height"]) == ("virtengine-1", "208")
    assert facts["Last block"] == f"2026-01-30 12:00:00 UTC, {HASH[:-3]}208"
    assert dict(assess(four(["unreachable"] * 5))["facts"])["Last block"] == "unknown"


def test_every_state_has_its_looks_and_words() -> None:
    assert set(view._STATES) == STATES | {"running"}
    assert {looks for looks, _words in view._STATES.values()} == set(LOOKS)


@given(fleet=fleets())
def test_the_table_adds_up_to_the_gauge_and_is_plain_json(fleet: Fleet) -> None:
    verdict = assess(fleet)
    assert json.loads(json.dumps(verdict)) == verdict
    (table,) = verdict["tables"]
    for row in table["rows"]:
        assert len(row["cells"]) == len(table["columns"]) == len(row["short"] or row["cells"])
        assert row["looks"] in LOOKS
    power = verdict["details"]["power"]
    assert sum(row["weight"] for row in table["rows"]) == power["total"]
    for gauge in verdict["gauges"]:
        assert (gauge["value"], gauge["unknown"]) == (power["voting"], power["unknown"])
        assert gauge["value"] + gauge["unknown"] <= gauge["total"]
