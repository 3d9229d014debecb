# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a verdict is what it is: screen and report say it with the same words."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import why
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples
from tests.unit.plugin_utils._path.render.lines import HOSTILE


def judged(**changes: t.Any) -> dict[str, t.Any]:
    return samples.verdict(judged=samples.judged(**changes))


def open_(name: str, missing: str) -> dict[str, t.Any]:
    return {"id": name, "title": name, "statement": f"Cause {name}", "missing": missing}


def test_what_makes_the_incident_is_told_from_what_comes_with_it() -> None:
    items = why.causes(judged(causes=[samples.cause(), samples.cause(role="symptom", statement="it is slow")]))
    assert [item.lead for item in items] == ["because", "and also"]
    assert items[1].text.startswith("It is slow. Stopped or frozen: web1")


def test_that_a_cause_was_not_found_is_no_news() -> None:
    entry = {"id": "cannot_tell", "title": "no cause", "statement": "No cause was found", "because": "one was"}
    verdict = judged(refuted=[entry, *samples.judged()["refuted"]])
    assert [item.text for item in why.refuted(verdict)] == [
        "the pool is not short - it serves 42, 67 is needed",
        "hosts of ours are unreachable - all of our hosts answer",
    ]


def test_what_lacks_the_same_is_said_once() -> None:
    verdict = judged(cannot_tell=[open_(name, "the journal") for name in "abcde"] + [open_("f", "the disk")])
    assert [item.text for item in why.undecided(verdict)] == [
        "a, b, c and 2 more - missing: the journal",
        "f - missing: the disk",
    ]


def test_a_cause_without_a_title_is_named_by_its_statement() -> None:
    assert why.title({"statement": "Servers are down"}) == "Servers are down"
    assert why.title({}) == ""


def test_by_hand_there_are_the_commands_of_each_cause_that_has_any() -> None:
    verdict = judged(causes=[samples.cause(by_hand=[]), samples.cause(title="the other", by_hand=["echo 1", "echo 2"])])
    assert why.by_hand(verdict) == [("the other", ["echo 1", "echo 2"])]


@given(st.data())
def test_no_text_of_a_stranger_stays_as_it_came(data: st.DataObject) -> None:
    def strange() -> str:
        return data.draw(HOSTILE)

    verdict = judged(
        causes=[samples.cause(statement=strange(), because=strange(), title=strange(), by_hand=[strange()])],
        refuted=[{"id": "r", "title": strange(), "statement": strange(), "because": strange()}],
        cannot_tell=[open_(strange(), strange())],
    )
    verdict["notes"] = [strange()]
    items = [*why.causes(verdict), *why.refuted(verdict), *why.undecided(verdict), *why.notes(verdict)]
    said = [item.text for item in items] + [line for _title, lines in why.by_hand(verdict) for line in lines]
    assert all(text.isprintable() for text in said)
