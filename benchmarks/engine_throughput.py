"""Ticks per second of the whole engine in backtest mode, beside NautilusTrader on the same ticks.

The mix: NIFTY's index and 40 of its contracts print every second (India VIX every other) for an hour, one position is
open with its floor resting at the exchange. Everything a backtest does is on: the world's heap, the simulated exchange
(it sees every quote of the held contract), session, engine, index candles and their indicators, the second's timers,
an option chain every five seconds, book reads, and the journal (encoded, compressed, written). Two things are left
out because they are not the engine: making the market and decoding packets. Both have their own line.

The ticks are those of a synthetic day, made beforehand; the day up to the hour is run for real, so that the position
is one the engine opened itself. Rules are the shipped ones with a stop and trail so far away that it stays open.

NautilusTrader gets the same ticks as ``QuoteTick`` objects for 41 instruments: a strategy in Python that counts them,
keeps the last of each, grows the one-minute candle of the index, and for the one position it has opened computes
peak, profit, trailing stop and exit on each of its quotes. That is less than what our engine does (no chain, no
journal, no indicators, no floor modified at the exchange, no five-level book). It is installed into a folder of its
own, in a virtual environment that `uv` or `venv` makes with a Python >= 3.12; where that cannot be had, its lines say
so. Set NAUTILUS_PYTHON to use one that is there already, or NAUTILUS_VERSION to choose (default: the newest, release
candidates included).

The floor is a loop over the same ticks that keeps the last of each and computes the trailing stop: Python itself.

Rounds are interleaved and the median is given, in ticks per second of CPU time (all threads of the process), which a
busy machine disturbs less than wall time; on an idle machine both are the same here, where nothing waits.

    python -m benchmarks.engine_throughput [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from algo_scalper.adapters.dhan.packets import FeedDecoder, encode_full, encode_quote
from algo_scalper.adapters.journal import FORMAT, JournalHeader, JournalWriter
from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY
from algo_scalper.domain.market import Tick
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.virtual import CHAIN_EVERY_NS, VirtualRun
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.world import World
from benchmarks.measuring import machine, middle, settle_memory, shipped_rules, table
from benchmarks.prepared_day import (
    CONTRACTS,
    DAY,
    FROM_NS,
    SECONDS,
    SEED,
    PreparedMarket,
    held_position,
    patient,
    run_up_to_the_hour,
)

AIM = 300_000
NAUTILUS_PYTHONS = ("python3.14", "python3.13", "python3.12")
PEER = Path(__file__).with_name("nautilus_peer.py")


class Round(NamedTuple):
    """One measured hour."""

    ticks: int
    cpu_s: float
    journal_bytes: int


def run_hour(market: PreparedMarket, rules: Rules, journal: Path | None) -> Round:
    """The day up to the hour unmeasured, then the hour. Raises AssertionError when it is not the mix it says it is."""
    exchange = SimulatedExchange(market.contracts, DAY, rules.capital_paise)
    world = World(market, exchange, SEED)  # type: ignore[arg-type]
    writer = None
    if journal is not None:
        header = JournalHeader(FORMAT, "benchmark", "", "BENCH", 1, DAY, "SIMULATED", "PAPER", world.now_ns)
        writer = JournalWriter(journal, header)
    run = VirtualRun(world, writer, flush=writer.flush if writer is not None else None)
    run_up_to_the_hour(run, market, rules)
    size_before = journal.stat().st_size if journal is not None else 0
    settle_memory()
    began = time.process_time()
    run.run(FROM_NS + SECONDS * NS_PER_SECOND)
    if writer is not None:
        writer.flush(fsync=False)
    cpu_s = time.process_time() - began
    held_position(run)
    ticks = sum(len(line.printed()) for line in market.lines.values())
    journal_bytes = journal.stat().st_size - size_before if journal is not None else 0
    if writer is not None:
        writer.close()
    return Round(ticks, cpu_s, journal_bytes)


def decode_s(packets: list[bytes], tick_sizes: dict[int, int]) -> float:
    """CPU seconds of the decoder on packets of the same ticks."""
    decode = FeedDecoder(tick_sizes).decode
    began = time.process_time()
    for packet in packets:
        decode(packet, 0)
    return time.process_time() - began


def floor_s(ticks: list[Tick], held: int) -> float:
    """The plain loop: last of each, and for one contract peak, stop and exit."""
    last: dict[int, Tick] = {}
    peak = exits = 0
    began = time.process_time()
    for tick in ticks:
        last[tick.key] = tick
        if tick.key == held:
            bid = tick.bid_paise
            if bid > peak:
                peak = bid
            if bid <= peak // 10:
                exits += 1
    return time.process_time() - began


# --- the peer --------------------------------------------------------------------------------------------------------


def nautilus_python(folder: Path) -> tuple[Path | None, str]:
    """A Python with NautilusTrader in it, made if need be, or None and why not."""
    given = os.environ.get("NAUTILUS_PYTHON")
    if given:
        return Path(given), ""
    wanted = os.environ.get("NAUTILUS_VERSION", "")
    package = f"nautilus_trader=={wanted}" if wanted else "nautilus_trader"
    home = folder / "peer"
    uv = shutil.which("uv")
    try:
        if uv:
            subprocess.run([uv, "venv", "--quiet", "--python", ">=3.12", str(home)], check=True, capture_output=True)
            install = [uv, "pip", "install", "--quiet", "--python", str(home / "bin" / "python")]
            subprocess.run([*install, "--prerelease", "allow", package], check=True, capture_output=True)
        else:
            python = next((found for name in NAUTILUS_PYTHONS if (found := _working(name))), None)
            if python is None:
                return None, "no Python >= 3.12 and no uv here"
            subprocess.run([python, "-m", "venv", str(home)], check=True, capture_output=True)
            pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--pre"]
            subprocess.run([*pip, package], check=True, capture_output=True)
    except subprocess.CalledProcessError as failed:
        last = failed.stderr.decode(errors="replace").strip().splitlines()[-1:]
        return None, f"could not be installed: {''.join(last)[:160]}"
    return home / "bin" / "python", ""


def _working(name: str) -> str | None:
    """Does this interpreter exist and start? A version manager's shim may do the first and not the second."""
    found = shutil.which(name)
    if found is None:
        return None
    return found if subprocess.run([found, "-c", ""], check=False, capture_output=True).returncode == 0 else None


