"""What is wrong with a file that can be read: every doubt with its evidence. With one doubt the old catalog stays.

A person may overrule a doubt (``--force``), which is then recorded with the catalog. What is no master file at all never
gets here: the reader refuses it, and nobody can overrule that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum

import msgspec

from algo_scalper.adapters.master.links import Parents, Unlinked
from algo_scalper.adapters.master.reader import MasterFile
from algo_scalper.adapters.master.rows import Derivative, contract_place
from algo_scalper.adapters.master.terms import Terms
from algo_scalper.domain.calendar import expiries
from algo_scalper.domain.instruments import INDICES, Index, key_text

SHRINK_BPS = 2_000
"""A part of the exchange that lost a fifth of what should still be listed."""
SMALL = 50
"""Parts with fewer rows may shrink: three futures of one index are a quarter of twelve."""
UNREADABLE_BPS = 10
"""More rows than one in a thousand that make no sense; of index options a single one."""
LOT_FACTOR = 2
LATE_EXPIRY = timedelta(days=4)
"""A holiday moves an expiry by less; a file of another month is further off."""


class Doubt(StrEnum):
    """Why a file is not believed."""

    TORN = "torn"
    UNREADABLE = "unreadable"
    SHRUNK = "shrunk"
    INDEX_MISSING = "index_missing"
    OPTIONS_MISSING = "options_missing"
    OLD = "old"
    CROSSED = "crossed"
    DUPLICATE = "duplicate"
    LOT = "lot"
    FREEZE = "freeze"


class Objection(msgspec.Struct, frozen=True):
    """A doubt with its evidence."""

    doubt: Doubt
    evidence: str

    def __str__(self) -> str:
        return f"{self.doubt.replace('_', ' ')}: {self.evidence}"


Counts = Mapping[tuple[str, str], int]
"""Rows by (exchange, kind): what the catalog in use should still hold on the day."""


class Before(msgspec.Struct, frozen=True):
    """The catalog in use, as far as a new file is held against it."""

    counts: Counts
    terms: Terms


def objections(
    file: MasterFile,
    parents: Parents,
    unlinked: Sequence[Unlinked],
    terms: Terms,
    before: Before | None,
    day: date,
    required: Sequence[str],
) -> list[Objection]:
    """Every doubt about a file. ``required``: the indices that must be there with their options, by name."""
    return [
        *_rows(file),
        *_duplicates(file),
        *_required(file, parents, unlinked, terms, day, [INDICES[name] for name in required]),
        *(_shrunk(file, before) if before is not None else ()),
        *(_lots(terms, before.terms, day) if before is not None else ()),
    ]


def _rows(file: MasterFile) -> Iterator[Objection]:
    if file.torn:
        yield Objection(Doubt.TORN, f"the file ends in the middle of row {file.rows}: {file.torn!r}")
    if file.unreadable_options or file.unreadable_rows * 10_000 > file.rows * UNREADABLE_BPS:
        shown = "; ".join(str(row) for row in file.unreadable[:3])
        yield Objection(
            Doubt.UNREADABLE,
            f"{file.unreadable_rows} of {file.rows} rows make no sense, {file.unreadable_options} of them index options: {shown}",
        )


def _duplicates(file: MasterFile) -> Iterator[Objection]:
    keys = Counter(row.key for row in file.listings)
    keys.update(row.key for row in file.derivatives)
    if len(keys) < len(file.listings) + len(file.derivatives):
        twice = [key for key, count in keys.items() if count > 1]
        yield Objection(
            Doubt.DUPLICATE, f"{len(twice)} security ids stand there twice, the first is {key_text(twice[0])}"
        )
    seen: dict[tuple[object, ...], int] = {}
    for row in file.derivatives:
        place = contract_place(row)
        if place is None:
            continue
        first = seen.setdefault(place, row.key)
        if first != row.key:
            yield Objection(
                Doubt.DUPLICATE,
                f"{_named(row)} is listed twice, as {key_text(first)} and as {key_text(row.key)}",
            )
            return


def _required(
    file: MasterFile,
    parents: Parents,
    unlinked: Sequence[Unlinked],
    terms: Terms,
    day: date,
    indices: Sequence[Index],
) -> Iterator[Objection]:
    listed = {row.key: row for row in file.listings}
    for index in indices:
        row = listed.get(index.key)
        if row is None:
            yield Objection(Doubt.INDEX_MISSING, f"{index.name} ({key_text(index.key)}) is not in the file")
        elif row.symbol != index.name or row.exchange != index.exchange:
            yield Objection(
                Doubt.INDEX_MISSING,
                f"{key_text(index.key)} should be {index.name} of {index.exchange} and is {row.symbol!r} of {row.exchange}",
            )
        for one in unlinked:
            if one.underlying == index.name and one.found_on:
                yield Objection(Doubt.CROSSED, str(one))
        parent = parents.get((index.exchange, "OPTIDX", index.name))
        if parent is not None and parent != index.key:
            yield Objection(
                Doubt.CROSSED,
                f"options of {index.name} are written on {key_text(parent)}, not on {key_text(index.key)}",
            )
        options = terms.get(index.name, {})
        if not options:
            yield Objection(Doubt.OPTIONS_MISSING, f"no option of {index.name} expires on {day} or later")
            continue
        nearest, expected = min(options), expiries(index.name, day, 1)
        if expected and nearest > expected[0] + LATE_EXPIRY:
            yield Objection(
                Doubt.OLD,
                f"the nearest options of {index.name} expire on {nearest}; on {day} some should on {expected[0]}: this is the "
                "file of another time",
            )
        if file.layout.states_freeze:
            unstated = [expiry for expiry, one in options.items() if None in one.freeze]
            if unstated:
                yield Objection(
                    Doubt.FREEZE,
                    f"options of {index.name} without a freeze quantity above their lot, expiring from {min(unstated)}",
                )


def _shrunk(file: MasterFile, before: Before) -> Iterator[Objection]:
    now: Counter[tuple[str, str]] = Counter()
    now.update((row.exchange, row.kind) for row in file.listings)
    now.update((row.exchange, row.kind) for row in file.derivatives)
    for place, was in sorted(before.counts.items()):
        if was >= SMALL and now[place] * 10_000 <= was * (10_000 - SHRINK_BPS):
            exchange, kind = place
            yield Objection(
                Doubt.SHRUNK, f"{exchange} {kind}: {now[place]} rows, {was} of the catalog in use should still be there"
            )


def _lots(now: Terms, was: Terms, day: date) -> Iterator[Objection]:
    for name in INDICES:
        for expiry in sorted(was.get(name, {}).keys() & now.get(name, {}).keys()):
            old, new = was[name][expiry].lot, now[name][expiry].lot
            if expiry >= day and (max(new) >= LOT_FACTOR * min(old) or max(old) >= LOT_FACTOR * min(new)):
                yield Objection(
                    Doubt.LOT, f"the lot of {name} expiring {expiry} goes from {_numbers(old)} to {_numbers(new)}"
                )
                break


def _named(row: Derivative) -> str:
    assert row.strike_paise is not None
    return f"{row.exchange} {row.underlying} {row.expiry} {row.strike_paise / 100:g} {row.option_type}"


def _numbers(values: set[int]) -> str:
    return ", ".join(str(value) for value in sorted(values))
