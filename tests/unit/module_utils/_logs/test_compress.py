# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old logs: compressed in place, changed or killed anywhere, and restored by gzip itself."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import struct
import subprocess
import tempfile
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError, Refused
from ansible_collections.virtengine.incident.plugins.module_utils._logs import compress, find
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.module_utils._host.killing import killed_before_each_call, of_anything
from tests.unit.module_utils._logs.logs import DAY, DIGEST, OTHER, SUFFIX, WAL, Host, disk, restored, text

NOISE = os.urandom(100_000)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def frees(monkeypatch: pytest.MonkeyPatch, *amounts: int) -> None:
    """What the disk has free each time that it is asked."""
    left = iter(amounts)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=next(left)))


def test_the_smallest_come_first_until_enough_is_free(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (3, 1, 2):
        host.put(f"a.{number}", text("x", 70_000 * number))
    before = host.files()
    said = [f"compress {host.log}/a.{number} to a.{number}{SUFFIX}" for number in (1, 2, 3)]
    predicted = host.compress(check=True)
    assert host.files() == before and predicted["changed"] and predicted["actions"] == said
    frees(monkeypatch, 10, 20, 30)
    done = host.compress(enough=30)
    assert sorted(host.files()) == [f"a.1{SUFFIX}", f"a.2{SUFFIX}", "a.3"] and restored(host.files()) == before
    assert done == {"changed": True, "free_bytes": 30, "actions": said[:2], "left": []}


def test_where_enough_is_free_nothing_is_done_and_a_second_run_changes_nothing(host: Host) -> None:
    host.put("a.1", text("x"))
    before = host.files()
    done = host.compress(enough=1)
    assert (done["changed"], done["actions"]) == (False, []) and host.files() == before
    assert host.compress()["changed"]
    between = host.files()
    assert not host.compress()["changed"] and not host.compress(OTHER)["changed"] and host.files() == between


def test_a_node_that_runs_or_is_not_known_and_what_is_no_digest_are_refused(host: Host) -> None:
    host.put("a.1", text("x"))
    with pytest.raises(ValueError, match="not the digest of a plan"):
        host.compress("run-5f0c2b9a")
    host.systemd.facts.update(active_state="active", main_pid=7)
    with pytest.raises(Refused):
        host.compress()
    host.systemd.facts.update(active_state="inactive", main_pid=None)
    host.systemd.argv = ["/usr/local/bin/run.sh"]
    with pytest.raises(PartError, match="is not known"):
        host.compress()
    assert list(host.files()) == ["a.1"]


def facts(*roots: Path) -> dict[str, tuple[Any, ...]]:
    paths = [path for root in roots for path in root.rglob("*") if path.is_file()]
    shown = [(path, path.stat()) for path in paths]
    return {str(p): (p.read_bytes(), s.st_mtime_ns, s.st_uid, s.st_gid, s.st_mode) for p, s in shown}


@pytest.mark.parametrize("digest", [DIGEST, f"{'h' * 41}-0123456789abcdef"])
def test_gzip_itself_restores_every_byte_name_time_owner_and_mode(host: Host, digest: str) -> None:
    names = ["a.1", "-dz.1", "b c;$(x).1", "new\nline\x1b[31m.1", os.fsdecode(b"\xff\xfe.1"), "d/n.1", "x" * 182 + ".1"]
    for number, name in enumerate(names):
        path = host.put(name, text(str(number), 70_000 + number))
        os.chown(path, 1234, 2345)
        path.chmod(0o640)
    host.put("n.log.old", text("home"), root=host.home / "logs")
    roots = (host.log, host.home / "logs")
    before = facts(*roots)
    done = host.compress(digest)
    between = facts(*roots)
    assert len(done["actions"]) == len(between) == 8 and not set(between) & set(before)
    assert {name: seen[1:] for name, seen in before.items()} == {
        name[: -len(f".incident-{digest}.gz")]: seen[1:] for name, seen in between.items()
    }
    assert all(line.isprintable() for line in done["actions"])
    host.undo(digest)
    assert facts(*roots) == before


NAMES = st.binary(min_size=1, max_size=find.NAME_CAP - 2).map(lambda raw: raw.translate(None, b"\0/") + b".1")
CONTENTS = st.builds(lambda piece, times: piece * times, st.binary(max_size=200), st.integers(1, 2000))


@given(name=NAMES, content=CONTENTS, moment=st.integers(0, 2**33 * 10**9))
def test_whatever_a_log_holds_and_is_called_it_stays_or_gzip_restores_it(
    name: bytes, content: bytes, moment: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, os.fsdecode(name))
        path.write_bytes(content)
        os.utime(path, ns=(moment, moment))
        before = facts(Path(folder))
        log = find.Log(len(content), str(path), find.state(path.stat()))
        try:
            compress.pack(log, SUFFIX)
        except compress.Kept:
            assert facts(Path(folder)) == before
            return
        (copy,) = os.listdir(folder)
        assert copy == path.name + SUFFIX
        subprocess.run(["gzip", "-dN", str(path) + SUFFIX], check=True, stdin=subprocess.DEVNULL)
        assert facts(Path(folder)) == before


def test_extended_attributes_go_with_the_file(host: Host) -> None:
    path = host.put("a.1", text("x"))
    os.setxattr(path, "user.crtime_usec", b"12345678")
    host.compress()
    assert os.getxattr(f"{path}{SUFFIX}", "user.crtime_usec") == b"12345678"


def test_rights_that_only_the_folder_gives_are_not_given_to_a_copy(host: Host) -> None:
    path = host.put("a.1", text("x"))
    path.chmod(0o640)
    entries = [(1, 7, 2**32 - 1), (2, 4, 1234), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 5, 2**32 - 1)]
    access = struct.pack("<L", 2) + b"".join(struct.pack("<HHL", *entry) for entry in entries)
    os.setxattr(host.log, "system.posix_acl_default", access)
    host.compress()
    assert os.listxattr(f"{path}{SUFFIX}") == [] and os.stat(f"{path}{SUFFIX}").st_mode & 0o777 == 0o640


