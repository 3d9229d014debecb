# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old logs: which ones are taken, and what evidence says of them."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts
from ansible_collections.virtengine.incident.plugins.module_utils._host.kept import kept_name
from ansible_collections.virtengine.incident.plugins.module_utils._logs import compress, find
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.module_utils._logs.logs import WAL, Host, text


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("syslog.1", True),
        ("syslog.999", True),
        ("node.log.old", True),
        ("node.log-20261101", True),
        ("node.log-2026110123", True),
        ("node.log-20261101235959", True),
        ("node.2026-11-01", True),
        ("node-20261101.log", True),
        ("node.2026-11-01.log", True),
        ("node.1.log", True),
        ("node.old.log", True),
        ("a\nb\x1b[31m.1", True),
        ("\udcff\udcfe.1", True),
        ("-.1", True),
        ("syslog", False),
        ("node.log", False),
        ("syslog.0", False),
        ("wal.001", False),
        ("wal.000", False),
        ("syslog.1000", False),
        (".1", False),
        ("syslog1", False),
        ("000123.log", False),
        ("node-202611", False),
        ("node.20261101", False),
        ("old", False),
        ("syslog.1\n", False),
        ("syslog.\u0661", False),
        ("syslog.1.gz", False),
        ("syslog.gz.1", False),
        ("node.log.xz.old", False),
        ("node-20261101.log.zst", False),
        ("x" * 182 + ".1", True),
        ("x" * 183 + ".1", False),
        ("é" * 92 + ".1", False),
        ("system.journal", False),
        ("system@0a-01-02.journal", False),
        ("system@0a-01.journal~", False),
    ],
)
def test_names_that_say_rotated_and_not_compressed(name: str, old: bool) -> None:
    assert find.old_name(name) is old


@given(
    base=st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=9),
    ending=st.sampled_from([".1", ".42", ".old", "-20261101", "-20261101T", ".2026-11-01", ".log", ""]),
    packed=st.sampled_from(["", ".gz", ".xz", ".zst", ".bz2"]),
    word=st.sampled_from(["halt", "h", "h" * 41, "chain_halt2"]),
)
def test_nothing_that_is_compressed_is_taken_whatever_its_name(base: str, ending: str, packed: str, word: str) -> None:
    name = os.fsdecode((base + ending).encode("utf-8", "replace"))
    assert not find.old_name(name + (packed or ".gz"))
    copy = kept_name(name, f"{word}-0123456789abcdef") + ".gz"
    assert not find.old_name(name + compress.UNFINISHED) and not find.old_name(copy)
    assert not find.old_name(name) or len(os.fsencode(copy)) <= 255


def test_what_counts_lies_in_folders_of_logs(host: Host) -> None:
    wanted = ["a.1", "five/4/3/2/1/b.1"]
    for size, name in enumerate(wanted):
        host.put(name, text("x", 70_000 + size))
    for name in ("a", "b.1.gz", "six/5/4/3/2/1/c.1"):
        host.put(name, text("x"))
    host.put("small.1", b"x" * 65535)
    host.put("new.1", text("x"), age=3500)
    host.put("n.1", text("x", 80_000), root=host.home / "logs")
    for name in ("data/m.1", "config/m.1", "other/m.1"):
        host.put(name, text("x"), root=host.home)
    assert host.find() == [*(f"log/{name}" for name in wanted), "home/logs/n.1"]


def test_evidence_names_number_and_bytes(host: Host) -> None:
    for number in range(1, 8):
        host.put(f"a.{number}", text("x", 70_000 + number))
    assert host.read() == {"files": 7, "bytes": 490_028, "compressible_bytes": 490_028}


