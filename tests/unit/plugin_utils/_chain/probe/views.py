# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observations of endpoints, as data."""

from __future__ import annotations

import typing as t

from hypothesis import strategies as st

NOW = "2026-11-24T19:50:21.402913Z"
HASH, OTHER = "C3" * 32, "AB" * 32
ADDRESSES = [f"{number:040X}" for number in range(1, 5)]
POWERS = (40, 30, 20, 10)


def ok(data: t.Any) -> dict[str, t.Any]:
    return {"ok": True, "data": data}


def endpoint(url: str, height: t.Any = 340, digest: t.Any = HASH, **more: t.Any) -> dict[str, t.Any]:
    """An endpoint that answered. ``votes``: indexes of the validators whose prevotes it has seen for the next block."""
    status = {
        "chain_id": "rig-1",
        "height": height,
        "block_hash": digest,
        "block_time": "2026-11-24T19:49:03Z",
        "catching_up": False,
        "version": "0.38.19",
        "server_time": "2026-11-24T19:50:21Z",
    }
    status.update({key: value for key, value in more.items() if key in status})
    data = {"status": ok(status)}
    if "app" in more:
        data["abci_info"] = ok({"height": more["app"][0], "app_hash": more["app"][1]})
    if "peers" in more:
        data["net_info"] = ok({"peers": [], "count": more["peers"]})
    if "votes" in more:
        rows = [[index, "nil", NOW] for index in more["votes"]]
        validators = [{"address": address, "power": power} for address, power in zip(ADDRESSES, POWERS)]
        rounds = [{"round": 0, "prevotes": rows, "precommits": []}]
        data["consensus"] = ok({"height": height + 1, "validators": validators, "rounds": rounds})
    if "signed" in more:
        rows = [[ADDRESSES[index], NOW] for index in more["signed"]]
        commit = {"height": height, "round": 0, "block_hash": digest, "signed": rows, "nil": []}
        data["commits"] = ok({"commits": [commit]})
    return {"source": "cometbft_info", "host": url, "look": 1, "at": NOW, "ok": True, "data": data}


def dead(url: str, kind: str = "late") -> dict[str, t.Any]:
    error = {"kind": kind, "text": f"status of {url}: no"}
    return {"source": "cometbft_info", "host": url, "look": 1, "at": NOW, "ok": False, "error": error}


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.sampled_from([HASH, OTHER, *ADDRESSES, NOW]),
)
NAMES = (
    *(
        "ok",
        "data",
        "height",
        "round",
        "block_hash",
        "app_hash",
        "chain_id",
        "version",
        "validators",
        "rounds",
        "votes",
    ),
    *("prevotes", "commits", "signed", "nil", "address", "power", "count", "server_time", "last_commit", "block_time"),
)
KEYS = st.sampled_from(NAMES)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)
PARTS = st.sampled_from(["status", "abci_info", "consensus", "net_info", "commits"])


@st.composite
def observation(draw: t.Any) -> dict[str, t.Any]:
    """A true endpoint, a dead one, or one whose answer has parts of rubbish."""
    url = f"http://n{draw(st.integers(0, 40))}:1"
    kind = draw(st.sampled_from(["true", "dead", "rubbish"]))
    if kind == "dead":
        return dead(
            draw(st.text(min_size=1, max_size=80)), draw(st.sampled_from(["late", "refused", "http", "\x1b[2J"]))
        )
    made = endpoint(
        url,
        draw(st.integers(0, 400)),
        draw(st.sampled_from([HASH, OTHER])),
        version=draw(st.text(max_size=40)),
        chain_id=draw(st.sampled_from(["rig-1", "rig-1", "\u202eevil\x1b[31m", "x" * 300])),
        votes=draw(st.lists(st.integers(-2, 6), max_size=6)),
        peers=draw(st.integers(0, 90)),
    )
    if kind == "rubbish":
        made["data"][draw(PARTS)] = ok(draw(JUNK)) if draw(st.booleans()) else draw(JUNK)
    return made


OBSERVATIONS = st.lists(observation(), max_size=30, unique_by=lambda entry: entry["host"])
