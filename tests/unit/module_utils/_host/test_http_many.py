# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many questions in one thread: whatever one address does, the others are answered, and in time."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import http_many
from ansible_collections.virtengine.incident.plugins.module_utils._host import http_one as _http
from ansible_collections.virtengine.incident.plugins.module_utils._host.http_many import Many, Question, Reply

from tests.unit.module_utils._cometbft.server import Answer, Server, http
from tests.unit.plugin_utils._chain.probe.nodes import Timed, refused, servers, swallowed

CAP = 64 * 1024


def ask(urls: t.Sequence[str], seconds: float = 5, cap: int = CAP, **more: t.Any) -> dict[str, Reply]:
    """Ask /x of all at once; the replies by URL."""
    until = time.monotonic() + seconds
    found: dict[str, Reply] = {}
    with Many(8) as many:
        for url in urls:
            many.ask(Question(url, _http.target(url, **more), "/x", cap, until))
        while many.busy and time.monotonic() < until + 2:
            found.update({reply.key: reply for reply in many.step(0.05)})
    return found


def one(answer: Answer, seconds: float = 5, cap: int = CAP) -> Reply:
    with Server({"/x": answer}) as server:
        return ask([server.url], seconds, cap)[server.url]


def kind(reply: Reply) -> t.Optional[str]:
    return None if reply.error is None else reply.error.kind


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (http(b"{}"), b"{}"),
        (http(b""), b""),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + http(b"later"), b"later"),
        (http(b"x" * CAP), b"x" * CAP),
    ],
)
def test_the_body_of_an_answer(answer: bytes, body: bytes) -> None:
    reply = one(answer)
    assert reply.error is None and reply.answer is not None
    assert bytes(reply.body) == body and reply.answer.status == 200


@pytest.mark.parametrize("answer", [http(b"{}"), CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"])
def test_a_connection_that_stays_open_is_not_waited_for(answer: bytes) -> None:
    def play(sock: socket.socket) -> None:
        sock.sendall(answer)
        time.sleep(3)

    with Timed() as took:
        assert bytes(one(play).body) == b"{}"
    assert took.seconds < 2


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"", "failed"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "failed"),
        (CHUNKED + b"ff\r\nabc", "failed"),
        (CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n", "failed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "too_large"),
        (http(b"x" * (CAP + 1)), "too_large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * (2 * CAP), "too_large"),
    ],
)
def test_answers_that_are_none(answer: bytes, word: str) -> None:
    assert kind(one(answer)) == word


