# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exact command that approves a plan. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
import shlex
import typing as t

_EXTRA = ("-e", "--extra-vars")
# The one-letter options of ansible-playbook that take no value.
_FLAGS = re.compile(r"-([bCDJkKv]+)(.*)", re.DOTALL)
_DROPPED = ("incident_approve", "incident_break_lock")


def approve(digest: str, argv: list[str], awx: bool) -> str:
    """What a person types to approve ``digest``, or in AWX what is entered.

    ``argv`` is the command line of this run. It is repeated as it was typed, without check mode and earlier approvals;
    values of extra variables that are not ``incident_*`` may be secrets and become ``...``.
    """
    if awx:
        return f"launch this job template again with the extra variable incident_approve: {digest}"
    words = [argv[0].rsplit("/", maxsplit=1)[-1]]
    rest = iter(argv[1:])
    for typed in rest:
        flags, word = _parted(typed)
        words += flags
        value = _extra_of(word, rest)
        if value is not None:
            shown = _shown(value)
            words += ["-e", shown] if shown else []
        elif word and not _is_check(word):
            words.append(word)
    return f"{shlex.join(words)} -e incident_approve={digest}"


def _parted(word: str) -> tuple[list[str], str]:
    """One-letter options without a value, without check mode, and what follows them in the same word, such as ``-Ce``."""
    match = _FLAGS.fullmatch(word)
    if match is None:
        return [], word
    kept = match[1].replace("C", "")
    return ([f"-{kept}"] if kept else []), (f"-{match[2]}" if match[2] else "")


def _extra_of(word: str, rest: t.Iterator[str]) -> str | None:
    """The extra variables that this word brings, or None where it is another option."""
    if word in _EXTRA:
        return next(rest, "")
    option, equals, value = word.partition("=")
    # argparse takes every beginning of a long option that is no other option's.
    if option.startswith("--e") and "--extra-vars".startswith(option):
        return value if equals else next(rest, "")
    return word[2:] if word.startswith("-e") and not word.startswith("--") else None


def _is_check(word: str) -> bool:
    """Whether this is the long option of check mode; argparse takes ``--ch`` as well."""
    return word.startswith("--ch") and "--check".startswith(word)


def _quoted(pair: str) -> str:
    """A key=value pair as Ansible splits it again: a value with blanks needs quotes of its own."""
    name, _equals, value = pair.partition("=")
    if value == shlex.quote(value):
        return pair
    # Ansible's own splitting knows no way to write a quote inside the same quotes.
    return f"{name}={shlex.quote(value)}" if "'" not in value else f'{name}="{value}"'


def _shown_json(value: str) -> str:
    """Extra variables given as JSON. What is no JSON (YAML, that is) could hide a secret anywhere."""
    try:
        given = json.loads(value)
    except ValueError:
        return "..."
    if not isinstance(given, dict):
        return "..."
    kept = {
        name: content if name.startswith("incident_") else "..."
        for name, content in given.items()
        if name not in _DROPPED
    }
    return json.dumps(kept) if kept else ""


def _shown(value: str) -> str:
    if value.startswith("@"):
        return value
    if value.lstrip().startswith(("{", "[")):
        return _shown_json(value)
    try:
        pairs = shlex.split(value)
    except ValueError:
        return "..."
    shown = []
    for pair in pairs:
        name, equals, _value = pair.partition("=")
        if not equals:
            shown.append("...")
        elif name not in _DROPPED:
            shown.append(_quoted(pair) if name.startswith("incident_") else f"{name}=...")
    return " ".join(shown)
