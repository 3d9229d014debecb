# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of a plan are on a host: which acting module, brought into which state. PRIVATE to the collection.

A step is cleared by the guards of its own action, so it lets nothing run but what that action is made of: the guards of
a start do not ask what a stop would have to.
"""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan


class Act(t.NamedTuple):
    """One call of an acting module. ``state``: the value of its option of that name; None where it has no such option."""

    module: str
    state: str | None = None


# The acts of each action of an incident, by the action's name.
Acts = t.Mapping[str, tuple[Act, ...]]


def belongs(acts: Acts, action: str, module: str, args: t.Mapping[str, t.Any]) -> bool:
    """Whether this call of ``module`` is one that ``action`` is made of. Nothing belongs to an action that is not known."""
    return Act(module, args.get("state")) in acts.get(action, ())


def puts_back(acts: Acts, module: str, args: t.Mapping[str, t.Any]) -> bool:
    """Whether this call only undoes what a step changed for a time."""
    return any(plan.puts_back(action) and belongs(acts, action, module, args) for action in acts)
