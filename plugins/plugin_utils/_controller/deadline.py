# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deadline around what touches a host: what goes wrong on the way there becomes an answer. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import signal
import time
import types
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError

from .._path.text import clean

REFUSED_RIGHTS = re.compile(
    r"(?i)\b(?:sudo|su|doas|pbrun|pfexec|dzdo|runas|ksu|machinectl): |(?:missing|incorrect) \S+ password|"
    r"a password is required|waiting for privilege escalation|not in the sudoers"
)

Answer = dict[str, t.Any]


class _Late(BaseException):
    """The deadline. Not an Exception: nothing between the alarm and us may swallow it."""


def bounded(connection: t.Any, seconds: int, work: t.Callable[[], Answer]) -> tuple[Answer, dict[str, str] | None]:
    """Run ``work`` on a host with a deadline. Returns its answer and None, or an empty answer and an error ``{kind, text}``.

    A frozen host never answers and a live ControlPersist master outlasts ConnectTimeout, so ssh's own limits do not
    bound a task. Every task of Ansible is a process of its own, whose alarm is free to use.
    """
    answered = False
    try:
        with _Alarm(seconds):
            answer = work()
        answered = not answer.get("unreachable")
        return answer, None
    except _Late:
        return {}, {"kind": "late", "text": f"the host gave no answer within {seconds} s"}
    except AnsibleConnectionFailure as failure:
        return {}, _error("unreachable", failure)
    except AnsibleError as failure:
        answered = True
        return {}, _error("failed", failure)
    finally:
        if not answered:
            # Ansible removes its temporary directory after the task, with no deadline: not on a host like this.
            connection._shell.tmpdir = None
            _end_children()


def _error(kind: str, failure: AnsibleError) -> dict[str, str]:
    # Ansible says at length that ssh failed before it quotes what ssh says.
    text = clean(str(failure).rsplit("reached over ssh: ", maxsplit=1)[-1])
    return {"kind": "privilege" if REFUSED_RIGHTS.search(text) else kind, "text": text}


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
