# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboards and contacts of a team: what is no web address becomes no link, what is of no use is refused at once."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.incident import Misuse
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import contacts
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._path.render import samples


def board(url: t.Any = "https://grafana.example.net/d/1", **more: t.Any) -> list[dict[str, t.Any]]:
    return [{"name": "Pool", "url": url, **more}]


def test_what_a_team_gives_is_taken() -> None:
    contacts.check(None, None)
    contacts.check([], [])
    contacts.check(samples.CONTACTS, samples.DASHBOARDS)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,<script>",
        "file:///etc/passwd",
        "//grafana.example.net",
        "grafana.example.net",
        "",
        " https://grafana.example.net",
        "https://grafana.example.net/a b",
        "https://grafana.example.net/\n",
        'https://grafana.example.net/"onclick="x',
        "https://grafana.example.net/<script>",
        "https://grafana.example.net/\u202e",
        "https://" + "x" * 501,
        None,
        5,
        ["https://grafana.example.net"],
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: t.Any) -> None:
    with pytest.raises(Misuse, match="incident_dashboards"):
        contacts.check(None, board(url))


@pytest.mark.parametrize(
    ("who", "boards"),
    [
        ("call Bob", None),
        ({"who": "Bob", "how": "call"}, None),
        (["Bob"], None),
        ([{"who": "Bob"}], None),
        ([{"who": "Bob", "how": ""}], None),
        ([{"who": "Bob", "how": 112}], None),
        ([{"who": "Bob", "how": "call", "when": "now"}], None),
        (None, "https://grafana.example.net"),
        (None, [{"name": "x"}]),
        (None, [{"name": " ", "url": "https://x"}]),
        (None, board(color="red")),
        (None, board(incidents="pool")),
        (None, board(incidents=[1])),
        (None, board(incidents={"pool": True})),
    ],
)
def test_values_of_another_shape_are_refused(who: t.Any, boards: t.Any) -> None:
    with pytest.raises(Misuse, match="incident_contacts" if boards is None else "incident_dashboards"):
        contacts.check(who, boards)


def test_a_dashboard_is_shown_for_its_incidents_and_one_of_none_for_all() -> None:
    def shown(incident: str) -> list[str]:
        return [entry["name"] for entry in contacts.dashboards_of(incident, samples.DASHBOARDS)]

    assert shown("pool") == ["Pool health", "Everything"]
    assert shown("other") == ["Everything", "Other"]
    assert shown("third") == ["Everything"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(JSON, JSON)
def test_no_shape_raises_anything_else(who: t.Any, boards: t.Any) -> None:
    try:
        contacts.check(who, boards)
    except Misuse:
        return
    contacts.dashboards_of("pool", boards or [])
