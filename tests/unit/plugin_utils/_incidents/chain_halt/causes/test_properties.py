# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the causes of every fleet: less evidence weakens an answer, it never turns one round."""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict as _halt_verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.plugin_utils._incidents.chain_halt.causes.fleets import (
    LINES,
    Patch,
    all_of,
    app,
    lost,
    nil,
    part,
    says,
    sees,
    setting,
    stored,
)
from tests.unit.plugin_utils._incidents.chain_halt.verdict.asking import Data, held, ids
from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, address, at
from tests.unit.plugin_utils._incidents.chain_halt.verdict.test_properties import fleets

ENOUGH = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])

PARTS = (
    "clock",
    "unit",
    "process",
    "binary",
    "config",
    "genesis",
    "signer",
    "disk",
    "upgrade",
    "wal",
    "p2p",
    "journal",
)
LOSABLE = ("", *PARTS, *(f"rpc.{name}" for name in rpc.PARTS))
FAILED = {"ok": False, "error": {"kind": "failed", "text": "lost"}}


def skewed(seconds: float) -> Patch:
    def patch(data: Data, look: int) -> None:
        now = values.seconds(data["clock"]["now"]) or 0.0
        data["clock"]["now"] = values.stamp(now + seconds)

    return patch


PATCHES: tuple[Patch, ...] = (
    stored,
    app("AA"),
    app("BB", 207),
    nil,
    part("disk", free_bytes=100),
    part("disk", inodes_free=0),
    part("disk", read_only=True),
    part("genesis", sha256="77" * 32),
    part("genesis", genesis_time=at(90000)),
    part("rpc.net_info", count=0),
    part("rpc.status", catching_up=True),
    part("rpc.consensus", proposal=True, block_parts=[1, 1]),
    part("rpc.consensus", step=2),
    part("rpc.mempool", txs=5),
    part("rpc.jailed", jailed=[{"address": address("h0"), "until": at(10**7), "tombstoned": True, "missed": 0}]),
    part("signer", remote=True),
    part("signer", state=None, state_error={"kind": "absent", "text": "no such file"}),
    part("signer", state={"height": 100, "round": 0, "step": 1}),
    part("signer", state={"height": 10**6, "round": 0, "step": 1}),
    part("signer", address=address("h0")),
    part("wal", copies=[{"name": "cs.wal.bak", "bytes": 1, "newest_at": None, "last_end_height": 208}]),
    part("rpc.blocks", interval_s=20.0),
    setting(timeout_commit="5s"),
    setting(create_empty_blocks=False),
    setting(halt_height=208),
    lost("rpc.abci_info", kind="late"),
    lost("rpc.abci_info", "rpc.consensus", kind="late"),
    sees(),
    skewed(-3600),
    skewed(9),
)


@st.composite
def stricken(draw: st.DrawFn) -> Fleet:
    """A fleet with any faults in it, several on one host too."""
    fleet: Fleet = draw(fleets())
    for entry in fleet.hosts:
        lines = draw(st.lists(st.sampled_from(sorted(LINES)), max_size=2, unique=True))
        when = draw(st.sampled_from([-300.0, -3.0, 5.0, 20.0]))
        # Of two marks of one kind the journal part keeps one.
        marks = {mark["kind"]: mark for mark in [*entry.marks, *(says(*lines, seconds=when) if lines else [])]}
        entry.marks = list(marks.values())
        patches = draw(st.lists(st.sampled_from(PATCHES), max_size=2))
        entry.patch = all_of(*patches) if patches else None
    return fleet


def without(bundle: Data, losses: t.Iterable[tuple[int, str]], gone: bool) -> Data:
    """The bundle with parts of observations (by number) lost; a whole one is lost under the name of no part."""
    less = copy.deepcopy(bundle)
    dropped = set()
    for number, name in losses:
        entry = less["observations"][number]
        if not name:
            dropped.add(number)
            continue
        if not entry["ok"]:
            continue
        data = entry["data"]
        room = data.get("rpc", data) if name.startswith("rpc.") else data
        if entry["source"] == "node_evidence" or name.startswith("rpc."):
            room[name.rpartition(".")[2]] = FAILED
    for number in dropped:
        entry = less["observations"][number]
        entry.pop("data", None)
        entry.update(ok=False, error=FAILED["error"])
    if gone:
        less["observations"] = [entry for number, entry in enumerate(less["observations"]) if number not in dropped]
    return less


@ENOUGH
@given(stricken(), st.data())
def test_what_was_refuted_never_holds_with_less_evidence(fleet: Fleet, data: st.DataObject) -> None:
    bundle = _bundle.check(fleet.bundle(), CHAIN_HALT)
    count = len(bundle["observations"])
    if not count:
        return
    pairs = st.tuples(st.integers(0, count - 1), st.sampled_from(LOSABLE))
    losses = data.draw(st.lists(pairs, min_size=1, max_size=8))
    before = _halt_verdict.assess(bundle)
    after = _halt_verdict.assess(_bundle.check(without(bundle, losses, data.draw(st.booleans())), CHAIN_HALT))
    risen = set(held(after)) - set(held(before)) - {"cannot_tell"}
    assert not risen & ids(before, "refuted")
    assert after["status"] != "healthy" or before["status"] == "healthy"


@ENOUGH
@given(stricken(), st.integers(1, 2))
def test_every_observation_is_one_printable_line(fleet: Fleet, looks: int) -> None:
    verdict = _halt_verdict.assess(_bundle.check(fleet.bundle(looks), CHAIN_HALT))
    said = [
        found.get("because", found.get("missing"))
        for kind in ("causes", "refuted", "cannot_tell")
        for found in verdict[kind]
    ]
    for text in (*said, *verdict["next"], verdict["summary"]):
        assert text and text.isprintable()
    assert max(len(text) for text in said) <= 600


@ENOUGH
@given(stricken(), st.randoms(use_true_random=False))
def test_the_order_of_the_hosts_does_not_matter(fleet: Fleet, chance: t.Any) -> None:
    verdict = _halt_verdict.assess(fleet.bundle())
    chance.shuffle(fleet.hosts)
    bundle = fleet.bundle()
    chance.shuffle(bundle["observations"])
    assert _halt_verdict.assess(bundle) == verdict


@ENOUGH
@given(stricken())
def test_a_fleet_with_a_cause_that_holds_is_not_healthy(fleet: Fleet) -> None:
    verdict = _halt_verdict.assess(fleet.bundle())
    roots = {cause for cause, role in held(verdict).items() if role == "root"}
    if verdict["status"] == "healthy":
        assert roots <= {"not_halted", "removed_from_set", "others_missing"}, roots
