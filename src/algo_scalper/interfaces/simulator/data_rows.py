"""The data family's bodies: LTP, OHLC and quote snapshots, the option chain, expiry lists, intraday charts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime

import msgspec

from algo_scalper.domain.instruments import Contract, OptionType, key_security_id
from algo_scalper.domain.market import ChainRow, Levels, OptionChain
from algo_scalper.domain.pricing import dhan_greeks, dhan_iv, dhan_years
from algo_scalper.domain.units import IST_OFFSET_S, NS_PER_SECOND, ist_day, ist_ns
from algo_scalper.interfaces.simulator.replies import data_rupees, java_float, java_rupees
from algo_scalper.interfaces.simulator.tape import DayPrint

NO_LEVEL: dict[str, int | float] = {"quantity": 0, "orders": 0, "price": 0}
CHART_COLUMNS = ("open", "high", "low", "close", "volume", "timestamp")
_NO_GREEKS = {"delta": 0, "theta": 0, "gamma": 0, "vega": 0}


def ltp_body(last_paise: int) -> dict[str, object]:
    """One instrument of ``/marketfeed/ltp``."""
    return {"last_price": data_rupees(last_paise)}


def ohlc_body(day: DayPrint) -> dict[str, object]:
    """One instrument of ``/marketfeed/ohlc``; ``close`` is the previous day's during the session."""
    return {**ltp_body(day.quote.tick.ltp_paise), "ohlc": _ohlc(day)}


def quote_body(day: DayPrint, skew_s: int = 0) -> dict[str, object]:
    """One instrument of ``/marketfeed/quote``: always five levels a side, zero-padded. ``skew_s``: of the clock."""
    tick = day.quote.tick
    traded_at = datetime.fromtimestamp(tick.exchange_s + IST_OFFSET_S + skew_s, UTC)
    return {
        "average_price": data_rupees(day.average_paise),
        "buy_quantity": tick.bid_total,
        "depth": {"buy": _levels(day.quote.bids), "sell": _levels(day.quote.asks)},
        "last_price": data_rupees(tick.ltp_paise),
        "last_quantity": day.last_quantity,
        "last_trade_time": f"{traded_at:%d/%m/%Y %H:%M:%S}",
        "lower_circuit_limit": 0,
        "net_change": data_rupees(tick.ltp_paise - day.previous_close_paise if day.previous_close_paise else 0),
        "ohlc": _ohlc(day),
        "oi": tick.oi,
        "oi_day_high": day.oi_high,
        "oi_day_low": day.oi_low,
        "sell_quantity": tick.ask_total,
        "upper_circuit_limit": 0,
        "volume": tick.volume,
    }


def _ohlc(day: DayPrint) -> dict[str, int | float]:
    return {
        "open": data_rupees(day.open_paise),
        "close": data_rupees(day.previous_close_paise),
        "high": data_rupees(day.high_paise),
        "low": data_rupees(day.low_paise),
    }


def _levels(levels: Levels) -> list[dict[str, int | float]]:
    shown = [_level(price, quantity) for price, quantity in levels[:5]]
    return shown + [NO_LEVEL] * (5 - len(shown))


