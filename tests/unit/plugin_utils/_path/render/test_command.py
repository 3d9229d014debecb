# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is typed to approve a plan: the command of this run, without its secrets."""

from __future__ import annotations

import shlex

import pytest
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.render import command
from hypothesis import given
from hypothesis import strategies as st

DIGEST = "pool-0123456789abcdef"


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["/x/ansible-playbook", "a.yml", "-i", "v"], "ansible-playbook a.yml -i v"),
        (
            ["ansible-playbook", "a.yml", "--check", "-e", "incident_target=web1"],
            "ansible-playbook a.yml -e incident_target=web1",
        ),
        (["ansible-playbook", "a.yml", "--ch"], "ansible-playbook a.yml"),
        (["ansible-playbook", "a.yml", "-CD"], "ansible-playbook a.yml -D"),
        (["ansible-playbook", "a.yml", "-vC"], "ansible-playbook a.yml -v"),
        (["ansible-playbook", "a.yml", "-Ci", "v"], "ansible-playbook a.yml -i v"),
        (["ansible-playbook", "a.yml", "-vbe", "pw=s3cret"], "ansible-playbook a.yml -vb -e pw=..."),
        (["ansible-playbook", "a.yml", "-Cepw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (
            ["ansible-playbook", "a.yml", "-e", "token=s3cret", "-e", "@f.yml"],
            "ansible-playbook a.yml -e token=... -e @f.yml",
        ),
        (["ansible-playbook", "a.yml", "-e", "incident_approve=pool-1", "-b"], "ansible-playbook a.yml -b"),
        (["ansible-playbook", "a.yml", "-e", "incident_break_lock=run-1"], "ansible-playbook a.yml"),
        (["ansible-playbook", "a.yml", "--extra-vars=pw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (["ansible-playbook", "a.yml", "--extra-var", "pw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (["ansible-playbook", "a.yml", "--ex=pw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (
            ["ansible-playbook", "a.yml", "-e", "incident_break_glass_reason='I am sure'"],
            """ansible-playbook a.yml -e 'incident_break_glass_reason='"'"'I am sure'"'"''""",
        ),
        (["ansible-playbook", "a.yml", "-epw=s3cret"], "ansible-playbook a.yml -e pw=..."),
        (
            ["ansible-playbook", "a.yml", "-e", '{"pw": "s3cret", "incident_dashboards": ["http://a:1"]}'],
            """ansible-playbook a.yml -e '{"pw": "...", "incident_dashboards": ["http://a:1"]}'""",
        ),
        (["ansible-playbook", "a.yml", "-e", '{"incident_approve": "pool-1"}'], "ansible-playbook a.yml"),
        (["ansible-playbook", "a.yml", "-e", "{pw: s3cret}"], "ansible-playbook a.yml -e ..."),
        (["ansible-playbook", "a.yml", "-e", "['s3cret']"], "ansible-playbook a.yml -e ..."),
        (["ansible-playbook", "a.yml", "-e", "pw='s3cret"], "ansible-playbook a.yml -e ..."),
        (
            ["ansible-playbook", "a.yml", "-e", "incident_target=a pw=s3cret"],
            "ansible-playbook a.yml -e 'incident_target=a pw=...'",
        ),
    ],
)
def test_the_command_is_repeated_as_typed_without_secrets(argv: list[str], typed: str) -> None:
    assert command.approve(DIGEST, argv, awx=False) == f"{typed} -e incident_approve={DIGEST}"


def test_awx_is_told_what_to_enter() -> None:
    assert f"incident_approve: {DIGEST}" in command.approve(DIGEST, ["ansible-playbook"], awx=True)


GIVEN = [
    ["-e", "pw=s3cret"],
    ["--extra-vars", "pw=s3cret"],
    ["--extra-vars=pw=s3cret"],
    ["-epw=s3cret"],
    ["-ve", "pw=s3cret"],
    ["-bCepw=s3cret"],
    ["-e", '{"pw": "s3cret"}'],
    ["-e", "pw: s3cret"],
    ["-C"],
    ["-Ci", "inventory"],
    ["--check"],
    ["-l", "web1"],
]


@given(st.lists(st.sampled_from(GIVEN)))
def test_no_way_to_write_an_option_shows_a_secret_or_keeps_check_mode(options: list[list[str]]) -> None:
    argv = ["ansible-playbook", "a.yml", *(word for words in options for word in words)]
    shown = shlex.split(command.approve(DIGEST, argv, awx=False))
    assert "s3cret" not in " ".join(shown)
    assert not [word for word in shown if word == "--check" or (word[:1] == "-" and word[1:2] != "-" and "C" in word)]
    assert shown.count("web1") == options.count(["-l", "web1"])
    assert shown[-2:] == ["-e", f"incident_approve={DIGEST}"]
