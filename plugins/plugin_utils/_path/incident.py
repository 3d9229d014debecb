# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one object that the path knows of an incident or a fleet action. PRIVATE to the collection.

Everything that differs from incident to incident is named here; the path, its action plugins and the role ``incident``
know nothing else of it. All functions are pure: plain data in, plain data out.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from .plan.action import Action

Data = dict[str, t.Any]
Values = t.Mapping[str, t.Any]

COLLECTION = "virtengine.incident"


class Misuse(ValueError):
    """A variable holds a value that makes no sense; the text says which, what is wrong and what to do."""


@dataclass(frozen=True)
class Source:
    """Where observations come from.

    ``in_inventory``: each is about a host of the inventory. Otherwise it is about something outside of it, such as a
    reference that is asked over the network, and its ``host`` is what that is called. ``groups``: of the inventory, whose
    hosts are asked for it; none: all that the run observes.
    """

    in_inventory: bool = True
    groups: tuple[str, ...] = ()

    def asks(self, groups: t.Collection[str]) -> bool:
        """Whether a host of these groups is asked."""
        return self.in_inventory and (not self.groups or not set(self.groups).isdisjoint(groups))


@dataclass(frozen=True)
class Timing:
    """How often is looked, and how far apart. Seconds."""

    looks: int = 2  # of a diagnosis
    gap_s: int = 6  # between two looks of a diagnosis, counted from the first one's observation
    least_gap_s: int = 5  # looks closer together than this confirm nothing
    wait_s: int = 3  # between two looks of a run that acts
    most_looks: int = 12  # that a run which acts takes on one occasion: before a step, or to prove the recovery


def no_values(values: Values) -> Data:
    """The settings of an incident that has no variables of its own."""
    return {}


def no_host_values(host: str, values: Values) -> Data:
    """What a host declares where the incident asks for nothing."""
    return {}


def same_step(recorded: Data, fresh: Data) -> bool:
    """Of an incident whose steps stay as they are until its basis changes."""
    keys = ("action", "hosts", "parameters", "overrides")
    return all(recorded[key] == fresh[key] for key in keys)


def stays(recorded: Data, verdict: Data) -> bool:
    """Of an incident whose plan can only be resumed where nothing else changed."""
    return False


@dataclass(frozen=True)
class Incident:
    """What an incident or a fleet action adds to the path.

    ``assess(bundle)`` gives the verdict. ``plan(bundle, verdict, break_glass_reason)`` gives a draft, see
    ``_path/plan/plan.py``. ``check_step(bundle, plan, step)`` says whether a step may be taken now, from a look that is
    seconds old; the plan says under ``begun`` which steps any run under its digest began, as [action, host].
    ``recovered(bundle, plan, verdict_before)`` says whether it is over. ``settings(values)`` checks the variables named in
    ``variables`` and returns what the evidence keeps of them, by the same names; what it returns is accepted again, so
    that saved evidence is checked by the same function. ``declared(host, values)`` does that for ``host_variables``. Both
    raise Misuse.
    """

    name: str  # of playbook and role as well
    kind: str  # "incident" or "action"
    sources: t.Mapping[str, Source]
    assess: t.Callable[[Data], Data]
    plan: t.Callable[[Data, Data, t.Optional[str]], Data]
    check_step: t.Callable[[Data, Data, Data], Data]
    recovered: t.Callable[[Data, Data, Data], Data]
    actions: t.Mapping[str, Action]
    groups: tuple[str, ...] = ()  # of the inventory that are observed; none: no host is asked
    timing: Timing = Timing()
    variables: frozenset[str] = frozenset()
    host_variables: frozenset[str] = frozenset()
    settings: t.Callable[[Values], Data] = no_values
    declared: t.Callable[[str, Values], Data] = no_host_values
    # The verdicts that a plan may have steps for: an incident mends what is broken, a fleet action acts on what is whole.
    plans_for: frozenset[str] = frozenset({"incident"})
    # How long a printed plan may be approved, seconds. None: until its basis changes.
    valid_s: t.Optional[int] = None
    # Whether an approval of a recorded step still holds where a step of the same action and hosts is planned now: (recorded,
    # fresh). The check before the step sees to it that it does no more than is needed then.
    covers: t.Callable[[Data, Data], bool] = same_step
    # Whether things changed as the recorded plan was meant to change them: (recorded plan, verdict now).
    moved_on: t.Callable[[Data, Data], bool] = stays
    # What the operator does after a run that ended so (an outcome of the path -> lines).
    advice: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """The name by which it is run: ``virtengine.incident.<name>``."""
        return f"{COLLECTION}.{self.name}"

    @property
    def acts(self) -> bool:
        """Whether its plans may have steps."""
        return bool(self.actions)

    def accept(self, bundle: Data) -> None:
        """Raise Misuse where settings of a saved bundle, or what a host declares in it, is no value of its variables."""
        if self.settings(bundle["settings"]) != bundle["settings"]:
            raise Misuse("settings: these are not the settings of this incident")
        for host, known in bundle["inventory"].items():
            if self.declared(host, known["declared"]) != known["declared"]:
                raise Misuse(f"inventory of {host}: it declares what this incident does not know")
