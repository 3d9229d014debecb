# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes that end with us, together with everything they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import types
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

# Seconds between one way of ending a child and the next, harder one. A test run that is interrupted takes its hosts
# down first: about 3 s for eight of them.
PATIENCE = ((signal.SIGINT, 30.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))

_alive: set[subprocess.Popen[str]] = set()
_lock = threading.Lock()
_ending = threading.Event()


def run(
    arguments: Sequence[str], *, env: Mapping[str, str], cwd: Path, capture: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run to the end in a process group of its own. ``capture`` keeps both streams together in ``stdout``.

    Raises KeyboardInterrupt when we are being ended.
    """
    with _lock:
        if _ending.is_set():
            raise KeyboardInterrupt
        child = subprocess.Popen(
            arguments,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.STDOUT if capture else None,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        _alive.add(child)
    try:
        output, _nothing = child.communicate()
    except KeyboardInterrupt:
        end_all()
        raise
    finally:
        with _lock:
            _alive.discard(child)
    return subprocess.CompletedProcess(list(arguments), child.returncode, output or "", "")


def end_all() -> None:
    """End every child and its whole group, gently first."""
    _ending.set()
    with _lock:
        children = list(_alive)
    for how, seconds in PATIENCE:
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, how)
        for child in children:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=seconds)
        if all(child.poll() is not None for child in children):
            break
    # A child that went quietly may have left something behind in its group.
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


@contextlib.contextmanager
def ended_with_us() -> Iterator[None]:
    """Within this block SIGTERM and SIGHUP end us like ctrl-C does, and no child outlives us."""

    def stop(signum: int, frame: types.FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        end_all()
        for number, handler in before.items():
            signal.signal(number, handler)
