"""One-minute candles of an index from /charts/intraday, for warming up its readings."""

from __future__ import annotations

from datetime import date, timedelta

from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.values import number
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.instruments import INDEX_BY_KEY, key_security_id, key_segment, key_text
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_SECOND, ist_day, ist_second, tick_nearest

MOST_DAYS = 90
"""In one request; more is refused with DH-905."""
CLOSE_S = (15 * 60 + 30) * 60
_COLUMNS = ("timestamp", "open", "high", "low", "close")


class DhanHistory:
    """Recorded index minutes."""

    def __init__(self, rest: DhanRest) -> None:
        self._rest = rest

    async def intraday_minutes(self, key: int, from_ns: int, to_ns: int) -> tuple[Candle, ...]:
        """Candles that start in ``[from_ns, to_ns)``, oldest first; none for a holiday or an unknown id.

        Whole days are asked for and cut here: windows inside one day sometimes come back empty from the live service.
        Raises `BrokerError`, or DataError for a reply whose columns do not fit together.
        """
        if to_ns <= from_ns:
            return ()
        found: dict[int, Candle] = {}
        day, last = ist_day(from_ns), ist_day(to_ns - 1)
        while day <= last:
            until = min(last + timedelta(days=1), day + timedelta(days=MOST_DAYS))
            for candle in await self._days(key, day, until):
                if from_ns <= candle.start_ns < to_ns:
                    found[candle.start_ns] = candle
            day = until
        return tuple(found[start_ns] for start_ns in sorted(found))

    async def _days(self, key: int, first: date, until: date) -> tuple[Candle, ...]:
        body = await self._rest.read(
            "POST",
            "/charts/intraday",
            {
                "securityId": str(key_security_id(key)),
                "exchangeSegment": key_segment(key).name,
                "instrument": "INDEX",
                "interval": "1",
                "oi": False,
                "fromDate": f"{first} 00:00:00",
                "toDate": f"{until} 00:00:00",
            },
        )
        return read_minutes(body, key)


def read_minutes(body: object, key: int) -> tuple[Candle, ...]:
    """Candles from parallel arrays of floats; timestamps are true UTC seconds, printed in scientific notation.

    A bar stamped at the close (15:30:00) with four equal prices is the closing print, not a minute, and is left out.
    """
    what = f"minutes of {key_text(key)}"
    if not isinstance(body, dict):
        raise DataError(f"{what}: the reply is not an object of arrays")
    columns: list[list[float]] = []
    for name in _COLUMNS:
        column = body.get(name)
        if not isinstance(column, list):
            raise DataError(f"{what}: no array {name!r} in the reply")
        columns.append([number(one, f"{what} {name}") for one in column])
    if len({len(column) for column in columns}) != 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in zip(_COLUMNS, columns, strict=True))
        raise DataError(f"{what}: arrays of different lengths ({lengths})")
    tick_paise = INDEX_BY_KEY[key].tick_paise if key in INDEX_BY_KEY else 1
    found: list[Candle] = []
    for at, opened, high, low, closed in zip(*columns, strict=True):
        start_ns = round(at) * NS_PER_SECOND
        if ist_second(start_ns) == CLOSE_S and opened == high == low == closed:
            continue
        prices = [tick_nearest(price, tick_paise) for price in (opened, high, low, closed)]
        found.append(Candle(start_ns, prices[0], prices[1], prices[2], prices[3]))
    return tuple(found)
