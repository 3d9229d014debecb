# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The upgrade a node stopped for, and whether its program is there. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
import re
import stat
import typing as t
import urllib.parse

from .._host.parts import PartError, clean
from .config import INT64_MAX

# The plan's free text may hold links and checksums of programs for every platform.
FILE_CAP = 1024 * 1024
# What Go's url.PathEscape, by which cosmovisor names the folder of an upgrade, leaves as it is.
_UNESCAPED = "$&+:=@"


def read(home: str, cosmovisor: bool, upgrades: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """The contract's ``upgrade`` data.

    ``upgrades`` is where cosmovisor keeps programs: ``folder``, ``program``, ``as_named`` (whether it takes the plan's
    name as it is written). Raises PartError ``malformed``, ``too_large``, OSError when the file cannot be read.
    """
    plan = read_plan(os.path.join(home, "data", "upgrade-info.json"))
    path = None
    if cosmovisor and upgrades is not None and plan is not None:
        path = _program(upgrades, plan["name"])
    return {
        "plan": None if plan is None else {"name": clean(plan["name"]), "height": plan["height"]},
        "cosmovisor": cosmovisor,
        "upgrade_binary": None if path is None else clean(path),
        "upgrade_binary_present": None if path is None else _is_file(path),
    }


def read_plan(path: str) -> dict[str, t.Any] | None:
    """Name and height of the plan that the application wrote when it reached it. None where it never wrote one."""
    try:
        with open(path, "rb") as stream:
            raw = stream.read(FILE_CAP + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(raw) > FILE_CAP:
        raise PartError("too_large", f"{path}: larger than {FILE_CAP} bytes")
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise PartError("malformed", f"{path}: the upgrade plan is not JSON") from error
    name, height = (content.get("name"), content.get("height")) if isinstance(content, dict) else (None, None)
    if isinstance(height, str) and re.fullmatch(r"[0-9]{1,19}", height):
        height = int(height)
    if not isinstance(name, str) or not name or "\0" in name:
        raise PartError("malformed", f"{path}: the upgrade plan has no name")
    if isinstance(height, bool) or not isinstance(height, int) or not 0 < height <= INT64_MAX:
        raise PartError("malformed", f"{path}: the upgrade plan has no height")
    return {"name": name, "height": height}


def _program(upgrades: dict[str, t.Any], name: str) -> str:
    """Where cosmovisor takes the program of an upgrade from (tools/cosmovisor/args.go, UpgradeBin)."""
    folder = urllib.parse.quote(name if upgrades["as_named"] else name.lower(), safe=_UNESCAPED, errors="replace")
    return os.path.join(upgrades["folder"], folder, "bin", upgrades["program"])


def _is_file(path: str) -> bool | None:
    """Whether a regular file is there. cosmovisor makes it executable itself."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return None
