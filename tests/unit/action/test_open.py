# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""May a run go on, and over which hosts: every refusal, with an inventory and variables as Ansible reads them."""

from __future__ import annotations

import os
import re
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import trust_as_template
from ansible_collections.virtengine.incident.plugins.action import incident_open
from ansible_collections.virtengine.incident.plugins.plugin_utils._controller.base import Refusal

from tests.unit.action.opening import HOUSE, INVENTORY, TORCH, Data, Opening, bundle, facts
from tests.unit.action.steps import Known, changed


@pytest.fixture
def opening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    made = Opening(tmp_path, monkeypatch)
    yield made
    made.end()


def test_a_run_is_opened_over_the_groups_of_its_incident(opening: Opening) -> None:
    result = opening()
    assert result["observed"] == result["play_hosts"] == ["hall", "cellar", "attic", "shed"]
    assert (result["replay"], result["changed"]) == (False, False)
    assert re.fullmatch("run-[0-9a-f]{8}", result["run"])
    assert facts(result)["target"] == "lamps:spares"
    assert facts(result)["controller_pid"] == os.getppid()
    assert bundle(result)["inventory"]["hall"] == {
        "declared": {"lamp_address": "A1"},
        "target": True,
        "observed": True,
        "groups": ["lamps"],
    }
    assert bundle(result)["not_looked_at"] == ["office"]


def test_two_runs_have_names_and_places_of_their_own(opening: Opening) -> None:
    one, two = opening(), opening()
    assert one["run"] != two["run"] and one["run_dir"] != two["run_dir"]
    assert Path(one["run_dir"]).stat().st_mode & 0o077 == 0


def test_a_target_limits_what_may_be_acted_on_and_not_what_is_seen(opening: Opening) -> None:
    result = opening(incident_target="cellar")
    assert sorted(result["observed"]) == ["attic", "cellar", "hall", "shed"]
    known = bundle(result)["inventory"]
    assert {host for host in known if known[host]["target"]} == {"cellar"}
    assert all(known[host]["observed"] for host in known)


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        ("lamps", {"hall", "cellar"}),
        ("lamps:spares:!hall", {"cellar", "attic", "shed"}),
        ("hall,attic", {"hall", "attic"}),
        ("lamps:&others:office", {"office"}),
        ("~ha.*", {"hall"}),
        ("cel*", {"cellar"}),
        ("others", {"office"}),
    ],
)
def test_a_target_is_a_pattern_as_ansible_knows_it(opening: Opening, target: str, hosts: set[str]) -> None:
    result = opening(incident_target=target)
    known = bundle(result)["inventory"]
    assert {host for host in known if known[host]["target"]} == hosts
    assert set(result["observed"]) == {"hall", "cellar", "attic", "shed"} | hosts, (
        "no target hides a host from the looks"
    )
    assert {host for host in known if known[host]["observed"]} == set(result["observed"])


@pytest.mark.parametrize("target", ["", " ", "!hall", "&lamps", ":", ",", "!lamps:&spares"])
def test_an_empty_target_is_never_all_of_them(opening: Opening, target: str) -> None:
    assert "incident_target is empty" in opening.refused(incident_target=target)


@pytest.mark.parametrize("target", ["nowhere", "lamps:&spares", "lamps:!lamps", "hall:!hall", "~x.*"])
def test_a_target_without_a_host_is_refused_with_the_groups_that_there_are(opening: Opening, target: str) -> None:
    said = opening.refused(incident_target=target)
    assert f"incident_target '{target}' names no host" in said and "lamps, others, spares" in said


def test_an_inventory_without_the_groups_is_refused(opening: Opening) -> None:
    opening.options("[web]\nw1\n")
    said = opening.refused()
    assert "incident_target 'lamps' names no host of this inventory (its groups: web)" in said
    assert "-e incident_target=" in said


def test_a_host_that_declares_something_is_known_even_where_it_is_not_seen(opening: Opening) -> None:
    opening.options(INVENTORY.replace("office site_owner=ours", "office lamp_address=B9"))
    result = opening()
    assert bundle(result)["inventory"]["office"] == {
        "declared": {"lamp_address": "B9"},
        "target": False,
        "observed": False,
        "groups": ["others"],
    }
    assert bundle(result)["not_looked_at"] == []


