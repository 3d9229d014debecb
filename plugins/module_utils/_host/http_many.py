# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small questions to a thousand addresses at once, in one thread. PRIVATE to the collection.

In a pool of threads addresses that never answer block the others: 900 addresses that swallow a connection cost a pool of 64
some 42 s. A socket that waits here costs its number and a few kilobytes, and nobody waits for it.
"""

from __future__ import annotations

import collections
import contextlib
import errno
import ipaddress
import os
import queue
import re
import resource
import selectors
import socket
import ssl
import threading
import time
import typing as t
from dataclasses import dataclass, field

from . import http_one as _http
from .parts import PartError

CONNECT_S = 3.0  # what one address may take to accept a connection, or a third of the time that is left
_HEAD_CAP = 16 * 1024
_FILES_KEPT = 128  # numbers of files that the rest of the process needs
_FILES_WANTED = 4096
_TICK_S = 0.1  # how often it is looked for what is late
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*\r\n")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n")
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_CONNECT, _HANDSHAKE, _SEND, _RECEIVE = range(4)

# family, address: what a socket connects to
Place = tuple[int, t.Any]


@dataclass(eq=False)
class Question:
    """Something asked of an address. ``key``: whose it is; ``cap``: bytes of a body; ``until``: ``time.monotonic()``."""

    key: t.Any
    where: _http.Target
    query: str
    cap: int
    until: float
    places: t.Optional[list[Place]] = None
    error: t.Optional[OSError] = None
    sock: t.Optional[socket.socket] = None
    number: int = -1
    stage: int = _CONNECT
    connect_until: float = 0.0
    unsent: bytes = b""
    got: bytearray = field(default_factory=bytearray)
    body_at: int = 0
    length: t.Optional[int] = None
    chunked: bool = False

    def is_whole(self) -> bool:
        """Whether the body has come as far as its head announces; servers may leave the connection open."""
        if not self.body_at:
            end = self.got.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.body_at = end + 4
            head = bytes(self.got[: self.body_at]).lower()
            announced = _LENGTH.search(head)
            self.length = int(announced.group(1)) if announced else None
            self.chunked = bool(_CHUNKED.search(head))
        if self.chunked:
            return self.got.endswith(b"0\r\n\r\n")
        return self.length is not None and len(self.got) >= self.body_at + self.length

    def is_large(self) -> bool:
        """Whether more came than may: of the head, or of the body with what it is wrapped in."""
        return len(self.got) > (self.body_at + self.cap if self.body_at else _HEAD_CAP)


@dataclass(frozen=True)
class Reply:
    """How a question ended: with an answer and its body, or with the error that says why there is none."""

    key: t.Any
    answer: t.Optional[_http.Answer] = None
    body: bytearray = field(default_factory=bytearray)
    error: t.Optional[PartError] = None


class Many:
    """Questions under way; one thread calls this. ``resolvers``: how many names are looked up at the same time."""

    def __init__(self, resolvers: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._waiting: collections.deque[Question] = collections.deque()
        self._open: set[Question] = set()
        self._most = _files()
        self._names = _Names(resolvers)
        self._replies: list[Reply] = []
        self._looked_at = 0.0

    def __enter__(self) -> Many:
        return self

    def __exit__(self, *_details: object) -> None:
        for question in list(self._open):
            self._close(question)
        self._names.close()
        self._selector.close()

    @property
    def busy(self) -> bool:
        """Whether anything that was asked has not ended."""
        return bool(self._open or self._waiting or self._names.sought)

    def ask(self, question: Question) -> None:
        """Begin a question; its end comes out of ``step``."""
        question.unsent = _http.request(question.where, question.query)
        self._waiting.append(question)

    def step(self, wait_s: float) -> list[Reply]:
        """Go on with everything for at most ``wait_s`` seconds; what ended."""
        self._begin()
        for key, _events in self._selector.select(min(wait_s, _TICK_S)):
            self._advance(key.data)
        for question in self._names.looked_up():
            # In front: it has waited for its name.
            self._waiting.appendleft(question)
        now = time.monotonic()
        if now - self._looked_at >= _TICK_S:
            self._looked_at = now
            self._expire(now)
        replies, self._replies = self._replies, []
        return replies

    def _begin(self) -> None:
        while self._waiting and len(self._open) < self._most:
            question = self._waiting.popleft()
            if question.until <= time.monotonic():
                self._fail(question, TimeoutError())
            elif question.places is not None or question.error is not None:
                self._connect(question)
            else:
                self._names.seek(question)
                if question.places is not None:
                    self._connect(question)

    def _connect(self, question: Question) -> None:
        """Try the addresses of a name one after the other."""
        while question.places:
            family, address = question.places[0]
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE) and self._open:
                    # Somebody else uses many files: it goes on when one of ours is closed.
                    self._most = len(self._open)
                    self._waiting.appendleft(question)
                    return
                question.error = error
                break
            question.places.pop(0)
            sock.setblocking(False)
            code = sock.connect_ex(address)
            if code in (0, errno.EINPROGRESS):
                now = time.monotonic()
                question.sock, question.number, question.stage = sock, sock.fileno(), _CONNECT
                question.connect_until = now + min(CONNECT_S, (question.until - now) / 3)
                self._open.add(question)
                self._selector.register(question.number, _WRITE, question)
                return
            sock.close()
            question.error = OSError(code, os.strerror(code))
        self._fail(question, question.error or OSError("no address"))

    def _advance(self, question: Question) -> None:
        sock = question.sock
        if sock is None:
            return
        try:
            while True:
                done = self._STAGES[question.stage](self, question, sock)
                sock = question.sock or sock
                if done:
                    return
        except (BlockingIOError, ssl.SSLWantReadError):
            # A plain socket that would block while sending waits for room, every other for what comes.
            sending = question.stage == _SEND and question.where.tls is None
            self._selector.modify(question.number, _WRITE if sending else _READ, question)
        except ssl.SSLWantWriteError:
            self._selector.modify(question.number, _WRITE, question)
        except (OSError, ValueError) as error:
            self._broken(question, error)

    def _connected(self, question: Question, sock: socket.socket) -> bool:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        question.stage = _SEND
        if question.where.tls is not None:
            question.stage = _HANDSHAKE
            question.sock = question.where.tls.wrap_socket(
                sock, server_hostname=question.where.host, do_handshake_on_connect=False
            )
        return False

    def _shaken(self, question: Question, sock: socket.socket) -> bool:
        t.cast(ssl.SSLSocket, sock).do_handshake()
        question.stage = _SEND
        return False

    def _sent(self, question: Question, sock: socket.socket) -> bool:
        question.unsent = question.unsent[sock.send(question.unsent) :]
        if not question.unsent:
            question.stage = _RECEIVE
            self._selector.modify(question.number, _READ, question)
        return False

    def _received(self, question: Question, sock: socket.socket) -> bool:
        piece = sock.recv(_http.CHUNK)
        question.got += piece
        if not piece or question.is_whole():
            self._finish(question)
            return True
        if question.is_large():
            self._close(question)
            text = f"the answer is larger than {question.cap} bytes; it is not read"
            self._replies.append(Reply(question.key, error=PartError("too_large", text)))
            return True
        return False

    _STAGES = (_connected, _shaken, _sent, _received)

    def _broken(self, question: Question, error: t.Union[OSError, ValueError]) -> None:
        unconnected = question.stage == _CONNECT and isinstance(error, OSError)
        self._close(question)
        if unconnected and question.places:
            question.error = t.cast(OSError, error)
            self._connect(question)
        else:
            self._fail(question, error)

    def _finish(self, question: Question) -> None:
        self._close(question)
        try:
            answer = _http.stored(question.got)
            body, is_whole = answer.head(question.cap)
            if not is_whole:
                raise PartError("too_large", f"the answer is larger than {question.cap} bytes; it is not read")
        except PartError as error:
            # A new one: the old holds on to the frames it was raised in, and so to the answer.
            self._replies.append(Reply(question.key, error=PartError(error.kind, error.text)))
        else:
            self._replies.append(Reply(question.key, answer, body))

    def _fail(self, question: Question, problem: BaseException) -> None:
        try:
            with _http.translated():
                raise problem
        except PartError as error:
            self._replies.append(Reply(question.key, error=PartError(error.kind, error.text)))

    def _close(self, question: Question) -> None:
        self._open.discard(question)
        if question.sock is not None:
            self._selector.unregister(question.number)
            question.sock.close()
            question.sock = None

    def _expire(self, now: float) -> None:
        for question in self._names.late(now):
            self._fail(question, TimeoutError())
        for question in list(self._open):
            if question.until <= now:
                self._close(question)
                self._fail(question, TimeoutError())
            elif question.stage == _CONNECT and question.connect_until <= now:
                self._broken(question, TimeoutError())


class _Names:
    """Names looked up in threads, because a look-up cannot be made not to wait. Daemons: one may hang for ever."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._todo: queue.SimpleQueue[t.Optional[Question]] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[Question, list[Place], t.Optional[OSError]]] = queue.SimpleQueue()
        self._known: dict[tuple[str, int], list[Place]] = {}
        self.sought: set[Question] = set()

    def seek(self, question: Question) -> None:
        """Give a question its places: at once where its host is a number or known, else out of ``looked_up``."""
        host, port = question.where.host, question.where.port
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            known = self._known.get((host, port))
        else:
            known = [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]
        if known is not None:
            question.places = list(known)
            return
        self.sought.add(question)
        self._todo.put(question)
        if self._started < min(self._most, len(self.sought)):
            self._started += 1
            threading.Thread(target=self._work, daemon=True).start()

    def looked_up(self) -> t.Iterator[Question]:
        """The questions whose name has been looked up since the last call."""
        while True:
            try:
                question, places, error = self._done.get_nowait()
            except queue.Empty:
                return
            if question not in self.sought:
                continue
            self.sought.discard(question)
            question.places, question.error = places, error
            if places:
                self._known[(question.where.host, question.where.port)] = list(places)
            yield question

    def late(self, now: float) -> list[Question]:
        """The questions whose time is up before their name was found."""
        late = [question for question in self.sought if question.until <= now]
        self.sought.difference_update(late)
        return late

    def close(self) -> None:
        """Let the threads end when they have nothing to do."""
        for _thread in range(self._started):
            self._todo.put(None)

    def _work(self) -> None:
        while True:
            question = self._todo.get()
            if question is None:
                return
            places: list[Place] = []
            error: t.Optional[OSError] = None
            try:
                rows = socket.getaddrinfo(question.where.host, question.where.port, type=socket.SOCK_STREAM)
                places = [(row[0], row[4]) for row in rows]
            except OSError as problem:
                error = problem
            except UnicodeError:
                error = socket.gaierror(socket.EAI_NONAME, "not a name")
            self._done.put((question, places, error))


def _files() -> int:
    """How many sockets may be open at once; the process's soft limit is raised for it, as far as it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, _FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    return max(16, (_FILES_WANTED if soft == resource.RLIM_INFINITY else min(soft, _FILES_WANTED)) - _FILES_KEPT)
