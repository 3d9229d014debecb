# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``assess``: a bundle of evidence to the verdict it gives."""

from __future__ import annotations

import json
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents import registry


def assess(evidence: t.Any) -> dict[str, t.Any]:
    """The verdict of a bundle; AnsibleFilterError where it is no bundle or of an incident nobody knows."""
    try:
        # A round through JSON takes off what Ansible wraps around values: nothing in it is a template any more.
        incident, bundle = registry.evidence(json.loads(json.dumps(evidence, default=str)))
    except (ValueError, KeyError, RecursionError) as error:
        raise AnsibleFilterError(f"virtengine.incident.assess: this is no evidence to judge: {error}") from error
    return incident.assess(bundle)


class FilterModule:
    """Filters of the collection that judge evidence."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"assess": assess}
