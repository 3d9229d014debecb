# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of one fault: what a node runs, its peers, the set it is in, and what all of the chain decided or does."""

from __future__ import annotations

from tests.recorded.case import EVERY, OURS, RESTART, ROOT, SYMPTOM, VALIDATORS, Case, Step, halted, on_each

VH1 = ("vh1",)


def _redialled(host: str) -> tuple[tuple[str, str], ...]:
    return (("stop_node", host), ("start_node", host))


UPGRADE: tuple[Step, ...] = (("fault", "upgrade", "+30"), ("sleep", "20"), ("halted", "vh2"))

CASES = (
    halted(
        "genesis-other",
        "34 of 100 have a genesis of another chain id over their data",
        (("fault", "genesis", "vh1", "other"),),
        causes={"other_genesis": ROOT},
    ),
    halted(
        "genesis-future",
        "set up anew with a genesis time that is two hours ahead",
        (("fault", "genesis", "vh1", "future"),),
        causes={"genesis_in_future": ROOT},
        withheld=VH1,
    ),
    halted(
        "no-peers",
        "it has no peer and none can reach it",
        (("fault", "no-peers", "vh1"),),
        causes={"few_peers": ROOT, "network_split": SYMPTOM},
    ),
    Case(
        "no-peers-running",
        "a small validator has no peer, blocks come",
        (("fault", "no-peers", "vh4"), ("sleep", "40")),
        "degraded",
        {"not_halted": ROOT, "few_peers": ROOT, "node_behind": SYMPTOM, "proposer_silent": SYMPTOM},
    ),
    halted(
        "p2p-closed",
        "the firewalls of all hosts close the p2p port; the connections that were are given up two minutes later",
        (*on_each("p2p-closed", EVERY), ("halted", "vh2"), ("sleep", "110")),
        causes={"few_peers": ROOT, "network_split": SYMPTOM},
        withheld=("vh3",),
    ),
    halted(
        "backoff",
        "the network was closed for some minutes and is open again, and the nodes wait minutes before they dial",
        (
            *on_each("slow-redial", EVERY),
            ("sleep", "10"),
            *on_each("p2p-closed", EVERY),
            ("halted", "vh2"),
            # Some two minutes until the connections count as lost, 20 tries, and dials after 3, 9, 27 and 81 s.
            ("sleep", "385"),
            ("heal", "all", "p2p-closed"),
        ),
        causes={"few_peers": ROOT, "network_split": SYMPTOM},
        plan=tuple(step for host in ("vs1", *OURS) for step in _redialled(host)),
    ),
    Case(
        "jailed",
        "a validator is jailed, blocks come",
        (("fault", "jail", "vh3"), ("sleep", "10")),
        "degraded",
        {"not_halted": ROOT, "removed_from_set": ROOT},
        layout="jail",
    ),
    halted(
        "jailed-halted",
        "18 of 100 are jailed, and 30 of the 82 that are left are stopped",
        (("fault", "jail", "vh3"), ("sleep", "5"), ("fault", "stop", "vh1")),
        causes={"processes_down": ROOT, "removed_from_set": SYMPTOM},
        plan=(("start_node", "vh1"),),
        layout="jail",
    ),
    halted(
        "upgrade",
        "the height of an upgrade is reached, and no host has its binary",
        UPGRADE,
        causes={"upgrade_needed": ROOT, "consensus_failure": SYMPTOM, "block_not_executed": SYMPTOM},
        withheld=OURS,
    ),
    halted(
        "upgrade-partial",
        "the same, and one host has the binary",
        (*UPGRADE, ("fault", "new-binary", "vh2"), ("sleep", "5")),
        causes={"upgrade_needed": ROOT, "consensus_failure": SYMPTOM, "block_not_executed": SYMPTOM},
        withheld=("vh1", "vh3", "vh4"),
    ),
    halted(
        "upgrade-early",
        "34 of 100 run the binary of an upgrade whose height has not come",
        (("fault", "upgrade", "+1000"), ("fault", "new-binary", "vh1")),
        causes={"wrong_binary": ROOT, "consensus_failure": SYMPTOM, "block_not_executed": SYMPTOM},
        withheld=VH1,
    ),
    halted(
        "old-binary",
        "the upgrade is done, and 34 of 100 run the binary from before it again",
        (*UPGRADE, *on_each("new-binary", EVERY), ("moving", "vh2"), ("fault", "old-binary", "vh1")),
        causes={"wrong_binary": ROOT, "consensus_failure": SYMPTOM, "block_not_executed": SYMPTOM},
        withheld=VH1,
    ),
    Case(
        "no-empty-blocks",
        "no node makes empty blocks: blocks come all the same, for each changes the application's hash",
        (*on_each("no-empty-blocks", EVERY), ("moving", "vh2"), ("sleep", "20")),
        "healthy",
        {"not_halted": ROOT},
    ),
    halted(
        "impatient",
        "nobody waits for a proposal: all vote nil, the rounds rise",
        on_each("impatient", VALIDATORS),
        causes={"proposals_late": ROOT},
    ),
    halted(
        "rejected",
        "48 of 100 refuse every proposal, the rounds rise",
        (("fault", "reject", "vh1", "+5"), ("fault", "reject", "vh3", "+5")),
        causes={"proposals_refused": ROOT},
    ),
    Case(
        "diverged-restarted",
        "14 of 100 computed another app hash and were restarted, blocks come",
        (("fault", "app-hash", "vh3", "+5"), ("sleep", "20"), ("on", "vh3", RESTART), ("sleep", "20")),
        "degraded",
        {
            "not_halted": ROOT,
            "diverged_and_restarted": ROOT,
            "app_hash_divergence": SYMPTOM,
            "node_behind": SYMPTOM,
            "proposer_silent": SYMPTOM,
        },
    ),
)
