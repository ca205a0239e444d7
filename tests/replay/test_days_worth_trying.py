"""Ten nasty days, traded whole: flat at the end, never more sold than held, and the journal replays byte for byte.

Nine are recorded; the tenth is made up around the closing auction's freeze and jump. One is killed in the middle and
resumed from its stores. Replay runs in another process, under another hash seed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from algo_scalper.adapters.journal import FORMAT, JournalHeader, JournalWriter
from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.domain.orders import Side
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import ist_ns
from algo_scalper.research.backtest import DayResult, run_recorded, run_synthetic
from algo_scalper.runtime.config import load_rules
from algo_scalper.runtime.opening import opening_event
from algo_scalper.runtime.recordings import read_recording
from algo_scalper.runtime.source_hash import source_hash
from algo_scalper.runtime.virtual import VirtualRun
from algo_scalper.simulation.exchange import Fill, SimulatedExchange
from algo_scalper.simulation.market import MarketDay, recorded_day
from algo_scalper.simulation.world import World
from tests.shared_data import shared

ROOT = Path(__file__).resolve().parents[2]
RECORDED = [
    ("nifty_1m_2026", "2026-02-03", "the gap of +478 bp"),
    ("nifty_1m_2026", "2026-02-01", "the budget on a Sunday"),
    ("nifty_1m_2026", "2026-03-09", "the recording ends at 13:18"),
    ("nifty_1m_2024", "2024-06-04", "the election count, -5%"),
    ("nifty_1m_2024", "2024-03-02", "two short sessions"),
    ("nifty_1m_2024", "2024-01-20", "a Saturday"),
    ("nifty_1m_2026", "2026-02-10", "an expiry"),
    ("nifty_1m_2026", "2026-03-02", "an expiry moved to Monday"),
    ("nifty_1m_2026", "2026-01-21", "killed in the middle"),
]
NO_TRADE = {"2026-02-01", "2024-03-02", "2024-01-20"}
"""Special sessions are skipped unless asked for."""


@pytest.fixture(scope="module")
def rules() -> Rules:
    return load_rules(ROOT / "config" / "algo.yml")


def replayed(journal: Path) -> str:
    """What ``scalper replay`` says in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": "4242"}
    done = subprocess.run(
        [sys.executable, "-m", "algo_scalper", "replay", str(journal)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def never_more_than_held(fills: tuple[Fill, ...]) -> bool:
    held: dict[int, int] = {}
    for fill in fills:
        held[fill.key] = held.get(fill.key, 0) + (fill.quantity if fill.side is Side.BUY else -fill.quantity)
        if held[fill.key] < 0:
            return False
    return True


def check(result: DayResult, journal: Path) -> None:
    assert result.left == ()
    assert never_more_than_held(result.fills)
    bought = sum(fill.quantity for fill in result.fills if fill.side is Side.BUY)
    sold = sum(fill.quantity for fill in result.fills if fill.side is Side.SELL)
    assert bought == sold
    assert "every one the same, byte for byte" in replayed(journal)


@pytest.mark.parametrize(("file", "day", "why"), RECORDED[:-1], ids=[row[1] for row in RECORDED[:-1]])
def test_recorded_day_ends_flat_and_replays(file: str, day: str, why: str, rules: Rules, tmp_path: Path) -> None:
    recording = read_recording(shared(f"data/parquet/{file}.parquet"))
    journal = tmp_path / "day.journal"
    result = run_recorded(recording, date.fromisoformat(day), rules, 11, journal)
    print(f"{day} ({why}): {len(result.trades)} trades, net {result.net_paise}")
    if day in NO_TRADE:
        assert not result.trades
    check(result, journal)


def test_quietest_recorded_day(rules: Rules, tmp_path: Path) -> None:
    recording = read_recording(shared("data/parquet/nifty_1m_2026.parquet"))
    whole = {day: bars for day, bars in recording.days.items() if len(bars) == 375}
    quietest = min(whole, key=lambda day: max(b.high_paise for b in whole[day]) / min(b.low_paise for b in whole[day]))
    journal = tmp_path / "day.journal"
    check(run_recorded(recording, quietest, rules, 11, journal), journal)


def test_day_of_the_freeze_and_the_jump(rules: Rules, tmp_path: Path) -> None:
    journal = tmp_path / "day.journal"
    check(run_synthetic(date(2026, 8, 4), rules, 11, journal), journal)


class KilledDay:
    """A day whose process dies in the middle: the engine is gone, the exchange and the stores are not."""

    def __init__(self, market: MarketDay, rules: Rules, folder: Path) -> None:
        self.market, self.rules, self.folder = market, rules, folder
        self.exchange = SimulatedExchange(market.contracts, market.day, rules.capital_paise)
        self.world = World(market, self.exchange, 11)
        self.stores = open_stores(None, folder)
        self.store = self.stores.trading("PAPER")

    def part(self, until_ns: int | None, *, ended: bool) -> tuple[VirtualRun, Path]:
        restored = self.store.restore(self.market.day.isoformat())
        epoch = self.store.next_epoch()
        journal = self.folder / f"{epoch}.journal"
        header = JournalHeader(
            FORMAT, "test", source_hash(), "PAPER", epoch, self.market.day, "SIMULATED", "PAPER", self.world.now_ns
        )
        writer = JournalWriter(journal, header)
        run = VirtualRun(self.world, writer, flush=writer.flush, store=self.store, first_token=epoch * 1_000_000)
        run.start(
            opening_event(
                self.world.now_ns,
                "PAPER",
                epoch,
                self.market.day,
                self.rules,
                self.market.contracts,
                self.market.previous_close_paise,
                restored=restored,
            )
        )
        run.run(until_ns)
        writer.flush(fsync=False)
        if ended:
            writer.close()
        return run, journal


def test_day_killed_in_the_middle_goes_on_from_its_stores(rules: Rules, tmp_path: Path) -> None:
    file, day_text, _ = RECORDED[-1]
    recording = read_recording(shared(f"data/parquet/{file}.parquet"))
    day = date.fromisoformat(day_text)
    market = recorded_day("NIFTY", recording.day(day), recording.before(day), day, 11)
    whole = run_recorded(recording, day, rules, 11)
    held_ns = whole.trades[0].opened_ns + 5_000_000_000  # five seconds into the first position
    killed = KilledDay(market, rules, tmp_path)

    first, journal_one = killed.part(held_ns, ended=False)
    assert first.session.engine.state.open_positions(), "the kill must find a position open"
    second, journal_two = killed.part(None, ended=True)

    state = second.session.engine.state
    assert not state.open_positions()
    assert second.world.now_ns > ist_ns(day, 15 * 3600)
    assert never_more_than_held(killed.exchange.fills())
    filled = {row.correlation_id: row.filled_quantity for row in killed.exchange.rows()}
    assert {order.id: order.filled_quantity for order in state.orders.values()} == filled
    for journal in (journal_one, journal_two):
        assert "every one the same, byte for byte" in replayed(journal)
    killed.stores.close()
