# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one acting module on one host, only under this run's gate; what goes wrong is an answer, not a crash."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase

from ..plugin_utils._controller.base import Refusal, now, plain
from ..plugin_utils._controller.deadline import bounded
from ..plugin_utils._controller.state import RunState
from ..plugin_utils._incidents import registry
from ..plugin_utils._path.plan.action import call_of
from ..plugin_utils._path.text import clean

LOCK = "virtengine.incident.incident_lock"

Data = dict[str, t.Any]


class Cleared(t.NamedTuple):
    """What lets a call run here. ``kind``: under which it is noted; ``proof``: the field of its answer that must be true."""

    kind: str
    proof: str | None = None

    def after_failure(self, state: RunState, host: str) -> bool:
        """Whether an earlier call of the same step failed on this host. Locks are taken one by one, each for itself."""
        earlier = state.noted(self.kind).get(host, []) if not self.kind.startswith("lock_") else []
        return any(not call["ok"] for call in earlier)


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    # The connection is opened inside the deadline, so that a host that is gone becomes an answer as well.
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: Data | None = None) -> Data:
        result: Data = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        args = self.validate_argument_spec(
            {
                "run_dir": {"type": "path", "required": True},
                "token": {"type": "str", "no_log": False, "required": True},
                "module": {"type": "str", "required": True},
                "args": {"type": "dict", "default": {}},
                "deadline": {"type": "int", "default": 60},
            }
        )[1]
        module = args["module"] if "." in args["module"] else f"virtengine.incident.{args['module']}"
        host, given = str(task_vars["inventory_hostname"]), plain(args["args"])
        state = RunState(args["run_dir"])
        try:
            cleared = allowed(state, args["token"], module, given, host)
        except Refusal as refusal:
            # Putting back is part of the closing, which must go on: there it is an answer, as from a silent host.
            closing = bool((state.read("gate") or {}).get("putting_back"))
            result.update(failed=not closing, changed=False, msg=str(refusal), ok=False, answer={})
            result.update(error={"kind": "refused", "text": str(refusal)})
            return result
        started = now()
        if cleared.after_failure(state, host):
            text = "not done, because a call of the same step failed on this host before"
            result.update(changed=False, ok=False, error={"kind": "refused", "text": text}, answer={})
            return result
        answer, error = bounded(
            self._connection,
            args["deadline"],
            lambda: self._execute_module(module_name=module, module_args=given, task_vars=task_vars),
        )
        if error is None and (answer.get("failed") or answer.get("unreachable")):
            error = {"kind": "failed", "text": _message(answer) or "the module failed without a message"}
        if error is None and cleared.proof is not None and answer.get(cleared.proof) is not True:
            error = {"kind": "failed", "text": _message(answer) or f"{cleared.proof} is not so"}
        shown = plain({key: value for key, value in answer.items() if not key.startswith("_ansible")})
        done = {"ok": error is None, "error": error, "answer": shown, "started_at": started, "finished_at": now()}
        state.note(cleared.kind, host, {"module": module, "args": given, **done})
        result.update(changed=bool(answer.get("changed")), **done)
        return result


def _message(answer: Data) -> str:
    """What a module says, as one safe line: it comes from a host, and is printed."""
    return clean(str(answer.get("msg") or ""))


def allowed(state: RunState, token: str, module: str, args: Data, host: str) -> Cleared:
    """What clears this very call on this host. Refusal unless the gate of this very run issued the token, and guards cleared it.

    What was cleared is one step with its action: nothing runs but what that action is made of. The lock is taken on every
    observed host, so for it the token alone decides. What the plan says is put back at the end may be put back without a
    step, but only under the lock.
    """
    gate = state.read("gate")
    if not gate or gate["token"] != token or gate["controller_pid"] != os.getppid():
        raise Refusal("This step was not issued by the gate of this run. Nothing was done on this host.")
    if module == LOCK:
        return Cleared(f"lock_{args.get('state')}")
    cleared = gate.get("cleared") or gate.get("putting_back") or {}
    if host not in cleared.get("hosts", []):
        raise Refusal(f"No step on {host} is cleared by its guards. Nothing was done on this host.")
    if host not in gate.get("locked_on", []):
        raise Refusal(f"This run does not hold the lock on {host}. Nothing was done on this host.")
    actions = registry.incident(state.facts["incident"]).actions
    call = call_of(actions, cleared["action"], module, args)
    if call is None:
        what = " ".join(str(word) for word in (module, args.get("state")) if word is not None)
        raise Refusal(
            f"What is cleared on {host} is {cleared['action']} (step {cleared['step']}), and {what} does not belong to it. "
            "Nothing was done on this host."
        )
    approved = cleared["parameters"]
    other = [name for name in sorted(approved) if name in args and str(args[name]) != str(approved[name])]
    if other:
        raise Refusal(
            f"{cleared['action']} on {host} was approved with another {', '.join(other)} than it would be done with now. "
            "Nothing was done on this host."
        )
    return Cleared(cleared["noted"], call.proof)
