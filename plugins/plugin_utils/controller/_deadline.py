# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deadline around what touches a host. PRIVATE to the collection."""

from __future__ import annotations

import signal
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError


class _DeadlineReached(BaseException):
    """Not an Exception: nothing between the alarm and us may swallow it."""


def bounded(
    seconds: int, work: t.Callable[[], dict[str, t.Any]]
) -> tuple[dict[str, t.Any], dict[str, str] | None]:
    """Run work with a deadline. Returns its answer and None, or an empty answer and an error ``{kind, text}``.

    A frozen host never answers and a live ControlPersist master outlasts ConnectTimeout, so ssh's own limits do not
    bound a task. Every task of Ansible is a process of its own, whose alarm is free to use.
    """

    def ring(signum: int, frame: t.Any) -> None:
        raise _DeadlineReached

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        return work(), None
    except _DeadlineReached:
        return {}, {"kind": "late", "text": f"no answer within {seconds} s"}
    except AnsibleConnectionFailure as failure:
        return {}, {"kind": "unreachable", "text": _first_line(failure)}
    except AnsibleError as error:
        return {}, {"kind": "failed", "text": _first_line(error)}
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[-1] if text else type(error).__name__
