"""The account's money: funds at the broker, and the ledger of our own day and week."""

from __future__ import annotations

from datetime import date

import msgspec


class Funds(msgspec.Struct, frozen=True, array_like=True):
    """Cash as the broker tells it."""

    available_paise: int
    start_of_day_paise: int
    collateral_paise: int = 0

    @property
    def usable_paise(self) -> int:
        """Profit of the day and pledged collateral never raise size."""
        return min(self.available_paise - self.collateral_paise, self.start_of_day_paise)


class DayLedger(msgspec.Struct):
    """What the day has cost and brought so far. Realised is gross; charges are apart, to the paisa."""

    day: date
    realised_paise: int = 0
    charges_paise: int = 0
    trades: int = 0
    wins: int = 0
    losses: int = 0
    losses_in_row: int = 0
    peak_net_paise: int = 0
    week_before_paise: int = 0
    """Net result of the earlier days of this Monday-to-Friday week."""
    halted: str = ""
    """Why no entries are taken for the rest of the day; empty when they are."""

    @property
    def net_paise(self) -> int:
        """Realised result after all charges booked so far."""
        return self.realised_paise - self.charges_paise
