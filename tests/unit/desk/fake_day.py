"""A plausible day for the desk to show, built by hand: the records, a clock that moves only when told, and a stepper."""

from __future__ import annotations

import asyncio
import math
from datetime import date

from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_ns
from algo_scalper.engine.views import (
    ClockView,
    DecisionView,
    FeedView,
    IndexView,
    LedgerView,
    OrderView,
    PositionView,
    TradeView,
    View,
)

DAY = date(2026, 11, 25)


def at(hour: int, minute: int, second: int = 0) -> int:
    """UTC nanoseconds of a wall time of the fake day."""
    return ist_ns(DAY, hour * 3600 + minute * 60 + second)


class HandClock:
    """A `Clock` moved by hand: sleepers wake in order when the time is set past their moment."""

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns or at(10, 42)
        self._sleepers: list[tuple[int, asyncio.Event]] = []

    def now_ns(self) -> int:
        """The time last set."""
        return self._now_ns

    async def sleep_until(self, at_ns: int) -> None:
        """Wait for the hand."""
        if at_ns > self._now_ns:
            woken = asyncio.Event()
            self._sleepers.append((at_ns, woken))
            await woken.wait()

    def move(self, span_ns: int) -> None:
        """Set the time forward and wake who waited for it."""
        self._now_ns += span_ns
        due = [one for one in self._sleepers if one[0] <= self._now_ns]
        self._sleepers = [one for one in self._sleepers if one[0] > self._now_ns]
        for _, woken in due:
            woken.set()


CLOCK = ClockView(
    open_ns=at(9, 15),
    first_entry_ns=at(9, 30),
    last_entry_ns=at(14, 40),
    flat_by_ns=at(15, 5),
    index_close_ns=at(15, 15),
    square_off_ns=at(15, 20),
    close_ns=at(15, 30),
    phase="trading",
    oddities=("The index is frozen from 15:15 to the closing print; options go on until 15:30.",),
)


def index_view(name: str = "NIFTY", *, now_ns: int = 0, ltp_paise: int = 24_512_30, role: str = "trade") -> IndexView:
    """An index a little up on the day."""
    now_ns = now_ns or at(10, 42)
    return IndexView(
        name=name,
        key=13,
        role=role,
        ltp_paise=ltp_paise,
        change_bps=42,
        tick_ns=now_ns - NS_PER_SECOND // 2,
        forming=None,
        supertrend_paise=ltp_paise - 31_00,
        trend=1,
        adx_m1=24.1,
        adx_m5=19.8,
        last_reason="no: premium 52.10 is under the band from 60.00",
    )


def position_view(*, bid_paise: int = 124_15, now_ns: int = 0) -> PositionView:
    """One lot of a call, some way up, with its floor resting."""
    now_ns = now_ns or at(10, 42)
    return PositionView(
        id="AS7-000031",
        key=0x2_0000_A5F4,
        contract="NIFTY 01 DEC 24550 CE",
        index="NIFTY",
        direction=1,
        state="OPEN",
        quantity=65,
        held=65,
        lot=65,
        average_paise=118_40,
        signal_paise=118_25,
        opened_ns=at(10, 31, 4),
        bid_paise=bid_paise,
        ltp_paise=bid_paise + 10,
        price_ns=now_ns - NS_PER_SECOND * 2 // 5,
        high_water_paise=max(126_80, bid_paise),
        open_paise=(bid_paise - 118_40) * 65,
        charges_paise=27_31,
        exit_now_net_paise=(bid_paise - 118_40) * 65 - 64_90,
        stop_paise=94_70,
        emergency_paise=87_60,
        target_paise=165_75,
        next_trail_paise=136_20,
        time_stop_ns=at(11, 16, 4),
        floor_order_id="AS7-000032",
        floor_broker_id="112511250457",
        floor_trigger_paise=82_85,
        floor_quantity=65,
        floor_state="PENDING",
        exit_reason="",
        frozen="",
        why="Supertrend up since 10:28, ADX 24.1 on 1 min and 19.8 on 5 min; ATM+1 call at 118.25 inside 60-140.",
    )


def order_view(number: int, **changes: object) -> OrderView:
    """An order of the day; ``changes`` override its fields."""
    fields: dict[str, object] = {
        "id": f"AS7-{number:06d}",
        "broker_id": f"1125112504{number:02d}",
        "contract": "NIFTY 01 DEC 24550 CE",
        "side": "BUY",
        "purpose": "ENTRY",
        "kind": "LIMIT",
        "state": "TRADED",
        "quantity": 65,
        "filled_quantity": 65,
        "price_paise": 118_85,
        "trigger_paise": 0,
        "average_paise": 118_40,
        "created_ns": at(10, 31, 3),
        "answered_ms": 38.4,
        "modifications": 0,
        "reason": "",
    }
    return OrderView(**{**fields, **changes})  # type: ignore[arg-type]


