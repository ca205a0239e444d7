"""A day traded in virtual time: the same seed is the same day, its journal replays, and its report adds up."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from algo_scalper.adapters import journal as journal_file
from algo_scalper.adapters.journal import JournalWriter, read_header, read_journal
from algo_scalper.domain.commands import COMMANDS, PlaceOrder
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.errors import JournalError
from algo_scalper.domain.events import SessionStarted, SessionStopping
from algo_scalper.domain.orders import Side
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import rupees_text
from algo_scalper.research.backtest import DayResult, run_market
from algo_scalper.research.replay import events_of, replay
from algo_scalper.research.report import NO_EDGE, report_lines, total_lines, trade_lines
from algo_scalper.simulation.market import MarketDay, synthetic_day
from tests.unit.risk.beginner import RULES

DAY = date(2024, 3, 2)
"""A split session of two hours: the shortest day there is with trades in it."""
EAGER: Rules = replace(
    RULES,
    session=replace(RULES.session, entries_from_s=9 * 3600 + 20 * 60, special_sessions=True),
    indices=(replace(RULES.indices[0], premium_max_paise=40_000, cooldown_ns=0),),
    size=replace(RULES.size, risk_bps=2_000, outlay_bps=9_000),
    signal=replace(RULES.signal, adx_m1_min=0.0, adx_m5_min=0.0),
    strike=replace(RULES.strike, min_oi=0, max_spread_bps=500, min_top5_lots=1),
    exit=replace(RULES.exit, time_stop_ns=120_000_000_000, time_stop_under_bps=10_000),
    limits=replace(RULES.limits, trades_day=3, after_loss_ns=0, losses_in_row=()),
    guards=replace(RULES.guards, vix_none=0.0, gap_bps=0, gap_until_s=0, breakeven_bps=10_000),
)


@pytest.fixture(scope="module")
def market() -> MarketDay:
    return synthetic_day(DAY, 3)


@pytest.fixture(scope="module")
def traded(market: MarketDay, tmp_path_factory: pytest.TempPathFactory) -> tuple[DayResult, Path]:
    path = tmp_path_factory.mktemp("day") / "day.journal"
    return run_market(market, EAGER, 3, path), path


def test_there_is_something_to_look_at(traded: tuple[DayResult, Path]) -> None:
    result, _ = traded
    assert len(result.trades) == 3
    assert result.left == ()


def test_the_same_seed_gives_the_same_fills_decisions_and_events(
    market: MarketDay, traded: tuple[DayResult, Path]
) -> None:
    assert run_market(market, EAGER, 3) == traded[0]


def test_another_seed_gives_other_instants(market: MarketDay, traded: tuple[DayResult, Path]) -> None:
    assert run_market(market, EAGER, 4).fills != traded[0].fills


def test_what_the_ledger_says_is_what_the_exchange_paid(traded: tuple[DayResult, Path]) -> None:
    result, _ = traded
    signs = {Side.BUY: -1, Side.SELL: 1}
    assert result.gross_paise == sum(signs[fill.side] * fill.quantity * fill.price_paise for fill in result.fills)
    assert result.gross_paise == sum(trade.gross_paise for trade in result.trades)
    assert result.charges_paise == sum(trade.charges["total"] for trade in result.trades)
    assert result.net_paise == sum(trade.net_paise for trade in result.trades)
    bought = sum(fill.quantity for fill in result.fills if fill.side is Side.BUY)
    assert bought == sum(fill.quantity for fill in result.fills if fill.side is Side.SELL) > 0


def test_the_report_says_it_first_and_adds_up(traded: tuple[DayResult, Path]) -> None:
    result, _ = traded
    lines = report_lines(result)
    assert lines[0].startswith("Sat 02 Mar 2024   SIMULATED market")
    assert lines[0].endswith("PAPER money")
    assert lines[1] == NO_EDGE
    text = "\n".join(lines)
    assert f"Rs {rupees_text(result.net_paise):>12}" in text
    assert "FLAT: nothing is held" in text
    assert "Why no trade, by minutes:" in text
    minutes = [int(found[1]) for line in lines if (found := re.match(r"\s+(\d+)  \w+", line))]
    assert minutes == sorted(minutes, reverse=True)
    assert sum(minutes) == sum(result.reasons.values())
    for trade in result.trades:
        assert sum(trade.contract in line for line in lines) >= 1


def test_a_report_without_trades_and_with_something_left(traded: tuple[DayResult, Path]) -> None:
    assert trade_lines(()) == ["No trades."]
    assert total_lines(-12_345, 6_000) == [
        "Gross   Rs      -123.45",
        "Charges Rs        60.00",
        "Net     Rs      -183.45",
    ]
    held = replace(traded[0], left=("NIFTY 07 MAR 22000 CE: 65 still held",))
    assert "LEFT: NIFTY 07 MAR 22000 CE: 65 still held" in report_lines(held)


def test_the_journal_replays_to_the_same_commands(traded: tuple[DayResult, Path]) -> None:
    result, path = traded
    again = replay(path)
    assert again.same, again.difference
    assert again.commands > 100
    assert again.torn_bytes == 0
    events = events_of(path)
    assert isinstance(events[0], SessionStarted)
    assert len(events) == again.events
    assert result.events <= again.events


def rewritten(path: Path, to: Path, change: Any, **header: Any) -> Path:
    """The journal once more, every record passed through ``change`` (a list of what stands in its place)."""
    writer = JournalWriter(to, replace(read_header(path), **header))
    for number, record in enumerate(read_journal(path)):
        for kept in change(number, record):
            writer.append(kept)
    writer.flush(fsync=False)
    writer.close()
    return to


def test_a_command_that_was_altered_is_seen(traded: tuple[DayResult, Path], tmp_path: Path) -> None:
    def dearer(number: int, record: Any) -> list[Any]:
        del number
        return [replace(record, price_paise=record.price_paise + 5) if isinstance(record, PlaceOrder) else record]

    seen = replay(rewritten(traded[1], tmp_path / "j", dearer))
    assert not seen.same
    assert "PlaceOrder" in seen.difference
    assert "recorded" in seen.difference


def test_a_number_in_a_decision_that_was_altered_is_seen(traded: tuple[DayResult, Path], tmp_path: Path) -> None:
    def other(number: int, record: Any) -> list[Any]:
        del number
        if isinstance(record, Decision) and record.kind is DecisionKind.EXIT:
            return [replace(record, numbers={**record.numbers, "net_paise": 1})]
        return [record]

    assert not replay(rewritten(traded[1], tmp_path / "j", other)).same


def test_a_command_that_is_missing_or_too_many_is_seen(traded: tuple[DayResult, Path], tmp_path: Path) -> None:
    first = next(n for n, record in enumerate(read_journal(traded[1])) if isinstance(record, PlaceOrder))
    without = replay(rewritten(traded[1], tmp_path / "a", lambda n, record: [] if n == first else [record]))
    assert "PlaceOrder" in without.difference
    doubled = replay(rewritten(traded[1], tmp_path / "b", lambda n, record: [record] * (1 + (n == first))))
    assert "PlaceOrder" in doubled.difference


def test_an_event_that_was_altered_is_seen(traded: tuple[DayResult, Path], tmp_path: Path) -> None:
    def richer(number: int, record: Any) -> list[Any]:
        del number
        if isinstance(record, SessionStarted):
            return [replace(record, rules=replace(record.rules, version=99))]
        return [record]

    assert not replay(rewritten(traded[1], tmp_path / "j", richer)).same


def test_a_journal_that_ends_between_an_event_and_its_commands_is_no_lie(
    traded: tuple[DayResult, Path], tmp_path: Path
) -> None:
    first = next(n for n, record in enumerate(read_journal(traded[1])) if isinstance(record, PlaceOrder))
    ended = replay(rewritten(traded[1], tmp_path / "j", lambda n, record: [record] if n < first else []))
    assert ended.same


def test_other_deciding_code_is_refused_not_compared(traded: tuple[DayResult, Path], tmp_path: Path) -> None:
    other = rewritten(traded[1], tmp_path / "j", lambda n, record: [record], source_hash="0123456789abcdef")
    with pytest.raises(JournalError, match=r"written under source 0123456789abcdef .* replay it with the code that"):
        replay(other)


def test_records_are_compared_as_the_journal_spells_them() -> None:
    stop = SessionStopping(1, "x")
    assert msgspec.msgpack.decode(journal_file.encode_record(stop), type=SessionStopping) == stop
    assert not isinstance(stop, COMMANDS)
