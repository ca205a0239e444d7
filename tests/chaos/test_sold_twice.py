"""What chaos found once in some hundred seeds, told by hand: a person sells beside our floor, and the floor trades too."""

from __future__ import annotations

import pytest

from algo_scalper.domain.commands import CancelOrder
from algo_scalper.domain.decisions import DecisionKind
from algo_scalper.domain.orders import BrokerStatus, Side
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.strategy.catalogue import SIGNALS
from tests.unit.engine.story import LOT, SIGNAL_NAME, Day, codes, one, orders, reasons, said_by_the_close


def test_our_own_sale_takes_the_place_of_what_was_booked_for_another_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIGNALS, SIGNAL_NAME, said_by_the_close)
    day = Day()
    _, floor = day.hold(12_000)
    day.person(Side.SELL, LOT, BrokerStatus.TRADED, 12_500)
    day.now_ns += NS_PER_SECOND
    cancel = one(orders(day.book()), CancelOrder)
    assert day.position.held == 0, "booked at the person's price, and our floor is being withdrawn"

    day.reject(cancel, "it has traded")
    said = day.fill(floor.order_id, LOT, 9_000)

    assert codes(said, "alarm") == ["sold_twice"]
    assert reasons(said, DecisionKind.EXIT), "the trade is over, by our own sale"
    assert day.stands(PositionState.CLOSED)
    assert day.position.sold_quantity == LOT
    assert day.state.ledger.realised_paise == -3_000 * LOT