@pytest.mark.parametrize("at", [0, 40, -6, -1])
def test_a_copy_that_is_not_what_was_written_costs_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    host.put("a.1", text("x"))
    before, real = host.files(), os.fsync

    def faulty(number: int) -> None:
        real(number)
        copy = host.log / f"a.1{compress.UNFINISHED}"
        raw = bytearray(copy.read_bytes())
        raw[at] ^= 0x80
        copy.write_bytes(raw)

    monkeypatch.setattr(os, "fsync", faulty)
    done = host.compress()
    assert host.files() == before and "did not hold what was written" in done["left"][0]


def test_what_does_not_get_smaller_stays_and_the_others_are_compressed(host: Host) -> None:
    host.put("noise.1", NOISE)
    host.put("text.1", text("x", 200_000))
    done = host.compress()
    assert sorted(host.files()) == ["noise.1", f"text.1{SUFFIX}"] and host.files()["noise.1"] == NOISE
    assert done["left"] == [f"{host.log}/noise.1: not smaller by a tenth when compressed"]


def test_megabytes_and_zeros_are_read_back_piece_by_piece(host: Host) -> None:
    contents = {"a.1": text("x", 3_000_001), "b.1": bytes(5_000_000), "c.1": NOISE * 11 + bytes(2_000_000)}
    for name, content in contents.items():
        host.put(name, content)
    assert len(host.compress()["actions"]) == 3 and restored(host.files()) == contents


