# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's large files: program, genesis, the disk they live on. PRIVATE to the collection."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import stat
import time
import typing as t

from .._host.parts import PartError, clean

_CHUNK = 1024 * 1024
# How much of a genesis is searched for its chain id: genesis files that were written by the node have it in the first
# lines; one that was sorted by name has it behind the state of the application.
_SEARCH_CAP = 256 * 1024 * 1024
# A string (group 1: its end, which may not have come yet) or a structural character.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:(")|\\?\Z)|[{}\[\]:,]', re.DOTALL)
_KEYS = {b'"chain_id"': "chain_id", b'"genesis_time"': "genesis_time"}
_VALUE_CAP = 256


def sha256(path: str) -> str:
    """SHA-256 of a file as hex, read in pieces. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            digest.update(chunk)
    return digest.hexdigest()


def binary(places: dict[str, t.Any], process: dict[str, t.Any] | None) -> dict[str, t.Any]:
    """The contract's ``binary`` data: the program on disk and the one that runs, which differ after an upgrade.

    Raises PartError ``absent`` when no path is known, OSError when the file cannot be read.
    """
    path = places["binary"]
    if path is None:
        raise PartError("absent", "binary: the unit does not name the node's program; set the option binary")
    on_disk = sha256(path)
    main = (process or {}).get("main")
    return {
        "path": clean(path),
        "sha256": on_disk,
        "running_sha256": _running(path, on_disk, main["pid"]) if main else None,
        "cosmovisor": places["cosmovisor"],
    }


def _running(path: str, on_disk: str, pid: int) -> str | None:
    exe = f"/proc/{pid}/exe"
    try:
        running, disk = os.stat(exe), os.stat(path)
        if (running.st_dev, running.st_ino) == (disk.st_dev, disk.st_ino):
            return on_disk
        return sha256(exe)
    except OSError:
        return None


def genesis(path: str | None, until: float) -> dict[str, t.Any]:
    """The contract's ``genesis`` data, from a stream: the file may have a gigabyte.

    ``until`` is a reading of ``time.monotonic()``: the search for the names stops a second before it. Raises PartError
    ``cannot_tell``, ``malformed``, OSError when the file cannot be read.
    """
    if path is None:
        raise PartError("cannot_tell", "genesis: the place of the genesis file cannot be read from the configuration")
    digest = hashlib.sha256()
    search = TopLevel()
    size = 0
    with open(path, "rb") as stream:
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            digest.update(chunk)
            size += len(chunk)
            if size <= _SEARCH_CAP and len(search.texts) < len(_KEYS) and time.monotonic() < until - 1:
                search.feed(chunk)
    if "chain_id" not in search.texts:
        raise PartError("malformed", f"{path}: no chain id was found in it")
    return {
        "chain_id": search.texts["chain_id"],
        "sha256": digest.hexdigest(),
        "genesis_time": search.texts.get("genesis_time"),
    }


class TopLevel:
    """Finds text values of the outermost object of a JSON stream, without holding more than a piece of it."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._depth = 0
        self._rest = b""
        self._key: str | None = None
        self._colon = False
        self._lost = False

    def feed(self, chunk: bytes) -> None:
        """Take the next piece."""
        if self._lost:
            return
        data = self._rest + chunk
        self._rest = b""
        for token in _TOKEN.finditer(data):
            if token.group().startswith(b'"') and token.group(1) is None:
                self._rest = token.group()
                # No name and no chain id is that long; reading on would hold the file in memory.
                self._lost = len(self._rest) > 8 * _CHUNK
            else:
                self._take(token.group())

    def _take(self, token: bytes) -> None:
        if token in (b"{", b"["):
            self._depth += 1
            self._key = None
        elif token in (b"}", b"]"):
            self._depth -= 1
            self._key = None
        elif token == b":":
            self._colon = True
        elif token == b",":
            self._key, self._colon = None, False
        elif self._depth == 1:
            self._text(token)

    def _text(self, token: bytes) -> None:
        if self._key is not None and self._colon:
            try:
                if len(token) <= _VALUE_CAP:
                    self.texts.setdefault(self._key, clean(json.loads(token.decode("utf-8"))))
            except ValueError:
                self._lost = True
            self._key = None
        else:
            self._key, self._colon = _KEYS.get(token), False


def disk(home: str) -> dict[str, t.Any]:
    """The contract's ``disk`` data of the data directory; free is what a user without privilege may use.

    Raises OSError, also where it may not be seen: the disk around it may be another one.
    """
    path = os.path.join(home, "data")
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            path = home
    except FileNotFoundError:
        path = home
    shown = os.statvfs(path)
    return {
        "path": clean(path),
        "size_bytes": shown.f_blocks * shown.f_frsize,
        "free_bytes": shown.f_bavail * shown.f_frsize,
        "inodes": shown.f_files,
        "inodes_free": shown.f_favail,
        "read_only": bool(shown.f_flag & os.ST_RDONLY),
    }


def seconds(text: str | None) -> float | None:
    """Seconds since 1970 from one of our own time stamps."""
    if text is None:
        return None
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return moment.replace(tzinfo=datetime.timezone.utc).timestamp()
