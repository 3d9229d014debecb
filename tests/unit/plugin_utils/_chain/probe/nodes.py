# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Endpoints on loopback: as nodes answer, and as nobody should."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import typing as t

from tests.unit.module_utils._cometbft.server import Answer, Server, halted, http, recorded

NODE_ID = "fb298171698249523ccd998a41b5d622f7e8bec2"


def status(**changes: t.Any) -> bytes:
    """The recorded status with changes, by the name of the key wherever it stands."""
    tree = json.loads(recorded("halted/status.json"))
    for group in ("node_info", "sync_info", "validator_info"):
        tree["result"][group].update({key: value for key, value in changes.items() if key in tree["result"][group]})
    return http(json.dumps(tree).encode())


def node(number: int = 0, **changes: t.Any) -> dict[str, Answer]:
    """All answers of the recorded node, under an identity of its own."""
    return {**halted(), "/status": status(**{"id": f"{number:040x}", **changes})}


def net_info(*peers: tuple[str, t.Optional[str]]) -> bytes:
    """The recorded answer with peers at other places: (remote_ip, rpc_address)."""
    tree = json.loads(recorded("halted/net_info.json"))
    first = json.dumps(tree["result"]["peers"][0])
    tree["result"]["peers"] = []
    for remote, rpc_address in peers:
        peer = json.loads(first)
        peer["remote_ip"] = remote
        peer["node_info"]["other"] = {"tx_index": "on", "rpc_address": rpc_address}
        tree["result"]["peers"].append(peer)
    tree["result"]["n_peers"] = str(len(peers))
    return http(json.dumps(tree).encode())


@contextlib.contextmanager
def servers(*routes: dict[str, Answer]) -> t.Iterator[list[Server]]:
    """A server for each set of routes."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(one)) for one in routes]


def refused() -> str:
    """A URL at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextlib.contextmanager
def swallowed() -> t.Iterator[str]:
    """A URL whose queue of connections is full: what is sent there is never answered."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _filler in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


class Tap:
    """A listening socket that knows whether anybody came."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._sock = socket.create_server((host, 0))
        self._sock.settimeout(0.2)
        self.port: int = self._sock.getsockname()[1]

    def was_dialled(self) -> bool:
        try:
            self._sock.accept()[0].close()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._sock.close()


class Timed:
    """How many seconds a block took."""

    def __enter__(self) -> Timed:
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began
