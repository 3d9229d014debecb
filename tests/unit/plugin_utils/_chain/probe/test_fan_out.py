# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe of real servers: what live ones answer comes out whatever dead, slow and lying ones do."""

from __future__ import annotations

import contextlib
import json
import socket
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft import dialable, rpc
from ansible_collections.virtengine.incident.plugins.module_utils._host.http_many import Many
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.probe import fan_out
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.probe.fan_out import NOTHING, Order, probe
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.variables import REFERENCES
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.incident import CHAIN_PROBE
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.evidence import bundle as _bundle

from tests.unit.module_utils._cometbft.server import Answer, Server, http, recorded
from tests.unit.plugin_utils._chain.probe.nodes import Tap, Timed, net_info, node, refused, servers, status, swallowed

ANYWHERE = "tcp://0.0.0.0:26657"
TOP = "C36328B05897DAEA37DE65FCBA820F2D27374262E46957817DB324C0D5536D9D"


def ask(endpoints: t.Sequence[str], deadline_s: float = 5, **more: t.Any) -> dict[str, t.Any]:
    found = probe(Order(endpoints, deadline_s=deadline_s, **more), lambda _line: None)
    assert set(found) == set(NOTHING)
    json.dumps(found, allow_nan=False)
    return found


def by_url(found: dict[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    return {entry["host"]: entry for entry in found["observations"]}


def test_one_node_gives_everything_it_shows() -> None:
    with Server(node()) as server:
        found = ask([server.url], look=2)
    (seen,) = found["observations"]
    assert (seen["source"], seen["host"], seen["look"], seen["ok"]) == ("cometbft_info", server.url, 2, True)
    assert sorted(seen["data"]) == sorted(rpc.PARTS)
    assert all(part["ok"] for part in seen["data"].values()), seen
    assert seen["data"]["consensus"]["data"]["height"] == 341
    assert found["in_full"] == [server.url] and found["chain_id"] == "rig-1"
    assert (found["asked"], found["answered"]) == (1, 1)
    assert found["seconds"] < 2


def test_the_verdict_takes_what_it_gives() -> None:
    with servers(node(1), node(2)) as two:
        urls = [server.url for server in two]
        looks = [ask(urls, look=look) for look in (1, 2)]
    bundle = _bundle.new(CHAIN_PROBE, "2026-11-24T19:50:00Z", {}, settings={REFERENCES: urls})
    for found in looks:
        for observation in found["observations"]:
            bundle = _bundle.add(bundle, observation, CHAIN_PROBE.sources)
    assert all(entry["ok"] for entry in bundle["observations"])
    assert CHAIN_PROBE.assess(bundle)["incident"] == "chain_probe"


def test_every_way_to_be_dead_in_one_deadline() -> None:
    with contextlib.ExitStack() as stack:
        live, silent, late = stack.enter_context(servers(node(1), {}, node(3)))
        silent.routes["/status"] = silent.hang
        slow = t.cast(bytes, status(id=f"{3:040x}"))
        late.routes["/status"] = late.drip([slow[:200], slow[200:]], 0.7)
        holes = [stack.enter_context(swallowed()) for _hole in range(10)]
        gone = [refused() for _port in range(10)]
        with Timed() as took:
            found = ask([*holes, *gone, silent.url, live.url, late.url], 3)
    seen = by_url(found)
    assert seen[live.url]["ok"] and seen[late.url]["ok"]
    assert {seen[url]["error"]["kind"] for url in [*holes, silent.url]} == {"late"}
    assert {seen[url]["error"]["kind"] for url in gone} == {"refused"}
    assert {key: found[key] for key in ("asked", "answered", "late", "refused", "other")} == {
        "asked": 23, "answered": 2, "late": 11, "refused": 10, "other": 0,
    }  # fmt: skip
    assert took.seconds < 3.5


def test_where_nobody_answers_the_deadline_is_waited_for_and_no_longer() -> None:
    with Server({}) as server, Timed() as took:
        server.routes["/status"] = server.hang
        found = ask([server.url], 1.5)
    assert found["late"] == 1 and found["chain_id"] is None
    assert 1.4 < took.seconds < 2


def test_a_node_that_is_slow_alone_has_the_whole_deadline() -> None:
    with Server(node()) as server:
        answer = t.cast(bytes, server.routes["/status"])
        server.routes["/status"] = server.drip([answer[:99], answer[99:]], 1.5)
        found = ask([server.url], 3)
    assert found["answered"] == 1


def test_a_node_inside_a_block_gives_its_status() -> None:
    with Server(node()) as server, Timed() as took:
        for path in ("/abci_info", "/dump_consensus_state", "/consensus_state", "/abci_query"):
            server.routes[path] = server.hang
        found = ask([server.url], 3)
    parts = found["observations"][0]["data"]
    kinds = {name: part["error"]["kind"] for name, part in parts.items() if not part["ok"]}
    assert kinds == {"abci_info": "late", "consensus": "late", "jailed": "late"}
    assert took.seconds < 3.5


FLOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + b"[" * 65536


def flood(sock: socket.socket) -> None:
    sock.sendall(FLOOD)
    for _piece in range(800):
        sock.sendall(FLOOD[-65536:])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http(b"<html>blocked</html>", kind="text/html"), "malformed"),
        (http(b"<html>blocked</html>", "403 Forbidden", "text/html"), "http"),
        (b"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/status\r\nContent-Length: 0\r\n\r\n", "http"),
        (flood, "too_large"),
        (http(b'{"jsonrpc":"2.0","id":-1,"error":{"code":-32603,"message":"no","data":""}}'), "rpc"),
        (http(b'{"jsonrpc":"2.0","id":-1,"result":{"sync_info":' + b"[" * 5000), "malformed"),
        (status(latest_block_height="-1"), "malformed"),
        (status(network=7), "malformed"),
        (b"\x00\xff" * 500, "malformed"),
    ],
)
def test_a_status_that_is_none(answer: Answer, kind: str) -> None:
    with servers(node(1), {"/status": answer}) as (live, bad):
        found = ask([live.url, bad.url])
    seen = by_url(found)
    assert seen[live.url]["ok"]
    assert seen[bad.url]["error"]["kind"] == kind
    assert bad.url in seen[bad.url]["error"]["text"]


