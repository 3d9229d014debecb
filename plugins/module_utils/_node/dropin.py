# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary drop-in that lets a signer start although its newest signature is in a recent block.

PRIVATE to the collection. The drop-in lives under /run: a reboot takes it away by itself.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import typing as t

from .._host import systemd
from .._host.parts import PartError, command
from . import config as _config
from . import places

KEY = _config.KEYS["double_sign_check_height"]
NAME = "90-virtengine-incident.conf"
TEXT = f"[Service]\nEnvironment={KEY.variable}=0\n"
RUNTIME = "/run/systemd/system"
_COMMAND_S = 15.0


class Refused(Exception):
    """The override would have no effect, or cannot be made; the text says why."""


class DropIn:
    """The drop-in of one unit: its file, and whether systemd has it loaded."""

    def __init__(self, unit: str, root: str = RUNTIME) -> None:
        self.unit = unit
        self.path = os.path.join(root, f"{unit}.d", NAME)

    def text(self) -> str:
        """Content of the file; empty when there is none."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as stream:
                return stream.read(4096)
        except FileNotFoundError:
            return ""

    def loaded(self) -> bool:
        """Whether systemd reads the file at the next start. It does so only after a reload."""
        shown = systemd.show(self.unit, _COMMAND_S)
        return self.path in " ".join(shown.get("DropInPaths", [])).split()

    def refuse_if_idle(self) -> None:
        """Raise Refused where a variable has no effect: a flag overrules it, and so does a file of variables."""
        unit = systemd.read(self.unit, _COMMAND_S)
        launch = places.launch_of(unit, None)
        if KEY.flag in launch.flags:
            raise Refused(f"{self.unit} sets --{KEY.flag}, which overrules {KEY.variable}. Change the unit instead.")
        if launch.why_flags:
            raise Refused(f"{launch.why_flags}; it cannot be told whether {KEY.variable} has an effect.")
        if launch.why_variables:
            raise Refused(f"{launch.why_variables}; it cannot be told whether {KEY.variable} has an effect.")
        in_files = launch.variables.get(KEY.variable)
        if in_files is not None and in_files != unit.environment.get(KEY.variable):
            raise Refused(f"An EnvironmentFile of {self.unit} sets {KEY.variable}, which overrules the drop-in.")

    def write(self) -> None:
        """Put the file in place by a rename and have systemd read it. Raises Refused when another setting wins."""
        directory = os.path.dirname(self.path)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=".incident-")
        try:
            with os.fdopen(handle, "w", encoding="ascii") as stream:
                stream.write(TEXT)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            os.rename(temporary, self.path)
        except OSError:
            os.unlink(temporary)
            raise
        reload()
        shown: dict[str, list[str]] = systemd.show(self.unit, _COMMAND_S)
        environment = systemd.environment(" ".join(shown.get("Environment", [])))
        if environment.get(KEY.variable) != "0":
            self.remove()
            raise Refused(f"Another drop-in of {self.unit} sets {KEY.variable} and wins. The override was taken back.")

    def remove(self) -> None:
        """Take the file away and have systemd forget it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        # The directory stays where other drop-ins are in it.
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(self.path))
        reload()


def reload() -> None:
    """Have systemd read its units again. Raises PartError."""
    answer = command(["systemctl", "daemon-reload"], _COMMAND_S * 4)
    if answer.code != 0:
        raise PartError("failed", f"systemctl daemon-reload: {answer.err or 'no message'}")


def ensure(drop_in: DropIn, present: bool, check: bool) -> dict[str, t.Any]:
    """Bring the drop-in into place or away; ``{"changed", "before", "after", "actions"}``. Raises Refused, PartError.

    What counts is both the file and what systemd has loaded: a run that was killed between the two is completed.
    """
    before, loaded = drop_in.text(), drop_in.loaded()
    after = TEXT if present else ""
    done = (before == TEXT and loaded) if present else (before == "" and not loaded)
    actions: list[str] = []
    if present:
        drop_in.refuse_if_idle()
    if not done:
        actions = [f"{'write' if present else 'remove'} {drop_in.path}", "systemctl daemon-reload"]
        if not check:
            (drop_in.write if present else drop_in.remove)()
    return {"changed": not done, "before": before, "after": after, "actions": actions}
