# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that nobody should give: each becomes one clear error, in time, and the other parts are read."""

from __future__ import annotations

import itertools
import json
import re
import socket
import struct
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft
from ansible_collections.virtengine.incident.plugins.module_utils._host import json as _rpc_json
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.module_utils._cometbft.server import Answer, Server, halted, http, recorded, result

KINDS = {"late", "refused", "unreachable", "malformed", "too_large", "http", "rpc", "absent", "failed", "cannot_tell"}
PATHS = {
    "status": "/status",
    "abci_info": "/abci_info",
    "consensus": "/dump_consensus_state",
    "net_info": "/net_info",
    "validators": "/validators?page=1&per_page=100",
    "blocks": "/blockchain?minHeight=321&maxHeight=340",
    "commits": "/commit?height=340",
    "mempool": "/num_unconfirmed_txs",
    "jailed": "/abci_query",
}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def endless(head: bytes, piece: bytes) -> t.Callable[[socket.socket], None]:
    def play(sock: socket.socket) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(piece)

    return play


def envelope(**change: t.Any) -> bytes:
    answer = {"jsonrpc": "2.0", "id": -1, "result": {}, **change}
    return http(json.dumps({key: value for key, value in answer.items() if value != "LEFT OUT"}).encode())


HOSTILE: dict[str, tuple[Answer, set[str]]] = {
    "closes at once": (lambda sock: None, {"failed"}),
    "resets": (reset, {"failed"}),
    "closes in the middle": (HEAD + b'Content-Length: 500\r\n\r\n{"jsonrpc":', {"failed"}),
    "closes in a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{", {"failed"}),
    "closes without a length": (HEAD + b'\r\n{"jsonrpc":', {"malformed"}),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n", {"malformed"}),
    "bad length": (HEAD + b"Content-Length: -5\r\n\r\n{}", {"malformed"}),
    "bad chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}", {"failed", "malformed"}),
    "too many headers": (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n", {"malformed"}),
    "a header without end": (endless(b"HTTP/1.1 200 OK\r\nA: ", b"b" * 65536), {"malformed"}),
    "a body without end": (endless(HEAD + b"\r\n", b"[" * 65536), {"too_large", "malformed", "late"}),
    "a text without end": (endless(HEAD + b'\r\n{"result":"', b"x" * 65536), {"too_large", "malformed", "late"}),
    "spaces without end": (endless(HEAD + b"\r\n", b" " * 65536), {"too_large", "malformed", "late"}),
    "HTML": (http(b"<html><script>alert(1)</script></html>", kind="text/html"), {"malformed"}),
    "HTML of a proxy": (http(b"<html>Bad gateway</html>", "502 Bad Gateway", "text/html"), {"http"}),
    "redirect": (http(b"", "302 Found"), {"http"}),
    "unauthorized": (http(b"{}", "401 Unauthorized"), {"http"}),
    "nothing": (http(b""), {"malformed"}),
    "another JSON": (http(b'{"status": "ok"}'), {"malformed"}),
    "a list": (http(b"[]"), {"malformed"}),
    "a number": (http(b"7"), {"malformed"}),
    "no UTF-8": (http(b'{"jsonrpc": "2.0", "id": -1, "result": "\xff\xfe"}'), {"malformed"}),
    "UTF-16": (http(json.dumps({"jsonrpc": "2.0"}).encode("utf-16")), {"malformed"}),
    "deep": (http(b"[" * 500000), {"malformed"}),
    "a huge number": (http(b'{"jsonrpc":"2.0","id":-1,"result":{"n":' + b"9" * 700000 + b"}}"), {"malformed"}),
    "NaN": (http(b'{"jsonrpc":"2.0","id":-1,"result":NaN}'), {"malformed"}),
    "a key twice": (http(b'{"jsonrpc":"2.0","id":-1,"id":-1,"result":{}}'), {"malformed"}),
    "another id": (envelope(id=1), {"malformed"}),
    "the id as text": (envelope(id="-1"), {"malformed"}),
    "no id": (envelope(id="LEFT OUT"), {"malformed"}),
    "another version": (envelope(jsonrpc="1.0"), {"malformed"}),
    "no result": (envelope(result="LEFT OUT"), {"absent"}),
    "result null": (envelope(result=None), {"absent"}),
    "result of another shape": (envelope(result=[1, 2, 3]), {"malformed"}),
    "an empty result": (envelope(result={}), {"malformed"}),
    "error and 500": (
        http(b'{"jsonrpc":"2.0","id":-1,"error":{"code":-32603,"message":"Internal error","data":"x"}}', "500 Error"),
        {"rpc"},
    ),
    "error of another shape": (envelope(error="no"), {"malformed"}),
    "error in words of a terminal": (envelope(error={"code": 1, "message": "\x1b[2J\x07{{ 7*7 }}"}), {"rpc"}),
}


@pytest.mark.parametrize("part", PATHS)
@pytest.mark.parametrize("name", HOSTILE)
def test_one_hostile_answer_is_one_clear_error(part: str, name: str) -> None:
    answer, kinds = HOSTILE[name]
    routes = {**halted(), PATHS[part]: answer, "/consensus_state": answer}
    for index in range(5) if part == "commits" else ():
        routes[f"/commit?height={340 - index}"] = answer
    with Server(routes) as server:
        began = time.monotonic()
        rpc = _cometbft.gather(server.url, 2)
        took = time.monotonic() - began
    error = rpc[part]["error"]
    assert error["kind"] in kinds, rpc[part]
    assert len(error["text"]) <= 300 and "\n" not in error["text"] and "\x1b" not in error["text"]
    assert server.url in error["text"]
    assert took < 2.5
    spared = set(PATHS) - {part} - ({"blocks", "commits", "jailed"} if part == "status" else set())
    assert all(rpc[other]["ok"] for other in spared), {other: rpc[other] for other in spared if not rpc[other]["ok"]}


