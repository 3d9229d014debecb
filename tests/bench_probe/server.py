# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A public chain in one process: ``python -m tests.bench_probe.server ENDPOINTS VALIDATORS`` prints its URLs.

Each endpoint has a loopback address of its own and replays the recorded answers of a halted node. Of twenty, one is
refused, one takes connections and says nothing, or does not even take them, and two answer after a second.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import socket
import sys
import time

from tests.bench_probe import widen

SLOW_S = 1.0
OF = 20
REFUSED, HOLE, SLOW = 3, 11, (7, 15)


def address(number: int) -> str:
    """The loopback address of an endpoint."""
    return f"127.66.{number // 250}.{number % 250 + 1}"


class Node:
    """What one endpoint answers."""

    def __init__(self, number: int, bodies: dict[str, bytes], wait_s: float, silent: bool) -> None:
        node_id = hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest().encode()
        own = bodies["/status"].replace(b"fb298171698249523ccd998a41b5d622f7e8bec2", node_id)
        self._bodies = {**bodies, "/status": own.replace(b'"node2"', f'"node{number}"'.encode())}
        self._wait_s = wait_s
        self._silent = silent

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question on one connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if self._silent:
                await asyncio.sleep(60)
            if self._wait_s:
                await asyncio.sleep(self._wait_s)
            path = head.split(b" ", 2)[1].decode()
            body = self._bodies.get(path) or self._bodies.get(path.partition("?")[0])
            status = "200 OK" if body else "404 Not Found"
            stamp = int(time.time())
            answer = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Server-Time: {stamp}\r\n"
            writer.write(f"{answer}Content-Length: {len(body or b'')}\r\nConnection: close\r\n\r\n".encode())
            writer.write(body or b"")
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            # The client had enough.
            pass
        finally:
            writer.close()


def hole(host: str) -> int:
    """A port whose queue of connections is full for ever: what is sent there is swallowed."""
    sock = socket.socket()
    sock.bind((host, 0))
    sock.listen(0)
    port: int = sock.getsockname()[1]
    KEPT.append(sock)
    for _filler in range(2):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex((host, port))
        KEPT.append(filler)
    return port


KEPT: list[socket.socket] = []


async def main(endpoints: int, validators: int) -> None:
    """Serve until the end of what starts it."""
    bodies = widen.bodies(validators)
    urls = []
    with socket.create_server((address(0), 0)) as free:
        port: int = free.getsockname()[1]
    for number in range(endpoints):
        kind, host = number % OF, address(number)
        if kind == REFUSED:
            urls.append(f"http://{host}:{port}")
        elif kind == HOLE and number // OF % 2:
            urls.append(f"http://{host}:{hole(host)}")
        else:
            node = Node(number, bodies, SLOW_S if kind in SLOW else 0, kind == HOLE)
            await asyncio.start_server(node.serve, host, port, backlog=64)
            urls.append(f"http://{host}:{port}")
    print("\n".join(urls), flush=True)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    # Some clients still wait, and nobody waits for them.
    os._exit(0)


if __name__ == "__main__":
    _soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
