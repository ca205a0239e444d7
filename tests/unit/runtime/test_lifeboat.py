"""The lifeboat: our buys are withdrawn, our floors stay; or are sold, step by step; nobody else's is touched."""

from __future__ import annotations

import ast
from pathlib import Path

from algo_scalper.domain.commands import CancelOrder, ModifyOrder
from algo_scalper.domain.orders import BrokerPosition, BrokerStatus, OrderKind, Purpose, Side
from algo_scalper.domain.ports import Rejected
from algo_scalper.runtime import lifeboat
from algo_scalper.runtime.lifeboat import cancel_buys, sell_floors
from tests.unit.runtime.doubles import ONE, BookBroker, row

TAG = "ASTEST"
FLOOR = row(
    correlation_id="ASTEST-1-2",
    broker_id="B2",
    side=Side.SELL,
    kind=OrderKind.STOP_LIMIT,
    price_paise=6_725,
    trigger_paise=8_400,
)
BUY = row()
PART = row(correlation_id="ASTEST-1-3", broker_id="B3", status=BrokerStatus.PART_TRADED, filled_quantity=20)
TRANSIT = row(correlation_id="ASTEST-2-1", broker_id="B4", status=BrokerStatus.TRANSIT)
OVER = row(correlation_id="ASTEST-1-4", broker_id="B5", status=BrokerStatus.CANCELLED)
THEIRS = row(correlation_id="NA", broker_id="F1")
ANOTHER_TAG = row(correlation_id="ASTESTX-1-1", broker_id="F2")


async def test_our_working_buys_are_cancelled_and_nothing_else() -> None:
    broker = BookBroker(BUY, FLOOR, PART, TRANSIT, OVER, THEIRS, ANOTHER_TAG)
    said = await cancel_buys(broker, TAG)
    assert all(isinstance(command, CancelOrder) for command in broker.asked)
    assert [command.order_id for command in broker.asked] == ["ASTEST-1-1", "ASTEST-1-3", "ASTEST-2-1"]
    assert said == ["buy B1 cancel: accepted", "buy B3 cancel: accepted", "buy B4 cancel: accepted"]


async def test_a_cancel_that_is_refused_is_said_and_the_next_is_tried() -> None:
    broker = BookBroker(BUY, PART)
    broker.on_cancel = lambda command: Rejected("TRADED")
    assert await cancel_buys(broker, TAG) == ["buy B1 cancel: rejected", "buy B3 cancel: rejected"]


async def test_what_is_held_is_said() -> None:
    broker = BookBroker(FLOOR, positions=(BrokerPosition(ONE, 65), BrokerPosition(ONE + 1, 0)))
    assert await cancel_buys(broker, TAG) == ["65 long in NSE_FNO:1"]


async def test_without_a_book_nothing_is_done() -> None:
    broker = BookBroker(BUY, FLOOR)
    broker.unreachable = True
    for act in (cancel_buys, sell_floors):
        (said,) = await act(broker, TAG)
        assert "nothing was changed" in said
    assert broker.asked == []


async def test_floors_become_limits_at_their_trigger() -> None:
    foreign = row(correlation_id="NA", broker_id="F1", side=Side.SELL, kind=OrderKind.STOP_LIMIT, trigger_paise=100)
    broker = BookBroker(FLOOR, BUY, foreign)
    said = await sell_floors(broker, TAG)
    assert broker.asked == [ModifyOrder("ASTEST-1-2", "B2", ONE, OrderKind.LIMIT, 65, 8_400, 0, Purpose.EXIT)]
    assert said == ["sell B2: now a limit at 84.00"]


async def test_where_the_band_refuses_the_next_rung_is_tried() -> None:
    broker = BookBroker(FLOOR)
    broker.lowest_paise = 10_000
    said = await sell_floors(broker, TAG)
    # 84.00, then 115 % = 96.60, then 130 % = 109.20.
    assert [command.price_paise for command in broker.asked if isinstance(command, ModifyOrder)] == [
        8_400,
        9_660,
        10_920,
    ]
    assert said == ["sell B2: now a limit at 109.20"]
    broker.lowest_paise = 10**9
    assert await sell_floors(broker, TAG) == ["sell B2: could not be changed; the floor rests at 84.00"]


async def test_a_sell_that_is_a_limit_already_is_left() -> None:
    broker = BookBroker(row(side=Side.SELL, price_paise=9_445))
    assert await sell_floors(broker, TAG) == ["sell B1: already a limit at 94.45"]
    assert broker.asked == []


async def test_a_part_traded_floor_keeps_its_total_quantity() -> None:
    broker = BookBroker(row(side=Side.SELL, kind=OrderKind.STOP_LIMIT, trigger_paise=8_402, filled_quantity=20))
    await sell_floors(broker, TAG)
    (change,) = broker.asked
    assert isinstance(change, ModifyOrder)
    assert (change.quantity, change.price_paise) == (65, 8_400), "the new total, on the tick"


def test_the_lifeboat_uses_no_engine_code() -> None:
    tree = ast.parse(Path(lifeboat.__file__).read_text(encoding="utf-8"))
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = [name for name in imported if name.startswith("algo_scalper")]
    assert ours
    assert all(name.startswith("algo_scalper.domain.") for name in ours)
