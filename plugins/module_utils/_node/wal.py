# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The write-ahead log of consensus, and copies of it beside it. PRIVATE to the collection.

CometBFT 0.38: consensus/wal.go (frames), proto/tendermint/consensus/wal.proto, libs/autofile/group.go (files).
"""

from __future__ import annotations

import os
import re
import struct
import time
import typing as t

from .._host.parts import PartError, clean, stamp
from .config import INT64_MAX

COPIES = 8
# A file of the log is rotated at 10 MB; a height ends every few seconds, so that two files hold the newest marker.
SCAN_FILES = 2
FILE_CAP = 32 * 1024 * 1024
FRAME_CAP = 1024 * 1024 + 24
SCAN_S = 3.0

_FRAME = struct.Struct(">II")
_BYTES = 2  # wire type of everything on the way to a marker
# Numbers of the fields: TimedWALMessage.msg and WALMessage.end_height; and the tag of EndHeight.height, a varint.
_MSG, _END_HEIGHT, _HEIGHT_TAG = 2, 4, 0x08


class Broken(Exception):
    """These bytes are no frame of a log."""


class Late(Exception):
    """The time for reading logs is over."""


class Group(t.NamedTuple):
    """The files of one log, newest first."""

    files: list[str]
    size: int
    newest: float | None


def read(home: str, wal_file: str | None, until: float) -> dict[str, t.Any]:
    """The contract's ``wal`` data. ``wal_file`` is the setting: the log's newest file, relative to ``home`` or absolute.

    What is not read a second before ``until``, a reading of ``time.monotonic()``, or in SCAN_S, is null. Raises PartError
    ``cannot_tell``, OSError where a folder cannot be read.
    """
    folder, head = os.path.split(os.path.join(home, wal_file or ""))
    if not wal_file or not head:
        raise PartError("cannot_tell", "wal: the place of the write-ahead log cannot be read from the configuration")
    own = group(folder, head)
    # In a folder that holds other things too, a folder of a like name is no copy of a log.
    alone = os.path.realpath(folder) not in {os.path.realpath(path) for path in (home, os.path.join(home, "data"))}
    copies = [(name, group(os.path.join(os.path.dirname(folder), name), head)) for name in _beside(folder, alone)]
    copies.sort(key=lambda copy: (-(copy[1].newest or 0.0), copy[0]))
    stop = min(time.monotonic() + SCAN_S, until - 1)
    return {
        "path": clean(folder),
        "present": bool(own.files),
        **_facts(own, stop),
        "copies": [{"name": name, **_facts(files, stop)} for name, files in copies[:COPIES]],
    }


def _beside(folder: str, alone: bool) -> list[str]:
    """Names of the folders beside the log's that begin like it."""
    parent, name = os.path.split(folder)
    if not alone or not name:
        return []
    try:
        with os.scandir(parent) as entries:
            return [
                entry.name
                for entry in entries
                if entry.name.startswith(name)
                and entry.name != name
                and entry.name == clean(entry.name)
                and entry.is_dir(follow_symlinks=False)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []


def group(folder: str, head: str) -> Group:
    """The files of the log in a folder; none where there is no such folder. Raises OSError."""
    name = re.compile(re.escape(head) + r"(?:\.([0-9]{3,18}))?")
    files: list[tuple[int, str]] = []
    size, newest = 0, None
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                match = name.fullmatch(entry.name)
                if match is None or not entry.is_file():
                    continue
                facts = entry.stat()
                # The file without a number is the one that is written; the higher a number, the newer.
                files.append((INT64_MAX if match.group(1) is None else int(match.group(1)), entry.path))
                size += facts.st_size
                newest = max(newest or 0.0, facts.st_mtime)
    except (FileNotFoundError, NotADirectoryError):
        return Group([], 0, None)
    return Group([path for _number, path in sorted(files, reverse=True)], size, newest)


def _facts(files: Group, stop: float) -> dict[str, t.Any]:
    return {
        "bytes": files.size,
        "newest_at": None if files.newest is None else stamp(files.newest),
        "last_end_height": _end_or_none(files.files, stop),
    }


def _end_or_none(paths: list[str], stop: float) -> int | None:
    """The greatest height; None where no marker was found, or not all could be read (a greater one may be there).

    Raises PermissionError: with rights it could be told.
    """
    try:
        return last_end_height(paths, stop)
    except PermissionError:
        raise
    except (OSError, Late):
        return None


def last_end_height(paths: list[str], stop: float) -> int | None:
    """The greatest height whose end the newest files of a log mark, None without a marker. Raises OSError, Late."""
    greatest: int | None = None
    for path in paths[:SCAN_FILES]:
        with open(path, "rb") as stream:
            greatest = max(
                [*end_heights(stream.read(FILE_CAP), stop), *([] if greatest is None else [greatest])], default=None
            )
        # Heights only grow, so an older file has no greater one; but a new head begins with 0.
        if greatest:
            break
    return greatest


def end_heights(data: bytes, stop: float) -> list[int]:
    """The heights whose end a file of the log marks, up to its first bad frame. Raises Late at ``stop``."""
    heights: list[int] = []
    at = count = 0
    while at + _FRAME.size <= len(data):
        if count % 4096 == 0 and time.monotonic() > stop:
            raise Late
        count += 1
        checksum, length = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        if not 0 < length <= FRAME_CAP or at + length > len(data):
            break
        try:
            height = end_height(data[at : at + length], checksum)
        except Broken:
            break
        if height is not None:
            heights.append(height)
        at += length
    return heights


def end_height(frame: bytes, checksum: int) -> int | None:
    """The height whose end a frame marks, None for any other message. Raises Broken.

    Only markers are checked against their checksum: the standard library has no CRC-32C, and one in Python takes
    seconds for a file. So damage inside another message, which the node would stop at, is not seen here.
    """
    message = _field(frame, _MSG)
    if message is None:
        raise Broken
    marker = _field(message, _END_HEIGHT)
    if marker is None:
        return None
    if crc32c(frame) != checksum:
        raise Broken
    if not marker:
        return 0  # the first marker of a new log; protobuf leaves out a zero
    height, end = _varint(marker, 1)
    if marker[0] != _HEIGHT_TAG or end != len(marker) or height > INT64_MAX:
        raise Broken
    return height


def _field(data: bytes, wanted: int) -> bytes | None:
    """The bytes of a protobuf message's field; None when it is not there. Raises Broken."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        length, at = _varint(data, at)
        if tag & 7 != _BYTES or at + length > len(data):
            raise Broken
        if tag >> 3 == wanted:
            return data[at : at + length]
        at += length
    return None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A protobuf number and where it ends. Raises Broken."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise Broken


def _castagnoli(value: int) -> int:
    for _bit in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


_TABLE = [_castagnoli(value) for value in range(256)]


def crc32c(data: bytes) -> int:
    """The CRC-32C (Castagnoli) of a few bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF
