"""What has changed between two catalogs: lots, ticks, freeze quantities, expiry days and strikes of index options.

A changed lot, tick or freeze quantity of an index we can trade is money: its entries wait until a person has seen the old
and the new value. Contracts that expired are no change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum

import msgspec

NOT_STATED = "not in the file"
_STRIKES_SHOWN = 4


class What(StrEnum):
    """What about an index's options has changed."""

    LOT = "lot"
    TICK = "tick"
    FREEZE = "freeze"
    EXPIRIES_ADDED = "expiries_added"
    EXPIRIES_GONE = "expiries_gone"
    STRIKES_ADDED = "strikes_added"
    STRIKES_GONE = "strikes_gone"


MONEY = (What.LOT, What.TICK, What.FREEZE)


class ExpiryTerms(msgspec.Struct):
    """All options of one index and expiry; one lot, tick and freeze quantity as a rule, and more when a file says so."""

    lot: set[int]
    tick: set[int]
    freeze: set[int | None]
    strikes: set[int]

    def values(self, what: What) -> frozenset[int | None]:
        """The values of one of `MONEY`."""
        return frozenset(self.lot if what is What.LOT else self.tick if what is What.TICK else self.freeze)


Terms = Mapping[str, Mapping[date, ExpiryTerms]]
"""By underlying and expiry."""

OptionRow = tuple[str, date, int, int, int | None, int]
"""(underlying, expiry, lot, tick in paise, freeze quantity, strike in paise)."""


class Change(msgspec.Struct, frozen=True):
    """One thing that is not as it was. ``where`` names the expiries; ``waits`` when a person must accept it."""

    underlying: str
    what: What
    where: str
    was: str
    now: str
    waits: bool

    def __str__(self) -> str:
        return f"{self.underlying} {self.what.replace('_', ' ')}{f' ({self.where})' if self.where else ''}: {self.was} -> {self.now}"


def terms_of(options: Iterable[OptionRow]) -> Terms:
    """The terms of index options, an index being what is traded under one name on its own exchange."""
    found: dict[str, dict[date, ExpiryTerms]] = {}
    for underlying, expiry, lot, tick, freeze, strike in options:
        by_expiry = found.setdefault(underlying, {})
        terms = by_expiry.get(expiry)
        if terms is None:
            by_expiry[expiry] = ExpiryTerms({lot}, {tick}, {freeze}, {strike})
            continue
        terms.lot.add(lot)
        terms.tick.add(tick)
        terms.freeze.add(freeze)
        terms.strikes.add(strike)
    return found


def changes(was: Terms, now: Terms, day: date, traded: Collection[str]) -> Iterator[Change]:
    """Everything that changed from one catalog to the next, leaving out what expired before ``day``.

    A new expiry counts as a change of money only where its value is one the index has not had: while an exchange moves to
    another lot, both are listed. The options of ``traded`` wait for a person; those of other indices are told.
    """
    for underlying in sorted(was.keys() | now.keys()):
        before = {expiry: one for expiry, one in was.get(underlying, {}).items() if expiry >= day}
        after = now.get(underlying, {})
        if was.get(underlying):
            yield from _money(underlying, was[underlying], after, traded)
        yield from _expiries(underlying, before.keys(), after.keys())
        for expiry in sorted(before.keys() & after.keys()):
            yield from _strikes(underlying, expiry, before[expiry].strikes, after[expiry].strikes)


def never_compared(now: Terms, traded: Collection[str]) -> Iterator[Change]:
    """The terms of traded indices where the catalog before was cleared: there is nothing to hold them against."""
    for underlying in sorted(now.keys() & set(traded)):
        for what in MONEY:
            values = frozenset[int | None]().union(*(one.values(what) for one in now[underlying].values()))
            yield Change(underlying, what, "", "unknown, the catalog was cleared", _shown(what, values), waits=True)


def _money(
    underlying: str, was: Mapping[date, ExpiryTerms], now: Mapping[date, ExpiryTerms], traded: Collection[str]
) -> Iterator[Change]:
    for what in MONEY:
        known = frozenset[int | None]().union(*(one.values(what) for one in was.values()))
        moved: dict[tuple[str, str], list[date]] = {}
        for expiry, terms in now.items():
            old, new = was[expiry].values(what) if expiry in was else known, terms.values(what)
            if new != old if expiry in was else not new <= old:
                moved.setdefault((_shown(what, old), _shown(what, new)), []).append(expiry)
        for (old_text, new_text), found in sorted(moved.items()):
            yield Change(underlying, what, _days(found), old_text, new_text, underlying in traded)


def _expiries(underlying: str, was: Collection[date], now: Collection[date]) -> Iterator[Change]:
    count = f"{len(was)} expiries", f"{len(now)} expiries"
    if added := [expiry for expiry in now if expiry not in was]:
        yield Change(underlying, What.EXPIRIES_ADDED, _days(added), *count, waits=False)
    if gone := [expiry for expiry in was if expiry not in now]:
        yield Change(underlying, What.EXPIRIES_GONE, _days(gone), *count, waits=False)


def _strikes(underlying: str, expiry: date, was: set[int], now: set[int]) -> Iterator[Change]:
    for what, moved in ((What.STRIKES_ADDED, now - was), (What.STRIKES_GONE, was - now)):
        if moved:
            where = f"{expiry}: {_few([_rupees(strike) for strike in sorted(moved)])}"
            yield Change(underlying, what, where, f"{len(was)} strikes", f"{len(now)} strikes", waits=False)


def _days(days: Iterable[date]) -> str:
    return _few([str(day) for day in sorted(days)])


def _few(words: list[str]) -> str:
    """All of a few, else the first, the last and how many."""
    return ", ".join(words) if len(words) <= _STRIKES_SHOWN else f"{words[0]} to {words[-1]}, {len(words)} of them"


def _rupees(paise: int) -> str:
    return f"{paise / 100:g}" if paise % 100 else str(paise // 100)


def _shown(what: What, values: Collection[int | None]) -> str:
    known = sorted(value for value in values if value is not None)
    words = [f"Rs {value / 100:.2f}" if what is What.TICK else str(value) for value in known]
    return " or ".join([*words, *([NOT_STATED] if None in values else [])])
