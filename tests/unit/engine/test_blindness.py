"""Without a price: the chain's bid, else parity, else the floor; and never because of a restart or one empty packet."""

from __future__ import annotations

from algo_scalper.domain.commands import ModifyOrder
from algo_scalper.domain.decisions import DecisionKind, ExitReason
from algo_scalper.domain.events import OperatorWord
from algo_scalper.domain.instruments import OptionType
from algo_scalper.domain.orders import OrderKind
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.engine.story import CALL, CONTRACTS, LOT, Day, codes, contract, is_floor, of, one, orders, reasons

S = NS_PER_SECOND


def blind(day: Day) -> list[ModifyOrder]:
    """Ten seconds without a packet of the held contract; chains go on."""
    out: list[ModifyOrder] = []
    for _ in range(10):
        out += of(day.second(), ModifyOrder)
    return out


def test_ten_seconds_without_a_price_leave_at_the_chains_bid() -> None:
    day = Day()
    _, floor = day.hold()
    day.second(8)
    assert day.stands(PositionState.OPEN)
    day.chain({CALL.key: (11_500, 11_520)})
    said = day.second(2)
    exit_ = one(orders(said), ModifyOrder)
    assert exit_.price_paise == 11_325, "115.00 less 1.5 % is 113.275"
    assert "blind" in codes(said, "alarm")
    day.accept(exit_)
    assert reasons(day.fill(floor.order_id, LOT, 11_500), DecisionKind.EXIT) == ["blind"]


def test_when_the_chain_has_no_bid_of_it_parity_says_what_it_is_worth() -> None:
    day = Day()
    day.hold()
    # Every strike K is quoted so that K + C - P = 24,600: the held 24,500 call is worth 100.00 at least.
    prices = {}
    for listed in CONTRACTS:
        worth = (
            max(2_460_000 - listed.strike_paise, 0)
            if listed.option_type is OptionType.CE
            else max(listed.strike_paise - 2_460_000, 0)
        )
        prices[listed.key] = (worth + 5_000, worth + 5_000)
    prices[CALL.key] = (0, 0)
    day.second(8)
    day.chain(prices)
    exit_ = one(orders(day.second(2)), ModifyOrder)
    assert exit_.price_paise == 9_850


def test_with_no_price_anywhere_the_floor_stays() -> None:
    day = Day()
    _, floor = day.hold()
    day.now_ns += 20 * S
    assert orders(day.second()) == []
    assert day.position.exit_reason is ExitReason.BLIND
    assert day.state.orders[floor.order_id].kind is OrderKind.STOP_LIMIT
    exit_ = one(orders(day.tick(11_000, 11_010)), ModifyOrder)
    assert exit_.kind is OrderKind.LIMIT, "the price is back: it is left"


def test_who_waits_behind_the_floor_is_still_flat_by_the_clock() -> None:
    day = Day("14:30")
    day.hold()
    day.now_ns += 20 * S
    assert orders(day.second()) == []
    day.now_ns = day.state.flat_by(day.position)
    exit_ = one(orders(day.second()), ModifyOrder)
    assert exit_.kind is OrderKind.LIMIT
    assert day.position.exit_reason is ExitReason.FLAT_BY
    # The last price known was 119.90: the edge of its band, which trades at the best bid there is.
    assert exit_.price_paise == 7_200


def test_who_waits_behind_the_floor_can_be_closed_and_killed() -> None:
    for word in (OperatorWord.CLOSE, OperatorWord.KILL):
        day = Day()
        day.hold()
        day.now_ns += 20 * S
        assert orders(day.second()) == []
        assert one(orders(day.operator(word, day.position.id)), ModifyOrder).kind is OrderKind.LIMIT


def test_one_packet_without_a_bid_is_no_blindness() -> None:
    day = Day()
    day.hold()
    for _ in range(20):
        day.second(quiet=False)
    day.tick(0, 12_010, 12_000)
    assert orders(day.second()) == []
    assert day.stands(PositionState.OPEN)
    day.now_ns += S // 2
    day.tick(12_000, 12_010)
    assert day.position.blind_ns == 0


def test_ten_seconds_of_packets_without_a_bid_are() -> None:
    day = Day()
    day.hold()
    left: list[int] = []
    for passed in range(1, 13):
        day.tick(0, 12_010, 12_000, after_ns=S // 2)
        if orders(day.second()) or day.stands(PositionState.LEAVING):
            left.append(passed)
            break
    assert left == [11], "the first empty packet came half a second before the first second"


def test_a_stop_fires_on_a_print_though_the_bid_is_gone() -> None:
    day = Day()
    day.hold()
    day.chain({CALL.key: (9_400, 9_450)})
    exit_ = one(orders(day.tick(0, 9_600, 9_590)), ModifyOrder)
    assert exit_.price_paise == 9_255, "the chain's bid of 94.00 less 1.5 % is 92.59"


def test_outside_the_options_hours_nobody_is_blind() -> None:
    day = Day("14:35")
    day.hold()
    day.until("15:40")
    assert day.position.blind_ns == 0


def test_a_restart_is_no_blindness() -> None:
    before = Day()
    before.hold()
    state = before.state
    day = Day(
        "10:50",
        reconciled=False,
        positions=tuple(state.positions.values()),
        orders=tuple(state.orders.values()),
        epoch=2,
    )
    day.rows = before.rows
    day.book()
    assert orders(day.second(9)) == []
    assert day.stands(PositionState.OPEN), "nothing was quoted yet, nine seconds after the start"
    day.second(1)
    assert day.position.exit_reason is ExitReason.BLIND


def test_the_floor_grows_and_protects_while_blind() -> None:
    assert contract(CALL.strike_paise, OptionType.CE) == CALL
    day = Day()
    entry = day.enter()
    day.accept(entry)
    day.now_ns += 20 * S
    floor = one(orders(day.fill(entry.order_id, LOT, 12_000)), type(entry))
    assert is_floor(floor)
