# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test run says what it left out, how long each stage took, and what failed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tools import testing

Said = Callable[..., subprocess.CompletedProcess[str]]


def answering(code: int, output: str) -> Said:
    return lambda arguments, **_how: subprocess.CompletedProcess(arguments, code, output, "")


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("_static", "_unit", "_fleet"):
        monkeypatch.setattr(testing, part, lambda *_arguments: None)


def test_what_is_left_out_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    listed = "tests/scenarios/test_a.py::test_one\ntests/scenarios/test_b.py::test_two[x]\n\n2/9 tests collected\n"
    monkeypatch.setattr(testing.children, "run", answering(0, listed))
    testing._name_more()
    lines = capsys.readouterr().out.split("\n")
    assert lines[1].startswith("2 long fleet scenarios were left out; ./dev test more runs them")
    assert lines[2:4] == ["  test_a.py::test_one", "  test_b.py::test_two[x]"]


def test_scenarios_that_cannot_be_listed_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(testing.children, "run", answering(2, "ImportError: no such name\n"))
    assert testing._selected("fleet") == (False, [])
    assert "ImportError" in capsys.readouterr().out


def test_the_seconds_of_each_stage_stand_at_the_end(
    quiet: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(testing, "_name_more", lambda: None)
    assert testing.run(("unit", "fleet"), [testing.FLOOR], 7.4) == 0
    table = capsys.readouterr().out.split("== seconds of each stage\n")[1].splitlines()
    assert [line.split(maxsplit=1) for line in table[:3]] == [["7", "set-up"], ["0", "unit"], ["7", "in all"]]
    assert table[-1] == "0 passed, 0 failed, 0 skipped"


def test_a_stage_that_failed_is_timed_and_named(
    quiet: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(testing, "_unit", lambda tally: tally.bad("unit (core-2.19)"))
    assert testing.run(("unit",), [testing.FLOOR], 0) == 1
    assert "failed: unit (core-2.19)" in capsys.readouterr().out


def test_seconds_are_kept_of_what_is_broken_off() -> None:
    tally = testing.Tally()
    with pytest.raises(KeyboardInterrupt), tally.timed("unit"):
        raise KeyboardInterrupt
    assert tally.seconds["unit"] >= 0
