"""Seconds per simulated day of a backtest: NIFTY alone and all four indices, a day made from a seed and a recorded one.

A backtest of a day is everything: the market is made (the part that costs most: every quote of every watched contract,
and the near strikes of the option chains that are polled), the exchange matches, the engine trades, decisions are kept.
With ``--journal`` the journal is written too. CPU seconds, median of the rounds, the cases taken in turn; the floor in
the same run is making the same market's quotes and nothing else (the contracts within ten strikes of the money, once a
second, as the interest set of the NIFTY case).

A recorded day is built around the file of one-minute bars named by ``--index`` (Parquet or CSV, see `scalper backtest`);
without one that line is left out, visibly.

    python -m benchmarks.backtest_day [--rounds 3] [--index nifty_1m_2026.parquet --day 2026-02-03]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

from algo_scalper.domain.calendar import expiries
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.rules import Rules
from algo_scalper.research.backtest import DayResult, run_recorded, run_synthetic
from algo_scalper.runtime.recordings import Recording, read_recording
from algo_scalper.simulation.market import synthetic_day
from benchmarks.measuring import machine, middle, shipped_rules, table
from benchmarks.prepared_day import DAY, SEED

NEAR = 12
"""Contracts a NIFTY day watches at a time."""

Run = Callable[[Path | None], DayResult]


def market_alone() -> float:
    """CPU seconds of the day's quotes that a NIFTY backtest cannot do without."""
    market = synthetic_day(DAY, SEED)
    expiry = next(day for day in expiries(NIFTY.name, DAY, 3) if day > DAY)
    spot = market.index_paise(NIFTY.name, market.axis.open_ns)
    listed = [c for c in market.contracts if c.underlying == NIFTY.name and c.expiry == expiry]
    near = sorted(listed, key=lambda contract: (abs(contract.strike_paise - spot), contract.key))[:NEAR]
    lines = [market.line(NIFTY.key), *(market.line(contract.key) for contract in near)]
    began = time.process_time()
    for second in range(market.axis.seconds):
        for line in lines:
            line.quote(second)
    return time.process_time() - began


def synthetic(rules: Rules, journal: Path | None) -> DayResult:
    return run_synthetic(DAY, rules, SEED, journal)


def recorded(recording: Recording, day: date, rules: Rules, journal: Path | None) -> DayResult:
    return run_recorded(recording, day, rules, SEED, journal)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--index", type=Path, help="a file of recorded one-minute bars of NIFTY")
    parser.add_argument("--day", type=date.fromisoformat, help="a day of that file; else its last")
    parser.add_argument("--journal", action="store_true", help="write the journal too")
    asked = parser.parse_args()
    one, four = shipped_rules(1), shipped_rules()
    runs: dict[str, Run] = {
        "synthetic, NIFTY": partial(synthetic, one),
        f"synthetic, {len(four.indices)} indices": partial(synthetic, four),
    }
    notes = []
    if asked.index is not None:
        recording = read_recording(asked.index)
        day = asked.day or max(recording.days)
        runs["recorded, NIFTY"] = partial(recorded, recording, day, one)
        runs[f"recorded, {len(four.indices)} indices"] = partial(recorded, recording, day, four)
        notes.append(f"Recorded: {day} of {asked.index.name}.")
    else:
        notes.append("Recorded day: left out, no file was named (--index).")
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    results: dict[str, DayResult] = {}
    floors = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.rounds):
            for name, run in runs.items():
                journal = Path(folder) / f"{name}-{number}.journal" if asked.journal else None
                began = time.process_time()
                results[name] = run(journal)
                seconds[name].append(time.process_time() - began)
            floors.append(market_alone())
    floor = middle(floors)
    rows = [
        (
            name,
            f"{middle(spent):.2f}",
            f"{middle(spent) / floor:.1f}x",
            f"{results[name].events:,}",
            f"{1e6 * middle(spent) / results[name].events:.1f}",
            str(len(results[name].trades)),
        )
        for name, spent in seconds.items()
    ]
    rows.append((f"floor: quotes of {NEAR} contracts", f"{floor:.2f}", "1.0x", "-", "-", "-"))
    table(
        f"Backtest of one day, journal {'on' if asked.journal else 'off'}, median of {asked.rounds}",
        ("", "CPU s", "ratio", "events", "us/event", "trades"),
        rows,
        (*notes, machine()),
    )


if __name__ == "__main__":
    main()