def test_escapes_in_names_do_not_reach_the_screen() -> None:
    with Server(node(moniker="\x1b[2Jgone\u202e", version="\x1b]0;x\x07\n" * 50)) as server:
        found = ask([server.url])
    assert all(line.isprintable() and len(line) <= 100 for line in found["summary"])


def test_who_contradicts_is_named_and_asked_for_everything() -> None:
    lie = "A" * 64
    with servers(*[node(number) for number in range(4)], node(9, latest_block_hash=lie)) as five:
        found = ask([server.url for server in five])
    (entry,) = [entry for entry in found["disagreements"] if lie in entry["hashes"]]
    assert (entry["height"], entry["what"]) == (340, "block_hash")
    assert entry["hashes"][TOP]["count"] == 5 and entry["hashes"][lie] == {"count": 1, "urls": [five[4].url]}
    assert five[4].url in found["in_full"]


def test_another_chain_is_kept_and_set_aside() -> None:
    with servers(node(1), node(2), node(3, network="other-9", latest_block_height="900")) as three:
        urls = [server.url for server in three]
        found = ask(urls)
        declared = ask(urls, chain_id="other-9")
    assert by_url(found)[urls[2]]["ok"] and found["chain_id"] == "rig-1"
    assert any("other-9" in line for line in found["summary"])
    assert declared["chain_id"] == "other-9" and declared["in_full"] == [urls[2]]


def test_progress_shows_when_it_takes_long() -> None:
    said: list[str] = []
    with Server({}) as server:
        server.routes["/status"] = server.hang
        probe(Order([server.url, refused()], deadline_s=4), said.append)
        assert said == ["asked 1 of 2, 1 dead, 1 s left"]
        probe(Order([server.url], deadline_s=2), said.append)
    assert len(said) == 1


