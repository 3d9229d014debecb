# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A halt as its causes see it: the reading, which cause matches which host, and the one rule of missing power. PRIVATE."""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass, replace

from ...._chain import power as _power
from ...._chain.node import Mark, NodeEvidence
from ...._chain.reading.reading import standing
from ...._chain.reading.state import HINDERING
from ...._chain.reading.trust import SUPPORT
from ...._chain.reading.types import DOWN, Node, Reading, ValidatorRow
from ...._path.text import clean
from ...._path.verdict.cause import HOLDS, Cause, Finding, cannot_tell, refuted

Rows = list[ValidatorRow]

_STAMPED = re.compile(r"^\d{1,2}:\d\d[AP]M [A-Z]{3} ")
_FAILURE = re.compile(r'CONSENSUS FAILURE!!! err="((?:[^"\\]|\\.)*)')

# What is missing where only RPCs were asked, or no host answers.
NO_HOST = "the evidence of a host: its journal, unit, disk and configuration"

SILENT = ("not_voting", "busy")


@dataclass(frozen=True)
class HaltCause(Cause):
    """A cause of a halt, which is SEV-1 unless it says otherwise."""

    severity: t.Optional[str] = "SEV-1"


class Unclear(str):
    """What ``detect`` of a cause gives where a host neither shows the cause nor that it is not there: why not."""


@dataclass(frozen=True)
class Match:
    """A host that a cause matches. ``row`` is its validator's where the host speaks for one."""

    node: Node
    row: t.Optional[ValidatorRow]
    text: str  # the observation


