"""What the mirror writes: the keys, fields and units other processes read. docs/how-to/redis-mirror.md lists them.

Money is in rupees as exact decimal text (``"124.15"``), percentages are percent, times are whole UTC epoch seconds;
inside the body of an event money is in paise, as everywhere else in this project. A field is absent where there is
nothing to say.
"""

from __future__ import annotations

from typing import NamedTuple
from zlib import crc32

import msgspec

from algo_scalper.domain.instruments import key_security_id, key_segment, key_text
from algo_scalper.domain.market import Tick
from algo_scalper.domain.units import NS_PER_SECOND, ratio_bps
from algo_scalper.engine.views import OrderView, PositionView, TradeView, View
from algo_scalper.runtime.publish import Batch, DecisionLine, IndexCandle, Notice

STREAM = "scalper:events"
STATUS = "scalper:status"

Row = dict[str, str | int]


class Occurrence(NamedTuple):
    """Something that happened, on its way into the stream. ``id`` is the same however often it is told."""

    at_ns: int
    id: str
    kind: str
    body: msgspec.Struct


def tick_key(key: int) -> str:
    """``"tick:NSE_FNO:42500"``."""
    return f"tick:{key_text(key)}"


def pnl_key(position_id: str) -> str:
    """``"pnl:tracker:ASQ7XK-12-31"``."""
    return f"pnl:tracker:{position_id}"


def tick_row(tick: Tick) -> Row:
    """The newest price of an instrument. Without a book it is an index."""
    row: Row = {
        "segment": key_segment(tick.key).name,
        "security_id": key_security_id(tick.key),
        "kind": "full" if tick.bid_paise or tick.ask_paise else "quote",
        "ltp": rupees(tick.ltp_paise),
        "ts": tick.exchange_s,
        "received_at_ms": tick.at_ns // 1_000_000,
    }
    if tick.bid_paise:
        row |= {"bid": rupees(tick.bid_paise), "bid_total": tick.bid_total}
    if tick.ask_paise:
        row |= {"ask": rupees(tick.ask_paise), "ask_total": tick.ask_total}
    if tick.volume:
        row["vol"] = tick.volume
    if tick.oi:
        row["oi"] = tick.oi
    return row


def pnl_row(position: PositionView, view: View) -> Row:
    """What a held position is worth. ``pnl`` is at the last price and before charges, ``net_pnl`` at the bid and after."""
    entry, held, ltp = position.average_paise, position.held, position.ltp_paise
    pnl = (ltp - entry) * held
    best = max((position.high_water_paise - entry) * held, pnl, 0)
    return {
        "pnl": rupees(pnl),
        "pnl_pct": percent(ratio_bps(ltp - entry, entry)),
        "net_pnl": rupees(position.exit_now_net_paise),
        "ltp": rupees(ltp),
        "hwm_pnl": rupees(best),
        "hwm_pnl_pct": percent(ratio_bps(best, entry * held)),
        "drawdown_rupees": rupees(best - pnl),
        "entry_price": rupees(entry),
        "quantity": held,
        "capital_deployed": rupees(entry * held),
        "stop": rupees(position.stop_paise),
        "target": rupees(position.target_paise),
        "segment": key_segment(position.key).name,
        "security_id": key_security_id(position.key),
        "symbol": position.contract,
        "index_key": position.index,
        "direction": "bullish" if position.direction > 0 else "bearish",
        "side": "BUY",
        "state": position.state,
        "paper": "0" if view.money == "LIVE" else "1",
        "market": view.market,
        "entry_timestamp": position.opened_ns // NS_PER_SECOND,
        "timestamp": position.price_ns // NS_PER_SECOND,
    }


def status_row(view: View | None, *, source: str, engine: str, now_ns: int) -> Row:
    """Who mirrors, whose market and which money: what a reader must know before it believes any other key."""
    row: Row = {"source": source, "engine": engine, "updated_at": now_ns // NS_PER_SECOND}
    if view is not None:
        row |= {
            "market": view.market,
            "money": view.money,
            "day": view.day,
            "at": view.at_ns // NS_PER_SECOND,
            "phase": view.clock.phase,
            "halted": view.halted,
            "headline": view.headline,
            "open_positions": len(view.positions),
            "net_pnl": rupees(view.ledger.net_paise),
            "trades": view.ledger.trades,
        }
    return row


def occurrences(batch: Batch) -> list[Occurrence]:
    """What happened according to a batch, oldest first. A snapshot tells the whole day again."""
    told = batch if batch.snapshot is None else batch.snapshot
    view = told.view
    found = [
        *(_candle(one) for one in told.candles),
        *(_decision(one) for one in told.decisions),
        *(_trade(one) for one in told.trades),
        *(_notice(one) for one in told.notices),
    ]
    if view is not None:
        found += [_order(one, view) for one in view.orders]
    return sorted(found, key=lambda one: one.at_ns)


def _candle(candle: IndexCandle) -> Occurrence:
    return _told(candle.start_ns, "candle", f"{candle.index}:{candle.start_ns}", candle)


def _decision(line: DecisionLine) -> Occurrence:
    made = line.decision
    name = f"{made.at_ns}:{made.kind}:{made.index}:{made.direction}:{made.reason}:{made.contract}"
    return _told(made.at_ns, "decision", name, made)


def _trade(trade: TradeView) -> Occurrence:
    return _told(trade.closed_ns, "trade", trade.id, trade)


def _notice(notice: Notice) -> Occurrence:
    return _told(notice.at_ns, "notice", f"{notice.at_ns}:{notice.code}:{crc32(notice.text.encode()):08x}", notice)


def _order(order: OrderView, view: View) -> Occurrence:
    """An order as it stands; one that moved on between two views is told once, as it then stood."""
    name = (
        f"{order.id}:{order.state}:{order.filled_quantity}:{order.price_paise}:{order.trigger_paise}:{order.quantity}"
    )
    return _told(view.at_ns, "order", name, order)


def _told(at_ns: int, kind: str, name: str, body: msgspec.Struct) -> Occurrence:
    return Occurrence(at_ns, f"{kind}:{name}", kind, body)


def rupees(paise: int) -> str:
    """``-12345 -> "-123.45"``: exact, for programs."""
    whole, part = divmod(abs(paise), 100)
    return f"{'-' if paise < 0 else ''}{whole}.{part:02d}"


def percent(bps: int) -> str:
    """``-2050 -> "-20.50"``."""
    return rupees(bps)
