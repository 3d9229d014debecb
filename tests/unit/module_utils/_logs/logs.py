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
from ansible_collections.virtengine.incident.plugins.module_utils._logs import compress, find

from tests.unit.module_utils._node.test_acting import Systemd

UNIT = "virtengine.service"
DIGEST, OTHER = "halt-0123456789abcdef", "halt-fedcba9876543210"
SUFFIX = f".incident-{DIGEST}.gz"
DAY = 86400
PLENTY = 2**62
WAL = "data/cs.wal/wal"


def text(seed: str, size: int = 70_000) -> bytes:
    return (f"{seed} INF committed state height=208 module=state\n".encode() * (size // 40 + 1))[:size]


class Host:
    """A host with a node that is down, and folders of logs."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.systemd = Systemd(tmp_path, monkeypatch)
        self.patch = monkeypatch
        self.home = tmp_path / "home"
        self.log = tmp_path / "log"
        self.proc = tmp_path / "proc"
        (self.proc / "1/fd").mkdir(parents=True)
        for name in ("VAR_LOG", "PROC"):
            monkeypatch.setattr(find, name, str(self.log if name == "VAR_LOG" else self.proc))
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

    def find(self, wal: str | None = WAL) -> list[str]:
        found = find.find(str(self.home), wal, time.time())
        return [os.path.relpath(log.path, self.log.parent) for log in found]

    def read(self) -> dict[str, Any]:
        return find.read(str(self.home), WAL, time.time())

    def compress(self, digest: str = DIGEST, enough: int = PLENTY, check: bool = False) -> dict[str, Any]:
        self.patch.setattr(compress, "ENOUGH_BYTES", enough)
        return compress.compress(UNIT, None, digest, check)

    def undo(self, digest: str = DIGEST) -> None:
        """As the module and the plan tell a person to."""
        roots = [str(root) for root in (self.log, self.home / "log", self.home / "logs") if root.exists()]
        copies = ["-name", f"*.incident-{digest}.gz", "-exec", "gzip", "-dN", "{}", "+"]
        subprocess.run(["find", *roots, *copies], check=True, stdin=subprocess.DEVNULL)

    def fill(self, leave: int = 0) -> None:
        """Use up the disk of the node's data, but for so many bytes."""
        with open(self.home / "data/state.db", "ab") as stream:
            stream.write(bytes(max(shutil.disk_usage(self.home / "data").free - leave, 0)))

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