def test_what_a_host_declares_wrongly_is_refused(opening: Opening) -> None:
    opening.options(INVENTORY.replace("lamp_address=A4", "lamp_address=elsewhere"))
    assert opening.refused() == "lamp_address of shed is 'elsewhere', which is no address. Nothing was done."


def test_an_incident_that_asks_no_host_needs_no_inventory(opening: Opening) -> None:
    result = opening(TORCH)
    assert (result["observed"], result["play_hosts"]) == ([], ["localhost"])
    assert bundle(result)["inventory"] == {} and facts(result)["target"] == ""


@pytest.mark.parametrize(
    "name",
    ["incident_aprove", "incident_targets", "incident_step", "incident_run", "incident_look", "lamp_wats", "lamp_"],
)
def test_a_misspelt_variable_is_refused_and_the_known_ones_named(opening: Opening, name: str) -> None:
    said = opening.refused(**{name: 5})
    assert said.startswith(f"Unknown variable: {name}. Known are: incident_approve, ")
    assert "lamp_watts" in said and "torch_hours" in said


@pytest.mark.parametrize("host", ["hall", "cellar", "office site_owner=ours"])
@pytest.mark.parametrize("name", ["lamp_wats", "incident_evidnce"])
def test_a_misspelt_variable_of_any_host_is_found(opening: Opening, host: str, name: str) -> None:
    opening.options(INVENTORY.replace(f"\n{host}", f"\n{host} {name}=5"))
    assert "Unknown variable: " in opening.refused()


def test_variables_of_a_site_and_of_other_incidents_are_left_alone(opening: Opening) -> None:
    opening(site_name="x", incidents="x", torch_hours=5, torch_weight=7, inventory_dir="x")


def test_every_shared_variable_is_known(opening: Opening) -> None:
    assert incident_open.known_variables() >= incident_open.SHARED_VARIABLES
    given = dict.fromkeys(incident_open.SHARED_VARIABLES - {"incident_target", "incident_evidence"})
    assert opening(**given)["observed"]


def test_settings_of_the_incident_are_in_the_evidence(opening: Opening) -> None:
    assert bundle(opening(lamp_watts="60"))["settings"] == {"lamp_watts": 60}
    assert bundle(opening())["settings"] == {}


def test_a_variable_may_be_a_template(opening: Opening) -> None:
    assert bundle(opening(lamp_watts=trust_as_template("{{ 30 * 2 }}")))["settings"] == {"lamp_watts": 60}


@pytest.mark.parametrize("watts", [0, -5, 100, "200"])
def test_a_value_that_makes_no_sense_is_refused(opening: Opening, watts: t.Any) -> None:
    said = opening.refused(lamp_watts=watts)
    assert said == f"lamp_watts is {watts}, which no lamp has. Give 1 to 99. Nothing was done."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("incident_dashboards", [{"name": "x", "url": "javascript:alert(1)"}]),
        ("incident_dashboards", "https://grafana.example.net"),
        ("incident_contacts", ["Bob"]),
        ("incident_contacts", [{"who": "Bob", "how": 112}]),
    ],
)
def test_dashboards_and_contacts_of_another_shape_are_refused(opening: Opening, name: str, value: t.Any) -> None:
    assert name in opening.refused(**{name: value})


def test_dashboards_and_contacts_go_with_the_run(opening: Opening) -> None:
    boards = [{"name": "Lamps", "url": "https://grafana.example.net/d/lamps"}]
    given = facts(opening(incident_dashboards=boards, incident_contacts=[{"who": "Bob", "how": "call"}]))
    assert (given["dashboards"], given["contacts"]) == (boards, [{"who": "Bob", "how": "call"}])


