# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change PgBouncer: give a paused pool back its work, or make the pools larger in its configuration. PRIVATE."""

from __future__ import annotations

import os
import re
import time
import typing as t

from .._host import parts
from .._host.config_file import ConfigFile
from .._host.kept import kept_name
from .._host.parts import PartError, Refused
from . import login

# RELOAD answers at once; a console that does not is one that hangs.
CONSOLE_S = 15
_SECTION = re.compile(r"\s*\[([^]]*)\]")
_SETS = re.compile(r"(?i)\s*default_pool_size\s*=")
_SIZE = re.compile(r"(?i)(\s*default_pool_size\s*=\s*)([0-9]{1,6})(\s*)\Z")


def console(found: dict[str, t.Any], work: t.Callable[[t.Callable[..., login.Rows]], t.Any]) -> t.Any:
    """What ``work`` returns of a session on the console, in a process that may become its user. Raises PartError."""

    def ask() -> t.Any:
        login.become_peer(found)
        with login.session(found, "PgBouncer") as run:
            return work(run)

    part = parts.gather({"PgBouncer": ask}, time.monotonic() + CONSOLE_S)["PgBouncer"]
    if not part["ok"]:
        raise PartError(part["error"]["kind"], part["error"]["text"])
    return part["data"]


def resume(found: dict[str, t.Any], database: t.Optional[str], check: bool) -> dict[str, t.Any]:
    """Resume the pools of one database, or of all. Raises PartError; Refused for what cannot be the name of one."""
    if database is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", database):
        raise Refused(f"the console takes no such name of a database: {parts.clean(database, 64)!r}. Nothing was done.")
    what = f'RESUME "{database}"' if database is not None else "RESUME"

    def paused(run: t.Callable[..., login.Rows]) -> t.Optional[bool]:
        """Whether it is paused. Of all databases together no version that is read says so: then None."""
        if database is None:
            return None
        for row in run("SHOW DATABASES"):
            if row["name"] == database:
                return bool(int(row["paused"]))
        raise PartError("refused", f"the pooler has no database {database}. Nothing was done.")

    def act(run: t.Callable[..., login.Rows]) -> dict[str, t.Any]:
        if paused(run) is False:
            return {"changed": False, "done": True, "actions": []}
        if not check:
            try:
                run(what)
            except Exception as error:
                if "not paused" in str(error):
                    return {"changed": False, "done": True, "actions": []}
                raise
        return {"changed": True, "done": check or not paused(run), "actions": [what]}

    return dict(console(found, act))


def resize(
    found: dict[str, t.Any], conffile: str, size: int, expected: int, digest: str, check: bool
) -> dict[str, t.Any]:
    """Set default_pool_size in the file, keep the file as it was beside it, and let the pooler read it again.

    ``expected``: the size that the plan was made for. Raises Refused, PartError, ValueError, OSError.
    """
    if not login.is_local(found):
        raise Refused("the pooler runs on another host, whose file is not here. Nothing was done.")
    folder, name = os.path.split(conffile)
    backup = kept_name(name, digest)

    def now(run: t.Callable[..., login.Rows]) -> int:
        return int({str(row["key"]): row["value"] for row in run("SHOW CONFIG")}["default_pool_size"])

    def reload(run: t.Callable[..., login.Rows]) -> int:
        run("RELOAD")
        return now(run)

    before = int(console(found, now))
    with ConfigFile(folder, name) as file:
        text, written = sized(file.read(), size)
        if before not in (expected, size):
            raise Refused(f"default_pool_size is {before}, not {expected}. Somebody changed it. Nothing was done.")
        if written not in (None, expected, size):
            raise Refused(f"{conffile} has {written}, the pooler {expected}: it was not reloaded. Nothing was done.")
        actions = [f"keep {name} as {backup}", f"set default_pool_size to {size} in {name}"] if written != size else []
        if actions and not check:
            file.replace(text, backup)
    actions += ["RELOAD"] if before != size else []
    after = int(console(found, reload)) if before != size and not check else before
    return {
        "changed": bool(actions),
        "done": check or after == size,
        "actions": actions,
        "backup": os.path.join(folder, backup) if len(actions) > 1 else None,
        "before": before,
        "after": size if check else after,
    }


def sized(text: str, size: int) -> tuple[str, t.Optional[int]]:
    """The configuration with this default_pool_size, every other byte kept, and the size it has now; None where it has none.

    Raises Refused where there is no section of the pooler, or the value stands in it twice, or is no plain number.
    """
    lines, section, heading = text.split("\n"), "", None
    found: list[int] = []
    for place, line in enumerate(lines):
        begins = _SECTION.match(line)
        section = begins[1].strip().lower() if begins else section
        heading = place if begins and section == "pgbouncer" and heading is None else heading
        if section == "pgbouncer" and _SETS.match(line):
            value = _SIZE.match(line)
            if value is None:
                raise Refused(
                    f"default_pool_size is no plain number in the file ({parts.clean(line, 60)}). Nothing was done."
                )
            found.append(int(value[2]))
            lines[place] = f"{value[1]}{size}{value[3]}"
    if heading is None or len(found) > 1:
        raise Refused("the file has no section [pgbouncer], or default_pool_size twice in it. Nothing was done.")
    if not found:
        lines.insert(heading + 1, f"default_pool_size = {size}")
    return "\n".join(lines), found[0] if found else None
