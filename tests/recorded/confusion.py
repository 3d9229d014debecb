# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The confusion matrix of the causes over all kept bundles, and over bundles that lost evidence at random.

Started by ``tests.recorded.matrix``. Rows: the root causes that were made; columns: the root causes that the verdict
names. The exit code is 1 when anything lies off the diagonal, or when a loss breaks a rule.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from ansible_collections.virtengine.incident.plugins.plugin_utils._incidents.chain_halt.causes.order import CAUSES

from tests.recorded import losses
from tests.recorded.kept import Kept, kept, unrecorded

NOTHING = "-"
ORDER = [*(cause.id for cause in CAUSES), NOTHING]

# What a loss makes of a verdict.
STAYED, UNKNOWN, SYMPTOM, OTHER, BROKEN = "stayed", "unknown", "symptom", "other", "broken"
OUTCOMES = (STAYED, UNKNOWN, SYMPTOM, OTHER, BROKEN)
MOST_AT_ONCE = 60
WIDTH = 100


@dataclass
class Told:
    """What became of one bundle: what was made, what the verdict names, and what came of its losses."""

    name: str
    composed: bool
    made: set[str]
    named: set[str]
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: dict[str, list[losses.Loss]] = field(default_factory=dict)  # rule -> the smallest loss that broke it


def cells(made: set[str], named: set[str]) -> set[tuple[str, str]]:
    """Where a bundle stands in the matrix: what was made and named on the diagonal, what was taken for what beside it."""
    found = {(cause, cause) for cause in made & named} or ({(NOTHING, NOTHING)} if not made | named else set())
    missed, extra = made - named, named - made
    if missed or extra:
        found |= {(row, column) for row in missed or {NOTHING} for column in extra or {NOTHING}}
    return found


def outcome(before: losses.Judged, after: losses.Judged) -> str:
    """How a verdict changed that broke no rule.

    unknown: nothing is named any more. symptom: what is named was named before, and what were roots are less or are
    symptoms now. other: a cause is named about which the full verdict could not tell.
    """
    held, less = (losses.named(judged.verdict) - {"cannot_tell"} for judged in (before, after))
    if after.verdict["status"] == before.verdict["status"] and losses.roots(after.verdict) == losses.roots(
        before.verdict
    ):
        return STAYED
    if not less or after.verdict["status"] == "unknown":
        return UNKNOWN
    return SYMPTOM if less <= held else OTHER


def draw(chance: random.Random, hosts: list[str], looks: list[int]) -> list[losses.Loss]:
    """One loss: of single answers, of one part on all hosts, of all that a few hosts said, or any of these at once."""
    kind = chance.randrange(4)
    if kind == 0:
        return [(chance.choice(hosts), look, part) for part in [chance.choice(losses.LOSABLE)] for look in looks]
    if kind == 1:
        parts = chance.sample(losses.LOSABLE[1:], chance.randint(1, 3))
        return [(host, look, part) for part in parts for host in hosts for look in looks]
    if kind == 2:
        some = chance.sample(hosts, chance.randint(1, len(hosts)))
        return [(host, look, losses.WHOLE) for host in some for look in chance.choice(([looks[-1]], looks))]
    number = chance.randint(1, MOST_AT_ONCE)
    return [(chance.choice(hosts), chance.choice(looks), chance.choice(losses.LOSABLE)) for _each in range(number)]


def tell(one: Kept, number: int, seed: int) -> Told:
    """Judge a bundle, and the same bundle after so many losses."""
    bundle = one.bundle()
    before = losses.judge(bundle)
    told = Told(one.name, one.composed, one.roots, losses.roots(before.verdict))
    chance = random.Random(f"{seed} {one.name}")
    hosts, looks = losses.hosts_of(bundle), sorted({entry["look"] for entry in bundle["observations"]})
    for _each in range(number):
        lost, how = draw(chance, hosts, looks), chance.choice((losses.FAILED, losses.ABSENT))
        after = losses.judge(losses.without(bundle, lost, how))
        broken = losses.broken_rules(before, after, how)
        told.outcomes[BROKEN if broken else outcome(before, after)] += 1
        for rule in broken:
            if rule not in told.broken or len(lost) < len(told.broken[rule]):
                told.broken[rule] = lost
    return told


