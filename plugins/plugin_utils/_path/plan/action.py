# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of a plan are: their words, the modules they are made of, what undoes what. PRIVATE to the collection.

A step is cleared by the guards of its own action, so it lets nothing run but what that action is made of: the guards of
a start do not ask what a stop would have to.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


class Call(t.NamedTuple):
    """One call of an acting module.

    ``state``: the value of its option of that name; None where it has no such option. ``proof``: the field of its answer
    that must be true for the step to have succeeded; None where an answer without an error is enough.
    """

    module: str  # with its collection, such as virtengine.incident.node_service
    state: t.Optional[str] = None
    proof: t.Optional[str] = None


@dataclass(frozen=True)
class Action:
    """An action of an incident.

    ``words``: what it does, before the names of its hosts ("restart the service on"). ``undoes``: the action of the same plan
    that this one takes back. No observation tells for certain that such a step is still due, and doing it twice changes
    nothing, so two plans are compared without it when a run resumes.
    """

    words: str
    calls: tuple[Call, ...]
    undoes: t.Optional[str] = None


Actions = t.Mapping[str, Action]


def call_of(actions: Actions, action: str, module: str, args: t.Mapping[str, t.Any]) -> t.Optional[Call]:
    """The call of ``action`` that running ``module`` with ``args`` is, or None: nothing belongs to an unknown action."""
    known = actions.get(action)
    for call in known.calls if known is not None else ():
        if (call.module, call.state) == (module, args.get("state")):
            return call
    return None


def undoes(actions: Actions, action: t.Any) -> bool:
    """Whether an action takes back what another one of the same plan changed."""
    known = actions.get(str(action))
    return known is not None and known.undoes is not None
