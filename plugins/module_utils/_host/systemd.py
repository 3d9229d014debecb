# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd knows of a unit, by ``systemctl show``. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import re
import shlex
import typing as t

from .parts import PartError, clean, command, stamp

UNIT_NAME = re.compile(r"[A-Za-z0-9:_.@\\][A-Za-z0-9:_.@\\-]*\.service\Z")

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "Result",
    "NRestarts",
    "ExecMainCode",
    "ExecMainStatus",
    "MainPID",
    "ExecMainStartTimestamp",
    "ExecMainExitTimestamp",
    "InactiveEnterTimestamp",
    "DropInPaths",
    "Restart",
    "RestartUSec",
    "FreezerState",
    "ControlGroup",
    "InvocationID",
    "ExecStart",
    "Environment",
    "EnvironmentFiles",
    "User",
    "WorkingDirectory",
)

_EXIT_KINDS = {"1": "exited", "2": "killed", "3": "dumped"}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(y|month|w|d|h|min|s|ms|us)")
_SPAN_SECONDS = {
    "y": 31557600.0,
    "month": 2629800.0,
    "w": 604800.0,
    "d": 86400.0,
    "h": 3600.0,
    "min": 60.0,
    "s": 1.0,
    "ms": 0.001,
    "us": 0.000001,
}
# What the bus, the kernel and SELinux say to a user without rights.
_DENIED = re.compile(r"(?:Access|Permission) denied|Operation not permitted")
_MOMENT = re.compile(r"(?:\w{3} )?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.(\d{1,6}))? UTC\Z")


class Unit(t.NamedTuple):
    """One look at a unit: ``facts`` is the contract's ``unit`` data, the rest stays on the host."""

    facts: dict[str, t.Any]
    argv: list[str]
    environment: dict[str, str]
    environment_files: list[tuple[str, bool]]
    user: str
    directory: str


def unit_name(name: str) -> str:
    """The full name of a service unit. Raises ValueError on anything systemd would not take as one."""
    full = name if name.endswith(".service") else f"{name}.service"
    if not UNIT_NAME.match(full) or len(full) > 255:
        raise ValueError(f"{clean(name)!r} is not the name of a systemd service")
    return full


def show(name: str, timeout: float) -> dict[str, list[str]]:
    """The properties of a unit, each a list (some are printed once per value).

    Raises PartError ``absent`` where systemd does not run, ``privilege``, ``late``, ``failed``.
    """
    base = ["systemctl", "show", name, "--no-pager", "-p", ",".join(PROPERTIES)]
    answer = command([*base, "--timestamp=us+utc"], timeout)
    if answer.code != 0 and "timestamp" in answer.err:
        # systemd before 247 has no such option; in UTC its own format differs only by the missing fraction.
        answer = command(base, timeout)
    if "not been booted with systemd" in answer.err:
        raise PartError("absent", "systemd does not run on this host")
    if answer.code != 0:
        kind = "privilege" if _DENIED.search(answer.err) else "failed"
        raise PartError(kind, f"systemctl show {name}: {answer.err or 'no message'}")
    return properties(answer.out)


def properties(text: str) -> dict[str, list[str]]:
    """Split the lines ``Name=value`` of ``systemctl show``."""
    values: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            values.setdefault(name, []).append(value)
    return values


def read(name: str, timeout: float) -> Unit:
    """Look at a unit. Raises PartError; a unit that does not exist is ``absent``."""
    shown = show(name, timeout)
    if _first(shown, "LoadState") == "not-found":
        raise PartError("absent", f"there is no unit {name} on this host")
    return Unit(
        facts=facts(name, shown),
        argv=exec_start(_first(shown, "ExecStart")),
        environment=environment(_first(shown, "Environment")),
        environment_files=[_environment_file(value) for value in shown.get("EnvironmentFiles", []) if value],
        user=_first(shown, "User"),
        directory=_first(shown, "WorkingDirectory").lstrip("!~"),
    )


def facts(name: str, shown: dict[str, list[str]]) -> dict[str, t.Any]:
    """The contract's ``unit`` data from the properties. Values systemd did not give are null."""
    main_pid = _number(shown, "MainPID") or None
    exit_kind = _EXIT_KINDS.get(_first(shown, "ExecMainCode"))
    ended = [moment(_first(shown, field)) for field in ("ExecMainExitTimestamp", "InactiveEnterTimestamp")]
    stopped = max((at for at in ended if at is not None), default=None)
    started = moment(_first(shown, "ExecMainStartTimestamp"))
    return {
        "name": clean(_first(shown, "Id") or name),
        "load_state": _word(shown, "LoadState"),
        "active_state": _word(shown, "ActiveState"),
        "sub_state": _word(shown, "SubState"),
        "unit_file_state": _word(shown, "UnitFileState"),
        "result": _word(shown, "Result"),
        "restarts": _number(shown, "NRestarts"),
        "exit_kind": exit_kind,
        "exit_status": _number(shown, "ExecMainStatus") if exit_kind else None,
        "main_pid": main_pid,
        "started_at": stamp(started) if started is not None else None,
        "stopped_at": stamp(stopped) if stopped is not None and main_pid is None else None,
        "restart": _word(shown, "Restart"),
        "restart_delay_s": span(_first(shown, "RestartUSec")),
        "freezer_state": _word(shown, "FreezerState"),
        "control_group": _word(shown, "ControlGroup"),
        "invocation_id": _word(shown, "InvocationID"),
    }


def moment(text: str) -> float | None:
    """Seconds since 1970 from systemd's ``Tue 2026-11-24 19:18:06.123456 UTC``; None for never."""
    match = _MOMENT.match(text.strip())
    if not match:
        return None
    whole = datetime.datetime.strptime(match.group(1), "%Y-%m-%d %H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return whole.timestamp() + int((match.group(2) or "0").ljust(6, "0")) / 1e6


def span(text: str) -> float | None:
    """Seconds from systemd's ``1min 30s``; None for ``infinity`` and what cannot be read."""
    if text == "0":
        return 0.0
    words = text.split()
    pieces = [_SPAN.fullmatch(word) for word in words]
    if not pieces or not all(pieces):
        return None
    return sum(float(piece.group(1)) * _SPAN_SECONDS[piece.group(2)] for piece in pieces if piece)


def exec_start(text: str) -> list[str]:
    """The command line of ``ExecStart`` as words.

    systemd joins the words by blanks without quoting: a word with a blank in it cannot be told from two.
    """
    match = re.search(r"argv\[\]=(.*?) ; (?:ignore_errors|flags)=", text)
    return match.group(1).split() if match else []


def environment(text: str) -> dict[str, str]:
    """The variables of ``Environment``. They may hold secrets: the caller keeps only what it names."""
    try:
        words = shlex.split(text)
    except ValueError:
        return {}
    pairs = (word.partition("=") for word in words)
    return {name: value for name, equals, value in pairs if equals}


def _environment_file(text: str) -> tuple[str, bool]:
    """Path and whether systemd lets it be missing, from ``/etc/default/x (ignore_errors=yes)``."""
    path, _blank, rest = text.partition(" (")
    return path, "ignore_errors=yes" in rest


def _first(shown: dict[str, list[str]], name: str) -> str:
    return shown.get(name, [""])[0]


def _word(shown: dict[str, list[str]], name: str) -> str | None:
    return clean(_first(shown, name)) or None


def _number(shown: dict[str, list[str]], name: str) -> int | None:
    text = _first(shown, name)
    return int(text) if re.fullmatch(r"\d{1,18}", text) else None
