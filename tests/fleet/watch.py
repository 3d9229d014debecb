# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts and the chain are doing, seen from outside."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

from tests.fleet import cgroups, database, network
from tests.fleet.host import Box
from tests.fleet.names import Names
from tests.fleet.record import Record
from tests.fleet.run import PATIENCE_S, Failed

# The verdict calls a chain halted whose newest block is older than 30 s; a little more, for what is read a moment later.
HALTED_S = 33
# A poll asks again, so a node that hangs is not waited for.
POLL_S = 2


def seconds_since(text: str, now: datetime) -> float | None:
    """Age of an RFC 3339 time with any number of digits after the second; ``None`` when it is none."""
    try:
        whole = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return max(0.0, round((now - whole).total_seconds(), 1))


def _power_state(box: Box) -> str:
    if box.init() is None:
        return "off"
    if cgroups.is_frozen(box.cgroups()):
        return "frozen"
    return "on" if network.port_is_up(box.names, box.name) else "cut off"


def _sync(box: Box) -> tuple[int | None, str | None]:
    """Height and time of the newest block; of a chain without blocks 0 and ``None``."""
    answer = box.rpc("status", POLL_S)
    if answer is None:
        return None, None
    try:
        sync: Any = answer["sync_info"]
        height = int(sync["latest_block_height"])
    except (KeyError, TypeError, ValueError):
        return None, None
    return height, str(sync.get("latest_block_time")) if height else None


def _newest(names: Names, hosts: Sequence[str]) -> dict[str, tuple[int | None, str | None]]:
    """Height and time of the newest block on each host; ``None`` where nothing answers."""
    with ThreadPoolExecutor(max_workers=16) as pool:
        return dict(zip(hosts, pool.map(lambda host: _sync(Box(names, host)), hosts)))


def heights(names: Names, hosts: Sequence[str]) -> dict[str, int | None]:
    """Height of the newest block on each host; ``None`` where nothing answers."""
    return {host: height for host, (height, _time) in _newest(names, hosts).items()}


