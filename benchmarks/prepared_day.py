"""A synthetic day with one hour of it made beforehand, and the session that trades it up to that hour.

Shared by the benchmarks that need an engine with one open position and its floor: the position is one the engine has
opened itself, under the shipped rules with a stop, target and trail so far away that nothing closes it.
"""

from __future__ import annotations

import time
from datetime import date

import msgspec

from algo_scalper.domain.calendar import expiries
from algo_scalper.domain.commands import Subscribe
from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY, Contract
from algo_scalper.domain.market import Candle, OptionChain, Quote
from algo_scalper.domain.orders import OrderKind, Side
from algo_scalper.domain.positions import Position
from algo_scalper.domain.rules import Rules, TrailStep
from algo_scalper.domain.units import NS_PER_SECOND, clock_text, ist_ns
from algo_scalper.runtime.opening import opening_event
from algo_scalper.runtime.virtual import VirtualRun
from algo_scalper.simulation.exchange import SimulatedExchange
from algo_scalper.simulation.market import Line, MarketDay, synthetic_day

DAY = date(2026, 11, 20)
SEED = 1
CONTRACTS = 40
FROM_NS = ist_ns(DAY, 10 * 3600)
"""The prepared hour begins."""
SECONDS = 3600
FAR_BPS = 9_000


class PreparedLine:
    """A line whose quotes of the prepared hour are kept; outside it, the market's own."""

    __slots__ = ("_first", "_line", "_made", "_prints", "key", "phase_ns", "start_ns")

    def __init__(self, line: Line, first: int) -> None:
        self._line, self._first = line, first
        self.key, self.phase_ns, self.start_ns = line.key, line.phase_ns, line.start_ns
        seconds = range(first, first + SECONDS)
        self._prints = [line.prints(second) for second in seconds]
        self._made = [line.quote(second) for second in seconds]

    def quote(self, second: int) -> Quote:
        at = second - self._first
        return self._made[at] if 0 <= at < SECONDS else self._line.quote(second)

    def prints(self, second: int) -> bool:
        at = second - self._first
        return self._prints[at] if 0 <= at < SECONDS else self._line.prints(second)

    def printed(self) -> list[Quote]:
        """The quotes of the hour that are packets."""
        return [quote for quote, prints in zip(self._made, self._prints, strict=True) if prints]


class _Silent:
    """A line that prints nothing by itself: it is not part of the mix."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.key, self.phase_ns, self.start_ns = line.key, line.phase_ns, line.start_ns

    def quote(self, second: int) -> Quote:
        return self._line.quote(second)

    def prints(self, second: int) -> bool:
        del second
        return False


class PreparedMarket:
    """Stands in for a `MarketDay`: what is asked of the prepared hour is read instead of made."""

    def __init__(self) -> None:
        self._market = synthetic_day(DAY, SEED)
        self.axis, self.contracts = self._market.axis, self._market.contracts
        self.keys = _mix(self._market)
        first = (FROM_NS - self.axis.open_ns) // NS_PER_SECOND + 1
        began = time.process_time()
        self.lines = {key: PreparedLine(self._market.line(key), first) for key in self.keys}
        self.generation_s = time.process_time() - began
        self._chains: dict[int, OptionChain] = {}

    def line(self, key: int) -> Line:
        return self.lines.get(key) or _Silent(self._market.line(key))

    def knows(self, key: int) -> bool:
        return self._market.knows(key)

    def quote(self, key: int, at_ns: int) -> Quote:
        line = self.line(key)
        return line.quote((at_ns - line.start_ns) // NS_PER_SECOND)

    def chain(self, underlying: str, expiry: date, at_ns: int, reach: int | None = None) -> OptionChain:
        """Made when first asked for, then kept: every round asks at the same instants."""
        made = self._chains.get(at_ns)
        if made is None:
            made = self._chains[at_ns] = self._market.chain(underlying, expiry, at_ns, reach)
        return made

    def history(self, index_key: int, until_ns: int) -> tuple[Candle, ...]:
        return self._market.history(index_key, until_ns)

    @property
    def previous_close_paise(self) -> dict[int, int]:
        return self._market.previous_close_paise

    @property
    def tick_sizes(self) -> dict[int, int]:
        """Ticks in paise by key, as the feed's decoder wants them."""
        return {contract.key: contract.tick_paise for contract in self.contracts} | {
            NIFTY.key: NIFTY.tick_paise,
            INDIA_VIX_KEY: 1,
        }

    def printed(self) -> list[Quote]:
        """All packets of the hour, by time."""
        quotes = [quote for line in self.lines.values() for quote in line.printed()]
        return sorted(quotes, key=lambda quote: (quote.tick.at_ns, quote.tick.key))


def _mix(market: MarketDay) -> list[int]:
    """The index, the VIX, and the contracts of the traded expiry that lie nearest to the money."""
    expiry = next(day for day in expiries(NIFTY.name, DAY, 3) if day > DAY)
    spot = market.index_paise(NIFTY.name, FROM_NS)

    def away(contract: Contract) -> tuple[int, int]:
        return abs(contract.strike_paise - spot), contract.key

    listed = (c for c in market.contracts if c.underlying == NIFTY.name and c.expiry == expiry)
    return [NIFTY.key, INDIA_VIX_KEY, *(contract.key for contract in sorted(listed, key=away)[:CONTRACTS])]


def patient(rules: Rules) -> Rules:
    """The same rules with a stop, target and trail nothing reaches, and limits that let such a position be opened."""
    far = tuple(TrailStep(step.from_bps * 50, step.stop_bps) for step in rules.exit.trail)
    exits = msgspec.structs.replace(
        rules.exit,
        stop_bps=FAR_BPS,
        emergency_bps=FAR_BPS + 100,
        floor_bps=FAR_BPS + 200,
        target_bps=200_000,
        trail=far,
        time_stop_ns=0,
    )
    return msgspec.structs.replace(
        rules,
        exit=exits,
        size=msgspec.structs.replace(rules.size, risk_bps=10_000),
        limits=msgspec.structs.replace(rules.limits, day_loss_bps=9_000, giveback_from_bps=100_000),
        guards=msgspec.structs.replace(rules.guards, breakeven_bps=10_000),
    )


def run_up_to_the_hour(run: VirtualRun, market: PreparedMarket, rules: Rules) -> Position:
    """Start and trade until the hour, everything of the mix watched; gives the position that is open then."""
    opening = opening_event(run.world.now_ns, "BENCH", 1, DAY, rules, market.contracts, market.previous_close_paise)
    run.start(opening)
    run.subscribe(Subscribe(tuple(market.keys)))
    run.run(FROM_NS)
    return held_position(run)


def held_position(run: VirtualRun) -> Position:
    """The one position, with its floor working at the exchange; anything else is not the mix this measures."""
    positions, exchange = run.session.engine.state.open_positions(), run.world.exchange
    assert isinstance(exchange, SimulatedExchange)
    assert len(positions) == 1, f"{len(positions)} positions at {clock_text(run.world.now_ns)}, one was to be open"
    assert positions[0].held, "the position is not held"
    floors = [o for o in exchange.working() if o.side is Side.SELL and o.kind is OrderKind.STOP_LIMIT]
    assert len(floors) == 1, f"{len(floors)} floors at the exchange"
    return positions[0]
