# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a page tells to type is what the programs take. Nothing is run."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import io
import re
import shlex
from collections.abc import Callable, Iterator

import yaml
from ansible.cli.playbook import PlaybookCLI

from tests.fleet import __main__ as fleet
from tests.recorded import confusion, recorder, tabulator
from tools import commands, places

COLLECTION = f"{places.NAMESPACE}.{places.NAME}."
PYTHON = ("python", "python3")
# The programs that take arguments. Any other module below tests takes none.
PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "tests.fleet": fleet.parser,
    "tests.recorded.matrix": confusion.parser,
    "tests.recorded.record": recorder.parser,
    "tests.recorded.table": tabulator.parser,
}
_INNER = re.compile(r"\$\(([^()]*)\)")
_SEPARATOR = re.compile(r"\s(?:&&|\|\||\|)\s|;\s")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_NAME = re.compile(r"(?:^|[\s{,])['\"]?(\w+)['\"]?\s*[=:]")


@functools.cache
def variables() -> frozenset[str]:
    """Every variable that a role documents."""
    found: set[str] = set()
    for path in (places.REPO / "roles").glob("*/meta/argument_specs.yml"):
        specs = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]
        found.update(name for spec in specs.values() for name in spec.get("options") or {})
    return frozenset(found)


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a shell line, also of those inside ``$(...)``; nothing where it is no shell line."""
    for inner in _INNER.findall(line):
        yield from simple_commands(inner)
    for part in _SEPARATOR.split(_INNER.sub("VALUE", line)):
        try:
            words = shlex.split(part, comments=True)
        except ValueError:
            continue
        while words and (words[0] == "$" or _ASSIGNMENT.match(words[0])):
            words.pop(0)
        if words:
            yield words


def problems(line: str) -> list[str]:
    """What is wrong with the commands of a line that are ours to check."""
    return [said for words in simple_commands(line) for said in _problems(words)]


def _problems(words: list[str]) -> list[str]:
    program, arguments = words[0], words[1:]
    # A program that is only named is no command line.
    if program == "./dev" and arguments:
        return _refused(commands.parser(), arguments)
    if program in PYTHON and arguments[:1] == ["-m"] and arguments[1:] and arguments[1].startswith("tests"):
        return _of_module(arguments[1], arguments[2:])
    if program == "ansible-playbook" and arguments:
        return _of_playbook(words)
    if program == "-e":
        return _of_extra_variables(arguments[::2])
    return []


def _refused(parser: argparse.ArgumentParser, arguments: list[str]) -> list[str]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            parser.parse_args(arguments)
        except SystemExit as end:
            # --help ends the program as well, with 0.
            if end.code != 0:
                return [said.getvalue().strip()]
    return []


def _of_module(module: str, arguments: list[str]) -> list[str]:
    if module not in PARSERS and importlib.util.find_spec(module) is None:
        return [f"there is no module {module}"]
    if module in PARSERS:
        return _refused(PARSERS[module](), arguments) if arguments else []
    return [f"{module} takes no arguments"] if arguments else []


def _of_playbook(words: list[str]) -> list[str]:
    cli = PlaybookCLI(words)
    cli.init_parser()
    refused = _refused(cli.parser, words[1:])
    if refused:
        return refused
    options = cli.parser.parse_args(words[1:])
    wrong = []
    for playbook in options.args:
        # A site's thin playbook has the name of the one that it imports.
        name = playbook.removeprefix(COLLECTION).removesuffix(".yml")
        if not (places.REPO / "playbooks" / f"{name}.yml").is_file():
            wrong.append(f"there is no playbook {playbook}")
    return wrong + _of_extra_variables(options.extra_vars)


def _of_extra_variables(given: list[str]) -> list[str]:
    named = {name for text in given for name in _NAME.findall(text)}
    unknown = sorted(name for name in named - variables() if name.startswith("incident_"))
    return [f"no role documents {name}" for name in unknown]
