# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ``./dev``."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Mapping

from tools import bench, bench_probe, children, demo, environment, places, testing


def main(arguments: list[str]) -> int:
    """Run one command.

    Returns the exit code: 0 done, 1 something failed, 2 wrong use, 3 the machine lacks something, 130 stopped.
    """
    options = parser().parse_args(arguments)
    try:
        code: int = options.work(options)
    except environment.SetupError as error:
        print(f"\nset-up failed: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\nstopped; everything that was started has been ended", file=sys.stderr)
        return 130
    return code


def parser() -> argparse.ArgumentParser:
    """What may be typed behind ``./dev``."""
    whole = argparse.ArgumentParser(prog="./dev", description="Commands of the collection virtengine.incident.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, work: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(work=work)
        return added

    demo.add_options(add("demo", _demo, "halt a real chain on a fleet on this machine and recover it"))
    measured = add("bench", _bench, "measure the diagnosis on the fleet against plain Ansible and ssh")
    bench.add_options(measured)
    text = "without a fleet: measure chain_probe against bare fetching, on 100 and 1,000 endpoints"
    probe = measured.add_subparsers(metavar="[probe]").add_parser("probe", help=text, description=text)
    bench_probe.add_options(probe)
    probe.set_defaults(work=_bench_probe)
    test = add("test", _test, "run all checks and tests, or only some stages")
    test.add_argument(
        "stages",
        nargs="*",
        type=_stage,
        metavar="STAGE",
        help=f"any of {', '.join(testing.STAGES)}, {testing.MORE}; all but {testing.MORE} without one",
    )
    add("setup", _setup, "only the set-up that the others do by themselves; says how to use it")
    add("clean", _clean, "take fleets down and remove everything that was cached")
    return whole


def _stage(name: str) -> str:
    there = (*testing.STAGES, testing.MORE)
    if name not in there:
        raise argparse.ArgumentTypeError(f"unknown stage {name!r}; there are {', '.join(there)}")
    return name


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
    start = time.monotonic()
    cores = environment.set_up(tests=True)
    if len(cores) < len(environment.CORES):
        print("The newest ansible-core is not tested: no Python 3.12 or newer was found on this machine.", flush=True)
    return testing.run(tuple(options.stages) or testing.STAGES, cores, time.monotonic() - start)


def _demo(options: argparse.Namespace) -> int:
    return _with_ansible(demo.main, options)


def _bench(options: argparse.Namespace) -> int:
    return _with_ansible(bench.main, options)


def _bench_probe(options: argparse.Namespace) -> int:
    return _with_ansible(bench_probe.main, options)


def _with_ansible(work: Callable[[argparse.Namespace, Mapping[str, str]], int], options: argparse.Namespace) -> int:
    """Do it with the ansible-core of the supported floor first on the path."""
    environment.set_up(tests=False)
    with children.ended_with_us():
        return work(options, environment.variables(environment.FLOOR))


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
