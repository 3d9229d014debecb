# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All evidence of the node on this host, within a deadline. PRIVATE to the collection."""

from __future__ import annotations

import functools
import os
import time
import typing as t

from .._cometbft import marks
from .._cometbft import rpc as _cometbft
from .._host import journal as _journal
from .._host import lock as _host_lock
from .._host import process as _process
from .._host import systemd
from .._host.parts import PartError, failed, gather, part_error, stamp
from .._logs import find as _old_logs
from . import config as _config
from . import files, upgrade, wal
from . import p2p as _node_p2p
from . import places as _node_places
from . import signer as _signer

# Kept back from the deadline to put the answer together and send it.
RESERVE_S = 0.5
# A node answers all of it in some 20 ms (measured on a real fleet), and a handler that hangs is never cut by CometBFT.
# One that has not answered by now is busy or hangs; the rest of the evidence must not wait for it.
RPC_S = 6.0


class Options(t.NamedTuple):
    """What the user set; None is: find out."""

    unit: str
    home: str | None
    rpc_url: str | None
    binary: str | None
    journal_since_s: int
    deadline: float


class Clock(t.NamedTuple):
    """The host's time at the start, its boot, and the reading of ``time.monotonic()`` at which all must be done."""

    now: float
    boot_id: str | None
    until: float


def collect(options: Options) -> dict[str, t.Any]:
    """The contract's evidence of a node. Ends before ``options.deadline`` seconds have passed, whatever hangs."""
    until = time.monotonic() + max(options.deadline - RESERVE_S, 0.5)
    clock = Clock(time.time(), _boot_id(), until)
    uid = os.geteuid()
    unit, unit_part = _look_at_unit(options.unit, until)
    # The places of everything else follow from the process and the configuration: they come first, and fast.
    scanned = gather({"process": functools.partial(_scan, options, unit)}, _share(until, 0.4))["process"]
    private = scanned["data"].pop("launch") if scanned["ok"] else None
    own = (options.home, options.rpc_url, options.binary)
    place = functools.partial(_node_places.find, unit, private, *own, _hidden(unit_part, scanned))
    placed = gather({"config": place}, _share(until, 0.4))["config"]
    places = placed["data"] if placed["ok"] else _node_places.nowhere(options.home, options.rpc_url, placed["error"])
    parts = gather(_slow_parts(options, unit, scanned, places, clock), until)
    journal = parts["journal"]
    if journal["ok"]:
        _complete_unit(unit_part, journal["data"])
    network = parts["rpc"]["data"] if parts["rpc"]["ok"] else None
    return {
        "schema": 1,
        "clock": {"now": stamp(clock.now), "boot_at": stamp(_process.boot_time()), "boot_id": clock.boot_id},
        "access": {"uid": uid, "privileged": uid == 0},
        "unit": unit_part,
        "process": scanned,
        "paths": {key: places[key] for key in ("home", "home_source", "rpc", "rpc_source")},
        "binary": parts["binary"],
        "config": _config_part(placed),
        "genesis": parts["genesis"],
        "signer": parts["signer"],
        "disk": parts["disk"],
        "upgrade": parts["upgrade"],
        "wal": parts["wal"],
        "old_logs": parts["old_logs"],
        "p2p": network["p2p"] if network else parts["rpc"],
        "journal": journal,
        "responder_locks": parts["responder_locks"],
        "rpc": network["rpc"] if network else dict.fromkeys(_cometbft.PARTS, parts["rpc"]),
    }


def _share(until: float, part: float) -> float:
    """The moment at which ``part`` of the time that is left will have passed."""
    now = time.monotonic()
    return now + max(until - now, 0) * part


def _look_at_unit(name: str, until: float) -> tuple[systemd.Unit | None, dict[str, t.Any]]:
    """The unit, and the part it makes. A systemd that hangs costs at most a third of the time."""
    try:
        unit = systemd.read(name, _share(until, 0.33) - time.monotonic())
    except (PartError, OSError) as error:
        return None, part_error(error, name).part()
    return unit, {"ok": True, "data": unit.facts}


def _scan(options: Options, unit: systemd.Unit | None) -> dict[str, t.Any]:
    """The ``process`` data; under ``launch``, which is taken out again, what the process says of its own start."""
    names = _node_places.programs(unit, options.binary)
    facts = unit.facts if unit else {"main_pid": None, "control_group": None}
    scanned = _process.scan(_process.UnitOf(options.unit, facts["main_pid"], facts["control_group"]), names)
    source = scanned.main or (scanned.others[0] if scanned.others else None)
    launch = None
    if source is not None:
        launch = {
            "flags": _config.flags_of(source.argv),
            "variables": None if source.environ is None else _config.known_variables(source.environ),
            "of_unit": scanned.main is not None,
            "exe": source.facts["exe"],
        }
    return {
        "main": scanned.main.facts if scanned.main else None,
        "others": [seen.facts for seen in scanned.others],
        "launch": launch,
    }


