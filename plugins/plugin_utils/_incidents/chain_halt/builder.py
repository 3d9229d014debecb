# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The draft of a plan in the making: its steps in order, and whether one may be among them. PRIVATE to the collection."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ..._chain.guards.case import Case
from ..._chain.peers import was_backing_off
from ..._chain.reading.types import Node, Reading
from ..._path.plan import plan
from ..._path.plan.guard import REFUSED, Guard, blocking, refused, undecided
from .actions import ACTIONS, RELAX, RESTORE, START, STOP
from .guards import RESTORES_POWER
from .remedies import double_sign_check
from .remedies.remedy import Texts

# Causes that a start may take away, for a node that is started dials its peers at once.
_ABOUT_PEERS = ("few_peers", "network_split")
# States of a node that a start or a thaw may end.
_BROUGHT_BACK = ("stopped", "crashed", "frozen")


class Builder:
    """Steps in order, with the voting power before and after each."""

    def __init__(self, reading: Reading, verdict: dict[str, t.Any], break_glass: bool) -> None:
        self.reading = reading
        self.causes = verdict["causes"]
        self.break_glass = break_glass
        self.online = reading.voting
        self.steps: list[plan.Step] = []
        self.withheld: list[dict[str, t.Any]] = []
        self.put_back: list[plan.Step] = []
        self.taken: set[str] = set()
        self.restarted: set[str] = set()
        self._stopped: set[str] = set()
        self._relaxed: list[tuple[Case, t.Sequence[str]]] = []

    def add(self, action: str, case: Case, texts: Texts, overrides: t.Sequence[str] = (), **parameters: t.Any) -> None:
        """One more step. ``overrides``: keys of the open guards that a person has to override for it."""
        before = self.online
        self.online += self._power_change(action, case)
        impact = {"label": "power seen voting", "before": before, "after": self.online, "needed": self.reading.quorum}
        self.steps.append(_step(action, case, texts, impact, overrides, **parameters))
        if action in RESTORES_POWER:
            self.restarted.add(case.host)
            self.taken.update({case.row.address} if case.row is not None else ())
        if action == START:
            # Also where nothing is relaxed here: the setting may be left from a run that was killed.
            self.put_back.append(_step(RESTORE, case, double_sign_check.restore_texts(case.host)))

    def _power_change(self, action: str, case: Case) -> int:
        """The voting power that a step restores; less than 0 where it stops a validator that votes and nobody hears."""
        row = case.row
        if row is None:
            return 0
        votes = row.counts_as == "voting" and row.address not in self._stopped
        if action == STOP and votes:
            self._stopped.add(row.address)
            return -row.power
        return row.power if action in RESTORES_POWER and not votes else 0

    def relax(self, case: Case, overrides: t.Sequence[str]) -> None:
        """Set ``double_sign_check_height`` to 0 before the start; the step that restores it comes at the end."""
        self.add(RELAX, case, double_sign_check.CHANGE.texts(case), overrides)
        self._relaxed.append((case, overrides))

    def restore(self) -> None:
        """Restore what was relaxed."""
        for case, overrides in self._relaxed:
            self.add(RESTORE, case, double_sign_check.restore_texts(case.host), overrides)

    def withhold(self, node: Node, action: str, why: str, break_glass: bool = False) -> None:
        """Say what is not done and why. ``break_glass``: whether a reason for it would make it a step."""
        # Of a node that is not down "start" is no word for what is not done.
        alone = action == START and node.state not in _BROUGHT_BACK
        what = f"leave {node.host} alone" if alone else f"{ACTIONS[action].words} {node.host}"
        self.withheld.append(
            {"action": action, "what": what, "hosts": [node.host], "why": why, "break_glass": break_glass}
        )

    def weigh(self, case: Case, actions: t.Sequence[str], guards: t.Iterable[Guard]) -> Weighed:
        """Whether these steps on one host may be in the plan, by their guards and by what the causes ask for."""
        stops = blocking(guards)
        if stops and (not self.break_glass or any(guard.state == REFUSED for guard in stops)):
            # Steps on one host share guards: each reason is said once.
            why = " ".join(dict.fromkeys(guard.because for guard in stops))
            return Weighed([], why, all(guard.state != REFUSED for guard in stops))
        doubts = blocking(doubt for action in actions if (doubt := self._doubt(case, action)) is not None)
        if doubts and (doubts[0].state == REFUSED or not self.break_glass):
            return Weighed([], doubts[0].because, doubts[0].state != REFUSED)
        return Weighed([*stops, *doubts[:1]])

    @property
    def about_peers(self) -> bool:
        """Whether a root is about peers that nodes lack."""
        return any(cause["id"] in _ABOUT_PEERS and cause["role"] == "root" for cause in self.causes)

    def _doubt(self, case: Case, action: str) -> Guard | None:
        """Why the causes do not ask for this action, or None. Where nothing speaks against it, it is open to break-glass."""
        name, row = "cause", case.row
        if any(action in cause["forbids"] and case.host in cause["hosts"] for cause in self.causes):
            return refused(
                name, "The verdict names a reason that forbids it on this host: a start would end the same way."
            )
        # A sentry costs no power, so no cause names it; it is justified where its kind of action is at all.
        if any(action in cause["justifies"] and (row is None or case.host in cause["hosts"]) for cause in self.causes):
            return None
        # It is down and its last run waited for peers: a run that was cut off may have stopped it to reconnect them.
        if action == START and self.about_peers and was_backing_off(self.reading, case.data):
            return None
        power = (
            f" It would bring {self.online} to {self.online + row.power}; {self.reading.quorum} needed." if row else ""
        )
        return undecided(
            name, f"No guard refuses it, but it is not established that this node keeps the chain halted.{power}"
        )


