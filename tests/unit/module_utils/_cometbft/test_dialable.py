# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses that strangers name are dialled: public ones, by number, and no others in any disguise."""

from __future__ import annotations

import ipaddress
import pathlib
import re
import socket
import typing as t

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._cometbft.dialable import (
    is_own,
    neighbourhood,
    refusal,
    rpc_of_peer,
)
from hypothesis import given
from hypothesis import strategies as st

# Written so that nobody takes it for an address to listen at.
UNSPECIFIED = ".".join("0000")
ANY = "tcp://0.0.0.0:26657"


@pytest.mark.parametrize(
    ("remote", "rpc_address", "url"),
    [
        ("8.8.8.8", ANY, "http://8.8.8.8:26657"),
        ("8.8.8.8", "tcp://[::]:1317", "http://8.8.8.8:1317"),
        ("8.8.8.8", "tcp://8.8.4.4:443", "http://8.8.8.8:443"),
        ("8.8.8.8", "tcp://rpc.example:26657", "http://8.8.8.8:26657"),
        ("2606:4700::1111", ANY, "http://[2606:4700::1111]:26657"),
        ("::ffff:8.8.8.8", ANY, "http://8.8.8.8:26657"),
    ],
)
def test_public_addresses_with_the_port_the_peer_names(remote: str, rpc_address: str, url: str) -> None:
    assert rpc_of_peer(remote, rpc_address) == (url, "")


@pytest.mark.parametrize(
    ("remote", "word"),
    [
        ("127.0.0.1", "loopback"),
        ("127.66.3.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("169.254.169.254", "link_local"),
        ("::ffff:169.254.169.254", "link_local"),
        ("::ffff:a9fe:a9fe", "link_local"),
        ("fe80::1", "link_local"),
        ("fe80::1%eth0", "name"),
        ("2606:4700::1111%lo", "name"),
        ("10.0.0.1", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("198.18.0.1", "private"),
        ("192.0.2.1", "private"),
        ("fd00:ec2::254", "private"),
        ("fec0::1", "reserved"),
        ("224.0.0.1", "multicast"),
        ("ff0e::1", "multicast"),
        (UNSPECIFIED, "unspecified"),
        ("::", "unspecified"),
        ("0.1.2.3", "private"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("192.88.99.1", "reserved"),
        ("192.0.0.8", "reserved"),
        ("192.0.0.9", "reserved"),
        ("192.0.0.192", "reserved"),
        ("168.63.129.16", "reserved"),
        ("::ffff:168.63.129.16", "reserved"),
        ("3fff::1", "reserved"),
        ("3fff:fff:ffff::1", "reserved"),
        ("64:ff9b::7f00:1", "reserved"),
        ("64:ff9b:1::a9fe:a9fe", "reserved"),
        ("2002:7f00:1::", "reserved"),
        ("2001::7f00:1", "reserved"),
        ("::127.0.0.1", "reserved"),
        ("::ffff:0:7f00:1", "reserved"),
        ("localhost", "name"),
        ("rpc.example.org", "name"),
        ("127.1", "name"),
        ("0x7f.1", "name"),
        ("2130706433", "name"),
        ("017700000001", "name"),
        ("127.0.0.1:80", "name"),
        ("", "name"),
        (" 8.8.8.8", "name"),
        ("8.8.8.8\r\nX: y", "name"),
        ("\u0661\u0662\u0667.0.0.1", "name"),
    ],
)
def test_everything_else_is_not_dialled(remote: str, word: str) -> None:
    assert rpc_of_peer(remote, ANY) == (None, word)


@pytest.mark.parametrize(
    ("rpc_address", "word"),
    [
        (None, "no_rpc"),
        ("", "no_rpc"),
        ("tcp://127.0.0.1:26657", "no_rpc"),
        ("tcp://[::1]:26657", "no_rpc"),
        ("tcp://localhost:26657", "no_rpc"),
        ("unix:///run/rpc.sock", "no_rpc"),
        ("tcp://0.0.0.0", "no_rpc"),
        ("tcp://0.0.0.0:26657@10.0.0.1:80", "no_rpc"),
        ("tcp://0.0.0.0:26657/../x", "no_rpc"),
        ("tcp://0.0.0.0:0", "port"),
        ("tcp://0.0.0.0:25", "port"),
        ("tcp://0.0.0.0:65536", "port"),
        ("tcp://0.0.0.0:\u0662\u0662", "no_rpc"),
    ],
)
def test_a_peer_without_an_rpc_to_dial(rpc_address: t.Optional[str], word: str) -> None:
    assert rpc_of_peer("8.8.8.8", rpc_address) == (None, word)


def test_addresses_of_this_machine_are_its_own() -> None:
    # The kernel's own list of them: an address, and in the line below that it is a local one.
    trie = pathlib.Path("/proc/net/fib_trie").read_text("ascii")
    mine = set(re.findall(r"\|-- ([0-9.]+)\n +/32 host LOCAL", trie))
    assert "127.0.0.1" in mine
    for address in mine:
        assert is_own(ipaddress.ip_address(address)), address
    assert not is_own(ipaddress.ip_address("8.8.8.8")) and not is_own(ipaddress.ip_address("2606:4700::1111"))


@pytest.mark.parametrize("remote", ["8.8.8.8", "::ffff:8.8.8.8", "2606:4700::1111"])
def test_a_public_address_of_this_machine_is_not_dialled(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Local(socket.socket):
        """As the kernel connects to an address of its own: it sends from there."""

        def connect(self, address: t.Any) -> None:
            self.peer = address

        def getsockname(self) -> t.Any:
            return self.peer

    monkeypatch.setattr(socket, "socket", Local)
    assert rpc_of_peer(remote, ANY) == (None, "own")


def test_where_there_is_no_way_an_address_is_not_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_arguments: object) -> t.NoReturn:
        raise OSError("no such family")

    monkeypatch.setattr(socket, "socket", none)
    assert rpc_of_peer("8.8.8.8", ANY) == ("http://8.8.8.8:26657", "")


@pytest.mark.parametrize(
    ("spellings", "place"),
    [
        (["9.9.9.9", "::ffff:9.9.9.9", "::FFFF:9.9.9.9", "::ffff:909:909", "0:0:0:0:0:ffff:9.9.9.9"], "9.9.9.9"),
        (["2a01:db7::1", "2A01:DB7:0::ffff:1:2:3", "2a01:db7::"], "2a01:db7::/64"),
        (["2a01:db7:0:1::1"], "2a01:db7:0:1::/64"),
        (["rpc.example"], "rpc.example"),
    ],
)
def test_one_holder_is_one_place(spellings: list[str], place: str) -> None:
    assert {neighbourhood(text) for text in spellings} == {place}


addresses = st.one_of(st.ip_addresses(), st.ip_addresses(v=4).map(lambda four: ipaddress.ip_address(f"::ffff:{four}")))


@given(addresses)
def test_only_global_addresses_pass(address: t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]) -> None:
    plain = getattr(address, "ipv4_mapped", None) or address
    if refusal(address) is None:
        assert plain.is_global and not plain.is_multicast and not plain.is_reserved and not plain.is_loopback
        assert not plain.is_link_local and not plain.is_unspecified
        assert plain.version == 4 or plain in ipaddress.ip_network("2000::/3")
    if not plain.is_global:
        assert refusal(address) is not None


@given(st.text(max_size=60), st.one_of(st.none(), st.text(max_size=60)))
def test_no_text_breaks_it(remote: str, rpc_address: t.Optional[str]) -> None:
    url, word = rpc_of_peer(remote, rpc_address)
    assert (url is None) is bool(word)
