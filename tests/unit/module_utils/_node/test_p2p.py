# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Persistent peers: which are connected, and what a connection to the others gives."""

from __future__ import annotations

import errno
import functools
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts as _host
from ansible_collections.virtengine.incident.plugins.module_utils._node import collect
from ansible_collections.virtengine.incident.plugins.module_utils._node import p2p as _node_p2p
from hypothesis import given
from hypothesis import strategies as st

NONE = {"ok": False, "error": {"kind": "refused", "text": "no"}}


def node_id(number: int) -> str:
    return f"{number:040x}"


def rpc(*connected: int, own: int | None = None) -> dict[str, Any]:
    peers = [{"node_id": node_id(number), "moniker": "", "remote": "", "outbound": True} for number in connected]
    status = NONE if own is None else {"ok": True, "data": {"node_id": node_id(own)}}
    return {"status": status, "net_info": {"ok": True, "data": {"peers": peers, "count": len(peers)}}}


def peers_of(*entries: tuple[int, str]) -> dict[str, Any]:
    return {"value": ",".join(f"{node_id(number)}@{address}" for number, address in entries), "source": "config.toml"}


def read(
    peers: dict[str, Any], shown: dict[str, Any], runs: bool | None = True, left: float = 9
) -> list[dict[str, Any]]:
    expected: list[dict[str, Any]] = _node_p2p.read("tcp://x", peers, shown, runs, time.monotonic() + left)["expected"]
    return expected


