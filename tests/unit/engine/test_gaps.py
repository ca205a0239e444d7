"""Minutes that were not heard whole decide nothing until the broker's own have replaced them."""

from __future__ import annotations

from algo_scalper.domain.commands import Command, ReadCandles
from algo_scalper.domain.decisions import Decision, DecisionKind, RefusalReason
from algo_scalper.domain.events import FeedLost, FeedRestored, HistoryLoaded
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.engine.story import SPOT, Day, at, of


def minute(clock: str, price: int = SPOT + 10) -> Candle:
    return Candle(at(clock), price, price, price, price)


def asked(commands: list[Command]) -> list[ReadCandles]:
    return of(commands, ReadCandles)


def refused(commands: list[Command]) -> list[str]:
    return [said.reason for said in of(commands, Decision) if said.kind is DecisionKind.REFUSAL]


def lose(day: Day, until: str) -> None:
    day.tell(FeedLost(day.now_ns, "market", "reset"))
    day.now_ns = at(until)
    day.tell(FeedRestored(day.now_ns, "market"))


def heard(day: Day) -> Day:
    """A day warmed up, and one whole minute heard."""
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (minute("10:28"), minute("10:29"))))
    day.index(SPOT + 10)
    return day


def test_after_a_gap_entries_refuse_and_the_minutes_are_asked_for_once_they_are_there() -> None:
    day = heard(Day("10:30"))
    day.until("10:30:40")
    lose(day, "10:31:20")
    assert asked(day.until("10:32:04")) == []
    assert asked(day.second()) == [ReadCandles(NIFTY.key)]
    day.index(SPOT)  # 10:32 closes on a whole rupee: a signal
    day.now_ns = at("10:33")
    assert refused(day.index(SPOT)) == [RefusalReason.CANDLES_MISSED]


def test_the_brokers_minutes_replace_ours_and_entries_go_on() -> None:
    day = heard(Day("10:30"))
    day.until("10:30:40")
    lose(day, "10:31:20")
    day.until("10:32:05")
    index = day.state.indices["NIFTY"]
    assert index.missed_from_ns == at("10:30")
    whole = tuple(minute(clock, SPOT - 700) for clock in ("10:28", "10:29", "10:30", "10:31"))
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, whole))
    assert index.missed_from_ns == 0
    assert index.readings.m1.close_paise == SPOT - 700
    assert index.last_candle == whole[-1]
    assert asked(day.until("10:33:30")) == []


def test_minutes_that_do_not_reach_far_enough_are_asked_for_again() -> None:
    day = heard(Day("10:30"))
    day.until("10:30:40")
    lose(day, "10:31:20")
    day.until("10:32:05")
    before = day.state.indices["NIFTY"].readings
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (minute("10:29"), minute("10:30"))))
    assert day.state.indices["NIFTY"].missed_from_ns == at("10:30")
    assert day.state.indices["NIFTY"].readings is before
    assert len(asked(day.until("10:32:20"))) == 1


def test_a_minute_closed_here_after_the_brokers_last_is_kept() -> None:
    day = heard(Day("10:30"))
    day.until("10:30:40")
    lose(day, "10:30:50")
    day.until("10:31:00")
    day.index(SPOT - 90)
    day.until("10:32:03")  # 10:31 is closed by the clock, and whole
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (minute("10:29"), minute("10:30"))))
    index = day.state.indices["NIFTY"]
    assert index.missed_from_ns == 0
    assert index.last_candle == minute("10:31", SPOT - 90)


def test_a_start_inside_a_minute_is_a_gap_and_one_before_the_open_is_none() -> None:
    assert Day("10:30:30").state.indices["NIFTY"].missed_from_ns == at("10:30")
    assert Day("10:30").state.indices["NIFTY"].missed_from_ns == 0
    assert Day("09:14:29").state.indices["NIFTY"].missed_from_ns == 0


def test_a_gap_outside_the_indexs_hours_is_none() -> None:
    day = heard(Day("09:05"))
    lose(day, "09:14")
    assert day.state.indices["NIFTY"].missed_from_ns == 0


def test_the_gap_begins_where_the_feed_says_it_did() -> None:
    day = heard(Day("10:30"))
    day.until("10:31:10")
    day.tell(FeedLost(day.now_ns, "market", "silent"))
    day.tell(FeedRestored(day.now_ns, "market", lost_ns=at("10:30:40")))
    assert day.state.indices["NIFTY"].missed_from_ns == at("10:30"), "silent for thirty seconds before it was noticed"


def test_warm_up_candles_that_nobody_asked_for_change_nothing() -> None:
    day = heard(Day("10:30"))
    day.until("10:31:03")
    before = day.state.indices["NIFTY"].readings
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (minute("10:30", SPOT - 9_000),)))
    assert day.state.indices["NIFTY"].readings is before


def test_a_minute_that_is_not_over_is_no_candle_whoever_sends_it() -> None:
    day = Day("10:30:30")
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (minute("10:28"), minute("10:29"), minute("10:30", SPOT))))
    index = day.state.indices["NIFTY"]
    assert index.last_candle == minute("10:29")
    day.index(SPOT + 500)
    assert index.forming is not None, "its prints still make the candle of 10:30"
    day.until("10:31:05")
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (minute("10:30"), minute("10:31"))))
    assert index.last_candle == minute("10:30")


def test_an_index_that_falls_silent_for_a_minute_is_a_gap_though_the_feed_is_up() -> None:
    day = heard(Day("10:30"))
    day.until("10:31:02")
    day.until("10:33:10")
    index = day.state.indices["NIFTY"]
    assert index.missed_from_ns == 0, "nobody can know yet"
    day.index(SPOT)
    assert (index.missed_from_ns, index.missed_until_ns) == (at("10:31"), at("10:33"))
    day.now_ns = at("10:34")
    assert refused(day.index(SPOT)) == [RefusalReason.CANDLES_MISSED]
    assert asked(day.second()) == [ReadCandles(NIFTY.key)]


def test_one_print_in_every_minute_is_enough_and_the_night_is_no_silence() -> None:
    day = Day("09:15")
    yesterday = at("15:14") - 86_400 * NS_PER_SECOND
    day.tell(HistoryLoaded(day.now_ns, NIFTY.key, (Candle(yesterday, SPOT, SPOT, SPOT, SPOT),)))
    for clock in ("09:15:59", "09:16:01", "09:17:58"):
        day.now_ns = at(clock)
        day.index(SPOT + 10)
    assert day.state.indices["NIFTY"].missed_from_ns == 0
