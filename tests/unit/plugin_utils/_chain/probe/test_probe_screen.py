# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One screen, whatever a thousand endpoints say."""

from __future__ import annotations

import typing as t

from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.probe import screen
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render.layout import width
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.plugin_utils._chain.probe.views import OBSERVATIONS, OTHER, dead, endpoint


def fits(lines: list[str]) -> bool:
    return len(lines) <= 40 and all(width(line) <= 100 and line.isprintable() for line in lines)


def test_a_small_chain() -> None:
    seen = [
        endpoint("http://a:1", votes=[0], peers=3),
        endpoint("http://b:1", votes=[1], peers=7),
        endpoint("http://c:1", 338, catching_up=True, version="0.38.21"),
        endpoint("http://d:1", 100, server_time="2026-11-24T19:51:21Z"),
        dead("http://e:1", "refused"),
        dead("http://f:1"),
    ]
    assert screen.lines(seen, "rig-1", 2, {"loopback": 3, "link_local": 1}) == [
        "6 RPC endpoints of chain rig-1: 4 answered, 1 late, 1 refused.",
        "Heights       2 at 340, 1 up to 5 behind, 1 further behind (the last, http://d:1, at 100)",
        "Catching up   1 say that they do",
        "Voting power  the chain stands at 340; 70 of 100 voting power is voting; 67 needed (as 2 endpoints",
        "              saw it)",
        "              [##################################|#...............]",
        "Versions      0.38.19: 3, 0.38.21: 1",
        "Peers         3 to 7, middle 3 (of 2 endpoints)",
        "Clocks        3 within 3 s of the controller's, 1 ahead, 0 behind (most: http://d:1, +60 s)",
        "No answer     late: http://f:1",
        "No answer     refused: http://e:1",
        "Discovered    2 of the endpoints, through the peers of others",
        "Not dialled   addresses that peers name: link local 1, loopback 3",
    ]


def test_a_thousand_that_disagree_about_everything() -> None:
    seen = [
        endpoint(
            f"http://{'long' * 20}{number}.example:26657/{'p' * 90}",
            number,
            f"{number % 7:064X}",
            version=f"v{number}",
            chain_id=f"chain-{number % 50}",
        )
        for number in range(500)
    ]
    seen += [endpoint(f"http://n{number}:1", 340, OTHER if number % 2 else "C3" * 32) for number in range(100)]
    seen += [dead(f"http://d{number}:1", f"kind{number % 9}") for number in range(400)]
    lines = screen.lines(seen, "rig-1", 300, {f"reason{number}": number for number in range(60)})
    assert fits(lines)
    assert any(line.startswith("DISAGREE") and "at 340" in line for line in lines)
    assert any("100 at 340" in line for line in lines)


def test_nobody_answered() -> None:
    assert screen.lines([dead("http://a:1")]) == [
        "1 RPC endpoint: 0 answered, 1 late.",
        "No answer     late: http://a:1",
    ]


@given(
    OBSERVATIONS,
    st.sampled_from([None, "rig-1", "\x1b[2Jx", "y" * 400]),
    st.integers(0, 10**6),
    st.dictionaries(st.text(max_size=40), st.integers(), max_size=40),
)
def test_it_always_fits(
    seen: list[dict[str, t.Any]], chain: t.Optional[str], discovered: int, skipped: dict[str, int]
) -> None:
    assert fits(screen.lines(seen, chain, discovered, skipped))
