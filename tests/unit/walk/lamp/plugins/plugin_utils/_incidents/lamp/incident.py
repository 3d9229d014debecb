# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake incident for the tests of the path: a lamp is off. Its only source is an API, which is a file of JSON here."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import (
    Incident,
    Misuse,
    Source,
    Timing,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import guard
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.action import Action, Call
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.plan import DIGEST_MARK, step
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict import verdict as verdicts
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.cause import (
    HOLDS,
    Cause,
    Finding,
    cannot_tell,
    refuted,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.judge import judge

Data = dict[str, t.Any]

OPEN_PANEL, TURN_ON, CLOSE_PANEL = "open_panel", "turn_on", "close_panel"
ACTIONS = {
    OPEN_PANEL: Action("open the panel of", (Call("virtengine.incident.lamp_switch", "panel_open"),)),
    TURN_ON: Action("turn on the lamp of", (Call("virtengine.incident.lamp_switch", "on", "lit"),)),
    CLOSE_PANEL: Action("close the panel of", (Call("virtengine.incident.lamp_switch", "panel_closed"),), OPEN_PANEL),
}


def newest(bundle: Data) -> t.Optional[Data]:
    """What the API showed last, None where it did not answer."""
    seen = max(bundle["observations"], key=lambda entry: entry["look"])
    return seen["data"] if seen["ok"] else None


def _off(lamp: t.Optional[Data]) -> Finding:
    if lamp is None:
        return cannot_tell("the API does not answer")
    return refuted("it is on") if lamp["on"] else Finding(HOLDS, "the API says so", 1, ("api",))


OFF = Cause("off", "the lamp is off", "The lamp is off", "99", "SEV-3", predicate=_off, justifies=(TURN_ON,))


def assess(bundle: Data) -> Data:
    lamp = newest(bundle)
    status = "unknown" if lamp is None else "healthy" if lamp["on"] else "incident"
    row = verdicts.Row(("hall", status), "good" if status == "healthy" else "stopped", status, 1, name="hall")
    table = verdicts.Table("Lamps", (verdicts.Column("lamp"), verdicts.Column("state")), (row,), "lamps")
    gauge = verdicts.Gauge("Light", 1, 1, int(status == "healthy"), f"the lamp is {status}", "lit", "# on", table=0)
    return verdicts.made(
        incident="lamp",
        subject="lamp hall",
        status=status,
        severity="SEV-3" if status == "incident" else None,
        confirmed=len(bundle["observations"]) > 1,
        judged=judge((OFF,), lambda cause: cause.predicate(lamp)),
        summary=f"The lamp in the hall: {status}.",
        next_lines=["Look at the lamp."] if status == "unknown" else [],
        started_at=lamp["since"] if lamp and status == "incident" else None,
        view=verdicts.View(
            "THE LAMP IS OFF" if status == "incident" else status.upper(), tables=(table,), gauges=(gauge,)
        ),
        details={"boot": lamp and lamp["boot"]},
        hand_over=[{"incident": "mains", "because": "the mains are off"}] if lamp and not lamp["mains"] else [],
    )


def _step(action: str, **more: t.Any) -> Data:
    return step(
        action, f"{ACTIONS[action].words} api", ["api"], why="it is dark", undo=f"see {DIGEST_MARK}", risk="", **more
    )


def plan(bundle: Data, verdict: Data, reason: t.Optional[str]) -> Data:
    wanted = verdict["status"] == "incident" and verdict["confirmed"]
    impact = {"label": "lamps", "before": 0, "after": 1, "needed": 1}
    watts = {"watts": bundle["settings"].get("lamp_watts", 5)}
    steps = [_step(OPEN_PANEL), _step(TURN_ON, parameters=watts, impact=impact), _step(CLOSE_PANEL)] if wanted else []
    draft = {"scopes": ["lamp:hall"], "basis": {"boot": verdict["details"]["boot"]}, "steps": steps}
    return {
        **draft,
        "withheld": [],
        "messages": [],
        "decision": None,
        "put_back": [_step(CLOSE_PANEL)] if wanted else [],
    }


def check_step(bundle: Data, plan: Data, wanted: Data) -> Data:
    lamp = newest(bundle)
    if lamp is None:
        return guard.check(wait=True, because="The API does not answer.")
    if wanted["action"] == TURN_ON and lamp["on"]:
        return guard.check(needed=False)
    mains = guard.clear("mains", "on") if lamp["mains"] else guard.refused("mains", "The mains are off.")
    stops = guard.blocking([mains])
    return guard.check(ok=not stops, because=mains.because, guards=[mains], give={"boot": lamp["boot"]})


def recovered(bundle: Data, plan: Data, before: Data) -> Data:
    lamp = newest(bundle)
    return {
        "recovered": bool(lamp and lamp["on"]),
        "because": "The lamp is on." if lamp and lamp["on"] else "It is dark.",
    }


def settings(values: t.Mapping[str, t.Any]) -> Data:
    watts = values.get("lamp_watts")
    if watts is not None and not 0 < int(watts) < 100:
        raise Misuse(f"lamp_watts is {watts}, which no lamp has. Give 1 to 99.")
    return {} if watts is None else {"lamp_watts": int(watts)}


LAMP = Incident(
    "lamp", "incident", {"lamp_evidence": Source()}, assess, plan, check_step, recovered, ACTIONS,
    groups=("lamps",), timing=Timing(gap_s=0, wait_s=0, most_looks=3), variables=frozenset({"lamp_watts"}), settings=settings,
    valid_s=600, moved_on=lambda recorded, verdict: verdict["status"] == "healthy",
)  # fmt: skip
