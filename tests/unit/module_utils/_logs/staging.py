# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose disk of logs is full, and what lies in its staging folder on another one."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import gzip as _gzip_in_place
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from ansible_collections.virtengine.incident.plugins.module_utils._logs import staged as _old_logs_staged

from tests.unit.module_utils._logs.logs import NEVER, WAL, Host, disk, text


@contextlib.contextmanager
def full_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host whose logs lie on a small disk, and the staging folder on that of the tests."""
    with disk(tmp_path / "disk", "1280k") as place:
        made = Host(place, monkeypatch)
        made.staging = tmp_path / "staging"
        monkeypatch.setattr(_old_logs_staged, "STAGING", str(made.staging))
        # That of the tests may be in memory, and holds what these need all the same.
        monkeypatch.setattr(_old_logs_staged, "VOLATILE", ())
        yield made


def logs(host: Host, number: int = 1) -> dict[str, bytes]:
    """So many logs, and no free block."""
    for one in range(1, number + 1):
        host.put(f"a.{one}", text(str(one), 70_000 * one))
    host.fill()
    return host.files()


def reach(host: Host) -> _old_logs.Reach:
    return _old_logs.Reach(str(host.home), WAL)


def smallest(host: Host) -> _gzip_in_place.File:
    """The log that is compressed first."""
    return _old_logs.find(str(host.home), WAL, time.time(), NEVER)[0]


def stage(host: Host, file: _gzip_in_place.File) -> None:
    """What a run does that is killed before it puts the copy in its place."""
    with _old_logs_staged.Staging(reach(host)) as staging:
        staging.stage(file, NEVER)


def kept(host: Host) -> dict[str, bytes]:
    """What the staging folder holds, by names."""
    return {path.name: path.read_bytes() for path in host.staging.iterdir()} if host.staging.exists() else {}


def staged(host: Host) -> dict[str, bytes]:
    """The content of each file of which a copy and its note lie in the staging folder."""
    found = {}
    for name, raw in kept(host).items():
        if name.endswith(".gz"):
            note = json.loads((host.staging / name).with_suffix(".json").read_bytes())
            found[os.path.relpath(os.path.join(note["folder"], note["name"]), host.log)] = gzip.decompress(raw)
    return found


def rewrite(host: Host, **changes: Any) -> None:
    """The staged copy with another note, under the name that this note asks for."""
    (path,) = host.staging.glob("*.json")
    note = _old_logs_staged.Note(**{**json.loads(path.read_text()), **changes})
    os.rename(path.with_suffix(".gz"), host.staging / f"{note.key}.gz")
    path.unlink()
    (host.staging / f"{note.key}.json").write_text(json.dumps(note._asdict()))


def keep_the_file(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run does that is killed before it takes the file away."""
    with monkeypatch.context() as patch:
        patch.setattr(_gzip_in_place.Place, "remove", lambda self: None)
        stage(host, smallest(host))
