# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the copy of a lost write-ahead log back: two renames, in real folders, killed anywhere."""

from __future__ import annotations

import errno
import os
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import files as _host_files
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import Refused
from ansible_collections.virtengine.incident.plugins.module_utils._node import wal, wal_copy

from tests.unit.module_utils._host.killing import killed_before_each_call
from tests.unit.module_utils._node.test_acting import Systemd

UNIT = "virtengine.service"
DIGEST, OTHER = "halt-0123456789abcdef", "halt-fedcba9876543210"
KEPT = f"cs.wal.incident-{DIGEST}"
HEIGHT = 286


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def frame(message: bytes) -> bytes:
    data = field(1, b"\x08\x01") + field(2, message)
    return struct.pack(">II", wal.crc32c(data), len(data)) + data


def log(*heights: int) -> bytes:
    """A log with the ends of these heights, and a message of another kind after each."""
    ends = [field(4, b"\x08" + varint(height) if height else b"") for height in heights]
    return b"".join(frame(end) + frame(field(3, b"\x08\x02")) for end in ends)


OLD, NEW = log(284, 285, HEIGHT), log(0)


class Host:
    """A host with a node that is down, whose log was lost."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.systemd = Systemd(tmp_path, monkeypatch)
        self.home = tmp_path / "home"
        self.data = self.home / "data"
        self.systemd.argv = ["/usr/bin/virtengine", "start", "--home", str(self.home)]
        self.prepare()

    def prepare(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        (self.home / "config").mkdir(parents=True)
        self.put("cs.wal", NEW)
        self.put("cs.wal.bak", OLD)

    def put(self, name: str, content: bytes) -> None:
        (self.data / name).mkdir(parents=True, exist_ok=True)
        (self.data / name / "wal").write_bytes(content)

    def logs(self) -> dict[str, bytes]:
        return {path.name: (path / "wal").read_bytes() for path in sorted(self.data.iterdir())}

    def back(self, digest: str = DIGEST, height: int = HEIGHT, check: bool = False) -> dict[str, Any]:
        return wal_copy.put_back(UNIT, None, digest, height, check)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_copy_comes_back_and_the_new_log_stays(host: Host) -> None:
    before = host.logs()
    predicted = host.back(check=True)
    assert host.logs() == before
    done = host.back()
    assert (
        done == predicted
        and done["changed"]
        and (done["copy"], done["aside"])
        == (
            "cs.wal.bak",
            KEPT,
        )
    )
    assert host.logs() == {"cs.wal": OLD, KEPT: NEW}
    assert done["actions"] == [f"rename cs.wal to {KEPT}", "rename cs.wal.bak to cs.wal"]
    again = host.back(OTHER)
    assert not again["changed"] and again["actions"] == [] and host.logs()["cs.wal"] == OLD


def test_an_empty_place_is_filled_and_stays_filled(host: Host) -> None:
    shutil.rmtree(host.data / "cs.wal")
    assert host.back()["aside"] is None and host.logs() == {"cs.wal": OLD}
    assert not host.back(OTHER)["changed"] and host.logs() == {"cs.wal": OLD}


@pytest.mark.parametrize(
    ("copies", "why"),
    [
        ({}, "seen: none"),
        ({"cs.wal.bak": log(284, 285)}, r"cs.wal.bak \(ends with 285\)"),
        ({"cs.wal.bak": log(HEIGHT, HEIGHT + 1)}, "ends with 287"),
        ({"cs.wal.bak": b""}, "ends with None"),
        ({"cs.wal.bak": b"rubbish" * 9}, "ends with None"),
        ({"cs.wal.bak": OLD, "cs.wal.old": OLD}, "Operator decision"),
        ({"backup-of-cs.wal": OLD}, "seen: none"),
    ],
)
def test_only_one_copy_that_ends_with_the_height(host: Host, copies: dict[str, bytes], why: str) -> None:
    shutil.rmtree(host.data / "cs.wal.bak")
    for name, content in copies.items():
        host.put(name, content)
    before = host.logs()
    with pytest.raises(wal_copy.Refused, match=why):
        host.back()
    assert host.logs() == before


def test_a_node_that_runs_keeps_its_log(host: Host) -> None:
    before = host.logs()
    for change in ({"active_state": "active", "main_pid": 7}, {"active_state": "activating", "main_pid": None}):
        host.systemd.facts.update(change)
        with pytest.raises(Refused):
            host.back()
    host.systemd.facts.update(active_state="inactive")
    host.systemd.others = [{"pid": 99}]
    with pytest.raises(Refused, match="pid 99"):
        host.back()
    assert host.logs() == before


def test_a_log_that_the_node_could_not_write_is_not_put_in_place(host: Host) -> None:
    os.chown(host.data / "cs.wal.bak/wal", 1234, 1234)
    with pytest.raises(wal_copy.Refused, match="belongs to user 1234"):
        host.back()
    for path in (host.data / "cs.wal", host.data / "cs.wal/wal", host.data / "cs.wal.bak"):
        os.chown(path, 1234, 1234)
    assert host.back()["changed"]


def test_links_and_files_in_the_place_of_folders_are_refused(host: Host, tmp_path: Path) -> None:
    shutil.move(str(host.data / "cs.wal"), str(tmp_path / "elsewhere"))
    (host.data / "cs.wal").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(wal_copy.Refused, match="no plain folder"):
        host.back()
    (host.data / "cs.wal").unlink()
    shutil.move(str(host.data / "cs.wal.bak/wal"), str(tmp_path / "head"))
    (host.data / "cs.wal.bak/wal").symlink_to(tmp_path / "head")
    with pytest.raises(wal_copy.Refused, match="symbolic link"):
        host.back()
    shutil.move(str(host.data / "cs.wal.bak"), str(tmp_path / "copy"))
    (host.data / "cs.wal.bak").symlink_to(tmp_path / "copy")
    with pytest.raises(wal_copy.Refused, match="seen: none"):
        host.back()


def test_a_name_that_is_taken_is_never_overwritten(host: Host) -> None:
    host.put(KEPT, log(5))
    before = host.logs()
    with pytest.raises(wal_copy.Refused, match="is there already"):
        host.back()
    assert host.logs() == before
    with pytest.raises(ValueError, match="not the digest of a plan"):
        host.back("../x")


def test_another_place_of_the_log_is_read_from_the_configuration(host: Host) -> None:
    (host.home / "config/config.toml").write_text('[consensus]\nwal_file = "logs/own/wal"\n')
    (host.home / "logs").mkdir()
    os.rename(host.data / "cs.wal", host.home / "logs/own")
    os.rename(host.data / "cs.wal.bak", host.home / "logs/own-before")
    assert host.back()["changed"]
    assert (host.home / "logs/own/wal").read_bytes() == OLD


@pytest.mark.parametrize("again", [DIGEST, OTHER])
def test_killed_before_any_call_nothing_is_lost_and_the_next_run_finishes(host: Host, again: str) -> None:
    between = kills = 0
    for number in killed_before_each_call(host.back, host.prepare):
        kills += 1
        found = host.logs()
        assert sorted(found.values()) == sorted([OLD, NEW]), f"call {number}"
        between += "cs.wal" not in found
        host.back(again)
        found = host.logs()
        assert found.pop("cs.wal") == OLD and list(found.values()) == [NEW]
    assert kills > 10 and between > 0


def test_where_the_copy_cannot_be_renamed_the_log_comes_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename = host.logs(), os.rename

    def refuse(old: str, new: str) -> None:
        if old.endswith("cs.wal.bak"):
            raise OSError(errno.EBUSY, "busy", old)
        rename(old, new)

    monkeypatch.setattr(os, "rename", refuse)
    with pytest.raises(OSError, match="busy"):
        host.back()
    assert host.logs() == before


def test_where_only_the_way_to_the_disk_fails_the_copy_stays(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def fail(number: int) -> None:
        calls.append(number)
        if len(calls) == 2:
            raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output"):
        host.back()
    assert host.logs() == {"cs.wal": OLD, KEPT: NEW}


@pytest.mark.parametrize("name", ["cs.wal", "cs.wal.bak"])
def test_what_is_mounted_is_not_renamed(host: Host, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"36 35 98:0 / / rw - ext4 /dev/a rw\n37 36 98:0 /x {host.data / name} rw - ext4 /dev/a rw\n")
    monkeypatch.setattr(_host_files, "MOUNTS", str(mounts))
    before = host.logs()
    with pytest.raises(wal_copy.Refused, match=f"{name} is mounted from elsewhere"):
        host.back()
    assert host.logs() == before


def test_another_file_system_is_not_renamed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.lstat

    def lstat(path: str) -> Any:
        facts = real(path)
        return os.stat_result((*facts[:2], 99, *facts[3:])) if str(path).endswith("cs.wal.bak") else facts

    monkeypatch.setattr(wal_copy.os, "lstat", lstat)
    before = host.logs()
    with pytest.raises(wal_copy.Refused, match="mounted from elsewhere"):
        host.back()
    monkeypatch.undo()
    assert host.logs() == before


def test_a_node_that_starts_while_the_logs_are_read_keeps_its_log(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    read = wal.read

    def slow(*arguments: Any) -> dict[str, Any]:
        found = read(*arguments)
        host.systemd.facts.update(active_state="active", main_pid=7)
        return found

    monkeypatch.setattr(wal, "read", slow)
    before = host.logs()
    with pytest.raises(Refused):
        host.back()
    assert host.logs() == before


def test_the_undo_is_two_renames(host: Host) -> None:
    before = host.logs()
    host.back()
    os.rename(host.data / "cs.wal", host.data / "cs.wal.bak")
    os.rename(host.data / KEPT, host.data / "cs.wal")
    assert host.logs() == before
