# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on loopback that answers as real nodes did, or as nobody should."""

from __future__ import annotations

import json
import socket
import threading
import typing as t
from pathlib import Path

from tests.unit.module_utils._cometbft import slashing

DATA = Path(__file__).resolve().parents[3] / "data" / "rpc"

Play = t.Callable[[socket.socket], None]
Answer = t.Union[bytes, Play]


def http(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole HTTP answer with its length."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def result(value: t.Any) -> bytes:
    """An answer of JSON-RPC to a GET."""
    return http(json.dumps({"jsonrpc": "2.0", "id": -1, "result": value}).encode())


def recorded(name: str) -> bytes:
    """A recorded body."""
    return (DATA / name).read_bytes()


def halted() -> dict[str, Answer]:
    """All answers of the node of the directory ``halted``, by the path they were asked by."""
    routes = {
        "/status": "status.json",
        "/abci_info": "abci_info.json",
        "/dump_consensus_state": "dump_consensus_state.json",
        "/consensus_state": "consensus_state.json",
        "/net_info": "net_info.json",
        "/num_unconfirmed_txs": "num_unconfirmed_txs.json",
        "/validators?page=1&per_page=100": "validators.json",
        "/validators?page=1&per_page=100&height=341": "validators_next.json",
        "/validators?page=1&per_page=100&height=340": "validators_top.json",
        "/blockchain?minHeight=321&maxHeight=340": "blockchain.json",
        **{f"/commit?height={340 - index}": f"commit_{index}.json" for index in range(5)},
    }
    # The signing infos are no recording: they are written by hand for the node's newest block.
    written: dict[str, Answer] = {"/abci_query": result(slashing.response(slashing.four()))}
    return {**written, **{path: http(recorded(f"halted/{name}")) for path, name in routes.items()}}


class Server:
    """Answers each GET by its path with its arguments, or by its path alone."""

    def __init__(self, routes: dict[str, Answer]) -> None:
        self.routes = routes
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._over = threading.Event()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Server:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # Closing alone leaves the port open for as long as the thread waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def drip(self, pieces: t.Iterable[bytes], pause: float) -> Play:
        """Send pieces with a pause after each, until the server is over."""

        def play(sock: socket.socket) -> None:
            for piece in pieces:
                sock.sendall(piece)
                if self._over.wait(pause):
                    return

        return play

    def hang(self, sock: socket.socket) -> None:
        """Take the question and say nothing."""
        self._over.wait(60)

    def _accept(self) -> None:
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            asked = b""
            while b"\r\n\r\n" not in asked:
                piece = sock.recv(4096)
                if not piece:
                    return
                asked += piece
            path = asked.split(b" ", 2)[1].decode()
            self.asked.append(path)
            missing = http(b"404 page not found", "404 Not Found", "text/plain")
            answer = self.routes.get(path, self.routes.get(path.partition("?")[0], missing))
            try:
                if isinstance(answer, bytes):
                    sock.sendall(answer)
                else:
                    answer(sock)
            except OSError:
                # The client had enough, which is what is tested.
                return
