# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The causes of a halted chain, in the order in which they are asked. Each is one object in a file of this folder."""

from __future__ import annotations

from ...._chain.reading.reading import standing
from ...._chain.reading.types import Reading
from ...._path.text import clean
from ...._path.verdict.cause import CANNOT_TELL, HOLDS, Finding, refuted
from . import application, divergence, network, rounds, signing, stated, storage
from . import power as _power
from . import standing as _standing
from .context import SILENT, Halt, HaltCause, missing_power_holds, name_of

__all__ = ["CAUSES", "LASTING", "halt_of", "missing_power_holds", "standing"]

# Of several causes that match one host the first has it. What explains a halt, the most telling first.
EXPLAINING = (
    *signing.CAUSES,
    *stated.CAUSES,
    *storage.CAUSES,
    *divergence.CAUSES,
    *application.CAUSES,
    *network.CAUSES,
    *rounds.CAUSES,
    *_power.CAUSES,
)
# Roots of these do not halt a chain.
_BESIDE = frozenset({"clock_skew", "removed_from_set", "key_on_two_hosts"})


def _nothing_explains(halt: Halt) -> Finding:
    if halt.standing is None:
        return Finding(HOLDS, f"not known: {halt.ask(_standing.NOT_HALTED).because}")
    answers = [(cause, halt.ask(cause)) for cause in EXPLAINING if cause.id not in _BESIDE]
    explained = [cause.id for cause, finding in answers if finding.answer == HOLDS and not finding.symptom]
    if halt.standing is False or explained:
        return refuted("what is seen is explained by: " + ", ".join(explained or ["not_halted"]))
    missing = [finding.because for _cause, finding in answers if finding.answer == CANNOT_TELL]
    points = [*_open_points(halt), *dict.fromkeys(missing)] or [
        "enough power votes, or could: something else keeps it halted"
    ]
    return Finding(
        HOLDS, "the chain stands, and none of the known causes is established. Open: " + "; ".join(points[:4])
    )


def _open_points(halt: Halt) -> list[str]:
    """What speaks without deciding, the most telling first."""
    reading = halt.reading
    points = []
    if reading.rounds_grow:
        points.append("rounds grow: enough power votes, and finds no agreement")
    if reading.voting >= reading.quorum > reading.most_seen > 0:
        points.append(
            f"no node of ours sees more than {reading.most_seen} of these votes, {reading.quorum} are needed: they do "
            "not reach each other, or not in time"
        )
    silent = halt.ours(SILENT)
    return points + [f"{name_of(row)} ({row.power}): {clean(row.detail, 120)}" for row in silent[:3]]


NOTHING_EXPLAINS = HaltCause(
    "cannot_tell",
    "the cause is not shown",
    "The evidence does not show the cause",
    "1. Chain Halted, Quick Diagnosis 2",
    predicate=_nothing_explains,
    signs="It holds when it cannot be told whether the chain stands, or when it stands and no cause is "
    "established as a root. Its text lists what is open, the most telling first.",
    by_hand=(
        "curl -s http://127.0.0.1:26657/dump_consensus_state | jq '.result.round_state | .height, .round, .step, "
        ".votes[-1].prevotes_bit_array'",
        "journalctl -u virtengine.service -n 200 --no-pager",
    ),
)
CAUSES = (*_standing.CAUSES, *EXPLAINING, *rounds.ASIDE, NOTHING_EXPLAINS)
# An incident of their own, whether the chain runs or not.
LASTING = frozenset(cause.id for cause in CAUSES if cause.lasting)


def halt_of(reading: Reading) -> Halt:
    """The view that all these causes share of one reading."""
    return Halt(reading, CAUSES)
