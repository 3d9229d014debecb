# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The RPC of another operator's node, on a loopback port of this machine, as a public endpoint would be reached."""

from __future__ import annotations

import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ANSWER_S = 30


@contextmanager
def public_rpc(state: Path, host: str) -> Iterator[str]:
    """The URL of an endpoint behind which the node on ``host`` answers. ``state``: the rig's directory."""
    command = ["ssh", "-F", str(state / "ssh_config"), "-W", "127.0.0.1:26657", host]

    class Through(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            subprocess.run(command, stdin=self.request, stdout=self.request, timeout=ANSWER_S, check=False)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Through) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
