# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn one look at one host into an observation, whatever happens on the way to the host."""

from __future__ import annotations

import datetime
import json
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.deadline import REFUSED_RIGHTS, bounded
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.text import clean

# What a host has beyond its own deadline: login, sending the module, starting Python.
GRACE_S = 5
# An honest answer of a chain of 200 validators is below 1 MB.
EVIDENCE_CAP = 16 * 1024 * 1024


class ActionModule(ActionBase):
    # Both keep Ansible from opening the connection before _ask(), where a host that is gone becomes an observation.
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        result["changed"] = False
        look, deadline = self._number("look", 1), self._number("deadline", 20)
        observation: dict[str, t.Any] = {
            "source": "node_evidence",
            "host": str(task_vars.get("inventory_hostname", "")),
            "look": look,
        }
        answer, error = bounded(self._connection, deadline + GRACE_S, lambda: self._execute_module(task_vars=task_vars))
        if error is None and _wrong_option(answer):
            result.update(failed=True, msg=answer["msg"])
            return result
        if error is None:
            evidence = answer.get("evidence")
            error = None if _is_evidence(evidence) else _of_failure(answer)
        observation["at"] = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        observation["ok"] = error is None
        observation.update({"data": evidence} if error is None else {"error": error})
        result["observation"] = observation
        for key in ("warnings", "deprecations"):
            if answer.get(key):
                result[key] = answer[key]
        return result

    def _number(self, name: str, default: int) -> int:
        """An option that this plugin needs before the module has checked it."""
        value = self._task.args.get(name, default)
        try:
            return max(int(value), 1)
        except (TypeError, ValueError):
            return default


def _wrong_option(answer: dict[str, t.Any]) -> bool:
    """Whether the module ran and refused its options: the one thing the user has to correct."""
    return bool(answer.get("failed")) and isinstance(answer.get("invocation"), dict) and "msg" in answer


def _is_evidence(evidence: t.Any) -> bool:
    if not isinstance(evidence, dict) or evidence.get("schema") != 1:
        return False
    return len(json.dumps(evidence, default=str)) <= EVIDENCE_CAP


def _of_failure(answer: dict[str, t.Any]) -> dict[str, str]:
    """The error of an observation from an answer that is no evidence."""
    said = [str(answer.get(key) or "").strip() for key in ("msg", "module_stderr", "module_stdout")]
    text = clean(" / ".join(part for part in said if part)) or "the module gave no evidence"
    if answer.get("unreachable"):
        return {"kind": "unreachable", "text": text}
    if "evidence" in answer:
        return {"kind": "failed", "text": "the module's answer is not evidence of schema 1, or it is too large"}
    return {"kind": "privilege" if REFUSED_RIGHTS.search(" ".join(said)) else "failed", "text": text}
