"""A position our books still hold from an earlier day: nothing is sent for it until the broker shows it."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from algo_scalper.domain.commands import PlaceOrder
from algo_scalper.domain.decisions import ExitReason
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.orders import BrokerPosition, BrokerStatus, Product, Side
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_DAY, NS_PER_SECOND, ist_day
from tests.unit.engine.story import CALL, LOT, RULES, Day, codes, is_floor, one, orders

S = NS_PER_SECOND
FLOOR_PAISE = 8_400  # 70 of 120 rupees
CHARGES_OF_A_SALE_AT_84 = 3_409
"""(Rs 20 + 5,460 x (0.03503 % + 0.0005 % + 0.0001 %)) x 1.18 + 5,460 x 0.15 %, in paise."""


def morning(clock: str = "09:20", state: PositionState = PositionState.OPEN, days_ago: int = 1, **changed: Any) -> Day:
    """The engine died with a lot in hand, and starts again on a later day."""
    before = Day()
    before.hold()
    held = replace(before.position, opened_ns=before.position.opened_ns - days_ago * NS_PER_DAY, state=state)
    day = Day(clock, reconciled=False, epoch=2, positions=(held,), orders=(), **changed)
    assert "position_resumed" in codes(day.opening)
    return day


def shows(day: Day, net: int) -> BookRead:
    """A book whose positions list this much of the contract."""
    return replace(day.reading(), positions=(BrokerPosition(CALL.key, net),))


def test_what_the_broker_squared_off_is_never_sold_again() -> None:
    day = morning()
    assert orders(day.book()) == [], "one book may be a piece of one"
    assert orders(day.tick(2_000, 2_010)) == []
    day.second(2)
    said = day.book()
    assert orders(said) == []
    assert "gone_overnight" in codes(said, "alarm")
    assert day.stands(PositionState.CLOSED)
    assert day.position.exit_reason is ExitReason.BROKER_SQUARE_OFF
    assert day.state.open_by_key == {}


def test_it_is_booked_at_the_floor_as_an_estimate_of_its_own_day_and_counts_against_the_week() -> None:
    day = morning()
    day.book()
    bought = day.position.charges_paise
    day.second(2)
    day.book()
    position, ledger = day.position, day.state.ledger
    assert (position.sold_quantity, position.proceeds_paise) == (LOT, LOT * FLOOR_PAISE)
    assert ist_day(position.closed_ns) == ist_day(position.opened_ns)
    assert position.charges_paise - bought == CHARGES_OF_A_SALE_AT_84
    net = LOT * (FLOOR_PAISE - 12_000) - position.charges_paise
    assert ledger.week_before_paise == net
    assert (ledger.trades, ledger.net_paise, ledger.losses_in_row) == (0, 0, 0)
    changes = day.state.take_changes()
    assert changes is not None
    assert changes.ledger is not None
    assert [p.state for p in changes.positions] == [PositionState.CLOSED]


def test_an_earlier_week_is_not_this_one() -> None:
    day = morning(days_ago=7)
    day.book()
    day.second(2)
    day.book()
    assert day.stands(PositionState.CLOSED)
    assert day.state.ledger.week_before_paise == 0


def test_the_book_is_read_every_two_seconds_until_it_is_known() -> None:
    day = morning()
    day.book()
    assert codes(day.second(1)) == []
    assert day.state.book_asked_ns == 0
    day.second(1)
    assert day.state.book_asked_ns == day.now_ns


def test_what_the_broker_still_shows_gets_its_floor_and_is_left_by_the_rules() -> None:
    day = morning()
    said = day.tell(shows(day, LOT))
    floor = one(orders(said), PlaceOrder)
    assert is_floor(floor)
    assert floor.quantity == LOT
    assert day.position.frozen == ""


@pytest.mark.parametrize("net", [0, -LOT])
def test_a_row_that_says_nothing_is_held_says_so(net: int) -> None:
    day = morning()
    day.tell(shows(day, net))
    day.second(2)
    said = day.tell(shows(day, net))
    assert orders(said) == []
    assert day.stands(PositionState.CLOSED)


def test_margin_may_be_carried_so_a_missing_row_is_no_answer() -> None:
    day = morning(rules=replace(RULES, product=Product.MARGIN))
    for _ in range(5):
        assert orders(day.book() + day.second(2)) == []
    assert not day.stands(PositionState.CLOSED)
    day.tell(shows(day, 0))
    day.tell(shows(day, 0))
    assert day.stands(PositionState.CLOSED)


def test_a_persons_sale_meanwhile_is_not_taken_for_ours() -> None:
    day = morning()
    day.book()
    day.person(Side.SELL, LOT, BrokerStatus.TRADED)
    day.second(2)
    assert orders(day.book()) == []
    assert day.stands(PositionState.CLOSED)
    assert day.position.exit_reason is ExitReason.BROKER_SQUARE_OFF


def test_what_was_a_persons_already_is_over_too() -> None:
    day = morning(state=PositionState.HANDED_OVER)
    day.book()
    day.second(2)
    day.book()
    assert day.stands(PositionState.CLOSED)
    assert day.position.exit_reason is ExitReason.CLOSED_AT_BROKER_BY_PERSON
