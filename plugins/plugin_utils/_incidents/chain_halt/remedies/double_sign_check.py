# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``double_sign_check_height``, which ends every start on a halted chain: 0 for one start, restored afterwards.

A node finds its own last signature in the newest blocks, and takes it for that of a second node with its key.
"""

from __future__ import annotations

from ...._chain.guards.case import Case
from ..actions import RELAX
from .remedy import Change, Remedy, Texts

_SETTING = "double_sign_check_height"


def _blocks(case: Case) -> bool:
    height = case.data.setting(_SETTING)
    return case.node.in_set and isinstance(height, int) and not isinstance(height, bool) and height > 0


def _texts(case: Case) -> Texts:
    return Texts(
        f"{_SETTING} is {case.data.setting(_SETTING)}. On a halted chain the node finds its own last signature and crashes "
        "at every start. It is set to 0 for this start.",
        "The restore step of this plan. The change is also gone after a reboot.",
        "This start is without the node's own check. The guards look for the same thing before it.",
    )


def restore_texts(host: str) -> Texts:
    """The words of the step that takes the change back."""
    return Texts(
        f"{_SETTING} on {host} gets its value back, for the next start.",
        "None is needed: this is the undo.",
        "None: the process that runs is not touched.",
    )


CHANGE = Change(
    RELAX, lambda case: case.data.setting(_SETTING) == 0, "double_sign_check_height on {host} is already 0.", _texts
)
REMEDY = Remedy(blocker="double_sign_check", blocks=_blocks, removed=lambda case, planned: planned, change=CHANGE)
