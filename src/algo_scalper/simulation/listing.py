"""What is listed on a day: strikes, lots, freeze quantities, and security ids that are the contract's own."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.instruments import Contract, Index, OptionType, instrument_key

TICK_PAISE = 5
"""The price step of every index option."""
_REACH = {"NIFTY": 0.096, "BANKNIFTY": 0.12, "FINNIFTY": 0.08, "SENSEX": 0.08}
"""Strikes are listed this far either side of the previous close, as measured: a day of -5 % stays inside."""

# Lots by expiry, newest first (exchange circulars).
_LOTS: dict[str, tuple[tuple[date, int], ...]] = {
    "NIFTY": (
        (date(2026, 1, 1), 65),
        (date(2025, 1, 1), 75),
        (date(2024, 4, 26), 25),
        (date(2021, 7, 23), 50),
        (date.min, 75),
    ),
    "BANKNIFTY": (
        (date(2026, 1, 1), 30),
        (date(2025, 4, 25), 35),
        (date(2024, 12, 1), 30),
        (date(2023, 7, 1), 15),
        (date.min, 25),
    ),
    "FINNIFTY": ((date(2026, 1, 1), 60), (date(2024, 12, 1), 65), (date(2024, 4, 26), 25), (date.min, 40)),
    "SENSEX": ((date(2024, 11, 20), 20), (date.min, 10)),
}
_FREEZE = {"NIFTY": 1_800, "BANKNIFTY": 600, "FINNIFTY": 1_800, "SENSEX": 1_000}
_NUMBER = {"NIFTY": 0, "BANKNIFTY": 1, "FINNIFTY": 2, "SENSEX": 3}
_FIRST_DAY = date(2010, 1, 1)


def lot_size(underlying: str, expiry: date) -> int:
    """Contracts to a lot, by the contract's expiry."""
    return next(lot for since, lot in _LOTS[underlying] if expiry >= since)


def security_id(underlying: str, expiry: date, strike_steps: int, option_type: OptionType) -> int:
    """A number of the contract alone: the same on every day, unique over all underlyings."""
    days = (expiry - _FIRST_DAY).days & 8191
    return ((_NUMBER[underlying] << 13 | days) << 11 | strike_steps) << 1 | (option_type is OptionType.PE)


def listed(index: Index, expiry: date, previous_close_paise: int) -> list[Contract]:
    """The contracts of an expiry by (strike, CE before PE): strikes within 8 % of the previous close."""
    step = index.strike_step_paise
    middle = round(previous_close_paise / step)
    reach = max(25, round(previous_close_paise * _REACH[index.name] / step))
    lot = lot_size(index.name, expiry)
    freeze = _FREEZE[index.name] // lot * lot
    return [
        Contract(
            instrument_key(index.options, security_id(index.name, expiry, steps, option_type)),
            index.name,
            expiry,
            steps * step,
            option_type,
            lot,
            TICK_PAISE,
            freeze,
        )
        for steps in range(middle - reach, middle + reach + 1)
        for option_type in (OptionType.CE, OptionType.PE)
    ]
