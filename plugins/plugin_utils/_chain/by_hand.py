# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that a person types on a host, with that host's own home, unit, RPC and program. PRIVATE to the collection.

The causes write their commands for a node in its usual places. Evidence is text from outside, and these commands are
pasted into a shell: a value is put in only where nothing in it means anything to a shell.
"""

from __future__ import annotations

import re
import typing as t

from .node import NodeEvidence

HOME = "~virtengine/.virtengine"
UNIT = "virtengine.service"
RPC = "http://127.0.0.1:26657"
BINARY = "/usr/bin/virtengine"
PROCESS = "-C virtengine"

# Shorter than where evidence cuts its texts: a path that lost its end is another path.
_MOST = 200
_PATH = re.compile(r"(?:/\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+/?")
# Of systemd's alphabet without the backslash, which a shell takes away.
_UNIT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.@-]*\.service")
_BYTE = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_URL = re.compile(rf"http://(?:localhost|{_BYTE}(?:\.{_BYTE}){{3}}|\[[0-9A-Fa-f:]{{2,39}}\]):([1-9][0-9]{{0,4}})")
# The kernel keeps so many characters of a process's name, and -C compares with those.
_PROCESS_NAME = 15
# Homes that ``~virtengine`` leads to on most hosts.
_USUAL_HOMES = ("/var/lib/virtengine/.virtengine", "/home/virtengine/.virtengine")
_DEFAULTS = re.compile("|".join(re.escape(text) for text in (HOME, UNIT, RPC, BINARY, PROCESS)))


def placed(commands: t.Sequence[str], hosts: t.Sequence[t.Optional[NodeEvidence]]) -> list[str]:
    """The commands with what all of ``hosts`` agree on in place of what is usual.

    ``hosts``: the evidence of each host that they are for, None where there is none. What one of them does not show, or
    shows otherwise than another, stays as it is written.
    """
    known = {default: value for default, find in _FINDERS.items() if (value := _agreed(hosts, find)) is not None}
    # In one pass: what was put in is not looked through again.
    return [_DEFAULTS.sub(lambda match: known.get(match.group(0), match.group(0)), text) for text in commands]


def _agreed(
    hosts: t.Sequence[t.Optional[NodeEvidence]], find: t.Callable[[NodeEvidence], t.Optional[str]]
) -> t.Optional[str]:
    values = {None if data is None else find(data) for data in hosts}
    return values.pop() if len(values) == 1 else None


def _matching(pattern: re.Pattern[str], value: t.Any) -> t.Optional[str]:
    """The value where the whole of it is of this form, or None."""
    return value if isinstance(value, str) and len(value) <= _MOST and pattern.fullmatch(value) else None


def _path(value: t.Any) -> t.Optional[str]:
    path = _matching(_PATH, value)
    return path.rstrip("/") if path is not None else None


def _home(data: NodeEvidence) -> t.Optional[str]:
    path = _path(data.paths.raw.get("home"))
    # The home of the unit's user, who has the name of the node's user.
    own = (
        data.paths.raw.get("home_source") == "default" and path is not None and path.endswith("/virtengine/.virtengine")
    )
    return HOME if own or path in _USUAL_HOMES else path


def _unit(data: NodeEvidence) -> t.Optional[str]:
    return _matching(_UNIT_NAME, data.unit.raw.get("name"))


def _rpc(data: NodeEvidence) -> t.Optional[str]:
    url = _matching(_URL, data.paths.raw.get("rpc"))
    return url if url is not None and int(url.rpartition(":")[2]) < 65536 else None


def _binary(data: NodeEvidence) -> t.Optional[str]:
    return _path(data.binary.raw.get("path"))


def _process(data: NodeEvidence) -> t.Optional[str]:
    path = _binary(data)
    name = path.rpartition("/")[2] if path is not None else "-"
    return None if name.startswith("-") else f"-C {name[:_PROCESS_NAME]}"


_FINDERS: dict[str, t.Callable[[NodeEvidence], t.Optional[str]]] = {
    HOME: _home,
    UNIT: _unit,
    RPC: _rpc,
    BINARY: _binary,
    PROCESS: _process,
}
