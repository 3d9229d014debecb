# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old log files: a staging folder in which something lies that is not what a run left."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import gzip as _gzip_in_place
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from ansible_collections.virtengine.incident.plugins.module_utils._logs import staged as _old_logs_staged

from tests.unit.module_utils._logs.logs import WAL, Host, restored, text
from tests.unit.module_utils._logs.staging import full_host, kept, logs, reach, rewrite, smallest, stage, staged

SUFFIX = ".incident-run-1.gz"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with full_host(tmp_path, monkeypatch) as made:
        yield made


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"folder": "/etc"}, "no place of an old log"),
        ({"folder": "{log}/../victim"}, "no place of an old log"),
        ({"folder": "{log}-victim"}, "no place of an old log"),
        ({"folder": "{home}/data"}, "no place of an old log"),
        ({"name": "../a.1"}, "no place of an old log"),
        ({"name": "shadow"}, "no place of an old log"),
        ({"name": "a\0.1"}, "cannot be read"),
        ({"name": "\ud800.1"}, "cannot be read"),
        ({"sha256": "x"}, "cannot be read"),
        ({"size": True}, "cannot be read"),
    ],
)
def test_a_note_that_points_elsewhere_is_refused(host: Host, changes: dict[str, Any], why: str) -> None:
    logs(host, 2)
    stage(host, smallest(host))
    places = {"log": host.log, "home": host.home}
    rewrite(
        host, **{key: value.format(**places) if isinstance(value, str) else value for key, value in changes.items()}
    )
    (name,) = (name for name in kept(host) if name.endswith(".gz"))
    before = kept(host), host.files()
    with pytest.raises(_old_logs.Refused, match=f"{host.staging}/{name} .*{why}"):
        host.compress()
    assert (kept(host), host.files()) == before


@pytest.mark.parametrize("harm", ["gone", "half", "list", "other", "link", "folder"])
def test_a_copy_without_a_sound_note_is_refused(host: Host, harm: str) -> None:
    logs(host, 2)
    stage(host, smallest(host))
    (note,) = host.staging.glob("*.json")
    raw = note.read_bytes()
    note.unlink()
    if harm in ("half", "list"):
        note.write_bytes(raw[:50] if harm == "half" else b"[1]")
    elif harm == "other":
        os.rename(note.with_suffix(".gz"), host.staging / f"{'0' * 16}.gz")
        (host.staging / f"{'0' * 16}.json").write_bytes(raw)
    elif harm == "link":
        (host.log.parent / "note").write_bytes(b"")
        note.symlink_to(host.log.parent / "note")
    elif harm == "folder":
        note.mkdir()
    found = host.files()
    with pytest.raises(_old_logs.Refused, match="A person decides"):
        host.compress()
    assert host.files() == found and len(list(host.staging.glob("*.gz"))) == 1


def test_what_cannot_go_to_its_place_stays_and_goes_no_other_way(host: Host) -> None:
    before = logs(host)
    (host.home / "data/state.db").unlink()
    stage(host, smallest(host))

    def why() -> str:
        done = host.compress(enough=1)
        assert not done["changed"] and staged(host) == before
        return str(done["staged"][0])

    victim = host.home / "victim"
    os.rename(host.log, victim)
    assert "No such file" in why()
    host.log.symlink_to(victim)
    with pytest.raises(_old_logs.Refused):
        # What the root of the logs is a link to is none, and nothing of it is under a root.
        rewrite(host, folder=str(victim))
        host.compress(enough=1)
    rewrite(host, folder=str(host.log))
    assert "stays: the system said" in why() and os.listdir(victim) == []
    host.log.unlink()
    host.log.mkdir()
    (host.log / f"a.1{SUFFIX}").write_bytes(b"another")
    assert "the name of its copy is taken" in why()
    (host.log / f"a.1{SUFFIX}").unlink()
    (copy,) = host.staging.glob("*.gz")
    raw = copy.read_bytes()
    copy.write_bytes(gzip.compress(text("other")))
    done = host.compress(enough=1)
    assert "does not hold what its note says" in done["staged"][0] and host.files() == {} and copy.exists()
    copy.write_bytes(raw)
    assert host.compress(enough=1)["staged"] == [] and restored(host.files()) == before


def test_no_copy_goes_where_no_log_is_taken_from(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    before = logs(host)
    (host.home / "data/state.db").unlink()
    stage(host, smallest(host))
    among = str(host.log / "cs.wal/wal")
    for folder, wal, why in (
        ("journal/0f", WAL, "belongs to journald"),
        ("cs.wal/inner", among, "or write-ahead log"),
        ("cs.wal/inner", None, "not known"),
    ):
        (host.log / folder).mkdir(parents=True, exist_ok=True)
        rewrite(host, folder=str(host.log / folder))
        place = _old_logs.Reach(str(host.home), wal)
        with _old_logs_staged.Staging(place) as staging:
            (said,) = staging.finish(SUFFIX, False).waiting
        assert why in said
    with monkeypatch.context() as patch:
        patch.setattr(_old_logs, "data_folder", lambda home: "/proc")
        with _old_logs_staged.Staging(reach(host)) as staging:
            (said,) = staging.finish(SUFFIX, False).waiting
    assert "not on the disk of the node's data" in said and host.files() == {}
    assert list(staged(host).values()) == list(before.values())


def test_a_copy_of_another_node_and_files_of_others_are_left_alone(host: Host) -> None:
    logs(host)
    stage(host, smallest(host))
    rewrite(host, home="/somewhere/else", folder="/etc")
    (host.staging / "README").write_bytes(b"")
    names = sorted(kept(host))
    (host.staging / f"{'1' * 16}.json").write_bytes(b"of a copy that is in its place")
    (host.staging / f"{'2' * 16}.gz{_gzip_in_place.UNFINISHED}").write_bytes(b"half")
    done = host.compress()
    assert done["staged"] == [] and sorted(kept(host)) == names and len(names) == 3
