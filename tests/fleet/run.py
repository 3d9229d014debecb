# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs, and saying what is being done while it is done."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

# How long a state is waited for, and a command may take: on a machine with much other work everything takes ten times as
# long as on an idle one. Where the state comes, nothing waits for the end of this.
PATIENCE_S = 300
# Before a long command: it ends when the process that began it is killed, and does not write on behind its back.
BOUND = ("setpriv", "--pdeathsig", "TERM")


class Failed(Exception):
    """The rig cannot do what was asked; the text says why and what to do."""


def call(
    *command: str, timeout: float = PATIENCE_S, stdin: str | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Standard output of a program that must succeed."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=env,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"no end after {timeout:g} s: {' '.join(command)}") from error
    except FileNotFoundError as error:
        raise Failed(f"this machine has no {command[0]}") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise Failed(f"{' '.join(command)} ended with {done.returncode}: {said}")
    return done.stdout


def attempt(command: Sequence[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """A program that may fail; one that does not end in time or does not exist counts as failed with 124 or 127."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no end after {timeout:g} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"this machine has no {command[0]}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def stage(text: str) -> Iterator[None]:
    """Print what begins, and how long it took."""
    print(f"  {text} ...", end="", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        print(" failed", file=sys.stderr, flush=True)
        raise
    print(f" {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