def test_the_record_lies_where_the_command_was_typed(
    opening: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PWD", "/elsewhere")
    monkeypatch.setenv("HOME", "/home/sre")
    assert facts(opening())["record_dir"] == str(tmp_path / "incidents")
    assert facts(opening(incident_record_dir="~/incidents"))["record_dir"] == "/home/sre/incidents"
    assert facts(opening(incident_record_dir="there"))["record_dir"] == str(Path.cwd() / "there")


def test_check_mode_is_kept_for_the_gate(opening: Opening) -> None:
    assert facts(opening(check_mode=True))["check_mode"] is True
    assert facts(opening())["check_mode"] is False


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"subset": "hall"}, "--limit 'hall'"),
        ({"tags": ["actions"]}, "--tags and --skip-tags"),
        ({"tags": ["all", "actions"]}, "--tags and --skip-tags"),
        ({"skip_tags": ["always"]}, "--tags and --skip-tags"),
        ({"skip_tags": ["all"]}, "--tags and --skip-tags"),
        ({"skip_tags": ["notest", "untagged"]}, "--tags and --skip-tags"),
        ({"start_at_task": "Remediate"}, "--start-at-task"),
        ({"step": True}, "--step"),
        ({"extra_vars": ["_incident_guard=x"]}, "_incident_guard"),
        ({"extra_vars": ['{"_incident_gate": {"act": true}}']}, "_incident_gate"),
        ({"extra_vars": ["incident_break_glass_reason=two words"]}, "cut it before 'words'"),
    ],
    ids=str,
)
def test_no_option_cuts_the_gate_or_the_guards_out(opening: Opening, options: Data, said: str) -> None:
    opening.options(**options)
    assert said in opening.refused()


def test_limit_is_answered_with_what_to_type(opening: Opening) -> None:
    opening.options(subset="hall")
    said = opening.refused()
    assert "-e incident_target=hall. Hosts of lamps and spares are observed either way." in said
    assert "either way" not in opening.refused(TORCH)


def test_options_that_cut_nothing_out_are_fine(opening: Opening) -> None:
    opening.options(skip_tags=["notest"], extra_vars=["incident_approve=lamp-1", "site=x"])
    assert opening()["observed"]


def test_an_approval_is_left_to_the_gate(opening: Opening) -> None:
    assert facts(opening(incident_approve="lamp-0123456789abcdef"))["approve"] == "lamp-0123456789abcdef"


def test_an_approval_of_what_only_diagnoses_is_refused(opening: Opening) -> None:
    seen = changed(HOUSE, actions={})
    assert "lamp only diagnoses: it plans no steps" in opening.refused(seen, incident_approve="lamp-0123456789abcdef")


def test_names_are_compared_whole() -> None:
    """What only begins like ours, or belongs to a role, is a site's own."""
    with pytest.MonkeyPatch.context() as patch:
        Known(patch)
        names = ["incident_aprove", "incident_approve", "lamp_x", "lamp_watts", "inventory_dir", "_lamp_run", "lamps"]
        assert incident_open.wrong_names(names, "lamp") == ["incident_aprove", "lamp_x"]


def test_a_run_is_refused_before_anything_is_read(opening: Opening) -> None:
    """What cuts the gate out is the first thing that is looked at."""
    opening.options(subset="hall")
    assert "--limit" in opening.refused(incident_evidence="/nowhere", incident_aprove="x")
    with pytest.raises(Refusal, match="--limit"):
        incident_open.refuse_partial_runs(DataLoader(), HOUSE)


SHARED = Path(__file__).resolve().parents[3] / "playbooks/shared/open.yml"


def test_the_first_play_of_every_playbook_opens_the_run() -> None:
    """``--tags`` other than its own cannot pass it over, and nothing stands before it."""
    (play,) = yaml.safe_load(SHARED.read_text(encoding="utf-8"))
    first = next(task for task in play["tasks"] if "ansible.builtin.meta" not in task)
    assert "virtengine.incident.incident_open" in first and first["tags"] == ["always"] and first["run_once"]
    for playbook in SHARED.parents[1].glob("*.yml"):
        (opened, *_plays) = yaml.safe_load(playbook.read_text(encoding="utf-8"))
        assert opened["ansible.builtin.import_playbook"] == "shared/open.yml", playbook.name