def test_fifty_megabytes_are_cut_while_they_come() -> None:
    def flood(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _piece in range(800):
            sock.sendall(b"[" * 65536)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Timed() as took:
        assert kind(one(flood)) == "too_large"
    assert took.seconds < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 * 1024


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with servers({"/x": http(b"{}")}, {}) as (there, here):
        here.routes["/x"] = f"HTTP/1.1 302 Found\r\nLocation: {there.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
        reply = ask([here.url])[here.url]
    assert reply.answer is not None and reply.answer.status == 302
    assert there.asked == []


def test_a_drip_does_not_stretch_the_end() -> None:
    with Server({}) as server, Timed() as took:
        server.routes["/x"] = server.drip([b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 100], 0.1)
        assert kind(ask([server.url], 1)[server.url]) == "late"
    assert took.seconds < 1.5


def test_the_dead_keep_nobody_waiting() -> None:
    with contextlib.ExitStack() as stack:
        (live,) = stack.enter_context(servers({"/x": http(b"{}")}))
        silent = stack.enter_context(Server({}))
        silent.routes["/x"] = silent.hang
        holes = [stack.enter_context(swallowed()) for _hole in range(20)]
        gone = [refused() for _port in range(20)]
        until = time.monotonic() + 3
        answered = None
        ends: dict[str, t.Optional[str]] = {}
        with Many(4) as many, Timed() as took:
            for url in [*holes, *gone, silent.url, live.url]:
                many.ask(Question(url, _http.target(url), "/x", CAP, until))
            while many.busy and time.monotonic() < until + 2:
                for reply in many.step(0.05):
                    ends[reply.key] = kind(reply)
                    if reply.key == live.url:
                        answered = time.monotonic() - (until - 3)
    assert answered is not None and answered < 0.5
    assert {ends[url] for url in holes} == {"late"} and {ends[url] for url in gone} == {"refused"}
    assert ends[silent.url] == "late"
    assert took.seconds < 3.5


def test_an_address_that_swallows_connections_has_a_third_of_the_time() -> None:
    with swallowed() as url, Timed() as took:
        assert kind(ask([url], 3)[url]) == "late"
    assert 0.8 < took.seconds < 1.6


def test_names_are_looked_up_once_and_hang_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    stop = threading.Event()

    def look_up(host: str, port: int, **_more: t.Any) -> t.Any:
        looked.append(host)
        if host == "hangs.example":
            stop.wait(10)
        if host != "rpc.example":
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(http_many.socket, "getaddrinfo", look_up)
    with Server({"/x": http(b"{}")}) as server:
        port = server.url.rpartition(":")[2]
        urls = [f"http://{name}.example:{port}" for name in ("hangs", "unknown", "rpc")]
        with Timed() as took:
            found = ask(urls, 1)
        found.update(ask(urls[2:], 1))
    stop.set()
    assert {url: kind(reply) for url, reply in found.items()} == dict(zip(urls, ("late", "unreachable", None)))
    assert took.seconds < 1.5


def test_the_next_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    dead = int(refused().rpartition(":")[2])
    with Server({"/x": http(b"{}")}) as server:
        live = int(server.url.rpartition(":")[2])
        places = [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port)) for port in (dead, live)]
        monkeypatch.setattr(http_many.socket, "getaddrinfo", lambda *_args, **_more: places)
        assert kind(ask(["http://rpc.example"])["http://rpc.example"]) is None


def test_more_addresses_than_files_take_turns() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Server({"/x": http(b"{}")}) as server:
        until = time.monotonic() + 10
        replies = []
        with Many(1) as many:
            many._most = 3
            for number in range(40):
                many.ask(Question(number, _http.target(server.url), "/x", CAP, until))
            while many.busy:
                replies += many.step(0.05)
                assert len(many._open) <= 3
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sorted(reply.key for reply in replies) == list(range(40))
    assert all(reply.error is None for reply in replies)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.mark.parametrize(("trusted", "word"), [(True, None), (False, "failed")])
def test_tls(certificate: Path, trusted: bool, word: t.Optional[str]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            sock = context.wrap_socket(listener.accept()[0], server_side=True)
            sock.recv(4096)
            sock.sendall(http(b"x" * 60_000))
            sock.close()

    threading.Thread(target=serve, daemon=True).start()
    url = f"https://localhost:{listener.getsockname()[1]}"
    reply = ask([url], ca_path=str(certificate) if trusted else None)[url]
    listener.close()
    assert kind(reply) == word
    assert len(reply.body) == (60_000 if trusted else 0)


def test_plain_http_where_tls_is_expected() -> None:
    with Server({"/x": http(b"{}")}) as server:
        url = server.url.replace("http:", "https:")
        assert kind(ask([url], 2)[url]) in ("failed", "late")


@pytest.mark.parametrize(
    ("head", "seconds"),
    [
        (b"X-Server-Time: 1764105621\r\n", 1764105621),
        (b"Date: Tue, 24 Nov 2026 19:50:21 GMT\r\n", 1795549821),
        (b"X-Server-Time: 1764105621\r\nDate: Tue, 24 Nov 2026 19:50:21 GMT\r\n", 1764105621),
        (b"X-Server-Time: -5\r\n", None),
        (b"X-Server-Time: " + b"9" * 400 + b"\r\n", None),
        (b"Date: Tue, 31 Feb 2026 19:50:21 GMT\r\n", None),
        (b"Date: yesterday\r\n", None),
        (b"", None),
    ],
)
def test_the_clock_of_the_server(head: bytes, seconds: t.Optional[int]) -> None:
    answer = _http.stored(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n")
    assert answer.server_time == seconds
