# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages tell to type works: no command line and no variable in them is misspelt."""

from __future__ import annotations

import argparse
import importlib.util
import re
from pathlib import Path

import pytest

from tests.fleet import __main__ as fleet
from tests.fleet import faults
from tests.unit.tools.command_lines import problems, simple_commands
from tests.unit.tools.documents import code, documents
from tools import commands, places

FLEET = places.REPO / "tests/fleet/README.md"


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(places.REPO)))
def test_every_command_line_is_accepted(page: Path) -> None:
    found = {line: problems(line) for line in code(page.read_text(encoding="utf-8"))}
    assert not {line: said for line, said in found.items() if said}


@pytest.mark.parametrize(("page", "least"), [("README.md", 9), ("CONTRIBUTING.md", 9), ("tests/fleet/README.md", 11)])
def test_the_command_lines_are_found(page: str, least: int) -> None:
    """A page whose code is not read any more would pass the test above."""
    ours = ("./dev", "python3 -m tests", "ansible-playbook", "-e")
    lines = code((places.REPO / page).read_text(encoding="utf-8"))
    found = [words for line in lines for words in simple_commands(line) if " ".join(words).startswith(ours)]
    assert len(found) >= least, found


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("./dev demo --kepe", "unrecognized arguments: --kepe"),
        ("./dev dmeo", "invalid choice: 'dmeo'"),
        ("./dev test lint unti", "unknown stage 'unti'"),
        ("./dev bench probe many", "invalid int value"),
        ("python3 -m tests.fleet fault stpo vh1", "invalid choice: 'stpo'"),
        ("python3 -m tests.fleet heal", "required: host"),
        ("python3 -m tests.fleets up", "no module tests.fleets"),
        ("python3 -m tests.recorded.matrix --loss many", "invalid int value"),
        ("python3 -m tests.recorded.compose all", "takes no arguments"),
        ("ansible-playbook chain_hlat.yml -i validators", "no playbook chain_hlat.yml"),
        ("ansible-playbook virtengine.incident.chain_hlat", "no playbook virtengine.incident.chain_hlat"),
        ("ansible-playbook chain_halt.yml --chek", "--chek"),
        ("ansible-playbook chain_halt.yml -e incident_aprove=halt-0", "incident_aprove"),
        ("""ansible-playbook chain_halt.yml -e '{"incident_aprove": "halt-0"}'""", "incident_aprove"),
        ("""-e incident_halt_is_over=7 -e "incident_halt_is_ovr_reason='agreed'" """, "incident_halt_is_ovr_reason"),
        ("ansible-playbook chain_halt.yml -i $(python3 -m tests.fleet inventroy)", "invalid choice: 'inventroy'"),
        ("$ cd site && FLEET=a ansible-playbook chain_hlat.yml", "no playbook chain_hlat.yml"),
    ],
)
def test_what_is_misspelt_is_found(line: str, said: str) -> None:
    (found,) = problems(line)
    assert said in found


@pytest.mark.parametrize(
    "line",
    [
        "./dev demo --keep",
        "./dev demo --site there --keep   # a comment",
        "./dev demo --help",
        "./dev bench --keep",
        "./dev bench probe 10 20",
        "python3 -m tests.fleet wait halted vh2 --name mine",
        "python3 -m tests.fleet",
        "ansible-playbook",
        "ansible-playbook chain_halt.yml -i $(python3 -m tests.fleet inventory) -b --check",
        """ansible-playbook chain_halt.yml -e '{"incident_reference_rpcs": ["http://192.0.2.7:26657"]}'""",
        "-e site_variable=1",
    ],
)
def test_what_is_right_is_let_through(line: str) -> None:
    assert problems(line) == []


def test_a_page_is_read_where_code_is_inline_broken_or_indented() -> None:
    page = "Say `./dev\ndemo`.\n\n    ./dev a \\\n        b\n    ./dev c\n\n```sh\n./dev d\n```\n\n* item\n\n      ./dev e\n"
    assert sorted(" ".join(line.split()) for line in code(page)) == [
        "./dev a b",
        "./dev c",
        "./dev d",
        "./dev demo",
        "./dev e",
    ]


def _commands_of(parser: argparse.ArgumentParser) -> set[str]:
    choices = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name for known in choices for name in known}


def _first_words(heading: str) -> set[str]:
    section = FLEET.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `([\w-]+)", section, re.MULTILINE))


def test_the_page_of_the_fleet_names_every_command_and_every_fault() -> None:
    assert _first_words("Commands") == _commands_of(fleet.parser())
    assert _first_words("Faults") == set(faults.kinds())


def test_contributing_names_every_command_of_dev() -> None:
    named = set(re.findall(r"\./dev (\w+)", (places.REPO / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert named == _commands_of(commands.parser())


@pytest.mark.parametrize("path", sorted((places.REPO / "tools").glob("*.py")), ids=lambda path: path.name)
def test_the_modules_that_the_tools_start_are_there(path: Path) -> None:
    for module in re.findall(r'"(tests\.(?!stamp)[\w.]+)"', path.read_text(encoding="utf-8")):
        assert importlib.util.find_spec(module) is not None, module
