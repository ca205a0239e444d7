"""A day, or many, traded by the engine in virtual time against the simulated exchange."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import msgspec

from algo_scalper import __version__
from algo_scalper.adapters.journal import FORMAT, JournalHeader, JournalWriter
from algo_scalper.domain.commands import Command, Notify
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.rules import Rules
from algo_scalper.engine.views import DecisionView, TradeView, decision_view, trade_view
from algo_scalper.runtime.opening import opening_event
from algo_scalper.runtime.recordings import Recording
from algo_scalper.runtime.source_hash import source_hash
from algo_scalper.runtime.virtual import VirtualRun
from algo_scalper.simulation.exchange import Fill, SimulatedExchange
from algo_scalper.simulation.market import MarketDay, recorded_day, synthetic_day
from algo_scalper.simulation.world import World

ACCOUNT = "BACKTEST"


class DayResult(msgspec.Struct, frozen=True):
    """What one day brought. ``left`` says what is still held at the end and who will close it; empty when flat."""

    day: date
    market: str
    trades: tuple[TradeView, ...]
    fills: tuple[Fill, ...]
    gross_paise: int
    charges_paise: int
    decisions: tuple[DecisionView, ...]
    reasons: dict[str, int]
    """How often each refusal or silence was the answer, by ``kind:reason``."""
    notices: tuple[str, ...]
    left: tuple[str, ...]
    events: int

    @property
    def net_paise(self) -> int:
        """After all charges."""
        return self.gross_paise - self.charges_paise


def run_market(market: MarketDay, rules: Rules, seed: int, journal: Path | None = None) -> DayResult:
    """Trade one market day. ``journal`` names a file to write, which `scalper replay` checks."""
    exchange = SimulatedExchange(market.contracts, market.day, rules.capital_paise)
    world = World(market, exchange, seed)
    kept: list[Command] = []
    writer = _writer(journal, market, world.now_ns) if journal is not None else None
    run = VirtualRun(world, writer, kept.append, flush=writer.flush if writer is not None else None)
    run.start(opening_event(world.now_ns, ACCOUNT, 1, market.day, rules, market.contracts, market.previous_close_paise))
    run.run()
    if writer is not None:
        writer.close()
    return _result(run, market, exchange, kept)


def run_recorded(recording: Recording, day: date, rules: Rules, seed: int, journal: Path | None = None) -> DayResult:
    """Trade a recorded day."""
    market = recorded_day(recording.index_name, recording.day(day), recording.before(day), day, seed)
    return run_market(market, rules, seed, journal)


def run_synthetic(day: date, rules: Rules, seed: int, journal: Path | None = None) -> DayResult:
    """Trade a day made from a seed."""
    return run_market(synthetic_day(day, seed), rules, seed, journal)


def _writer(path: Path, market: MarketDay, at_ns: int) -> JournalWriter:
    header = JournalHeader(FORMAT, __version__, source_hash(), ACCOUNT, 1, market.day, "SIMULATED", "PAPER", at_ns)
    return JournalWriter(path, header)


def _result(run: VirtualRun, market: MarketDay, exchange: SimulatedExchange, kept: list[Command]) -> DayResult:
    state = run.session.engine.state
    decisions = [command for command in kept if isinstance(command, Decision)]
    reasons: dict[str, int] = {}
    for decision in decisions:
        if decision.kind in {DecisionKind.REFUSAL, DecisionKind.NO_SIGNAL}:
            name = f"{decision.kind.value}:{decision.reason}"
            reasons[name] = reasons.get(name, 0) + 1
    shown = {DecisionKind.ENTRY, DecisionKind.EXIT, DecisionKind.STOP_MOVED, DecisionKind.HALT}
    closed = [p for p in state.positions.values() if p.sold_quantity and not p.held]
    left = [
        f"{p.contract.name}: {p.held} still held, {p.state.value.lower()}; INTRADAY is squared off by the broker"
        for p in state.open_positions()
        if p.held
    ]
    return DayResult(
        day=market.day,
        market=market.regime,
        trades=tuple(trade_view(state, position) for position in closed),
        fills=exchange.fills(),
        gross_paise=state.ledger.realised_paise,
        charges_paise=state.ledger.charges_paise,
        decisions=tuple(decision_view(decision) for decision in decisions if decision.kind in shown),
        reasons=reasons,
        notices=tuple(
            f"{command.level}: {command.text}"
            for command in kept
            if isinstance(command, Notify) and command.level != "info"
        ),
        left=tuple(left),
        events=run.events,
    )
