# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with folders of logs, and a node that is down."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._logs import compress as _old_logs_compress
from ansible_collections.virtengine.incident.plugins.module_utils._logs import find as _old_logs
from ansible_collections.virtengine.incident.plugins.module_utils._logs import staged

from tests.unit.module_utils._node.test_acting import Systemd

UNIT = "virtengine.service"
DAY = 86400
NEVER = float("inf")
PLENTY = 2**62
WAL = "data/cs.wal/wal"


def text(seed: str, size: int = 70_000) -> bytes:
    return (f"{seed} INF committed state height=208 module=state\n".encode() * (size // 40 + 1))[:size]


class Host:
    """A host with a node that is down, and folders of logs."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.systemd = Systemd(tmp_path, monkeypatch)
        self.home = tmp_path / "home"
        self.log = tmp_path / "log"
        self.proc = tmp_path / "proc"
        (self.proc / "1/fd").mkdir(parents=True)
        (self.proc / "1/stat").touch()
        for name in ("VAR_LOG", "PROC"):
            monkeypatch.setattr(_old_logs, name, str(self.log if name == "VAR_LOG" else self.proc))
        self.staging = tmp_path / "staging"
        monkeypatch.setattr(staged, "STAGING", str(self.staging))
        self.systemd.argv = ["/usr/bin/virtengine", "start", "--home", str(self.home)]
        self.clear()

    def clear(self) -> None:
        for folder in (self.home, self.log):
            shutil.rmtree(folder, ignore_errors=True)
        for path in (self.home / "data/cs.wal", self.home / "config", self.home / "logs", self.log):
            path.mkdir(parents=True)

    def put(self, name: str, content: bytes, age: float = 2 * DAY, root: Path | None = None) -> Path:
        path = (root or self.log) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        moment = time.time_ns() - int(age * 1e9)
        os.utime(path, ns=(moment, moment))
        return path

    def find(self, until: float = NEVER, wal: str | None = WAL) -> list[str]:
        found = _old_logs.find(str(self.home), wal, time.time(), until)
        return [os.path.relpath(file.path, self.log.parent) for file in found]

    def read(self) -> dict[str, Any]:
        return _old_logs.read(str(self.home), WAL, time.time(), NEVER)

    def compress(
        self, run: str = "run-1", enough: int = PLENTY, seconds: float = 60, check: bool = False
    ) -> dict[str, Any]:
        return _old_logs_compress.compress(UNIT, None, run, enough, seconds, check)

    def fill(self, leave: int = 0) -> None:
        """Use up the disk of the node's data, but for so many bytes."""
        with open(self.home / "data/state.db", "ab") as stream:
            stream.write(bytes(max(_old_logs.free(str(self.home / "data")) - leave, 0)))

    def files(self) -> dict[str, bytes]:
        return {str(path.relative_to(self.log)): path.read_bytes() for path in self.log.rglob("*") if path.is_file()}


@contextlib.contextmanager
def disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of that size, mounted there."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    made = subprocess.run(command, check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"needs the right to mount: {made.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def restored(files: dict[str, bytes]) -> dict[str, bytes]:
    """What is there once every copy is unpacked."""
    found = {name: content for name, content in files.items() if not name.endswith(".gz")}
    for name, content in files.items():
        if name.endswith(".gz"):
            original = name[: name.rindex(".incident-")]
            unpacked = gzip.decompress(content)
            assert found.setdefault(original, unpacked) == unpacked
    return found
