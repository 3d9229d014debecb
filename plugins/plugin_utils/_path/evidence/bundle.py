# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundles of observations: made, added to, and checked before anything is concluded from them."""

from __future__ import annotations

import functools
import math
import re
import typing as t
from datetime import datetime, timezone

from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.text import clean

SCHEMA = "virtengine.incident.evidence/1"
MIN_SECONDS_BETWEEN_LOOKS = 5
SOURCES = ("node_evidence", "cometbft_info")

# Far above a real bundle (1 MB for four hosts), far below what hurts the controller.
MAX_HOSTS = 5000
MAX_OBSERVATIONS = 20000
MAX_VALUES = 400000
MAX_DEPTH = 40
MAX_LOOK = 1000000
MAX_REASON = 300
MAX_CHAIN_ID = 100  # CometBFT allows 50 (types/genesis.go: MaxChainIDLen)

_ADDRESS = re.compile(r"[0-9A-F]{40}")
_INCIDENT = re.compile(r"[a-z][a-z0-9_]{0,60}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
_INT64 = 2**63

Bundle = dict[str, t.Any]
Observation = dict[str, t.Any]


class BadEvidence(ValueError):
    """Something is no evidence bundle. The text says where and what."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


@functools.lru_cache(maxsize=32768)
def _seconds(text: str) -> t.Optional[float]:
    if len(text) > 40 or not _TIME.fullmatch(text):
        return None
    try:
        # Years below 1971 are Go's zero time and the like: "never", not a time something happened at.
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment.timestamp() if moment.year > 1970 else None
    except (ValueError, OverflowError):
        return None


def seconds(value: t.Any) -> t.Optional[float]:
    """An RFC 3339 time as seconds since the epoch; None for anything else and for times before 1971."""
    return _seconds(value) if isinstance(value, str) else None


def stamp(moment: t.Optional[float]) -> t.Optional[str]:
    """Seconds since the epoch as RFC 3339 in UTC, cut to whole seconds; None stays None."""
    if moment is None or not math.isfinite(moment) or not 0 <= moment < 253402300800:
        return None
    return datetime.fromtimestamp(math.floor(moment), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def integer(value: t.Any) -> t.Optional[int]:
    """``value`` where it is an integer that fits 64 bits (as all heights and powers of a chain do), else None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -_INT64 <= value < _INT64 else None


def number(value: t.Any) -> t.Optional[float]:
    """``value`` as float where it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if isinstance(value, int) and integer(value) is None:
        return None
    return float(value) if math.isfinite(value) else None


def address(value: t.Any) -> t.Optional[str]:
    """``value`` where it is a consensus address in the contract's form (40 upper-case hex digits), else None."""
    return value if isinstance(value, str) and _ADDRESS.fullmatch(value) else None


def new(
    incident: str,
    taken_at: str,
    inventory: dict[str, dict[str, t.Any]],
    not_looked_at: t.Sequence[str] = (),
    said: t.Optional[dict[str, t.Any]] = None,
    declared: t.Optional[str] = None,
) -> Bundle:
    """An empty bundle. ``not_looked_at``: hosts of the inventory that this run does not ask. ``said``: see ``with_said``.

    ``declared``: see ``with_chain``.

    BadEvidence where ``inventory`` or ``taken_at`` (RFC 3339) are not of the contract's shape.
    """
    made = check(
        {
            "schema": SCHEMA,
            "incident": incident,
            "chain_id": None,
            "taken_at": taken_at,
            "min_seconds_between_looks": MIN_SECONDS_BETWEEN_LOOKS,
            "inventory": inventory,
            "not_looked_at": list(not_looked_at),
            "observations": [],
        }
    )
    return with_chain(with_said(made, said), declared)


def with_chain(bundle: Bundle, declared: t.Optional[str]) -> Bundle:
    """The bundle with the chain id that a person declares, which wins over what anybody shows; None: as it is.

    BadEvidence where it is no chain id.
    """
    if declared is None:
        return bundle
    _check_declared(declared)
    return dict(bundle, declared_chain_id=declared, chain_id=declared)


def with_said(bundle: Bundle, said: t.Optional[dict[str, t.Any]]) -> Bundle:
    """The bundle with what a person states beside the evidence, in place of an earlier statement; None: as it is.

    ``said``: ``{"halt_is_over": height, "reason": text}``. BadEvidence where it is of another shape.
    """
    if said is None:
        return bundle
    _check_said(said)
    return dict(bundle, said=said)


def add(bundle: Bundle, observation: Observation) -> Bundle:
    """A bundle with ``observation`` in it; it takes the place of one of the same source, host and look.

    ``source``, ``host``, ``look`` and ``at`` are the controller's own: BadEvidence where they are wrong. What a host
    sent is not: of the wrong shape or size it becomes an observation that is not ok, and the run goes on.
    """
    return extend(bundle, [observation])


def extend(bundle: Bundle, added: t.Iterable[Observation]) -> Bundle:
    """A bundle with all of ``added`` in it, as by ``add``: a thousand at once take no longer than each needs."""
    where = "the added observation"
    kept = {_key(entry): entry for entry in bundle["observations"]}
    for entry in added:
        observation = entry
        _check_head(where, observation, bundle["inventory"])
        try:
            _check_body(where, observation)
        except BadEvidence as bad:
            head = {key: observation[key] for key in ("source", "host", "look", "at")}
            observation = dict(
                head, ok=False, error={"kind": "malformed", "text": clean(f"its answer is no evidence: {bad.what}")}
            )
        kept.pop(_key(observation), None)
        kept[_key(observation)] = observation
    observations = list(kept.values())
    chain = bundle.get("declared_chain_id") or chain_id(observations) or bundle["chain_id"]
    return dict(bundle, observations=observations, chain_id=chain)


def chain_id(observations: list[Observation]) -> t.Optional[str]:
    """The chain that most of our answering hosts name, by RPC, else by genesis file; None where nobody names one.

    Of two chains named by equally many hosts it is the one with more voting power, then the first by name. Hosts and
    not power come first: a host of another chain may hold any power there.
    """
    newest: dict[str, Observation] = {}
    for entry in sorted(observations, key=lambda entry: entry["look"]):
        if entry["source"] == "node_evidence" and entry["ok"]:
            newest[entry["host"]] = entry
    weights: dict[str, list[int]] = {}
    for entry in newest.values():
        name, power = named_chain(entry["data"])
        if name:
            weight = weights.setdefault(name, [0, 0])
            weight[0] += 1
            weight[1] += power
    return min(weights, key=lambda name: (-weights[name][0], -weights[name][1], name)) if weights else None


def named_chain(data: dict[str, t.Any]) -> tuple[t.Optional[str], int]:
    """Chain id and own voting power that a node's evidence names."""
    status = _part_data(_mapping(data.get("rpc")).get("status"))
    genesis = _part_data(data.get("genesis"))
    name = status.get("chain_id") or genesis.get("chain_id")
    power = integer(status.get("power")) or 0
    return (clean(name, 100) or None) if isinstance(name, str) else None, max(0, power)


def check(obj: t.Any) -> Bundle:
    """``obj`` where it is an evidence bundle. BadEvidence says where it is not one, and what is wrong there."""
    bundle: Bundle = _typed("the bundle", obj, dict, "an object")
    if bundle.get("schema") != SCHEMA:
        raise BadEvidence("schema", f"expected {SCHEMA}, found {clean(bundle.get('schema'), 60) or 'nothing'}")
    if not isinstance(bundle.get("incident"), str) or not _INCIDENT.fullmatch(bundle["incident"]):
        raise BadEvidence("incident", "expected the name of an incident, such as chain_halt")
    if bundle.get("chain_id") is not None and not isinstance(bundle["chain_id"], str):
        raise BadEvidence("chain_id", "expected a text or null")
    if seconds(bundle.get("taken_at")) is None:
        raise BadEvidence("taken_at", "expected a time such as 2026-01-30T12:00:00Z")
    apart = number(bundle.get("min_seconds_between_looks"))
    if apart is None or not 0 < apart <= 3600:
        raise BadEvidence("min_seconds_between_looks", "expected a number above 0 and up to 3600")
    inventory = _typed("inventory", bundle.get("inventory"), dict, "an object")
    if len(inventory) > MAX_HOSTS:
        raise BadEvidence("inventory", f"more than {MAX_HOSTS} hosts")
    for host, known in inventory.items():
        _check_host(f"inventory of {clean(host, 60)}", host, known)
    aside = bundle.get("not_looked_at", [])
    if not isinstance(aside, list) or not all(isinstance(host, str) for host in aside):
        raise BadEvidence("not_looked_at", "expected a list of host names")
    _check_statement(bundle)
    observations = _typed("observations", bundle.get("observations"), list, "a list")
    if len(observations) > MAX_OBSERVATIONS:
        raise BadEvidence("observations", f"more than {MAX_OBSERVATIONS} entries")
    seen = set()
    for index, entry in enumerate(observations):
        where = f"observation {index + 1}"
        _check_head(where, entry, inventory)
        _check_body(where, entry)
        if _key(entry) in seen:
            raise BadEvidence(where, f"a second one of {clean(entry['host'], 60)} in look {entry['look']}")
        seen.add(_key(entry))
    return bundle


def _check_statement(bundle: Bundle) -> None:
    if "said" in bundle:
        _check_said(bundle["said"])
    if "declared_chain_id" in bundle:
        _check_declared(bundle["declared_chain_id"])


def _check_declared(name: t.Any) -> None:
    if not isinstance(name, str) or not name or name != clean(name, MAX_CHAIN_ID):
        raise BadEvidence("declared_chain_id", f"is no text of one line, 1 to {MAX_CHAIN_ID} characters")


def _check_said(said: t.Any) -> None:
    """A person's statement. It lets a plan do what no evidence could, so nothing beside the two fields may be in it."""
    said = _typed("said", said, dict, "an object")
    if set(said) != {"halt_is_over", "reason"}:
        raise BadEvidence("said", "expected halt_is_over and reason, and nothing else")
    height = integer(said["halt_is_over"])
    if height is None or height < 1:
        raise BadEvidence("said", "halt_is_over is no height from 1 on")
    reason = said["reason"]
    if not isinstance(reason, str) or not reason or reason != clean(reason, MAX_REASON):
        raise BadEvidence("said", f"reason is no text of one line, 1 to {MAX_REASON} characters")


def _check_host(where: str, host: t.Any, known: t.Any) -> None:
    if not isinstance(host, str) or not host:
        raise BadEvidence("inventory", "a host without a name")
    known = _typed(where, known, dict, "an object")
    if known.get("address") is not None and address(known["address"]) is None:
        raise BadEvidence(where, "address is not 40 upper-case hex digits")
    for key in ("target", "observed"):
        if not isinstance(known.get(key), bool):
            raise BadEvidence(where, f"{key} is neither true nor false")
    groups = known.get("groups")
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise BadEvidence(where, "groups is no list of names")


def _check_head(where: str, entry: t.Any, inventory: dict[str, t.Any]) -> None:
    entry = _typed(where, entry, dict, "an object")
    if entry.get("source") not in SOURCES:
        raise BadEvidence(where, f"source is none of {', '.join(SOURCES)}")
    if not isinstance(entry.get("host"), str) or not entry["host"]:
        raise BadEvidence(where, "host is no name")
    if entry["source"] == "node_evidence" and entry["host"] not in inventory:
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


def _mapping(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _part_data(value: t.Any) -> dict[str, t.Any]:
    raw = _mapping(value)
    return _mapping(raw.get("data")) if raw.get("ok") is True else {}
