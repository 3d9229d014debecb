# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All bundles that are kept, recorded and composed, each with what was made for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry

from tests.recorded.cases import CASES
from tests.recorded.composed import COMPOSED

DATA = Path(__file__).resolve().parents[1] / "data"
RECORDED = DATA / "recorded"
BUNDLES = DATA / "bundles"
# The words of a script that do no harm.
_WAITS = ("halted", "moving", "sleep")


@dataclass(frozen=True)
class Kept:
    """A kept bundle. ``causes``: what was made, id -> role.

    Of a recorded one ``seconds`` is how long that run took to the first answer and to its end, and ``then`` what its
    verdict was: status, and id -> role.
    """

    name: str
    about: str
    made: str
    causes: dict[str, str]
    path: Path
    composed: bool
    seconds: tuple[float, float] | None = None
    then: tuple[str, dict[str, str]] | None = None

    def bundle(self) -> dict[str, Any]:
        return registry.evidence(json.loads(self.path.read_text(encoding="utf-8")))[1]

    @property
    def roots(self) -> set[str]:
        return {cause for cause, role in self.causes.items() if role == "root"}


def kept() -> list[Kept]:
    """Every bundle that is there: of the recorded cases first, in their order."""
    index = json.loads((RECORDED / "index.json").read_text(encoding="utf-8"))
    found = []
    for case in CASES:
        path = RECORDED / f"{case.name}.json"
        if path.is_file() and case.name in index:
            run = index[case.name]
            seconds = (run["seconds"]["first_answer"], run["seconds"]["end"])
            then = (run["status"], run["causes"])
            found.append(Kept(case.name, case.about, _made(case.script), case.causes, path, False, seconds, then))
    for one in COMPOSED:
        found.append(Kept(one.name, one.about, one.about, one.causes, BUNDLES / f"{one.name}.json", True))
    return found


def unrecorded() -> list[str]:
    """Cases whose evidence has not been recorded."""
    there = {one.name for one in kept()}
    return [case.name for case in CASES if case.name not in there]


def _made(script: tuple[tuple[str, ...], ...]) -> str:
    """What was done to the fleet, without the waiting. One thing that was done to several hosts is one phrase."""
    hosts: dict[tuple[str, str], list[str]] = {}
    for kind, *words in script:
        if kind in _WAITS:
            continue
        if kind == "fault":
            first, host, more = words[0], words[1], " ".join(words[2:])
        elif kind == "on":
            # The command without what says where: `systemctl restart`.
            first, host, more = " ".join(words[1].split()[:2]), words[0], ""
        else:
            first, host, more = kind, words[0], " ".join(words[1:])
        hosts.setdefault((first, more), []).append(host)
    return ", ".join(f"{first} {','.join(on)} {more}".rstrip() for (first, more), on in hosts.items()) or "nothing"
