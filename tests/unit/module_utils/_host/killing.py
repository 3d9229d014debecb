# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that is killed before any one of its calls to the operating system, or of its calls to anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

# Every call of ``os`` that reads or changes files; what is left out is listed nowhere else.
CALLS = (
    "open", "close", "read", "write", "fsync", "fstat", "stat", "lstat", "fchown", "fchmod", "listxattr", "getxattr",
    "setxattr", "link", "rename", "unlink", "scandir", "mkdir", "rmdir", "replace",
    "lseek", "utime", "removexattr", "posix_fadvise", "statvfs", "chmod", "fstatvfs", "listdir",
)  # fmt: skip
KILLED = 9
MOST = 3000
Tick = Callable[[], None]


def of_the_system(tick: Tick) -> None:
    """Count the calls of CALLS."""
    for name in CALLS:
        setattr(os, name, _counted(getattr(os, name), tick))


def of_anything(tick: Tick) -> None:
    """Count all calls of what is written in C: of the system, and of what reads, packs and writes for a library."""
    sys.setprofile(lambda _frame, event, _argument: tick() if event == "c_call" else None)


def killed_before_each_call(
    work: Callable[[], Any], prepare: Callable[[], None], calls: Callable[[Tick], None] = of_the_system
) -> Iterator[int]:
    """Yield after each child that was killed before its n-th call; ends when ``work`` was not killed any more.

    ``prepare`` is called before each child, ``calls`` in it. A child that fails in another way is an error.
    """
    for number in range(MOST):
        prepare()
        code = _child(work, number, calls)
        if code == 0:
            return
        assert code == KILLED, f"call {number}: the child ended with {code}"
        yield number
    raise AssertionError("it makes no end")


def _child(work: Callable[[], Any], number: int, calls: Callable[[Tick], None]) -> int:
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        left = [number]

        def tick() -> None:
            if left[0] == 0:
                os._exit(KILLED)
            left[0] -= 1

        calls(tick)
        work()
        code = 0
    finally:
        sys.setprofile(None)
        os._exit(code)


def _counted(call: Callable[..., Any], tick: Tick) -> Callable[..., Any]:
    def counted(*args: Any, **kwargs: Any) -> Any:
        tick()
        return call(*args, **kwargs)

    return counted
