# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the hosts' tasks registered to a bundle. PRIVATE to the collection."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import now, plain
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle

NODE_RESULT = "_incident_look"
REFERENCE_RESULT = "_incident_references"


def _lost(host: str, look: int, text: str) -> dict[str, t.Any]:
    error = {"kind": "failed", "text": text}
    return {"source": "node_evidence", "host": host, "look": look, "at": now(), "ok": False, "error": error}


def add_look(bundle: dict[str, t.Any], look: int, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
    """Add the newest look; of the earlier ones only the last is kept, to compare with.

    A host whose task left no observation (the worker died) is in the bundle all the same, as one that did not answer.
    """
    kept = [entry for entry in bundle["observations"] if entry["look"] == look - 1]
    bundle = dict(bundle, observations=kept, taken_at=now())
    hostvars = task_vars["hostvars"]
    for host, known in bundle["inventory"].items():
        if not known["observed"]:
            continue
        result = plain(hostvars[host].get(NODE_RESULT) or {})
        observation = result.get("observation")
        if not isinstance(observation, dict) or observation.get("look") != look:
            observation = _lost(host, look, f"{host} left no observation in this look")
        bundle = _bundle.add(bundle, observation)
    return _bundle.extend(bundle, references(look, task_vars))


def references(look: int, task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Observations of RPCs outside the inventory, as ``chain_probe`` registered them; none where it had nobody to ask."""
    registered = plain(task_vars.get(REFERENCE_RESULT) or {})
    found = registered.get("observations")
    # Those of an earlier look are left from a task that did not run in this one.
    return [entry for entry in found or [] if isinstance(entry, dict) and entry.get("look") == look]


def answered_hosts(bundle: dict[str, t.Any]) -> list[str]:
    """The hosts that gave evidence in the newest look, sorted: the lock must be ours on all of these."""
    newest = max((entry["look"] for entry in bundle["observations"]), default=0)
    return sorted(
        entry["host"]
        for entry in bundle["observations"]
        if entry["ok"] and entry["look"] == newest and entry["source"] == "node_evidence"
    )


def lock_result(variables: t.Any) -> dict[str, t.Any]:
    """What taking the lock on a host came to: it is taken on one host first, on the others together afterwards."""
    for name in ("_incident_lock_first", "_incident_lock"):
        result = plain(variables.get(name) or {})
        if result and not result.get("skipped"):
            return dict(result)
    return {}
