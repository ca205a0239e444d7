"""An engine's lives: real processes on one simulated account in stepped time, and what must hold between them.

The simulator runs in the test's own loop, so that the test sees the exchange itself; each life of the engine is a
process that ends by its own will or by SIGKILL. On paper the exchange lives in the engine's process, and the test reads
its book: the one thing of it that outlives a kill.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path

import msgspec

from algo_scalper.adapters.journal import read_journal
from algo_scalper.adapters.storage.paper_book import PaperBook
from algo_scalper.adapters.storage.stores import open_stores
from algo_scalper.domain.account import DayLedger
from algo_scalper.domain.commands import ModifyOrder, PlaceOrder
from algo_scalper.domain.orders import Order, Side
from algo_scalper.domain.positions import Position
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from algo_scalper.interfaces.simulator.server import SimulatorConfig, SimulatorServer
from algo_scalper.research.replay import replay
from algo_scalper.runtime.clock import SystemClock, settle
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.opening import opening_event
from algo_scalper.runtime.paper_broker import kept_state
from algo_scalper.runtime.virtual import VirtualRun
from algo_scalper.simulation.account_book import LIVE
from algo_scalper.simulation.exchange import ExchangeState, SimulatedExchange
from algo_scalper.simulation.market import MarketDay, synthetic_day
from algo_scalper.simulation.world import Delivery, World

DAY = date(2026, 2, 3)
ACCOUNT = "LIVES"
KILLED = -9
LEAD_NS = NS_PER_MINUTE
"""A scenario begins so long before the minute that brings the entry: it must be heard whole."""
LEFT_NS = LEAD_NS + 17 * NS_PER_SECOND
"""By then a run without a kill is out again."""
RUN_NS = LEAD_NS + 42 * NS_PER_SECOND
"""A run lasts so long: the round trip, and time for what was lost in it to be settled."""
SETTLED_NS = 25 * NS_PER_SECOND
"""And every life in it at least so long: what died with the one before can be settled, and then be left."""
KNOWN_NS = NS_PER_SECOND
"""A position whose orders are all known rests behind its floor within so long."""
UNKNOWN_NS = 16 * NS_PER_SECOND
"""Where the floor's own placing was lost: two books, the first ten seconds old, must say that it never arrived."""
PATIENCE_S = 60.0
"""Real time after which a life that does not end is a failure."""

RULES = """\
mode: paper
capital: 5000000
indices:
  NIFTY: {key: NIFTY, sid: "13", segment: IDX_I, max_same_side: 1, cooldown_sec: 0, role: trade, premium: 40-300}
signal: {name: supertrend_adx, supertrend: [10, 1.0], adx: {period: 14, m1: 5, m5: 5}}
strike: {max_otm: 0, min_oi: 1, max_spread: "max(5.00, 5%)"}
size: {method: fixed_lots, lots: 12, max_lots: 12, risk_per_trade: 4%, outlay: 100%}
exit:
  stop: 5%
  emergency: 7%
  target: 6%
  trail: ["0.3%:-1.5%", "1.5%:+0.6%"]
  time_stop: 30s if under +10%
  floor: {trigger: 9%}
limits: {open: 1, trades_day: 1, after_loss: 0s}
guards: {vix: off, gap: off, spike: off, events: off, breakeven: "<= 1000% of target", iv_rank: off}
"""
"""Enters on nearly any minute, in several fills, trails soon and is out within half a minute; one trade a day."""
KNOWN_MOMENTS = ((4, 51), (6, 189))
MORE_MOMENTS = tuple((seed, minute) for seed in range(1, 9) for minute in range(21, 330, 6))
"""Seeds of the day and minutes after the open at which to look for such a trade."""


class Scenario(msgspec.Struct, frozen=True):
    """A market and an instant shortly before a trade that enters in parts, trails and leaves in parts."""

    market: MarketDay
    seed: int
    start_ns: int


