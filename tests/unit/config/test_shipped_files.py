"""The files that ship: the default is the plan's default, and the tables in code say the same as the file."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from algo_scalper.domain.instruments import BANKNIFTY, FINNIFTY, NIFTY, SENSEX
from algo_scalper.domain.orders import Product
from algo_scalper.domain.rules import (
    ExitRules,
    ExpiryRules,
    FreshRules,
    IndexRules,
    LimitRules,
    LossPause,
    OrderRules,
    Role,
    SessionRules,
    SignalRules,
    SizeRules,
    StrikeRules,
    TrailStep,
)
from algo_scalper.runtime.algo_keys import DEFAULTS, KEYS, PREMIUM_DEFAULTS, Key, pattern_of
from algo_scalper.runtime.config import load_algo, load_rules
from algo_scalper.runtime.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "config" / "algo.yml"
SECOND, MINUTE = 1_000_000_000, 60_000_000_000


def test_the_shipped_rules_are_those_a_beginner_was_promised() -> None:
    # Typed by hand from the documented defaults, in the engine's units.
    rules = load_rules(SHIPPED)
    assert rules.capital_paise == 1_00_000_00
    assert rules.product is Product.INTRADAY
    assert rules.indices == (
        IndexRules("NIFTY", NIFTY.key, Role.TRADE, 1, 10_000, 300 * SECOND, 60_00, 140_00),
        IndexRules("SENSEX", SENSEX.key, Role.WATCH, 1, 10_000, 300 * SECOND, 150_00, 450_00),
        IndexRules("BANKNIFTY", BANKNIFTY.key, Role.WATCH, 1, 10_000, 300 * SECOND, 120_00, 300_00),
        IndexRules("FINNIFTY", FINNIFTY.key, Role.WATCH, 1, 10_000, 300 * SECOND, 60_00, 150_00),
    )
    assert rules.session == SessionRules(9 * 3600 + 30 * 60, 14 * 3600 + 40 * 60, None, special_sessions=False)
    assert rules.expiry == ExpiryRules(1)
    assert rules.signal == SignalRules("supertrend_adx", 10, 3.0, 14, 20.0, 18.0, carry_gap=False, on_flip_only=False)
    assert rules.strike == StrikeRules(2, 50_000, 30, 75, 5)
    assert rules.fresh == FreshRules(3 * SECOND, 5 * SECOND, 15 * SECOND, 2 * SECOND)
    assert rules.size == SizeRules(1, 1, 200, 2_000)
    trail = (TrailStep(1_500, None), TrailStep(2_500, 1_000), TrailStep(4_000, 2_000), TrailStep(6_000, 3_000))
    assert rules.exit == ExitRules(2_000, 2_600, 4_000, trail, 45 * MINUTE, 500, 10 * SECOND, 3_000)
    pauses = (LossPause(2, 30 * MINUTE), LossPause(3, None))
    assert rules.limits == LimitRules(1, 4, 15 * MINUTE, pauses, 400, 800, 400, 5_000)
    guards = rules.guards
    assert (guards.gap_bps, guards.gap_until_s) == (100, 10 * 3600)
    assert (guards.spike_sigma, guards.spike_wait_ns) == (5.0, 3 * MINUTE)
    assert (guards.breakeven_bps, guards.vix_full, guards.vix_none) == (1_000, 25.0, 30.0)
    assert "2024-06-04" in guards.no_trade_days
    assert rules.orders == OrderRules()


def test_the_shipped_mode_is_paper_and_the_broker_exit_five_percent() -> None:
    algo = load_algo(SHIPPED, "config/algo.yml")
    assert algo.mode.value == "paper"
    assert algo.pnl_exit_bps == 500
    assert algo.settings == {}


def test_the_defaults_in_code_are_those_of_the_shipped_file() -> None:
    leaves = read_yaml(SHIPPED).leaves
    for path, found in leaves.items():
        pattern = pattern_of(path)
        if pattern == "indices.*.premium":
            assert found.value == PREMIUM_DEFAULTS[path[1]]
        elif pattern not in {"indices.*.key", "indices.*.sid", "indices.*.role"}:
            assert found.value == DEFAULTS[pattern], path
    written = {pattern_of(path) for path in leaves}
    assert written == {key.path for key in KEYS}, "every key stands in the shipped file"


def test_a_file_with_only_an_index_trades_by_the_same_rules(tmp_path: Path) -> None:
    file = tmp_path / "algo.yml"
    file.write_text("indices: {NIFTY: {}}\n")
    mine, shipped = load_rules(file), load_rules(SHIPPED)
    assert mine.indices == shipped.indices[:1]
    assert (mine.exit, mine.limits, mine.size, mine.signal) == (
        shipped.exit,
        shipped.limits,
        shipped.size,
        shipped.signal,
    )


def test_the_originals_values_load_as_a_labelled_example() -> None:
    path = ROOT / "config" / "original.example.yml"
    rules = load_rules(path)
    assert "EXAMPLE" in path.read_text(encoding="utf-8").splitlines()[0]
    assert [index.name for index in rules.indices] == ["NIFTY", "BANKNIFTY", "SENSEX"]
    assert (rules.exit.stop_bps, rules.exit.target_bps) == (3_000, 6_000)
    assert rules.exit.trail[0] == TrailStep(500, -1_500)
    assert (rules.signal.supertrend_period, rules.size.fixed_lots) == (7, 0)


def test_event_days_are_dates_in_order() -> None:
    days = load_rules(SHIPPED).guards.no_trade_days
    assert list(days) == sorted({date.fromisoformat(day).isoformat() for day in days})


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_every_key_says_what_it_means(key: Key) -> None:
    assert key.path
    assert key.written
    assert key.meaning.endswith(".")
