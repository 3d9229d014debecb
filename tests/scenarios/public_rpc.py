# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RPC of another operator's node, on a loopback port of this machine, as a public endpoint would be reached."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fleet.run import PATIENCE_S


@contextmanager
def public_rpc(state: Path, host: str) -> Iterator[str]:
    """The URL of an endpoint behind which the node on ``host`` answers. ``state``: the rig's directory.

    One tunnel stands for all requests: a login for each of them takes longer on a busy machine than a probe waits.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    forward = ("-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{port}:127.0.0.1:26657")
    tunnel = subprocess.Popen(["ssh", "-F", str(state / "ssh_config"), *forward, host], stdin=subprocess.DEVNULL)
    try:
        _wait_for_an_answer(port, tunnel)
        yield f"http://127.0.0.1:{port}"
    finally:
        tunnel.terminate()
        tunnel.wait()


def _wait_for_an_answer(port: int, tunnel: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and tunnel.poll() is None:
        asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            asked.request("GET", "/health")
            asked.getresponse().read()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.2)
        finally:
            asked.close()
    raise AssertionError(f"no node answers at port {port} (the tunnel ended with {tunnel.poll()})")
