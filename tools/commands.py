# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ``./dev``."""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import time

from tools import children, environment, places, testing


def main(arguments: list[str]) -> int:
    """Run one command.

    Returns the exit code: 0 done, 1 something failed, 2 wrong use, 3 the machine lacks something, 130 stopped.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.work(options)
    except environment.SetupError as error:
        print(f"\nset-up failed: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\nstopped; everything that was started has been ended", file=sys.stderr)
        return 130
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev", description="Commands of the collection virtengine.incident.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, work, text in (
        ("demo", _demo, "halt a real chain on a fleet on this machine and recover it"),
        (
            "bench",
            _bench,
            "measure the diagnosis on the fleet against plain Ansible and ssh; with probe, 1,000 endpoints",
        ),
    ):
        program = commands.add_parser(name, help=text, add_help=False)
        program.add_argument("arguments", nargs=argparse.REMAINDER)
        program.set_defaults(work=work)
    test = commands.add_parser("test", help="run all checks and tests, or only some stages")
    test.add_argument(
        "stages",
        nargs="*",
        metavar="STAGE",
        help=f"any of {', '.join(testing.STAGES)}, {testing.MORE}; all but {testing.MORE} without one",
    )
    test.set_defaults(work=_test)
    setup = commands.add_parser("setup", help="only the set-up that the others do by themselves; says how to use it")
    setup.set_defaults(work=_setup)
    clean = commands.add_parser("clean", help="take fleets down and remove everything that was cached")
    clean.set_defaults(work=_clean)
    return parser


def _setup(options: argparse.Namespace) -> int:
    start = time.monotonic()
    cores = environment.set_up(tests=True)
    print(f"set-up is complete ({time.monotonic() - start:.1f} s). To use it in a shell:")
    seen = environment.variables(environment.FLOOR)
    print(f'  export PATH="{environment.FLOOR.venv / "bin"}:$PATH"')
    for name in ("ANSIBLE_COLLECTIONS_PATH", "PYTHONPATH"):
        print(f'  export {name}="{seen[name]}"')
    if len(cores) < len(environment.CORES):
        print("The newest ansible-core is left out: no Python 3.12 or newer was found on this machine.")
    return 0


def _test(options: argparse.Namespace) -> int:
    there = (*testing.STAGES, testing.MORE)
    unknown = sorted(set(options.stages) - set(there))
    if unknown:
        print(f"unknown stage: {', '.join(unknown)}; there are {', '.join(there)}", file=sys.stderr)
        return 2
    cores = environment.set_up(tests=True)
    if len(cores) < len(environment.CORES):
        print("The newest ansible-core is not tested: no Python 3.12 or newer was found on this machine.", flush=True)
    return testing.run(tuple(options.stages) or testing.STAGES, cores)


def _demo(options: argparse.Namespace) -> int:
    return _program("tools.demo", options.arguments)


def _bench(options: argparse.Namespace) -> int:
    return _program("tools.bench", options.arguments)


def _program(module: str, arguments: list[str]) -> int:
    """Run ``main(arguments, env)`` of a module with the ansible-core of the supported floor first on the path."""
    environment.set_up(tests=False)
    with children.ended_with_us():
        code: int = importlib.import_module(module).main(arguments, environment.variables(environment.FLOOR))
    return code


def _clean(options: argparse.Namespace) -> int:
    if (places.REPO / "tests/fleet/__main__.py").is_file():
        down = [sys.executable, "-m", "tests.fleet", "down", "--all"]
        with children.ended_with_us():
            if children.run(down, env=environment.variables(environment.FLOOR), cwd=places.REPO).returncode:
                print("a fleet could not be taken down; the cache is kept", file=sys.stderr)
                return 1
    shutil.rmtree(places.cache(), ignore_errors=True)
    print(f"removed {places.cache()}")
    return 0
