"""Which expiry, with NIFTY's real expiries around a holiday."""

from __future__ import annotations

from datetime import date

import pytest

from algo_scalper.domain.rules import ExpiryRules
from algo_scalper.strategy.expiry import choose_expiry

# Tuesdays, but 3 March 2026 is a holiday: that expiry is on Monday the 2nd
EXPIRIES = (date(2026, 3, 10), date(2026, 2, 24), date(2026, 3, 2), date(2026, 3, 17))


@pytest.mark.parametrize(
    ("day", "min_dte", "wanted"),
    [
        (date(2026, 2, 23), 1, date(2026, 2, 24)),
        (date(2026, 2, 24), 1, date(2026, 3, 2)),  # not on its own expiry day
        (date(2026, 2, 24), 0, date(2026, 2, 24)),  # unless asked for
        (date(2026, 3, 1), 1, date(2026, 3, 2)),
        (date(2026, 3, 2), 1, date(2026, 3, 10)),
        (date(2026, 2, 26), 5, date(2026, 3, 10)),
        (date(2026, 3, 17), 1, None),
        (date(2026, 3, 18), 0, None),
        (date(2026, 3, 18), -5, None),  # an expired contract is never chosen
    ],
)
def test_nearest_with_enough_days(day: date, min_dte: int, wanted: date | None) -> None:
    assert choose_expiry(EXPIRIES, day, ExpiryRules(min_dte)) == wanted


def test_nothing_listed() -> None:
    assert choose_expiry((), date(2026, 3, 2), ExpiryRules(0)) is None
