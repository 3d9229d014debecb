# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of systemctl show, recorded on a real host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._host import systemd
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import Output, PartError

SHOWN = Path(__file__).parents[3] / "data/host/show"


def read(monkeypatch: pytest.MonkeyPatch, name: str) -> systemd.Unit:
    answer = Output(0, (SHOWN / f"{name}.txt").read_text(), "")
    monkeypatch.setattr(systemd, "command", lambda argv, timeout: answer)
    return systemd.read("virtengine.service", 1)


def some(facts: dict[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(facts[name] for name in names)


def test_running(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = read(monkeypatch, "running")
    assert some(unit.facts, "active_state", "sub_state", "main_pid", "exit_kind", "stopped_at") == (
        "active", "running", 1184, None, None,
    )  # fmt: skip
    assert unit.facts["started_at"] == "2026-11-24T20:32:56.161856Z"
    assert unit.facts["restart_delay_s"] == 3.0
    assert unit.argv[:3] == ["/usr/bin/virtengine", "start", "--home"]


def test_stopped_failed_and_looping(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("active_state", "sub_state", "result", "exit_kind", "exit_status", "main_pid", "stopped_at")
    assert some(read(monkeypatch, "stopped").facts, *names) == (
        "inactive", "dead", "success", "exited", 0, None, "2026-11-24T20:33:26.194765Z",
    )  # fmt: skip
    assert some(read(monkeypatch, "failed").facts, *names[:5]) == ("failed", "failed", "exit-code", "exited", 1)
    assert some(read(monkeypatch, "auto-restart").facts, *names[:5]) == (
        "activating", "auto-restart", "exit-code", "exited", 1,
    )  # fmt: skip


def test_what_systemd_forgot_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = read(monkeypatch, "forgotten").facts
    names = ("started_at", "stopped_at", "invocation_id", "exit_kind", "control_group")
    assert some(facts, *names) == (None,) * 5
    assert some(facts, "unit_file_state", "active_state") == ("disabled", "inactive")


def test_masked_and_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert some(read(monkeypatch, "masked").facts, "load_state", "unit_file_state") == ("masked", "masked")
    with pytest.raises(PartError) as caught:
        read(monkeypatch, "not-found")
    assert caught.value.kind == "absent"


def test_variables_with_blanks_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    unit = read(monkeypatch, "failed")
    assert unit.environment["VE_HOME"] == "/srv/a b" and unit.environment["VE_HALT_HEIGHT"] == "7"
    assert unit.environment_files == [("/etc/default/virtengine", True)]
    assert "hunter2" not in str(unit.facts)


def test_no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Output(1, "", "System has not been booted with systemd as init system (PID 1). Can't operate.")
    monkeypatch.setattr(systemd, "command", lambda argv, timeout: answer)
    with pytest.raises(PartError) as caught:
        systemd.read("virtengine.service", 1)
    assert caught.value.kind == "absent"


def test_an_old_systemd_is_asked_again_without_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def command(argv: list[str], timeout: float) -> Output:
        asked.append(argv)
        if "--timestamp=us+utc" in argv:
            return Output(1, "", "systemctl: unrecognized option '--timestamp=us+utc'")
        return Output(0, "LoadState=loaded\nExecMainStartTimestamp=Tue 2026-11-24 20:32:56 UTC\n", "")

    monkeypatch.setattr(systemd, "command", command)
    assert systemd.read("virtengine.service", 1).facts["started_at"] == "2026-11-24T20:32:56.000000Z"
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10.0),
        ("1min 30s", 90.0),
        ("100ms", 0.1),
        ("0", 0.0),
        ("infinity", None),
        ("", None),
        ("3 parsecs", None),
    ],
)
def test_time_spans(text: str, seconds: float | None) -> None:
    assert systemd.span(text) == seconds


@pytest.mark.parametrize("name", ["", "-x", "--help", "a/b", "a b", "x.timer\n", "a;b", "x" * 300])
def test_names_that_are_no_service(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        systemd.unit_name(name)


def test_names_of_services() -> None:
    assert systemd.unit_name("virtengine") == "virtengine.service"
    assert systemd.unit_name("node@1.service") == "node@1.service"
