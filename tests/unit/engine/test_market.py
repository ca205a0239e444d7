"""Ticks and candles: bucketed by the exchange's second, closed once, and nothing made of a frozen index."""

from __future__ import annotations

from algo_scalper.domain.commands import Subscribe, Unsubscribe
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.events import HistoryLoaded
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.engine.views import view
from tests.unit.engine.story import CALL, CONTRACTS, LOT, PUT, SPOT, Day, at, contract, of, one, orders, reasons

S = NS_PER_SECOND


def candles(day: Day) -> Candle | None:
    """The last one closed."""
    closed = day.state.indices["NIFTY"].last_candle
    assert closed is None or isinstance(closed, Candle)
    return closed


def test_a_candle_is_made_of_its_minutes_prints_and_closed_by_the_next() -> None:
    day = Day("10:30")
    for price in (SPOT, SPOT + 500, SPOT - 700, SPOT + 100):
        day.index(price)
        day.now_ns += 10 * S
    assert candles(day) is None
    day.now_ns = at("10:31")
    day.index(SPOT + 900)
    assert candles(day) == Candle(at("10:30"), SPOT, SPOT + 500, SPOT - 700, SPOT + 100)


def test_a_minute_without_a_later_print_is_closed_by_the_clock_two_seconds_after_its_end() -> None:
    day = Day("10:30")
    day.index(SPOT + 10)
    day.until("10:31:01")
    assert candles(day) is None
    day.second()
    assert candles(day) == Candle(at("10:30"), SPOT + 10, SPOT + 10, SPOT + 10, SPOT + 10)
    assert day.state.indices["NIFTY"].forming is None


def test_a_late_print_of_a_closed_minute_changes_nothing() -> None:
    day = Day("10:30")
    day.index(SPOT + 10)
    day.until("10:31:02")
    closed = candles(day)
    day.index(SPOT + 70_000, exchange_s=at("10:30:59") // S)
    assert day.state.indices["NIFTY"].forming is None
    assert candles(day) == closed


def test_the_exchanges_second_decides_the_minute_not_ours() -> None:
    day = Day("10:30")
    day.index()
    day.now_ns = at("10:31") + S
    day.index(SPOT - 300, exchange_s=at("10:30:59") // S)
    assert day.state.indices["NIFTY"].forming.start_ns == at("10:30")
    assert day.state.indices["NIFTY"].forming.low_paise == SPOT - 300


def test_an_older_packet_never_overwrites_a_newer_price() -> None:
    day = Day("10:30")
    day.index(SPOT, exchange_s=at("10:30:05") // S)
    day.index(SPOT + 900, exchange_s=at("10:30:04") // S)
    assert day.state.ticks[NIFTY.key].ltp_paise == SPOT


def test_one_packet_from_the_future_does_not_silence_the_feed_for_ever() -> None:
    day = Day("10:30")
    day.index(SPOT, exchange_s=at("14:30") // S)
    day.second(4)
    day.index(SPOT + 900)
    assert day.state.ticks[NIFTY.key].ltp_paise == SPOT, "it may have been overtaken"
    day.second()
    day.index(SPOT + 900)
    assert day.state.ticks[NIFTY.key].ltp_paise == SPOT + 900


def test_a_print_of_nothing_is_no_price_of_an_index() -> None:
    day = Day("10:30")
    day.index(SPOT)
    day.index(0)
    assert day.state.indices["NIFTY"].forming.low_paise == SPOT


def test_a_frozen_index_makes_no_candles() -> None:
    day = Day("15:13")
    day.index()
    day.now_ns = at("15:14:30")
    day.index()
    day.now_ns = at("15:16")
    day.index(SPOT + 5_000)
    day.until("15:29")
    closed = candles(day)
    assert closed is not None
    assert closed.start_ns == at("15:13")
    assert reasons(day.said, DecisionKind.NO_SIGNAL) == []
    assert {d.kind for d in of(day.said, Decision)} <= {DecisionKind.REFUSAL}


def test_the_first_packet_after_the_open_may_carry_yesterdays_print() -> None:
    day = Day("09:15")
    day.index(SPOT, exchange_s=at("09:15") // S - 17 * 3_600)
    assert not day.state.indices["NIFTY"].opened
    assert day.state.indices["NIFTY"].forming is None
    day.now_ns += S
    day.index(SPOT * 104 // 100)
    assert day.state.indices["NIFTY"].opening_gap_bps == 400


def test_an_unknown_close_before_is_a_gap_that_is_not_known() -> None:
    day = Day("09:40", previous_close_paise={})
    assert reasons(day.signal(), DecisionKind.REFUSAL) == ["gap_wait"]
    day.now_ns = at("10:05")
    assert len(orders(day.signal())) == 1


def test_a_spike_waits_three_minutes() -> None:
    day = Day("10:30")
    history = tuple(Candle(at("10:00") + n * NS_PER_MINUTE, SPOT, SPOT, SPOT, SPOT) for n in range(30))
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, history))
    day.index(SPOT)
    assert reasons(day.signal(SPOT + 30_000), DecisionKind.REFUSAL) == ["spike_wait"]
    assert reasons(day.signal(SPOT + 30_000), DecisionKind.REFUSAL) == ["spike_wait"]
    day.now_ns += NS_PER_MINUTE
    assert reasons(day.signal(SPOT + 30_000), DecisionKind.REFUSAL) != ["spike_wait"]


def near(spot: int) -> set[int]:
    """The strikes within max_otm + 1 steps of 50."""
    return {listed.key for listed in CONTRACTS if abs(listed.strike_paise - spot) <= 15_000}


def test_the_interest_set_follows_the_spot_and_keeps_what_is_held() -> None:
    day = Day("10:30")
    assert set(one(day.index(), Subscribe).keys) == near(SPOT)
    day.hold()
    # The spot runs away so far that the held strike is near no longer; what is newly near is subscribed.
    day.now_ns = at("10:33")
    day.index(SPOT + 19_000)
    day.now_ns = at("10:34")
    said = day.index(SPOT + 19_000)
    gone, new = set(one(said, Unsubscribe).keys), set(one(said, Subscribe).keys)
    assert gone == near(SPOT) - near(SPOT + 19_000) - {CALL.key}
    assert new == near(SPOT + 19_000) - near(SPOT)
    assert PUT.key in gone


def test_a_tick_of_a_contract_nobody_holds_says_nothing() -> None:
    day = Day()
    assert day.tick(key=contract(2_445_000, CALL.option_type).key) == []


def test_best_and_worst_are_bids() -> None:
    day = Day()
    _, floor = day.hold()
    day.tick(12_500, 12_600, 13_000)
    day.tick(11_000, 11_100, 10_000)
    day.tick(0, 11_100, 11_000)
    assert (day.position.high_water_paise, day.position.low_water_paise) == (12_500, 11_000)
    assert day.state.orders[floor.order_id].quantity == LOT


def test_the_view_says_how_far_the_newest_tick_came_after_the_exchange() -> None:
    day = Day("10:30")
    assert view(day.state).feed.lag_ms == 0, "nothing came yet"
    day.now_ns = at("10:30:05") + 250_000_000
    day.index(SPOT, exchange_s=at("10:30:02") // S)
    assert view(day.state).feed.lag_ms == 3_250
