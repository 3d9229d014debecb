# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles of observations: made, added to, and checked before anything is concluded from them."""

from __future__ import annotations

import re
import typing as t

from ..incident import Incident, Misuse, Source
from ..text import clean
from .values import integer, number, seconds

SCHEMA = "virtengine.incident.evidence/2"

# Far above a real bundle (1 MB for four hosts), far below what hurts the controller.
MAX_HOSTS = 5000
MAX_OBSERVATIONS = 20000
MAX_VALUES = 400000
MAX_DEPTH = 40
MAX_LOOK = 1000000

_INCIDENT = re.compile(r"[a-z][a-z0-9_]{0,60}")

Bundle = dict[str, t.Any]
Observation = dict[str, t.Any]
Sources = t.Mapping[str, Source]


class BadEvidence(ValueError):
    """Something is no evidence bundle. The text says where and what."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


def new(
    incident: Incident,
    taken_at: str,
    inventory: dict[str, dict[str, t.Any]],
    not_looked_at: t.Sequence[str] = (),
    settings: t.Optional[dict[str, t.Any]] = None,
) -> Bundle:
    """An empty bundle. ``not_looked_at``: hosts of the inventory that this run does not ask.

    ``settings``: what ``incident.settings`` accepted. BadEvidence where ``inventory`` or ``taken_at`` (RFC 3339) are not
    of the contract's shape.
    """
    return check(
        {
            "schema": SCHEMA,
            "incident": incident.name,
            "taken_at": taken_at,
            "min_seconds_between_looks": incident.timing.least_gap_s,
            "settings": dict(settings or {}),
            "inventory": inventory,
            "not_looked_at": list(not_looked_at),
            "observations": [],
        },
        incident,
    )


def add(bundle: Bundle, observation: Observation, sources: Sources) -> Bundle:
    """A bundle with ``observation`` in it; it takes the place of one of the same source, host and look.

    ``source``, ``host``, ``look`` and ``at`` are the controller's own: BadEvidence where they are wrong. What a host
    sent is not: of the wrong shape or size it becomes an observation that is not ok, and the run goes on.
    """
    return extend(bundle, [observation], sources)


def extend(bundle: Bundle, added: t.Iterable[Observation], sources: Sources) -> Bundle:
    """A bundle with all of ``added`` in it, as by ``add``: a thousand at once take no longer than each needs."""
    where = "the added observation"
    kept = {_key(entry): entry for entry in bundle["observations"]}
    for entry in added:
        observation = entry
        _check_head(where, observation, bundle["inventory"], sources)
        try:
            _check_body(where, observation)
        except BadEvidence as bad:
            head = {key: observation[key] for key in ("source", "host", "look", "at")}
            observation = dict(
                head, ok=False, error={"kind": "malformed", "text": clean(f"its answer is no evidence: {bad.what}")}
            )
        kept.pop(_key(observation), None)
        kept[_key(observation)] = observation
    return dict(bundle, observations=list(kept.values()))


def newest_look(bundle: Bundle) -> int:
    """The number of the newest look; 0 before the first."""
    return max((entry["look"] for entry in bundle["observations"]), default=0)


def answered(bundle: Bundle, sources: Sources) -> list[str]:
    """The hosts of the inventory that gave evidence in the newest look, sorted."""
    newest = newest_look(bundle)
    return sorted(
        {
            entry["host"]
            for entry in bundle["observations"]
            if entry["ok"] and entry["look"] == newest and sources[entry["source"]].in_inventory
        }
    )


def check(obj: t.Any, incident: Incident) -> Bundle:
    """``obj`` where it is an evidence bundle of this incident. BadEvidence says where it is not one, and what is wrong there."""
    bundle: Bundle = _typed("the bundle", obj, dict, "an object")
    if bundle.get("schema") != SCHEMA:
        raise BadEvidence("schema", f"expected {SCHEMA}, found {clean(bundle.get('schema'), 60) or 'nothing'}")
    if not isinstance(bundle.get("incident"), str) or not _INCIDENT.fullmatch(bundle["incident"]):
        raise BadEvidence("incident", "expected the name of an incident, such as " + incident.name)
    if bundle["incident"] != incident.name:
        raise BadEvidence("incident", f"this is evidence of {bundle['incident']}, not of {incident.name}")
    if seconds(bundle.get("taken_at")) is None:
        raise BadEvidence("taken_at", "expected a time such as 2026-01-30T12:00:00Z")
    apart = number(bundle.get("min_seconds_between_looks"))
    if apart is None or not 0 < apart <= 3600:
        raise BadEvidence("min_seconds_between_looks", "expected a number above 0 and up to 3600")
    _typed("settings", bundle.get("settings"), dict, "an object")
    inventory = _typed("inventory", bundle.get("inventory"), dict, "an object")
    if len(inventory) > MAX_HOSTS:
        raise BadEvidence("inventory", f"more than {MAX_HOSTS} hosts")
    for host, known in inventory.items():
        _check_host(f"inventory of {clean(host, 60)}", host, known)
    aside = bundle.get("not_looked_at")
    if not isinstance(aside, list) or not all(isinstance(host, str) for host in aside):
        raise BadEvidence("not_looked_at", "expected a list of host names")
    _check_settings(bundle, incident)
    observations = _typed("observations", bundle.get("observations"), list, "a list")
    if len(observations) > MAX_OBSERVATIONS:
        raise BadEvidence("observations", f"more than {MAX_OBSERVATIONS} entries")
    seen = set()
    for index, entry in enumerate(observations):
        where = f"observation {index + 1}"
        _check_head(where, entry, inventory, incident.sources)
        _check_body(where, entry)
        if _key(entry) in seen:
            raise BadEvidence(where, f"a second one of {clean(entry['host'], 60)} in look {entry['look']}")
        seen.add(_key(entry))
    return bundle


def _check_settings(bundle: Bundle, incident: Incident) -> None:
    """What a person set lets a plan do what no evidence could, so it is checked in saved evidence as well."""
    try:
        incident.accept(bundle)
    except Misuse as misuse:
        raise BadEvidence("settings", clean(str(misuse))) from misuse


def _check_host(where: str, host: t.Any, known: t.Any) -> None:
    if not isinstance(host, str) or not host:
        raise BadEvidence("inventory", "a host without a name")
    known = _typed(where, known, dict, "an object")
    _typed(f"{where}, declared", known.get("declared"), dict, "an object")
    for key in ("target", "observed"):
        if not isinstance(known.get(key), bool):
            raise BadEvidence(where, f"{key} is neither true nor false")
    groups = known.get("groups")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise BadEvidence(where, "groups is no list of names")


def _check_head(where: str, entry: t.Any, inventory: dict[str, t.Any], sources: Sources) -> None:
    entry = _typed(where, entry, dict, "an object")
    source = sources.get(entry["source"]) if isinstance(entry.get("source"), str) else None
    if source is None:
        raise BadEvidence(where, f"source is none of {', '.join(sorted(sources))}")
    if not isinstance(entry.get("host"), str) or not entry["host"]:
        raise BadEvidence(where, "host is no name")
    if source.in_inventory and entry["host"] not in inventory:
        raise BadEvidence(where, f"host {clean(entry['host'], 60)} is not in the inventory of the bundle")
    look = integer(entry.get("look"))
    if look is None or not 1 <= look <= MAX_LOOK:
        raise BadEvidence(where, "look is no number from 1 on")
    if seconds(entry.get("at")) is None:
        raise BadEvidence(where, "at is no time such as 2026-01-30T12:00:00Z")


def _check_body(where: str, entry: dict[str, t.Any]) -> None:
    if not isinstance(entry.get("ok"), bool):
        raise BadEvidence(where, "ok is neither true nor false")
    if entry["ok"]:
        data = _typed(f"{where}, data", entry.get("data"), dict, "an object")
        _check_size(f"{where}, data", data)
        return
    error = _typed(f"{where}, error", entry.get("error"), dict, "an object")
    if not isinstance(error.get("kind"), str) or not isinstance(error.get("text"), str):
        raise BadEvidence(f"{where}, error", "kind and text are not both texts")


def _check_size(where: str, data: dict[str, t.Any]) -> None:
    """Walk level by level: neither depth nor width of hostile data may exhaust the controller."""
    level: list[t.Any] = [data]
    values = 0
    for _depth in range(MAX_DEPTH):
        following: list[t.Any] = []
        for value in level:
            if isinstance(value, dict):
                following.extend(value.values())
            elif isinstance(value, list):
                following.extend(value)
        values += len(following)
        if values > MAX_VALUES:
            raise BadEvidence(where, f"more than {MAX_VALUES} values")
        if not following:
            return
        level = following
    raise BadEvidence(where, f"nested deeper than {MAX_DEPTH} levels")


def _key(entry: Observation) -> tuple[str, str, int]:
    return entry["source"], entry["host"], entry["look"]


def _typed(where: str, value: t.Any, kind: type[t.Any], name: str) -> t.Any:
    if not isinstance(value, kind):
        raise BadEvidence(where, f"expected {name}")
    return value