@pytest.fixture
def dials(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """No connection is made: what would be dialled is written down."""
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(_node_p2p, "_start", lambda target, answers: seen.append(target))
    return seen


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        yield server


def here(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_an_open_a_closed_and_a_silent_port(listener: socket.socket) -> None:
    with socket.socket() as closed, socket.socket() as silent:
        for server in (closed, silent):
            server.bind(("127.0.0.1", 0))
        silent.listen(0)
        # A full queue: the kernel drops what comes next.
        full = [socket.socket() for _number in range(4)]
        for connection in full:
            connection.setblocking(False)
            connection.connect_ex(silent.getsockname())
        begun = time.monotonic()
        found = read(peers_of((1, here(listener)), (2, here(closed)), (3, here(silent))), rpc())
        taken = time.monotonic() - begun
        for connection in full:
            connection.close()
    assert [peer["dial"] for peer in found] == ["open", "refused", "timeout"]
    assert [peer["connected"] for peer in found] == [False, False, False]
    assert _node_p2p.DIAL_S <= taken < _node_p2p.DIAL_S + 1


def test_only_a_missing_peer_is_dialled(dials: list[tuple[str, int]]) -> None:
    peers = peers_of((1, "10.0.0.1:26656"), (2, "10.0.0.2:1"), (2, "[2001:DB8::1]:7"), (3, "node.example:26656"))
    found = read(peers, rpc(1))
    assert dials == [("10.0.0.2", 1), ("2001:db8::1", 7)]
    assert [(peer["address"], peer["connected"], peer["dial"]) for peer in found] == [
        ("10.0.0.1:26656", True, None),
        ("10.0.0.2:1", False, None),
        ("[2001:DB8::1]:7", False, None),
        ("node.example:26656", False, None),
    ]


def test_a_connected_peer_at_the_address_of_a_missing_one_keeps_its_null(listener: socket.socket) -> None:
    found = read(peers_of((1, here(listener)), (2, here(listener))), rpc(1))
    assert [(peer["connected"], peer["dial"]) for peer in found] == [(True, None), (False, "open")]


@pytest.mark.parametrize(
    ("shown", "runs", "left", "connected"),
    [
        ({"status": NONE, "net_info": NONE}, True, 9, None),
        (rpc(), False, 9, False),
        (rpc(), True, 1.1, False),
        (rpc(), True, -3, False),
        (rpc(1), True, 9, True),
    ],
)
def test_nothing_is_dialled(
    dials: list[tuple[str, int]], shown: dict[str, Any], runs: bool, left: float, connected: bool | None
) -> None:
    found = read(peers_of((1, "10.0.0.1:26656")), shown, runs, left)
    assert [(peer["connected"], peer["dial"]) for peer in found] == [(connected, None)] and dials == []


def test_where_processes_are_hidden_the_rpc_says_that_a_node_runs(dials: list[tuple[str, int]]) -> None:
    read(peers_of((1, "10.0.0.1:26656")), rpc(), None)
    assert dials == [("10.0.0.1", 26656)]


def test_the_node_itself_is_no_peer_of_its_own(dials: list[tuple[str, int]]) -> None:
    peers = peers_of(*((number, f"10.0.0.{number}:26656") for number in range(30)))
    found = read(peers, rpc(own=3))
    assert len(found) == len(dials) == 20 and ("10.0.0.3", 26656) not in dials


@pytest.mark.parametrize(
    "text",
    [
        "",
        " , ,",
        "10.0.0.1:26656",
        "@10.0.0.1:26656",
        f"{node_id(1)[1:]}@10.0.0.1:26656",
        f"{node_id(1)}0@10.0.0.1:26656",
        f"{node_id(1)}@10.0.0.1",
        f"{node_id(1)}@10.0.0.1:",
        f"{node_id(1)}@10.0.0.1:0",
        f"{node_id(1)}@10.0.0.1:65536",
        f"{node_id(1)}@10.0.0.1:1:2",
        f"{node_id(1)}@10.0.0.1:1/x",
        f"{node_id(1)}@:1",
        f"{node_id(1)}@a b:1",
        f"{node_id(1)}@2001:db8::1:7",
        f"{node_id(1)}@[fe80::1%eth0]:7",
        f"{node_id(1)}@x@10.0.0.1:1",
        f"{node_id(1)}@10.0.0.1:1\n",
        f"{node_id(1)}@10.0.0.1:\u0661",
        "x" * 100_000,
    ],
)
def test_what_is_no_peer_is_left_out(text: str) -> None:
    assert _node_p2p.parse(text) == []


@pytest.mark.parametrize(
    "host",
    ["localhost", ".".join("0000"), "255.255.255.255", "224.0.0.1", "[::]", "[ff02::1]", "010.0.0.1", "10.1", "2130706433",
     "[10.0.0.1]", "[:::]", "0x7f.0.0.1"],
)  # fmt: skip
def test_only_the_address_of_one_host_is_dialled(dials: list[tuple[str, int]], host: str) -> None:
    found = read(peers_of((1, f"{host}:26656")), rpc())
    assert dials == [] and [(peer["address"], peer["dial"]) for peer in found] == [(f"{host}:26656", None)]


def test_an_entry_given_twice_is_one_and_letters_of_an_id_do_not_matter() -> None:
    peer = f"{'ab' * 20}@10.0.0.1:26656"
    assert [entry.node_id for entry in _node_p2p.parse(f"{peer}, {peer} ,{peer.upper()}")] == ["ab" * 20]


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.EACCES, "unreachable"),
        (errno.ETIMEDOUT, "timeout"),
        (errno.EMFILE, None),
    ],
)
def test_what_the_kernel_says_at_once(monkeypatch: pytest.MonkeyPatch, code: int, word: str | None) -> None:
    monkeypatch.setattr(socket.socket, "connect_ex", lambda _socket, _target: code)
    assert [peer["dial"] for peer in read(peers_of((1, "10.0.0.1:26656")), rpc())] == [word]


def test_peers_that_cannot_be_read_are_no_empty_list() -> None:
    with pytest.raises(_host.PartError) as caught:
        read({"value": None, "source": None, "why": "line 3 is given twice"}, rpc())
    assert caught.value.kind == "cannot_tell" and "line 3" in caught.value.text


@given(st.text(alphabet=st.sampled_from("a1@:,[]. %\n"), max_size=200))
def test_any_text_gives_peers_or_none(text: str) -> None:
    assert all(0 < peer.port < 65536 for peer in _node_p2p.parse(text))


def test_a_fault_in_this_part_leaves_the_rpc_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {**dict.fromkeys(_cometbft.PARTS, NONE), "net_info": {"ok": True, "data": {"peers": [{}], "count": 1}}}
    monkeypatch.setattr(_cometbft, "gather", lambda url, deadline: shown)
    places = {"rpc": "http://127.0.0.1:1", "peers": {"value": ""}, "config": {"p2p_laddr": {"value": None}}}
    ask = functools.partial(collect._network, places, None, True)
    parts = ask(time.monotonic() + 9)
    assert parts["rpc"] is shown and parts["p2p"]["error"]["kind"] == "failed"