def trade_view(number: int = 1, *, net_paise: int = 239_42) -> TradeView:
    """A closed trade whose gross, charges and net agree."""
    charges = {"brokerage": 40_00, "stt": 13_19, "exchange": 5_52, "sebi": 2, "stamp": 23, "gst": 8_20, "ipft": 1}
    gross = net_paise + sum(charges.values())
    return TradeView(
        id=f"AS7-{number:06d}",
        contract="NIFTY 01 DEC 24450 CE",
        index="NIFTY",
        direction=1,
        quantity=65,
        entry_paise=121_60,
        exit_paise=121_60 + gross // 65,
        signal_paise=121_45,
        exit_signal_paise=126_60,
        opened_ns=at(9, 43, 2),
        closed_ns=at(9, 58, 40),
        gross_paise=gross,
        charges=charges,
        net_paise=net_paise,
        reason="TRAILING_STOP",
        best_paise=144_10,
        worst_paise=117_30,
        why="Supertrend up, ADX 27.3 on 1 min and 21.0 on 5 min.",
    )


def decision(
    minute: int = 42,
    *,
    kind: str = "refusal",
    reason: str = "spread_wide",
    index: str = "NIFTY",
    direction: int = 1,
    hour: int = 10,
) -> DecisionView:
    """A line of the decision log."""
    return DecisionView(
        at_ns=at(hour, minute),
        kind=kind,
        index=index,
        contract="NIFTY 01 DEC 24550 CE",
        direction=direction,
        reason=reason,
        sentence=f"No call on 24550: the spread of Rs 1.{minute:02d} is over the Rs 0.89 allowed.",
        position_id="",
        numbers={"spread_paise": 100 + minute, "limit_paise": 89},
    )


def view(
    *,
    now_ns: int = 0,
    positions: tuple[PositionView, ...] = (),
    market: str = "SIMULATED",
    money: str = "PAPER",
    feed: str = "up",
    halted: str = "",
    headline: str = "",
) -> View:
    """The whole, at ten forty-two unless told otherwise."""
    now_ns = now_ns or at(10, 42)
    return View(
        at_ns=now_ns,
        day=DAY.isoformat(),
        market=market,
        money=money,
        halted=halted,
        headline=headline or "No trade: the spread of the 24550 call is too wide.",
        clock=CLOCK,
        indices=(
            index_view("NIFTY", now_ns=now_ns),
            index_view("BANKNIFTY", now_ns=now_ns, ltp_paise=52_804_15, role="watch"),
        ),
        positions=positions,
        orders=(order_view(31), order_view(32, side="SELL", purpose="EXIT", kind="STOP_LIMIT", state="PENDING")),
        ledger=LedgerView(
            capital_paise=1_00_000_00,
            realised_paise=306_59,
            open_paise=373_75,
            charges_paise=94_48,
            net_paise=585_86,
            budget_left_paise=3_112_11,
            day_limit_paise=4_000_00,
            week_net_paise=-412_10,
            trades=2,
            trades_limit=4,
            wins=1,
            losses=0,
            losses_in_row=0,
        ),
        feed=FeedView(
            market=feed,
            orders="up",
            last_tick_ns=now_ns - NS_PER_SECOND // 2,
            lag_ms=700,
            book_read_ns=now_ns - 2 * NS_PER_SECOND,
            unknown_orders=0,
            reconciled=True,
        ),
        rules_version=3,
    )


def candle(minute_of_day: int, *, index: str = "NIFTY", day: date = DAY) -> dict[str, int | str]:
    """A one-minute candle as the engine's process publishes it: a wave around 24,500."""
    base = 24_480_00 if index == "NIFTY" else 52_800_00

    def level(minute: float) -> int:
        return base + int(6_000 * math.sin(minute / 31) + 2_200 * math.sin(minute / 7) + 9 * minute)

    opened, closed = level(minute_of_day - 555), level(minute_of_day - 554)
    return {
        "index": index,
        "start_ns": ist_ns(day, 0) + minute_of_day * NS_PER_MINUTE,
        "open": opened,
        "high": max(opened, closed) + 300 + minute_of_day * 37 % 700,
        "low": min(opened, closed) - 300 - minute_of_day * 53 % 700,
        "close": closed,
    }
