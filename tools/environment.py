# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set-up: missing Debian packages, a Python environment for each ansible-core that we support, the dependency."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools import places

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"

# Program that must be there -> Debian package that has it. What the hosts of the test fleet need is the fleet's own
# affair (tests/fleet).
PROGRAMS = {"git": "git", "shellcheck": "shellcheck"}


class SetupError(Exception):
    """The machine lacks something; the text says what and how to get it."""


@dataclass(frozen=True)
class Core:
    """An ansible-core we support, and the minor versions of Python 3 that can run it, best first."""

    name: str
    minors: tuple[int, ...]
    required: bool

    @property
    def venv(self) -> Path:
        return places.cache() / f"venv-{self.name}"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def ready(self) -> bool:
        """Is the environment there, with everything that tests need?"""
        return _stamp(self, tests=True)[0]


FLOOR = Core("core-2.19", (11, 12, 13), required=True)
NEWEST = Core("core-newest", (13, 14, 12), required=False)
CORES = (FLOOR, NEWEST)


def variables(core: Core) -> dict[str, str]:
    """The process environment in which ansible and pytest of this core see the checkout as a collection."""
    tree = str(places.linked_collections())
    return {
        **os.environ,
        "PATH": f"{core.venv / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(core.venv),
        "ANSIBLE_COLLECTIONS_PATH": tree,
        "PYTHONPATH": tree,
        # Compiled once, and not into the checkout: each test worker would else compile everything again.
        "PYTHONPYCACHEPREFIX": str(places.cache() / "bytecode"),
        "ANSIBLE_DEVEL_WARNING": "false",
    }


def set_up(*, tests: bool) -> list[Core]:
    """Make what is missing and return the cores that are there. ``tests`` adds the tools that check the collection, and
    the collection that it depends on: the demo imports nothing of that.

    Raises SetupError with what the machine lacks. The second time this is a look at a few files.
    """
    places.cache().mkdir(parents=True, exist_ok=True)
    with _one_at_a_time():
        if tests:
            need(PROGRAMS)
        cores = CORES if tests else (FLOOR,)
        made = [core for core in cores if _make(core, tests=tests)]
        if tests:
            _fetch(places.DEPENDENCY)
        return made


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Two first runs at once would write into one environment."""
    with open(places.cache() / "setup.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def need(programs: Mapping[str, str]) -> None:
    """Install what is missing of programs (name -> Debian package). Raises SetupError where that cannot be done."""
    _install(sorted({package for name, package in programs.items() if shutil.which(name) is None}))


def _install(packages: list[str]) -> None:
    if not packages:
        return
    command = f"apt-get install {' '.join(packages)}"
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SetupError(f"missing on this machine: {', '.join(packages)} (as root on Debian: {command})")
    print(f"set-up: apt-get install {' '.join(packages)}", flush=True)
    options = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(["apt-get", *arguments], env=options, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(f"apt-get {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def _stamp(core: Core, *, tests: bool) -> tuple[bool, Path, str, list[Path]]:
    """Whether a layer of the environment is made; the file that says so, what it must say, the requirements."""
    files = [REQUIREMENTS / f"{core.name}.in"]
    if tests:
        files.append(REQUIREMENTS / f"{core.name}-tests.in")
    key = hashlib.sha256()
    for path in [*files, REQUIREMENTS / f"{core.name}.txt"]:
        key.update(path.read_bytes())
    stamp = core.venv / ("tests.stamp" if tests else "run.stamp")
    made = stamp.is_file() and stamp.read_text(encoding="utf-8") == key.hexdigest() and core.python.exists()
    return made, stamp, key.hexdigest(), files


def _make(core: Core, *, tests: bool) -> bool:
    """Make the environment of a core. False when it is optional and the machine has no Python for it."""
    made, stamp, key, files = _stamp(core, tests=tests)
    if made:
        return True
    start = time.monotonic()
    # A set-up killed half-way leaves an environment without pip: that one is made anew.
    if not _answers(str(core.python), "import pip"):
        python = _interpreter(core)
        if python is None:
            if core.required:
                wanted = ", ".join(f"3.{minor}" for minor in core.minors)
                raise SetupError(f"no Python for {core.name} on this machine; it needs one of {wanted}")
            return False
        _create(core, python)
    print(f"set-up: Python packages of {core.name} ...", end="", flush=True)
    arguments = [item for path in files for item in ("-r", str(path))]
    arguments += ["-c", str(REQUIREMENTS / f"{core.name}.txt")]
    done = subprocess.run(
        [str(core.python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(" failed", flush=True)
        raise SetupError(f"pip could not install {core.name}:\n{done.stdout}{done.stderr}")
    stamp.write_text(key, encoding="utf-8")
    print(f" {time.monotonic() - start:.0f} s", flush=True)
    return True


def _fetch(dependency: places.Dependency) -> None:
    """Take the collection out of the Python package that contains it: then the package index is all we need, no Galaxy."""
    if dependency.cached.is_dir():
        return
    start = time.monotonic()
    title = f"{dependency.namespace}.{dependency.name}"
    # One name for all runs: what a set-up killed half-way left behind is removed by the next one.
    folder = dependency.cached.with_name(f".{dependency.cached.name}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"set-up: collection {title} {dependency.version} ...", end="", flush=True)
    arguments = ["-q", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    done = subprocess.run(
        [str(FLOOR.python), "-m", "pip", "download", *arguments, dependency.package],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(" failed", flush=True)
        raise SetupError(f"pip could not download {dependency.package}:\n{done.stdout}{done.stderr}")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        inside = dependency.below(Path()).as_posix()
        package.extractall(folder, [name for name in package.namelist() if name.startswith(f"{inside}/")])
    wheel.unlink()
    unpacked = dependency.below(folder)
    manifest = unpacked / "MANIFEST.json"
    version = json.loads(manifest.read_bytes())["collection_info"]["version"] if manifest.is_file() else "no"
    if version != dependency.version:
        print(" failed", flush=True)
        raise SetupError(f"{dependency.package} contains {version} {title}, not {dependency.version}")
    unpacked.rename(dependency.cached)
    shutil.rmtree(folder)
    print(f" {time.monotonic() - start:.0f} s", flush=True)


def _create(core: Core, python: str) -> None:
    if not _answers(python, "import ensurepip"):
        # Debian keeps ensurepip in a package of its own, one for each version of Python.
        name = subprocess.run(
            [python, "-c", "import sys; print('python3.%d-venv' % sys.version_info[1])"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        _install([name])
    done = subprocess.run(
        [python, "-m", "venv", "--clear", str(core.venv)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SetupError(f"{python} could not make {core.venv}:\n{done.stdout}{done.stderr}")


def _interpreter(core: Core) -> str | None:
    """The best Python on the machine that can run this core."""
    for minor in core.minors:
        candidates = [sys.executable, shutil.which(f"python3.{minor}") or "", f"/usr/bin/python3.{minor}"]
        candidates += [str(path) for path in (Path.home() / ".pyenv/versions").glob(f"3.{minor}.*/bin/python3.{minor}")]
        for candidate in candidates:
            # A shim of a version manager can be on the path and still refuse to run.
            if candidate and _answers(candidate, f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"):
                return candidate
    return None


def _answers(python: str, code: str) -> bool:
    try:
        return subprocess.run([python, "-c", code], capture_output=True, check=False, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
