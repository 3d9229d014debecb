# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts' roots: Debian bases, made once and shared by all, and thin layers that make them hosts of a rig."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fleet.names import cache
from tests.fleet.run import BOUND, call, stage

SUITE = "bookworm"
PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,python3,python3-apt,iproute2,iptables,nftables,procps,iputils-ping,"
    "sudo,kmod,ca-certificates,curl,netcat-openbsd,e2fsprogs"
)
# A database host has these as well. Debian makes a cluster when it installs PostgreSQL; each host has one of its own.
DATABASE_PACKAGES = "postgresql,pgbouncer,python3-psycopg2"
NO_CLUSTER = 'chroot "$1" pg_dropcluster 15 main'
# Timers and terminals that a container does not need; each would cost start-up time or fail.
MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "console-getty.service",
    "getty@.service",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
)
NODE_USER = "virtengine"
NODE_UID = 990
NODE_HOME = "/var/lib/virtengine"
UNIT = "virtengine.service"
INIT = "/usr/local/sbin/fleet-init"

# PID 1 of a host on cgroup version 1: systemd-nspawn mounts the controllers read-only; this host's own part (it has a
# cgroup namespace of its own) is made writable so that MemoryMax=, TasksMax= and CPUQuota= take effect.
INIT_SCRIPT = """#!/bin/sh
for c in memory cpu cpuacct cpu,cpuacct pids cpuset blkio devices freezer; do
  [ -d /sys/fs/cgroup/$c ] && mount -o remount,bind,rw /sys/fs/cgroup/$c 2>/dev/null
done
exec /lib/systemd/systemd "$@"
"""

UNIT_FILE = """[Unit]
Description=VirtEngine node
Wants=network-online.target
After=network-online.target

[Service]
Type=simple
User={user}
ExecStart=/usr/bin/virtengine start --home {home}/.virtengine --log_no_color
Restart=on-failure
RestartSec={restart_sec}
LimitNOFILE=16384

[Install]
WantedBy=multi-user.target
"""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def base() -> Path:
    """The base root of the chain's hosts: made on the first call (about 40 s), shared and never written to later."""
    return _base("base", "make the hosts' base root from Debian packages (once)", PACKAGES)


def database_base() -> Path:
    """The base root of database hosts, made in the same way (about 90 s)."""
    doing = "make the database hosts' base root from Debian packages (once)"
    return _base("database-base", doing, f"{PACKAGES},{DATABASE_PACKAGES}", f"--customize-hook={NO_CLUSTER}")


def _base(name: str, doing: str, packages: str, *options: str) -> Path:
    key = hashlib.sha256(" ".join((SUITE, packages, os.uname().machine, *options)).encode()).hexdigest()[:12]
    root = cache() / f"{name}-{key}"
    with exclusive(cache() / f"{name}.lock"):
        if root.is_dir():
            return root
        with stage(doing):
            made = cache() / f"{name}-{key}.part"
            if made.exists():
                shutil.rmtree(made)
            call(
                *BOUND,
                "mmdebstrap",
                "--variant=minbase",
                f"--include={packages}",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=force-unsafe-io",
                '--aptopt=Acquire::Languages "none"',
                *options,
                "--format=directory",
                SUITE,
                str(made),
                timeout=900,
            )
            for key_file in (made / "etc/ssh").glob("ssh_host_*"):
                key_file.unlink()
            made.rename(root)
    return root


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def layer(root: Path, public_key: str) -> None:
    """Write what is between the base and every host: settings and the rig's ssh key."""
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")
    write(root / "etc/systemd/journald.conf.d/fleet.conf", "[Journal]\nStorage=persistent\n")
    write(root / "etc/ssh/sshd_config.d/fleet.conf", "UseDNS no\nMaxStartups 100:30:200\n")
    (root / "root").mkdir(mode=0o700)
    write(root / "root/.ssh/authorized_keys", public_key, 0o600)
    (root / "root/.ssh").chmod(0o700)
    write(root / INIT.lstrip("/"), INIT_SCRIPT, 0o755)


def node_layer(root: Path, base_root: Path, restart_sec: int) -> None:
    """Add the node's unit and user to a layer."""
    units = root / "etc/systemd/system"
    write(units / UNIT, UNIT_FILE.format(user=NODE_USER, home=NODE_HOME, restart_sec=restart_sec))
    (units / "multi-user.target.wants").mkdir()
    (units / "multi-user.target.wants" / UNIT).symlink_to(f"/etc/systemd/system/{UNIT}")
    passwd = (base_root / "etc/passwd").read_text(encoding="utf-8")
    write(root / "etc/passwd", f"{passwd}{NODE_USER}:x:{NODE_UID}:{NODE_UID}::{NODE_HOME}:/bin/sh\n")
    group = (base_root / "etc/group").read_text(encoding="utf-8")
    write(root / "etc/group", f"{group}{NODE_USER}:x:{NODE_UID}:\n")
    (root / NODE_HOME.lstrip("/")).mkdir(parents=True)
