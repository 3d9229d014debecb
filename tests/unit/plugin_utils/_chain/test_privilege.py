# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is hidden from a user who is not root, and the words for it."""

from __future__ import annotations

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain import privilege
from ansible_collections.virtengine.incident.plugins.plugin_utils._chain.reading.reading import read

from tests.unit.plugin_utils._incidents.chain_halt.verdict.builders import Fleet, bad, four
from tests.unit.plugin_utils._incidents.chain_halt.verdict.parts import Data


def fleet(parts: tuple[str, ...], privileged: bool | None, kind: str = "privilege") -> Fleet:
    made = four()

    def patch(data: Data, look: int) -> None:
        data["access"] = {"uid": 1000, "privileged": privileged}
        data.update({part: bad(kind) for part in parts})

    made.hosts[0].patch = patch
    return made


def missing(made: Fleet) -> privilege.Missing | None:
    return privilege.missing(read(made.bundle()).nodes.values())


@pytest.mark.parametrize(
    ("parts", "privileged", "kind"),
    [
        ((), False, "privilege"),  # the node's own user reads everything
        (("journal",), True, "privilege"),
        (("journal",), None, "privilege"),  # evidence that does not say who took it
        (("journal", "signer"), False, "absent"),
        (("old_logs", "binary"), False, "privilege"),  # nothing that a start depends on
    ],
)
def test_nothing_is_said_where_nothing_that_counts_is_hidden(
    parts: tuple[str, ...], privileged: bool | None, kind: str
) -> None:
    assert missing(fleet(parts, privileged, kind)) is None


def test_hosts_and_parts_are_named() -> None:
    found = missing(fleet(("genesis", "journal"), False))
    assert found is not None and (found.hidden, found.parts) == (("vh1",), ("journal", "genesis file"))
    assert not found.everywhere
    assert (
        found.sentence(nothing=False) == "On vh1 only root can read the journal and genesis file: add -b and run again."
    )
    assert found.brief() == "Add -b and run again: only root can read the journal and genesis file."


def test_many_hosts_are_cut_and_the_line_stays_short() -> None:
    hosts = tuple(f"h{number}" for number in range(200))
    found = privilege.Missing(hosts, tuple(privilege._PARTS.values()), (), True)
    assert "and 194 more" in found.sentence(nothing=True)
    assert len(found.brief()) <= 98


def test_hidden_parts_come_before_a_refused_password() -> None:
    both = privilege.Missing(("a",), ("journal",), ("b",), True)
    assert both.option == "-b"
    assert [line.partition(":")[0][:30] for line in both.next_lines()] == [
        "Run the same command again wit",
        "Give the sudo password with -K",
    ]
    assert privilege.Missing((), (), ("b",), True).option == "-K"