class PeerRound(msgspec.Struct):
    """What the peer's script prints."""

    version: str
    quotes: int
    cpu_s: float
    wall_s: float


def peer_round(python: Path, ticks_file: Path, strategy: bool) -> PeerRound | str:
    """One run in a process of its own; the words of its failure when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), str(PEER), str(ticks_file), "strategy" if strategy else "empty"],
        capture_output=True, check=False, env=environment,
    )  # fmt: skip
    if done.returncode:
        return (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1][:160]
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=PeerRound)


def write_ticks(path: Path, ticks: list[Tick], held: int) -> None:
    """The same ticks for the other process: [held, index, [[at_ns, key, ltp, bid, ask, bid size, ask size] ...]]."""
    rows = [
        (t.at_ns, t.key, t.ltp_paise, t.bid_paise, t.ask_paise, t.bid_total, t.ask_total)
        for t in ticks
        if t.key != INDIA_VIX_KEY
    ]
    path.write_bytes(msgspec.json.encode([held, NIFTY.key, rows]))


# --- all of it -------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peer", action="store_true", help="leave NautilusTrader out")
    asked = parser.parse_args()
    market = PreparedMarket()
    rules = patient(shipped_rules(1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_hour(market, rules, None)  # makes the chains
        quotes = market.printed()
        ticks = [quote.tick for quote in quotes]
        packets = [encode_full(quote) if quote.asks else encode_quote(quote.tick) for quote in quotes]
        held = market.keys[2]
        python, why_not = (None, "left out") if asked.no_peer else nautilus_python(folder)
        ticks_file = folder / "ticks.json"
        write_ticks(ticks_file, ticks, held)
        settle_memory()
        whole: list[Round] = []
        bare: list[Round] = []
        floors: list[float] = []
        decodes: list[float] = []
        peers: dict[bool, list[PeerRound]] = {True: [], False: []}
        for number in range(asked.rounds):
            whole.append(run_hour(market, rules, folder / f"{number}.journal"))
            bare.append(run_hour(market, rules, None))
            floors.append(floor_s(ticks, held))
            decodes.append(decode_s(packets, market.tick_sizes))
            for strategy in (True, False):
                if python is not None:
                    answer = peer_round(python, ticks_file, strategy)
                    if isinstance(answer, str):
                        python, why_not = None, f"failed: {answer}"
                    else:
                        peers[strategy].append(answer)
    count = whole[0].ticks
    own = middle([count / each.cpu_s for each in whole])

    def row(what: str, number: int, seconds: list[float]) -> tuple[str, str, str, str]:
        rate = middle([number / each for each in seconds])
        return what, f"{rate:,.0f}", f"{1e6 / rate:.2f}", f"{rate / own:.2f}"

    rows = [
        row("algo-scalper, whole engine, journal on", count, [each.cpu_s for each in whole]),
        row("algo-scalper, without journal", count, [each.cpu_s for each in bare]),
    ]
    for strategy, what in ((True, "Python strategy per quote"), (False, "no strategy")):
        if peers[strategy]:
            done = peers[strategy]
            rows.append(row(f"NautilusTrader {done[0].version}, {what}", done[0].quotes, [e.cpu_s for e in done]))
    if not all(peers.values()):
        rows.append((f"NautilusTrader: {why_not}", "-", "-", "-"))
    rows += [
        row("plain Python loop (the floor)", len(ticks), floors),
        row("apart: decoding the packets", len(packets), decodes),
        row("apart: making the market (quotes)", len(market.lines) * SECONDS, [market.generation_s]),
    ]
    size = whole[0].journal_bytes / count
    table(
        f"Engine throughput, {count:,} ticks in an hour of 1 index + {CONTRACTS} contracts, one position open; "
        f"median of {asked.rounds}",
        ("", "ticks/s", "us/tick", "ratio"),
        rows,
        (
            f"Aim: >= {AIM:,} ticks/s with everything on: {'met' if own >= AIM else 'not met'}.",
            f"Journal: {size:.1f} bytes a tick; chains, polled every {CHAIN_EVERY_NS // NS_PER_SECOND} s, are part of it.",
            machine(),
        ),
    )


if __name__ == "__main__":
    main()
