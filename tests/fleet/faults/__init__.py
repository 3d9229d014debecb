# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults, each made for real on a host; ``heal`` undoes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tests.fleet import governance, network, record
from tests.fleet.faults import database, disk, keys, net, node, process
from tests.fleet.faults.kind import NotMade, Saved, height
from tests.fleet.run import Failed

if TYPE_CHECKING:
    from tests.fleet.rig import Rig

KINDS = {fault.kind: fault for room in (process, net, disk, node, keys, database) for fault in room.FAULTS}
# What is done to the whole rig: no host is named.
OF_THE_WHOLE = (
    ("split", "A,B/C,D", "the network is split into groups; the controller reaches all"),
    ("upgrade", "HEIGHT [NAME]", "the chain decides to upgrade at a height; no node knows how"),
)


def kinds() -> list[str]:
    """Every kind of fault."""
    return [*KINDS, *(kind for kind, _where, _about in OF_THE_WHOLE)]


def usage() -> list[str]:
    """One line per kind of fault."""
    lines = [(f"{fault.kind} {fault.usage}", fault.about) for fault in KINDS.values()]
    lines += [(f"{kind} {where}", about) for kind, where, about in OF_THE_WHOLE]
    return [f"  {left:<40}{right}" for left, right in lines]


def _on_the_whole(rig: Rig, kind: str, where: str, arguments: Sequence[str]) -> Saved:
    if kind == "upgrade":
        if len(arguments) > 1:
            raise NotMade("usage: fault upgrade HEIGHT [NAME]")
        name = arguments[0] if arguments else node.UPGRADE
        try:
            first = governance.voters(rig)[0]
        except Failed as error:
            raise NotMade(str(error)) from error
        at = height(first, where)
        governance.plan_upgrade(rig, at, name)
        return {"at": at, "name": name}
    if arguments:
        raise NotMade("usage: fault split A,B/C,D")
    network.split(rig.names, net.groups(where, rig.layout.names()))
    return {}


def inject(rig: Rig, kind: str, where: str, arguments: Sequence[str]) -> None:
    """Make a fault and write down that it was made. ``where``: a host, or what OF_THE_WHOLE says.

    That it is begun is written down before anything is changed: one that fails half-way is known to ``heal``.
    """
    with record.locked(rig.names):
        found = rig.record
        if kind in KINDS:
            fault = KINDS[kind]
            if not fault.least <= len(arguments) <= fault.most:
                raise Failed(f"usage: fault {kind} {fault.usage}")
            if fault.once and any(there["kind"] == kind and there["where"] == where for there in found.faults):
                raise Failed(f"{where} has the fault {kind} already: heal it first")
            box = rig.box(where)
            if fault.service not in ("any", found.layout.host(where).service):
                raise Failed(f"{where} has no {fault.service}: the fault {kind} cannot be made there")
        elif kind not in (whole[0] for whole in OF_THE_WHOLE):
            raise Failed(f"no fault is called {kind}. There are:\n" + "\n".join(usage()))
        made = {"kind": kind, "where": where, "arguments": list(arguments), "saved": {}, "begun": True}
        found.faults.append(made)
        found.save(rig.names)
        try:
            if kind in KINDS:
                made["saved"] = KINDS[kind].inject(box, tuple(arguments))
            else:
                made["saved"] = _on_the_whole(rig, kind, where, arguments)
        except NotMade:
            found.faults.remove(made)
            found.save(rig.names)
            raise
        del made["begun"]
        found.save(rig.names)
