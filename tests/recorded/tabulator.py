# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the pages about the causes of a halt from the causes themselves and from the bundles that are kept.

Started by ``tests.recorded.table``. ``docs/incidents/chain_halt.md`` begins with what is written by hand, up to a marker; below
it stands the table of all bundles. In the folder beside it is a page for each file of the incident's causes. With
``--check`` nothing is written, and the exit code is 1 when a page is out of date.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes import (
    application,
    divergence,
    network,
    rounds,
    signing,
    standing,
    stated,
    storage,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes import power as _power
from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.order import (
    CAUSES,
    NOTHING_EXPLAINS,
)
from ansible_collections.virtengine.incident.plugins.plugin_utils._path.verdict.cause import Cause

from tests.recorded import cases_pairs, losses
from tests.recorded.kept import Kept, kept, unrecorded

DOCS = Path(__file__).resolve().parents[2] / "docs"
INDEX = DOCS / "incidents" / "chain_halt.md"
FOLDER = INDEX.with_suffix("")
WRITTEN_BY_HAND = {FOLDER / "guards.md"}
COMMAND = "python3 -m tests.recorded.table"
WIDTH = 119

# Page -> its title and its causes, in the order of the pages.
PAGES: dict[str, tuple[str, tuple[Cause, ...]]] = {
    "standing": ("Is it a halt at all", (*standing.CAUSES, NOTHING_EXPLAINS)),
    "power": ("Voting power that is missing", _power.CAUSES),
    "network": ("Between the hosts: network and clocks", network.CAUSES),
    "rounds": ("Rounds and proposals", (*rounds.CAUSES, *rounds.ASIDE)),
    "application": ("Inside the node: consensus and application", (*divergence.CAUSES, *application.CAUSES)),
    "stated": ("What a setting, the genesis or the binary explains", stated.CAUSES),
    "storage": ("Disk, databases and the write-ahead log", storage.CAUSES),
    "signing": ("Keys, signers and signing state", signing.CAUSES),
}
_PAGE_OF = {cause.id: page for page, (_title, causes) in PAGES.items() for cause in causes}
_ORDER = [cause.id for cause in CAUSES]
_CODE = re.compile("`[^`]*`")
_NOTE = f"<!-- Written by `{COMMAND}` from the causes and the kept bundles: change those, not this. -->"
MARKER = f"<!-- From here on written by `{COMMAND}` from the causes and the kept bundles: change those, not this. -->"


class NoMarker(Exception):
    """The page has lost the line that says where the generated part begins, so nothing is written into it."""


def pages() -> dict[Path, str]:
    """Every page with its text."""
    bundles = kept()
    return {INDEX: _by_hand() + _index(bundles), **{FOLDER / f"{page}.md": _page(page, bundles) for page in PAGES}}


def _by_hand() -> str:
    """What is written by hand: it is kept as it is."""
    written, marker, _generated = INDEX.read_text(encoding="utf-8").partition(MARKER)
    if not marker:
        raise NoMarker(f"{INDEX} has no line: {MARKER}")
    return written


def _index(bundles: list[Kept]) -> str:
    composed = sum(one.composed for one in bundles)
    lines = [
        MARKER,
        "",
        "## The causes",
        "",
        *_wrapped(
            f"`chain_halt` knows {len(CAUSES)} causes. Behind each link: how it shows, the commands that show the same by "
            "hand, and the operator decision. The rules that separate them: [causes.md](../causes.md)."
        ),
    ]
    for page, (title, causes) in PAGES.items():
        lines += ["", f"### [{title}]({FOLDER.name}/{page}.md)", ""]
        lines += ["| Cause | What it says | A plan may | What to do |", "|---|---|---|---|"]
        lines += [_in_short(cause) for cause in causes]
    lines += [
        "",
        "## How each was made and diagnosed",
        "",
        *_wrapped(
            f"{len(bundles) - composed} bundles were recorded on a fleet of real hosts, {composed} were composed. Each line "
            "says what was made, and what the verdict on the evidence is today."
        ),
        "",
        *_wrapped(
            "The evidence of a case is `tests/data/recorded/CASE.json`, of a composed one `tests/data/bundles/CASE.json`; "
            "`-e incident_evidence=FILE` shows the verdict on it without a host. `python3 -m tests.recorded.record CASE` "
            "makes a case anew on the fleet, with no name all of them; `python3 -m tests.recorded.matrix` prints the "
            "confusion matrix, and what becomes of the verdicts when evidence gets lost. How it was made: the commands of "
            "`tests/fleet/README.md`, one after the other."
        ),
        "",
        *_wrapped(
            "Seconds are those of the run that recorded the bundle, from the start of `ansible-playbook` to the first answer, "
            "and to its end: the confirmed verdict, the plan, the record and its report. The verdict is what the evidence "
            'comes to today; where that run said something else, it stands behind "then": rules were mended since. A '
            "composed bundle was no run. (s): a symptom."
        ),
        "",
        *_wrapped(_one_root()),
        "",
        "| cause | how it was made | recorded case | verdict | seconds of that run: first answer / end |",
        "|---|---|---|---|---|",
        *(_row(one) for one in sorted(bundles, key=_place)),
    ]
    never = [cause for cause in _ORDER if not any(cause in one.causes for one in bundles)]
    if never:
        lines += [
            "",
            *_wrapped(f"In no bundle, and made by composed fleets of the unit tests only: {_quoted(never)}."),
        ]
    if unrecorded():
        lines += [
            "",
            *_wrapped(f"Cases that have not been recorded: {_quoted(unrecorded())}."),
        ]
    return "\n".join(lines) + "\n"


def _in_short(cause: Cause) -> str:
    cells = (_listed([cause.id]), f"{cause.statement}.", _quoted(cause.justifies) or "-", _plain(cause.next) or "-")
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _place(one: Kept) -> tuple[bool, int]:
    """Cases of one cause before those of two, each by the first of its causes."""
    roots = _sorted(one.roots - {"not_halted"}) or _sorted(one.roots)
    return (len(roots) > 1, min((_ORDER.index(cause) for cause in roots), default=len(_ORDER)))


def _row(one: Kept) -> str:
    verdict = losses.judge(one.bundle()).verdict
    roles = {cause["id"]: cause["role"] for cause in verdict["causes"]}
    shown = _in_words(verdict["status"], roles)
    if one.then is not None and one.then != (verdict["status"], roles):
        shown += f"; then: {_in_words(*one.then)}"
    seconds = "{:.1f} / {:.1f}".format(*one.seconds) if one.seconds is not None else "-"
    case = f"`{one.name}`" + (" (composed)" if one.composed else "")
    made = one.about if one.composed else f"`{one.made}`: {one.about}" if one.made != "nothing" else one.about
    cells = (_listed(_sorted(one.roots)), made, case, shown, seconds)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _in_words(status: str, causes: dict[str, str]) -> str:
    named = ", ".join(f"{cause}{'' if role == 'root' else ' (s)'}" for cause, role in causes.items())
    return named if status == "incident" else f"{status}: {named}"


def _one_root() -> str:
    """Why two faults may have one root."""
    roots = {case.name: [cause for cause, role in case.causes.items() if role == "root"] for case in cases_pairs.CASES}
    single = [name for name, ids in roots.items() if len(ids) == 1 and ids != ["cannot_tell"]]
    unknown = [name for name, ids in roots.items() if ids == ["cannot_tell"]]
    return (
        f"Of two faults at once both are roots where each costs power that the chain lacks. {_quoted(single)} have one root: "
        "without the second fault the chain would stand all the same, and no block comes when it alone is repaired, so it is "
        f"named as a symptom. In {_quoted(unknown)} the root is that it cannot be told: seen from inside, another operator's "
        "validator that is silent looks the same as our being cut off, and without its power the fault of ours does not "
        "suffice for a halt."
    )


def _listed(causes: list[str]) -> str:
    return ", ".join(f"[{cause}]({FOLDER.name}/{_PAGE_OF[cause]}.md#{cause})" for cause in causes)


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _sorted(causes: set[str]) -> list[str]:
    return sorted(causes, key=_ORDER.index)


def _page(page: str, bundles: list[Kept]) -> str:
    title, causes = PAGES[page]
    lines = [
        f"# {title}",
        "",
        _NOTE,
        "",
        *_wrapped(
            f"[The chain is halted]({'../' + INDEX.name}) · [the rules](../../causes.md). The commands are for a node with its RPC at "
            "`127.0.0.1:26657`, its home in `~virtengine/.virtengine`, and `jq` at hand. The answer of `/dump_consensus_state` "
            "has its votes under `votes`, that of `/consensus_state` under `height_vote_set`."
        ),
    ]
    for cause in causes:
        lines += ["", *_section(cause, bundles)]
    return "\n".join(lines) + "\n"


def _section(cause: Cause, bundles: list[Kept]) -> list[str]:
    severity = cause.severity or "none of its own"
    severity += ", also while blocks come" if cause.lasting else ""
    # The step has a number, and a line that begins with one would be a list.
    step = f"* **Runbook**: {cause.runbook_step}. **Severity**: {severity}."
    lines = [f"## {cause.id}", "", *_wrapped(f"*{cause.statement}.*"), "", step]
    for head, text in (
        ("Shows", cause.signs),
        ("Next", _plain(cause.next)),
        ("Operator decision", _decision(cause.decide)),
        ("Actions", f"justifies {_actions(cause.justifies)}; forbids {_actions(cause.forbids)}."),
        ("Bundles", _shown_by(cause, bundles)),
    ):
        lines += _wrapped(f"* **{head}**: {text}", "  ") if text else []
    return [*lines, "* **By hand**:", "", *(f"      {command}" for command in cause.by_hand)]


def _plain(text: str) -> str:
    """A text of a cause without the values that only a verdict has."""
    return text.replace("{hosts}", "these hosts").replace("{height}", "this height").replace("{because}", "...")


def _decision(text: str) -> str:
    """What is left to the operator, without the words that the heading has already."""
    left = _plain(text).removeprefix("Operator decision: ")
    return left[:1].upper() + left[1:]


def _actions(names: tuple[str, ...]) -> str:
    return _quoted(names) or "nothing"


def _shown_by(cause: Cause, bundles: list[Kept]) -> str:
    """Which bundles have it as a root, and how many as a symptom."""
    having = [f"`{one.name}`{' (composed)' if one.composed else ''}" for one in bundles if cause.id in one.roots]
    beside = Counter(role for one in bundles for made, role in one.causes.items() if made == cause.id)["symptom"]
    symptom = f"a symptom in {beside}" if beside else ""
    return "; ".join(filter(None, (", ".join(having), symptom))) + "." if having or symptom else "none."


def _wrapped(text: str, indent: str = "") -> list[str]:
    """Lines of a paragraph; what is code is not broken."""
    whole = _CODE.sub(lambda code: code[0].replace(" ", "\0"), text)
    lines = textwrap.wrap(whole, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def stale() -> list[Path]:
    """Pages that are not what would be written, and files beside them that nothing writes."""
    wanted = pages()
    there = set(FOLDER.glob("*")) - WRITTEN_BY_HAND
    wrong = [path for path, text in wanted.items() if not path.is_file() or path.read_text(encoding="utf-8") != text]
    return sorted([*wrong, *(there - set(wanted))])


def parser() -> argparse.ArgumentParser:
    """What may be typed behind ``python3 -m tests.recorded.table``."""
    found = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    found.add_argument("--check", action="store_true", help="write nothing; 1 when a page is out of date")
    return found


def main() -> int:
    """Write the pages, or with ``--check`` say which are out of date."""
    options = parser().parse_args()
    old = stale()
    if options.check:
        print("\n".join(f"out of date: {path.relative_to(DOCS.parent)}" for path in old) or "all pages are up to date")
        return 1 if old else 0
    FOLDER.mkdir(exist_ok=True)
    for path in set(FOLDER.glob("*")) - set(pages()) - WRITTEN_BY_HAND:
        path.unlink()
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    print("\n".join(f"written: {path.relative_to(DOCS.parent)}" for path in old) or "nothing has changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
