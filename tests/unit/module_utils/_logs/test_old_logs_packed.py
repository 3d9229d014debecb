# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old log files: compressed in place, changed or killed anywhere, and restored by gzip itself."""

from __future__ import annotations

import errno
import gzip
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import gzip as _gzip_in_place
from ansible_collections.virtengine.incident.plugins.module_utils._logs import compress
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from ansible_collections.virtengine.incident.plugins.module_utils._node import service

from tests.unit.module_utils._host.killing import killed_before_each_call
from tests.unit.module_utils._logs.logs import DAY, NEVER, PLENTY, UNIT, WAL, Host, disk, restored, text

NOISE = os.urandom(100_000)
SUFFIX = ".incident-run-1.gz"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_smallest_come_first_until_enough_is_free(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (3, 1, 2):
        host.put(f"a.{number}", text("x", 70_000 * number))
    before = host.files()
    predicted = host.compress(check=True)
    assert host.files() == before
    assert [os.path.basename(file["path"]) for file in predicted["files"]] == ["a.1", "a.2", "a.3"]
    assert (predicted["free_bytes_after"], predicted["enough"], predicted["changed"]) == (None, None, True)
    free = iter([10, 10, 20, 30, 30])
    monkeypatch.setattr(_old_logs, "free", lambda folder: next(free))
    done = host.compress(enough=30)
    assert sorted(host.files()) == [f"a.1{SUFFIX}", f"a.2{SUFFIX}", "a.3"] and restored(host.files()) == before
    assert (done["free_bytes_before"], done["free_bytes_after"], done["enough"]) == (10, 30, True)
    assert done["files"] == [
        {
            "path": str(host.log / f"a.{number}"),
            "bytes": 70_000 * number,
            "compressed": str(host.log / f"a.{number}{SUFFIX}"),
            "compressed_bytes": (host.log / f"a.{number}{SUFFIX}").stat().st_size,
        }
        for number in (1, 2)
    ]
    assert done["left"] == {"files": 1, "bytes": 210_000, "because": ["enough is free (1)"]}
    assert done["actions"] == predicted["actions"][:2] and done["actions"][0].endswith(f"a.1 to a.1{SUFFIX}")


def test_where_enough_is_free_nothing_is_done_whatever_the_logs_are(host: Host) -> None:
    host.put("a.1", text("x"))
    before = host.files()
    done = host.compress(enough=1)
    assert (done["changed"], done["files"], done["actions"], done["undo"]) == (False, [], [], None)
    assert host.files() == before and done["enough"] and done["free_bytes_after"] == done["free_bytes_before"]
    assert host.compress("run-2")["changed"] and not host.compress("run-3")["changed"]


def test_a_node_that_runs_and_names_that_gzip_could_not_undo_are_refused(host: Host) -> None:
    host.put("a.1", text("x"))
    for run, why in (("../x", "not the name of a run"), ("r" * 18, "could not undo")):
        with pytest.raises(ValueError, match=why):
            host.compress(run)
    host.systemd.facts.update(active_state="active", main_pid=7)
    with pytest.raises(service.Refused):
        host.compress()
    host.systemd.facts.update(active_state="inactive", main_pid=None)
    host.systemd.argv = ["/usr/local/bin/run.sh"]
    with pytest.raises(_old_logs.Refused, match="is not known"):
        host.compress()
    assert list(host.files()) == ["a.1"]


@pytest.mark.parametrize("run", ["run-1", "RUN-1.x_y", "r" * 17])
def test_gzip_itself_restores_every_byte_name_time_owner_and_mode(host: Host, run: str) -> None:
    names = ["a.1", "-dz.1", "b c;$(x).1", "new\nline\x1b[31m.1", os.fsdecode(b"\xff\xfe.1"), "d/n.1", "x" * 223 + ".1"]
    for number, name in enumerate(names):
        path = host.put(name, text(str(number), 70_000 + number))
        os.chown(path, 1234, 2345)
        path.chmod(0o640)
    host.put("n.log.old", text("home"), root=host.home / "logs")

    def facts() -> dict[str, tuple[Any, ...]]:
        paths = [path for root in (host.log, host.home / "logs") for path in root.rglob("*") if path.is_file()]
        shown = [(path, path.stat()) for path in paths]
        return {str(p): (p.read_bytes(), s.st_mtime_ns, s.st_uid, s.st_gid, s.st_mode) for p, s in shown}

    before = facts()
    done = host.compress(run)
    between = facts()
    assert len(done["files"]) == len(between) == 8 and not set(between) & set(before)
    assert {name: seen[1:] for name, seen in before.items()} == {
        name[: -len(f".incident-{run}.gz")]: seen[1:] for name, seen in between.items()
    }
    assert all(line.isprintable() for line in [done["undo"], *done["actions"], *(f["path"] for f in done["files"])])
    subprocess.run(["sh", "-c", done["undo"]], check=True, stdin=subprocess.DEVNULL)
    assert facts() == before


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


@pytest.mark.parametrize("at", [2, 40, -6, -1])
def test_a_copy_that_is_not_what_was_written_costs_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    host.put("a.1", text("x"))
    before, real = host.files(), os.write

    def faulty(number: int, data: memoryview) -> int:
        raw = bytearray(data)
        if len(raw) > abs(at):
            raw[at] ^= 0x80
        return real(number, raw)

    monkeypatch.setattr(os, "write", faulty)
    done = host.compress()
    assert host.files() == before and "did not hold what was written" in done["left"]["because"][0]


def test_what_does_not_get_smaller_stays_and_the_others_are_compressed(host: Host) -> None:
    host.put("noise.1", NOISE)
    host.put("sparse.1", b"")
    os.truncate(host.log / "sparse.1", 150_000)
    os.utime(host.log / "sparse.1", (0, 0))
    host.put("text.1", text("x", 200_000))
    done = host.compress()
    assert sorted(host.files()) == ["noise.1", "sparse.1", f"text.1{SUFFIX}"] and host.files()["noise.1"] == NOISE
    assert done["left"] == {
        "files": 2,
        "bytes": 250_000,
        "because": ["not smaller by a tenth when compressed (2)"],
    }


def test_megabytes_and_zeros_are_read_back_piece_by_piece(host: Host) -> None:
    contents = {"a.1": text("x", 3_000_001), "b.1": bytes(5_000_000), "c.1": NOISE * 11 + bytes(2_000_000)}
    for name, content in contents.items():
        host.put(name, content)
    assert len(host.compress()["files"]) == 3 and restored(host.files()) == contents


def test_with_the_deadline_the_rest_stays(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = {name: text(name, 70_000 + number) for number, name in enumerate(("a.1", "b.1", "c.1"))}
    for name, content in contents.items():
        host.put(name, content)
    now, asked = time.monotonic(), 0

    def clock() -> float:
        nonlocal asked
        asked += 1
        return now + (0 if asked < 6 else 1000)

    monkeypatch.setattr(_gzip_in_place.time, "monotonic", lambda: now)
    real = _gzip_in_place.pack

    def slow(*arguments: Any) -> int:
        monkeypatch.setattr(_gzip_in_place.time, "monotonic", clock)
        return real(*arguments)

    monkeypatch.setattr(_gzip_in_place, "pack", slow)
    done = compress.compress(UNIT, None, "run-1", PLENTY, 60, False)
    assert sorted(host.files()) == [f"a.1{SUFFIX}", "b.1", "c.1"] and restored(host.files()) == contents
    assert done["changed"] and done["left"]["because"] == ["the time is over (2)"]


def append(path: Path) -> None:
    with open(path, "ab") as stream:
        stream.write(b"late line\n")


def exchange(path: Path) -> None:
    os.rename(path, path.with_name("b.2"))
    path.write_bytes(text("another", 80_000))


def link(path: Path) -> None:
    os.link(path, path.with_name("second"))


@pytest.mark.parametrize("change", [append, exchange, link, os.unlink])
@pytest.mark.parametrize("call", [1, 2])
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
    assert not done["changed"] and done["left"]["files"] == 1 and done["undo"] is None


def test_folders_that_are_exchanged_for_links_are_not_followed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.put("app/x.1", text("x"))
    target = host.put("x.1", text("victim"), root=host.home / "victim")
    read = _old_logs.find

    def slow(*arguments: Any) -> Any:
        found = read(*arguments)
        os.rename(host.log / "app", host.log / "moved")
        (host.log / "app").symlink_to(target.parent)
        return found

    monkeypatch.setattr(_old_logs, "find", slow)
    done = compress.compress(UNIT, None, "run-1", PLENTY, 60, False)
    assert not done["changed"] and os.listdir(target.parent) == ["x.1"] and len(host.files()) == 1


def test_a_copy_of_an_older_log_of_that_name_is_never_overwritten(host: Host) -> None:
    host.put("a.1", text("first"))
    host.compress()
    kept = host.files()[f"a.1{SUFFIX}"]
    host.put("a.1", text("second"), age=DAY)
    (host.log / f"a.1{_gzip_in_place.UNFINISHED}").write_bytes(b"half")
    done = host.compress()
    assert not done["changed"] and done["left"]["because"] == ["the name of its copy is taken (1)"]
    host.compress("run-2")
    found = host.files()
    assert sorted(found) == [f"a.1{SUFFIX}", "a.1.incident-run-2.gz"] and found[f"a.1{SUFFIX}"] == kept
    assert gzip.decompress(found["a.1.incident-run-2.gz"]) == text("second")


def test_a_whole_copy_of_before_is_used_but_takes_no_name_that_is_taken(host: Host) -> None:
    host.put("a.1", text("first"))
    host.compress()
    path = host.put("a.1", text("second"), age=DAY)
    copy = host.put("a.1.incident-run-0.gz", gzip.compress(text("second")))
    shutil.copystat(path, copy)
    assert not host.compress()["changed"]
    assert gzip.decompress(host.files()[f"a.1{SUFFIX}"]) == text("first") and host.files()["a.1"] == text("second")
    copy.write_bytes(gzip.compress(text("second")))
    shutil.copystat(path, copy)
    made = copy.read_bytes()
    host.compress("run-2")
    assert host.files() == {f"a.1{SUFFIX}": host.files()[f"a.1{SUFFIX}"], "a.1.incident-run-2.gz": made}


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: raw + b"x", lambda raw: raw[:40] + raw[41:]])
def test_a_copy_of_before_that_is_damaged_is_not_taken_for_one(host: Host, damage: Callable[[bytes], bytes]) -> None:
    path = host.put("a.1", text("x"))
    facts = path.stat()
    copy = host.put("a.1.incident-run-0.gz", damage(gzip.compress(text("x"))))
    copy.chmod(facts.st_mode & 0o777)
    os.utime(copy, ns=(facts.st_mtime_ns, facts.st_mtime_ns))
    host.compress()
    assert gzip.decompress(host.files()[f"a.1{SUFFIX}"]) == text("x") and copy.exists()


