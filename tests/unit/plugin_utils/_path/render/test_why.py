# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tired person must not misread: which cause comes first, commands to paste, what is left alone, who gets what."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.order import CAUSES
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import layout as _screen_text
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import screen as _screen

from tests.unit.plugin_utils._path.render import samples

REPO = Path(__file__).resolve().parents[5]
HALT = registry.incident("chain_halt")


def screen(verdict: dict[str, Any], plan: dict[str, Any]) -> list[str]:
    return _screen.final(
        verdict,
        plan,
        approve_command=f"ansible-playbook chain_halt.yml -i validators -e incident_approve={plan['digest']}",
        record_path="/srv/report.html",
        head_hash=None,
        outcome="planned" if plan["steps"] else "diagnosed",
    )


def recorded(name: str) -> list[str]:
    bundle = _bundle.check(json.loads((REPO / f"tests/data/recorded/{name}.json").read_text(encoding="utf-8")))
    verdict = HALT.assess(bundle)
    return screen(verdict, HALT.plan(bundle, verdict, None))


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
    assert "100 of 100 voting power votes, but not for one block in one place, where 67 is needed." in said


@pytest.mark.parametrize(
    ("cause", "text"),
    [pytest.param(cause.id, text, id=f"{cause.id}-{n}") for cause in CAUSES for n, text in enumerate(cause.by_hand)],
)
def test_a_command_by_hand_is_shown_as_it_is(cause: str, text: str) -> None:
    lines = _screen_text.typed(_screen_text.tidy(text), 4)
    assert lines is not None, cause
    assert all(len(line) <= 100 for line in lines)
    pasted = "\n".join(lines).replace("\\\n", "")
    assert shlex.split(pasted, comments=True) == shlex.split(text, comments=True)
    assert pasted.count("#") == text.count("#")


def test_by_hand_the_first_command_of_each_cause_is_shown() -> None:
    verdict = samples.verdict()
    for cause in CAUSES:
        verdict["causes"] = [{**verdict["causes"][0], "id": cause.id, "by_hand": list(cause.by_hand)}]
        lines = screen(verdict, samples.plan())
        start = lines.index("  see it by hand:") + 1
        shown = next(n for n, line in enumerate(lines[start:]) if not line.startswith("    "))
        assert 1 <= shown <= 6


def test_a_word_that_fits_no_line_is_not_shown() -> None:
    assert _screen_text.typed(f"grep '{'x' * 100}' file", 6) is None
    assert _screen_text.typed("true", 0) is None


def test_a_node_that_runs_is_left_alone_and_not_kept_from_its_start() -> None:
    held = [
        {"host": host, "address": None, "action": "start_node", "why": f"Reason of {host}.", "break_glass": False}
        for host in ("vh1", "vh2", "nobody")
    ]
    rows = [samples.row(1, 40, "ours", "stopped"), samples.row(2, 60, "ours", "not_voting")]
    lines = screen(samples.verdict(rows), samples.plan(steps=[], withheld=held))
    assert "  not done: start the node on vh1: Reason of vh1." in lines
    assert "  left alone: vh2: Reason of vh2." in lines
    assert "  left alone: nobody: Reason of nobody." in lines


def test_a_long_plan_shows_the_power_where_it_changes() -> None:
    lines = recorded("wal-lost-all")
    assert "  3. start the node on vh1   power seen voting 0 -> 34 (67 needed)" in lines
    assert "  12. start the node on vh4   power seen voting 70 -> 78 (67 needed)" in lines


def test_messages_to_the_same_people_say_what_they_are_about() -> None:
    lines = recorded("wal-lost-all")
    sent = lines[lines.index("MESSAGES TO SEND") + 1 :]
    assert ", about: missing votes." in sent[0]
    assert ", about: the write-ahead log is lost." in sent[1]


def test_the_screen_of_the_readme_is_what_is_printed() -> None:
    """When this fails: the screen in README.md is the beginning of what is printed over the bundle ``stopped``."""
    text = (REPO / "README.md").read_text(encoding="utf-8")
    shown = text.partition("```\n== ")[2].partition("\n```")[0]
    lines = f"== {shown}".splitlines()
    assert len(lines) > 30
    assert lines == recorded("stopped")[: len(lines)]