@given(
    sizes=st.lists(st.integers(find.MIN_BYTES, 10**9), max_size=6).map(sorted),
    blocks=st.integers(0, 2**20),
    reserved=st.integers(0, 2**20),
)
def test_only_what_finds_room_for_its_copy_is_called_compressible(sizes: list[int], blocks: int, reserved: int) -> None:
    logs = [find.Log(size, f"/{size}", ()) for size in sizes]
    facts = os.statvfs_result((4096, 4096, 2**30, blocks, max(blocks - reserved, 0), 0, 0, 0, 0, 255))
    with mock.patch.object(find, "find", return_value=logs), mock.patch.object(os, "statvfs", return_value=facts):
        seen = find.read("/h", WAL, 0.0)
    assert (seen["files"], seen["bytes"]) == (len(sizes), sum(sizes))
    fitting = next(count for count in range(len(sizes) + 1) if sum(sizes[:count]) == seen["compressible_bytes"])
    room = [blocks * 4096 + sum(size // 2 for size in sizes[:count]) for count in range(len(sizes))]
    fits = [size // 2 <= room[count] for count, size in enumerate(sizes)]
    assert all(fits[:fitting]) and not any(fits[fitting : fitting + 1])
    assert blocks or not seen["compressible_bytes"]


@pytest.mark.parametrize("place", ["journal", "link"])
def test_archives_of_journald_are_never_touched(host: Host, place: str) -> None:
    kept = host.log / "journal" if place == "journal" else host.home / "logs/journals"
    for name in ("system@0a-01-02.journal", "system.journal", "d.1"):
        host.put(f"0f/{name}", text("x"), root=kept)
    if place == "link":
        (host.log / "journal").symlink_to(kept)
    host.put("journal-0f/e.1", text("x"))
    assert host.find() == ["log/journal-0f/e.1"]


def test_links_hard_links_sparse_files_and_files_with_special_rights_do_not_count(host: Host, tmp_path: Path) -> None:
    outside = host.put("x.1", text("x"), root=tmp_path / "outside")
    (host.log / "link.1").symlink_to(outside)
    (host.log / "folder").symlink_to(outside.parent)
    os.link(outside, host.log / "hard.1")
    host.put("sticky.1", text("x")).chmod(0o1644)
    os.mkfifo(host.log / "pipe.1")
    host.put("sparse.1", b"")
    os.truncate(host.log / "sparse.1", 150_000)
    os.utime(host.log / "sparse.1", (0, 0))
    shutil.rmtree(host.home / "logs")
    (host.home / "logs").symlink_to(outside.parent)
    assert host.find() == []
    shutil.rmtree(host.log)
    host.log.symlink_to(outside.parent)
    assert host.find() == []


@pytest.mark.parametrize("wal", ["logs/own/wal", "logs/wal", "{log}/own/wal", "{log}/wal"])
def test_a_write_ahead_log_among_the_logs_is_never_touched(host: Host, wal: str) -> None:
    wal = wal.format(log=host.log)
    place = host.home / os.path.dirname(wal)
    for folder in (place, Path(f"{place}-before")):
        host.put("wal.100", text("x"), root=folder)
    assert host.find(wal=wal) == []
    assert len(host.find()) > 0


def test_data_that_lies_among_the_logs_is_never_touched(host: Host) -> None:
    for name in ("data", "config"):
        shutil.rmtree(host.home / name)
        (host.log / name).mkdir()
        (host.home / name).symlink_to(host.log / name)
        host.put("x.1", text("x"), root=host.log / name)
    assert host.find() == []


def test_another_file_system_does_not_count(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("x.1", text("x"))
    real = os.stat

    def elsewhere(path: Any, **options: Any) -> os.stat_result:
        facts = real(path, **options)
        return os.stat_result((*facts[:2], 99, *facts[3:])) if path == str(host.home / "data") else facts

    assert host.find() == ["log/x.1"]
    monkeypatch.setattr(find.os, "stat", elsewhere)
    assert host.find() == []


def test_open_files_do_not_count(host: Host) -> None:
    opened = host.put("x.1", text("x"))
    host.put("y.1", text("x"))
    for pid in ("7", "8"):
        (host.proc / pid).mkdir()
    (host.proc / "7/fd").symlink_to(f"/proc/{os.getpid()}/fd")
    with open(opened, "ab"):
        assert host.find() == ["log/y.1"]
    assert host.find() == ["log/x.1", "log/y.1"]


def test_what_cannot_be_seen_is_said(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(host.proc / "1")
    assert host.find() == []
    host.put("x.1", text("x"))
    with pytest.raises(FileNotFoundError):
        host.find()
    for process in ("1", "7"):
        (host.proc / process / "fd").mkdir(parents=True)
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("/7/fd"):
            raise PermissionError(errno.EACCES, "denied", path)
        return listdir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        with pytest.raises(PermissionError):
            host.find()
    with pytest.raises(parts.PartError, match="write-ahead log"):
        host.find(wal=None)
    host.put("d/y.1", text("x"))
    monkeypatch.setattr(find, "ENTRIES", 2)
    with pytest.raises(parts.PartError, match="more than 2 files"):
        host.find()
