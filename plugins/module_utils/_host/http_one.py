# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP GET that cannot hang, cannot fill the memory and trusts nothing. PRIVATE to the collection.

Every answer is read against one moment at which it must be over: a byte now and then does not stretch it.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import http.client
import io
import re
import socket
import ssl
import time
import typing as t
import urllib.parse
from dataclasses import dataclass

from .parts import PartError, clean

CHUNK = 64 * 1024
_LATE = "no answer in time; the node may be busy or hang"
_REFUSED = "connection refused; the node does not run, has not opened its RPC yet, or listens elsewhere"
_CUT = "the connection was closed in the middle of the answer; look at the node or its proxy"
_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,253}")
_PATH = re.compile(r"[A-Za-z0-9._~/-]{0,200}")
_STAMP = re.compile(r"[1-9][0-9]{0,10}")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# RFC 9110, 5.6.7: the one form of a date that is sent today.
_DATE = re.compile(r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT")

Bytes = t.Union[bytes, bytearray]


@dataclass(frozen=True)
class Target:
    """Where an RPC is: what a checked URL says, and how its certificate is judged (None for plain HTTP)."""

    url: str
    host: str
    port: int
    path: str
    tls: t.Optional[ssl.SSLContext]


class Answer:
    """An answer whose head has been read. ``status`` is the HTTP status, ``content_type`` its cleaned header.

    ``server_time``: the answering side's clock in seconds since 1970, whole ones; None where it does not tell.
    """

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.status = response.status
        self.content_type = clean(response.getheader("Content-Type", ""), 60)
        self.server_time = _server_time(response)

    def chunks(self) -> t.Iterator[bytes]:
        """The body in pieces of at most 64 KiB. Raises PartError when it ends before its announced end."""
        while True:
            with translated():
                piece = self._response.read(CHUNK)
            if not piece:
                break
            yield piece
        # read(amount) of a body with a Content-Length returns nothing, and raises nothing, when the peer closes early.
        if self._response.length:
            raise PartError("failed", _CUT)

    def head(self, cap: int) -> tuple[bytearray, bool]:
        """At least the first ``cap`` bytes (a piece more at most), and whether that is the whole body."""
        body = bytearray()
        for piece in self.chunks():
            body.extend(piece)
            if len(body) > cap:
                return body, False
        return body, True


def _server_time(response: http.client.HTTPResponse) -> t.Optional[int]:
    """CometBFT's own stamp (rpc/jsonrpc/server/http_server.go), else the Date of whatever answers for it."""
    header = response.getheader("X-Server-Time", "")
    if _STAMP.fullmatch(header):
        return int(header)
    match = _DATE.fullmatch(response.getheader("Date", ""))
    if not match or match.group(2) not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match.group(number)) for number in (1, 3, 4, 5, 6))
    month = _MONTHS.index(match.group(2)) + 1
    try:
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.timezone.utc)
    except ValueError:
        return None
    return max(int(moment.timestamp()), 0) or None


def stored(data: Bytes) -> Answer:
    """The answer in bytes that have all come already. Raises PartError (malformed, failed)."""
    with translated():
        response = http.client.HTTPResponse(t.cast(socket.socket, _File(io.BytesIO(data))), method="GET")
        response.begin()
    return Answer(response)


