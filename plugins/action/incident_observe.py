# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at one host with one module: whatever happens on the way to the host becomes an observation."""

from __future__ import annotations

import json
import time
import typing as t

from ansible.plugins.action import ActionBase

from ..plugin_utils._controller import looks
from ..plugin_utils._controller.base import now, plain
from ..plugin_utils._controller.deadline import REFUSED_RIGHTS, bounded
from ..plugin_utils._controller.state import RunState
from ..plugin_utils._path.text import clean

# What a host has beyond its own deadline: login, sending the module, starting Python.
GRACE_S = 5
# An honest answer about one host is below 1 MB.
EVIDENCE_CAP = 16 * 1024 * 1024
LOCK_MODULE = "virtengine.incident.incident_lock"

Data = dict[str, t.Any]


class ActionModule(ActionBase):
    # Both keep Ansible from opening the connection before the deadline runs: a host that is gone is an observation.
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Data | None = None) -> Data:
        result: Data = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        args = self.validate_argument_spec(
            {
                "run_dir": {"type": "path", "required": True},
                "source": {"type": "str", "required": True},
                "args": {"type": "dict", "default": {}},
                "deadline": {"type": "int", "default": 20},
                "delay": {"type": "bool", "default": False},
            }
        )[1]
        state = RunState(args["run_dir"])
        host = str(task_vars["inventory_hostname"])
        answer, error = self._answer(args, looks.pause_left_s(state, args["source"], host), task_vars)
        if error is None and _wrong_option(answer):
            result.update(failed=True, msg=answer["msg"])
            return result
        evidence = plain(answer.get("evidence"))
        if error is None and not _is_evidence(evidence):
            error = _of_failure(answer)
        head = {"source": args["source"], "host": host, "look": looks.current(state)["number"], "at": now()}
        body: Data = {"ok": True, "data": evidence} if error is None else {"ok": False, "error": error}
        if error is None:
            # Who holds a lock is no evidence about the incident: it changes with every run that looks.
            locks = evidence.pop("responder_locks", None) or self._locks(args["deadline"], task_vars)
            state.note(f"locks{head['look']}", host, looks.locks_of(locks))
        looks.note(state, host, [{**head, **body}])
        result.update(changed=False, ok=error is None, at=head["at"], error=error)
        for key in ("warnings", "deprecations"):
            if answer.get(key):
                result[key] = answer[key]
        return result

    def _answer(self, args: Data, pause_s: float, task_vars: Data) -> tuple[Data, dict[str, str] | None]:
        """What the module answers once the pause is over. A module with an option ``delay`` waits on its host for it."""
        given, deadline = plain(args["args"]), args["deadline"]
        if args["delay"]:
            given = {**given, "delay": round(pause_s), "deadline": deadline + round(pause_s)}
            deadline += round(pause_s)
        else:
            time.sleep(pause_s)
        return bounded(
            self._connection,
            deadline + GRACE_S,
            lambda: self._execute_module(
                module_name=f"virtengine.incident.{args['source']}", module_args=given, task_vars=task_vars
            ),
        )

    def _locks(self, deadline: int, task_vars: Data) -> Data:
        """Who holds locks on a host whose module does not say so by itself."""
        answer, error = bounded(
            self._connection,
            deadline,
            lambda: self._execute_module(
                module_name=LOCK_MODULE, module_args={"state": "observed"}, task_vars=task_vars
            ),
        )
        if error is None and answer.get("failed"):
            error = {"kind": "failed", "text": clean(str(answer.get("msg")))}
        if error is not None:
            return {"ok": False, "error": error}
        return {"ok": True, "data": {"locks": plain(answer.get("locks")), "used": plain(answer.get("used_digests"))}}


def _wrong_option(answer: Data) -> bool:
    """Whether the module ran and refused its options: the one thing the user has to correct."""
    return bool(answer.get("failed")) and isinstance(answer.get("invocation"), dict) and "msg" in answer


def _is_evidence(evidence: t.Any) -> bool:
    return isinstance(evidence, dict) and len(json.dumps(evidence)) <= EVIDENCE_CAP


def _of_failure(answer: Data) -> dict[str, str]:
    """The error of an observation from an answer that is no evidence: the module's own, or what Ansible says."""
    own = plain(answer.get("error"))
    if isinstance(own, dict) and {"kind", "text"} <= set(own):
        return {key: clean(str(own[key])) for key in ("kind", "text")}
    texts = [str(answer.get(key) or "").strip() for key in ("msg", "module_stderr", "module_stdout")]
    text = clean(" / ".join(part for part in texts if part)) or "the module gave no evidence"
    if answer.get("unreachable"):
        return {"kind": "unreachable", "text": text}
    if "evidence" in answer:
        return {"kind": "failed", "text": "the module's answer is not evidence, or it is too large"}
    return {"kind": "privilege" if REFUSED_RIGHTS.search(" ".join(texts)) else "failed", "text": text}
