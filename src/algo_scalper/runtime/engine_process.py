"""The engine process: feed, session and order lane, from an empty start to a clean end.

Order of a start: the account's lock, the stores, the clock, the instrument master and warm-up candles, the sockets, then
the first event. Everything after that is an event.
"""

from __future__ import annotations

import asyncio
import random
import signal
import traceback
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import date, timedelta
from pathlib import Path

import msgspec

from algo_scalper import __version__
from algo_scalper.adapters.dhan.auth import DhanAuth
from algo_scalper.adapters.dhan.catalogue import read_catalogue
from algo_scalper.adapters.dhan.chain import DhanChains
from algo_scalper.adapters.dhan.failures import TokenRefused
from algo_scalper.adapters.dhan.feed import DhanFeed
from algo_scalper.adapters.dhan.history import DhanHistory
from algo_scalper.adapters.dhan.limits import DHAN_WINDOWS, Limiter, Throttled, own_windows
from algo_scalper.adapters.dhan.line import Gap
from algo_scalper.adapters.dhan.order_stream import DhanOrderStream
from algo_scalper.adapters.dhan.orders import DhanBroker
from algo_scalper.adapters.dhan.packets import Buffer, FeedDecoder, decode_quote, packet_key, split_packets
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.subscriptions import Mode
from algo_scalper.adapters.journal import FORMAT, JournalHeader, JournalWriter
from algo_scalper.adapters.marks import Mark, no_mark
from algo_scalper.adapters.storage.lock import InstanceLock
from algo_scalper.adapters.storage.paper_book import PaperBook
from algo_scalper.adapters.storage.stores import Stores, open_stores
from algo_scalper.adapters.storage.trading import TradingStore
from algo_scalper.domain.calendar import previous_trading_day
from algo_scalper.domain.commands import (
    CancelOrder,
    ModifyOrder,
    Notify,
    PlaceOrder,
    PollChain,
    ReadBook,
    ReadCandles,
    Subscribe,
    Unsubscribe,
)
from algo_scalper.domain.decisions import Decision, DecisionKind
from algo_scalper.domain.errors import AlgoScalperError, BrokerError, ConfigError, DataError, SecondInstance, StoreError
from algo_scalper.domain.events import (
    BookUnread,
    ContractsChecked,
    Event,
    FeedLost,
    FeedRestored,
    HistoryLoaded,
    OperatorAsked,
    OrderReported,
    SecondPassed,
    SessionStopping,
    SoftState,
)
from algo_scalper.domain.instruments import INDEX_BY_KEY, INDIA_VIX_KEY, INDICES, Contract
from algo_scalper.domain.market import Candle, Quote, near_chain
from algo_scalper.domain.orders import BrokerOrder, Purpose
from algo_scalper.domain.ports import Broker, Changes, Clock
from algo_scalper.domain.positions import PositionState
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND, clock_text, ist_ns
from algo_scalper.engine.views import decision_view, figures, sentence, trade_view, view
from algo_scalper.runtime.change_desk import ChangeDesk, Written, begin_day
from algo_scalper.runtime.clock import LIMITED_UP_TO, PacedClock, Rank, SteppedClock, SystemClock, Timers
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.gate import refuse_real_host
from algo_scalper.runtime.lifeboat import cancel_buys
from algo_scalper.runtime.listed import listed_contracts
from algo_scalper.runtime.opening import account_tag, opening_event
from algo_scalper.runtime.order_lane import OrderLane
from algo_scalper.runtime.paper_broker import PaperBroker, carry_over, kept_state
from algo_scalper.runtime.publish import Answer, Ask, IndexCandle, Notice, Publisher, StoreView, Word
from algo_scalper.runtime.real_market import DhanMarket, session_today
from algo_scalper.runtime.rule_changes import Rulebook
from algo_scalper.runtime.session import Session
from algo_scalper.runtime.sim_link import Hello, SimLink, StepGate
from algo_scalper.runtime.source_hash import source_hash
from algo_scalper.runtime.token_care import TokenKeeper
from algo_scalper.runtime.virtual import CHAIN_EVERY_NS
from algo_scalper.runtime.watching import Watching
from algo_scalper.runtime.watchlist import Watched, choose
from algo_scalper.simulation.exchange import ExchangeState, SimulatedExchange
from algo_scalper.simulation.latency import Latency

EXIT_OK = 0
EXIT_FAULT = 70
SOFT_EVERY_NS = 5 * NS_PER_SECOND
FLUSH_EVERY_NS = NS_PER_SECOND
TIME_EVERY_NS = 500 * NS_PER_MS
VIEW_EVERY_NS = 100 * NS_PER_MS
END_WITHIN_NS = 3 * NS_PER_SECOND
CONNECT_WITHIN_NS = 10 * NS_PER_SECOND
LOCK_WITHIN_NS = 2 * NS_PER_SECOND
"""Another engine holds the account's lock for longer than this."""
LOCK_EVERY_NS = 100 * NS_PER_MS
VIX_TICK_PAISE = 1
END_AFTER_NS = 60 * NS_PER_SECOND
"""So long after the close there is nothing left to do."""
CLOCK_MOVED_NS = 5 * NS_PER_SECOND
"""The wall clock was set, or the machine slept: by more than this, what the engine does by the clock is wrong."""
TOKEN_AGAIN_NS = 15 * NS_PER_SECOND
"""A start whose token is refused tries the same one again after so long: the refusal may have been the broker's fault."""
LISTED_DAYS = 75
"""Contracts that expire within so many days are taken from the master."""


