# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The write-ahead log and its copies, in bytes made by CometBFT's framing (consensus/wal.go)."""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts
from ansible_collections.virtengine.incident.plugins.module_utils._node import wal
from hypothesis import given
from hypothesis import strategies as st

CRC32C_OF_DIGITS = 0xE3069283  # of b"123456789": the check value of the CRC catalogue
NEVER = float("inf")


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def frame(message: bytes) -> bytes:
    """A frame around a WALMessage: CRC-32C, length, TimedWALMessage{time, msg}."""
    data = field(1, b"\x08" + varint(1795534767)) + field(2, message)
    return struct.pack(">II", wal.crc32c(data), len(data)) + data


def end(height: int) -> bytes:
    return frame(field(4, b"\x08" + varint(height) if height else b""))


def vote(size: int = 40) -> bytes:
    return frame(field(2, field(1, b"v" * size)))


def log(path: Path, **files: bytes) -> Path:
    """A folder with files of the log; ``wal`` is the one that is written, ``wal000`` an older one."""
    path.mkdir(parents=True)
    for number, (name, content) in enumerate(sorted(files.items(), reverse=True)):
        place = path / (f"wal.{name[3:]}" if name[3:] else name)
        place.write_bytes(content)
        os.utime(place, (1795534000 - number, 1795534000 - number))
    return path


def read(home: Path, wal_file: str | None = "data/cs.wal/wal") -> dict[str, Any]:
    return wal.read(str(home), wal_file, time.monotonic() + 30)


def heights(data: bytes) -> list[int]:
    return wal.end_heights(data, NEVER)


def test_the_checksum_is_castagnolis() -> None:
    assert wal.crc32c(b"123456789") == CRC32C_OF_DIGITS


def test_a_log_without_copies(tmp_path: Path) -> None:
    folder = log(tmp_path / "data/cs.wal", wal=end(0) + vote())
    (folder / "wal.bak").write_bytes(b"no file of the log")
    size = (folder / "wal").stat().st_size
    assert read(tmp_path) == {
        "path": str(folder),
        "present": True,
        "bytes": size,
        "newest_at": "2026-11-24T15:26:40.000000Z",
        "last_end_height": 0,
        "copies": [],
    }


def test_the_nodes_own_log_is_read_without_copies_too(tmp_path: Path) -> None:
    log(tmp_path / "data/cs.wal", wal=end(286) + vote())
    found = read(tmp_path)
    assert found["last_end_height"] == 286 and found["copies"] == []


def test_a_new_head_that_begins_with_0_hides_no_older_height(tmp_path: Path) -> None:
    log(tmp_path / "data/cs.wal", wal000=end(99) + vote() + end(100), wal=end(0) + vote())
    assert read(tmp_path)["last_end_height"] == 100


def test_a_new_log_beside_the_one_that_was_moved_away(tmp_path: Path) -> None:
    log(tmp_path / "data/cs.wal", wal=end(0) + vote())
    log(tmp_path / "data/cs.wal.bak", wal000=end(285) + vote() + end(286), wal=vote() * 3)
    found = read(tmp_path)
    assert found["present"] is True and found["last_end_height"] == 0
    assert [(copy["name"], copy["last_end_height"]) for copy in found["copies"]] == [("cs.wal.bak", 286)]


def test_a_log_that_is_gone(tmp_path: Path) -> None:
    log(tmp_path / "data/cs.wal.old", wal=end(9))
    found = read(tmp_path)
    assert (found["present"], found["bytes"], found["newest_at"], found["last_end_height"]) == (False, 0, None, None)
    assert found["copies"][0]["last_end_height"] == 9
    (tmp_path / "data/cs.wal").mkdir()
    assert read(tmp_path)["present"] is False


