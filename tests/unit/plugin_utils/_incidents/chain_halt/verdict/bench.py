# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a verdict takes: ``python -m tests.unit.verdict.bench``, with the collection on the path."""

from __future__ import annotations

import json
import time

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt import verdict
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_HALT
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import values

from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, Host, Other


def large(validators: int = 200, hosts: int = 4) -> Fleet:
    """``hosts`` of ours, one of them stopped, in a set of so many validators, a third of which is silent."""
    ours = [Host(f"vh{number}", 40, "stopped" if number == 1 else "voting") for number in range(1, hosts + 1)]
    theirs = [Other(f"other{number}", 1 + number % 9, vote=number % 3 != 0) for number in range(validators - hosts)]
    return Fleet(ours, theirs, round=3, grow=1)


def measure(validators: int = 200, hosts: int = 4, times: int = 20) -> dict[str, float]:
    """Milliseconds of one verdict (best and middle of ``times``), of the check of its bundle, and the bundle's size."""
    text = json.dumps(large(validators, hosts).bundle())
    taken, checks = [], []
    for _run in range(times):
        bundle = json.loads(text)
        values._seconds.cache_clear()
        started = time.perf_counter()
        _bundle.check(bundle, CHAIN_HALT)
        checked = time.perf_counter()
        verdict.assess(bundle)
        taken.append(1000 * (time.perf_counter() - checked))
        checks.append(1000 * (checked - started))
    return {
        "best_ms": min(taken),
        "middle_ms": sorted(taken)[times // 2],
        "check_ms": sorted(checks)[times // 2],
        "bundle_kb": len(text) / 1000,
    }


if __name__ == "__main__":
    found = measure()
    print(
        f"verdict, 200 validators x 4 hosts x 2 looks: {found['middle_ms']:.1f} ms (best {found['best_ms']:.1f}), "
        f"check of the bundle {found['check_ms']:.1f} ms, bundle {found['bundle_kb']:.0f} kB"
    )
