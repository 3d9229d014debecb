# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets whose nodes halted at a configured height, lost their log or filled their disk, and what a plan makes of them."""

from __future__ import annotations

import copy
import types
import typing as t

from tests.unit.plugin_utils._incidents.chain_halt.plan import readings as r
from tests.unit.plugin_utils._incidents.chain_halt.plan.bundles import (
    Host,
    Net,
    bundle,
    cause,
    check_step,
    checked,
    finished,
    verdict,
)
from tests.unit.plugin_utils._incidents.chain_halt.plan.test_steps import RELAXED, moved

REPLAY = f"Error: error during handshake: error on replay: halt per configuration height {r.HEIGHT} time 0"
LOST = f'ERR Error on catchup replay err="cannot replay height 101. WAL does not contain #ENDHEIGHT for {r.HEIGHT}"'
REGRESSION = 'ERR failed signing vote err="error signing vote: round regression at height 101. Got 0, last round 7"'
STARTED = "2026-01-30T12:00:00Z"
# Before and after the newest block.
PAST, FUTURE = 1769774380, 2000000000
Said = t.Optional[t.Mapping[str, t.Any]]
SAID: t.Mapping[str, t.Any] = types.MappingProxyType(
    {"incident_halt_is_over": r.HEIGHT, "incident_halt_is_over_reason": "call of 12:05, all operators"}
)

HALT_ACTIONS = ["stop_node", "clear_halt_height", "start_node"]
WAL_ACTIONS = ["stop_node", "put_wal_back", "start_node"]
FULL_ACTIONS = ["stop_node", "free_space", "start_node"]


def halting(height: int | None = r.HEIGHT, at: int | None = 0, source: str = "app.toml") -> dict[str, t.Any]:
    return {"halt_height": {"value": height, "source": source}, "halt_time": {"value": at, "source": source}}


def failed(height: int = r.HEIGHT, at: int = 0) -> str:
    """The line of a node that halted with these two values set."""
    return (
        f'ERR CONSENSUS FAILURE!!! err="failed to apply block; error halt per configuration height {height} time {at}"'
    )


def halted(power: int, key: str | None, by: tuple[int, int] = (r.HEIGHT, 0), **raw: t.Any) -> Host:
    """A node that runs with its consensus dead at its halt height. ``by``: halt height and halt time of its journal."""
    text = failed(*by)
    marks = [r.mark("halt_height", text), r.mark("consensus_failure", text), r.mark("exited", current=False)]
    if key is None:
        raw = {"signer": {"address": None, "key_file": False}, **raw}
    return Host("not_voting", power, key, raw={"config": halting(), "journal": {"marks": marks}, **raw})


FAILED = failed()


def wal(last: int | None = 0, *copies: tuple[str, int | None], present: bool = True) -> dict[str, t.Any]:
    listed = [{"name": name, "bytes": 5, "newest_at": STARTED, "last_end_height": end} for name, end in copies]
    return r.ok(
        {"path": "/v/data/cs.wal", "present": present, "bytes": 5, "newest_at": STARTED, "last_end_height": last}
        | {"copies": listed}
    )


def lost(power: int, key: str, **raw: t.Any) -> Host:
    """A validator that started without its log and signs nothing at this height."""
    marks = [r.mark("signing_regression", REGRESSION), r.mark("wal_missing", LOST)]
    parts = {"wal": wal(0, ("cs.wal.bak", r.HEIGHT)), "unit": {"started_at": STARTED}, "journal": {"marks": marks}}
    return Host("not_voting", power, key, raw={**parts, **raw})


WRITE = 'ERR CONSENSUS FAILURE!!! err="error writing batch to DB: write /var/lib/v/data/000042.log: no space left on device"'


def old_logs(size: int = 400_000_000, files: int = 6, fitting: t.Optional[int] = None) -> dict[str, t.Any]:
    """``fitting``: the bytes of those whose copies find room, all of them by default."""
    return r.ok({"files": files, "bytes": size, "compressible_bytes": size if fitting is None else fitting})


def full(power: int, key: str, running: bool = True, **raw: t.Any) -> Host:
    """A validator whose disk is full: its consensus is dead, or, restarted, it ends at every start."""
    marks = [r.mark("no_space", WRITE), r.mark("consensus_failure" if running else "exited", WRITE)]
    parts = {"disk": {"free_bytes": 4096}, "old_logs": old_logs(), "journal": {"marks": marks}}
    return Host("not_voting" if running else "crashed", power, key, raw={**parts, **raw})