@pytest.mark.parametrize("slow", ["head", "body"])
def test_a_byte_now_and_then_does_not_stretch_the_deadline(slow: str) -> None:
    with Server(halted()) as server:
        head = [] if slow == "head" else [HEAD + b"\r\n"]
        server.routes["/status"] = server.drip(itertools.chain(head, itertools.repeat(b" ")), 0.05)
        began = time.monotonic()
        rpc = _cometbft.gather(server.url, 1)
        took = time.monotonic() - began
    assert rpc["status"]["error"]["kind"] == "late"
    assert rpc["mempool"]["ok"]
    assert took < 1.5


def test_words_of_a_terminal_and_of_templates_become_plain_text() -> None:
    status = json.loads(recorded("halted/status.json"))
    status["result"]["node_info"]["moniker"] = (
        "\x1b]0;owned\x07\x1b[31mred\r\n{{ lookup('pipe', 'id') }}\u202e\ud800" + "x" * 900
    )
    status["result"]["node_info"]["network"] = "chain\u0000-1\x9b31m"
    with Server({"/status": http(json.dumps(status).encode())}) as server:
        data = _cometbft.gather(server.url, 5, parts=["status"])["status"]["data"]
    assert "{{ lookup('pipe', 'id') }}" in data["moniker"]
    assert len(data["moniker"]) <= 300
    for text in (data["moniker"], data["chain_id"]):
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202e\ud800-\udfff]", text), ascii(text)


@pytest.mark.parametrize(
    "power", [-1, "-1", 2**63, str(2**63), 1.5, "1e3", "", " 1", "0x10", True, None, [], "9" * 400]
)
def test_a_power_that_cannot_be_is_malformed(power: t.Any) -> None:
    row = {"address": "A" * 40, "voting_power": power}
    body = result({"block_height": "1", "validators": [row], "count": "1", "total": "1"})
    with Server({"/validators": body}) as server:
        found = _cometbft.gather(server.url, 5, parts=["validators"])["validators"]
    assert not found["ok"] and found["error"]["kind"] == "malformed"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from(["0", "1", "A" * 40, "x_x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, part: str) -> t.Any:
    """An answer in which one value at any depth is another."""
    answer = halted()[PATHS[part]]
    assert isinstance(answer, bytes)
    tree = json.loads(answer.partition(b"\r\n\r\n")[2])
    place, key = tree, "result"
    for _depth in range(draw(st.integers(0, 9))):
        value = place[key]
        if not isinstance(value, (dict, list)) or not value:
            break
        place = value
        keys = sorted(value) if isinstance(value, dict) else list(range(len(value)))
        key = draw(st.sampled_from(keys))
    place[key] = draw(VALUES)
    return tree


@pytest.mark.parametrize("part", PATHS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_damage_raises_or_hides(part: str, data: st.DataObject) -> None:
    tree = data.draw(damaged(part))
    body = http(json.dumps(tree).encode())
    with Server({**halted(), PATHS[part]: body}) as server:
        rpc = _cometbft.gather(server.url, 5, commits=1)
    found = rpc[part]
    if not found["ok"]:
        assert found["error"]["kind"] in KINDS - {"late", "failed"}, found
    json.dumps(rpc, allow_nan=False)


MEMORY = """
import re, sys
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft
import ansible.module_utils.basic
rpc = _cometbft.gather(sys.argv[1], 20)
kinds = sorted({part["error"]["kind"] for part in rpc.values() if not part["ok"]})
# Not getrusage: its maximum counts the process that started this one.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1)
print(int(peak) // 1024, ",".join(kinds))
"""
TEN = 10 * 1024 * 1024
WORST = {
    "objects": b'{"jsonrpc":"2.0","id":-1,"result":[' + b"{}," * (TEN // 3) + b"{}]}",
    "lists": b'{"jsonrpc":"2.0","id":-1,"result":[' + b"[]," * (TEN // 3) + b"[]]}",
    "one text": b'{"jsonrpc":"2.0","id":-1,"result":"' + b"x" * TEN + b'"}',
    "wide characters": b'{"jsonrpc":"2.0","id":-1,"result":["'
    + "\U0001f600".encode()
    + b'",'
    + b"{}," * (TEN // 3)
    + b"{}]}",
    "votes": b'{"jsonrpc":"2.0","id":-1,"result":{"round_state":{"votes":[{"round":0,"prevotes":['
    + b"{}," * (TEN // 3)
    + b"{}]}]}}}",
    "just below the cap": b'{"jsonrpc":"2.0","id":-1,"result":[' + b"{}," * ((_rpc_json.TREE_CAP - 100) // 3) + b"{}]}",
    "wide just below the cap": b'{"jsonrpc":"2.0","id":-1,"result":["'
    + "\U0001f600".encode()
    + b'",'
    + b"{}," * ((_rpc_json.TREE_CAP - 100) // 3)
    + b"{}]}",
}


@pytest.mark.parametrize("name", WORST)
def test_ten_megabytes_in_every_answer_cost_less_than_a_hundred(name: str) -> None:
    body = http(WORST[name])
    status = halted()["/status"]
    routes = dict.fromkeys(halted(), body)
    for known in (status, body):
        # Once with a status, so that blocks and commits are asked for, too.
        with Server({**routes, "/status": known, "/validators": body}) as server:
            command = [sys.executable, "-c", MEMORY, server.url]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        megabytes, kinds = done.stdout.split()
        assert int(megabytes) < 100, done.stdout
        assert set(kinds.split(",")) <= {"too_large", "malformed", "late"}
