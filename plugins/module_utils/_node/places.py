# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the node of a unit keeps its things, and the settings a start of it would take. PRIVATE to the collection."""

from __future__ import annotations

import glob
import os
import pwd
import re
import typing as t

from .._host.parts import PartError, clean, part_error
from .._host.systemd import Unit
from . import config as _config

# Programs that start another program: their words are not the node's.
LAUNCHERS = frozenset({"cosmovisor", "sh", "bash", "dash", "ash", "env", "nice", "ionice", "numactl", "taskset"})
DEFAULT_NAME = "virtengine"
DEFAULT_HOME = ".virtengine"
_ENV_FILE_CAP = 64 * 1024
_LADDR = re.compile(r"(?:tcp://|http://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]*):(\d{1,5})\Z")
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


def nowhere(home: str | None, rpc_url: str | None, error: dict[str, str]) -> dict[str, t.Any]:
    """The places when the configuration could not be looked at, for this ``error``: only what the user set."""
    return {
        "home": home,
        "home_source": "option" if home else None,
        "rpc": rpc_url,
        "rpc_source": "option" if rpc_url else None,
        "rpc_why": "the configuration of the node could not be read; set the option rpc_url",
        "unknown": error,
        "binary": None,
        "cosmovisor": False,
        "genesis_file": None,
        "wal_file": None,
        "peers": {"value": None, "source": None, "why": "not read in time"},
        "upgrades": None,
        "config": {key: {"value": None, "source": None, "why": "not read in time"} for key in _config.KEYS},
    }


def find(
    unit: Unit | None,
    process: dict[str, t.Any] | None,
    home: str | None,
    rpc_url: str | None,
    binary: str | None,
    hidden: str | None = None,
) -> dict[str, t.Any]:
    """Home, RPC, program and settings; under ``unknown`` the error of what this user may not read, None: it may.

    ``process`` holds ``flags``, ``variables`` (None: may not be read), ``exe`` of the running node and ``of_unit``:
    whether the unit started it. It speaks for the unit where the unit's own command line cannot be read, and alone
    where there is no unit. ``hidden``: why this user may not see the unit or the processes.
    """
    launch = launch_of(unit, process, hidden)
    home, home_source = _home(unit, launch, process, home)
    files = _config.Files(home, "the home of the node is not known; set the option home")
    rpc, rpc_source, rpc_why = _rpc(launch, files, rpc_url)
    genesis = _config.setting(_config.PLACES["genesis_file"], launch, files)
    program, cosmovisor = _binary(unit, launch, process, binary)
    denied = _denied(launch, files)
    return {
        "home": home,
        "home_source": home_source,
        "rpc": rpc,
        "rpc_source": rpc_source,
        "rpc_why": rpc_why,
        "unknown": {"kind": "privilege", "text": denied} if denied else None,
        "binary": program,
        "cosmovisor": cosmovisor,
        "genesis_file": genesis["value"],
        "wal_file": _config.setting(_config.PLACES["wal_file"], launch, files)["value"],
        "peers": _config.setting(_config.PLACES["peers"], launch, files),
        "upgrades": _upgrades(launch) if cosmovisor else None,
        "config": {name: _config.setting(key, launch, files) for name, key in _config.KEYS.items()},
    }


def _denied(launch: _config.Launch, files: _config.Files) -> str | None:
    keys = (*_config.KEYS.values(), *_config.PLACES.values())
    return next(filter(None, (_config.denied(key, launch, files) for key in keys)), None)


def launch_of(unit: Unit | None, process: dict[str, t.Any] | None, hidden: str | None = None) -> _config.Launch:
    """Flags and variables of a start: the unit's; the process's where the unit runs a script or there is no unit."""
    unseen = _config.Denied(hidden) if hidden else None
    if unit is None:
        return _config.Launch({}, {}, unseen) if process is None else _launch_of_process(process)
    variables, why_variables = _unit_variables(unit)
    launcher = os.path.basename(unit.argv[0]) if unit.argv else ""
    if launcher not in LAUNCHERS - {"cosmovisor"} and "start" in unit.argv:
        flags = {name: _expand(value, variables) for name, value in _config.flags_of(unit.argv).items()}
        return _config.Launch(flags, variables, None, why_variables)
    if process is not None and process["of_unit"]:
        return _launch_of_process(process)
    script = _config.Unreadable("the unit does not call the node itself, its flags are not known")
    return _config.Launch({}, variables, unseen or script, why_variables)


def _launch_of_process(process: dict[str, t.Any]) -> _config.Launch:
    if process["variables"] is not None:
        return _config.Launch(process["flags"], process["variables"])
    why = _config.Denied("the variables of the node's process are hidden from this user; run with become")
    return _config.Launch(process["flags"], {}, None, why)


def programs(unit: Unit | None, binary: str | None) -> frozenset[str]:
    """File names of the program that a start would run: by them its processes are told, wherever they were started.

    Under cosmovisor it is the program that cosmovisor is told to run. Empty where a script chooses it. ``binary``: what
    the user said it is. Raises PartError ``cannot_tell`` or ``privilege`` where cosmovisor's variables cannot be read: a
    process of the program would not be told.
    """
    first = os.path.basename(unit.argv[0]) if unit and unit.argv else ""
    if unit is not None and first == "cosmovisor":
        launch = launch_of(unit, None)
        if launch.why_variables and "DAEMON_NAME" not in launch.variables and not binary:
            text = f"process: which program cosmovisor runs is not known: {launch.why_variables}"
            raise PartError(launch.why_variables.kind, text)
        first = os.path.basename(_daemon_name(launch))
    return frozenset({first, os.path.basename(binary or "")} - LAUNCHERS - {""})