@lru_cache(maxsize=1)
def find_scenario(rules: Rules) -> Scenario:
    """The first moment at which a run in virtual time goes through all that a life should go through."""
    for seed, minute in KNOWN_MOMENTS + MORE_MOMENTS:
        market = _market(seed)
        scenario = Scenario(market, seed, market.axis.open_ns + minute * NS_PER_MINUTE - LEAD_NS)
        if _tells_all(scenario, rules):
            return scenario
    raise AssertionError("no moment brings a whole trade under RULES: look for others")


@lru_cache(maxsize=2)
def _market(seed: int) -> MarketDay:
    return synthetic_day(DAY, seed)


def _tells_all(scenario: Scenario, rules: Rules) -> bool:
    market, start_ns = scenario.market, scenario.start_ns
    exchange = SimulatedExchange(market.contracts, DAY, rules.capital_paise)
    asked = _Asked()
    run = VirtualRun(World(market, exchange, scenario.seed, start_ns=start_ns), asked)
    run.start(opening_event(start_ns, ACCOUNT, 1, DAY, rules, market.contracts, market.previous_close_paise))
    run.run(start_ns + LEFT_NS)
    fills = exchange.fills()
    bought = sum(fill.side is Side.BUY for fill in fills)
    flat = not any(held.net_quantity for held in exchange.positions())
    # Three changes of the one sell order: grown with the fills, lifted behind the stop, turned into the exit.
    return asked.changes >= 3 and bought >= 2 and len(fills) - bought >= 2 and flat


class _Asked:
    """A journal that only counts the modifications asked for."""

    def __init__(self) -> None:
        self.changes = 0

    def append(self, record: object) -> None:
        self.changes += isinstance(record, ModifyOrder)


class Watch(World):
    """A world that looks at every step whether what the account holds rests behind sell orders."""

    def __init__(self, scenario: Scenario, exchange: SimulatedExchange, paper: Path | None) -> None:
        """``paper`` is the paper exchange's book, where that is the broker."""
        super().__init__(scenario.market, exchange, scenario.seed, start_ns=scenario.start_ns)
        self.paper = paper
        self.worst_ns = 0
        """The longest time anything was held without a resting sell while an engine was attached."""
        self.server: SimulatorServer | None = None
        self._since_ns: dict[int, int] = {}
        self._paper_book: PaperBook | None = None

    def step(self, at_ns: int) -> list[Delivery]:
        """As `World`; the engine waits meanwhile, so its book stands still."""
        deliveries = super().step(at_ns)
        if self.server is not None and self.server.time.is_driven:
            self._look(at_ns)
        return deliveries

    def forget(self) -> None:
        """A new engine is not to blame for what it finds uncovered: that counts from its first step."""
        self._since_ns.clear()

    def books(self) -> ExchangeState:
        """The broker's books as they would be found after a power cut."""
        if self.paper is None:
            return self.exchange.export()
        if self._paper_book is None and self.paper.exists():
            self._paper_book = PaperBook(self.paper, ACCOUNT, DAY)
        kept = kept_state(self._paper_book) if self._paper_book is not None else None
        return kept or SimulatedExchange((), DAY, self.exchange.cash_paise).export()

    def close(self) -> None:
        """Let go of the paper book."""
        if self._paper_book is not None:
            self._paper_book.close()

    def _look(self, at_ns: int) -> None:
        books = self.books()
        resting: Counter[int] = Counter()
        for order in books.orders:
            if order.side is Side.SELL:
                resting[order.key] += order.remaining
        for held in books.holdings:
            if held.net_quantity <= resting[held.key]:
                self._since_ns.pop(held.key, None)
                continue
            since_ns = self._since_ns.setdefault(held.key, at_ns)
            self.worst_ns = max(self.worst_ns, at_ns - since_ns)


