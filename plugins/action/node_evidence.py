# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn one look at one host into an observation, whatever happens on the way to the host."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import time
import types
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.virtengine.incident.plugins.plugin_utils._text import clean

# What a host has beyond its own deadline: login, sending the module, starting Python.
GRACE_S = 5
# An honest answer of a chain of 200 validators is below 1 MB.
EVIDENCE_CAP = 16 * 1024 * 1024

_REFUSED = re.compile(
    r"(?i)\b(?:sudo|su|doas|pbrun|pfexec|dzdo|runas|ksu|machinectl): |(?:missing|incorrect) \S+ password|"
    r"a password is required|waiting for privilege escalation|not in the sudoers"
)


class _Late(BaseException):
    """The deadline. Not an Exception: nothing between the alarm and us may swallow it."""


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
        answer, error = self._ask(task_vars, deadline + GRACE_S)
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

    def _ask(self, task_vars: dict[str, t.Any], seconds: int) -> tuple[dict[str, t.Any], dict[str, str] | None]:
        """The module's answer, or the error of the observation."""
        answered = False
        try:
            with _Alarm(seconds):
                answer = self._execute_module(task_vars=task_vars)
            answered = not answer.get("unreachable")
            return answer, None
        except _Late:
            return {}, {"kind": "late", "text": f"the host gave no answer within {seconds} s"}
        except AnsibleConnectionFailure as failure:
            text = clean(str(failure))
            return {}, {"kind": "privilege" if _REFUSED.search(text) else "unreachable", "text": text}
        except AnsibleError as failure:
            answered = True
            text = clean(str(failure))
            return {}, {"kind": "privilege" if _REFUSED.search(text) else "failed", "text": text}
        finally:
            if not answered:
                # Ansible removes its temporary directory after the task, with no deadline: not on a host like this.
                self._connection._shell.tmpdir = None
                _end_children()


class _Alarm:
    """Raise _Late after some seconds. A task's own ``timeout`` uses the same alarm: the earlier of the two rings."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._theirs = 0
        self._handler: t.Any = None

    def __enter__(self) -> None:
        self._begun = time.monotonic()
        self._theirs = signal.alarm(0)
        if self._theirs and self._theirs <= self._seconds:
            signal.alarm(self._theirs)
            return
        self._handler = signal.signal(signal.SIGALRM, self._ring)
        signal.alarm(self._seconds)

    def __exit__(self, *details: object) -> None:
        if self._handler is None:
            return
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self._handler)
        if self._theirs:
            signal.alarm(max(1, self._theirs - int(time.monotonic() - self._begun)))

    @staticmethod
    def _ring(number: int, frame: types.FrameType | None) -> None:
        raise _Late


def _end_children() -> None:
    """End the ssh that still waits for the host. A worker of Ansible leads a process group of its own."""
    if os.getpgrp() != os.getpid():
        return
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        os.killpg(os.getpgrp(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


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
    return {"kind": "privilege" if _REFUSED.search(" ".join(said)) else "failed", "text": text}
