# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old log files: which ones are taken, and what evidence says of them."""

from __future__ import annotations

import errno
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import gzip as _gzip_in_place
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.module_utils._logs.logs import DAY, Host, text


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
        ("node-20261301", False),
        ("node-20261132", False),
        ("node-2026110124", False),
        ("node-202611", False),
        ("node.20261101", False),
        ("old", False),
        ("syslog.1\n", False),
        ("syslog.\u0661", False),
        ("syslog.1.gz", False),
        ("syslog.gz.1", False),
        ("node.log.xz.old", False),
        ("node-20261101.log.zst", False),
        ("x" * 223 + ".1", True),
        ("x" * 224 + ".1", False),
        ("é" * 112 + ".1", False),
        ("system.journal", False),
        ("system@0a-01-02.journal", False),
        ("system@0a-01.journal~", False),
    ],
)
def test_names_that_say_rotated_and_not_compressed(name: str, old: bool) -> None:
    assert _old_logs.old_name(name) is old


@given(
    base=st.text(st.characters(blacklist_characters="/\0"), min_size=1, max_size=9),
    ending=st.sampled_from([".1", ".42", ".old", "-20261101", "-20261101T", ".2026-11-01", ".log", ""]),
    packed=st.sampled_from(["", ".gz", ".xz", ".zst", ".bz2"]),
    run=st.sampled_from(["run-1", "R", "a.incident-b", "r" * 17]),
)
def test_nothing_that_is_compressed_is_taken_whatever_its_name(base: str, ending: str, packed: str, run: str) -> None:
    name = os.fsdecode((base + ending).encode("utf-8", "replace"))
    assert not _old_logs.old_name(name + (packed or ".gz"))
    for made in (name + _gzip_in_place.UNFINISHED, f"{name}.incident-{run}.gz"):
        assert not _old_logs.old_name(made)
    assert _gzip_in_place.is_copy_of(name, f"{name}.incident-{run}.gz")
    assert not _gzip_in_place.is_copy_of(name, name + _gzip_in_place.UNFINISHED)


def test_what_counts_lies_in_folders_of_logs(host: Host) -> None:
    wanted = ["a.1", "five/4/3/2/1/b.1"]
    for size, name in enumerate(wanted):
        host.put(name, text("x", 70_000 + size))
    for name in ("a", "b.1.gz", "six/5/4/3/2/1/c.1", "db/CURRENT"):
        host.put(name, text("x"))
    host.put("db/LOG.old", text("x"))
    host.put("small.1", b"x" * 65535)
    host.put("new.1", text("x"), age=3500)
    host.put("n.1", text("x", 80_000), root=host.home / "logs")
    for name in ("data/m.1", "config/m.1", "other/m.1"):
        host.put(name, text("x"), root=host.home)
    assert host.find() == [*(f"log/{name}" for name in wanted), "home/logs/n.1"]


def test_evidence_names_number_bytes_age_and_the_largest(host: Host) -> None:
    for number in range(1, 8):
        host.put(f"a.{number}", text("x", 70_000 + number), age=number * DAY)
    seen = host.read()
    assert (seen["files"], seen["bytes"]) == (7, 7 * 70_000 + 28)
    assert seen["largest"] == [{"path": str(host.log / f"a.{n}"), "bytes": 70_000 + n} for n in (7, 6, 5, 4, 3)]
    assert seen["oldest_at"] == parts.stamp((host.log / "a.7").stat().st_mtime_ns / 1e9)
    host.put("b.1", text("x"))
    os.utime(host.log / "b.1", ns=(0, -(10**18)))
    assert host.read()["oldest_at"] == "1970-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("place", ["journal", "link", "run"])
def test_archives_of_journald_are_never_touched(host: Host, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    kept = host.log / "journal" if place == "journal" else host.home / "logs/journals"
    for name in ("system@0a-01-02.journal", "system.journal", "d.1"):
        host.put(f"0f/{name}", text("x"), root=kept)
    if place == "link":
        (host.log / "journal").symlink_to(kept)
    elif place == "run":
        monkeypatch.setattr(_old_logs, "RUN_LOG", str(kept))
    host.put("journal-0f/e.1", text("x"))
    assert host.find() == ["log/journal-0f/e.1"]


def test_links_hard_links_and_files_with_special_rights_do_not_count(host: Host, tmp_path: Path) -> None:
    outside = host.put("x.1", text("x"), root=tmp_path / "outside")
    (host.log / "link.1").symlink_to(outside)
    (host.log / "folder").symlink_to(outside.parent)
    os.link(outside, host.log / "hard.1")
    host.put("sticky.1", text("x")).chmod(0o1644)
    os.mkfifo(host.log / "pipe.1")
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
    monkeypatch.setattr(_old_logs.os, "stat", elsewhere)
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
    (host.proc / "1/stat").unlink()
    assert host.find() == []
    host.put("x.1", text("x"))

    def kind(**options: Any) -> str:
        with pytest.raises(parts.PartError) as caught:
            host.find(**options)
        return caught.value.kind

    assert kind() == "privilege"
    (host.proc / "1/stat").touch()
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("/1/fd"):
            raise PermissionError(errno.EACCES, "denied", path)
        return listdir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        assert kind() == "privilege"
    assert kind(until=time.monotonic() - 1) == "late"
    assert kind(wal=None) == "cannot_tell"
    monkeypatch.setattr(_old_logs, "ENTRIES", 0)
    assert kind() == "cannot_tell"
