# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The override of double_sign_check_height: it comes and goes, and is refused where it has no effect."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._node import dropin

from tests.unit.module_utils._node.test_acting import Systemd


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    return Systemd(tmp_path, monkeypatch)


def test_the_override_comes_and_goes(systemd: Systemd) -> None:
    drop_in = systemd.drop_in
    assert dropin.ensure(drop_in, True, True)["changed"] and not os.path.exists(drop_in.path)
    assert dropin.ensure(drop_in, True, False)["changed"] and drop_in.text() == dropin.TEXT
    assert not dropin.ensure(drop_in, True, False)["changed"]
    assert os.listdir(os.path.dirname(drop_in.path)) == [dropin.NAME]
    assert dropin.ensure(drop_in, False, False)["changed"]
    assert not dropin.ensure(drop_in, False, False)["changed"]
    assert not os.path.exists(os.path.dirname(drop_in.path))


def test_an_override_that_a_killed_run_left_half_done_is_completed(systemd: Systemd) -> None:
    os.makedirs(os.path.dirname(systemd.drop_in.path))
    Path(systemd.drop_in.path).write_text(dropin.TEXT)
    assert dropin.ensure(systemd.drop_in, True, False)["changed"] and systemd.loaded
    os.unlink(systemd.drop_in.path)
    assert dropin.ensure(systemd.drop_in, False, False)["changed"] and not systemd.loaded


def test_an_override_without_effect_is_refused(systemd: Systemd, tmp_path: Path) -> None:
    systemd.argv = ["/usr/bin/virtengine", "start", "--consensus.double_sign_check_height=10"]
    with pytest.raises(dropin.Refused, match="overrules"):
        dropin.ensure(systemd.drop_in, True, False)
    systemd.argv = ["/usr/local/bin/run.sh"]
    with pytest.raises(dropin.Refused, match="cannot be told"):
        dropin.ensure(systemd.drop_in, True, False)
    systemd.argv = ["/usr/bin/virtengine", "start"]
    (tmp_path / "env").write_text(f"{dropin.KEY.variable}=10\n")
    systemd.files = [(str(tmp_path / "env"), False)]
    with pytest.raises(dropin.Refused, match="EnvironmentFile"):
        dropin.ensure(systemd.drop_in, True, False)
    systemd.files = []
    systemd.environment = {dropin.KEY.variable: "10"}
    with pytest.raises(dropin.Refused, match="taken back"):
        dropin.ensure(systemd.drop_in, True, False)
    assert not os.path.exists(systemd.drop_in.path)