def _daemon_name(launch: _config.Launch) -> str:
    """Name of the program that cosmovisor runs."""
    return launch.variables.get("DAEMON_NAME", DEFAULT_NAME)


def _unit_variables(unit: Unit) -> tuple[dict[str, str], _config.Unreadable | None]:
    """``Environment`` and then the files of ``EnvironmentFile``, which overrule it, by allow-list."""
    variables = dict(unit.environment)
    why: _config.Unreadable | None = None
    for pattern, may_be_missing in unit.environment_files:
        for path in sorted(glob.glob(pattern)) or [pattern]:
            try:
                with open(path, "rb") as stream:
                    text = stream.read(_ENV_FILE_CAP + 1).decode("utf-8")
                if len(text) > _ENV_FILE_CAP:
                    raise _config.Unreadable("too large")
                variables.update(_config.variables_of_file(text))
            except FileNotFoundError as error:
                why = why if may_be_missing else _config.Unreadable(part_error(error, path).text)
            except PermissionError as error:
                why = _config.Denied(part_error(error, path).text)
            except OSError as error:
                why = _config.Unreadable(part_error(error, path).text)
            except (_config.Unreadable, UnicodeDecodeError) as error:
                why = _config.Unreadable(f"{path}: {clean(error)}")
    return _config.known_variables(variables), why


def _expand(value: str, variables: dict[str, str]) -> str:
    """Put known variables in, as systemd does; an unknown one stays and makes the value unreadable."""
    return _VARIABLE.sub(lambda match: variables.get(match.group(1) or match.group(2), match.group(0)), value)


def _home(
    unit: Unit | None, launch: _config.Launch, process: dict[str, t.Any] | None, home: str | None
) -> tuple[str | None, str | None]:
    if home:
        return os.path.normpath(home), "option"
    word = "process" if unit is None else "unit"
    for value, source in ((launch.flags.get("home"), "flag"), (launch.variables.get("VE_HOME"), "env")):
        if value:
            path = _absolute(value, unit)
            return (path, "process" if word == "process" else f"unit_{source}") if path else (None, None)
    if launch.why_flags or launch.why_variables:
        return None, None
    if unit is None and process is None:
        return None, None
    running = (process["variables"] or {}).get("HOME") if process else None
    parent = launch.variables.get("HOME") or running or (_home_of(unit.user) if unit else None)
    return (os.path.join(parent, DEFAULT_HOME), "default") if parent else (None, None)


def _absolute(path: str, unit: Unit | None) -> str | None:
    if "$" in path or "%" in path:
        return None
    if os.path.isabs(path):
        return os.path.normpath(path)
    return os.path.normpath(os.path.join(unit.directory, path)) if unit and os.path.isabs(unit.directory) else None


def _home_of(user: str) -> str | None:
    try:
        return pwd.getpwnam(user or "root").pw_dir
    except KeyError:
        return None


def _rpc(launch: _config.Launch, files: _config.Files, rpc_url: str | None) -> tuple[str | None, str | None, str]:
    """URL of the RPC as seen from this host, where it is known from, and why it is not known."""
    if rpc_url:
        return rpc_url, "option", ""
    key = _config.PLACES["rpc_laddr"]
    setting = _config.setting(key, launch, files)
    if setting["value"] is None and _config.denied(key, launch, files):
        # Anybody may ask an RPC, and without rights little else is left: most nodes listen there.
        return rpc_address(key.default), "default", ""
    if setting["value"] is None:
        return None, None, setting["why"]
    sources = {"flag": "unit_flag", "env": "unit_env", "config.toml": "config", "default": "default"}
    for address in setting["value"].split(","):
        url = rpc_address(address.strip())
        if url is not None:
            return url, sources[setting["source"]], ""
    return None, None, f"the RPC listens on {clean(setting['value'], 80)!r}, not on TCP; set the option rpc_url"


def rpc_address(laddr: str) -> str | None:
    """URL for a listening address of the node; a wildcard is asked on loopback. None when it is not a TCP address."""
    match = _LADDR.match(laddr)
    if not match or not 0 < int(match.group(2)) < 65536:
        return None
    host = match.group(1)
    # All zeros is every address of the host; it is asked on its own loopback.
    if not host.strip("0."):
        host = "127.0.0.1"
    elif host == "[::]":
        host = "[::1]"
    return f"http://{host}:{match.group(2)}"


def _binary(
    unit: Unit | None, launch: _config.Launch, process: dict[str, t.Any] | None, binary: str | None
) -> tuple[str | None, bool]:
    """Path of the program that a start would run, and whether cosmovisor chooses it."""
    first = unit.argv[0] if unit and unit.argv else ""
    cosmovisor = os.path.basename(first) == "cosmovisor"
    if binary:
        return binary, cosmovisor
    if cosmovisor:
        base = launch.variables.get("DAEMON_HOME")
        return (os.path.join(base, "cosmovisor", "current", "bin", _daemon_name(launch)) if base else None), True
    if first and os.path.basename(first) not in LAUNCHERS:
        return first, False
    return (process["exe"] if process else None), False


def _upgrades(launch: _config.Launch) -> dict[str, t.Any] | None:
    """Where cosmovisor looks for the program of an upgrade (tools/cosmovisor/args.go). None when it cannot be told."""
    base = launch.variables.get("DAEMON_HOME", "")
    if not os.path.isabs(base) or launch.why_variables:
        return None
    return {
        "folder": os.path.join(base, "cosmovisor", "upgrades"),
        "program": _daemon_name(launch),
        "as_named": launch.variables.get("COSMOVISOR_DISABLE_RECASE", "").lower() == "true",
    }
