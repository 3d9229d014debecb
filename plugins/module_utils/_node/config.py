# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings that matter in a halt, as a start of the unit would take them. PRIVATE to the collection.

The node's order: command-line flag, variable ``VE_*``, file, built-in default. A value that cannot be read safely is
null with the reason, never a guess: hosts have no TOML library, and this reader refuses what it does not know.
"""

from __future__ import annotations

import os
import re
import typing as t

from .._host.parts import TEXT_LIMIT, clean, part_error

FILE_CAP = 1024 * 1024
# Of the list of peers as it is taken apart; what is shown of it is cut like every text.
PEERS_CAP = 16 * 1024
INT64_MAX = 2**63 - 1


class Unreadable(Exception):
    """A value is there but cannot be read safely; the text is the contract's ``why``."""

    kind = "cannot_tell"


class Denied(Unreadable):
    """A value may not be read by this user."""

    kind = "privilege"


class Key(t.NamedTuple):
    """One setting: where the node looks for it, and what it is without being set."""

    kind: str
    file: str
    section: str
    name: str
    default: t.Any
    flag: str | None = None
    limit: int = TEXT_LIMIT

    @property
    def variable(self) -> str:
        """The environment variable: section and name in capitals, with underscores."""
        path = f"{self.section}.{self.name}" if self.section else self.name
        return "VE_" + re.sub(r"[.-]", "_", path).upper()


# Defaults are those of CometBFT 0.38 (config/config.go) and SDK 0.53 (server/config). None: it depends on who wrote it.
KEYS = {
    "double_sign_check_height": Key(
        "int", "config.toml", "consensus", "double_sign_check_height", 0, "consensus.double_sign_check_height"
    ),
    "halt_height": Key("int", "app.toml", "", "halt-height", 0, "halt-height"),
    "halt_time": Key("int", "app.toml", "", "halt-time", 0, "halt-time"),
    "priv_validator_laddr": Key("str", "config.toml", "", "priv_validator_laddr", "", "priv_validator_laddr"),
    "priv_validator_key_file": Key(
        "str", "config.toml", "", "priv_validator_key_file", "config/priv_validator_key.json"
    ),
    "priv_validator_state_file": Key(
        "str", "config.toml", "", "priv_validator_state_file", "data/priv_validator_state.json"
    ),
    "create_empty_blocks": Key(
        "bool", "config.toml", "consensus", "create_empty_blocks", True, "consensus.create_empty_blocks"
    ),
    "timeout_propose": Key("str", "config.toml", "consensus", "timeout_propose", "3s"),
    "timeout_prevote": Key("str", "config.toml", "consensus", "timeout_prevote", "1s"),
    "timeout_precommit": Key("str", "config.toml", "consensus", "timeout_precommit", "1s"),
    "timeout_commit": Key("str", "config.toml", "consensus", "timeout_commit", None),
    "persistent_peers": Key("str", "config.toml", "p2p", "persistent_peers", "", "p2p.persistent_peers"),
    "pex": Key("bool", "config.toml", "p2p", "pex", True, "p2p.pex"),
    "p2p_laddr": Key("str", "config.toml", "p2p", "laddr", "tcp://0.0.0.0:26656", "p2p.laddr"),
}
# Needed to find things, not part of the evidence.
PLACES = {
    "rpc_laddr": Key("str", "config.toml", "rpc", "laddr", "tcp://127.0.0.1:26657", "rpc.laddr"),
    "genesis_file": Key("str", "config.toml", "", "genesis_file", "config/genesis.json"),
    "wal_file": Key("str", "config.toml", "consensus", "wal_file", "data/cs.wal/wal"),
    "peers": KEYS["persistent_peers"]._replace(limit=PEERS_CAP),
}

_WANTED = {(key.file, key.section, key.name) for key in (*KEYS.values(), *PLACES.values())}
KNOWN_FLAGS = frozenset({"home"} | {key.flag for key in (*KEYS.values(), *PLACES.values()) if key.flag})
KNOWN_VARIABLES = frozenset(
    {"VE_HOME", "HOME", "DAEMON_HOME", "DAEMON_NAME", "COSMOVISOR_DISABLE_RECASE"}
    | {key.variable for key in (*KEYS.values(), *PLACES.values())}
)
_SWITCHES = frozenset({"consensus.create_empty_blocks", "p2p.pex"})

