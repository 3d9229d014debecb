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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Dependency:
    """A collection that ours imports, and the Python package that contains it in this version."""

    namespace: str
    name: str
    version: str
    package: str

    def below(self, tree: Path) -> Path:
        """Where the collection is below a collections path."""
        return tree / "ansible_collections" / self.namespace / self.name

    @property
    def cached(self) -> Path:
        """The copy that the set-up keeps. The folder is only there when it is complete."""
        return cache() / "collections" / f"{self.namespace}.{self.name}-{self.version}"


# The oldest version that galaxy.yml allows: what runs with it runs with what an older controller has.
DEPENDENCY = Dependency("community", "postgresql", "4.2.0", package="ansible==12.3.0")


def link_dependency(tree: Path) -> None:
    """Show the dependency below a collections path, by a link. The demo runs without it, so it may not be there."""
    if DEPENDENCY.cached.is_dir():
        _link(DEPENDENCY.below(tree), DEPENDENCY.cached)


def _link(link: Path, target: Path) -> None:
    """Make the link where it is missing or leads elsewhere; others may do the same at the same time."""
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != target:
        fresh = link.with_name(f".{link.name}-{os.getpid()}-{threading.get_ident()}")
        fresh.symlink_to(target)
        fresh.replace(link)


def linked_collections() -> Path:
    """A collections path under which this checkout is ``virtengine.incident``, by a link. Made when it is missing."""
    tree = _tree("linked")
    _link(tree / "ansible_collections" / NAMESPACE / NAME, REPO)
    link_dependency(tree)
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
    tree = _tree("copied")
    link_dependency(tree)
    target = tree / "ansible_collections" / NAMESPACE / NAME
    if target.exists():
        shutil.rmtree(target)
    for name in project_files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPO / name, target / name, follow_symlinks=False)
    return target