def test_killed_before_any_call_nothing_is_lost_and_the_next_run_finishes(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a killed process wrote is with the kernel. That it would be on the disk too takes long, and shows nothing here.
    monkeypatch.setattr(os, "fsync", lambda number: None)
    content = {"a.1": text("a")}

    def prepare() -> None:
        host.clear()
        host.put("a.1", content["a.1"])

    def work() -> None:
        (file,) = _old_logs.find(str(host.home), WAL, time.time(), NEVER)
        _gzip_in_place.pack(file, SUFFIX, NEVER)

    halves = boths = gone = kills = 0
    for number in killed_before_each_call(work, prepare):
        kills += 1
        found = host.files()
        halves += found.pop("a.1" + _gzip_in_place.UNFINISHED, None) is not None
        boths += len(found) == 2
        gone += "a.1" not in found
        assert restored(found) == content, f"call {number}"
        host.compress("run-2")
        found = host.files()
        assert list(found) in (["a.1.incident-run-2.gz"], [f"a.1{SUFFIX}"]) and restored(found) == content
    assert kills > 50 and halves > 10 and boths > 1 and gone > 1


@pytest.mark.parametrize("call", ["rename", "unlink", "fchown", "utime", "posix_fadvise", "removexattr"])
def test_whatever_fails_the_file_or_its_copy_is_there(host: Host, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    host.put("a.1", text("x"))
    before = host.files()

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        host.compress()
    found = {name: raw for name, raw in host.files().items() if not name.endswith(_gzip_in_place.UNFINISHED)}
    assert restored(found) == before
    host.compress("run-2")
    assert restored(host.files()) == before and all(name.endswith(".gz") for name in host.files())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte, with the home and the logs of the host on it."""
    with disk(tmp_path / "disk", "1m") as place:
        yield place


@pytest.fixture
def full(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host(small_disk, monkeypatch)
    for number in range(1, 5):
        made.put(f"a.{number}", text(str(number), 70_000 * number))
    made.put("elsewhere.1", text("x"), root=small_disk.parent / "outside")
    return made


def test_room_on_a_disk_that_is_nearly_full(full: Host) -> None:
    before = full.files()
    full.fill(8192)
    done = full.compress(enough=200_000)
    assert done["enough"] and done["free_bytes_before"] <= 8192 and done["free_bytes_after"] >= 200_000
    assert [file["bytes"] for file in done["files"]] == [70_000, 140_000]
    assert restored(full.files()) == before


def test_on_a_disk_without_room_for_a_copy_everything_stays(full: Host) -> None:
    before = full.files()
    full.fill(0)
    done = full.compress()
    assert full.files() == before
    why = f"no copy fits on the full disk, and {full.log.parent} is on the same disk: free a few MB by hand first (4)"
    assert not done["changed"] and done["left"]["because"] == [why] and not full.staging.exists()


def test_logs_on_another_disk_than_the_data_do_not_count(full: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_old_logs, "VAR_LOG", str(full.home.parents[1] / "outside"))
    assert full.find() == []