def test_once_the_time_is_over_no_other_log_is_begun(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, name in enumerate(("a.1", "b.1", "c.1")):
        host.put(name, text(name, 70_000 + number))
    before = host.files()
    monkeypatch.setattr(compress, "TIME_S", -1)
    assert host.compress()["changed"]
    assert sorted(host.files()) == [f"a.1{SUFFIX}", "b.1", "c.1"] and restored(host.files()) == before


def append(path: Path) -> None:
    with open(path, "ab") as stream:
        stream.write(b"late line\n")


def exchange(path: Path) -> None:
    os.rename(path, path.with_name("b.2"))
    path.write_bytes(text("another", 80_000))


def link(path: Path) -> None:
    os.link(path, path.with_name("second"))


@pytest.mark.parametrize("change", [append, exchange, link, os.unlink])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_file_that_changes_meanwhile_stays(
    host: Host, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], call: int
) -> None:
    path = host.put("b.1", text("x"))
    real, calls = os.fsync, 0

    def meddle(number: int) -> None:
        nonlocal calls
        calls += 1
        real(number)
        if calls == call:
            change(path)

    monkeypatch.setattr(os, "fsync", meddle)
    done = host.compress()
    found = host.files()
    if change is os.unlink:
        # Its copy is all that is left of it.
        assert list(found) == [f"b.1{SUFFIX}"] and restored(found) == {"b.1": text("x")}
    else:
        assert not any(".incident-" in name for name in found) and "b.1" in found
        assert any(content.startswith(text("x")) for content in found.values())
        assert done["left"] == [f"{path}: changed meanwhile"]
    assert not done["changed"] and len(done["left"]) == 1


def test_folders_that_are_exchanged_for_links_are_not_followed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("app/x.1", text("x"))
    target = host.put("x.1", text("victim"), root=host.home / "victim")
    untouched = target.parent.stat().st_mtime_ns
    real = find.find

    def slow(*arguments: Any) -> Any:
        found = real(*arguments)
        os.rename(host.log / "app", host.log / "moved")
        (host.log / "app").symlink_to(target.parent)
        return found

    monkeypatch.setattr(find, "find", slow)
    done = host.compress()
    assert not done["changed"] and os.listdir(target.parent) == ["x.1"] and len(host.files()) == 1
    assert target.parent.stat().st_mtime_ns == untouched


@pytest.mark.parametrize("plant", [Path.symlink_to, os.link])
def test_what_is_planted_under_the_unfinished_name_is_not_written_to(
    host: Host, plant: Callable[[Path, Path], None]
) -> None:
    host.put("a.1", text("x"))
    victim = host.put("victim", b"not mine", root=host.home)
    name = host.log / f"a.1{compress.UNFINISHED}"
    name.symlink_to(victim) if plant is Path.symlink_to else os.link(victim, name)
    assert host.compress()["changed"] and victim.read_bytes() == b"not mine"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_planted_under_the_name_of_the_copy_stops_nothing_else(host: Host, kind: str) -> None:
    host.put("a.1", text("x"))
    host.put("b.1", text("y", 80_000))
    name = host.log / f"a.1{SUFFIX}"
    if kind == "link":
        name.symlink_to(host.put("other", gzip.compress(text("x")), root=host.home))
    elif kind == "pipe":
        os.mkfifo(name)
    else:
        name.mkdir()
    done = host.compress()
    assert sorted(host.files()) in (["a.1", f"b.1{SUFFIX}"], ["a.1", f"a.1{SUFFIX}", f"b.1{SUFFIX}"])
    assert len(done["actions"]) == len(done["left"]) == 1


def test_a_copy_of_an_older_log_of_that_name_is_never_overwritten(host: Host) -> None:
    host.put("a.1", text("first"))
    host.compress()
    kept = facts(host.log)
    host.put("a.1", text("second"), age=DAY)
    (host.log / f"a.1{compress.UNFINISHED}").write_bytes(b"half")
    done = host.compress()
    assert not done["changed"] and done["left"] == [f"{host.log}/a.1: the name of its copy is taken"]
    host.compress(OTHER)
    found = facts(host.log)
    assert len(found) == 2 and found.items() >= kept.items()
    assert gzip.decompress(found[f"{host.log}/a.1.incident-{OTHER}.gz"][0]) == text("second")


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: raw + b"x", lambda raw: raw[:40] + raw[41:]])
def test_a_copy_of_before_that_is_damaged_is_not_taken_for_one(host: Host, damage: Callable[[bytes], bytes]) -> None:
    host.put("a.1", text("x"))
    host.put(f"a.1{SUFFIX}", damage(gzip.compress(text("x"))))
    before = facts(host.log)
    assert not host.compress()["changed"] and facts(host.log) == before


