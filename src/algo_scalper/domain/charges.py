"""What an option order costs at Dhan: brokerage, taxes and fees, to the paisa, by date.

Lines are kept exact (integers of 1e-9 paise, the smallest unit the rates and GST produce) and rounded once, half up,
where they are read. So the charges of two orders add up to the charges of the round trip, and a day to its trades.
Each line and the total are rounded for themselves: a printed total may differ from its printed lines by a paisa or two.

Contract notes round STT and stamp duty to the rupee over the day; orders, as in the broker's trade rows, do not.
"""

from __future__ import annotations

from datetime import date

import msgspec

from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.orders import Side

_E9 = 1_000_000_000
_HALF = _E9 // 2


def _paise(exact_e9: int) -> int:
    return (exact_e9 + _HALF) // _E9


class Charges(msgspec.Struct, frozen=True):
    """Charges by line. The fields are exact, in 1e-9 paise; the properties of the plain names are rounded paise."""

    brokerage_e9: int = 0
    stt_e9: int = 0
    exchange_e9: int = 0
    ipft_e9: int = 0
    sebi_e9: int = 0
    stamp_e9: int = 0
    gst_e9: int = 0

    @property
    def brokerage(self) -> int:
        """The broker's flat fee, paise."""
        return _paise(self.brokerage_e9)

    @property
    def stt(self) -> int:
        """Securities transaction tax, paise."""
        return _paise(self.stt_e9)

    @property
    def exchange(self) -> int:
        """The exchange's transaction charge, paise."""
        return _paise(self.exchange_e9)

    @property
    def ipft(self) -> int:
        """The levy for the exchange's investor protection fund trust, paise."""
        return _paise(self.ipft_e9)

    @property
    def sebi(self) -> int:
        """The regulator's turnover fee, paise."""
        return _paise(self.sebi_e9)

    @property
    def stamp(self) -> int:
        """Stamp duty, paise."""
        return _paise(self.stamp_e9)

    @property
    def gst(self) -> int:
        """Goods and services tax on brokerage, exchange, IPFT and SEBI fees, paise."""
        return _paise(self.gst_e9)

    @property
    def total_paise(self) -> int:
        """The sum of the exact lines, rounded once."""
        return _paise(
            self.brokerage_e9
            + self.stt_e9
            + self.exchange_e9
            + self.ipft_e9
            + self.sebi_e9
            + self.stamp_e9
            + self.gst_e9
        )

    def __add__(self, other: Charges) -> Charges:
        """Line by line, exactly."""
        return Charges(
            self.brokerage_e9 + other.brokerage_e9,
            self.stt_e9 + other.stt_e9,
            self.exchange_e9 + other.exchange_e9,
            self.ipft_e9 + other.ipft_e9,
            self.sebi_e9 + other.sebi_e9,
            self.stamp_e9 + other.stamp_e9,
            self.gst_e9 + other.gst_e9,
        )

    def as_dict(self) -> dict[str, int]:
        """Paise by line name, then ``total``: what a page or report prints."""
        return {
            "brokerage": self.brokerage,
            "stt": self.stt,
            "exchange": self.exchange,
            "ipft": self.ipft,
            "sebi": self.sebi,
            "stamp": self.stamp,
            "gst": self.gst,
            "total": self.total_paise,
        }


NO_CHARGES = Charges()


class Rates(msgspec.Struct, frozen=True):
    """The rates from a day on, as parts of 10 million of the premium (``_e7``): 0.15 % is 15_000."""

    since: date
    stt_sell_e7: int
    stt_exercise_e7: int
    exchange_e7: int
    ipft_e7: int
    sebi_e7: int = 10
    stamp_buy_e7: int = 300
    gst_percent: int = 18
    brokerage_paise: int = 2_000


