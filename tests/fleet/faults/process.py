# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of the node's process and of the host as a whole."""

from __future__ import annotations

from collections.abc import Sequence

from tests.fleet import cgroups, image, unitfreezer
from tests.fleet.faults.kind import Fault, NotMade, Saved
from tests.fleet.host import Box


def _stop(box: Box, _arguments: Sequence[str]) -> Saved:
    box.must("systemctl", "stop", image.UNIT)
    return {}


def _kill(box: Box, arguments: Sequence[str]) -> Saved:
    if arguments not in ((), ("stay",), ["stay"]):
        raise NotMade("kill: the only argument is 'stay'")
    directory = f"/run/systemd/system/{image.UNIT}.d"
    if arguments:
        box.must("mkdir", "-p", directory)
        box.must("sh", "-c", f"printf '[Service]\\nRestart=no\\n' > {directory}/fleet.conf && systemctl daemon-reload")
    box.must("systemctl", "kill", "--signal=SIGKILL", image.UNIT)
    if arguments:
        # The unit has to look as it always does once its process is dead.
        wait = f"until systemctl is-failed -q {image.UNIT}; do sleep 0.1; done"
        box.must("sh", "-c", f"{wait}; rm -r {directory} && systemctl daemon-reload")
    return {}


def _freeze(box: Box, _arguments: Sequence[str]) -> Saved:
    box.must("systemctl", "kill", "--signal=SIGSTOP", image.UNIT)
    return {}


def _freeze_cgroup(box: Box, _arguments: Sequence[str]) -> Saved:
    unitfreezer.freeze(box)
    return {}


def _freeze_host(box: Box, _arguments: Sequence[str]) -> Saved:
    cgroups.freeze(box.cgroups(), frozen=True)
    return {}


def _power_off(box: Box, _arguments: Sequence[str]) -> Saved:
    box.power_cut()
    return {}


FAULTS = (
    Fault("stop", "HOST", "the unit is stopped", _stop),
    Fault("kill", "HOST [stay]", "SIGKILL; systemd starts the node again, with 'stay' it does not", _kill, 0, 1),
    Fault("freeze", "HOST", "SIGSTOP to the node's process", _freeze),
    Fault("freeze-cgroup", "HOST", "the cgroup freezer stops the node", _freeze_cgroup),
    Fault("freeze-host", "HOST", "the cgroup freezer stops every process of the host", _freeze_host, service="any"),
    Fault("power-off", "HOST", "the plug is pulled", _power_off, service="any"),
)
