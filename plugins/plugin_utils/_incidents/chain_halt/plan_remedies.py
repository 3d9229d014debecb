# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for nodes with a reason that steps can take away: stop, cure, start. PRIVATE to the collection.

The steps of one host follow each other, so that a run that is killed leaves a tail of its plan.
"""

from __future__ import annotations

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import by_hand
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.guards.signer import Guard, needs_relaxing
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.node import NodeEvidence
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.types import (
    Node,
    Reading,
    ValidatorRow,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import reconnect as redial
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import remedies as cures
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.builder import (
    NO_RISK_OF_START,
    RISK_OF_START,
    Builder,
    Texts,
    Weighed,
    not_for_us,
    undo_of_start,
    unit,
    what,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.guards import (
    BRINGING,
    CLEAR_HALT,
    FREE,
    PUT_WAL,
    REMOVES,
    START,
    STOP,
    start_after_stop,
    start_guards,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.guards_remedies import (
    clear_guards,
    free_guards,
    is_up,
    put_guards,
    stop_guards,
    to_clear,
)

_CURE_FOR = {cures.HALT_HEIGHT: CLEAR_HALT, cures.WAL_MISSING: PUT_WAL, cures.NO_SPACE: FREE}

_STARTS = {
    cures.HALT_HEIGHT: "past its halt height",
    cures.WAL_MISSING: "with its own log",
    cures.NO_SPACE: "with room on its disk",
    cures.PEERS_AWAY: "and dials its peers at once",
}


def add(built: Builder, node: Node, row: ValidatorRow | None, ill: str) -> None:
    """Add the steps that cure ``ill`` (see ``_halt_cures.ailment``) on this host, or what is withheld and why."""
    reading, data = built.reading, node.data
    if data is None:
        return
    if ill == cures.PEERS_AWAY and not _asked_to_dial(built, node, row):
        return
    # A node without peers needs no cure between its stop and its start: the start dials.
    cure = None if ill == cures.PEERS_AWAY or _is_done(reading, node, data, ill) else _CURE_FOR[ill]
    stopping = is_up(data) is not False
    actions = [*([STOP] if stopping else []), *([cure] if cure is not None else []), START]
    named = cure or (STOP if stopping and ill == cures.PEERS_AWAY else START)
    reason = not_for_us(reading, node, row, built.taken, unheard=ill == cures.PEERS_AWAY)
    if reason:
        built.withhold(node, row, named, reason)
        return
    waiting = _waits_for(built, node) if ill == cures.PEERS_AWAY and stopping else None
    if waiting is not None:
        built.withhold(node, row, named, waiting)
        return
    relaxing = needs_relaxing(node, data)
    # What only prepares the start of a node that is down is asked for where the start is. A stop is asked for by name.
    asked = actions if stopping else [START]
    weighed = built.weigh(node, row, asked, _guards(reading, node, actions, relaxing))
    if weighed.why is not None:
        built.withhold(node, row, named, weighed.why, weighed.break_glass)
        return
    for action in actions:
        if action == START and relaxing:
            built.relax(node, row, weighed.keys)
        expected = to_clear(reading, node, data, reading.height) if action == CLEAR_HALT else None
        built.add(action, node, row, _texts(action, ill, reading, node, row, weighed), weighed.keys, expected)


def _waits_for(built: Builder, node: Node) -> str | None:
    """Why a validator is not stopped for new dials: another is down, and no step before brings it back. None: it may be."""
    if redial.signs_nothing(built.reading, node):
        return None
    started = {step["host"] for step in built.steps if step["action"] in BRINGING}
    down = [host for host in redial.down_beside(built.reading, node) if host not in started]
    return redial.held_by(down) if down else None


def _asked_to_dial(built: Builder, node: Node, row: ValidatorRow | None) -> bool:
    """Whether the verdict is about peers, and new dials of this node are worth a word.

    A full node that lacks a peer which nobody reaches is not.
    """
    return built.about_peers and (row is not None or bool(redial.open_from(node)))


def _is_done(reading: Reading, node: Node, data: NodeEvidence, ill: str) -> bool:
    """Whether the cure itself was made before, by whomever."""
    if ill == cures.HALT_HEIGHT:
        return cures.halt_is_cleared(reading, node, data, reading.height)
    return cures.wal_is_back(reading, node, data) if ill == cures.WAL_MISSING else cures.room_is_back(node, data)


def _guards(reading: Reading, node: Node, actions: list[str], relaxing: bool) -> list[Guard]:
    """All guards of all these steps, as if each step before had been taken."""
    stopping, height = STOP in actions, reading.height
    planned = {REMOVES[action] for action in actions if action in REMOVES}
    found: list[Guard] = list(stop_guards(reading, node)) if stopping else []
    # A halt that nobody called over is that also where its height is cleared already.
    if cures.HALT_HEIGHT in planned:
        found += clear_guards(reading, node, height, stopping)
    elif node.data is not None and cures.ailment(reading, node) == cures.HALT_HEIGHT:
        found.append(cures.is_over(reading, node, node.data, height))
    if cures.WAL_MISSING in planned:
        found += put_guards(reading, node, height, stopping)
    if cures.NO_SPACE in planned:
        found += free_guards(reading, node, stopping)
    if relaxing:
        planned.add(cures.DOUBLE_SIGN_CHECK)
    # The journal of a halt that is not called over would only say the same again.
    if any(guard.name == "halt_is_over" and guard.state != "clear" for guard in found):
        return found
    return [*found, *(start_after_stop if stopping else start_guards)(reading, node, frozenset(planned))]


def _texts(action: str, ill: str, reading: Reading, node: Node, row: ValidatorRow | None, weighed: Weighed) -> Texts:
    if action == STOP:
        return _redial_texts(node, row, weighed) if ill == cures.PEERS_AWAY else _stop_texts(node, row, weighed)
    if action == CLEAR_HALT:
        return _clear_texts(reading, node, weighed)
    if action == PUT_WAL:
        return _put_texts(reading, node, weighed)
    if action == FREE:
        return _free_texts(node, row, weighed)
    return {
        "why": f"{node.host} is {what(row)}. It starts {_STARTS[ill]} and takes part again.",
        "undo": undo_of_start(node, row),
        "risk": weighed.risk(RISK_OF_START if row is not None else NO_RISK_OF_START),
    }


def _stop_texts(node: Node, row: ValidatorRow | None, weighed: Weighed) -> Texts:
    return {
        "why": f"{node.host} is {what(row)} and takes no part: {node.detail}. It has to be down before its reason is "
        "taken away.",
        "undo": f"systemctl start {unit(node)} on {node.host}. It comes up with the same reason.",
        "risk": weighed.risk(
            "No power is lost: it votes for nothing. Its RPC is silent from here on. If the run ends before its start, it "
            "stays down."
        ),
    }


def _redial_texts(node: Node, row: ValidatorRow | None, weighed: Weighed) -> Texts:
    waits = redial.said(node.data) if node.data is not None else ""
    return {
        "why": f"{node.host} is {what(row)} and lacks peers that its host reaches ({', '.join(redial.open_from(node)[:3])}): "
        f"{waits}. A node that is started dials at once.",
        "undo": f"systemctl start {unit(node)} on {node.host}.",
        "risk": weighed.risk(
            "Nobody hears it, so no power is lost, and its own log gives it its votes back at the start. It is passed over if it has "
            "a peer by then."
            if row is not None
            else "Its RPC is silent for some seconds, and its peers lose it for that time."
        ),
    }


def _clear_texts(reading: Reading, node: Node, weighed: Weighed) -> Texts:
    data = node.data
    said = cures.is_over(reading, node, data, reading.height).because if data is not None else ""
    height, at = cures.settings(data) if data is not None else (None, None)
    return {
        "why": f"app.toml on {node.host} names halt-height {height} and halt-time {at}: the node does not execute the "
        f"block there. {said}",
        "undo": f"With the unit stopped, rename config/app.toml.incident-DIGEST on {node.host} back to config/app.toml. "
        "DIGEST is this plan's.",
        "risk": weighed.risk("If the halt is a coordinated one that is not over, this node leaves it."),
    }


def _put_texts(reading: Reading, node: Node, weighed: Weighed) -> Texts:
    data = node.data
    height = cures.lost_height(reading, node, data) if data is not None else None
    copies = cures.fitting_copies(data, height) if data is not None and height is not None else []
    copy = (copies[0].text("name") if copies else None) or "the copy"
    place = (data.wal.text("path") if data is not None else None) or "the log"
    empty = data is not None and data.wal.flag("present") is False
    aside = "" if empty else f", and {place}.incident-DIGEST back to {place}. DIGEST is this plan's"
    return {
        "why": f"{node.host} started without the log of height {height}: it begins again at round 0, and its signing state "
        f"keeps it from signing there. {copy} beside {place} ends with {height}.",
        "undo": f"With the unit stopped, rename {place} on {node.host} back to {copy}{aside}.",
        "risk": weighed.risk("None known: nothing is deleted, and the signing state is not touched."),
    }


# Of every plan: one may have compressed a part, and the next one the rest. The copies have the names of their logs in them.
_UNPACK = f"find /var/log {by_hand.HOME}/log {by_hand.HOME}/logs -name '*.incident-*.gz' -exec gzip -dN {{}} +"


def _free_texts(node: Node, row: ValidatorRow | None, weighed: Weighed) -> Texts:
    data = node.data
    free = data.disk.integer("free_bytes") if data is not None else None
    files, size = (data.old_logs.integer(key) if data is not None else None for key in ("files", "bytes"))
    return {
        "why": f"{node.host} is {what(row)}, and {free} bytes are free on its disk. {files} old log files of "
        f"{(size or 0) // 1_000_000} MB lie there: they are compressed beside themselves, the smallest first, until there is room.",
        "undo": f"Once the disk of {node.host} has room for them: {by_hand.placed([_UNPACK], [data])[0]}",
        "risk": weighed.risk("None known: a file goes only after its compressed copy was read back and is the same."),
    }