_HEADER = re.compile(r"\[([A-Za-z0-9_.-]+)\]\s*(?:#.*)?\Z")
_PAIR = re.compile(r"([A-Za-z0-9_-]+)\s*=\s*(.*)\Z")
_SCALAR = re.compile(
    r"""(?:"(?P<basic>[^"\\]*)"|'(?P<literal>[^']*)'|(?P<int>[+-]?(?:0|[1-9]\d*))|(?P<bool>true|false)"""
    r"""|(?P<float>[+-]?\d[\d_]*\.[\d_]+(?:[eE][+-]?\d+)?))\s*(?:\#.*)?\Z"""
)
_ARRAY_TEXT = re.compile(r'"[^"\\]*"|\'[^\']*\'|#.*')


class Launch(t.NamedTuple):
    """What is set beside the files: flags and variables by allow-list, and why not all of them are known."""

    flags: dict[str, str]
    variables: dict[str, str]
    why_flags: Unreadable | None = None
    why_variables: Unreadable | None = None


def flags_of(argv: list[str]) -> dict[str, str]:
    """The known flags of a command line; the last of a flag counts, ``--`` ends them."""
    flags: dict[str, str] = {}
    words = iter(argv[1:])
    for word in words:
        if word == "--":
            break
        if not word.startswith("--"):
            continue
        name, equals, value = word[2:].partition("=")
        if name not in KNOWN_FLAGS:
            continue
        flags[name] = value if equals else ("true" if name in _SWITCHES else next(words, ""))
    return flags


def known_variables(variables: t.Mapping[str, str]) -> dict[str, str]:
    """Variables by allow-list. An empty one counts as not set, as it does for the node."""
    return {name: value for name, value in variables.items() if name in KNOWN_VARIABLES and value != ""}


def read_toml(text: str) -> dict[tuple[str, str], t.Any]:
    """Plain ``key = value`` pairs by (section, key), both in small letters: the node does not mind their case.

    Raises Unreadable on any line that is not blank, a comment, a section, a plain pair or an array of plain values.
    A value of a known shape that means nothing here (a float, an array) is stored as an Unreadable.
    """
    pairs: dict[tuple[str, str], t.Any] = {}
    sections: set[str] = set()
    section = ""
    lines = iter(enumerate(text.splitlines(), 1))
    for number, raw in lines:
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        header = _HEADER.match(line)
        if header:
            section = header.group(1).lower()
            if section in sections:
                raise Unreadable(f"line {number}: section {section} is given twice")
            sections.add(section)
            continue
        pair = _PAIR.match(line)
        if not pair:
            raise Unreadable(f"line {number} is of a form this reader does not know")
        key = (section, pair.group(1).lower())
        value = _value(pair.group(2), number, lines)
        pairs[key] = Unreadable(f"line {number}: {key[1]} is given twice") if key in pairs else value
    return pairs


def _value(text: str, number: int, lines: t.Iterator[tuple[int, str]]) -> t.Any:
    scalar = _SCALAR.match(text)
    if scalar and not text.startswith(('"""', "'''")):
        if scalar.group("int") is not None:
            return int(scalar.group("int"))
        if scalar.group("bool") is not None:
            return scalar.group("bool") == "true"
        if scalar.group("float") is not None:
            return Unreadable(f"line {number}: a fraction where none belongs")
        return scalar.group("basic") if scalar.group("basic") is not None else scalar.group("literal")
    if not text.startswith("["):
        raise Unreadable(f"line {number} is of a form this reader does not know")
    rest = _ARRAY_TEXT.sub("", text)
    while rest.count("[") > rest.count("]"):
        number, text = next(lines, (0, ""))
        if number == 0:
            raise Unreadable("an array does not end")
        rest += _ARRAY_TEXT.sub("", text)
    if not re.fullmatch(r"[\[\],\sA-Za-z0-9_.+-]*", rest) or not rest.rstrip().endswith("]"):
        raise Unreadable(f"line {number} is of a form this reader does not know")
    return Unreadable(f"line {number}: an array where none belongs")


