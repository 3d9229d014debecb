# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rig needs of the machine: found out, installed where it may be, or named in one clear line each."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.fleet import cgroups
from tests.fleet.names import STATE_ROOT, cache
from tests.fleet.run import attempt, call, stage

# A program that shows that the package is there, and the package.
PACKAGES = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "nft": "nftables",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "mkfs.ext4": "e2fsprogs",
    "nsenter": "util-linux",
}
FREE_BYTES = 3 * 1024**3
MEMORY_BYTES = 2 * 1024**3


def install(packages: Iterable[str]) -> None:
    """Install Debian packages."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    call("apt-get", "update", "-qq", timeout=300, env=environment)
    call(
        "apt-get",
        "install",
        "-y",
        "-qq",
        "--no-install-recommends",
        *sorted(set(packages)),
        timeout=600,
        env=environment,
    )


def install_missing() -> None:
    """Install those of the rig's packages whose programs are not there."""
    missing = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if missing:
        with stage(f"install {' '.join(missing)}"):
            install(missing)


def _overlay(directory: Path) -> str | None:
    """Why an overlay cannot be mounted in this directory, tried for real."""
    for name in ("lower", "upper", "work", "merged"):
        (directory / name).mkdir()
    where = f"lowerdir={directory}/lower,upperdir={directory}/upper,workdir={directory}/work"
    tried = attempt(["mount", "-t", "overlay", "overlay", "-o", where, str(directory / "merged")])
    if tried.returncode:
        return f"no overlayfs on {directory.parent}: {tried.stderr.strip()}"
    call("umount", str(directory / "merged"))
    return None


def _loop(directory: Path) -> str | None:
    """Why a file cannot be mounted as a disk."""
    if not shutil.which("losetup"):
        return "no loop devices: the program losetup is missing"
    image = directory / "disk"
    with image.open("wb") as handle:
        handle.truncate(1 << 20)
    tried = attempt(["losetup", "--find", "--show", str(image)])
    if tried.returncode:
        return f"no loop devices (each host has a disk of its own): {tried.stderr.strip()}"
    call("losetup", "--detach", tried.stdout.strip())
    return None


def _namespaces() -> str | None:
    tried = attempt(["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "true"])
    if tried.returncode:
        return f"no namespaces (mount, uts, ipc, net, pid, cgroup): {tried.stderr.strip()}"
    return None


def _cgroups(directory: Path) -> str | None:
    found = cgroups.hierarchies()
    if not found:
        return "no cgroups are mounted under /sys/fs/cgroup"
    for hierarchy in found:
        probe = hierarchy.parent / f"vei-probe-{directory.name}"
        try:
            probe.mkdir()
            probe.rmdir()
        except OSError as error:
            return f"no cgroup can be made in {hierarchy.parent}: {error.strerror}"
    return None


def _room() -> list[str]:
    found = []
    for directory in (STATE_ROOT, cache()):
        directory.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(directory).free
        if free < FREE_BYTES:
            found.append(f"too little disk: {directory} has {free >> 20} MB free, {FREE_BYTES >> 20} MB are needed")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if memory < MEMORY_BYTES:
        found.append(f"too little memory: {memory >> 20} MB, {MEMORY_BYTES >> 20} MB are needed")
    return found


def missing() -> list[str]:
    """What this machine lacks, one line each; empty when it can carry hosts. Packages that apt brings do not count."""
    found = []
    release = Path("/etc/os-release")
    system = release.read_text(encoding="utf-8") if release.exists() else ""
    if "ID=debian" not in system.splitlines():
        found.append("not Debian: the hosts are made with Debian's tools and packages")
    if os.geteuid() != 0:
        found.append("not root: namespaces, mounts and cgroups of real hosts need it (nothing else was looked at)")
        return found
    found += _room()
    with tempfile.TemporaryDirectory(dir=STATE_ROOT, prefix=".probe-") as name:
        directory = Path(name)
        found += [lack for lack in (_overlay(directory), _loop(directory), _namespaces(), _cgroups(directory)) if lack]
    if not shutil.which("apt-get") and any(not shutil.which(program) for program in PACKAGES):
        absent = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
        found.append(f"no apt-get to install {' '.join(absent)}")
    return found
