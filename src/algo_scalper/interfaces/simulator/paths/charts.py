"""``/charts/*``: minute and daily bars, and the rolling bars of options around the money.

The market knows the session before and today of every index, and today of every listed contract. For any other day, and
for an index nobody simulates, the answer is the empty one of a holiday. Rolling bars are today's too: the contract at
each minute is the one that many steps from the money, of the first, second or third running expiry.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec

from algo_scalper.domain.instruments import Contract, Index, OptionType, Segment, instrument_key
from algo_scalper.domain.pricing import dhan_iv, dhan_years
from algo_scalper.domain.units import IST, NS_PER_MINUTE, NS_PER_SECOND, ist_ns
from algo_scalper.interfaces.simulator import data_rows
from algo_scalper.interfaces.simulator.calls import Access, Call, Endpoint, Paths
from algo_scalper.interfaces.simulator.data_rows import Bar
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.master import expiry_flag
from algo_scalper.interfaces.simulator.orders_in import SEGMENTS, Refused, body_object, choice, whole
from algo_scalper.interfaces.simulator.replies import (
    Reply,
    bad_input,
    data_unavailable,
    java_float,
    java_rupees,
    no_data,
    no_number,
    success,
)

LONGEST_CHART = timedelta(days=90)
LONGEST_ROLLING = timedelta(days=30)
SESSION_OPEN_S = 9 * 3600 + 15 * 60
_SEGMENTS = {segment.name: segment for segment in Segment}
_INTERVALS = ("1", "5", "15", "25", "60")
_STRIKE_REACH = 10
_ROLLING = ("open", "high", "low", "close", "iv", "volume", "strike", "oi", "spot")


def _intraday(desk: Desk, call: Call, _: str) -> Reply:
    try:
        body = body_object(call.body)
        from_ns, until_ns = _span(body)
        if str(body.get("interval")) not in _INTERVALS:
            return bad_input()
        if not call.is_v2 and not str(body.get("securityId")).isdecimal():
            return no_number(str(body.get("securityId")))
        key = _key(body)
    except Refused as refusal:
        return refusal.reply
    except (ValueError, OverflowError):
        return bad_input()
    if until_ns - from_ns > LONGEST_CHART.total_seconds() * NS_PER_SECOND:
        return bad_input("Data for Intraday Charts can be fetched for 90 days at a time")
    if body["exchangeSegment"] in SEGMENTS and key not in desk.contracts:
        return no_data()
    inside = _minutes(desk, key, from_ns, until_ns)
    if not inside and not call.is_v2:
        return data_unavailable()
    bars = data_rows.coarser(inside, int(str(body["interval"])), SESSION_OPEN_S)
    return success(data_rows.chart_body(bars, with_oi=body.get("oi") is True))


def _daily(desk: Desk, call: Call, _: str) -> Reply:
    """``toDate`` is exclusive. Today's bar comes once the session is over."""
    try:
        body = body_object(call.body)
        begin, end = date.fromisoformat(str(body.get("fromDate"))), date.fromisoformat(str(body.get("toDate")))
        if not body.get("instrument"):
            return bad_input()
        key = _key(body)
    except Refused as refusal:
        return refusal.reply
    except ValueError:
        return bad_input()
    if body["exchangeSegment"] in SEGMENTS and key not in desk.contracts:
        return no_data()
    over = desk.world.now_ns >= desk.close_ns
    until_ns = min(ist_ns(end, 0), ist_ns(desk.day + timedelta(days=1) if over else desk.day, 0))
    bars = data_rows.daily(_minutes(desk, key, ist_ns(begin, 0), until_ns))
    return success(data_rows.chart_body(bars, with_oi=body.get("oi") is True))


def _key(body: dict[str, object]) -> int:
    """The instrument asked about. Raises `Refused`."""
    return instrument_key(choice(body, "exchangeSegment", _SEGMENTS), whole(body.get("securityId")))


def _minutes(desk: Desk, key: int, from_ns: int, until_ns: int) -> list[Bar]:
    if key in desk.contracts:
        return desk.minutes.bars(key, from_ns, until_ns)
    if key not in desk.indices:
        return []
    candles = desk.world.history(key, desk.world.now_ns)
    return [Bar(*msgspec.structs.astuple(one)[:5]) for one in candles if from_ns <= one.start_ns < until_ns]


def _span(body: dict[str, object]) -> tuple[int, int]:
    """[from, until) in UTC ns. A ``toDate`` of a date alone includes that day; a ``fromDate`` with a time is exclusive.

    Raises ValueError for what is no date.
    """
    begin, end = str(body.get("fromDate")), str(body.get("toDate"))
    from_ns, until_ns = _ist_ns(begin), _ist_ns(end)
    if len(end) <= len("2026-11-23"):
        until_ns += 86_400 * NS_PER_SECOND
    if len(begin) > len("2026-11-23") and not begin.endswith("00:00:00"):
        from_ns += 1
    return from_ns, until_ns


def _ist_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=IST).timestamp()) * NS_PER_SECOND


class _RollingAsked(msgspec.Struct, frozen=True):
    index: Index
    steps: int
    option_type: OptionType
    weekly: bool
    expiry_code: int
    minutes: int
    columns: tuple[str, ...]
    from_ns: int
    until_ns: int


class _RollingBar(msgspec.Struct, frozen=True):
    bar: Bar
    contract: Contract
    spot_paise: int