class Files:
    """The node's two configuration files, each read once. A missing file means defaults: the node writes one."""

    def __init__(self, home: str | None, why: str = "") -> None:
        self._home = home
        self._why = why
        self._read: dict[str, t.Any] = {}

    def get(self, key: Key) -> t.Any:
        """The value in the file, None when it is not there. Raises Unreadable."""
        if self._home is None:
            raise Unreadable(self._why or "the node's home is not known")
        if key.file not in self._read:
            self._read[key.file] = self._load(key.file)
        content = self._read[key.file]
        if isinstance(content, Denied):
            raise content
        if isinstance(content, Unreadable):
            raise Unreadable(f"{key.file}: {content}")
        value = content.get((key.section, key.name))
        if isinstance(value, Unreadable):
            raise Unreadable(f"{key.file}: {value}")
        return value

    def _load(self, name: str) -> dict[tuple[str, str], t.Any] | Unreadable:
        path = os.path.join(self._home or "", "config", name)
        try:
            with open(path, "rb") as stream:
                raw = stream.read(FILE_CAP + 1)
        except FileNotFoundError:
            return {}
        except PermissionError as error:
            return Denied(part_error(error, path).text)
        except OSError as error:
            return Unreadable(part_error(error, path).text)
        if len(raw) > FILE_CAP:
            return Unreadable(f"larger than {FILE_CAP} bytes")
        try:
            content = read_toml(raw.decode("utf-8"))
        except UnicodeDecodeError:
            return Unreadable("not UTF-8")
        except Unreadable as why:
            return why
        # Only what is asked for is kept: the rest of the file may hold passwords.
        return {key: value for key, value in content.items() if (name, *key) in _WANTED}


def setting(key: Key, launch: Launch, files: Files) -> dict[str, t.Any]:
    """One setting as ``{"value", "source"}``, or ``{"value": None, "source": None, "why"}``."""
    try:
        value, source = _lookup(key, launch, files)
        return {"value": _typed(key, value), "source": source}
    except Unreadable as why:
        return {"value": None, "source": None, "why": clean(why)}


def denied(key: Key, launch: Launch, files: Files) -> str | None:
    """Why a setting may not be read by this user; None where it may, or something else keeps it from being read."""
    try:
        _lookup(key, launch, files)
    except Unreadable as why:
        return clean(why) if isinstance(why, Denied) else None
    return None


def _lookup(key: Key, launch: Launch, files: Files) -> tuple[t.Any, str]:
    if key.flag and key.flag in launch.flags:
        return launch.flags[key.flag], "flag"
    if launch.why_flags:
        raise launch.why_flags
    if key.variable in launch.variables:
        return launch.variables[key.variable], "env"
    if launch.why_variables:
        raise launch.why_variables
    value = files.get(key)
    if value is not None:
        return value, key.file
    if key.default is None:
        raise Unreadable(f"{key.name} is not in {key.file}")
    return key.default, "default"


def _typed(key: Key, value: t.Any) -> t.Any:
    if isinstance(value, str) and "$" in value:
        raise Unreadable("the value refers to a variable")
    if key.kind == "bool":
        words = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
        word = str(value).lower()
        if word not in words:
            raise Unreadable(f"{clean(value, 40)!r} is neither true nor false")
        return words[word]
    if key.kind == "int":
        text = str(value)
        if isinstance(value, bool) or not re.fullmatch(r"0|[1-9]\d{0,18}", text) or int(text) > INT64_MAX:
            raise Unreadable(f"{clean(value, 40)!r} is not a height or time")
        return int(text)
    if not isinstance(value, str):
        raise Unreadable(f"{clean(value, 40)!r} is not a text")
    return clean(value, key.limit)


def variables_of_file(text: str) -> dict[str, str]:
    """Known variables of a systemd environment file. Raises Unreadable on a form that hides or splits them."""
    variables = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if line.endswith("\\"):
            raise Unreadable(f"line {number} goes on in the next line")
        name, equals, value = line.partition("=")
        if not equals or name.strip() not in KNOWN_VARIABLES:
            continue
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if re.search(r"[\"'\\`]", value):
            raise Unreadable(f"line {number}: quotes in {name.strip()}")
        variables[name.strip()] = value
    return variables
