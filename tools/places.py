# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are: the checkout, the cache, the collection as Ansible sees it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
NAMESPACE = "virtengine"
NAME = "incident"


def cache() -> Path:
    """The folder for what can be made again, shared by all checkouts of this user."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "virtengine-incident"


def _tree(kind: str) -> Path:
    """A folder of this checkout only: two checkouts must not see each other's collection."""
    return cache() / "trees" / hashlib.sha256(os.fsencode(REPO)).hexdigest()[:12] / kind


def linked_collections() -> Path:
    """A collections path under which this checkout is ``virtengine.incident``, by a link. Made when it is missing."""
    tree = _tree("linked")
    link = tree / "ansible_collections" / NAMESPACE / NAME
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != REPO:
        fresh = link.with_name(f".{NAME}-{os.getpid()}-{threading.get_ident()}")
        fresh.symlink_to(REPO)
        fresh.replace(link)
    return tree


def project_files() -> list[Path]:
    """The files of the checkout that Git keeps or would keep, relative to its root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPO,
        check=True,
        capture_output=True,
    ).stdout
    names = sorted({os.fsdecode(name) for name in listed.split(b"\0") if name})
    return [Path(name) for name in names if (REPO / name).is_file()]


def copied_collection() -> Path:
    """A fresh real copy of the collection: ``ansible-test`` refuses to work through a link."""
    target = _tree("copied") / "ansible_collections" / NAMESPACE / NAME
    if target.exists():
        shutil.rmtree(target)
    for name in project_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPO / name, target / name, follow_symlinks=False)
    return target
