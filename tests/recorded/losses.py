# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence that gets lost: a bundle without parts of it, and what must not come of that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, cast

from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.plan import finish

Data = dict[str, Any]
Steps = set[tuple[str, str]]
# What is lost of an observation: host, look, part.
Loss = tuple[str, int, str]

HALT = registry.incident("chain_halt")

WHOLE = "the whole observation"
PARTS = (
    "clock", "access", "unit", "process", "paths", "binary", "config", "genesis", "signer", "disk", "upgrade", "wal", "p2p",
    "old_logs",
    "journal", "rpc",
)  # fmt: skip
LOSABLE = (WHOLE, *PARTS, *(f"rpc.{name}" for name in _cometbft.PARTS))

# How a part is lost: it says so in one of these ways, or it is not there at all.
LATE, FAILED, ABSENT = "late", "failed", "absent"
_SAYS = {
    LATE: {"ok": False, "error": {"kind": "late", "text": "no answer in time"}},
    FAILED: {"ok": False, "error": {"kind": "failed", "text": "lost"}},
}


class Judged(NamedTuple):
    """What a bundle comes to."""

    verdict: Data
    plan: Data


def judge(bundle: Data, reason: str | None = None) -> Judged:
    """Verdict and plan of a bundle."""
    verdict = HALT.assess(bundle)
    return Judged(verdict, finish(HALT, verdict, HALT.plan(bundle, verdict, reason), bundle["taken_at"]))


def hosts_of(bundle: Data) -> list[str]:
    return sorted({entry["host"] for entry in bundle["observations"]})


def answers(data: Data) -> Data:
    """What RPC shows; of a reference outside the inventory that is all there is."""
    return cast(Data, data.get("rpc", data))


def without(bundle: Data, losses: Iterable[Loss], how: str = LATE) -> Data:
    """The bundle without these. A whole observation that is lost is not there; of a part ``how`` says what is left."""
    lost: dict[tuple[str, int], set[str]] = {}
    for host, look, part in losses:
        lost.setdefault((host, look), set()).add(part)
    kept = []
    for entry in bundle["observations"]:
        parts = lost.get((entry["host"], entry["look"]), set())
        if WHOLE not in parts:
            kept.append(_less(entry, parts, how) if parts and entry["ok"] else entry)
    return _bundle.check(dict(bundle, observations=kept), HALT)


def _less(entry: Data, parts: set[str], how: str) -> Data:
    data = dict(entry["data"])
    rpc = answers(data)
    if rpc is not data:
        data["rpc"] = rpc = dict(rpc)
    for part in parts:
        room, name = (rpc, part[4:]) if part.startswith("rpc.") else (data, part)
        if how == ABSENT:
            room.pop(name, None)
        else:
            room[name] = _SAYS[how]
    return dict(entry, data=data)


# What a user who is not root and not the node's own reads of a node in a home of its own.
_ROOT_READS = ("genesis", "signer", "disk", "upgrade", "wal", "old_logs", "journal")


def without_privilege(bundle: Data, rpc: bool, hosts: Iterable[str] = ()) -> Data:
    """The bundle as a user who is not root would have taken it, of these hosts or of all.

    ``rpc``: whether the RPC is asked all the same; its address stands in a file that this user does not read.
    """
    mine = set(hosts) or set(bundle["inventory"])
    seen = [
        _unprivileged(entry, rpc) if entry["host"] in mine and entry["ok"] else entry
        for entry in bundle["observations"]
    ]
    return _bundle.check(dict(bundle, observations=seen), HALT)


def _unprivileged(entry: Data, rpc: bool) -> Data:
    data = dict(entry["data"], access={"uid": 1000, "privileged": False})
    for part in _ROOT_READS:
        data[part] = {
            "ok": False,
            "error": {"kind": "privilege", "text": f"{part}: permission denied; run with become"},
        }
    why = "config.toml: permission denied; run with become"
    unread = {"value": None, "source": None, "why": why}
    if data["config"]["ok"]:
        data["config"] = {"ok": True, "data": dict.fromkeys(data["config"]["data"], unread)}
    nowhere = {"ok": False, "error": {"kind": "cannot_tell", "text": why}}
    data["p2p"] = nowhere
    if not rpc:
        data["paths"] = dict(data["paths"], rpc=None, rpc_source=None)
        data["rpc"] = dict.fromkeys(data["rpc"], nowhere)
    return dict(entry, data=data)


def refused_root(bundle: Data) -> Data:
    """The bundle of a run whose login user may not become root: no host gives evidence."""
    error = {"kind": "privilege", "text": "Missing sudo password"}
    seen = [
        {**{key: entry[key] for key in ("source", "host", "look", "at")}, "ok": False, "error": error}
        if entry["source"] == "node_evidence"
        else entry
        for entry in bundle["observations"]
    ]
    return _bundle.check(dict(bundle, observations=seen), HALT)


def steps(plan: Data) -> Steps:
    return {(step["action"], host) for step in plan["steps"] for host in step["hosts"]}


def refused(plan: Data) -> Steps:
    """What is withheld whatever a person says."""
    return {
        (entry["action"], host) for entry in plan["withheld"] if not entry["break_glass"] for host in entry["hosts"]
    }


def named(verdict: Data, kind: str = "causes") -> set[str]:
    """The causes that hold, or that are in another list of the verdict."""
    return {entry["id"] for entry in verdict[kind]}


def roots(verdict: Data) -> set[str]:
    return {cause["id"] for cause in verdict["causes"] if cause["role"] == "root"}


def broken_rules(before: Judged, after: Judged, how: str = LATE) -> list[str]:
    """What less evidence made of verdict and plan that must not come of it.

    An answer that comes late is an observation of its own (a node that hangs), and may show a cause that the full answer
    refuted; a part that failed or is not there shows nothing.
    """
    was, now = before.verdict["status"], after.verdict["status"]
    found = []
    if now == "healthy" and was != "healthy":
        found.append(f"{was} became healthy")
    if now == "degraded" and was == "incident":
        found.append("an incident became degraded")
    if now == "incident" and after.verdict["confirmed"] and was in ("healthy", "degraded"):
        found.append(f"{was} became a confirmed incident")
    if how != LATE:
        risen = (named(after.verdict) - named(before.verdict) - {"cannot_tell"}) & named(before.verdict, "refuted")
        found += [f"{cause} was refuted, and holds" for cause in sorted(risen)]
    if steps(after.plan) & refused(before.plan):
        found.append(f"what was refused is planned: {sorted(steps(after.plan) & refused(before.plan))}")
    more = steps(after.plan) - steps(before.plan)
    stopped = next((cause for cause in before.verdict["causes"] if cause["id"] == "key_on_two_hosts"), None)
    if stopped is not None:
        # It stops every automation, as long as it is seen. Where it is not, other hosts are what they are without it.
        more = {(action, host) for action, host in more if host in stopped["hosts"]}
    if more:
        found.append(f"more is planned: {sorted(more)}")
    return found