class Halt:
    """What the predicates of a halt's causes ask. Made once for a reading; answers are remembered."""

    def __init__(self, reading: Reading, causes: t.Sequence[Cause]) -> None:
        self.reading = reading
        self._causes = causes
        self._findings: dict[str, Finding] = {}

    def ask(self, cause: Cause) -> Finding:
        """What a cause says of this halt."""
        if cause.id not in self._findings:
            if cause.predicate is not None:
                self._findings[cause.id] = cause.predicate(self)
            else:
                self._findings[cause.id] = of_hosts(self, cause)
        return self._findings[cause.id]

    @functools.cached_property
    def standing(self) -> t.Optional[bool]:
        """Whether the chain is halted: True also after one look that shows it clearly, None where nobody can tell.

        New blocks that one RPC outside claims, and none of ours has, are no proof.
        """
        halted = standing(self.reading)
        return None if halted is False and self.reading.movers == 0 and not lives_outside(self.reading) else halted

    @functools.cached_property
    def rows(self) -> dict[str, ValidatorRow]:
        """Our rows by the host that speaks in them."""
        return {row.host: row for row in self.reading.validators if row.owner == "ours" and row.host is not None}

    @property
    def matches(self) -> dict[str, list[Match]]:
        """By cause: the hosts it matches. A host belongs to the first cause in order that matches it."""
        return self._asked[0]

    @property
    def unclear(self) -> dict[str, list[Match]]:
        """By cause: the hosts on which it is not refuted, for it would match them if they showed less of the rest."""
        return self._asked[1]

    @functools.cached_property
    def _asked(self) -> tuple[dict[str, list[Match]], dict[str, list[Match]]]:
        matches: dict[str, list[Match]] = {cause.id: [] for cause in self._causes}
        unclear: dict[str, list[Match]] = {cause.id: [] for cause in self._causes}
        for node in self.reading.nodes.values():
            if node.data is None:
                continue
            row = self.rows.get(node.host)
            # Votes on another chain's state are for blocks that nobody else has: there a voter can match as well.
            taken = row is not None and row.counts_as == "voting" and not self._votes_elsewhere(node)
            for cause in self._causes:
                text = self._detect(cause, node)
                if text and not taken and not isinstance(text, Unclear):
                    matches[cause.id].append(Match(node, row, text))
                    taken = True
                elif text or (text := self._would_match(cause, node)):
                    unclear[cause.id].append(Match(node, row, text))
        return matches, unclear

    def _votes_elsewhere(self, node: Node) -> bool:
        name = node.data.genesis.text("chain_id") if node.data is not None and not node.chain_ok else None
        return bool(self.standing) and name is not None and name != self.reading.chain_id

    def _detect(self, cause: Cause, node: Node) -> t.Optional[str]:
        return cause.detect(self, node) if cause.detect is not None else None

    def _would_match(self, cause: Cause, node: Node) -> t.Optional[str]:
        texts = (self._detect(cause, other) for other in _otherwise(node))
        return next((text for text in texts if text and not isinstance(text, Unclear)), None)

    @functools.cached_property
    def explained(self) -> frozenset[str]:
        """Hosts that some cause matches: what they do has a reason."""
        return frozenset(one.node.host for hosts in self.matches.values() for one in hosts)

    @functools.cached_property
    def hindered(self) -> int:
        """Power of our validators that live and cannot vote, or not for this chain, for an established reason."""
        return sum(row.power for row in self.rows.values() if row.host in self.explained and row.counts_as != "absent")

    @functools.cached_property
    def agreeing(self) -> int:
        """Power that votes, without what votes on the state of another chain."""
        lost = sum(row.power for row in self.rows.values() if row.host in self.explained and row.counts_as == "voting")
        return self.reading.voting - lost

    def ours(self, states: tuple[str, ...]) -> Rows:
        return [row for row in self.reading.validators if row.owner == "ours" and row.state in states]

    def judged(self, rows: Rows, words: str, hosts: tuple[str, ...] = (), held: bool = False) -> Finding:
        """The rule of missing power for a part of it: ``rows`` (not empty) do not vote.

        ``held``: they are kept from voting by the cause itself, so their power counts as lost. Where they are not what
        stops the chain, the cause holds as a symptom and asks for nothing.
        """
        reading = self.reading
        power = sum_of(rows)
        hosts = hosts or tuple(sorted(row.host for row in rows if row.host is not None))
        if self.standing is None:
            if held:
                return Finding(
                    HOLDS,
                    f"{words}; whether the chain stands still is not known",
                    power,
                    hosts,
                    symptom=True,
                    justifies=(),
                )
            return cannot_tell(f"{words}; but nothing shows yet whether the chain stands still")
        if self.standing is False:
            return Finding(
                HOLDS, f"{words}; {power} of {reading.total} power is lost, and blocks still come", power, hosts
            )
        left = reading.total - reading.absent
        needed = f"{reading.quorum} of {reading.total} are needed"
        if left < reading.quorum:
            return Finding(HOLDS, f"{words}. With all that is absent, at most {left} can vote; {needed}", power, hosts)
        if self.agreeing >= reading.quorum:
            because = f"{words}; but {self.agreeing} vote now, and {needed}: that is not what stops the chain"
            return Finding(HOLDS, because, power, hosts, symptom=True, justifies=())
        if left - self.hindered < reading.quorum:
            because = (
                f"{words}. Without them and all else that is down or held, at most {left - self.hindered} can vote; "
            )
            return Finding(HOLDS, because + needed, power, hosts)
        because = f"{words}; up to {left - self.hindered} could still vote ({needed}): not known of {self.open_power()}"
        return Finding(HOLDS, because, power, hosts, symptom=True, justifies=())

    def powerless(self, words: str, hosts: tuple[str, ...]) -> Finding:
        """It holds on hosts that take no voting power with them: on a chain that stands beside the cause, no cause."""
        return Finding(HOLDS, f"{words}; no voting power is lost by that", 0, hosts, symptom=self.standing is not False)

    def open_power(self) -> str:
        """Whose state decides, and is not known."""
        rows = [row for row in self.reading.validators if row.counts_as == "unknown"]
        return "; ".join(f"{name_of(row)} ({row.power}): {clean(row.detail, 100)}" for row in rows[:3]) or "nobody"

    @functools.cached_property
    def genesis_files(self) -> frozenset[str]:
        """SHA-256 of the genesis files of all our hosts that are not set aside."""
        shown = (
            node.data.genesis.text("sha256")
            for node in self.reading.nodes.values()
            if node.data is not None and node.chain_ok
        )
        return frozenset(digest for digest in shown if digest is not None)

    @functools.cached_property
    def seen(self) -> bool:
        """Whether any host of ours gave evidence."""
        return any(node.data is not None for node in self.reading.nodes.values())

    @functools.cached_property
    def unread(self) -> str:
        """Whose evidence or journal is missing, so that a cause could hide there; empty where nobody's is.

        Our validators that do not vote; where no RPC shows who is one, all our hosts.
        """
        rows = [
            row
            for row in self.rows.values()
            if row.counts_as != "voting" and not journal_read(self.reading.nodes[t.cast(str, row.host)])
        ]
        if rows or self.reading.total > 0 or not self.seen:
            return names(rows)
        nodes = self.reading.nodes.values()
        hosts = sorted(clean(node.host, 40) for node in nodes if node.observed and not journal_read(node))
        return ", ".join(hosts[:6]) + (f" and {len(hosts) - 6} more" if len(hosts) > 6 else "")


def journal_read(node: Node) -> bool:
    return node.data is not None and node.data.journal.ok