def full_net(**more: Host) -> Net:
    return Net({"v1": Host("voting", 40, "a"), "v2": full(30, "b"), "v3": full(30, "c", running=False), **more})


def halt_net(**more: Host) -> Net:
    return Net({"v1": Host("voting", 40, "a"), "v2": halted(30, "b"), "v3": halted(30, "c"), **more})


def wal_net(**more: Host) -> Net:
    return Net({"v1": Host("voting", 40, "a"), "v2": lost(30, "b"), "v3": lost(30, "c"), **more})


def judged(net: Net) -> dict[str, t.Any]:
    """The verdict whose causes name each host that is blocked, as those of the incident do."""
    made: dict[str, t.Any] = verdict(net)
    kinds = {
        name: {mark["kind"] for mark in host.raw.get("journal", {}).get("marks", [])}
        for name, host in net.hosts.items()
    }
    halts = [name for name in net.hosts if "halt_height" in kinds[name]]
    losers = [name for name in net.hosts if "wal_missing" in kinds[name]]
    fulls = [name for name in net.hosts if "no_space" in kinds[name]]
    down = [name for name in made["causes"][0]["hosts"] if name not in (*halts, *losers, *fulls)]
    found = (
        ("halt_height", halts, HALT_ACTIONS),
        ("wal_lost", losers, WAL_ACTIONS),
        ("disk_full", fulls, FULL_ACTIONS),
    )
    made["causes"] = [cause(name, hosts, actions, []) for name, hosts, actions in found if hosts]
    made["causes"] += [cause("processes_down", down, ["start_node", "thaw_node"], [])] if down else []
    return made


def evidence(net: Net, looks: tuple[int, ...] = (1, 2), said: Said = SAID) -> dict[str, t.Any]:
    return checked({**bundle(net, looks), "settings": dict(said or {})})


def make(net: Net, said: Said = SAID, reason: str | None = None, **changes: t.Any) -> dict[str, t.Any]:
    return finished(evidence(net, said=said), {**judged(net), **changes}, reason)


def check(net: Net, made: dict[str, t.Any], step: dict[str, t.Any], said: Said = SAID) -> dict[str, t.Any]:
    return check_step(evidence(net, (2, 3), said), made, step)


def of(*hosts: str, change: str = "clear_halt_height") -> list[tuple[str, str]]:
    return [(action, host) for host in hosts for action in ("stop_node", change, "start_node")]


def act(net: Net, step: dict[str, t.Any]) -> Net:
    """The world after a step: what the acting modules and the chain make of it."""
    net = copy.deepcopy(net)
    host, action = net.hosts[step["hosts"][0]], step["action"]
    if action == "stop_node":
        host.doing = "stopped"
        # The unit's time of the stop comes before the next look, its evidence stays.
        host.raw.setdefault("unit", {}).update(stopped_at="2026-01-30T12:10:00Z")
    elif action == "clear_halt_height":
        host.raw["config"] = {**host.raw["config"], **halting(0, 0)}
    elif action == "put_wal_back":
        host.raw["wal"] = wal(r.HEIGHT, ("cs.wal.incident-halt-0123456789abcdef", 0))
    elif action == "free_space":
        host.raw["disk"] = {"free_bytes": 500_000_000}
    elif action == "relax_double_sign_check":
        host.raw["config"] = {**host.raw.get("config", {}), **RELAXED["config"]}
    elif action == "restore_double_sign_check":
        host.raw["config"]["double_sign_check_height"] = {"value": 10, "source": "config.toml"}
    else:
        host.doing = "voting" if host.power else "sentry"
        host.raw.pop("journal", None)
        host.raw.get("unit", {}).pop("stopped_at", None)
    voting = sum(power for letter, power in net.powers().items() if letter in net.voters())
    if 3 * voting <= 2 * sum(net.powers().values()):
        return net
    for other in net.hosts.values():
        # The log of a height that is decided is not needed any more: such a node votes from the next one on.
        if other.doing == "not_voting" and "wal" in other.raw:
            other.doing = "voting"
    return moved(net, net.height + 10)