@pytest.mark.parametrize("url", ["ftp://x", "http://user:secret@x:1", "", "http://x/?a=b"])
def test_a_listed_address_that_is_none(url: str) -> None:
    with pytest.raises(ValueError, match="address of the RPC"):
        ask([url])


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take 127.0.0.0/24 for the Internet, and nothing else of loopback."""
    real = dialable.refusal
    monkeypatch.setattr(
        dialable, "refusal", lambda address: None if str(address).startswith("127.0.0.") else real(address)
    )


def any_at(server: Server) -> str:
    return f"tcp://0.0.0.0:{server.url.rpartition(':')[2]}"


@pytest.mark.usefixtures("public")
def test_peers_of_peers_are_found() -> None:
    with servers(node(1), node(2), node(3)) as (first, second, third):
        first.routes["/net_info"] = net_info(("127.0.0.1", any_at(second)))
        # Also back to the first: a loop.
        second.routes["/net_info"] = net_info(("127.0.0.1", any_at(first)), ("127.0.0.1", any_at(third)))
        third.routes["/net_info"] = net_info(("127.0.0.1", any_at(third)), ("127.0.0.1", any_at(second)))
        found = ask([first.url], discover=True)
        alone = ask([first.url])
    assert found["discovered"] == [{"url": second.url, "from": first.url}, {"url": third.url, "from": second.url}]
    assert found["answered"] == 3 and first.asked.count("/status") <= 6
    assert alone["asked"] == 1 and alone["discovered"] == []


@pytest.mark.usefixtures("public")
def test_no_more_are_found_than_asked_for() -> None:
    with servers(node(1), *[node(number) for number in range(2, 8)]) as (first, *others):
        first.routes["/net_info"] = net_info(*[("127.0.0.1", any_at(server)) for server in others])
        found = ask([first.url], discover=True, discover_limit=2)
        most = ask([first.url], discover=True)
    assert len(found["discovered"]) == 2 and found["skipped_addresses"] == {"limit": 4}
    assert len(most["discovered"]) == 4 and most["skipped_addresses"]["limit"] == 2


@pytest.mark.usefixtures("public")
def test_a_node_id_at_two_addresses_is_kept_twice_and_noted() -> None:
    """A liar may copy the id of an honest node, and be asked first."""
    liar = node(1, latest_block_height="900")
    with servers(node(5), liar, node(1)) as (first, second, third):
        first.routes["/net_info"] = net_info(("127.0.0.1", any_at(second)), ("127.0.0.1", any_at(third)))
        found = ask([first.url], discover=True)
    assert set(by_url(found)) == {first.url, second.url, third.url} and found["answered"] == 3
    urls = sorted([second.url, third.url])
    assert found["same_node"] == [{"node_id": f"{1:040x}", "count": 2, "urls": urls}]
    assert any(line.startswith("Same node") for line in found["summary"])


@pytest.mark.usefixtures("public")
def test_of_one_address_four_are_dialled_however_it_is_spelt() -> None:
    spellings = ["127.0.0.1", "::ffff:127.0.0.1", "::FFFF:127.0.0.1", "::ffff:7f00:1", "0:0:0:0:0:ffff:127.0.0.1"]
    peers = [(text, f"tcp://0.0.0.0:{2000 + 10 * index}") for index, text in enumerate(spellings * 2)]
    with Server(node(1)) as server:
        server.routes["/net_info"] = net_info(*peers)
        found = ask([server.url], 2, discover=True)
    assert len(found["discovered"]) == 4, found["discovered"]


def test_of_one_network_of_ipv6_four_are_dialled(monkeypatch: pytest.MonkeyPatch) -> None:
    # Away from the network: not even a connection is begun.
    monkeypatch.setattr(Many, "_connect", lambda self, question: self._fail(question, OSError("unreachable")))
    with Many(1) as many:
        run = fan_out._Run(Order([], discover=True), {}, many, lambda _line: None)
        run._meet("http://x:1", [{"remote": f"2a01:db7::{one:x}", "rpc_address": ANYWHERE} for one in range(200)])
        run._meet("http://x:1", [{"remote": f"2a01:db7:0:{one:x}::1", "rpc_address": ANYWHERE} for one in range(1, 4)])
        found = run.result()
    assert len(found["discovered"]) == 7 and found["skipped_addresses"] == {"limit": 196}


def hostile(number: int) -> dict[str, Answer]:
    """A node whose every answer is as large as it may be: a set of 3000, arrays of its size for 400 peers."""
    dump = json.loads(recorded("halted/dump_consensus_state.json"))
    state = dump["result"]["round_state"]
    rows = [{**state["validators"]["validators"][0], "address": f"{one:040X}"} for one in range(3000)]
    state["validators"]["validators"] = rows
    peer = dump["result"]["peers"][0]
    peer["peer_state"]["round_state"].update(prevotes="x" * 3000, precommits="x" * 3000)
    dump["result"]["peers"] = [{**peer, "node_address": f"{one:040x}@1.2.3.4:5"} for one in range(400)]
    return {**node(number), "/dump_consensus_state": http(json.dumps(dump).encode())}


def test_what_one_endpoint_may_hold_is_bounded() -> None:
    with servers(*[hostile(number) for number in range(3)], node(9)) as four:
        found = ask([server.url for server in four], 9)
    seen = by_url(found)
    for server in four[:3]:
        parts = seen[server.url]["data"]
        assert parts["consensus"]["error"]["kind"] == "too_large", parts["consensus"]
        assert parts["net_info"]["ok"] and len(json.dumps(parts)) < 1.02 * fan_out.FULL_SIZE
    assert all(part["ok"] for part in seen[four[3].url]["data"].values())


@pytest.mark.usefixtures("public")
def test_a_flood_of_peers_ends_with_the_limit_and_the_deadline() -> None:
    """An answer names many peers, at addresses where nobody is."""
    with Server(node(1)) as server, Timed() as took:
        peers = [(f"127.0.0.{number % 250 + 1}", f"tcp://0.0.0.0:{2000 + number}") for number in range(200)]
        server.routes["/net_info"] = net_info(*peers)
        found = ask([server.url], 3, discover=True, discover_limit=50)
    assert len(found["discovered"]) == 50 and found["skipped_addresses"]["limit"] == 150
    assert took.seconds < 3.5


@pytest.mark.usefixtures("public")
def test_a_name_beyond_those_remembered_is_asked_once() -> None:
    inside = [(f"10.0.0.{number}", "tcp://0.0.0.0:26657") for number in range(1, 101)]
    with servers(node(1), node(2)) as (first, second):
        first.routes["/net_info"] = net_info(*inside, *[("127.0.0.1", any_at(second))] * 3)
        found = ask([first.url], discover=True, discover_limit=1)
    assert [one["url"] for one in found["discovered"]] == [second.url]
    assert second.asked.count("/status") <= 2 and found["skipped_addresses"]["private"] == 100


def test_what_a_peer_names_inside_is_not_dialled() -> None:
    taps = [Tap(), Tap("127.9.9.9")]
    peers = [(host, f"tcp://0.0.0.0:{tap.port}") for tap in taps for host in ("127.0.0.1", "::ffff:127.9.9.9", "::1")]
    peers += [
        (host, "tcp://0.0.0.0:8080") for host in ("169.254.169.254", "10.0.0.1", "localhost", "[::1]", ".".join("0000"))
    ]
    with Server(node(1)) as server:
        server.routes["/net_info"] = net_info(*peers, ("8.8.8.8", "tcp://127.0.0.1:26657"))
        found = ask([server.url], discover=True)
    assert not any(tap.was_dialled() for tap in taps)
    for tap in taps:
        tap.close()
    assert found["discovered"] == [] and found["asked"] == 1
    assert found["skipped_addresses"] == {
        "loopback": 6, "link_local": 1, "private": 1, "name": 2, "unspecified": 1, "no_rpc": 1,
    }  # fmt: skip
