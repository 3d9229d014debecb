#!/usr/bin/python
# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module incident_lock."""

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_lock
short_description: One lock per scope, kept on the hosts themselves
version_added: 0.1.0
author:
  - the virtengine.incident authors (@virtengine)
description:
  - Keeps two responders from acting on one scope at the same time, wherever they run, as long as they reach a common
    host. Take it on every host, and act only when it was taken on all that answer.
  - The lock is a file under C(/run/lock/virtengine-incident), made atomically. A reboot of the host takes it away. It
    never expires by itself.
  - Also keeps the digests of approved plans that were used, under C(/var/lib/virtengine-incident).
options:
  scope:
    description:
      - What a run acts on, as a kind and a name, for example V(chain:virtengine-1) or
        V(postgresql:7412059318123098762).
      - Required unless O(state=observed). Without it all locks of the host are shown.
    type: str
  state:
    description:
      - With V(acquired), O(owner) takes the lock. Fails when another holds it, with RV(held_by).
      - With V(released), O(owner) gives the lock back. A lock of another is left alone.
      - With V(broken), the lock is taken away from O(owner), which must be the present holder by its exact name.
      - With V(observed), nothing is changed.
    type: str
    choices: [acquired, released, broken, observed]
    required: true
  owner:
    description:
      - Name of the run that takes, gives back or loses the lock.
      - Required unless O(state=observed).
    type: str
  who:
    description:
      - The person or job behind the run and its machine, for others to read.
    type: str
    default: ""
  digest:
    description:
      - Digest of the approved plan, written down as used once the lock is taken. RV(used) says whether it was used
        before. Only with O(state=acquired).
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - virtengine.incident.attributes
notes:
  - Two controllers that reach no common host do not see each other's lock.
  - All runs must use the same user on the host, usually root.
"""

EXAMPLES = r"""
- name: Take the lock
  virtengine.incident.incident_lock:
    scope: chain:virtengine-1
    state: acquired
    owner: run-5f0c3f9a
    who: alice@laptop
    digest: chain_halt-0f3c9a2b11d4e5f6

- name: Give it back
  virtengine.incident.incident_lock:
    scope: chain:virtengine-1
    state: released
    owner: run-5f0c3f9a

- name: Break the lock of a run that is known to be dead
  virtengine.incident.incident_lock:
    scope: chain:virtengine-1
    state: broken
    owner: run-1a2b77c1
"""

RETURN = r"""
held:
  description:
    - Whether O(owner) holds the lock now, in check mode whether it would.
    - With O(state=observed), whether anybody does.
  returned: when O(scope) is given
  type: bool
  sample: true
held_by:
  description:
    - Who holds the lock, unless it is free or held by O(owner). C(age_s) is its age in seconds.
    - C(held_by.owner) is empty when the lock file cannot be read.
  returned: when O(scope) is given
  type: dict
  sample:
    scope: chain:virtengine-1
    owner: run-1a2b77c1
    who: awx@awx-7f
    at: "2026-11-24T18:15:00.123456Z"
    age_s: 5112
    digest: chain_halt-0f3c9a2b11d4e5f6
used:
  description: Whether the digest O(digest) was used on this host before, by another run. Null where that cannot be told or written.
  returned: when O(digest) is given and the lock was taken
  type: bool
  sample: false
not_written:
  description: Why the digest could not be written down.
  returned: when it could not
  type: str
  sample: "/var/lib/virtengine-incident: No space left on device"
used_digests:
  description: The digests that were used on this host, oldest first.
  returned: when O(state=observed)
  type: list
  elements: str
  sample: [chain_halt-0123456789abcdef]
locks:
  description: All locks of the host, each as RV(held_by).
  returned: when O(state=observed) and O(scope) is not given
  type: list
  elements: dict
  sample: []
