# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The strict reader of settings: what the node would take, or cannot tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.virtengine.incident.plugins.module_utils._node import config as _config
from hypothesis import given
from hypothesis import strategies as st

DATA = Path(__file__).parents[3] / "data/host"
CHECK = _config.KEYS["double_sign_check_height"]
NOTHING = _config.Launch({}, {})


def files(home: Path, config: str = "", app: str = "") -> _config.Files:
    (home / "config").mkdir(exist_ok=True)
    (home / "config/config.toml").write_text(config)
    (home / "config/app.toml").write_text(app)
    return _config.Files(str(home))


def test_files_written_by_a_real_node(tmp_path: Path) -> None:
    real = files(tmp_path, (DATA / "config.toml").read_text(), (DATA / "app.toml").read_text())
    found = {name: _config.setting(key, NOTHING, real) for name, key in _config.KEYS.items()}
    assert found["timeout_commit"] == {"value": "1s", "source": "config.toml"}
    assert found["halt_height"] == {"value": 0, "source": "app.toml"}
    assert found["create_empty_blocks"] == {"value": True, "source": "config.toml"}
    assert all("why" not in setting for setting in found.values())


def test_flag_over_variable_over_file_over_default(tmp_path: Path) -> None:
    content = files(tmp_path, "[consensus]\ndouble_sign_check_height = 10\n")
    flag, variable = {CHECK.flag: "3"}, {CHECK.variable: "2"}
    assert CHECK.variable == "VE_CONSENSUS_DOUBLE_SIGN_CHECK_HEIGHT"
    ask = [_config.Launch(flag, variable), _config.Launch({}, variable), NOTHING]
    assert [_config.setting(CHECK, launch, content) for launch in ask] == [
        {"value": 3, "source": "flag"},
        {"value": 2, "source": "env"},
        {"value": 10, "source": "config.toml"},
    ]
    (tmp_path / "none").mkdir()
    assert _config.setting(CHECK, NOTHING, _config.Files(str(tmp_path / "none"))) == {"value": 0, "source": "default"}


@pytest.mark.parametrize(
    "config",
    [
        '[consensus]\ndouble_sign_check_height = """\n10"""',
        "[consensus]\ndouble_sign_check_height = 10\ndouble_sign_check_height = 0",
        "[consensus]\ndouble_sign_check_height = 10\nDouble_Sign_Check_Height = 0",
        "[consensus]\ndouble_sign_check_height = 10\n[other]\n[consensus]\ndouble_sign_check_height = 0",
        "consensus.double_sign_check_height = 10",
        "consensus = {double_sign_check_height = 10}",
        '"double_sign_check_height" = 10',
        "[consensus]\ndouble_sign_check_height = 0x0a",
        "[consensus]\ndouble_sign_check_height = 010",
        "[consensus]\ndouble_sign_check_height = 1_0",
        "[consensus]\ndouble_sign_check_height = -1",
        "[consensus]\ndouble_sign_check_height = 9223372036854775808",
        "[consensus]\ndouble_sign_check_height = true",
        "[consensus]\ndouble_sign_check_height = 1.0",
        "[consensus]\ndouble_sign_check_height = [1]",
        "[[consensus]]\ndouble_sign_check_height = 10",
        'x = """\n[consensus]\ndouble_sign_check_height = 10\n"""',
        "x = [\n",
    ],
)
def test_what_is_not_plain_cannot_be_told(tmp_path: Path, config: str) -> None:
    setting = _config.setting(CHECK, NOTHING, files(tmp_path, config))
    assert setting["value"] is None and setting["source"] is None and setting["why"]


def test_arrays_over_lines_do_not_hide_what_follows(tmp_path: Path) -> None:
    app = 'global-labels = [\n  ["a", "]b"], # ]\n]\nhalt-height = "5"\n'
    found = _config.setting(_config.KEYS["halt_height"], NOTHING, files(tmp_path, app=app))
    assert found == {"value": 5, "source": "app.toml"}


def test_the_list_of_peers_is_shown_cut_and_taken_apart_whole(tmp_path: Path) -> None:
    peers = ",".join(f"{number:040x}@10.0.0.{number}:26656" for number in range(20))
    content = files(tmp_path, f'[p2p]\nladdr = "tcp://0.0.0.0:1"\npersistent_peers = "{peers}"\npex = false\n')
    found = {name: _config.setting(key, NOTHING, content)["value"] for name, key in _config.KEYS.items()}
    assert (found["p2p_laddr"], found["pex"], found["persistent_peers"]) == ("tcp://0.0.0.0:1", False, peers[:300])
    assert _config.setting(_config.PLACES["peers"], NOTHING, content) == {"value": peers, "source": "config.toml"}


def test_a_file_that_cannot_be_read_cannot_be_told(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.toml").mkdir()
    assert _config.setting(CHECK, NOTHING, _config.Files(str(tmp_path)))["value"] is None


def test_unknown_flags_make_everything_below_them_unknown(tmp_path: Path) -> None:
    launch = _config.Launch({}, {CHECK.variable: "2"}, _config.Unreadable("the unit runs a script"))
    assert _config.setting(CHECK, launch, files(tmp_path))["why"] == "the unit runs a script"


@pytest.mark.parametrize(
    ("line", "flags"),
    [
        ("virtengine start --home /x --halt-height=5", {"home": "/x", "halt-height": "5"}),
        ("virtengine start --home /x --home /y", {"home": "/y"}),
        ("virtengine start -- --home /x", {}),
        ("virtengine start --keyring-pass secret --consensus.create_empty_blocks --home /x",
         {"consensus.create_empty_blocks": "true", "home": "/x"}),
        ("virtengine start --p2p.pex --home /x", {"p2p.pex": "true", "home": "/x"}),
        ("virtengine start --home", {"home": ""}),
    ],
)  # fmt: skip
def test_flags_by_a_fixed_list(line: str, flags: dict[str, str]) -> None:
    assert _config.flags_of(line.split()) == flags


def test_variables_by_a_fixed_list() -> None:
    given_variables = {"VE_HOME": "/x", "VE_HALT_TIME": "", "VE_KEYRING_PASSPHRASE": "secret", "TOKEN": "secret"}
    assert _config.known_variables(given_variables) == {"VE_HOME": "/x"}


def test_files_of_variables() -> None:
    text = "# comment\nTOKEN=\"multi\nVE_HOME='/srv/node'\nVE_HALT_HEIGHT=9\n"
    assert _config.variables_of_file(text) == {"VE_HOME": "/srv/node", "VE_HALT_HEIGHT": "9"}
    for bad in ("VE_HOME=a\\\nb", 'VE_HOME="a"b"', "VE_HOME=`x`"):
        with pytest.raises(_config.Unreadable):
            _config.variables_of_file(bad)


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        content: dict[tuple[str, str], Any] = _config.read_toml(text)
    except _config.Unreadable:
        return
    assert all(isinstance(value, (str, int, bool, _config.Unreadable)) for value in content.values())