def _slow_parts(
    options: Options,
    unit: systemd.Unit | None,
    scanned: dict[str, t.Any],
    places: dict[str, t.Any],
    clock: Clock,
) -> dict[str, t.Callable[[], t.Any]]:
    home, wal_file, genesis = places["home"], places["wal_file"], places["genesis_file"]
    key_file, state_file, laddr = (
        places["config"][name]["value"]
        for name in ("priv_validator_key_file", "priv_validator_state_file", "priv_validator_laddr")
    )
    work: dict[str, t.Callable[[], t.Any]] = {
        "rpc": functools.partial(_network, places, _halted_by(unit, scanned), _runs(scanned), clock.until),
        "journal": functools.partial(_read_journal, options, unit, clock),
        "responder_locks": _host_lock.seen,
    }
    program = functools.partial(files.binary, places, scanned["data"] if scanned["ok"] else None)
    work["binary"] = functools.partial(_where_known, places, "binary", (places["binary"],), program)

    def at_home(name: str, read: t.Callable[[], dict[str, t.Any]], *needed: str | None) -> None:
        known = functools.partial(_where_known, places, name, (home, *needed), read)
        work[name] = functools.partial(_no_home, name) if home is None and places["unknown"] is None else known

    at_home("genesis", lambda: files.genesis(genesis and os.path.join(home, genesis), clock.until), genesis)
    at_home("disk", lambda: files.disk(home))
    at_home("upgrade", lambda: upgrade.read(home, places["cosmovisor"], places["upgrades"]))
    at_home("wal", lambda: wal.read(home, wal_file, clock.until), wal_file)
    at_home("old_logs", lambda: _old_logs.read(home, wal_file, clock.now), wal_file)
    at_home("signer", lambda: _signer.read(home, key_file, state_file, laddr), key_file, state_file)
    return work


def _where_known(
    places: dict[str, t.Any], name: str, needed: tuple[str | None, ...], read: t.Callable[[], dict[str, t.Any]]
) -> dict[str, t.Any]:
    """What ``read`` gives. Raises PartError where a place it needs is unknown: the error that made it so."""
    if None in needed and places["unknown"] is not None:
        raise PartError(places["unknown"]["kind"], f"{name}: {places['unknown']['text']}")
    return read()


def _no_home(name: str) -> t.NoReturn:
    raise PartError("cannot_tell", f"{name}: the home of the node is not known; set the option home")


def _hidden(*parts: dict[str, t.Any]) -> str | None:
    """Why this user may not see the unit or its processes; None where it may."""
    errors = (part["error"] for part in parts if not part["ok"])
    return next((error["text"] for error in errors if error["kind"] == "privilege"), None)


def _halted_by(unit: systemd.Unit | None, scanned: dict[str, t.Any]) -> str | None:
    """Why the process of the unit cannot answer anybody: it is frozen. None where nothing says so."""
    main = scanned["data"]["main"] if scanned["ok"] else None
    if main is None:
        return None
    if main["frozen"] or (unit is not None and unit.facts["freezer_state"] == "frozen"):
        return f"process {main['pid']} is in a frozen cgroup"
    return f"process {main['pid']} is stopped by a signal" if main["state"] == "T" else None


def _runs(scanned: dict[str, t.Any]) -> bool | None:
    """Whether a process of the node runs on this host; None where the processes could not be seen."""
    return bool(scanned["data"]["main"] or scanned["data"]["others"]) if scanned["ok"] else None


def _network(places: dict[str, t.Any], halted_by: str | None, runs: bool | None, until: float) -> dict[str, t.Any]:
    """What the RPC shows, and the part that needs its list of peers. They share a child: it is done before others are."""
    rpc = _rpc(places, halted_by, until)
    try:
        laddr = places["config"]["p2p_laddr"]["value"]
        read = functools.partial(_node_p2p.read, laddr, places["peers"], rpc, runs, until)
        p2p = {"ok": True, "data": _where_known(places, "p2p", (places["peers"]["value"],), read)}
    except Exception as error:
        p2p = part_error(error, "p2p").part()
    return {"rpc": rpc, "p2p": p2p}


def _rpc(places: dict[str, t.Any], halted_by: str | None, until: float) -> dict[str, t.Any]:
    if places["rpc"] is None:
        return {name: failed("cannot_tell", places["rpc_why"]) for name in _cometbft.PARTS}
    if halted_by is not None:
        return {name: failed("cannot_tell", f"{name} was not asked for: {halted_by}") for name in _cometbft.PARTS}
    # A little before the end: the answers of the requests that did come must still be handed over.
    left = max(until - time.monotonic() - 0.5, 0.5)
    rpc: dict[str, t.Any] = _cometbft.gather(places["rpc"], min(left, RPC_S))
    return rpc


def _read_journal(options: Options, unit: systemd.Unit | None, clock: Clock) -> dict[str, t.Any]:
    """From ``journal_since_s`` ago, or from the start of the last invocation if that is longer ago."""
    since = clock.now - options.journal_since_s
    started = files.seconds(unit.facts["started_at"]) if unit else None
    if started is not None:
        since = min(since, started - 1)
    invocation = unit.facts["invocation_id"] if unit else None
    reader = _journal.Reader(marks.NODE, invocation, clock.boot_id)
    return _journal.read(options.unit, since, reader, _share(clock.until, 0.7))


def _complete_unit(unit_part: dict[str, t.Any], journal: dict[str, t.Any]) -> None:
    """Take what systemd has forgotten of a stopped unit from the journal, and leave the helper fields out of it.

    systemd unloads a unit that is neither running nor wanted by another one, and its times with it.
    """
    ended, invocation = journal.pop("ended_at"), journal.pop("invocation")
    if not unit_part["ok"]:
        return
    unit = unit_part["data"]
    if unit["main_pid"] is None and unit["stopped_at"] is None:
        unit["stopped_at"] = ended
    if unit["invocation_id"] is None:
        unit["invocation_id"] = invocation


def _config_part(placed: dict[str, t.Any]) -> dict[str, t.Any]:
    """The ``config`` part. It fails where this user may not read one of its files: become is what gives all of it."""
    if not placed["ok"]:
        return placed
    unknown = placed["data"]["unknown"]
    if unknown is not None:
        return failed(unknown["kind"], f"config: {unknown['text']}")
    return {"ok": True, "data": placed["data"]["config"]}


def _boot_id() -> str | None:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read(64).strip()
    except OSError:
        return None
