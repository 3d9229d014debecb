# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The consensus state out of the two answers that show it. PRIVATE to the collection.

``/dump_consensus_state`` has everything. ``/consensus_state`` lacks validators, the last commit and the peers, and
spells the rest differently: ``height_vote_set`` instead of ``votes``, ``"height/round/step"`` instead of three keys.
"""

from __future__ import annotations

import re
import typing as t

from .._host.json import SCALAR, Items
from .._host.parts import clean
from . import votes
from .answers import validator_rows
from .fields import ADDRESS, INT64, NODE_ID, Obj, wrong

_INT32 = 2**31 - 1
_STEP = 8  # RoundStepCommit, the last (consensus/types/round_state.go)
_HRS = re.compile(r"(0|[1-9][0-9]{0,18})/(0|[1-9][0-9]{0,9})/([0-8])")
_COUNT = re.compile(r"(0|[1-9][0-9]{0,9})/(0|[1-9][0-9]{0,9})")
_BITS = re.compile(r"[x_]{0,10000}")

_SET = {"validators": Items({"address": SCALAR, "voting_power": SCALAR}), "proposer": {"address": SCALAR}}
# The first round and the last ones: the newest is the one to come and mostly empty.
_ROUNDS = Items({"round": SCALAR, "prevotes": Items(SCALAR), "precommits": Items(SCALAR)}, first=1, last=3)
_PEER_STATE = {"height": SCALAR, "round": SCALAR, "step": SCALAR, "prevotes": SCALAR, "precommits": SCALAR}
# What is read of an answer that is too large for the memory, in both its spellings.
WANTED = {
    "jsonrpc": SCALAR,
    "id": SCALAR,
    "error": {"code": SCALAR, "message": SCALAR, "data": SCALAR},
    "result": {
        "round_state": {
            "height": SCALAR,
            "round": SCALAR,
            "step": SCALAR,
            "height/round/step": SCALAR,
            "start_time": SCALAR,
            "commit_time": SCALAR,
            "validators": _SET,
            "last_validators": _SET,
            "proposer": {"address": SCALAR},
            # Whether it is there is all that is read of it.
            "proposal": {},
            "proposal_block_parts": {"count/total": SCALAR},
            "votes": _ROUNDS,
            "height_vote_set": _ROUNDS,
            "last_commit": {"votes": Items(SCALAR)},
        },
        "peers": Items({"node_address": SCALAR, "peer_state": {"round_state": _PEER_STATE}}),
    },
}


def dumped(result: t.Any, truncated: bool) -> dict[str, t.Any]:
    """The contract's ``consensus`` out of a result of ``/dump_consensus_state``. Raises PartError (malformed)."""
    answer = Obj(result, "result")
    state = answer.inner("round_state")
    height = state.integer("height")
    validators = validator_rows(state.inner("validators"))
    if not validators:
        raise wrong("round_state.validators", "is empty")
    roll = votes.Roll([row["address"] for row in validators])
    rounds = votes.rounds(state.objects("votes"), roll, height)
    before = votes.Roll([])
    last = None
    size = len(validators)
    # At the first height there is neither.
    if state.has("last_commit") and state.has("last_validators"):
        before.addresses = [row["address"] for row in validator_rows(state.inner("last_validators"))]
        # In step 8 the block of this height is decided and not yet applied: the last commit is still the one before.
        size = max(size, len(before.addresses))
        last = votes.last_commit(state.inner("last_commit").items("votes"), before, height - 1)
    proposer = state.inner("validators").inner("proposer") if state.inner("validators").has("proposer") else None
    return {
        "height": height,
        "round": state.integer("round", high=_INT32),
        "step": state.integer("step", high=_STEP),
        "start_time": state.time("start_time"),
        "commit_time": state.time("commit_time"),
        "proposer": proposer.match("address", ADDRESS) if proposer else None,
        "proposal": _proposal(state, "proposal" in result["round_state"]),
        "block_parts": _block_parts(state),
        "validators": validators,
        "rounds": rounds,
        "last_commit": last,
        "peers": _peers(answer, size),
        "dropped_votes": roll.dropped + before.dropped,
        "truncated": truncated,
    }


def short_height(result: t.Any) -> int:
    """The height a result of ``/consensus_state`` is of. Raises PartError (malformed)."""
    return _position(Obj(result, "result").inner("round_state"))[0]


def short(result: t.Any, validators: list[dict[str, t.Any]], truncated: bool) -> dict[str, t.Any]:
    """The contract's ``consensus`` out of ``/consensus_state`` and the validators at its height.

    It has no last commit and no peers, and does not tell of a proposal. Raises PartError (malformed).
    """
    state = Obj(result, "result").inner("round_state")
    height, number, step = _position(state)
    roll = votes.Roll([row["address"] for row in validators])
    return {
        "height": height,
        "round": number,
        "step": step,
        "start_time": state.time("start_time"),
        "commit_time": None,
        "proposer": state.inner("proposer").match("address", ADDRESS) if state.has("proposer") else None,
        "proposal": None,
        "block_parts": None,
        "validators": validators,
        "rounds": votes.rounds(state.objects("height_vote_set"), roll, height),
        "last_commit": None,
        "peers": [],
        "dropped_votes": roll.dropped,
        "truncated": truncated,
    }


def _position(state: Obj) -> tuple[int, int, int]:
    height, number, step = (int(part) for part in state.match("height/round/step", _HRS).split("/"))
    if height > INT64 or number > _INT32:
        raise wrong("round_state.height/round/step", "is out of range")
    return height, number, step


def _proposal(state: Obj, shown: bool) -> t.Optional[bool]:
    """Whether a proposal for the present round was received; the key is there with null where none was."""
    if not state.has("proposal"):
        return False if shown else None
    state.inner("proposal")
    return True


def _block_parts(state: Obj) -> t.Optional[list[int]]:
    """How many parts of the proposed block are there, of how many; None where its parts are not known yet."""
    if not state.has("proposal_block_parts"):
        return None
    parts = state.inner("proposal_block_parts")
    # types/part_set.go: a set that is not there may be an empty object.
    if not parts.has("count/total"):
        return None
    have, total = (int(part) for part in parts.match("count/total", _COUNT).split("/"))
    if have > total:
        raise wrong(f"{parts.where}.count/total", "counts more parts than there are")
    return [have, total]


def _peers(answer: Obj, size: int) -> list[dict[str, t.Any]]:
    """What the node knows of its peers; a peer that has not said anything yet is left out.

    An array of more bits than ``size`` is None. It is of the set at another height, where the peer has been, or it is
    made to fill the memory: in neither case does it tell who votes.
    """
    peers = []
    for peer in answer.objects("peers"):
        if not peer.has("peer_state"):
            continue
        node_id, _at, remote = peer.text("node_address").partition("@")
        if not NODE_ID.fullmatch(node_id):
            raise wrong(f"{peer.where}.node_address", "does not begin with a node id")
        state = peer.inner("peer_state").inner("round_state")
        peers.append(
            {
                "node_id": node_id,
                "remote": clean(remote, 100),
                "height": state.integer("height"),
                # -1: the peer has not entered a round of this height.
                "round": state.integer("round", low=-1, high=_INT32),
                "step": state.integer("step", high=_STEP),
                "prevotes": _bits(state, "prevotes", size),
                "precommits": _bits(state, "precommits", size),
            }
        )
    return peers


def _bits(state: Obj, key: str, size: int) -> t.Optional[str]:
    bits = state.match(key, _BITS) if state.has(key) else ""
    return bits if state.has(key) and len(bits) <= size else None