def test_the_newest_eight_copies_and_no_other_thing(tmp_path: Path) -> None:
    log(tmp_path / "data/cs.wal", wal=end(1))
    for number in range(10):
        place = log(tmp_path / f"data/cs.wal.{number}", wal=end(number)) / "wal"
        os.utime(place, (1795000000 + number, 1795000000 + number))
    (tmp_path / "data/cs.wal.empty").mkdir()
    (tmp_path / "data/cs.wal.file").write_bytes(end(99))
    (tmp_path / "data/cs.wal.link").symlink_to(tmp_path / "data/cs.wal")
    (tmp_path / "data/cs.wal.\x1b[31m").mkdir()
    (tmp_path / "data/old.cs.wal").mkdir()
    assert [copy["name"] for copy in read(tmp_path)["copies"]] == [f"cs.wal.{number}" for number in range(9, 1, -1)]


def test_the_two_newest_files_are_read(tmp_path: Path) -> None:
    log(tmp_path / "data/cs.wal")
    log(tmp_path / "data/cs.wal.bak", wal999=end(7), wal1000=end(8), wal=vote())
    assert read(tmp_path)["copies"][0]["last_end_height"] == 8
    log(tmp_path / "data/cs.wal.old", wal008=end(5), wal009=vote(), wal=vote())
    assert [copy["last_end_height"] for copy in read(tmp_path)["copies"] if copy["name"] == "cs.wal.old"] == [None]


def test_a_log_without_a_folder_of_its_own_has_no_copies(tmp_path: Path) -> None:
    log(tmp_path / "home/data", wal=end(1))
    log(tmp_path / "home/data.old", wal=end(2))
    log(tmp_path / "home-of-another", wal=end(3))
    for setting in ("data/wal", "wal", "data/../wal"):
        assert read(tmp_path / "home", setting)["copies"] == []


@pytest.mark.parametrize("wal_file", [None, "", "data/cs.wal/"])
def test_a_place_nobody_can_tell(tmp_path: Path, wal_file: str | None) -> None:
    with pytest.raises(parts.PartError) as caught:
        read(tmp_path, wal_file)
    assert caught.value.kind == "cannot_tell"


@pytest.mark.parametrize(
    "bad",
    [
        b"\0" * 64,
        b"\xff" * 64,
        struct.pack(">II", 0, 0),
        struct.pack(">II", 0, wal.FRAME_CAP + 1) + b"x" * 99,
        end(8)[:-1],
        end(8)[:5],
        bytes([end(8)[0] ^ 1]) + end(8)[1:],
        end(8)[:-1] + b"\x09",
        frame(field(4, b"\x08" + varint(2**63))),
        frame(field(4, b"\x08" + b"\xff" * 10)),
        frame(field(4, b"\x10\x01")),
        frame(field(4, b"\x08\x01\x08\x02")),
        frame(b"\x08\x01"),
        frame(b"\x22\x7f"),
        struct.pack(">II", 0, 2) + b"\x0a\x00",
    ],
)
def test_a_bad_frame_ends_a_file_and_what_was_found_stays(bad: bytes) -> None:
    assert heights(end(5) + vote() + end(6) + bad + end(9)) == [5, 6]


def test_messages_of_every_kind_and_size() -> None:
    state, timeout = frame(field(1, field(3, b"step"))), frame(field(3, field(1, b"\x10\x01")))
    assert heights(state + timeout + vote(1024 * 1024 - 64) + end(2**63 - 1)) == [2**63 - 1]


def test_what_takes_too_long_is_null(tmp_path: Path) -> None:
    log(tmp_path / "data/cs.wal", wal=end(1))
    log(tmp_path / "data/cs.wal.bak", wal=end(2))
    found = wal.read(str(tmp_path), "data/cs.wal/wal", time.monotonic())
    assert found["present"] and found["last_end_height"] is found["copies"][0]["last_end_height"] is None


def test_a_large_log_is_read_in_time(tmp_path: Path) -> None:
    one = vote(900) * 1000 + end(3)
    log(tmp_path / "data/cs.wal", wal=one * 10)
    log(tmp_path / "data/cs.wal.bak", wal=one * 10)
    begun = time.monotonic()
    assert read(tmp_path)["last_end_height"] == 3
    assert time.monotonic() - begun < wal.SCAN_S


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_end_the_file(data: bytes) -> None:
    assert heights(end(4) + data)[0] == 4
    wal.end_heights(struct.pack(">II", wal.crc32c(data), len(data)) + data, NEVER)
