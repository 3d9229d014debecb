# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clocks of the on-call runbook."""

from __future__ import annotations

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import runbook

from tests.unit.plugin_utils._path.render import samples


@pytest.mark.parametrize(
    ("severity", "within", "until"),
    [
        ("SEV-1", "5 min", "2026-05-04 10:07:03 UTC"),
        ("SEV-2", "15 min", "2026-05-04 10:17:03 UTC"),
        ("SEV-3", "1 h", "2026-05-04 11:02:03 UTC"),
        ("SEV-4", "24 h", "2026-05-05 10:02:03 UTC"),
        (None, "5 min", "2026-05-04 10:07:03 UTC"),
        ("SEV-9", "5 min", "2026-05-04 10:07:03 UTC"),
    ],
)
def test_the_first_response_is_due_by_severity(severity: str | None, within: str, until: str) -> None:
    assert runbook.clocks(severity, samples.STARTED_AT, None)[0][1:] == (within, until)


def test_the_channel_hears_every_quarter_of_an_hour() -> None:
    assert runbook.clocks("SEV-1", samples.STARTED_AT, None)[1] == (
        "Update of the incident channel",
        "every 15 min",
        "10:17:03, 10:32:03, 10:47:03, 11:02:03, ...",
    )


def test_clocks_without_a_start_say_so() -> None:
    rows = runbook.clocks("SEV-1", None, None)
    assert rows[0][2] == "?"
    assert rows[-1][2] == "48 h after it is resolved"


def test_the_postmortem_is_due_after_the_recovery() -> None:
    assert runbook.clocks("SEV-1", samples.STARTED_AT, "2026-05-04T10:05:30.5Z")[-1][2] == "2026-05-06 10:05:30 UTC"