def height(box: Box) -> int:
    """Height of the newest block of a node that runs, once it says so."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = _sync(box)[0]
        if found is not None:
            return found
        time.sleep(0.5)
    raise Failed(f"{box.name} did not say its height in {PATIENCE_S} s")


def _round(box: Box) -> tuple[int | None, int | None]:
    """Round and step of the consensus the node takes part in."""
    answer = box.rpc("consensus_state")
    try:
        state: Any = answer and answer["round_state"]
        _height, round_, step = str(state["height/round/step"]).split("/")
        return int(round_), int(step)
    except (KeyError, TypeError, ValueError):
        return None, None


def database_status(box: Box, found: Record) -> dict[str, Any]:
    """A database host: the states of its units, and whether its services answer."""
    host = found.layout.host(box.name)
    power_state = _power_state(box)
    units: dict[str, str | None] = dict.fromkeys(database.UNITS)
    answers: dict[str, bool | None] = dict.fromkeys(database.UNITS)
    if power_state in ("on", "cut off"):
        for unit, port in ((database.SERVER, database.SERVER_PORT), (database.POOLER, database.POOLER_PORT)):
            shown = box.show("ActiveState", "SubState", unit=unit)
            units[unit] = f"{shown.get('ActiveState')}/{shown.get('SubState')}" if shown else None
            answers[unit] = database.answers(box, port)
    return {
        "host": box.name,
        "address": found.addresses()[box.name],
        "role": host.role,
        "ours": host.ours,
        "power_state": power_state,
        "units": units,
        "answers": answers,
    }


def host_status(box: Box, found: Record) -> dict[str, Any]:
    """A host of the chain: what it is and what it does. What cannot be told is ``None``."""
    host = found.layout.host(box.name)
    power_state = _power_state(box)
    seen: dict[str, Any] = {
        "unit": None,
        "main_pid": None,
        "height": None,
        "round": None,
        "step": None,
        "block_time": None,
    }
    if power_state in ("on", "cut off"):
        unit = box.show("ActiveState", "SubState", "MainPID", "NRestarts")
        if unit:
            seen["unit"] = f"{unit.get('ActiveState')}/{unit.get('SubState')}"
            seen["main_pid"] = int(unit.get("MainPID") or 0) or None
        seen["height"], seen["block_time"] = _sync(box)
        if seen["height"] is not None:
            seen["round"], seen["step"] = _round(box)
    return {
        "host": box.name,
        "address": found.addresses()[box.name],
        "role": host.role,
        "ours": host.ours,
        "power": host.power,
        "consensus_address": found.signers[box.name] if host.power or host.standby_of else None,
        "power_state": power_state,
        **seen,
    }


def status(names: Names, found: Record) -> dict[str, Any]:
    """The whole rig. ``chain_age_s``: seconds since the newest block that any host has."""
    boxes = [Box(names, host) for host in found.layout.nodes()]
    with_databases = [Box(names, host) for host in found.layout.databases()]
    with ThreadPoolExecutor(max_workers=16) as pool:
        hosts = list(pool.map(lambda box: host_status(box, found), boxes))
        databases = list(pool.map(lambda box: database_status(box, found), with_databases))
    now = datetime.now(timezone.utc)
    ages = [seconds_since(host["block_time"], now) for host in hosts if host["block_time"]]
    return {
        "name": names.rig,
        "chain_id": found.layout.chain_id,
        "total_power": found.layout.total,
        "quorum": found.layout.quorum,
        "chain_age_s": min((age for age in ages if age is not None), default=None),
        "faults": [{key: fault[key] for key in ("kind", "where", "arguments")} for fault in found.faults],
        "owner": found.owner,
        "inventory": str(names.state / "validators"),
        "hosts": hosts,
        "databases": databases,
    }


def _cell(value: object) -> str:
    return "?" if value is None else str(value)


def table(found: dict[str, Any]) -> list[str]:
    """The status as lines for a person."""
    lines = _chain_table(found) if found["hosts"] else [f"rig {found['name']}, without a chain"]
    if found["databases"]:
        form = "{:<10}{:<11}{:<7}{:<9}{:<18}{:<9}{:<18}{:<9}{}"
        lines += [
            "",
            form.format("host", "role", "whose", "state", "postgresql", "answers", "pgbouncer", "answers", "address"),
        ]
        for host in found["databases"]:
            shown = [_cell(host[key][unit]) for unit in database.UNITS for key in ("units", "answers")]
            whose = "ours" if host["ours"] else "theirs"
            lines.append(form.format(host["host"], host["role"], whose, host["power_state"], *shown, host["address"]))
    for fault in found["faults"]:
        lines.append(f"fault: {' '.join([fault['kind'], fault['where'], *fault['arguments']])}")
    return lines


def _chain_table(found: dict[str, Any]) -> list[str]:
    age = found["chain_age_s"]
    head = (
        f"rig {found['name']}, chain {found['chain_id']}: total power {found['total_power']}, quorum {found['quorum']}"
    )
    lines = [f"{head}, newest block {'not seen' if age is None else f'{age:.0f} s ago'}", ""]
    form = "{:<10}{:<11}{:<7}{:>6}  {:<9}{:<24}{:>8}{:>6}{:>5}  {}"
    lines.append(form.format("host", "role", "whose", "power", "state", "unit", "height", "round", "step", "address"))
    for host in found["hosts"]:
        shown = [_cell(host[key]) for key in ("unit", "height", "round", "step")]
        whose = "ours" if host["ours"] else "theirs"
        lines.append(
            form.format(host["host"], host["role"], whose, host["power"], host["power_state"], *shown, host["address"])
        )
    return lines


def signers(box: Box) -> set[str]:
    """Consensus addresses of the validator set, as this host's node sees it; empty when it does not answer."""
    answer: Any = box.rpc("validators?per_page=100")
    try:
        return {str(row["address"]) for row in answer["validators"]}
    except (KeyError, TypeError):
        return set()


def wait_for_blocks(
    names: Names, found: Record, more: int = 2, timeout: float = PATIENCE_S, hosts: Sequence[str] | None = None
) -> int:
    """See ``Rig.wait_for_blocks``."""
    wanted = list(hosts or found.layout.nodes())
    first: dict[str, int] = {}
    deadline = time.monotonic() + timeout
    seen: dict[str, int | None] = {}
    while time.monotonic() < deadline:
        seen = heights(names, wanted)
        grown = []
        for host, height in seen.items():
            if height is not None:
                grown.append(height >= first.setdefault(host, height) + more)
        if (hosts and len(grown) == len(wanted) and all(grown)) or (not hosts and any(grown)):
            return max(height for height in seen.values() if height is not None)
        time.sleep(0.3)
    raise Failed(f"no {more} new blocks in {timeout:g} s on {', '.join(wanted)}; heights now: {seen}")


def wait_halted(names: Names, found: Record, timeout: float = PATIENCE_S, hosts: Sequence[str] | None = None) -> int:
    """See ``Rig.wait_halted``."""
    wanted = list(hosts or found.layout.nodes())
    deadline = time.monotonic() + timeout
    newest, age = 0, None
    while time.monotonic() < deadline:
        seen = [(height, at) for height, at in _newest(names, wanted).values() if height and at]
        if seen:
            newest, at = max(seen)
            age = seconds_since(at, datetime.now(timezone.utc))
            if age is not None and age >= HALTED_S:
                return newest
        time.sleep(0.5)
    raise Failed(f"no halt within {timeout:g} s: the newest block is {newest}, {age} s old")


def unit_is_well(box: Box) -> bool:
    """The node's unit runs and its RPC answers."""
    return box.show("ActiveState").get("ActiveState") == "active" and box.rpc("health") is not None
