# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A team's own dashboards and contacts, as its variables name them. PRIVATE to the collection."""

from __future__ import annotations

import re
import typing as t

from ..incident import Misuse

# A link of a report is followed by a click, so it must be a plain web address.
_WEB = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!&'()*+,;=%-]{1,500}")


def check(contacts: t.Any, dashboards: t.Any) -> None:
    """Raise Misuse unless ``incident_contacts`` and ``incident_dashboards`` are lists of what a report can show."""
    for entry in _entries("incident_contacts", contacts, ("who", "how")):
        _texts("incident_contacts", entry, ("who", "how"))
    for entry in _entries("incident_dashboards", dashboards, ("name", "url", "incidents")):
        _texts("incident_dashboards", entry, ("name", "url"))
        if _WEB.fullmatch(entry["url"]) is None:
            raise Misuse(f"incident_dashboards: {entry['url']!r:.80} is no http or https address.")
        named = entry.get("incidents", [])
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise Misuse(
                "incident_dashboards: incidents has to be a list of names of incidents, as of their playbooks."
            )


def dashboards_of(incident: str, dashboards: t.Sequence[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Those that are meant for this incident; one that names no incident is meant for all."""
    return [entry for entry in dashboards if not entry.get("incidents") or incident in entry["incidents"]]


def _entries(name: str, value: t.Any, keys: tuple[str, ...]) -> list[t.Any]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, dict) and set(entry) <= set(keys) for entry in value):
        raise Misuse(f"{name} has to be a list of entries with {', '.join(keys)} and nothing else.")
    return value


def _texts(name: str, entry: dict[str, t.Any], keys: tuple[str, ...]) -> None:
    for key in keys:
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise Misuse(f"{name}: every entry needs {key}, as text.")
