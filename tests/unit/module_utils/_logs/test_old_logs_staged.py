# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old log files on a disk on which not a block can be written: compressed by way of another disk."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import gzip as _gzip_in_place
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError
from ansible_collections.virtengine.incident.plugins.module_utils._logs import compress
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from ansible_collections.virtengine.incident.plugins.module_utils._logs import staged as _old_logs_staged
from ansible_collections.virtengine.incident.plugins.modules import old_logs as module

from tests.unit.module_utils._host.killing import killed_before_each_call
from tests.unit.module_utils._logs.logs import UNIT, Host, disk, restored, text
from tests.unit.module_utils._logs.staging import full_host, keep_the_file, kept, logs, reach, smallest, stage, staged

SUFFIX = ".incident-run-1.gz"
FULL = "no copy fits on the full disk, and"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with full_host(tmp_path, monkeypatch) as made:
        yield made


def test_a_disk_without_a_free_block_gets_room_and_every_file_is_what_it_was(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = logs(host, 5)
    for number in range(1, 6):
        os.chown(host.log / f"a.{number}", 1234, 2345)
        (host.log / f"a.{number}").chmod(0o640)
    facts = {name: (host.log / name).stat() for name in before}
    real, ways = _old_logs_staged.Staging.stage, []

    def counted(self: _old_logs_staged.Staging, file: _gzip_in_place.File, until: float) -> None:
        ways.append(file.name)
        real(self, file, until)

    monkeypatch.setattr(_old_logs_staged.Staging, "stage", counted)
    assert _old_logs.free(str(host.home)) == 0
    done = host.compress()
    # Once there is room, copies are made beside their files again.
    assert ways == ["a.1"]
    assert [os.path.basename(file["path"]) for file in done["files"]] == [f"a.{n}" for n in range(1, 6)]
    assert sorted(host.files()) == [f"a.{n}{SUFFIX}" for n in range(1, 6)] and restored(host.files()) == before
    for name, fact in facts.items():
        copy = (host.log / f"{name}{SUFFIX}").stat()
        assert (copy.st_uid, copy.st_gid, copy.st_mode) == (1234, 2345, fact.st_mode)
        assert copy.st_mtime_ns == fact.st_mtime_ns
    assert done["changed"] and done["staged"] == [] and kept(host) == {} and done["free_bytes_after"] > 500_000
    assert host.staging.stat().st_mode & 0o7777 == 0o700
    assert not host.compress("run-2")["changed"]
    (host.home / "data/state.db").unlink()
    subprocess.run(["sh", "-c", done["undo"]], check=True, stdin=subprocess.DEVNULL)
    assert host.files() == before


def test_killed_before_any_call_nothing_is_lost_and_the_next_run_finishes(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a killed process wrote is with the kernel. That it would be on the disk too takes long, and shows nothing here.
    monkeypatch.setattr(os, "fsync", lambda number: None)
    content: dict[str, bytes] = {}
    files: list[_gzip_in_place.File] = []

    def prepare() -> None:
        host.clear()
        content.update(logs(host))
        files[:] = [smallest(host)]

    def work() -> None:
        stage(host, files[0])
        with _old_logs_staged.Staging(reach(host)) as staging:
            staging.finish(SUFFIX, False)

    only_staged = both = placed = kills = 0
    for number in killed_before_each_call(work, prepare):
        kills += 1
        found = {name: raw for name, raw in host.files().items() if not name.endswith(_gzip_in_place.UNFINISHED)}
        there = staged(host)
        only_staged += not found
        both += bool(there) and "a.1" in found
        placed += f"a.1{SUFFIX}" in found
        assert {**restored(found), **there} == content, f"call {number}"
        done = host.compress("run-2")
        assert restored(host.files()) == content and kept(host) == {} and done["staged"] == []
        assert list(host.files()) in (["a.1.incident-run-2.gz"], [f"a.1{SUFFIX}"])
    assert kills > 100 and only_staged > 30 and both > 1 and placed > 3


def test_where_others_take_the_room_the_copy_waits_and_the_next_files_make_some(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = logs(host, 3)
    waited = []
    stage_one, finish = _old_logs_staged.Staging.stage, _old_logs_staged.Staging.finish

    def robbed(self: _old_logs_staged.Staging, file: _gzip_in_place.File, until: float) -> None:
        stage_one(self, file, until)
        if file.name == "a.1":
            host.fill()

    def watched(*arguments: Any) -> _old_logs_staged.Finished:
        found = finish(*arguments)
        waited.append(len(found.waiting))
        return found

    monkeypatch.setattr(_old_logs_staged.Staging, "stage", robbed)
    monkeypatch.setattr(_old_logs_staged.Staging, "finish", watched)
    done = host.compress()
    assert sorted(os.path.basename(file["path"]) for file in done["files"]) == ["a.1", "a.2", "a.3"]
    assert waited == [0, 1, 0, 0] and done["staged"] == []
    assert restored(host.files()) == before and kept(host) == {}


def test_a_copy_that_finds_no_room_is_reported_until_there_is_some(host: Host) -> None:
    before = logs(host)
    stage(host, smallest(host))
    host.fill()
    done = host.compress()
    assert host.files() == {} and staged(host) == before and not done["files"]
    assert all(path.stat().st_mode & 0o1000 for path in host.staging.iterdir())
    assert len(done["staged"]) == 1 and f"{host.log}/a.1 stays: the disk said" in done["staged"][0]
    assert compress.failure(done) == f"Nothing was compressed: {done['staged'][0]}."
    (host.home / "data/state.db").unlink()
    known = host.compress("run-2", check=True)
    assert staged(host) == before and [file["path"] for file in known["files"]] == [str(host.log / "a.1")]
    done = host.compress("run-2", enough=1)
    assert restored(host.files()) == before and done["changed"] and done["files"][0]["compressed"].endswith("run-2.gz")
    assert "run-2" in done["undo"] and kept(host) == {}


def test_a_staged_copy_whose_file_is_there_goes(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before = logs(host)
    keep_the_file(host, monkeypatch)
    assert staged(host) == before == host.files()
    assert host.compress(enough=1, check=True)["actions"][0].startswith("take away the staged copy of ")
    assert staged(host) == before
    (host.home / "data/state.db").unlink()
    done = host.compress(enough=1)
    assert done["changed"] and kept(host) == {} and host.files() == before


def append(path: Path) -> None:
    with open(path, "ab") as stream:
        stream.write(b"late line\n")


def exchange(path: Path) -> None:
    path.unlink()
    path.write_bytes(text("another", 70_000))


def same_facts(path: Path) -> None:
    facts = path.stat()
    with open(path, "r+b") as stream:
        stream.write(b"x")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def make_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


@pytest.mark.parametrize("change", [append, exchange, same_facts, make_link])
def test_a_file_that_changed_and_its_staged_copy_both_stay(
    host: Host, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    before = logs(host)
    keep_the_file(host, monkeypatch)
    (host.home / "data/state.db").unlink()
    change(host.log / "a.1")
    found = host.files()
    done = host.compress(enough=1)
    assert host.files() == found and staged(host) == before and not done["changed"]
    assert len(done["staged"]) == 1 and "a.1 stays: " in done["staged"][0]


@pytest.mark.parametrize("change", [append, exchange, os.unlink])
def test_a_file_that_changes_while_it_is_staged_stays(
    host: Host, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None]
) -> None:
    before = logs(host)
    (host.home / "data/state.db").write_bytes(b"")
    real = _old_logs_staged.Staging._keep

    def slow(self: Any, name: str, note: Any) -> None:
        real(self, name, note)
        change(host.log / "a.1")

    with monkeypatch.context() as patch, pytest.raises(_gzip_in_place.Kept):
        patch.setattr(_old_logs_staged.Staging, "_keep", slow)
        stage(host, smallest(host))
    if change is append:
        assert kept(host) == {} and host.files()["a.1"].startswith(before["a.1"])
    else:
        # Its copy is all that is left of it.
        assert staged(host) == before
    host.compress(enough=1)
    assert change is not os.unlink or restored(host.files()) == before


def test_without_another_disk_that_is_fit_everything_stays_and_it_is_said_why(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = logs(host, 2)

    def why() -> str:
        done = host.compress()
        assert host.files() == before and not done["changed"]
        assert not host.staging.is_dir() or os.listdir(host.staging) == []
        return str(done["left"]["because"][0])

    monkeypatch.setattr(_old_logs_staged, "STAGING", str(host.log.parent / "staging"))
    assert why() == f"{FULL} {host.log.parent} is on the same disk: free a few MB by hand first (2)"
    monkeypatch.setattr(_old_logs_staged, "STAGING", str(host.staging))
    with monkeypatch.context() as patch, disk(tmp_path / "memory", "1m") as memory:
        patch.setattr(_old_logs_staged, "VOLATILE", ("tmpfs", "ramfs"))
        patch.setattr(_old_logs_staged, "STAGING", str(memory / "staging"))
        assert why() == f"{FULL} {memory} is in memory: free a few MB by hand first (2)"
        assert not (memory / "staging").exists()
    with monkeypatch.context() as patch:
        patch.setattr(_old_logs_staged, "MARGIN", 2**62)
        assert "has no room for one and 64 MiB" in why()
    for mode in (0o777, 0o755):
        host.staging.chmod(mode)
        assert "is no folder that this user alone may enter" in why()
    host.staging.chmod(0o700)
    os.chown(host.staging, 1234, 2345)
    assert "is no folder that this user alone may enter" in why()
    host.staging.rmdir()
    (tmp_path / "target").mkdir(mode=0o700)
    host.staging.symlink_to(tmp_path / "target")
    assert "is no folder that this user alone may enter" in why() and os.listdir(tmp_path / "target") == []
    host.staging.unlink()
    host.staging.write_bytes(b"")
    assert "is no folder that this user alone may enter" in why()


def test_two_runs_do_not_work_in_the_folder_together(host: Host) -> None:
    before = logs(host)
    host.staging.mkdir(mode=0o700)
    number = os.open(host.staging, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    with pytest.raises(_old_logs.Refused, match="Another run is at work"):
        host.compress()
    os.close(number)
    assert host.files() == before and host.compress()["changed"]


class Ended(Exception):
    """The module ended."""


def ended(monkeypatch: pytest.MonkeyPatch, check: bool, enough: int) -> dict[str, Any]:
    """What the module says at its end, and whether it failed."""
    said: dict[str, Any] = {}

    class Module:
        params: ClassVar = {"unit": UNIT, "home": None, "run": "run-1", "enough_bytes": enough, "deadline": 60}
        check_mode = check

        def __init__(self, **_options: Any) -> None:
            pass

        def warn(self, text: str) -> None:
            raise AssertionError(text)

        def fail_json(self, **result: Any) -> None:
            said.update(result, failed=True)
            raise Ended

        def exit_json(self, **result: Any) -> None:
            said.update(result, failed=False)
            raise Ended

    monkeypatch.setattr(module, "AnsibleModule", Module)
    with pytest.raises(Ended):
        module.main()
    return said


@pytest.mark.parametrize(("check", "enough", "fails"), [(False, 2**40, True), (True, 2**40, False), (False, 1, False)])
def test_the_module_fails_where_nothing_was_compressed_and_too_little_is_free(
    host: Host, monkeypatch: pytest.MonkeyPatch, check: bool, enough: int, fails: bool
) -> None:
    logs(host)
    (host.log / "a.1").unlink()
    said = ended(monkeypatch, check, enough)
    assert said["failed"] is fails and said["left"]["files"] == 0
    if fails:
        assert said["msg"] == "Nothing was compressed: there are no old logs."
        assert 0 < said["free_bytes_after"] < 500_000


def test_a_failure_after_a_copy_was_put_back_says_what_was_done(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    logs(host)
    stage(host, smallest(host))

    def late(*_arguments: Any) -> None:
        raise PartError("late", "not all folders could be looked at in time")

    monkeypatch.setattr(_old_logs, "find", late)
    said = ended(monkeypatch, False, 2**40)
    assert said["failed"] and said["changed"] and said["free_bytes_after"] is None
    assert [file["path"] for file in said["files"]] == [str(host.log / "a.1")]
    assert said["undo"].startswith("find ")
    assert said["msg"].endswith("looked at in time. Before that, 1 old logs were compressed; the next run goes on")
    said = ended(monkeypatch, False, 2**40)
    assert said["failed"] and "files" not in said, "nothing was changed, so it is a plain failure"


def test_with_anything_compressed_the_module_does_not_fail(host: Host) -> None:
    logs(host)
    done = host.compress(enough=2**40)
    assert not done["enough"] and done["files"] and compress.failure(done) is None
