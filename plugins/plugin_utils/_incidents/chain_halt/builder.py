# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the planners of a halt share: steps in order, and whether one may be among them. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.signer import OPEN, REFUSED, Guard
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import (
    Node,
    Reading,
    ValidatorRow,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import reconnect as redial
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.guards import (
    BRINGING,
    RELAX,
    RESTORE,
    START,
    STOP,
    blocking,
)

# Causes that new dials may take away.
_ABOUT_PEERS = ("few_peers", "network_split")

Texts = dict[str, str]
Entry = dict[str, t.Any]


class Builder:
    """Steps in order, with the voting power before and after each."""

    def __init__(self, reading: Reading, verdict: dict[str, t.Any], break_glass: bool) -> None:
        self.reading = reading
        self.verdict = verdict
        self.break_glass = break_glass
        self.online = reading.voting
        self.steps: list[dict[str, t.Any]] = []
        self.withheld: list[Entry] = []
        self.taken: set[str] = set()
        self._stopped: set[str] = set()
        self._relaxed: list[tuple[Node, ValidatorRow | None, list[str]]] = []

    def add(
        self,
        action: str,
        node: Node,
        row: ValidatorRow | None,
        texts: Texts,
        taken_over: t.Sequence[str] = (),
        expected: dict[str, int] | None = None,
    ) -> None:
        """One more step. ``taken_over``: keys of the open guards that a person has to take over for it.

        ``expected``: the values that the step changes, and that have to be there still when it is taken.
        """
        brings = self._brings(action, row)
        self.steps.append(
            {
                "number": len(self.steps) + 1,
                "action": action,
                "host": node.host,
                "address": row.address if row is not None else None,
                "power": row.power if row is not None else 0,
                "why": texts["why"],
                "power_online_before": self.online,
                "power_online_after": self.online + brings,
                "quorum": self.reading.quorum,
                "undo": texts["undo"],
                "risk": texts["risk"],
                "break_glass": bool(taken_over),
                "taken_over": sorted(taken_over),
                **({"expected": expected} if expected is not None else {}),
            }
        )
        self.online += brings
        if action in BRINGING and row is not None:
            self.taken.add(row.address)

    def _brings(self, action: str, row: ValidatorRow | None) -> int:
        """The voting power that a step brings; less than 0 where it stops a validator that votes and nobody hears."""
        if row is None:
            return 0
        votes = row.counts_as == "voting" and row.address not in self._stopped
        if action == STOP and votes:
            self._stopped.add(row.address)
            return -row.power
        return row.power if action in BRINGING and not votes else 0

    def relax(self, node: Node, row: ValidatorRow | None, taken_over: list[str]) -> None:
        """Set ``double_sign_check_height`` to 0 before the start; the step that puts it back comes at the end."""
        self.add(RELAX, node, row, _relax_texts(node), taken_over)
        self._relaxed.append((node, row, taken_over))

    def restore(self) -> None:
        """Put back what was relaxed."""
        for node, row, taken_over in self._relaxed:
            self.add(RESTORE, node, row, _restore_texts(node), taken_over)

    def mark_waits(self, dialling: t.Container[str]) -> None:
        """Say after which steps a block has to come: where quorum is back, and no node has still to dial its peers."""
        for place, step in enumerate(self.steps):
            to_dial = any(later["action"] == STOP and later["host"] in dialling for later in self.steps[place + 1 :])
            step["waits_for_block"] = step["power_online_after"] >= step["quorum"] and not to_dial

    def withhold(self, node: Node, row: ValidatorRow | None, action: str, why: str, break_glass: bool = False) -> None:
        """Say what is not done and why. ``break_glass``: whether a reason for it would make it a step."""
        address = row.address if row is not None else None
        self.withheld.append(
            {"host": node.host, "address": address, "action": action, "why": why, "break_glass": break_glass}
        )

    def weigh(
        self, node: Node, row: ValidatorRow | None, actions: t.Sequence[str], guards: t.Iterable[Guard]
    ) -> Weighed:
        """Whether these steps on one host may be in the plan, by their guards and by what the causes ask for."""
        stops = blocking(guards)
        if stops and (not self.break_glass or any(guard.state == REFUSED for guard in stops)):
            # Steps on one host share guards: each reason is said once.
            why = " ".join(dict.fromkeys(guard.because for guard in stops))
            return Weighed([], why, all(guard.state != REFUSED for guard in stops))
        doubts = [doubt for action in actions if (doubt := self._doubt(node, row, action)) is not None]
        doubt = next((one for one in doubts if one.state == REFUSED), doubts[0] if doubts else None)
        if doubt is not None and (doubt.state == REFUSED or not self.break_glass):
            return Weighed([], doubt.because, doubt.state != REFUSED)
        return Weighed([*stops, *([doubt] if doubt is not None else [])])

    @property
    def about_peers(self) -> bool:
        """Whether a root is about peers that nodes lack."""
        return any(cause["id"] in _ABOUT_PEERS and cause["role"] == "root" for cause in self.verdict["causes"])

    def _waited_for_peers(self, node: Node) -> bool:
        """Whether it is down and its last run waited for peers: a run that was cut off may have stopped it for new dials."""
        return self.about_peers and node.data is not None and redial.waited(self.reading, node.data)

    def _doubt(self, node: Node, row: ValidatorRow | None, action: str) -> Guard | None:
        """Why the causes do not ask for this action, or None. Where nothing speaks against it, a person may decide."""
        name = "cause"
        causes = self.verdict["causes"]
        if any(action in cause["forbids"] and node.host in cause["hosts"] for cause in causes):
            return Guard(
                name,
                REFUSED,
                "The verdict names a reason that forbids it on this host: a start would end the same way.",
            )
        # A sentry costs no power, so no cause names it; it is justified where its kind of action is at all.
        if any(action in cause["justifies"] and (row is None or node.host in cause["hosts"]) for cause in causes):
            return None
        if action == START and self._waited_for_peers(node):
            return None
        brings = (
            f" It would bring {self.online} to {self.online + row.power}, {self.reading.quorum} is needed."
            if row
            else ""
        )
        return Guard(name, OPEN, f"No guard refuses it, but that it holds the chain up is not established.{brings}")


@dataclass(frozen=True)
class Weighed:
    """``taken_over``: what stays open and a person takes over. ``why``: why there is no step, or None."""

    taken_over: list[Guard]
    why: str | None = None
    break_glass: bool = False

    @property
    def keys(self) -> list[str]:
        """The names of what is taken over, each once."""
        return list(dict.fromkeys(guard.key for guard in self.taken_over))

    def risk(self, otherwise: str) -> str:
        """The risk of a step: what is not excluded, or, where all is, ``otherwise``."""
        open_ones = " ".join(dict.fromkeys(guard.because for guard in self.taken_over))
        return f"Break-glass, not excluded: {open_ones}" if open_ones else otherwise


def not_for_us(
    reading: Reading, node: Node, row: ValidatorRow | None, taken: t.Container[str], unheard: bool = False
) -> str | None:
    """Why this node is left alone whatever its guards say, or None. ``unheard``: it runs, and nobody hears its vote."""
    if not node.target:
        return "It is not among the hosts this run may act on (incident_target)."
    if row is None and node.declared is not None:
        return (
            f"The inventory declares validator {node.declared[:12]} for it, which is not in the set: jailed, tombstoned or "
            "unbonded, perhaps. A person finds out first."
        )
    if row is None and node.key_address is not None and _may_be_jailed(reading, node.key_address):
        return (
            f"It holds the key of {node.key_address[:12]}, which is not in the set, and it is not excluded that this is a "
            "validator that is jailed or tombstoned. A person finds out first."
        )
    if row is not None and row.counts_as == "voting" and not (unheard and row.host == node.host):
        return "This validator votes, so its key is in use elsewhere. A second node with it would sign twice."
    if row is not None and row.address in taken:
        return "Another host of this plan starts the same validator. One key signs on one machine only."
    return None


def _may_be_jailed(reading: Reading, address: str) -> bool:
    """Whether the chain names this key as jailed, or no node of ours shows all that it names.

    Every node has a key file, a sentry as well: only the chain says that its key is no validator's.
    """
    lists = [
        node.data.rpc.jailed for node in reading.nodes.values() if node.ok and node.data is not None and node.chain_ok
    ]
    if any(row.address("address") == address for part in lists for row in part.mappings("jailed")):
        return True
    return not any(part.ok and part.flag("truncated") is False for part in lists)


def what(row: ValidatorRow | None) -> str:
    """What a node is, in words."""
    return f"a validator with voting power {row.power}" if row is not None else "a sentry or full node"


def unit(node: Node) -> str:
    """The name of a node's unit."""
    return (node.data.unit.text("name") if node.data is not None else None) or "the unit"


def undo_of_start(node: Node, row: ValidatorRow | None) -> str:
    """How a start is undone, and what that costs."""
    votes = " It takes the votes away again: ask first." if row is not None else ""
    return f"systemctl stop {unit(node)} on {node.host}.{votes}"


RISK_OF_START = "It signs again with its key. The guards saw no other machine with it."
NO_RISK_OF_START = "None known: it signs nothing."


def _relax_texts(node: Node) -> Texts:
    height = node.data.setting("double_sign_check_height") if node.data is not None else None
    return {
        "why": f"double_sign_check_height is {height}. On a halted chain the node finds its own last signature and "
        "crashes at every start. It is set to 0 for this start.",
        "undo": "The restore step of this plan. The change is also gone after a reboot.",
        "risk": "This start is without the node's own check. The guards look for the same thing before it.",
    }


def _restore_texts(node: Node) -> Texts:
    return {
        "why": f"double_sign_check_height on {node.host} gets its value back, for the next start.",
        "undo": "None is needed: this is the undo.",
        "risk": "None: the process that runs is not touched.",
    }
