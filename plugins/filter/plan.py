# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``plan``: a bundle of evidence to the plan that its verdict justifies."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.plan.plan import finish


def plan(evidence: t.Any, break_glass_reason: str | None = None) -> dict[str, t.Any]:
    """The plan for a bundle; AnsibleFilterError where it is no bundle or of an incident nobody knows."""
    try:
        # A round through JSON takes off what Ansible wraps around values: nothing in it is a template any more.
        incident, bundle = registry.evidence(json.loads(json.dumps(evidence, default=str)))
    except (ValueError, KeyError, RecursionError) as error:
        raise AnsibleFilterError(f"virtengine.incident.plan: this is no evidence to plan from: {error}") from error
    verdict = incident.assess(bundle)
    draft = incident.plan(bundle, verdict, (break_glass_reason or "").strip() or None)
    return finish(incident, verdict, draft, bundle["taken_at"])


class FilterModule:
    """Filters of the collection that make plans."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"plan": plan}
