# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vote's text may be, and whose it is."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import consensus
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import votes as _votes
from ansible_collections.virtengine.incident.plugins.module_utils._host import json as _rpc_json
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError

from tests.unit.module_utils._cometbft.server import recorded

NAME = "virtengine/halted-dump_consensus_state.json"
TEXT = (
    "Vote{1:E0AFAFD6EFEE 209/00/SIGNED_MSG_TYPE_PREVOTE(Prevote) CCAED077B407 15DAFECBCF43 000000000000 "
    "@ 2026-11-24T15:41:13.984395703Z}"
)


@pytest.fixture
def state() -> t.Any:
    return copy.deepcopy(_rpc_json.loads(recorded(NAME))["result"])


def test_a_vote_loses_its_signature() -> None:
    vote = _votes.parse(TEXT)
    assert vote == _votes.Vote(1, "E0AFAFD6EFEE", 209, 0, "Prevote", "CCAED077B407", "2026-11-24T15:41:13.984395703Z")


def test_older_spellings_are_read() -> None:
    older = TEXT.replace("SIGNED_MSG_TYPE_PREVOTE", "1").replace(" 000000000000 @", " @")
    assert _votes.parse(older) == _votes.parse(TEXT)


def test_a_vote_against_the_block_is_nil() -> None:
    vote = _votes.parse(TEXT.replace("CCAED077B407", "000000000000"))
    assert vote is not None and vote.block == "nil"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nil-Vote",
        TEXT + "\n",
        TEXT.replace("E0AFAFD6EFEE", "e0afafd6efee"),
        TEXT.replace("Prevote)", "Proposal)"),
        TEXT.replace("209/", "99999999999999999999/"),
        TEXT.replace("209/", "9223372036854775808/"),
        TEXT.replace("11-24", "13-24"),
        TEXT.replace("Vote{1", "Vote{\u0661"),
        TEXT.replace("Vote{1", "Vote{-1"),
        None,
        7,
        ["Vote"],
    ],
)
def test_anything_else_is_no_vote(text: t.Any) -> None:
    assert _votes.parse(text) is None


@pytest.mark.parametrize(
    "change",
    [
        ("Vote{1:", "Vote{2:"),
        ("Vote{1:", "Vote{9:"),
        ("E0AFAFD6EFEE", "7A83CE6E163E"),
        ("209/00", "208/00"),
        ("209/00", "209/01"),
        ("SIGNED_MSG_TYPE_PREVOTE(Prevote)", "SIGNED_MSG_TYPE_PRECOMMIT(Precommit)"),
        ("2026-11-24T", "2026-11-31T"),
    ],
)
def test_a_vote_that_cannot_be_its_validators_is_dropped_and_counted(state: t.Any, change: tuple[str, str]) -> None:
    votes = state["round_state"]["votes"][0]["prevotes"]
    votes[1] = votes[1].replace(*change)
    read = consensus.dumped(state, False)
    assert [vote[0] for vote in read["rounds"][0]["prevotes"]] == [2, 3]
    assert read["dropped_votes"] == 1


def test_more_votes_than_validators_are_dropped(state: t.Any) -> None:
    votes = state["round_state"]["votes"][0]["prevotes"]
    votes += [votes[1].replace("Vote{1:", f"Vote{{{index}:") for index in range(4, 9)]
    read = consensus.dumped(state, False)
    assert len(read["rounds"][0]["prevotes"]) == 3
    assert read["dropped_votes"] == 5


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("height",), "-1"),
        (("height",), str(2**63)),
        (("height",), 209.0),
        (("height",), True),
        (("height",), None),
        (("round",), -1),
        (("step",), 9),
        (("start_time",), "yesterday"),
        (("validators", "validators"), []),
        (("validators", "validators", 0, "voting_power"), str(2**63 - 1)),
        (("validators", "validators", 0, "voting_power"), "-40"),
        (("validators", "validators", 0, "voting_power"), "4e1"),
        (("validators", "validators", 0, "address"), "E0AFAFD6EFEE1FA09175D18E7FE85CD79789CED2"),
        (("validators", "validators", 0, "address"), "\u001b[31m"),
        (("votes", 1, "round"), 0),
        (("votes",), {}),
    ],
)
def test_a_state_no_chain_can_have_is_malformed(state: t.Any, path: tuple[t.Any, ...], value: t.Any) -> None:
    place = state["round_state"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(PartError) as error:
        consensus.dumped(state, False)
    assert error.value.kind == "malformed"
    assert "\x1b" not in error.value.text


def test_numbers_may_be_texts_and_texts_numbers(state: t.Any) -> None:
    expected = consensus.dumped(state, False)
    place = state["round_state"]
    place["height"], place["round"], place["step"] = 209, "0", "4"
    for validator in place["validators"]["validators"]:
        validator["voting_power"] = int(validator["voting_power"])
    assert consensus.dumped(state, False) == expected


def test_the_greatest_power_there_can_be(state: t.Any) -> None:
    rows = state["round_state"]["validators"]["validators"]
    rows[0]["voting_power"] = str(2**63 - 1 - 60)
    assert consensus.dumped(state, False)["validators"][0]["power"] == 2**63 - 61
