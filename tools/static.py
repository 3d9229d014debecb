# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that read the code and run none of it: style, types, documentation, ansible-lint, ansible-test sanity."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tools import children, places
from tools.environment import FLOOR, variables

# ansible-test of this core wants a get-pip script under this name, see tools/get_pip.py.
GET_PIP = "get_pip_24_2.py"

ANSIBLE_LINT = ("ansible-lint", "--offline", "--profile=production", "--strict", "-q", "--nocolor", "--format=pep8")
DOCUMENTATION = ("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs=self", ".")

COLLECTION = f"ansible_collections.{places.NAMESPACE}.{places.NAME}"


@dataclass(frozen=True)
class Outcome:
    """What a check said. ``text`` is shown when it failed, ``note`` always."""

    passed: bool
    text: str
    note: str = ""


@dataclass(frozen=True)
class Check:
    """One check: the stage it belongs to, its name, and how to run it."""

    stage: str
    name: str
    work: Callable[[], Outcome]


def checks(stages: set[str]) -> list[Check]:
    """The checks of these stages (``lint``, ``sanity``), longest first so that two cores finish together."""
    python_paths = [path for path in ("tools", "tests/fleet") if (places.REPO / path).is_dir()]
    lint = [
        Check("lint", "ansible-lint", _tool(*ANSIBLE_LINT)),
        Check("lint", "antsibull-docs", _tool(*DOCUMENTATION)),
        Check("lint", "mypy plugins", _mypy_plugins),
        Check("lint", "mypy tools, tests/fleet", _tool("mypy", *python_paths)),
        Check("lint", "antsibull-changelog", _tool("antsibull-changelog", "lint")),
        Check("lint", "ruff check", _tool("ruff", "check", "-q", "--no-cache", "--output-format=concise")),
        Check("lint", "ruff format", _tool("ruff", "format", "-q", "--check", "--no-cache", "--output-format=concise")),
    ]
    chain = places.REPO / "tests/fleet/chain"
    if (chain / "go.mod").is_file() and shutil.which("gofmt"):
        lint.append(Check("lint", "gofmt", lambda: _gofmt(chain)))
    known = [Check("sanity", "ansible-test sanity", _sanity), *lint]
    return [check for check in known if check.stage in stages]


def run(todo: list[Check]) -> Iterator[tuple[Check, Outcome, float]]:
    """Run the checks, as many at once as the machine has cores; yield each when it is done, with its seconds."""

    def timed(check: Check) -> tuple[Check, Outcome, float]:
        start = time.monotonic()
        return check, check.work(), time.monotonic() - start

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        try:
            for future in as_completed([pool.submit(timed, check) for check in todo]):
                yield future.result()
        except BaseException:
            children.end_all()
            pool.shutdown(cancel_futures=True)
            raise


def _tool(*arguments: str, cwd: Path = places.REPO, **extra: str) -> Callable[[], Outcome]:
    def work() -> Outcome:
        env = {**variables(FLOOR), "MYPY_CACHE_DIR": str(places.cache() / "mypy"), **extra}
        done = children.run(arguments, env=env, cwd=cwd, capture=True)
        return Outcome(done.returncode == 0, done.stdout)

    return work


def _mypy_plugins() -> Outcome:
    """Types of the plugins under the names they are imported by, which exist only on a collections path."""
    tree = places.linked_collections()
    settings = str(places.REPO / "pyproject.toml")
    cache = str(places.cache() / "mypy-plugins")
    command = ("mypy", "--config-file", settings, "-p", f"{COLLECTION}.plugins")
    return _tool(*command, cwd=tree, MYPYPATH=str(tree), MYPY_CACHE_DIR=cache)()


def _gofmt(chain: Path) -> Outcome:
    done = children.run(["gofmt", "-l", "."], env=os.environ, cwd=chain, capture=True)
    return Outcome(done.returncode == 0 and not done.stdout.strip(), done.stdout)


def _sanity() -> Outcome:
    """All sanity tests of ansible-test, without containers, in a real copy of the collection."""
    home = places.cache() / "ansible-test"
    helper = home / ".ansible/test/cache" / GET_PIP
    helper.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).with_name("get_pip.py"), helper)
    settings = home / ".config"
    if not settings.is_symlink():
        # The user's pip settings still count, though what ansible-test caches stays out of the user's home.
        settings.symlink_to(Path.home() / ".config")
    version = next((FLOOR.venv / "lib").glob("python3.*")).name.removeprefix("python")
    env = variables(FLOOR)
    del env["PYTHONPATH"], env["ANSIBLE_COLLECTIONS_PATH"], env["PYTHONPYCACHEPREFIX"]
    env["HOME"] = str(home)
    command = ["ansible-test", "sanity", "--local", "--python", version, "--color", "no"]
    done = children.run(command, env=env, cwd=places.copied_collection(), capture=True)
    ran = re.findall(r'^Running sanity test "([^"]+)"', done.stdout, re.MULTILINE)
    not_run = re.findall(r"^WARNING: (.*[Ss]kip.*)$", done.stdout, re.MULTILINE)
    note = f"{len(ran)} tests: {', '.join(ran)}" + "".join(f"\nnot run: {line}" for line in not_run)
    return Outcome(done.returncode == 0 and bool(ran), done.stdout, note)
