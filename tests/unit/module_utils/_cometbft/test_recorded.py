# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded answers of real nodes, and what is read out of them."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import answers, consensus, votes
from ansible_collections.virtengine.incident.plugins.module_utils._host import json as _rpc_json
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError

from tests.unit.module_utils._cometbft.server import DATA, recorded

FILES = sorted(path.relative_to(DATA).as_posix() for path in DATA.glob("*/**/*.json"))
RULES: dict[str, t.Callable[[t.Any], t.Any]] = {
    "dump_consensus_state": lambda result: consensus.dumped(result, False),
    "consensus_state": consensus.short_height,
    "status": answers.status,
    "abci_info": answers.abci_info,
    "net_info": answers.net_info,
    "validators": answers.validators_page,
    "num_unconfirmed_txs": answers.mempool,
    "blockchain": answers.blocks,
    "commit": lambda result: answers.commit(result, int(result["signed_header"]["header"]["height"])),
}


def read(name: str) -> t.Any:
    return _rpc_json.loads(recorded(name))["result"]


def rule_of(name: str) -> t.Callable[[t.Any], t.Any]:
    return next(rule for method, rule in RULES.items() if method in name.rsplit("/", 1)[1])


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("commit_future.json")])
def test_every_recorded_answer_is_read(name: str) -> None:
    assert rule_of(name)(read(name))


@pytest.mark.parametrize("name", [name for name in FILES if "dump_consensus_state" in name])
@pytest.mark.parametrize("size", [1, 7, 65536])
def test_the_stream_reads_what_the_tree_reads(name: str, size: int) -> None:
    body = recorded(name)
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    pruned = _rpc_json.prune(pieces, consensus.WANTED)
    assert consensus.dumped(pruned["result"], False) == consensus.dumped(read(name), False)


@pytest.mark.parametrize("name", [name for name in FILES if "dump_consensus_state" in name])
def test_both_consensus_answers_show_the_same(name: str) -> None:
    dumped = consensus.dumped(read(name), False)
    short = consensus.short(read(name.replace("dump_", "")), dumped["validators"], False)
    if (short["height"], short["round"], short["step"]) != (dumped["height"], dumped["round"], dumped["step"]):
        assert "healthy" in name or "apphash" in name or "reject" in name, "only a moving state may differ"
        return
    for key in ("start_time", "proposer", "validators", "rounds", "dropped_votes"):
        assert short[key] == dumped[key], key


def test_no_signature_and_no_key_is_kept() -> None:
    for name in FILES:
        if name.endswith("commit_future.json"):
            continue
        kept = json.dumps(rule_of(name)(read(name)), default=vars)
        assert "signature" not in kept and "pub_key" not in kept and "=" not in kept, name


def test_a_halted_chain() -> None:
    state = consensus.dumped(read("virtengine/halted-dump_consensus_state.json"), False)
    assert (state["height"], state["round"], state["step"]) == (209, 0, 4)
    assert [row["power"] for row in state["validators"]] == [40, 30, 20, 10]
    assert [entry["round"] for entry in state["rounds"]] == [0, 1]
    assert state["rounds"][0]["prevotes"] == [
        [1, "CCAED077B407", "2026-11-24T15:41:13.984395703Z"],
        [2, "CCAED077B407", "2026-11-24T15:41:14.086101259Z"],
        [3, "CCAED077B407", "2026-11-24T15:41:14.085714709Z"],
    ]
    assert state["last_commit"]["height"] == 208
    assert len(state["last_commit"]["votes"]) == 4
    assert state["peers"][0]["prevotes"] == "_xxx"
    assert state["dropped_votes"] == 0


def test_a_peers_bits_beyond_the_set_are_not_kept() -> None:
    answer = read("virtengine/halted-dump_consensus_state.json")
    of_peer = answer["peers"][0]["peer_state"]["round_state"]
    of_peer.update(prevotes="x" * 4, precommits="x" * 5)
    kept = consensus.dumped(answer, False)["peers"][0]
    assert (kept["prevotes"], kept["precommits"]) == ("xxxx", None)
    # The set at the height before may have been larger.
    row = answer["round_state"]["last_validators"]["validators"][0]
    answer["round_state"]["last_validators"]["validators"].append({**row, "address": "F" * 40})
    assert consensus.dumped(answer, False)["peers"][0]["precommits"] == "xxxxx"


def test_a_split_shows_votes_for_nil_and_only_some_rounds() -> None:
    state = consensus.dumped(read("sdk/apphash-split/dump_consensus_state.node1.json"), False)
    assert [entry["round"] for entry in state["rounds"]] == [0, 4, 5, 6]
    blocks = {vote[1] for entry in state["rounds"] for vote in entry["prevotes"]}
    assert "nil" in blocks and len(blocks) > 1
    assert votes.NO_VOTE not in blocks


def test_the_application_of_both_sides_of_a_split() -> None:
    one = answers.abci_info(read("sdk/apphash-split/abci_info.node1.json"))
    other = answers.abci_info(read("sdk/apphash-split/abci_info.node2.json"))
    assert one["height"] == other["height"] == 29
    assert one["app_hash"] == "628C4BCA0FA3E88216939553935C1501794323BFB8C537B54A827B03AFBA1175"
    assert one["app_hash"] != other["app_hash"]


