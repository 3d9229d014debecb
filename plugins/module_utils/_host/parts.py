# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of evidence, each gathered in a child process that may hang alone. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import json
import os
import re
import select
import signal
import subprocess
import time
import typing as t

# What one part may weigh as JSON. The largest honest part (consensus state of 200 validators) is far below 1 MB.
PART_CAP = 8 * 1024 * 1024
TEXT_LIMIT = 300

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
# C0 and C1 controls, line and paragraph separators, and the marks that reorder text on a terminal.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")


class PartError(Exception):
    """A part that could not be had: ``kind`` is a word of the contract, ``text`` says what, where, what to do."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text

    def part(self) -> dict[str, t.Any]:
        """The part as JSON: ``{"ok": False, "error": {"kind", "text"}}``."""
        return failed(self.kind, self.text)


class Refused(Exception):
    """The change was not made, or did not help; the text says why and what to do. ``actions`` is what was done."""

    def __init__(self, text: str, actions: t.Sequence[str] = ()) -> None:
        super().__init__(text)
        self.actions = list(actions)


def failed(kind: str, text: str) -> dict[str, t.Any]:
    """A part that failed."""
    return {"ok": False, "error": {"kind": kind, "text": clean(text)}}


def clean(value: t.Any, limit: int = TEXT_LIMIT) -> str:
    """One line without control characters or terminal escapes, at most ``limit`` characters."""
    text = str(value)[: limit * 20]
    return _CONTROL.sub(" ", _ANSI.sub("", text)).strip()[:limit]


def stamp(seconds: float) -> str:
    """RFC 3339 in UTC with microseconds, from seconds since 1970."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def part_error(error: BaseException, what: str) -> PartError:
    """Translate what the operating system said into the words of the contract."""
    if isinstance(error, PartError):
        return error
    if isinstance(error, PermissionError):
        where = f"{what}: {error.filename}" if error.filename and str(error.filename) not in what else what
        return PartError("privilege", f"{where}: permission denied; run with become")
    if isinstance(error, (FileNotFoundError, NotADirectoryError, ProcessLookupError)):
        return PartError("absent", f"{what}: {getattr(error, 'filename', None) or 'it'} does not exist")
    if isinstance(error, subprocess.TimeoutExpired):
        return PartError("late", f"{what}: no answer within {error.timeout:.0f} s")
    if isinstance(error, OSError):
        return PartError("failed", f"{what}: {error.strerror or error}")
    return PartError("failed", f"{what}: {type(error).__name__}: {error}")


class Output(t.NamedTuple):
    """What a finished command said."""

    code: int
    out: str
    err: str


def command(argv: list[str], timeout: float) -> Output:
    """Run a short command without a shell, in UTC and untranslated. Raises PartError ``absent`` or ``late``."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=max(timeout, 0.1),
            env=environment(),
            check=False,
        )
    except FileNotFoundError as error:
        raise PartError("absent", f"{argv[0]} is not installed on this host") from error
    except subprocess.TimeoutExpired as error:
        raise PartError("late", f"{' '.join(argv[:3])}: no answer within {timeout:.0f} s") from error
    return Output(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))


def environment() -> dict[str, str]:
    """The environment of commands whose output is parsed: fixed language, UTC, no pager, no colour."""
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "TZ": "UTC",
        "SYSTEMD_PAGER": "",
        "SYSTEMD_COLORS": "0",
    }


class _Child:
    """One part being gathered."""

    def __init__(self, name: str, pid: int, pipe: int) -> None:
        self.name = name
        self.pid = pid
        self.pipe = pipe
        self.answer = bytearray()


def gather(work: t.Mapping[str, t.Callable[[], t.Any]], until: float) -> dict[str, dict[str, t.Any]]:
    """Run each callable in a child process of its own; returns a part for each, at the latest at ``until``.

    ``until`` is a reading of ``time.monotonic()``. Children, not threads: a read from a hung disk cannot be
    interrupted, and a process with such a thread cannot even exit, while a child in that state is simply left behind.
    """
    children = [_start(name, run) for name, run in work.items()]
    parts: dict[str, dict[str, t.Any]] = {}
    waiting = {child.pipe: child for child in children}
    while waiting:
        left = until - time.monotonic()
        ready = select.select(list(waiting), [], [], max(left, 0))[0] if left > 0 else []
        if not ready:
            break
        for pipe in ready:
            child = waiting[pipe]
            chunk = os.read(pipe, 65536)
            child.answer += chunk
            if not chunk or len(child.answer) > PART_CAP:
                del waiting[pipe]
                parts[child.name] = _read(child)
    for child in children:
        if child.pipe in waiting:
            parts[child.name] = failed("late", f"{child.name}: not finished when the deadline passed")
        _end(child, unfinished=child.pipe in waiting or len(child.answer) > PART_CAP)
    return parts


def _start(name: str, run: t.Callable[[], t.Any]) -> _Child:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(name, pid, reading)
    try:
        _become_child(reading)
        with os.fdopen(writing, "wb") as stream:
            stream.write(json.dumps(_answer(name, run)).encode("ascii"))
    finally:
        os._exit(0)


def _become_child(reading: int) -> None:
    """A group of its own, to be ended with what it started; no grip on the pipes the caller's ssh waits for."""
    os.setpgid(0, 0)
    os.close(reading)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _answer(name: str, run: t.Callable[[], t.Any]) -> dict[str, t.Any]:
    try:
        return {"ok": True, "data": run()}
    except Exception as error:
        return part_error(error, name).part()


def _read(child: _Child) -> dict[str, t.Any]:
    if len(child.answer) > PART_CAP:
        return failed("too_large", f"{child.name}: more than {PART_CAP} bytes")
    try:
        part: dict[str, t.Any] = json.loads(child.answer)
    except ValueError:
        return failed("failed", f"{child.name}: ended without an answer (killed, or out of memory)")
    return part


def _end(child: _Child, unfinished: bool) -> None:
    os.close(child.pipe)
    if unfinished:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            os.kill(child.pid, signal.SIGKILL)
    # Bounded: a child that hangs in the kernel is left to init, which reaps it when this process has ended.
    for _attempt in range(20):
        if os.waitpid(child.pid, os.WNOHANG)[0]:
            return
        time.sleep(0.005)
