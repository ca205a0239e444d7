"""Which expiry is traded today."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from algo_scalper.domain.rules import ExpiryRules


def choose_expiry(expiries: Sequence[date], day: date, rules: ExpiryRules) -> date | None:
    """The nearest listed expiry at least ``rules.min_dte`` calendar days after ``day``; None when there is none.

    With ``min_dte`` 1 a contract is never bought on its own expiry day: the next expiry is. The dates come from the
    instrument master, so a holiday that moves an expiry needs no rule here.
    """
    return min((expiry for expiry in expiries if (expiry - day).days >= max(rules.min_dte, 0)), default=None)