@dataclass(frozen=True)
class Weighed:
    """``overridden``: what stays open and a person overrides. ``why``: why there is no step, or None."""

    overridden: list[Guard]
    why: str | None = None
    break_glass: bool = False

    @property
    def keys(self) -> list[str]:
        """The names of what is overridden, each once."""
        return list(dict.fromkeys(guard.key for guard in self.overridden))

    def worded(self, texts: Texts) -> Texts:
        """The words of a step; its risk is what is not excluded, where anything is not."""
        open_ones = " ".join(dict.fromkeys(guard.because for guard in self.overridden))
        return texts._replace(risk=f"Break-glass, not excluded: {open_ones}") if open_ones else texts


def _step(
    action: str,
    case: Case,
    texts: Texts,
    impact: dict[str, t.Any] | None = None,
    overrides: t.Sequence[str] = (),
    **parameters: t.Any,
) -> plan.Step:
    """A step on one host. ``address``: of the validator that it has to hold still when the step is taken.

    ``unit`` and ``home``: the node that was looked at. Another one on the same host is another plan.
    """
    return plan.step(
        action,
        f"{ACTIONS[action].words} {case.host}",
        [case.host],
        **texts._asdict(),
        parameters={
            "address": case.row.address if case.row is not None else None,
            "unit": case.data.unit.text("name"),
            "home": case.data.paths.text("home"),
            **parameters,
        },
        impact=impact,
        overrides=overrides,
    )


def not_for_us(case: Case, taken: t.Container[str], unheard: bool = False) -> str | None:
    """Why this node is left alone whatever its guards say, or None. ``unheard``: it runs, and nobody hears its vote."""
    node, row = case.node, case.row
    if not node.target:
        return "It is not among the hosts this run may act on (incident_target)."
    if row is None and node.declared is not None:
        return (
            f"The inventory declares validator {node.declared[:12]} for it, which is not in the set: jailed, tombstoned or "
            "unbonded, perhaps. Find out which before anything is started."
        )
    if row is None and node.key_address is not None and _may_be_jailed(case.reading, node.key_address):
        return (
            f"It holds the key of {node.key_address[:12]}, which is not in the set, and it is not excluded that this is a "
            "validator that is jailed or tombstoned. Find out before anything is started."
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
