# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All parts of one look at an RPC, as a node gives them and as a node in trouble does not."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import rpc as _cometbft

from tests.unit.module_utils._cometbft.server import Answer, Server, halted, http, recorded, result

DUMP = "/dump_consensus_state"
SHORT = "/consensus_state"


def look(routes: dict[str, Answer], deadline_s: float = 5, **more: t.Any) -> dict[str, t.Any]:
    with Server(routes) as server:
        return _cometbft.gather(server.url, deadline_s, **more)


def test_everything_a_halted_node_shows() -> None:
    rpc = look(halted())
    assert list(rpc) == list(_cometbft.PARTS)
    assert all(part["ok"] for part in rpc.values()), rpc
    assert rpc["status"]["data"]["height"] == 340
    assert rpc["consensus"]["data"]["height"] == 341
    assert rpc["validators"]["data"] == {
        "height": 341,
        "total": 3,
        "validators": [
            {"address": "F6D9025EFAE31226638661B9CD238B3A1ED004CE", "power": 50},
            {"address": "0AAA349FFCAA0AE18BA2684C4654C4A300F38ACD", "power": 30},
            {"address": "E234827A02D39FE51529731DE1C3DE7B6C4731D1", "power": 20},
        ],
    }
    headers = rpc["blocks"]["data"].pop("headers")
    assert rpc["blocks"]["data"] == {"interval_s": 1.043, "from_height": 321, "to_height": 340}
    assert [height for height, _hash in headers] == list(range(340, 320, -1))
    assert headers[0][1] == rpc["status"]["data"]["app_hash"]
    assert [one["height"] for one in rpc["commits"]["data"]["commits"]] == [340, 339, 338, 337, 336]
    assert rpc["mempool"]["data"] == {"txs": 0, "bytes": 0}
    assert rpc["jailed"]["data"]["total"] == 4 and len(rpc["jailed"]["data"]["jailed"]) == 2
    json.dumps(rpc, allow_nan=False)


def test_only_what_is_asked_for() -> None:
    with Server(halted()) as server:
        assert list(_cometbft.gather(server.url, 5, parts=["mempool"])) == ["mempool"]
        assert server.asked == ["/num_unconfirmed_txs"]
        rpc = _cometbft.gather(server.url, 5, commits=2, parts=["commits"])
    assert list(rpc) == ["commits"]
    assert [one["height"] for one in rpc["commits"]["data"]["commits"]] == [340, 339]


def test_no_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert look(halted(), parts=["mempool"])["mempool"]["ok"]


def test_a_refused_rpc_is_refused_in_every_part() -> None:
    with Server({}) as server:
        url = server.url
    rpc = _cometbft.gather(url, 5)
    assert {part["error"]["kind"] for part in rpc.values()} == {"refused"}


def test_a_silent_rpc_is_late_in_every_part() -> None:
    with Server({}) as server:
        server.routes = dict.fromkeys(halted(), server.hang)
        began = time.monotonic()
        rpc = _cometbft.gather(server.url, 1)
        took = time.monotonic() - began
    assert {part["error"]["kind"] for part in rpc.values()} == {"late"}
    assert took < 1.5


def test_a_node_inside_a_block_answers_what_needs_no_lock() -> None:
    with Server(halted()) as server:
        for path in (DUMP, SHORT, "/abci_info"):
            server.routes[path] = server.hang
        rpc = _cometbft.gather(server.url, 1)
    failed = {name: part["error"]["kind"] for name, part in rpc.items() if not part["ok"]}
    assert failed == {"abci_info": "late", "consensus": "late"}


@pytest.mark.parametrize("url", ["", "unix:///x", "http://", "http://user:secret@h:1", "http://h:1/?q", "http://h:x"])
def test_an_address_that_is_none(url: str) -> None:
    rpc = _cometbft.gather(url, 1)
    assert {part["error"]["kind"] for part in rpc.values()} == {"cannot_tell"}
    assert "secret" not in json.dumps(rpc)


@pytest.mark.parametrize(
    "dump",
    [
        http(b"<html>403</html>", "403 Forbidden", "text/html"),
        http(b'{"jsonrpc":"2.0","id":-1,"error":{"code":-32601,"message":"Method not found","data":""}}'),
        result({"round_state": {}}),
        http(b"", "502 Bad Gateway"),
    ],
)
def test_without_the_dump_the_short_state_is_read(dump: bytes) -> None:
    full = look(halted(), parts=["consensus"])["consensus"]["data"]
    rpc = look({**halted(), DUMP: dump}, parts=["consensus"])
    assert rpc["consensus"]["ok"], rpc
    short = rpc["consensus"]["data"]
    for key in ("height", "round", "step", "start_time", "proposer", "validators", "rounds"):
        assert short[key] == full[key], key
    assert short["last_commit"] is None and short["peers"] == [] and short["commit_time"] is None
    assert full["proposal"] is False and short["proposal"] is None and short["block_parts"] is None


def test_when_both_states_fail_both_reasons_are_told() -> None:
    rpc = look({**halted(), DUMP: http(b"no", "403 Forbidden"), SHORT: http(b"no", "418 Teapot")}, parts=["consensus"])
    assert rpc["consensus"]["error"]["kind"] == "http"
    assert "403" in rpc["consensus"]["error"]["text"] and "418" in rpc["consensus"]["error"]["text"]


