# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the halt height and the halt time out of a node's app.toml. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import typing as t

from .._host.config_file import ConfigFile
from .._host.kept import kept_name
from .._host.parts import Refused
from . import config as _config
from . import places as _node_places
from . import service

FILE = "app.toml"
NAMES = ("halt_height", "halt_time")

_PAIR = re.compile(r"""(\s*([A-Za-z0-9_-]+)\s*=\s*)("[^"\\]*"|'[^']*'|[+-]?\d+)(\s*(?:\#.*)?)\Z""", re.DOTALL)


def clear(
    unit: str, home: t.Optional[str], digest: str, expected: t.Mapping[str, int], check: bool
) -> dict[str, t.Any]:
    """Set both values to 0, for the next start of the unit, and keep the file as it was beside it.

    ``expected``: what the file must name, by the names of NAMES; the values that the plan was made for. Returns
    ``changed``, ``file``, ``backup`` (None where nothing changes), ``before`` and ``after`` (value by name), ``lines``
    (each changed line before and after) and ``actions``. Raises Refused, PartError, ValueError, OSError.
    """
    backup = kept_name(FILE, digest)
    places = _node_places.find(service.unit_stopped(unit), None, home, None, None)
    if places["home"] is None:
        raise Refused(f"The home of the node of {unit} is not known. Give it with the option home. Nothing was done.")
    folder = os.path.join(places["home"], "config")
    if not os.path.isdir(folder):
        raise Refused(f"There is no folder {folder}: this is not the node's home. Nothing was done.")
    before = {name: _value(name, places["config"][name]) for name in NAMES}
    result: dict[str, t.Any] = {"file": os.path.join(folder, FILE), "before": before, "after": dict.fromkeys(NAMES, 0)}
    todo = [name for name in NAMES if before[name]]
    if not todo:
        return {**result, "changed": False, "backup": None, "lines": [], "actions": []}
    if any(before[name] != expected[name] for name in NAMES):
        raise Refused(
            f"{result['file']} names halt height {before['halt_height']} and halt time {before['halt_time']}, not "
            f"{expected['halt_height']} and {expected['halt_time']}. Somebody changed it. Nothing was done."
        )
    with ConfigFile(folder, FILE) as files:
        text = files.read()
        changed, lines = without(text, [_config.KEYS[name].name for name in todo])
        if not check:
            files.replace(changed, backup)
    actions = [f"keep {FILE} as {backup}", *(f"set {_config.KEYS[name].name} to 0 in {FILE}" for name in todo)]
    return {
        **result,
        "changed": True,
        "backup": os.path.join(folder, backup),
        "lines": lines,
        "actions": actions,
    }


def _value(name: str, setting: dict[str, t.Any]) -> int:
    """The value that a start would take, where taking it out of the file would help. Raises Refused."""
    key = _config.KEYS[name]
    value, source = setting["value"], setting["source"]
    if value is None:
        raise Refused(f"{key.name} cannot be read safely: {setting.get('why')}. Nothing was done.")
    if value and source == "flag":
        raise Refused(f"The unit sets --{key.flag} {value}, which overrules {FILE}. Change the unit. Nothing was done.")
    if value and source == "env":
        raise Refused(
            f"The unit sets {key.variable}={value}, which overrules {FILE}. Change the unit. Nothing was done."
        )
    return int(value)


def without(text: str, names: t.Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """``text`` with the top-level values of ``names`` set to 0, every other byte kept; and the changed lines.

    Raises Refused where the file is of a form that the strict reader does not know, or a line cannot be found for
    certain.
    """
    try:
        before = _config.read_toml(text)
    except _config.Unreadable as why:
        raise Refused(f"{FILE} cannot be read safely: {why}. Nothing was done.") from why
    pieces: list[str] = []
    lines: list[tuple[str, str]] = []
    top = True
    for raw in text.splitlines(keepends=True):
        body = raw.rstrip("\r\n")
        top = top and not body.lstrip().startswith("[")
        pair = _PAIR.match(body) if top else None
        if pair is None or pair.group(2).lower() not in names:
            pieces.append(raw)
            continue
        new = f"{pair.group(1)}0{pair.group(4)}"
        lines.append((body, new))
        pieces.append(new + raw[len(body) :])
    changed = "".join(pieces)
    after = {key: repr(value) for key, value in _config.read_toml(changed).items()}
    wanted = {key: repr(value) for key, value in before.items()} | {("", name): "0" for name in names}
    if len(lines) != len(names) or after != wanted:
        raise Refused(f"{FILE} cannot be changed safely: a line is not found for certain. Nothing was done.")
    return changed, lines
