# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one acting module on one host, only under this run's gate; what goes wrong is an answer, not a crash."""

from __future__ import annotations

import os
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal, now, plain
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.deadline import bounded
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.record import RunState
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import action

# The lock is the path's own; the other modules are what the actions of incidents are made of.
ACTING_MODULES = sorted({"incident_lock", *registry.acting_modules()})


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    # The connection is opened inside the deadline, so that a host that is gone becomes an answer as well.
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        args = self.validate_argument_spec(
            {
                "run_dir": {"type": "path", "required": True},
                "token": {"type": "str", "no_log": False},
                "module": {"type": "str", "required": True, "choices": ACTING_MODULES},
                "args": {"type": "dict", "default": {}},
                "deadline": {"type": "int", "default": 60},
            }
        )[1]
        host = task_vars["inventory_hostname"]
        try:
            allowed(args, host)
        except Refusal as refusal:
            # Putting back is part of the closing, which must go on: there it is an answer, as from a silent host.
            result.update(failed=not puts_back(args), changed=False, msg=str(refusal))
            result.update(ok=False, error={"kind": "refused", "text": str(refusal)}, answer={})
            return result
        started = now()
        answer, error = bounded(
            self._connection,
            args["deadline"],
            lambda: self._execute_module(
                module_name=f"virtengine.incident.{args['module']}",
                module_args=plain(args["args"]),
                task_vars=task_vars,
            ),
        )
        if error is None and (answer.get("failed") or answer.get("unreachable")):
            error = {"kind": "failed", "text": str(answer.get("msg") or "the module failed without a message")}
        result.update(
            changed=bool(answer.get("changed")),
            ok=error is None,
            error=error,
            answer=plain({key: value for key, value in answer.items() if not key.startswith("_ansible")}),
            started_at=started,
            finished_at=now(),
        )
        return result


def allowed(args: dict[str, t.Any], host: str) -> None:
    """Raise Refusal unless the gate of this very run issued the token, and the guards have cleared this very act here.

    What was cleared is one step with its action: nothing runs but what that action is made of.
    The lock is taken on every observed host, so for it the token alone decides; asking who holds it changes nothing.
    What the steps changed for a time may be put back without a step, but only under the lock.
    """
    if args["module"] == "incident_lock" and args["args"].get("state") == "observed":
        return
    state = RunState(args["run_dir"])
    gate = state.read("gate")
    if not gate or gate["token"] != args["token"] or gate["controller_pid"] != os.getppid():
        raise Refusal("This step was not issued by the gate of this run. Nothing was done on this host.")
    if args["module"] == "incident_lock":
        return
    if host not in {step["host"] for step in gate["steps"]}:
        raise Refusal(f"The approved plan has no step on {host}. Nothing was done on this host.")
    if host not in gate.get("locked_on", []):
        raise Refusal(f"This run does not hold the lock on {host}. Nothing was done on this host.")
    if puts_back(args):
        return
    cleared = gate.get("cleared") or {}
    if cleared.get("host") != host:
        raise Refusal(f"No step on {host} is cleared by its guards. Nothing was done on this host.")
    if not action.belongs(_acts(state), cleared["action"], args["module"], args["args"]):
        what = " ".join(str(word) for word in (args["module"], args["args"].get("state")) if word is not None)
        raise Refusal(
            f"What is cleared on {host} is {cleared['action']} (step {cleared['step']}), and {what} does not belong to it. "
            "Nothing was done on this host."
        )


def puts_back(args: dict[str, t.Any]) -> bool:
    """Whether this only undoes what a step changed for a time. False where no run is open."""
    try:
        acts = _acts(RunState(args["run_dir"]))
    except Refusal:
        return False
    return action.puts_back(acts, args["module"], args["args"])


def _acts(state: RunState) -> action.Acts:
    return registry.incident(state.facts["incident"]).acts