# Newest first. Sources: Finance Acts 2023, 2024 and 2026 (STT); NSE's and BSE's notices as reported by the press.
# - NSE: some brokers print today's charge with IPFT, as 0.03553 %. 0.0495 % from April 2024, 0.05 % from April 2023 with IPFT raised to
#   Rs 50 a crore; before that 0.053 % and an IPFT of a hundredth of a rupee a crore, taken as nothing here.
#   The slabs that applied to members before 2024-10-01 are not modelled: the highest stands for all.
# - BSE: slabs until 2024-10-01, of which the highest stands for all; before 2023-11-01 Rs 500 a crore.
#   No source lists an IPFT levy on BSE options.
# - SEBI fee, stamp duty, GST and brokerage are today's for all years: no older rate was looked up.
# - Before the oldest row its rates are used.
RATES: dict[Exchange, tuple[Rates, ...]] = {
    Exchange.NSE: (
        Rates(date(2026, 4, 1), 15_000, 15_000, 3_503, 50),
        Rates(date(2024, 10, 1), 10_000, 12_500, 3_503, 50),
        Rates(date(2024, 4, 1), 6_250, 12_500, 4_950, 50),
        Rates(date(2023, 4, 1), 6_250, 12_500, 5_000, 50),
        Rates(date.min, 5_000, 12_500, 5_300, 0),
    ),
    Exchange.BSE: (
        Rates(date(2026, 4, 1), 15_000, 15_000, 3_250, 0),
        Rates(date(2024, 10, 1), 10_000, 12_500, 3_250, 0),
        Rates(date(2024, 5, 13), 6_250, 12_500, 4_950, 0),
        Rates(date(2023, 11, 1), 6_250, 12_500, 3_750, 0),
        Rates(date(2023, 4, 1), 6_250, 12_500, 500, 0),
        Rates(date.min, 5_000, 12_500, 500, 0),
    ),
}


def rates_on(exchange: Exchange, day: date) -> Rates:
    """The rates in force on a day; before the first known change, the oldest known ones."""
    rows = RATES[exchange]
    for row in rows:
        if day >= row.since:
            return row
    return rows[-1]


def _charges(rates: Rates, orders: int, buy_value_paise: int, sell_value_paise: int) -> Charges:
    turnover = buy_value_paise + sell_value_paise
    # value x rate_e7 is in 1e-7 paise; x 100 brings it to 1e-9, and leaves GST's percent a whole number.
    brokerage = orders * rates.brokerage_paise * _E9
    exchange = turnover * rates.exchange_e7 * 100
    ipft = turnover * rates.ipft_e7 * 100
    sebi = turnover * rates.sebi_e7 * 100
    return Charges(
        brokerage,
        sell_value_paise * rates.stt_sell_e7 * 100,
        exchange,
        ipft,
        sebi,
        buy_value_paise * rates.stamp_buy_e7 * 100,
        (brokerage + exchange + ipft + sebi) * rates.gst_percent // 100,
    )


def order_charges(exchange: Exchange, side: Side, value_paise: int, day: date) -> Charges:
    """Charges of one executed order whose fills are worth ``value_paise`` (price x quantity) in all.

    An order that did not trade (value 0) costs nothing.
    """
    if not value_paise:
        return NO_CHARGES
    if side is Side.BUY:
        return _charges(rates_on(exchange, day), 1, value_paise, 0)
    return _charges(rates_on(exchange, day), 1, 0, value_paise)


def round_trip_charges(exchange: Exchange, buy_value_paise: int, sell_value_paise: int, day: date) -> Charges:
    """Charges of one buy and one sell order of these values: the sum of their `order_charges`, whatever the values.

    The estimate used before an entry; brokerage is counted twice even when a value is still 0.
    """
    return _charges(rates_on(exchange, day), 2, buy_value_paise, sell_value_paise)


def exercise_charges(exchange: Exchange, intrinsic_value_paise: int, day: date) -> Charges:
    """Charges of a long option that expires in the money: STT on intrinsic value x quantity, paid by the holder.

    No source read names a brokerage or exchange fee on the automatic exercise of an index option; none is taken.
    """
    return Charges(stt_e9=max(intrinsic_value_paise, 0) * rates_on(exchange, day).stt_exercise_e7 * 100)