@pytest.mark.parametrize("again", [DIGEST, OTHER])
def test_killed_before_any_call_nothing_is_lost_and_the_next_run_finishes(
    host: Host, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    # What a killed process wrote is with the kernel. That it would be on the disk too takes long, and shows nothing here.
    monkeypatch.setattr(os, "fsync", lambda number: None)
    content = {"a.1": text("a")}
    stopped: set[tuple[str, ...]] = set()
    moment = 0

    def prepare() -> None:
        nonlocal moment
        host.clear()
        moment = host.put("a.1", content["a.1"]).stat().st_mtime_ns

    def work() -> None:
        (log,) = find.find(str(host.home), WAL, time.time())
        compress.pack(log, SUFFIX)

    for number in killed_before_each_call(work, prepare, of_anything):
        found = host.files()
        stopped.add(tuple(sorted(found)))
        found.pop("a.1" + compress.UNFINISHED, None)
        assert restored(found) == content, f"call {number}"
        host.compress(again)
        found = host.files()
        assert f"a.1{SUFFIX}" in found or f"a.1.incident-{OTHER}.gz" in found
        assert restored(found) == content and all(name.endswith(".gz") for name in found)
        assert {path.stat().st_mtime_ns for path in host.log.iterdir()} == {moment}
    unfinished = "a.1" + compress.UNFINISHED
    assert stopped == {("a.1",), ("a.1", unfinished), ("a.1", f"a.1{SUFFIX}"), (f"a.1{SUFFIX}",)}


@pytest.mark.parametrize("call", ["rename", "unlink", "fchown", "utime", "posix_fadvise", "fsync"])
@pytest.mark.parametrize("number", [errno.EIO, errno.EPERM])
def test_whatever_fails_the_file_or_its_copy_is_there(
    host: Host, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    host.put("a.1", text("x"))
    host.put("b.1", text("y", 80_000))
    before = host.files()
    real, tried = getattr(os, call), []

    def fail(*arguments: Any, **options: Any) -> Any:
        if str(arguments[0]).endswith((compress.UNFINISHED, SUFFIX)) and call == "unlink":
            return real(*arguments, **options)
        tried.append(call)
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        done = host.compress()
    assert tried and not done["changed"] and os.strerror(number) in done["left"][0]
    # A disk that fails is not tried again with the next one.
    assert len(done["left"]) == (1 if number == errno.EIO else 2)
    found = {name: raw for name, raw in host.files().items() if not name.endswith(compress.UNFINISHED)}
    assert restored(found) == before
    host.compress()
    assert restored(host.files()) == before and all(name.endswith(".gz") for name in host.files())


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose home and logs lie on a file system of a megabyte."""
    with disk(tmp_path / "disk", "1m") as place:
        made = Host(place, monkeypatch)
        for number in range(1, 5):
            made.put(f"a.{number}", text(str(number), 70_000 * number))
        made.put("elsewhere.1", text("x"), root=tmp_path / "outside")
        yield made


def test_room_on_a_disk_that_is_nearly_full(full: Host) -> None:
    before = full.files()
    full.fill(40_000)
    assert full.read()["compressible_bytes"] == 700_000
    done = full.compress(enough=200_000)
    assert done["free_bytes"] >= 200_000 and len(done["actions"]) == 2
    assert restored(full.files()) == before


def test_on_a_disk_without_room_for_a_copy_everything_stays_and_nothing_was_promised(full: Host) -> None:
    before = full.files()
    full.fill(0)
    assert full.read() == {"files": 4, "bytes": 700_000, "compressible_bytes": 0}
    done = full.compress()
    assert full.files() == before and not done["changed"]
    assert done["left"] == [f"{full.log}/a.1: the system said: No space left on device"]


def test_logs_on_another_disk_than_the_data_do_not_count(full: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "VAR_LOG", str(full.home.parents[1] / "outside"))
    assert full.find() == []
