# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host: its disk and root, its power, and a way in that needs no network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fleet import cgroups, image, network
from tests.fleet.names import Names
from tests.fleet.run import PATIENCE_S, Failed, attempt, call

DISK_BYTES = 2 * 1024**3
# A node has some hundred files. With few inodes a disk without a free one is made in a moment.
INODES = 8192
DISK_OPTIONS = "loop,noatime"
SUPERVISOR = Path(__file__).with_name("supervisor.py")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}


class Box:
    """The host called ``name`` of a rig. It keeps no state of its own: everything is read from the machine."""

    def __init__(self, names: Names, name: str) -> None:
        self.names = names
        self.name = name
        self.machine = names.machine(name)
        self.directory = names.host_dir(name)
        self.disk = self.directory / "disk"
        self.home = self.disk / ".virtengine"

    # Making

    def make(
        self, lowers: Sequence[Path], address: str, hosts_file: str, mount_point: str, owner: tuple[int, int]
    ) -> str:
        """Make disk, root and network; returns the host's public ssh key.

        ``mount_point``, ``owner``: where the host sees its disk, and user and group that own it.
        """
        upper = self.directory / "upper"
        for path in (upper / "etc/ssh", self.directory / "work", self.directory / "root", self.disk):
            path.mkdir(parents=True)
        (upper / "etc/hostname").write_text(f"{self.name}\n", encoding="utf-8")
        (upper / "etc/machine-id").write_text(f"{os.urandom(16).hex()}\n", encoding="utf-8")
        (upper / "etc/hosts").write_text(hosts_file, encoding="utf-8")
        key = upper / "etc/ssh/ssh_host_ed25519_key"
        call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(key))
        self._make_disk(owner)
        (self.directory / "mount-point").write_text(mount_point, encoding="utf-8")
        lower = ":".join(map(str, lowers))
        where = f"lowerdir={lower},upperdir={upper},workdir={self.directory}/work"
        call("mount", "-t", "overlay", "overlay", "-o", where, str(self.directory / "root"))
        network.join(self.names, self.name, address)
        return " ".join(key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2])

    def _make_disk(self, owner: tuple[int, int]) -> None:
        picture = self.directory / "disk.img"
        with picture.open("wb") as handle:
            handle.truncate(DISK_BYTES)
        # No blocks are kept back for root: a full disk is full for everybody.
        call("mkfs.ext4", "-q", "-F", "-m", "0", "-N", str(INODES), "-E", "nodiscard", str(picture))
        call("mount", "-o", DISK_OPTIONS, str(picture), str(self.disk))
        os.chown(self.disk, *owner)

    def install_home(self, made: Path) -> None:
        """Move a node's home onto the disk."""
        shutil.copytree(made, self.home)
        self.own(self.home)

    def remount(self, option: str) -> None:
        """Remount the disk, for the host as well: both see one file system."""
        call("mount", "-o", f"remount,{option}", str(self.disk))

    def disk_error(self) -> None:
        """Let the kernel meet an error on this disk, and wait until it did what the mount options say."""
        device = call("findmnt", "--noheadings", "--output", "SOURCE", str(self.disk)).strip()
        trigger = Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error")
        if not trigger.exists():
            raise Failed(f"this kernel makes no errors of file systems on demand: there is no {trigger}")
        # What a young rig wrote is still in memory, and would be lost; on a server it is long on the disk.
        call("sync", "--file-system", str(self.disk))
        trigger.write_text("1", encoding="utf-8")
        probe = self.disk / "probe"
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                probe.touch()
            except OSError:
                return
            probe.unlink()
            time.sleep(0.1)
        raise Failed(f"{self.name}: its disk still takes files {PATIENCE_S} s after an error")

    def repair_disk(self) -> None:
        """With the power off: check the disk, and mount it as it was made.

        A copy takes its place. The other hosts' mount namespaces still hold the old one, so its file system, which
        an error made read-only for good, would be mounted again.
        """
        signed = self.home / "data/priv_validator_state.json"
        newest = signed.read_bytes() if signed.exists() else None
        call("umount", str(self.disk))
        picture, copy = self.directory / "disk.img", self.directory / "disk.img.copy"
        call("cp", "--sparse=always", str(picture), str(copy))
        # 1 says that errors were corrected.
        checked = attempt(["e2fsck", "-f", "-y", str(copy)], 60)
        if checked.returncode > 1:
            raise Failed(f"{self.name}: its disk cannot be repaired: {checked.stdout.strip()[-500:]}")
        copy.replace(picture)
        call("mount", "-o", DISK_OPTIONS, str(picture), str(self.disk))
        # What was not written out when the error came is lost, but not what was signed.
        if newest is not None and (not signed.exists() or signed.read_bytes() != newest):
            signed.write_bytes(newest)
            self.own(signed)

    def install_binary(self, layer: Path) -> None:
        """Put the binary of another build into the host's root; a running process keeps its own."""
        target = self.directory / "root/usr/bin/virtengine"
        part = target.with_suffix(".part")
        shutil.copy2(layer / "usr/bin/virtengine", part)
        part.replace(target)

    def own(self, path: Path) -> None:
        """Give a path and all below it to the node's user."""
        call("chown", "-R", f"{image.NODE_UID}:{image.NODE_UID}", str(path))

    # Power

    def _pid(self, name: str) -> int | None:
        """A recorded process, when it still is the one that was recorded."""
        try:
            pid = int((self.directory / name).read_text(encoding="utf-8"))
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        ours = (f"--machine={self.machine}".encode(), f"{self.directory}/boot.json".encode())
        return pid if any(argument in ours for argument in arguments) else None

    def init(self) -> int | None:
        """PID 1 of the host as this machine numbers it; ``None`` when the power is off."""
        container = self._pid("container.pid")
        if container is None:
            return None
        try:
            children = Path(f"/proc/{container}/task/{container}/children").read_text(encoding="utf-8").split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def cgroups(self) -> list[Path]:
        boot = json.loads((self.directory / "boot.json").read_text(encoding="utf-8"))
        return [Path(path) for path in boot["cgroups"]]

    def power_on(self) -> None:
        """Start the host; its disk is as it was left. One that runs is left alone."""
        if self._pid("supervisor.pid") is not None:
            return
        command = [
            "systemd-nspawn",
            "--quiet",
            f"--directory={self.directory / 'root'}",
            f"--machine={self.machine}",
            f"--hostname={self.name}",
            f"--bind={self.disk}:{(self.directory / 'mount-point').read_text(encoding='utf-8')}",
            f"--network-namespace-path=/run/netns/{self.machine}",
            "--register=no",
            "--keep-unit",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--kill-signal=SIGRTMIN+3",
            "--console=pipe",
            "--capability=CAP_NET_ADMIN,CAP_SYSLOG",
            image.INIT,
        ]
        boot = {"command": command, "cgroups": [str(path) for path in cgroups.directories(self.machine)]}
        (self.directory / "boot.json").write_text(json.dumps(boot, indent=1), encoding="utf-8")
        with (self.directory / "supervisor.log").open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-I", str(SUPERVISOR), str(self.directory / "boot.json")],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.directory / "supervisor.pid").write_text(str(started.pid), encoding="utf-8")
        # While the kernel still loads the program, the process has no arguments to know it by.
        while self._pid("supervisor.pid") is None and started.poll() is None:
            time.sleep(0.01)

    def power_cut(self, seconds: float = PATIENCE_S) -> None:
        """Kill PID 1, as if the plug were pulled."""
        init = self.init()
        if init is None:
            return
        os.kill(init, signal.SIGKILL)
        deadline = time.monotonic() + seconds
        while self._pid("supervisor.pid") is not None:
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: still runs {seconds:g} s after its PID 1 was killed")
            time.sleep(0.05)

    def wait_ready(self, seconds: float = PATIENCE_S) -> None:
        """Until sshd takes connections."""
        deadline = time.monotonic() + seconds
        why = f"no sshd after {seconds:g} s"
        while time.monotonic() < deadline:
            if self.init() is not None and self.run(["systemctl", "is-active", "--quiet", "ssh"]).returncode == 0:
                return
            if self._pid("supervisor.pid") is None:
                why = "its container ended"
                break
            time.sleep(0.2)
        console = (
            (self.directory / "console.log").read_bytes()[-1500:] if (self.directory / "console.log").exists() else b""
        )
        log = (self.directory / "supervisor.log").read_bytes()[-500:]
        raise Failed(f"{self.name}: {why}. Its console: {(console + log).decode(errors='replace')}")

    # Inside

    def run(self, command: Sequence[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program on the host as root through its namespaces, with or without a network."""
        init = self.init()
        if init is None:
            return subprocess.CompletedProcess(command, 125, "", f"{self.name} is off")
        enter = ["nsenter", "--target", str(init), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
        clean = ["/usr/bin/env", "-i", *(f"{key}={value}" for key, value in ENVIRONMENT.items())]
        return attempt([*enter, "--", *clean, *command], timeout)

    def must(self, *command: str, timeout: float = PATIENCE_S) -> str:
        """Standard output of a program on the host that must succeed."""
        done = self.run(command, timeout)
        if done.returncode:
            raise Failed(f"{self.name}: {' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
        return done.stdout

    def show(self, *properties: str, unit: str = image.UNIT) -> dict[str, str]:
        """Properties of a unit (default: the node's); empty when the host does not answer."""
        done = self.run(["systemctl", "show", unit, f"--property={','.join(properties)}"])
        return (
            dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line) if not done.returncode else {}
        )

    def rpc(self, method: str, timeout: int = 10) -> dict[str, object] | None:
        """The ``result`` of an RPC call of the node; ``None`` when there is no good answer."""
        done = self.run(["curl", "-s", "-m", str(timeout), f"http://127.0.0.1:26657/{method}"], timeout + 5)
        try:
            result = json.loads(done.stdout)["result"]
        except (ValueError, KeyError, TypeError):
            return None
        return result if isinstance(result, dict) else None