class EngineSettings(msgspec.Struct, frozen=True):
    """What a start needs beside the rules. ``broker`` is ``paper`` or ``simulator``.

    ``market``: an account at Dhan, whose real market is traded by the system's clock; None for the simulator at
    ``sim_url``. ``until_ns``: a stepped run ends there instead of at the end of the day; 0 leaves it to the day.
    """

    data_dir: Path
    account: str
    sim_url: str
    broker: str = "paper"
    stepped: bool = False
    downtime_ns: int = 0
    until_ns: int = 0
    socket_path: Path | None = None
    database_url: str | None = None
    market: DhanMarket | None = None

    @property
    def journal_dir(self) -> Path:
        """Where journals lie."""
        return self.data_dir / "journals"


class EngineProcess:
    """One start. Implements `Effects`."""

    def __init__(
        self,
        settings: EngineSettings,
        rules: Rules,
        say: Callable[[str], None],
        mark: Mark = no_mark,
        written: Written | None = None,
    ) -> None:
        """``say`` prints a line for people; ``mark`` is called around every write and send.

        ``written``: where the rules stand, so that a person may change them while they are traded by; without it what
        is given as ``rules`` stands.
        """
        self.settings = settings
        self._rules = rules
        self._written = written
        self._change_desk: ChangeDesk | None = None
        self._say = say
        self._mark = mark
        self._system = SystemClock(settings.market.from_ns) if settings.market is not None else SystemClock()
        self._timers = Timers()
        self._gate = StepGate()
        self._contracts: dict[int, Contract] = {}
        self._tick_sizes: dict[int, int] = {index.key: index.tick_paise for index in INDICES.values()}
        self._tick_sizes[INDIA_VIX_KEY] = VIX_TICK_PAISE
        self._packets: dict[int, bytes] = {}
        self._decoder = FeedDecoder(self._tick_sizes)
        self._polls: dict[str, PollChain] = {}
        self._polling: set[str] = set()
        self._unread: set[str] = set()
        """Underlyings whose chain could not be read when it was last asked for."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._published: dict[str, int] = {}
        self._ended = asyncio.Event()
        self._stop_why = ""
        self._paper: PaperBroker | None = None
        self._keeper: TokenKeeper | None = None
        self._waiting: dict[str, str] = {}
        self._publisher: Publisher | None = None
        self._committed_ns = 0
        self._exit_code = EXIT_OK
        self._store_view = ""
        self._kept_halt = ""
        self._early: list[Word] = []
        """What a person said before the engine had taken its first event."""

    async def run(self) -> int:
        """Until the day ends, a person stops it or a fault does; gives the process's exit code."""
        settings = self.settings
        async with AsyncExitStack() as stack:
            stack.enter_context(await self._lock_account())
            stores = open_stores(settings.database_url, settings.data_dir, mark=self._mark)
            stack.callback(stores.close)
            link, hello = await self._find_market(stack)
            self._clock = self._clock_of(hello)
            market = settings.market
            dhan = market.account.dhan if market is not None else DhanSettings.simulator(settings.sim_url)
            rest = DhanRest(dhan, self._system, self._gate, self._limiter_of(hello), self._on_token_refused)
            stack.push_async_callback(rest.close)
            await self._begin(stores, hello, rest, dhan)
            await self._live(link, hello)
            await self._end(stores)
        return self._exit_code

    async def _lock_account(self) -> InstanceLock:
        """The account's lock; who changes a setting while no engine runs holds it for a moment."""
        settings = self.settings
        until_ns = self._system.now_ns() + LOCK_WITHIN_NS
        while True:
            try:
                return InstanceLock(settings.data_dir, settings.account, settings.database_url)
            except SecondInstance:
                if self._system.now_ns() >= until_ns:
                    raise
                await self._system.sleep_until(self._system.now_ns() + LOCK_EVERY_NS)

    @property
    def begun(self) -> bool:
        """Has the engine taken its first event? Before that nothing was decided and nothing can be lost."""
        return hasattr(self, "session") and self.session.engine.is_born

    def stop(self, why: str) -> None:
        """End soon and cleanly."""
        self._stop_why = self._stop_why or why
        self._ended.set()

    async def _find_market(self, stack: AsyncExitStack) -> tuple[SimLink | None, Hello]:
        """The simulator and its clock, or the day's session at Dhan."""
        settings = self.settings
        if settings.market is not None:
            return None, session_today(self._system.now_ns())
        link = SimLink(settings.sim_url)
        hello = await link.attach(stepped=settings.stepped, downtime_ns=settings.downtime_ns)
        stack.push_async_callback(link.close)
        return link, hello

    def _limiter_of(self, hello: Hello) -> Limiter | None:
        """The account's budget, in the market's own time; a simulator faster than people can follow keeps none."""
        if hello.rate > LIMITED_UP_TO:
            return None
        orders = self._rules.orders
        windows = DHAN_WINDOWS + own_windows(orders.per_second, orders.per_minute, orders.per_day)
        jitter = random.Random(hello.now_ns)  # noqa: S311
        return Limiter(self._clock, jitter, windows, self._on_throttled)

    def _on_token_refused(self) -> None:
        if self._keeper is not None:
            self._keeper.refused()

    def _keep_token(self, market: DhanMarket, rest: DhanRest) -> None:
        """Renew, make or ask for the token in time, and take up one that was put into the store."""
        account = market.account
        self._keeper = TokenKeeper(
            DhanAuth(rest, account.dhan, self._system),
            account.dhan,
            account.store,
            self._system,
            account.means,
            account.chosen,
            on_new=lambda _: self._spawn(self._log_in_again()),
            say=lambda level, text: self._alarm("token", text, level=level),
        )
        self._spawn(self._keeper.run())

    async def _log_in_again(self) -> None:
        """Both sockets with the new token: each makes its new connection before it gives up the old one."""
        sockets: list[DhanFeed | DhanOrderStream] = [] if self._off("market") else [self._feed]
        if self._paper is None and not self._off("orders"):
            sockets.append(self._orders)
        for socket in sockets:
            try:
                await socket.renew()
            except BrokerError as fault:
                self._alarm("token", f"the new token is refused and the old connection kept: {fault}")

    def _on_throttled(self, told: Throttled) -> None:
        until = clock_text(told.paused_until_ns)
        self._alarm(
            "broker_throttles", f"Dhan answers too often to {told.family}: paused until {until}", level="warning"
        )

    def _clock_of(self, hello: Hello) -> Clock:
        if self.settings.market is not None:
            return self._system
        if self.settings.stepped:
            return SteppedClock(hello.now_ns)
        return PacedClock(hello.now_ns, hello.rate, self._system)

    async def _begin(self, stores: Stores, hello: Hello, rest: DhanRest, dhan: DhanSettings) -> None:
        settings = self.settings
        self._day = date.fromisoformat(hello.day)
        self._stores = stores
        rules = self._rules = self._rules_of_the_day()
        names = [index.name for index in rules.indices]
        contracts = await self._listed(stores, rest, dhan, names)
        for contract in contracts:
            self._contracts[contract.key] = contract
            self._tick_sizes[contract.key] = contract.tick_paise
        self._store: TradingStore = stores.trading(settings.account)
        restored = self._store.restore(self._day.isoformat())
        self._kept_halt = restored.standing_halt
        epoch = self._store.next_epoch(started_ns=self._clock.now_ns(), code_version=__version__)
        self._journal = JournalWriter(
            settings.journal_dir / f"{self._day.isoformat()}-{settings.account}-{epoch:04d}.journal",
            JournalHeader(
                FORMAT,
                __version__,
                source_hash(),
                settings.account,
                epoch,
                self._day,
                hello.market,
                "PAPER",
                self._clock.now_ns(),
            ),
            mark=self._mark,
        )
        self._broker = self._broker_of(rest)
        self.session = Session(self._journal, self, self._on_fault)
        self._lane = OrderLane(
            self._store,
            self._broker,
            self._clock,
            self._system,
            self._flush_for_orders,
            self._take_changes,
            self._take,
            self._alarm,
            inline=settings.stepped,
            mark=self._mark,
        )
        self._chains = DhanChains(rest, self._clock, self._contracts)
        self._connect(dhan)
        self._watching = Watching(self._feed.subscribe, self._feed.unsubscribe, self._tick_sizes)
        if settings.socket_path is not None:
            self._publisher = Publisher(self._system, self._on_word, self._on_ask)
            await self._publisher.start(settings.socket_path)
        self._minutes = DhanHistory(rest)
        if settings.market is not None:
            self._keep_token(settings.market, rest)
        history = await self._history_by_a_living_token(dhan, hello.close_ns)
        previous = {key: _last_close(candles, self._day) for key, candles in history.items()}
        await self._wait_for_feeds()
        self._gate.active = settings.stepped
        self._start_timers()
        monday = self._day - timedelta(days=self._day.weekday())
        week = self._store.net_of_days(monday, self._day - timedelta(days=1))
        self._take(
            opening_event(
                self._clock.now_ns(),
                settings.account,
                epoch,
                self._day,
                rules,
                contracts,
                previous,
                market=hello.market,
                restored=restored,
                week_before_paise=sum(week.values()),
            )
        )
        for word in self._early:
            self._on_word(word)
        await self._check_contracts()
        for feed in ("market", "orders"):
            if switched := self._off(feed):
                self._take(FeedLost(self._clock.now_ns(), feed, f"switched off: {switched}; entries refuse"))
        for key, candles in history.items():
            self._take(HistoryLoaded(self._clock.now_ns(), key, candles))
            self._publish_history(key, candles)
        self._publish_earlier()
        try:
            self.watch()
        except (ConfigError, BrokerError) as fault:  # what is only looked at must not keep anything from being traded
            self._alarm("watchlist_unread", f"nothing beside the traded is watched: {fault}", level="warning")

    def _rules_of_the_day(self) -> Rules:
        """What is written, with what a person has laid over it; but no looser than this day was traded by before."""
        changes, wanted, laid_over = self._stores.changes(self.settings.account), self._rules, {}
        written = self._written
        if written is not None:
            laid_over = {key: kept.value for key, kept in changes.overrides().items()}
            book = Rulebook.read(written.config, laid_over)
            wanted = book.algo().rules
            self._change_desk = ChangeDesk(changes, book, written.settings_with, self, self._day, self._clock)
        morning = begin_day(changes, wanted, laid_over, self._day, self._clock.now_ns())
        for sentence_of_start in morning.said:
            self._say(sentence_of_start)
        return morning.rules

    async def _listed(
        self, stores: Stores, rest: DhanRest, dhan: DhanSettings, names: list[str]
    ) -> tuple[Contract, ...]:
        """What is listed now: on the real market the catalog's, else the file's, read here."""
        until = self._day + timedelta(days=LISTED_DAYS)

        async def read_file() -> tuple[Contract, ...]:
            return (await read_catalogue(rest, dhan.csv_url, names, self._day, until)).contracts

        if self.settings.market is None:
            return await read_file()
        listed = await listed_contracts(
            stores.catalog, names, self._day, until, read_file, self._clock, self.settings.market.import_patience_ns
        )
        if listed.warning:
            self.notify(Notify(self._clock.now_ns(), "warning", "catalog_old", listed.warning))
        return listed.contracts

    async def _check_contracts(self) -> None:
        """Tell the engine which indices wait for a person to accept changed terms, when that has changed."""
        if self.settings.market is None:
            return
        asked = asyncio.get_running_loop().run_in_executor(None, self._stores.catalog.blocked_underlyings)
        try:
            blocked = await asked
        except StoreError as fault:
            self._alarm("catalog_unread", str(fault), level="warning")
            return
        waiting = {name: "; ".join(str(kept.change) for kept in changes) for name, changes in blocked.items()}
        if waiting != self._waiting:
            self._waiting = waiting
            self._take(ContractsChecked(self._clock.now_ns(), waiting))

    def _broker_of(self, rest: DhanRest) -> Broker:
        if self.settings.broker == "simulator":
            refuse_real_host(rest.base_url)
            return DhanBroker(rest, self._clock, self._contracts)
        book = PaperBook(self.settings.data_dir / "paper.sqlite3", self.settings.account, self._day, mark=self._mark)
        kept = kept_state(book) or self._carried_over(book)
        exchange = SimulatedExchange(self._contracts.values(), self._day, self._rules.capital_paise, state=kept)
        self._paper = PaperBroker(exchange, book, self._clock, self._timers, Latency(), self._standing, self._on_report)
        return self._paper

    def _carried_over(self, book: PaperBook) -> ExchangeState | None:
        """The paper account as its last day left it; None for a new one."""
        day = book.earlier_day()
        if day is None:
            return None
        earlier = PaperBook(book.path, self.settings.account, day)
        try:
            before = kept_state(earlier)
        finally:
            earlier.close()
        return carry_over(book, before, self._day, self._contracts) if before is not None else None

    def _connect(self, dhan: DhanSettings) -> None:
        chance = random.Random(self._clock.now_ns())  # noqa: S311 - jitter of reconnects
        hold = self._gate.hold if self.settings.stepped else None
        self._feed = DhanFeed(
            dhan,
            self._system,
            chance,
            on_message=self._on_feed,
            on_lost=lambda detail: self._feed_lost("market", detail),
            on_restored=lambda gap: self._feed_restored("market", gap),
            expects_data=lambda _: self._in_session(),
            frame_gate=hold,
            least_mode=Mode.TICKER if self.settings.market is None else self.settings.market.least_mode,
        )
        self._orders = DhanOrderStream(
            dhan,
            self._system,
            chance,
            on_report=lambda row, _: self._on_report(row),
            on_unreadable=self._on_unreadable,
            on_lost=lambda detail: self._feed_lost("orders", detail),
            on_restored=lambda gap: self._feed_restored("orders", gap),
            contracts=self._contracts,
            frame_gate=hold,
        )
        if not self._off("market"):
            self._spawn(self._feed.run())
        if self._paper is None and not self._off("orders"):
            self._spawn(self._orders.run())

    def _off(self, feed: str) -> str:
        """Which setting has switched this feed off; empty when none has."""
        market = self.settings.market
        if market is None:
            return ""
        return market.feed_off if feed == "market" else market.order_feed_off

    async def _wait_for_feeds(self) -> None:
        """Both sockets up before the first event; an order feed is not needed on paper."""
        waits = []
        if not self._off("market"):
            waits.append(self._feed.wait_up())
        if self._paper is None and not self._off("orders"):
            waits.append(self._orders.wait_up())
        limit = asyncio.ensure_future(self._system.sleep_until(self._system.now_ns() + CONNECT_WITHIN_NS))
        up = asyncio.ensure_future(_all(waits))
        await asyncio.wait([up, limit], return_when=asyncio.FIRST_COMPLETED)
        limit.cancel()
        if not up.done():
            up.cancel()
            which = self._orders if self._feed.is_up else self._feed
            remedy = "see scalper doctor" if self.settings.market is not None else "is the simulator running?"
            raise BrokerError(f"{which} did not come up within 10 s ({which.last_loss}); {remedy}")

    async def _history(self) -> dict[int, tuple[Candle, ...]]:
        """Minutes of the previous session and of today so far, by index."""
        from_ns = ist_ns(previous_trading_day(self._day), 0)
        found: dict[int, tuple[Candle, ...]] = {}
        for index in self._rules.indices:
            found[index.key] = await self._minutes.intraday_minutes(index.key, from_ns, self._clock.now_ns())
        return found

    async def _history_by_a_living_token(self, dhan: DhanSettings, until_ns: int) -> dict[int, tuple[Candle, ...]]:
        """The first reading that needs a token. One that is refused is waited out: the keeper makes or asks for another.

        Raises `TokenRefused` where nobody keeps the token, and when the session is over.
        """
        while True:
            used = dhan.access_token
            try:
                return await self._history()
            except TokenRefused as refused:
                if self._keeper is None or self._clock.now_ns() >= until_ns:
                    raise
                self._say(f"{refused}; the start waits for a token")
            again_ns = self._system.now_ns() + TOKEN_AGAIN_NS
            while dhan.access_token == used and self._system.now_ns() < again_ns:
                await self._system.sleep_until(self._system.now_ns() + NS_PER_SECOND)

    def _start_timers(self) -> None:
        first_ns = (self._clock.now_ns() // NS_PER_SECOND + 1) * NS_PER_SECOND
        self._timers.at(first_ns, Rank.SECOND, self._second)
        self._timers.at(first_ns, Rank.POLL, self._poll)

    async def _live(self, link: SimLink | None, hello: Hello) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop, f"stopped by {number.name}")
        if isinstance(self._clock, SteppedClock):
            assert link is not None
            await self._walk(link, self._clock, self.settings.until_ns or hello.close_ns + END_AFTER_NS)
            return
        self._spawn(self._lane.run())
        self._spawn(self._timers.run(self._clock))
        self._spawn(self._housekeeping())
        self._spawn(self._watch_end(hello.close_ns))
        if isinstance(self._clock, PacedClock):
            assert link is not None
            self._spawn(self._follow_time(link, self._clock))
        await self._ended.wait()

    async def _walk(self, link: SimLink, clock: SteppedClock, until_ns: int) -> None:
        def sent() -> tuple[int, int]:
            return self._feed.sent_messages, self._orders.sent_messages

        def after_step() -> None:
            if not self._lane.idle:
                self._mark("lane.in_flight")
            if clock.now_ns() >= until_ns:
                self.stop("the run ends here" if self.settings.until_ns else "the session is over")
            if self._publisher is not None and self._publisher.view_due:
                self._publish_view()
            if self._ended.is_set():
                raise StopWalking

        try:
            await link.walk(
                clock,
                self._timers,
                self._gate,
                sent,
                lambda payload: self._orders.deliver(payload, clock.now_ns()),
                lambda payload: self._feed.deliver(payload, clock.now_ns()),
                after_step,
            )
            self._stop_why = self._stop_why or "the session is over"
        except StopWalking:
            return

    async def _follow_time(self, link: SimLink, clock: PacedClock) -> None:
        """The simulator's time is the time; a slow machine makes it slip. Without it, time goes on at its rate."""
        while True:
            await self._system.sleep_until(self._system.now_ns() + TIME_EVERY_NS)
            try:
                clock.correct(await link.now_ns())
            except BrokerError:
                await link.come_back()

    async def _watch_end(self, close_ns: int) -> None:
        """The day ends by itself a while after the close."""
        await self._clock.sleep_until(close_ns + END_AFTER_NS)
        self.stop("the session is over")

    async def _housekeeping(self) -> None:
        """Beside the path: the journal a second late at most, the soft state, the views."""
        flush_ns = soft_ns = 0
        wall_ns = self._system.wall_gap_ns()
        while True:
            now = self._system.now_ns()
            if now >= flush_ns:
                flush_ns = now + FLUSH_EVERY_NS
                self._flush_journal()
                self._watch_clock(wall_ns)
            if now >= soft_ns:
                soft_ns = now + SOFT_EVERY_NS
                await self._keep_soft()
                await self._check_contracts()
            if self._publisher is not None and self._publisher.view_due:
                self._publish_view()
            await self._system.sleep_until(now + VIEW_EVERY_NS)

    def _watch_clock(self, wall_ns: int) -> None:
        """On the real market the clock decides when to be flat: one that was moved needs a new start, from the books."""
        moved_ns = self._system.wall_gap_ns() - wall_ns
        if self.settings.market is not None and abs(moved_ns) > CLOCK_MOVED_NS:
            why = f"the machine slept or its clock was set, by {moved_ns / NS_PER_SECOND:+.0f} s"
            self._alarm("clock_moved", f"{why}; starting again by the time it shows now")
            self._exit_code = EXIT_FAULT
            self.stop(why)

    async def _end(self, stores: Stores) -> None:
        """Say what is left, let nothing more leave, withdraw buys that still work, write and close everything."""
        if not self.session.poisoned:
            self._take(SessionStopping(self._clock.now_ns(), self._stop_why or "stopped"))
        await self._close_lane()
        if self.session.poisoned or self._buying():
            await self._lifeboat()
            if not self.session.poisoned:  # what crossed the cancel is held now, and still gets its floor
                await self._read_book()
                await self._close_lane()
        await self._end_tasks()
        self._flush_journal()
        self._journal.close()
        self._save_soft()
        stores.decisions.write()
        if self._publisher is not None:
            self._publish_view()
            await self._publisher.close()

    async def _close_lane(self) -> None:
        if isinstance(self._clock, SteppedClock):
            self._lane.kick()
            return
        try:
            await self._lane.close()
        except StoreError as error:
            self._say(f"warning: the last changes were not written: {error}")

    def _buying(self) -> bool:
        """Does a buy of ours still work? Filled after the end, it would have no floor until the next start."""
        if isinstance(self._clock, SteppedClock) or not self._gate_open():
            return False
        orders = self.session.engine.state.orders.values()
        return any(order.is_live and order.purpose is Purpose.ENTRY for order in orders)

    async def _end_tasks(self) -> None:
        """Cancel what runs beside; what does not end soon is named and left behind."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            limit = asyncio.ensure_future(self._system.sleep_until(self._system.now_ns() + END_WITHIN_NS))
            ending = asyncio.ensure_future(asyncio.wait(tasks))
            await asyncio.wait({limit, ending}, return_when=asyncio.FIRST_COMPLETED)
            limit.cancel()
            for task in tasks:
                if not task.done():
                    self._say(f"did not end in time and was left: {task.get_coro()}")

    async def _lifeboat(self) -> None:
        for done in await cancel_buys(self._broker, account_tag(self.settings.account)):
            self._say(f"lifeboat: {done}")

    # Events

    def _take(self, event: Event) -> None:
        self.session.take(event)

    def _second(self, at_ns: int) -> None:
        self._timers.at(at_ns + NS_PER_SECOND, Rank.SECOND, self._second)
        self._take(SecondPassed(at_ns))
        self._publish_candles()
        if self.settings.stepped and at_ns // NS_PER_SECOND % 60 == 0:
            self._flush_journal()
            self._save_soft()

    def _poll(self, at_ns: int) -> None:
        self._timers.at(at_ns + CHAIN_EVERY_NS, Rank.POLL, self._poll)
        for poll in self._polls.values():
            if poll.underlying not in self._polling:
                self._spawn(self._poll_one(poll))

    async def _poll_one(self, poll: PollChain) -> None:
        self._polling.add(poll.underlying)
        try:
            chain = await self._chains.option_chain(INDICES[poll.underlying], poll.expiry)
        except (BrokerError, DataError) as error:
            if poll.underlying not in self._unread:  # said once, not at every poll until it is back
                self._unread.add(poll.underlying)
                self._alarm("chain_unread", f"{poll.underlying} {poll.expiry}: {error}", level="warning")
            return
        finally:
            self._polling.discard(poll.underlying)
        self._unread.discard(poll.underlying)
        self._take(near_chain(chain, self._contracts))

    def _on_feed(self, message: Buffer, _received_ns: int) -> None:
        at_ns = self._clock.now_ns()
        if self._paper is not None:
            self._show_paper(message, at_ns, self._paper)
        ticks = self._decoder.decode(message, at_ns)
        if ticks and isinstance(self._clock, PacedClock):
            # First what time it is: by a clock that fell behind a market sixty times as fast, they came from the future.
            self._clock.heard(max(tick.exchange_s for tick in ticks) * NS_PER_SECOND)
            at_ns = self._clock.now_ns()
            ticks = [msgspec.structs.replace(tick, at_ns=at_ns) for tick in ticks]
        for tick in self._watching.sift(ticks) if self._watching.wanted else ticks:
            self.session.take(tick)

    def _show_paper(self, message: Buffer, at_ns: int, paper: PaperBroker) -> None:
        """The paper exchange matches against the same packets, before the engine sees them."""
        offsets, _ = split_packets(message)
        for offset in offsets:
            key = packet_key(message, offset)
            if key in self._contracts:
                end = offset + int.from_bytes(message[offset + 1 : offset + 3], "little")
                self._packets[key] = bytes(message[offset:end])
                if key in paper.exchange.interest:
                    quote = decode_quote(message, offset, at_ns, self._tick_sizes)
                    if quote is not None:
                        paper.see(quote)

    def _standing(self, key: int) -> Quote | None:
        packet = self._packets.get(key)
        tick = self.session.engine.state.ticks.get(key)
        if packet is None or tick is None:
            return None
        return decode_quote(packet, 0, tick.at_ns, self._tick_sizes)

    def _on_report(self, row: BrokerOrder) -> None:
        self._take(OrderReported(self._clock.now_ns(), row))

    def _feed_lost(self, feed: str, why: str) -> None:
        if not self._hears():
            return
        if feed == "market" and isinstance(self._clock, PacedClock):
            self._clock.let_go()
        self._take(FeedLost(self._clock.now_ns(), feed, why))

    def _feed_restored(self, feed: str, gap: Gap) -> None:
        if feed == "market":
            self._decoder.lag.begin_anew()
        if not self._hears():
            return
        # The gap was measured in real time; the engine's may run faster, or stand still between steps.
        rate = self._clock.rate if isinstance(self._clock, PacedClock) else 0 if self.settings.stepped else 1
        at_ns = self._clock.now_ns()
        self._take(FeedRestored(at_ns, feed, at_ns - round(gap.missed_ns * rate)))

    def _hears(self) -> bool:
        """Is there a session that takes what happens to the feeds?"""
        return hasattr(self, "session") and not self.session.poisoned and self._gate_open()

    def _on_unreadable(self, text: str) -> None:
        """Something happened to an order and we do not know what: the book does."""
        self._alarm("order_update_unreadable", text)
        if self._gate_open():
            self._spawn(self._read_book())

    def _gate_open(self) -> bool:
        """Has the first event been taken?"""
        return self.session.engine.is_born

    def _on_word(self, word: Word) -> None:
        if not self._gate_open():
            self._early.append(word)  # a start may wait for a token; what was said then still counts
            return
        self._take(OperatorAsked(self._clock.now_ns(), word.word, word.target, word.by))
        self._spawn(self._keep_soft())  # a halt is not to be lost with the process in the next five seconds

    async def _keep_soft(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._save_soft)

    async def _on_ask(self, ask: Ask) -> Answer:
        """A change a person wants."""
        if self._change_desk is None:
            return Answer(
                done=False, text="this engine was started with rules of its own: nothing of it can be changed"
            )
        if not self._hears():
            return Answer(
                done=False, text="the engine is starting or ending; nothing was changed, try again in a moment"
            )
        return await self._change_desk.answer(ask)

    # Running, for the change desk

    def rules_now(self) -> Rules:
        """In force now."""
        return self.session.engine.state.rules

    def take(self, event: Event) -> None:
        """A changed rule is an event like any other."""
        self._take(event)

    def tell(self, code: str, text: str) -> None:
        """To the page and the terminal."""
        self._say(text)
        self.notify(Notify(self._clock.now_ns(), "info", code, text))

    def watch(self) -> str:
        """Follow the watchlist as it is now. Raises `ConfigError` for one that cannot be read, `BrokerRefused` for too many."""
        written = self._written
        if written is None:
            return "nothing is watched"
        changes, listed = self._stores.changes(self.settings.account), self._stores.watchlist.items()
        settings = written.settings_with({name: kept.value for name, kept in changes.settings().items()})
        wanted = choose([Watched(item.key, item.label) for item in listed], load_algo(written.config), settings)
        self._watching.follow(wanted, self._stores.watchlist.tick_sizes(item.key for item in wanted.items))
        return f"{len(wanted.items)} instruments are watched, by {wanted.source}"

    def _on_fault(self, fault: Exception, event: Event) -> None:
        """A poisoned session: nothing is decided any more, the lifeboat takes over."""
        self._exit_code = EXIT_FAULT
        self._say(f"FAULT while handling {type(event).__name__}: {fault}")
        self._say("".join(traceback.format_exception(fault)))
        self._say(f"the journal {self._journal.path} ends with the event that broke it")
        self.stop("engine fault")

    # Effects

    def order(self, command: PlaceOrder | ModifyOrder | CancelOrder) -> None:
        """Into the lane."""
        self._lane.offer(command)

    def read_book(self, command: ReadBook) -> None:
        """Ask the broker; the answer is an event."""
        del command
        self._spawn(self._read_book())

    async def _read_book(self) -> None:
        try:
            self._take(await self._broker.read_book())
        except (BrokerError, DataError) as error:
            self._take(BookUnread(self._clock.now_ns(), str(error)))

    def subscribe(self, command: Subscribe) -> None:
        """Indices as Quote, contracts as Full."""
        self._watching.core_wants(command.keys)
        self._feed.subscribe(command.keys)

    def unsubscribe(self, command: Unsubscribe) -> None:
        """Once less."""
        self._watching.core_lets_go(command.keys)
        self._feed.unsubscribe(command.keys)

    def poll_chain(self, command: PollChain) -> None:
        """From the next poll on."""
        self._polls[command.underlying] = command

    def read_candles(self, command: ReadCandles) -> None:
        """Ask the broker; what comes is an event, what does not is asked for again."""
        self._spawn(self._read_candles(command.key))

    async def _read_candles(self, key: int) -> None:
        from_ns = ist_ns(previous_trading_day(self._day), 0)
        try:
            candles = await self._minutes.intraday_minutes(key, from_ns, self._clock.now_ns())
        except (BrokerError, DataError) as error:
            self._alarm("candles_unread", f"{INDEX_BY_KEY[key].name}: {error}", level="warning")
            return
        self._take(HistoryLoaded(self._clock.now_ns(), key, candles))

    def notify(self, command: Notify) -> None:
        """To the page and the terminal."""
        if command.level != "info" or command.code in {"position_closed", "position_resumed"}:
            self._say(f"{command.level}: {command.text}")
        if self._publisher is not None:
            self._publisher.publish("notice", Notice(command.at_ns, command.level, command.code, command.text))

    def decided(self, command: Decision) -> None:
        """To the page and the decision log."""
        self._stores.decisions.keep(self.settings.account, (command,))
        if command.kind in {DecisionKind.ENTRY, DecisionKind.EXIT}:
            self._say(f"{command.contract}: {sentence(command)} ({figures(command.numbers)})")
        if self._publisher is None:
            return
        self._publisher.publish("decision", decision_view(command))
        if command.kind is DecisionKind.EXIT:
            state = self.session.engine.state
            self._publisher.publish("trade", trade_view(state, state.positions[command.position_id]))

    def done(self) -> None:
        """The event is handled: write and send."""
        self._lane.kick()

    # Beside the path

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say("a task of the engine ended: " + "".join(traceback.format_exception(error)))
            self._exit_code = EXIT_FAULT
            self.stop(f"a task of the engine ended: {error}")

    def _alarm(self, code: str, text: str, level: str = "alarm") -> None:
        self.notify(Notify(self._clock.now_ns(), level, code, text))
        self._publish_store()

    def _flush_journal(self) -> None:
        try:
            self._journal.flush(fsync=False)
        except StoreError as error:
            self._alarm("journal_not_written", str(error))

    def _flush_for_orders(self) -> None:
        self._journal.flush(fsync=True)
        self._committed_ns = self._clock.now_ns()

    def _take_changes(self) -> Changes | None:
        return self.session.engine.state.take_changes()

    def _save_soft(self) -> None:
        state = self.session.engine.state
        soft = SoftState(
            state.now_ns,
            {name: index.cooldown_until_ns for name, index in state.indices.items()},
            state.paused_until_ns,
        )
        try:
            self._store.save_soft(soft)
            self._keep_halt(state.halted)
            self._stores.decisions.write()
        except StoreError as error:
            self._say(f"warning: the soft state was not saved: {error}")

    def _keep_halt(self, halted: str) -> None:
        """A person's halt stands until a person lifts it, over restarts and days."""
        if halted == self._kept_halt:
            return
        if halted:
            self._store.halt(halted, at_ns=self._clock.now_ns(), by="operator")
        else:
            self._store.lift_halt(at_ns=self._clock.now_ns(), by="operator")
        self._kept_halt = halted

    def _in_session(self) -> bool:
        schedule = self.session.engine.state.schedule if self._gate_open() else None
        now_ns = self._clock.now_ns()
        return schedule is not None and any(span.start_ns <= now_ns < span.end_ns for span in schedule.options)

    def _publish_view(self) -> None:
        if self._publisher is not None and self._gate_open():
            state = self.session.engine.state
            self._publisher.publish("view", view(state))
            self._publisher.offer_ticks(state.now_ns, {**self._watching.newest, **state.ticks})
            self._publish_watched()
            self._publish_store()

    def _publish_watched(self) -> None:
        if self._publisher is None or not (self._watching.wanted or self._publisher.day.watch):
            return
        shown = self._watching.view()
        if shown != self._publisher.day.watch:
            self._publisher.publish("watch", shown)

    def _publish_store(self) -> None:
        if self._publisher is None:
            return
        failed = self._lane.store_failed
        shown = f"{failed}{self._committed_ns}"
        if shown != self._store_view:
            self._store_view = shown
            state = "failing" if failed else "ok"
            self._publisher.publish("store", StoreView(state, self._committed_ns, failed))

    def _publish_candles(self) -> None:
        if self._publisher is None:
            return
        for name, index in self.session.engine.state.indices.items():
            candle = index.last_candle
            if candle is not None and candle.start_ns > self._published.get(name, 0):
                self._publish_candle(name, candle)

    def _publish_earlier(self) -> None:
        """What was decided and traded today before this start."""
        if self._publisher is None:
            return
        state = self.session.engine.state
        opened_ns = ist_ns(self._day, 0)
        for decision in self._stores.reference.decisions_between(self.settings.account, opened_ns, state.now_ns):
            self._publisher.publish("decision", decision_view(decision))
        for position in state.positions.values():
            if position.state is PositionState.CLOSED and position.sold_quantity:
                self._publisher.publish("trade", trade_view(state, position))

    def _publish_history(self, key: int, candles: tuple[Candle, ...]) -> None:
        """Today's minutes before this start belong on the chart too."""
        if self._publisher is None:
            return
        opened_ns = ist_ns(self._day, 0)
        for candle in candles:
            if candle.start_ns >= opened_ns:
                self._publish_candle(INDEX_BY_KEY[key].name, candle)

    def _publish_candle(self, name: str, candle: Candle) -> None:
        self._published[name] = candle.start_ns
        if self._publisher is not None:
            self._publisher.publish(
                "candle",
                IndexCandle(
                    name,
                    candle.start_ns,
                    candle.open_paise,
                    candle.high_paise,
                    candle.low_paise,
                    candle.close_paise,
                ),
            )


class StopWalking(AlgoScalperError):
    """A person stopped a stepped run."""


async def _all(waits: list[Coroutine[None, None, None]]) -> None:
    for wait in waits:
        await wait


def _last_close(candles: tuple[Candle, ...], day: date) -> int:
    """The close of the last minute before this day; 0 when there is none."""
    opened_ns = ist_ns(day, 0)
    before = [candle.close_paise for candle in candles if candle.start_ns < opened_ns]
    return before[-1] if before else 0
