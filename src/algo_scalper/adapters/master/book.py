"""The contracts of a catalog in memory, found by what identifies them: underlying, expiry, strike and side."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import Contract, OptionType


class ContractBook:
    """Contracts by (underlying, expiry, strike in paise, side). Trading symbols are not unique and not looked at."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        self._found: dict[tuple[str, date, int, OptionType], Contract] = {}
        self._strikes: dict[tuple[str, date], set[int]] = {}
        for one in contracts:
            place = (one.underlying, one.expiry, one.strike_paise, one.option_type)
            first = self._found.setdefault(place, one)
            if first is not one:
                raise DataError(f"{one.name} is listed twice, as {first.key} and as {one.key}")
            self._strikes.setdefault((one.underlying, one.expiry), set()).add(one.strike_paise)

    def __len__(self) -> int:
        return len(self._found)

    def find(self, underlying: str, expiry: date, strike_paise: int, option_type: OptionType) -> Contract:
        """The contract. Raises DataError saying what is listed instead."""
        found = self._found.get((underlying, expiry, strike_paise, option_type))
        if found is None:
            raise DataError(self._absence(underlying, expiry, strike_paise, option_type))
        return found

    def expiries(self, underlying: str) -> tuple[date, ...]:
        """The days its options expire on, ascending."""
        return tuple(sorted(expiry for name, expiry in self._strikes if name == underlying))

    def strikes(self, underlying: str, expiry: date) -> tuple[int, ...]:
        """The strikes listed for an expiry, ascending, in paise."""
        return tuple(sorted(self._strikes.get((underlying, expiry), ())))

    def _absence(self, underlying: str, expiry: date, strike_paise: int, option_type: OptionType) -> str:
        asked = f"{underlying} {expiry} {strike_paise / 100:g} {option_type} is not listed"
        strikes = self.strikes(underlying, expiry)
        if strikes:
            return f"{asked}: strikes of that day go from {strikes[0] / 100:g} to {strikes[-1] / 100:g}"
        days = self.expiries(underlying)
        if days:
            return f"{asked}: {underlying} expires on {', '.join(map(str, days[:4]))}{' and later' if days[4:] else ''}"
        return f"{asked}: the catalog has no option of {underlying}"