file:
  description: The lock file.
  returned: when O(scope) is given
  type: str
  sample: /run/lock/virtengine-incident/chain:virtengine-1.json
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.virtengine.incident.plugins.module_utils._host import lock as _host_lock
from ansible_collections.virtengine.incident.plugins.module_utils._host.parts import PartError


def acquire(lock: _host_lock.Lock, params: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    """Take the lock, then write the digest down: a digest is never used up by a run that did not get to act."""
    present = lock.holder()
    if present is not None and present["owner"] != params["owner"]:
        raise _host_lock.Refused(_host_lock.taken_text(lock.scope, present), present)
    changed = present is None
    if not check:
        changed = lock.acquire(params["owner"], params["who"], params["digest"] or "")
    result: dict[str, t.Any] = {"changed": changed, "held": True, "held_by": None}
    if params["digest"]:
        result.update(_use(lock, params, check))
        result["changed"] = changed or result["used"] is False
    return result


def _use(lock: _host_lock.Lock, params: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    """Write the digest down. The lock holds also on a host that cannot keep it, such as one whose disk is full."""
    try:
        used = params["digest"] in lock.used() if check else not lock.consume(params["digest"], params["owner"])
    except OSError as error:
        return {"used": None, "not_written": f"{error.filename or lock.used_path}: {error.strerror}"}
    return {"used": used}


def release(lock: _host_lock.Lock, params: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    """Give the lock back, if it is ours."""
    present = lock.holder()
    ours = present is not None and present["owner"] == params["owner"]
    changed = ours if check else lock.release(params["owner"])
    return {"changed": changed, "held": False, "held_by": None if ours else present}


def break_it(lock: _host_lock.Lock, params: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    """Take the lock away from the holder that was named."""
    present = lock.holder()
    if present is not None and present["owner"] != params["owner"]:
        text = f"{_host_lock.taken_text(lock.scope, present)} {params['owner']!r} does not hold it, nothing was done."
        raise _host_lock.Refused(text, present)
    return release(lock, params, check)


def observe(lock: _host_lock.Lock, params: dict[str, t.Any], check: bool) -> dict[str, t.Any]:
    """Say who holds the lock and what was used."""
    present = lock.holder()
    return {"changed": False, "held": present is not None, "held_by": present, "used_digests": lock.used()}


def observe_all(module: AnsibleModule) -> t.NoReturn:
    """Say which locks there are and what was used."""
    try:
        seen = _host_lock.seen()
    except (PartError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, locks=seen["locks"], used_digests=seen["used"])


STATES = {"acquired": acquire, "released": release, "broken": break_it, "observed": observe}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "scope": {"type": "str"},
            "state": {"type": "str", "choices": ["acquired", "released", "broken", "observed"], "required": True},
            "owner": {"type": "str"},
            "who": {"type": "str", "default": ""},
            "digest": {"type": "str"},
        },
        required_if=[("state", state, ["scope", "owner"]) for state in ("acquired", "released", "broken")],
        supports_check_mode=True,
    )
    params = module.params
    if any(params[name] is not None and not params[name].strip() for name in ("scope", "owner")):
        module.fail_json(msg="scope and owner must not be empty")
    if params["digest"] and (params["state"] != "acquired" or not _host_lock.DIGEST.match(params["digest"])):
        module.fail_json(
            msg="digest must be the digest of a plan (the incident's name, '-', 16 hex digits) and goes with acquired only"
        )
    if params["scope"] is None:
        observe_all(module)
    lock = _host_lock.Lock(params["scope"])
    try:
        result = STATES[params["state"]](lock, params, module.check_mode)
    except _host_lock.Refused as refused:
        module.fail_json(msg=str(refused), held=False, held_by=refused.held_by, file=lock.path)
    except OSError as error:
        module.fail_json(
            msg=f"{error.filename or lock.path}: {error.strerror}", held=False, held_by=None, file=lock.path
        )
    module.exit_json(file=lock.path, **result)


if __name__ == "__main__":
    main()