def _rolling(desk: Desk, call: Call, _: str) -> Reply:
    try:
        asked = _rolling_asked(desk, body_object(call.body))
    except Refused as refusal:
        return refusal.reply
    except ValueError:
        return bad_input()
    if isinstance(asked, Reply):
        return asked
    side = "ce" if asked.option_type is OptionType.CE else "pe"
    found = _rolled(desk, asked)
    arrays: dict[str, list[msgspec.Raw]] = {column: [] for column in (*_ROLLING, "timestamp")}
    for one in found:
        years = dhan_years(one.bar.start_ns, one.contract.expiry)
        strike, spot = one.contract.strike_paise / 100, one.spot_paise / 100
        sigma = dhan_iv(one.bar.close_paise / 100, spot, strike, years, asked.option_type is OptionType.CE)
        arrays["open"].append(java_rupees(one.bar.open_paise))
        arrays["high"].append(java_rupees(one.bar.high_paise))
        arrays["low"].append(java_rupees(one.bar.low_paise))
        arrays["close"].append(java_rupees(one.bar.close_paise))
        arrays["iv"].append(java_float(sigma * 100 if sigma is not None else 0.0))
        arrays["volume"].append(java_float(float(one.bar.volume)))
        arrays["strike"].append(java_float(strike))
        arrays["oi"].append(java_float(float(one.bar.oi)))
        arrays["spot"].append(java_float(spot))
        arrays["timestamp"].append(java_float(one.bar.start_ns / NS_PER_SECOND))
    kept = {name: values if name in asked.columns or name == "timestamp" else [] for name, values in arrays.items()}
    return success({"data": {"ce": None, "pe": None, side: kept}})


def _rolling_asked(desk: Desk, body: dict[str, object]) -> _RollingAsked | Reply:
    """Raises `Refused`, or ValueError for what is no date."""
    choice(body, "exchangeSegment", SEGMENTS)
    choice(body, "instrument", {"OPTIDX": True, "OPTSTK": True})
    if not body.get("expiryCode"):
        return bad_input("expiryCode is required")
    index = desk.indices.get(instrument_key(Segment.IDX_I, whole(body.get("securityId"))))
    if index is None:
        return no_data()
    columns = body.get("requiredData")
    if str(body.get("interval")) not in _INTERVALS or not isinstance(columns, list) or not columns:
        return bad_input()
    begin, end = date.fromisoformat(str(body.get("fromDate"))), date.fromisoformat(str(body.get("toDate")))
    if end - begin > LONGEST_ROLLING:
        return bad_input("Data for Expired Options can be fetched for 30 days at a time")
    return _RollingAsked(
        index,
        _strike_steps(str(body.get("strike"))),
        choice(body, "drvOptionType", {"CALL": OptionType.CE, "PUT": OptionType.PE}),
        choice(body, "expiryFlag", {"WEEK": True, "MONTH": False}),
        whole(body.get("expiryCode")),
        int(str(body.get("interval"))),
        tuple(str(column) for column in columns),
        ist_ns(begin, 0),
        ist_ns(end, 0),
    )


def _strike_steps(text: str) -> int:
    """``ATM`` 0, ``ATM+2`` 2, ``ATM-10`` -10. Raises ValueError."""
    if not text.startswith("ATM"):
        raise ValueError(text)
    steps = int(text[3:] or "0")
    if abs(steps) > _STRIKE_REACH:
        raise ValueError(text)
    return steps


def _rolled(desk: Desk, asked: _RollingAsked) -> list[_RollingBar]:
    index, step = asked.index, asked.index.strike_step_paise
    listed = [one for one in desk.contracts.values() if one.underlying == index.name]
    listed = [one for one in listed if one.option_type is asked.option_type]
    expiries = sorted({one.expiry for one in listed if asked.weekly or expiry_flag(one) == "M"})
    if asked.expiry_code > len(expiries):
        return []
    expiry = expiries[asked.expiry_code - 1]
    by_strike = {one.strike_paise: one for one in listed if one.expiry == expiry}
    found: list[_RollingBar] = []
    open_ns = desk.world.market.axis.open_ns
    for candle in desk.candles_today(index.key):
        if not asked.from_ns <= candle.start_ns < asked.until_ns:
            continue
        contract = by_strike.get(round(candle.close_paise / step) * step + asked.steps * step)
        bar = None
        if contract is not None:
            bar = desk.minutes.bar(contract.key, (candle.start_ns - open_ns) // NS_PER_MINUTE)
        if bar is not None and contract is not None:
            found.append(_RollingBar(bar, contract, candle.close_paise))
    return _rolled_up(found, asked.minutes)


def _rolled_up(found: list[_RollingBar], minutes: int) -> list[_RollingBar]:
    """Joined into longer bars; the strike and the spot of a bar are those of its last minute."""
    if minutes == 1:
        return found
    by_start: dict[int, list[_RollingBar]] = {}
    for one in found:
        (place,) = data_rows.coarser([one.bar], minutes, SESSION_OPEN_S)
        by_start.setdefault(place.start_ns, []).append(one)
    return [
        _RollingBar(
            data_rows.coarser([one.bar for one in group], minutes, SESSION_OPEN_S)[0],
            group[-1].contract,
            group[-1].spot_paise,
        )
        for group in by_start.values()
    ]


PATHS: Paths = {
    ("POST", "/charts/intraday"): Endpoint(Access.CHART, Family.DATA, _intraday),
    ("POST", "/charts/historical"): Endpoint(Access.CHART, Family.DATA, _daily),
    ("POST", "/charts/rollingoption"): Endpoint(Access.CHART, Family.DATA, _rolling),
}