def target(url: str, validate_certs: bool = True, ca_path: t.Optional[str] = None) -> Target:
    """Check the address of an RPC. ``ca_path``: file of the authorities to trust instead of the system's.

    Raises ValueError, with a sentence for people, for anything but ``http[s]://host[:port][/path]``.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the address of the RPC is not a URL; it has the form http://host:port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("the address of the RPC must have the form http://host:port or https://host:port")
    if "@" in parts.netloc:
        raise ValueError("the address of the RPC must not carry a user name or a password")
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path) or not _HOST.fullmatch(parts.hostname):
        raise ValueError("the address of the RPC has the form http://host:port, with a plain path at most")
    context = None
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError("the host in the address of the RPC is not a host name") from None
    if parts.scheme == "https":
        try:
            context = _tls(validate_certs, ca_path)
        except (OSError, ssl.SSLError):
            raise ValueError("ca_path is not a readable file with certificates in PEM form") from None
    return Target(
        url=f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/"),
        host=parts.hostname,
        port=port if port is not None else (443 if context else 80),
        path=parts.path.rstrip("/"),
        tls=context,
    )


@functools.lru_cache(maxsize=4)
def _tls(validate_certs: bool, ca_path: t.Optional[str]) -> ssl.SSLContext:
    """Read once: the system's authorities take 10 to 20 ms, for each of a thousand addresses."""
    context = ssl.create_default_context(cafile=ca_path)
    if not validate_certs:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def get(where: Target, query: str, until: float) -> t.Iterator[Answer]:
    """Ask ``query`` (``/path?arguments``) of ``where``; everything must be over at ``until`` (``time.monotonic()``).

    No proxy, no redirect, one connection. Raises PartError: late, refused, unreachable, malformed or failed.
    """
    with contextlib.ExitStack() as stack:
        with translated():
            sock = _connect(where, until)
            stack.callback(sock.close)
            sock.settimeout(_left(until))
            sock.sendall(request(where, query))
            stream = io.BufferedReader(_Raw(sock, until))
            response = http.client.HTTPResponse(t.cast(socket.socket, _File(stream)), method="GET")
            stack.callback(response.close)
            response.begin()
        yield Answer(response)


def request(where: Target, query: str) -> bytes:
    """The bytes that ask ``query`` of ``where``."""
    host = f"[{where.host}]" if ":" in where.host else where.host
    lines = (
        f"GET {where.path}{query} HTTP/1.1",
        f"Host: {host}:{where.port}",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "Cache-Control: no-cache",
        "User-Agent: virtengine.incident",
        "Connection: close",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def _connect(where: Target, until: float) -> socket.socket:
    """The first address of the host that takes the connection (create_connection would give each the whole time)."""
    error: t.Optional[OSError] = None
    for family, kind, protocol, _name, address in socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(until))
            sock.connect(address)
            if where.tls is None:
                return sock
            sock.settimeout(_left(until))
            return where.tls.wrap_socket(sock, server_hostname=where.host)
        except BaseException as problem:
            sock.close()
            if not isinstance(problem, OSError) or isinstance(problem, ssl.SSLError):
                raise
            error = problem
    raise error or OSError("no address")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise PartError("late", _LATE)
    return left


class _File:
    """Stands where HTTPResponse expects a socket, of which it asks nothing but a file to read from."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file

    def makefile(self, mode: str) -> io.BufferedIOBase:
        return self._file


class _Raw(io.RawIOBase):
    """What comes from a socket, each piece waited for no longer than until the one end."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: t.Any) -> int:
        self._sock.settimeout(_left(self._until))
        return self._sock.recv_into(buffer)


@contextlib.contextmanager
def translated() -> t.Iterator[None]:
    """Turn what Python raises into one word of the contract and one sentence."""
    try:
        yield
    except (socket.timeout, TimeoutError):
        raise PartError("late", _LATE) from None
    except ConnectionRefusedError:
        raise PartError("refused", _REFUSED) from None
    except socket.gaierror:
        raise PartError("unreachable", "the name of the host is not known; check the address") from None
    except ssl.SSLCertVerificationError as error:
        why = clean(error.verify_message, 100)
        raise PartError("failed", f"the certificate is not valid ({why}); give ca_path, or check the address") from None
    except ssl.SSLError as error:
        raise PartError("failed", f"no TLS there ({clean(error.reason, 60)}); is this an http address?") from None
    except (http.client.IncompleteRead, http.client.RemoteDisconnected, ConnectionError):
        raise PartError("failed", _CUT) from None
    except (http.client.HTTPException, ValueError):
        raise PartError("malformed", "the answer is not HTTP; does another service listen there?") from None
    except OSError as error:
        why = clean(error.strerror, 80)
        raise PartError("unreachable", f"cannot be reached ({why}); check the network and the address") from None
