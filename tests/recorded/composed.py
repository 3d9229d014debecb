# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles of ``tests/data/bundles``, which no run of ours recorded: what each shows, and what its verdict has to be."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Composed:
    """One composed bundle. ``causes``: id -> role."""

    name: str
    about: str
    status: str
    causes: dict[str, str] = field(default_factory=dict)


COMPOSED = (
    Composed("network-healthy", "nothing; one look", "unknown", {"cannot_tell": "root"}),
    Composed("network-halted", "the validator of power 40 is stopped", "incident", {"processes_down": "root"}),
    Composed(
        "network-apphash-split",
        "half of the power computes another app hash",
        "incident",
        {"app_hash_divergence": "root"},
    ),
    Composed(
        "network-diverged-minority",
        "10 of 100 diverged, the others go on; one look",
        "unknown",
        {"cannot_tell": "root", "app_hash_divergence": "symptom", "consensus_failure": "symptom"},
    ),
    Composed(
        "network-upgrade-needed",
        "a planned upgrade is due, the binary is without it",
        "incident",
        {"upgrade_needed": "root", "consensus_failure": "symptom", "block_not_executed": "symptom"},
    ),
    Composed(
        "network-double-sign-check",
        "a stopped validator finds its own signature at each start",
        "incident",
        {"double_sign_check": "root", "processes_down": "symptom"},
    ),
    Composed(
        "composed-idle",
        "no node makes empty blocks, and no transaction waits",
        "unknown",
        {"idle_chain": "root", "cannot_tell": "root"},
    ),
    Composed(
        "composed-behind",
        "two RPCs outside show new blocks, 40 above all of ours",
        "degraded",
        {"node_behind": "root", "not_halted": "root"},
    ),
    Composed(
        "composed-clock",
        "40 of 100 are stopped, and the clock of another host is 95 s behind",
        "incident",
        {"processes_down": "root", "clock_skew": "symptom"},
    ),
    Composed(
        "composed-proposer",
        "10 of 100 are stopped, and a round is lost at their turn",
        "degraded",
        {"processes_down": "root", "not_halted": "root", "proposer_silent": "symptom"},
    ),
    Composed(
        "composed-slow-but-healthy",
        "two of three blocks need more than one round",
        "healthy",
        {"not_halted": "root", "slow_chain": "symptom"},
    ),
    Composed(
        "composed-consensus",
        "consensus of 40 of 100 ends, and the journal says nothing but that",
        "incident",
        {"consensus_failure": "root"},
    ),
    Composed(
        "composed-too-many-files",
        "40 of 100 have no file descriptor left at every start",
        "incident",
        {"node_dead_for_reason": "root", "processes_down": "symptom"},
    ),
    Composed(
        "composed-block-refused",
        "the validators of three RPCs outside stored a block and do not execute it; no host of ours",
        "incident",
        {"block_not_executed": "root"},
    ),
)
