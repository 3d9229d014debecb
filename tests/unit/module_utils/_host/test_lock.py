# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The locks of a host: one of many gets one, no file hides one, and a look sees all of them."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import lock as _host_lock
from ansible_collections.virtengine.incident.plugins.module_utils._host import parts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.module_utils._cometbft.test_modules import run

CHAIN, DATABASE = "chain:chain-1", "postgresql:7412059318123098762"
DIGEST = "halt-0123456789abcdef"
KEYS = ["scope", "owner", "who", "at", "age_s", "digest"]


def lock(root: Path, scope: str = CHAIN) -> _host_lock.Lock:
    return _host_lock.Lock(scope, str(root / "locks"), str(root / "used"))


def seen(root: Path) -> dict[str, Any]:
    return _host_lock.seen(str(root / "locks"), str(root / "used"))


def test_one_of_many_gets_the_lock(tmp_path: Path) -> None:
    won: list[str] = []

    def acquire(name: str) -> None:
        try:
            if lock(tmp_path).acquire(name, "who", ""):
                won.append(name)
        except _host_lock.Refused:
            pass

    threads = [threading.Thread(target=acquire, args=(f"run{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    holder = lock(tmp_path).holder()
    assert len(won) == 1 and holder and holder["owner"] == won[0]
    assert sorted(os.listdir(tmp_path / "locks")) == ["chain:chain-1.json"]


def test_only_the_owner_gives_the_lock_back(tmp_path: Path) -> None:
    assert lock(tmp_path).release("a") is False
    assert lock(tmp_path).acquire("a", "alice@laptop", DIGEST) is True
    assert lock(tmp_path).acquire("a", "alice@laptop", DIGEST) is False
    assert lock(tmp_path).release("b") is False
    text = r"^The lock of chain:chain-1 on this host is held by a \(alice@laptop, \d+ s ago\)\.$"
    with pytest.raises(_host_lock.Refused, match=text):
        lock(tmp_path).acquire("b", "", "")
    assert lock(tmp_path, DATABASE).acquire("b", "", "") is True
    assert lock(tmp_path).release("a") is True and lock(tmp_path).holder() is None


@pytest.mark.parametrize("content", ["torn", "[]", "7", "{}", '{"owner": 7, "who": ["x"]}', "[" * 60_000, "\xff", ""])
def test_a_lock_file_that_cannot_be_read_holds(tmp_path: Path, content: str) -> None:
    lock(tmp_path).acquire("a", "", "")
    (tmp_path / "locks/chain:chain-1.json").write_text(content, encoding="latin-1")
    holder = lock(tmp_path).holder()
    assert holder and holder["owner"] == holder["who"] == "" and holder["scope"] == CHAIN
    assert seen(tmp_path)["locks"] == [holder]
    with pytest.raises(_host_lock.Refused, match="unreadable"):
        lock(tmp_path).acquire("a", "", "")
    assert lock(tmp_path).release("a") is False


@pytest.mark.parametrize(
    "make",
    [
        os.mkfifo,
        os.mkdir,
        lambda path: os.symlink("/dev/zero", path),
        lambda path: os.symlink(path.parent / "other", path),
        lambda path: os.symlink("nowhere", path),
    ],
    ids=["pipe", "folder", "device", "link", "dangling"],
)
def test_what_is_no_plain_file_holds_and_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "locks").mkdir(mode=0o700)
    (tmp_path / "locks/other").write_text('{"owner": "secret"}')
    make(tmp_path / "locks/chain:chain-1.json")
    begun = time.monotonic()
    holder = lock(tmp_path).holder()
    assert holder and holder["owner"] == "" and [entry["owner"] for entry in seen(tmp_path)["locks"]] == [""]
    with pytest.raises(_host_lock.Refused, match="unreadable"):
        lock(tmp_path).acquire("a", "", "")
    assert time.monotonic() - begun < 2


def test_a_lock_that_is_given_back_while_it_is_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(tmp_path).acquire("a", "", "")
    real = os.open

    def gone(path: Any, *args: Any, **kwargs: Any) -> int:
        if str(path).endswith(".json"):
            os.unlink(path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", gone)
    assert seen(tmp_path) == {"locks": [], "used": []}


def test_a_directory_that_others_can_write_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(0o777)
    with pytest.raises(_host_lock.Refused, match="who made it"):
        lock(tmp_path).acquire("a", "", "")
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "used").symlink_to(tmp_path / "real")
    with pytest.raises(_host_lock.Refused):
        lock(tmp_path).consume(DIGEST, "run-1")
    assert os.listdir(tmp_path / "real") == []


def test_a_digest_is_used_once_and_a_torn_line_hides_none(tmp_path: Path) -> None:
    assert lock(tmp_path).consume(DIGEST, "run-1") is True
    # Two hosts of an inventory may be one machine: what the run wrote there itself is no earlier use.
    assert lock(tmp_path).consume(DIGEST, "run-1") is True
    assert lock(tmp_path).consume(DIGEST, "run-2") is False
    assert lock(tmp_path).used() == [DIGEST]
    with open(tmp_path / "used/chain:chain-1.used", "a", encoding="ascii") as stream:
        stream.write("halt-00")
    other = "halt-ffffffffffffffff"
    assert lock(tmp_path).consume(other, "run-1") is True
    assert lock(tmp_path).used() == [DIGEST, other] == seen(tmp_path)["used"]


@pytest.mark.parametrize(
    "digest", ["halt-0123456789abcdef", "rolling_restart-0123456789abcdef", f"a{'_' * 40}-{'0' * 16}"]
)
def test_digests_of_plans(digest: str) -> None:
    assert _host_lock.DIGEST.match(digest)


@pytest.mark.parametrize(
    "digest",
    [
        "-0123456789abcdef",
        "_x-0123456789abcdef",
        "1x-0123456789abcdef",
        "Halt-0123456789abcdef",
        "halt-0123456789ABCDEF",
        "halt-0123456789abcde",
        "halt-0123456789abcdef0",
        "halt-0123456789abcdef\n",
        f"a{'_' * 41}-{'0' * 16}",
        f"x/-{'0' * 16}",
    ],
)
def test_what_is_no_digest_of_a_plan(digest: str) -> None:
    assert not _host_lock.DIGEST.match(digest)


def test_file_names_of_scopes() -> None:
    scopes = ["a-1", "../../etc/x", "a/b", "a_b", "..", "", "x" * 200, "é", CHAIN, DATABASE, "chain/chain-1", "\ud800"]
    names = [_host_lock.safe_name(scope) for scope in scopes]
    assert names[0] == "a-1" and names[8] == CHAIN and len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9:_+-][A-Za-z0-9:._+-]{0,100}", name) for name in names)


@given(st.text(max_size=120))
def test_no_scope_has_the_file_of_another(scope: str) -> None:
    name = _host_lock.safe_name(scope)
    assert name == scope or _host_lock.safe_name(name) != name
    assert "/" not in name and not name.startswith(".") and 0 < len(name) <= 100


def test_a_look_sees_every_lock_and_digest(tmp_path: Path) -> None:
    assert seen(tmp_path) == {"locks": [], "used": []}
    lock(tmp_path).acquire("run-1", "alice@laptop", DIGEST)
    lock(tmp_path).consume(DIGEST, "run-1")
    lock(tmp_path, DATABASE).acquire("run-2", "awx@awx-7f", "")
    strange = "kubernetes:prod/default"
    lock(tmp_path, strange).acquire("run-3", "", "")
    lock(tmp_path, strange).consume("rolling_restart-00000000000000ff", "run-1")
    found = seen(tmp_path)
    assert [list(entry) for entry in found["locks"]] == [KEYS] * 3
    assert {(entry["scope"], entry["owner"], entry["who"], entry["digest"]) for entry in found["locks"]} == {
        (CHAIN, "run-1", "alice@laptop", DIGEST),
        (DATABASE, "run-2", "awx@awx-7f", ""),
        (strange, "run-3", "", ""),
    }
    assert all(0 <= entry["age_s"] < 60 and entry["at"].endswith("Z") for entry in found["locks"])
    assert set(found["used"]) == {DIGEST, "rolling_restart-00000000000000ff"}
    lock(tmp_path).release("run-1")
    assert len(seen(tmp_path)["locks"]) == 2 and DIGEST in seen(tmp_path)["used"]


def test_a_lock_file_does_not_speak_for_another_scope(tmp_path: Path) -> None:
    lock(tmp_path).acquire("run-1", "", "")
    os.rename(tmp_path / "locks/chain:chain-1.json", tmp_path / "locks/chain:chain-2.json")
    assert [entry["scope"] for entry in seen(tmp_path)["locks"]] == ["chain:chain-2"]


def test_the_unfinished_file_of_a_killed_run_is_no_lock(tmp_path: Path) -> None:
    lock(tmp_path).acquire("run-1", "", "")
    (tmp_path / "locks/.new-x1.json").write_text("{}")
    (tmp_path / "locks/.new-x2").write_text("{}")
    assert len(seen(tmp_path)["locks"]) == 1


def test_a_look_is_bounded_and_never_shows_a_part_as_all(tmp_path: Path) -> None:
    for number in range(_host_lock.SEEN_FILES):
        lock(tmp_path, f"chain:c-{number}").acquire("run", "", "")
    assert len(seen(tmp_path)["locks"]) == _host_lock.SEEN_FILES
    lock(tmp_path, "chain:one-more").acquire("run", "", "")
    with pytest.raises(parts.PartError) as caught:
        seen(tmp_path)
    assert caught.value.kind == "too_large"


def test_the_newest_digests_of_the_newest_files_are_seen(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir(mode=0o700)
    for number in range(_host_lock.SEEN_FILES + 1):
        path = tmp_path / f"used/chain:c-{number}.used"
        path.write_text("".join(f"\nhalt-{number:08x}{line:08x} at\n" for line in range(_host_lock.SEEN_DIGESTS + 9)))
        os.utime(path, (1000 - number, 1000 - number))
    found = seen(tmp_path)["used"]
    assert len(found) == _host_lock.SEEN_FILES * _host_lock.SEEN_DIGESTS
    assert f"halt-{0:08x}{508:08x}" in found and f"halt-{0:08x}{9:08x}" in found
    assert f"halt-{0:08x}{8:08x}" not in found and not any(digest.startswith(f"halt-{64:08x}") for digest in found)
    # Whether a digest may be used is decided with all of them.
    assert len(lock(tmp_path, "chain:c-64").used()) == _host_lock.SEEN_DIGESTS + 9


def test_a_file_that_grew_large_shows_its_end(tmp_path: Path) -> None:
    lock(tmp_path).consume("halt-0000000000000000", "run-1")
    with open(tmp_path / "used/chain:chain-1.used", "a", encoding="ascii") as stream:
        stream.write("#" * 100_000)
    lock(tmp_path).consume(DIGEST, "run-1")
    assert seen(tmp_path)["used"] == [DIGEST]
    assert lock(tmp_path).used() == ["halt-0000000000000000", DIGEST]


def test_a_digest_that_is_cut_at_the_bound_is_not_shown_as_another(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir(mode=0o700)
    path = tmp_path / "used/x.used"
    for spare in range(30):
        path.write_text("\n".join(["abcdefgh-0123456789abcdef", *["#" * 99] * 499, "#" * (99 - spare)]))
        assert set(seen(tmp_path)["used"]) <= {"abcdefgh-0123456789abcdef"}, spare


def test_the_largest_lines_are_within_what_a_look_reads(tmp_path: Path) -> None:
    for number in range(_host_lock.SEEN_DIGESTS + 1):
        lock(tmp_path).consume(f"{'a' * 41}-{number:016x}", "run-1")
    assert len(seen(tmp_path)["used"]) == _host_lock.SEEN_DIGESTS


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.text(max_size=40), st.binary(max_size=400))
def test_hostile_content_is_cleaned(tmp_path: Path, raw: bytes, text: str, used: bytes) -> None:
    for folder in ("locks", "used"):
        (tmp_path / folder).mkdir(mode=0o700, exist_ok=True)
    (tmp_path / "locks/a.json").write_bytes(raw)
    hostile = {"scope": text, "owner": "\x1b]0;x\x07" + text, "who": text * 40, "at": {"a": text}, "digest": [text]}
    (tmp_path / "locks/b.json").write_text(json.dumps(hostile))
    (tmp_path / "used/b.used").write_bytes(used)
    found = seen(tmp_path)
    assert [entry["scope"] for entry in found["locks"]] == ["a", "b"]
    for entry in found["locks"]:
        assert list(entry) == KEYS and isinstance(entry["age_s"], int)
        for name in ("scope", "owner", "who", "at", "digest"):
            assert isinstance(entry[name], str) and len(entry[name]) <= 300
            assert not re.search("[\x00-\x1f\x7f-\x9f\u2028-\u202e]", entry[name])
    assert all(_host_lock.DIGEST.match(digest) for digest in found["used"])


def kind_of(root: Path) -> str:
    """The kind of error that the part of evidence has."""
    part = parts.gather({"locks": lambda: seen(root)}, time.monotonic() + 20)["locks"]
    return "" if part["ok"] else str(part["error"]["kind"])


@pytest.mark.parametrize("folder", ["locks", "used"])
def test_a_directory_that_cannot_be_trusted_is_never_no_lock(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder).chmod(0o777)
    assert kind_of(tmp_path) == ("failed" if os.geteuid() == 0 else "privilege")
    (tmp_path / folder).rmdir()
    (tmp_path / folder).write_text("")
    assert kind_of(tmp_path) == ("failed" if os.geteuid() == 0 else "privilege")


def test_digests_that_cannot_be_read_are_never_none(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir(mode=0o700)
    (tmp_path / "used/x.used").symlink_to("/dev/zero")
    assert kind_of(tmp_path) == "failed"
    os.unlink(tmp_path / "used/x.used")
    os.mkfifo(tmp_path / "used/x.used")
    assert kind_of(tmp_path) == "failed"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"scope": " ", "state": "observed"}, "must not be empty"),
        ({"scope": CHAIN, "state": "released", "owner": ""}, "must not be empty"),
        ({"scope": CHAIN, "state": "observed", "digest": DIGEST}, "goes with acquired only"),
        ({"scope": CHAIN, "state": "acquired", "owner": "a", "digest": "halt-1"}, "digest of a plan"),
        ({"scope": CHAIN, "state": "acquired"}, "owner"),
        ({"scope": CHAIN, "state": "acquired", "owner": "a", "spend": DIGEST}, "Unsupported parameters"),
        ({"chain_id": "chain-1", "state": "observed"}, "Unsupported parameters"),
        ({"state": "released", "owner": "a"}, "scope"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], text: str) -> None:
    answer = run("incident_lock", **options)
    assert answer["failed"] and text in answer["msg"]


def test_the_module_names_the_scope_and_its_files() -> None:
    free = run("incident_lock", scope="chain:no-such-chain", state="observed")
    assert (free["held"], free["held_by"], free["used_digests"]) == (False, None, [])
    assert "locks" not in free and set(run("incident_lock", state="observed")) >= {"locks", "used_digests"}
    assert free["file"] == f"{_host_lock.LOCKS}/chain:no-such-chain.json"
    taken = run("incident_lock", True, scope="chain:no-such-chain", state="acquired", owner="a", digest=DIGEST)
    assert taken["changed"] and taken["held"] and taken["used"] is False
    assert run("incident_lock", scope="chain:no-such-chain", state="observed")["held"] is False
