# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tired person must not misread on the screen of a halt, over evidence that real faults left."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.order import CAUSES
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan import plan as plans
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import layout, screen
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.screen import Ended

from tests.unit.plugin_utils._path.render import samples
from tests.unit.plugin_utils._path.render.lines import fits, section

REPO = Path(__file__).resolve().parents[5]


def shown(verdict: dict[str, Any], plan: dict[str, Any] | None) -> list[str]:
    planned = plan is not None and bool(plan["steps"])
    typed = "ansible-playbook virtengine.incident.chain_halt -i validators -b -e incident_approve="
    command = f"{typed}{plan['digest']}" if plan is not None else None
    ended = Ended("planned" if planned else "diagnosed", approve_command=command, record_path="/srv/report.html")
    return screen.final(verdict, plan, ended)


def recorded(name: str) -> list[str]:
    """The screen over a recorded bundle."""
    saved = json.loads((REPO / f"tests/data/recorded/{name}.json").read_text(encoding="utf-8"))
    halt, bundle = registry.evidence(saved)
    verdict = halt.assess(bundle)
    return shown(verdict, plans.finish(halt, verdict, halt.plan(bundle, verdict, None), bundle["taken_at"]))


@pytest.mark.parametrize("name", ["clone", "double-signed", "clone-halted"])
def test_one_key_on_two_hosts_stands_above_everything(name: str) -> None:
    lines = recorded(name)
    assert "ONE KEY RUNS ON TWO HOSTS: SECURITY INCIDENT" in lines[0]
    assert lines[lines.index("WHY") + 1].startswith("  because: One consensus key runs on two hosts")
    by_hand = lines.index("  see it by hand:")
    assert "priv_validator_key.json" in lines[by_hand + 1]


@pytest.mark.parametrize("name", ["split", "app-hash-split", "impatient", "rejected"])
def test_votes_that_make_no_block_are_said_to_be_none_for_one_block(name: str) -> None:
    said = " ".join(recorded(name)[1:6])
    assert "100 of 100 voting power" in said and "but not for one block in one place" in said


@pytest.mark.parametrize(
    ("cause", "text"),
    [pytest.param(cause.id, text, id=f"{cause.id}-{n}") for cause in CAUSES for n, text in enumerate(cause.by_hand)],
)
def test_a_command_by_hand_is_shown_as_it_is(cause: str, text: str) -> None:
    lines = layout.typed(layout.tidy(text), 4)
    assert lines is not None, cause
    assert fits(lines)
    pasted = "\n".join(lines).replace("\\\n", "")
    assert shlex.split(pasted, comments=True) == shlex.split(text, comments=True)
    assert pasted.count("#") == text.count("#")


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.id)
def test_by_hand_the_first_command_of_each_cause_is_shown(cause: Any) -> None:
    judged = samples.judged(causes=[samples.cause(id=cause.id, by_hand=list(cause.by_hand))])
    lines = shown(samples.verdict(judged=judged), None)
    start = lines.index("  see it by hand:") + 1
    typed = next(n for n, line in enumerate(lines[start:]) if not line.startswith("    "))
    assert 1 <= typed <= 6


def test_a_long_plan_shows_the_power_where_it_changes() -> None:
    lines = recorded("wal-lost-all")
    assert any(line.startswith("  3. start the node on vh1 ") and "0 -> 34 (67 needed)" in line for line in lines)
    assert any(line.startswith("  12. start the node on vh4 ") and "70 -> 78 (67 needed)" in line for line in lines)


def test_messages_to_the_same_people_say_what_they_are_about() -> None:
    sent = " ".join(" ".join(section(recorded("wal-lost-all"), "MESSAGES TO SEND")).split())
    assert sent.count(" to FE1302CD8397 (") == 2
    assert ", about: missing votes." in sent and ", about: the write-ahead log is lost." in sent


@pytest.mark.parametrize("path", sorted((REPO / "tests/data/recorded").glob("*.json")), ids=lambda path: path.stem)
def test_no_screen_of_a_recorded_fault_is_too_wide(path: Path) -> None:
    if path.stem != "index":
        assert fits(recorded(path.stem))


def test_the_screen_of_the_readme_is_what_is_printed() -> None:
    """When this fails: the screen in README.md is the beginning of what is printed over the bundle ``stopped``."""
    text = (REPO / "README.md").read_text(encoding="utf-8")
    printed = text.partition("```\n== ")[2].partition("\n```")[0]
    lines = f"== {printed}".splitlines()
    assert len(lines) > 30
    assert lines == recorded("stopped")[: len(lines)]