def test_a_full_node_has_no_power_and_a_jailed_one_none_either() -> None:
    assert answers.status(read("virtengine/halted-vh5-status.json"))["power"] == 0
    assert answers.status(read("virtengine/jailed-vh4-status.json"))["power"] == 0


def test_the_interval_is_the_median_of_neighbours() -> None:
    found = answers.blocks(read("halted/blockchain.json"))
    assert (found["interval_s"], found["from_height"], found["to_height"]) == (1.043, 321, 340)


def test_headers_tell_the_state_before_their_block_the_newest_first() -> None:
    result = read("halted/blockchain.json")
    found = answers.blocks(result)["headers"]
    assert found == [[int(meta["header"]["height"]), meta["header"]["app_hash"]] for meta in result["block_metas"]]
    assert found[0] == [340, answers.status(read("halted/status.json"))["app_hash"]]
    result["block_metas"].reverse()
    assert answers.blocks(result)["headers"] == found


@pytest.mark.parametrize("value", [None, 7, "aa", "A" * 129, "zz", ["A"]])
def test_an_app_hash_that_is_none_is_malformed(value: t.Any) -> None:
    result = read("halted/blockchain.json")
    result["block_metas"][3]["header"]["app_hash"] = value
    with pytest.raises(PartError):
        answers.blocks(result)


def test_a_height_twice_is_malformed() -> None:
    result = read("halted/blockchain.json")
    result["block_metas"][3] = result["block_metas"][4]
    with pytest.raises(PartError):
        answers.blocks(result)


@pytest.mark.parametrize(
    ("name", "proposal", "parts"),
    [
        ("virtengine/halted-dump_consensus_state.json", True, [1, 1]),
        ("sdk/halted/dump_consensus_state.node1.json", False, None),
        ("sdk/reject-rounds/dump_consensus_state.node1.json", True, [1, 1]),
        # Decided by the others, so its block came without a proposal.
        ("virtengine/diverged-vh3-dump_consensus_state.json", False, [1, 1]),
    ],
)
def test_whether_a_proposal_came_and_how_much_of_its_block(name: str, proposal: bool, parts: t.Any) -> None:
    state = consensus.dumped(read(name), False)
    assert state["proposal"] is proposal and state["block_parts"] == parts


NAME = "virtengine/halted-dump_consensus_state.json"


def test_what_is_not_told_of_a_proposal_is_null() -> None:
    result = read(NAME)
    del result["round_state"]["proposal"], result["round_state"]["proposal_block_parts"]
    state = consensus.dumped(result, False)
    assert state["proposal"] is None and state["block_parts"] is None
    result["round_state"]["proposal_block_parts"] = {}
    assert consensus.dumped(result, False)["block_parts"] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("proposal", True),
        ("proposal", "yes"),
        ("proposal", []),
        ("proposal", ()),
        ("proposal_block_parts", "1/1"),
        ("proposal_block_parts", {"count/total": "2/1"}),
        ("proposal_block_parts", {"count/total": "1"}),
        ("proposal_block_parts", {"count/total": "-1/1"}),
        ("proposal_block_parts", {"count/total": "1/99999999999"}),
        ("proposal_block_parts", {"count/total": 1}),
    ],
)
def test_a_proposal_that_cannot_be_is_malformed(key: str, value: t.Any) -> None:
    result = read(NAME)
    result["round_state"][key] = value
    with pytest.raises(PartError) as error:
        consensus.dumped(result, False)
    assert error.value.kind == "malformed"


def test_the_first_block_carries_the_genesis_time_and_is_no_neighbour() -> None:
    metas = read("halted/blockchain.json")["block_metas"]
    oldest = min(metas, key=lambda meta: int(meta["header"]["height"]))["header"]
    oldest["last_block_id"]["hash"] = ""
    oldest["time"] = "2020-01-01T00:00:00Z"
    young = [meta for meta in metas if int(meta["header"]["height"]) <= int(oldest["height"]) + 1]
    assert answers.blocks({"block_metas": young})["interval_s"] is None
    assert answers.blocks({"block_metas": metas})["interval_s"] == pytest.approx(1.043, abs=0.02)


def test_an_error_object_has_no_result() -> None:
    with pytest.raises(KeyError):
        read("halted/commit_future.json")


def test_who_is_absent_needs_the_set_of_that_height() -> None:
    found = answers.commit(read("virtengine/halted-vh5-commit.json"), 208)
    addresses = [row["address"] for row in answers.validators_page(read("virtengine/halted-validators.json")).rows]
    assert found.shape["absent"] is None
    answers.name_absent(found, list(reversed(addresses)))
    assert found.shape["absent"] is None
    answers.name_absent(found, addresses)
    assert found.shape["absent"] == ["AE75BB99D88CBB38BE0B166005CF90FD2A5B1F95"]


def test_a_commit_of_another_height_is_refused() -> None:
    with pytest.raises(PartError) as error:
        answers.commit(read("virtengine/halted-commit.json"), 207)
    assert error.value.kind == "malformed"