def of_hosts(halt: Halt, cause: Cause) -> Finding:
    """The answer of a cause that is about hosts."""
    matches = halt.matches[cause.id]
    rows = [one.row for one in matches if one.row is not None]
    if matches:
        words = _observed(matches)
        hosts = tuple(sorted(one.node.host for one in matches))
        if rows and halt.reading.total > 0:
            return halt.judged(rows, words, hosts, held=True)
        if halt.reading.total <= 0:
            return Finding(HOLDS, f"{words}; no RPC shows the validator set, so power cannot be counted", 0, hosts)
        return halt.powerless(words, hosts)
    if halt.unread:
        return cannot_tell(f"the journal and evidence of {halt.unread}")
    if halt.unclear[cause.id]:
        return cannot_tell(open_on(halt.unclear[cause.id]))
    if not halt.seen:
        return cannot_tell(NO_HOST)
    return refuted("none of our hosts that take no part shows it")


def _observed(matches: list[Match]) -> str:
    """What was seen, the greatest power first; the same words only once."""
    by_text: dict[str, list[Match]] = {}
    for one in sorted(matches, key=lambda one: (-(one.row.power if one.row else 0), one.node.host)):
        by_text.setdefault(one.text, []).append(one)
    parts = []
    for text, ones in list(by_text.items())[:3]:
        named = ", ".join(
            f"{clean(one.node.host, 40)} ({one.row.power if one.row else 'no validator'})" for one in ones[:6]
        )
        parts.append(f"on {named}{f' and {len(ones) - 6} more' if len(ones) > 6 else ''}: {text}")
    more = sum(len(ones) for ones in list(by_text.values())[3:])
    return "; ".join(parts) + (f"; and {more} hosts more" if more else "")


def _otherwise(node: Node) -> t.Iterator[Node]:
    """A host that runs, as it would be read if less were seen of its votes or its chain.

    What holds of one of these is not refuted by what is seen. Its journal's reason is one of those that hinder a node
    that lives, or, where the host is set aside for its genesis, whatever stands beside a failure of consensus.
    """
    if node.state in DOWN or node.data is None:
        return
    yield from (replace(node, state=state) for state in SILENT if state != node.state)
    failed = not node.chain_ok and current(node.data, "consensus_failure") is not None
    for mark in node.data.marks if node.reason is None else ():
        if mark.current and (failed or mark.kind in HINDERING):
            yield replace(node, state="not_voting", reason=mark)


def open_on(matches: list[Match]) -> str:
    """What is not clear about a cause, and on which hosts."""
    parts = [
        f"{clean(one.node.host, 40)}, {one.node.state.replace('_', ' ')}: {clean(one.text, 160)}" for one in matches
    ]
    more = f"; and {len(parts) - 3} hosts more" if len(parts) > 3 else ""
    return f"whether this keeps it from voting: {'; '.join(parts[:3])}{more}"


def lives_outside(reading: Reading) -> bool:
    """Whether RPCs outside the inventory show new blocks that none of our nodes has."""
    outnumbered = reading.outside_movers > reading.outside_standing
    moves = reading.outside_movers >= SUPPORT and reading.outside_quorum
    return reading.movers == 0 and moves and outnumbered


def missing_power_holds(reading: Reading) -> bool:
    """T - A < Q: what is established as absent halts the chain."""
    return reading.total > 0 and _power.halts(reading.total, reading.absent)


def sum_of(rows: Rows) -> int:
    return sum(row.power for row in rows)


def name_of(row: ValidatorRow) -> str:
    return clean(row.host or row.name, 40)


def names(rows: Rows) -> str:
    """The greatest few by name with their power, the rest as a number."""
    rows = sorted(rows, key=lambda row: (-row.power, row.address))
    shown = ", ".join(f"{name_of(row)} ({row.power})" for row in rows[:6])
    rest = rows[6:]
    return f"{shown} and {len(rest)} more ({sum_of(rest)})" if rest else shown


def reason_is(node: Node, kinds: t.Collection[str]) -> t.Optional[str]:
    """The journal's words where the stated reason of a host that takes no part is one of ``kinds``."""
    if node.reason is None or node.reason.kind not in kinds:
        return None
    return quoted(node.reason.text, 140) or node.reason.kind.replace("_", " ")


def quoted(text: str, limit: int) -> str:
    """A journal line without its time and level; of a consensus failure what it is about."""
    failure = _FAILURE.search(text)
    return clean(failure[1] if failure is not None else _STAMPED.sub("", text), limit)


def current(data: t.Optional[NodeEvidence], kind: str) -> t.Optional[Mark]:
    """The mark of that kind in the unit's present or last invocation, or None."""
    marks = data.marks if data is not None else ()
    return next((mark for mark in marks if mark.kind == kind and mark.current), None)


def with_set(predicate: t.Callable[[Halt], Finding]) -> t.Callable[[Halt], Finding]:
    """Power can only be counted where the validator set is known."""

    def asked(halt: Halt) -> Finding:
        if halt.reading.total <= 0:
            return cannot_tell("the validator set: no RPC that counts shows it")
        return predicate(halt)

    return asked