class Nursery:
    """The process that engines are born of; see `tests.system.nursery`. One at a time."""

    def __init__(self) -> None:
        """Start it. An engine refuses to trade in a test's own process, so it is not told that this is one."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.nursery"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[2],
            env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            text=True,
            bufsize=1,
        )

    async def raise_engine(self, log: Path, *words: str) -> int:
        """A life of ``scalper`` with these words, to its end; gives its exit code."""
        said, answer = self._process.stdin, self._process.stdout
        assert said is not None
        assert answer is not None
        said.write(json.dumps([str(log), *words]) + "\n")
        child = int(answer.readline())
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(answer, ended.set)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await ended.wait()
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            answer.readline()
            raise AssertionError(f"the engine did not end in {PATIENCE_S:g} s; what it said: {log}") from None
        finally:
            loop.remove_reader(answer)
        return int(answer.readline())

    def close(self) -> None:
        """It ends with its input."""
        self._process.communicate()


class OurBooks(msgspec.Struct, frozen=True):
    """What the trading store has of the day."""

    orders: dict[str, Order]
    fills: dict[str, tuple[int, int]]
    """Quantity and value of the fills of each order."""
    trades: tuple[Position, ...]
    held: tuple[Position, ...]
    ledger: DayLedger


class Stage:
    """One account, its simulator and its folder, over the lives of several engines."""

    def __init__(self, nursery: Nursery, server: SimulatorServer, world: Watch, config: Path, data_dir: Path) -> None:
        self.server, self.world = server, world
        self.rules = load_algo(config).rules
        self._until_ns = world.now_ns + RUN_NS
        self.log = data_dir / "engine.log"
        """What the engines said."""
        self._nursery = nursery
        self._config, self._data_dir = config, data_dir
        self._broker = "simulator" if world.paper is None else "paper"

    async def live(self, *, kill_at: int = 0, downtime_s: int = 0, marks: Path | None = None) -> int:
        """One life in a process of its own, to its end; gives the exit code, `KILLED` after SIGKILL.

        ``marks``: a file for the names of the marks it goes through.
        """
        begin_ns = self.world.now_ns + downtime_s * NS_PER_SECOND
        self._until_ns = max(self._until_ns + downtime_s * NS_PER_SECOND, begin_ns + SETTLED_NS)
        options: dict[str, object] = {
            "--until-ns": self._until_ns,
            "--kill-at": kill_at,
            "--downtime-s": downtime_s,
            **({"--marks": marks} if marks is not None else {}),
        }
        self.world.forget()
        code = await self._nursery.raise_engine(
            self.log,
            "engine",
            *(f"http://127.0.0.1:{self.server.port}", ACCOUNT, self._broker, str(self._config), str(self._data_dir)),
            *("--stepped", *(str(word) for option in options.items() for word in option)),
        )
        while self.server.time.is_driven:
            await settle()  # the simulator lets no other engine in before it has noticed
        return code

    def our_books(self) -> OurBooks:
        """As they were last committed."""
        stores = open_stores(None, self._data_dir)
        try:
            store = stores.trading(ACCOUNT)
            fills: dict[str, tuple[int, int]] = {}
            for fill in store.fills_of_day(DAY):
                quantity, value = fills.get(fill.order_id, (0, 0))
                fills[fill.order_id] = (quantity + fill.quantity, value + fill.value_paise)
            return OurBooks(
                orders={order.id: order for order in store.orders_of_day(DAY)},
                fills=fills,
                trades=store.trades_of_day(DAY),
                held=store.open_positions(),
                ledger=store.ledger_of_day(DAY) or DayLedger(day=DAY),
            )
        finally:
            stores.close()

    # What must hold

    def check(self) -> None:
        """Raise `AssertionError` at the first promise that is broken."""
        theirs, ours = self.world.books(), self.our_books()
        self._nothing_repeated(theirs)
        self._no_fill_lost(theirs, ours)
        self._nothing_unwatched(theirs, ours)
        self._books_equal(theirs, ours)
        self._told_again({order.correlation_id for order in theirs.orders})

    def _nothing_repeated(self, theirs: ExchangeState) -> None:
        ids = [order.correlation_id for order in theirs.orders]
        assert len(set(ids)) == len(ids), f"a correlation id was used twice: {ids}"
        buys = [order for order in theirs.orders if order.side is Side.BUY]
        minutes = [order.created_ns // NS_PER_MINUTE for order in buys]
        assert len(set(minutes)) == len(minutes), f"one decision was bought twice: {buys}"
        assert sum(order.filled_quantity > 0 for order in buys) <= 1, f"one trade a day is allowed: {buys}"
        net: Counter[int] = Counter()
        for fill in theirs.fills:
            net[fill.key] += fill.quantity if fill.side is Side.BUY else -fill.quantity
            assert net[fill.key] >= 0, f"sold more than was bought: {theirs.fills}"

    def _no_fill_lost(self, theirs: ExchangeState, ours: OurBooks) -> None:
        for row in theirs.orders:
            assert row.correlation_id in ours.orders, f"our books do not have {row}"
            order = ours.orders[row.correlation_id]
            filled = (row.filled_quantity, row.filled_value_paise)
            assert (order.filled_quantity, order.filled_value_paise) == filled, f"{order} is at the exchange {row}"
            assert ours.fills.get(order.id, (0, 0)) == filled, f"the fills of {order.id} are {ours.fills}, not {row}"
        assert sum(quantity for quantity, _ in ours.fills.values()) == sum(fill.quantity for fill in theirs.fills)

    def _nothing_unwatched(self, theirs: ExchangeState, ours: OurBooks) -> None:
        arrived = {order.correlation_id for order in theirs.orders}
        lost = [order for order in ours.orders.values() if order.side is Side.SELL and order.id not in arrived]
        most_ns = UNKNOWN_NS if lost else KNOWN_NS
        assert self.world.worst_ns <= most_ns, f"without a floor for {self.world.worst_ns / NS_PER_SECOND:.2f} s"

    def _books_equal(self, theirs: ExchangeState, ours: OurBooks) -> None:
        unknown = [order for order in ours.orders.values() if order.unknown_since_ns]
        assert not unknown, f"still unknown at the end: {unknown}"
        live = {order.correlation_id for order in theirs.orders if order.status in LIVE}
        assert live == {order.id for order in ours.orders.values() if order.is_live} == set()
        assert not any(held.net_quantity for held in theirs.holdings), f"still held: {theirs.holdings}"
        assert not ours.held, f"still open: {ours.held}"
        realised = sum(position.realised_paise for position in ours.trades)
        charges = sum(position.charges_paise for position in ours.trades)
        ledger = ours.ledger
        assert (ledger.trades, ledger.realised_paise, ledger.charges_paise) == (len(ours.trades), realised, charges)
        assert realised == sum(held.sold_value_paise - held.bought_value_paise for held in theirs.holdings)
        # They round charges to the paisa once an order, we once a position.
        off_paise = theirs.cash_paise - theirs.start_of_day_paise - ledger.net_paise
        assert abs(off_paise) <= len(theirs.orders), f"cash is off by {off_paise} paise"

    def _told_again(self, sent: set[str]) -> None:
        """Every life can be replayed, and no order left before it was written down."""
        written: set[str] = set()
        for path in sorted((self._data_dir / "journals").glob("*.journal")):
            if not path.stat().st_size:
                continue  # killed before its first byte: a session that never was
            told = replay(path)
            assert told.same, f"{path.name}: {told.difference}"
            written |= {record.order_id for record in read_journal(path) if isinstance(record, PlaceOrder)}
        assert sent <= written, f"sent, and in no journal: {sent - written}"


@asynccontextmanager
async def stage(nursery: Nursery, folder: Path, broker: str) -> AsyncIterator[Stage]:
    """A fresh account under ``folder`` with ``broker`` (``paper`` or ``simulator``), before its first engine."""
    config, data_dir = folder / "algo.yml", folder / "data"
    config.write_text(RULES, encoding="utf-8")
    data_dir.mkdir()
    rules = load_algo(config).rules
    scenario = find_scenario(rules)
    exchange = SimulatedExchange(scenario.market.contracts, DAY, rules.capital_paise)
    world = Watch(scenario, exchange, data_dir / "paper.sqlite3" if broker == "paper" else None)
    server = SimulatorServer(world, SimulatorConfig(port=0, stepped=True, limited=False), SystemClock())
    world.server = server
    await server.start()
    try:
        yield Stage(nursery, server, world, config, data_dir)
    finally:
        await server.stop()
        world.close()
