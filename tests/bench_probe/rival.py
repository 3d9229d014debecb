# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bare rival: a pool of threads that fetches and understands nothing.

``python -m tests.bench_probe.rival DEADLINE_S < URLS`` prints how many endpoints answered both questions.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

THREADS = 64
PATHS = ("/status", "/dump_consensus_state")
TIMEOUT_S = 3.0


def fetch(url: str, until: float) -> bool:
    """Fetch both answers of an endpoint, whole, and throw them away."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for path in PATHS:
            left = min(TIMEOUT_S, until - time.monotonic())
            if left <= 0:
                return False
            with opener.open(url + path, timeout=left) as answer:
                answer.read()
    except (OSError, http.client.HTTPException):
        return False
    return True


def main(deadline_s: float) -> None:
    """Fetch from everybody, in the time there is."""
    until = time.monotonic() + deadline_s
    urls = sys.stdin.read().split()
    with ThreadPoolExecutor(THREADS) as pool:
        print(sum(pool.map(lambda url: fetch(url, until), urls)), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(float(sys.argv[1]))