def large(rounds: int) -> bytes:
    """The recorded dump with many rounds and a proposal of megabytes."""
    answer = json.loads(recorded("halted/dump_consensus_state.json"))
    state = answer["result"]["round_state"]
    first = state["votes"][0]
    state["proposal"] = {"height": "341", "signature": "A" * 90}
    state["proposal_block_parts"] = {"count/total": "40/46", "parts_bit_array": "x" * 40 + "_" * 6}
    state["proposal_block"] = {"data": {"txs": ["A" * 3_000_000]}, "votes": [{"round": 77}]}
    state["votes"] = [json.loads(json.dumps(first).replace("341/00", f"341/{n:02d}")) for n in range(rounds)]
    for number, entry in enumerate(state["votes"]):
        entry["round"] = number
    return http(json.dumps(answer).encode())


def test_of_a_large_state_the_first_and_the_last_rounds_are_read() -> None:
    full = look(halted(), parts=["consensus"])["consensus"]["data"]
    state = look({**halted(), DUMP: large(90)}, parts=["consensus"])["consensus"]["data"]
    assert state["truncated"] is True and full["truncated"] is False
    assert [entry["round"] for entry in state["rounds"]] == [0, 87, 88, 89]
    assert state["proposal"] is True and state["block_parts"] == [40, 46]
    assert all(entry["prevotes"] == full["rounds"][0]["prevotes"] for entry in state["rounds"])
    for key in ("height", "validators", "last_commit", "peers"):
        assert state[key] == full[key], key


def pages(total: int, height: int = 341) -> dict[str, Answer]:
    rows = [{"address": f"{n:040X}", "voting_power": "1"} for n in range(total)]
    routes: dict[str, Answer] = {}
    for number in range(1, total // 100 + 2):
        part = rows[100 * (number - 1) : 100 * number]
        body = result({"block_height": str(height), "validators": part, "count": str(len(part)), "total": str(total)})
        pinned = "" if number == 1 else f"&height={height}"
        routes[f"/validators?page={number}&per_page=100{pinned}"] = body
    return routes


@pytest.mark.parametrize("total", [1, 100, 101, 250])
def test_all_pages_of_the_validators(total: int) -> None:
    with Server(pages(total)) as server:
        found = _cometbft.gather(server.url, 5, parts=["validators"])["validators"]
    assert found["ok"], found
    assert len(found["data"]["validators"]) == found["data"]["total"] == total
    assert len(server.asked) == -(-total // 100)


def test_pages_of_different_heights_are_no_set() -> None:
    routes = pages(150)
    routes["/validators?page=2&per_page=100&height=341"] = pages(150, 342)["/validators?page=2&per_page=100&height=342"]
    assert look(routes, parts=["validators"])["validators"]["error"]["kind"] == "malformed"


@pytest.mark.parametrize("total", ["0", "2", "10001", "-1"])
def test_a_total_that_cannot_be_is_malformed(total: str) -> None:
    body = result({"block_height": "1", "validators": [{"address": "A" * 40, "voting_power": "1"}], "total": total})
    assert look({"/validators": body}, parts=["validators"])["validators"]["error"]["kind"] == "malformed"


def test_one_commit_that_is_missing_does_not_take_the_others() -> None:
    routes = {**halted(), "/commit?height=339": result(None)}
    commits = look(routes, parts=["commits"])["commits"]["data"]["commits"]
    assert [one["height"] for one in commits] == [340, 338, 337, 336]


def test_commits_below_what_is_kept_are_not_asked_for() -> None:
    status = json.loads(recorded("halted/status.json"))
    status["result"]["sync_info"]["earliest_block_height"] = "339"
    with Server({**halted(), "/status": http(json.dumps(status).encode())}) as server:
        commits = _cometbft.gather(server.url, 5, parts=["commits"])["commits"]["data"]["commits"]
    assert [one["height"] for one in commits] == [340, 339]
    assert "/commit?height=338" not in server.asked


def absent_first() -> bytes:
    answer = json.loads(recorded("halted/commit_0.json"))
    missing = {"block_id_flag": 1, "validator_address": "", "timestamp": "0001-01-01T00:00:00Z", "signature": None}
    answer["result"]["signed_header"]["commit"]["signatures"][0] = missing
    return http(json.dumps(answer).encode())


def test_the_set_of_that_height_names_who_is_absent() -> None:
    newest = look({**halted(), "/commit?height=340": absent_first()})["commits"]["data"]["commits"][0]
    assert newest["absent"] == ["F6D9025EFAE31226638661B9CD238B3A1ED004CE"]


def test_without_that_set_the_absent_cannot_be_told() -> None:
    routes = {**halted(), "/commit?height=340": absent_first()}
    routes["/validators?page=1&per_page=100&height=340"] = http(b"no", "500 Internal Server Error")
    assert look(routes)["commits"]["data"]["commits"][0]["absent"] is None


def test_a_chain_without_blocks() -> None:
    status = json.loads(recorded("halted/status.json"))
    sync = status["result"]["sync_info"]
    sync.update(latest_block_height="0", latest_block_hash="", latest_app_hash="", earliest_block_height="0")
    sync["latest_block_time"] = "0001-01-01T00:00:00Z"
    rpc = look(
        {**halted(), "/status": http(json.dumps(status).encode())}, parts=["status", "blocks", "commits", "jailed"]
    )
    assert rpc["status"]["data"]["block_time"] is None and rpc["status"]["data"]["block_hash"] is None
    assert {rpc[name]["error"]["kind"] for name in ("blocks", "commits", "jailed")} == {"absent"}