def grid(all_told: Iterable[Told]) -> list[str]:
    """The matrix, a column of numbers for each cause that was made or named."""
    count: Counter[tuple[str, str]] = Counter()
    for told in all_told:
        count.update(cells(told.made, told.named))
    used = [cause for cause in ORDER if any(cause in pair for pair in count)]
    widths = {column: 1 + max(len(str(count[row, column])) for row in used) for column in used}
    label = {cause: NOTHING if cause == NOTHING else str(ORDER.index(cause) + 1) for cause in used}
    lines = [
        "    " + "".join(label[column].rjust(2)[digit].rjust(widths[column]) for column in used) for digit in (0, 1)
    ]
    for row in used:
        shown = (str(count[row, column] or ("." if row == column else "")).rjust(widths[column]) for column in used)
        lines.append(f"{label[row]:>3} {''.join(shown)}")
    return [line.rstrip() for line in lines]


def legend(all_told: list[Told]) -> list[str]:
    """One line for each cause: how many bundles have it, and what came of their losses."""
    head = f"{'':3} {'cause':<25}{'recorded':>9}{'composed':>9}" + "".join(f"{word:>10}" for word in OUTCOMES)
    lines = [head]
    for number, cause in enumerate(ORDER[:-1], 1):
        having = [told for told in all_told if cause in told.made]
        composed = sum(told.composed for told in having)
        outcomes = sum((told.outcomes for told in having), Counter[str]())
        counts = "".join(f"{outcomes[word] or '.':>10}" for word in OUTCOMES) if having else ""
        lines.append(f"{number:>3} {cause:<25}{len(having) - composed or '.':>9}{composed or '.':>9}{counts}")
    everything = sum((told.outcomes for told in all_told), Counter[str]())
    composed = sum(told.composed for told in all_told)
    counts = "".join(f"{everything[word] or '.':>10}" for word in OUTCOMES)
    lines.append(f"{'':3} {'all bundles':<25}{len(all_told) - composed or '.':>9}{composed or '.':>9}{counts}")
    return lines


def faults(all_told: Iterable[Told]) -> list[str]:
    """What makes the exit code 1."""
    lines = []
    for told in all_told:
        if told.made != told.named:
            made, named = (", ".join(sorted(causes)) or "nothing" for causes in (told.made, told.named))
            lines.append(f"off the diagonal: {told.name}: made {made}; the verdict names {named}")
        for rule, lost in told.broken.items():
            first = ", ".join(f"{part} of {host} in look {look}" for host, look, part in lost[:3])
            more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
            lines.append(f"broken: {told.name}: {rule}; without {first}{more}")
    return lines


def parser() -> argparse.ArgumentParser:
    """What may be typed behind ``python3 -m tests.recorded.matrix``."""
    found = argparse.ArgumentParser(prog="python3 -m tests.recorded.matrix", description=__doc__)
    found.add_argument(
        "--losses", type=int, default=200, metavar="N", help="random losses for each bundle (default: 200)"
    )
    found.add_argument(
        "--seed", type=int, default=5, metavar="S", help="of the losses: the same ones again (default: 5)"
    )
    return found


def main() -> int:
    """Print the matrix and what the losses made of it; see the module."""
    options = parser().parse_args()
    bundles = kept()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        all_told = list(pool.map(partial(tell, number=options.losses, seed=options.seed), bundles))
    print("Rows: the root causes that were made. Columns: the root causes that the verdict names. -: none.")
    print("\n".join(grid(all_told)))
    explained = (
        f"{options.losses} random losses for each bundle, seed {options.seed}: the verdict stayed, weakened to unknown or to a "
        "symptom (less of what it named before), named what it could not tell before, or broke a rule. A bundle of two "
        "root causes counts in both lines; symptoms are not counted."
    )
    print("\n" + textwrap.fill(explained, WIDTH))
    print("\n".join(legend(all_told)))
    bad = faults(all_told)
    missing = [f"not recorded yet, so not in the matrix: {', '.join(unrecorded())}"] if unrecorded() else []
    print()
    for line in [*bad, *missing]:
        print(textwrap.fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