def _level(price_paise: int, quantity: int) -> dict[str, int | float]:
    return {"quantity": quantity, "orders": 1 + quantity // 500, "price": data_rupees(price_paise)}


def expiry_list(contracts: Iterable[Contract], underlying: str, today: date) -> list[str]:
    """The underlying's listed expiries from today on, ascending."""
    expiries = {contract.expiry for contract in contracts if contract.underlying == underlying}
    return [expiry.isoformat() for expiry in sorted(expiries) if expiry >= today]


def chain_data(
    chain: OptionChain,
    contracts: dict[int, Contract],
    previous_close_paise: dict[int, int],
    previous_oi: Callable[[int], int],
    tops: Callable[[int], tuple[int, int]],
) -> dict[str, object]:
    """The ``data`` of ``/optionchain``: strikes as six-decimal keys, ascending, both sides at each.

    ``previous_oi`` gives a key's open interest at the last close, ``tops`` its best (bid, ask) quantities. Volatility and greeks are what Dhan would print: Black-Scholes
    on spot with expiry 5.5 hours late; all zero where the premium does not determine one.
    """
    strikes: dict[int, dict[str, object]] = {}
    spot = chain.spot_paise / 100
    years = dhan_years(chain.at_ns, chain.expiry)
    for row in chain.rows:
        contract = contracts[row.key]
        side = "ce" if contract.option_type is OptionType.CE else "pe"
        strikes.setdefault(contract.strike_paise, {})[side] = _leg(
            row, contract, spot, years, previous_close_paise.get(row.key, 0), previous_oi(row.key), tops(row.key)
        )
    oc = {
        f"{strike / 100:.6f}": {side: legs.get(side, _absent_leg()) for side in ("ce", "pe")}
        for strike, legs in sorted(strikes.items())
    }
    return {"last_price": data_rupees(chain.spot_paise), "oc": oc}


def _leg(
    row: ChainRow,
    contract: Contract,
    spot: float,
    years: float,
    previous_close_paise: int,
    previous_oi: int,
    tops: tuple[int, int],
) -> dict[str, object]:
    strike, is_call = contract.strike_paise / 100, contract.option_type is OptionType.CE
    sigma = dhan_iv(row.ltp_paise / 100, spot, strike, years, is_call) if row.ltp_paise else None
    greeks: dict[str, float] = dict(_NO_GREEKS)
    if sigma is not None:
        found = dhan_greeks(spot, strike, years, sigma, is_call)
        greeks = {"delta": found.delta, "theta": found.theta, "gamma": found.gamma, "vega": found.vega}
    return {
        "average_price": data_rupees(row.ltp_paise),
        "greeks": greeks,
        "implied_volatility": sigma * 100 if sigma is not None else 0,
        "last_price": data_rupees(row.ltp_paise),
        "oi": row.oi,
        "previous_close_price": data_rupees(previous_close_paise),
        "previous_oi": previous_oi,
        "previous_volume": row.volume,
        "security_id": key_security_id(row.key),
        "top_ask_price": data_rupees(row.ask_paise),
        "top_ask_quantity": tops[1],
        "top_bid_price": data_rupees(row.bid_paise),
        "top_bid_quantity": tops[0],
        "volume": row.volume,
    }


def _absent_leg() -> dict[str, object]:
    return {
        "average_price": 0,
        "greeks": _NO_GREEKS,
        "implied_volatility": 0,
        "last_price": 0,
        "oi": 0,
        "previous_close_price": 0,
        "previous_oi": 0,
        "previous_volume": 0,
        "security_id": 0,
        "top_ask_price": 0,
        "top_ask_quantity": 0,
        "top_bid_price": 0,
        "top_bid_quantity": 0,
        "volume": 0,
    }


class Bar(msgspec.Struct, frozen=True):
    """A bar of any length; an index has neither volume nor open interest."""

    start_ns: int
    open_paise: int
    high_paise: int
    low_paise: int
    close_paise: int
    volume: int = 0
    oi: int = 0


def chart_body(bars: Iterable[Bar], with_oi: bool) -> dict[str, list[msgspec.Raw]]:
    """``/charts``: parallel arrays of floats, times as true UTC epoch seconds."""
    body: dict[str, list[msgspec.Raw]] = {column: [] for column in CHART_COLUMNS}
    if with_oi:
        body["open_interest"] = []
    for bar in bars:
        body["open"].append(java_rupees(bar.open_paise))
        body["high"].append(java_rupees(bar.high_paise))
        body["low"].append(java_rupees(bar.low_paise))
        body["close"].append(java_rupees(bar.close_paise))
        body["volume"].append(java_float(float(bar.volume)))
        body["timestamp"].append(java_float(bar.start_ns / NS_PER_SECOND))
        if with_oi:
            body["open_interest"].append(java_float(float(bar.oi)))
    return body


def coarser(candles: Iterable[Bar], minutes: int, open_second: int) -> list[Bar]:
    """One-minute bars joined into bars of ``minutes`` counted from the session's open (seconds of the IST day)."""
    span_ns = minutes * 60 * NS_PER_SECOND
    bars: list[Bar] = []
    for candle in candles:
        local_s = candle.start_ns // NS_PER_SECOND + IST_OFFSET_S
        since_open_s = (local_s - open_second) % 86_400
        start_ns = candle.start_ns - since_open_s * NS_PER_SECOND % span_ns
        if bars and bars[-1].start_ns == start_ns:
            bars[-1] = _joined(bars[-1], candle, start_ns)
        else:
            bars.append(msgspec.structs.replace(candle, start_ns=start_ns))
    return bars


def daily(candles: Iterable[Bar]) -> list[Bar]:
    """Bars joined into one for each IST day, stamped with its midnight."""
    days: list[Bar] = []
    for candle in candles:
        start_ns = ist_ns(ist_day(candle.start_ns), 0)
        if days and days[-1].start_ns == start_ns:
            days[-1] = _joined(days[-1], candle, start_ns)
        else:
            days.append(msgspec.structs.replace(candle, start_ns=start_ns))
    return days


def _joined(first: Bar, then: Bar, start_ns: int) -> Bar:
    return Bar(
        start_ns,
        first.open_paise,
        max(first.high_paise, then.high_paise),
        min(first.low_paise, then.low_paise),
        then.close_paise,
        first.volume + then.volume,
        then.oi,
    )
