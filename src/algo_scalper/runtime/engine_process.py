"""The engine process: feed, session and order lane, from an empty start to a clean end.

Order of a start: the account's lock, the stores, the clock, the instrument master and warm-up candles, the sockets, then
the first event. Everything after that is an event. Here the parts are made and joined, kept going and ended, and the
engine's commands handed to them; what each part does stands in its own module.
"""

from __future__ import annotations

import asyncio
import random
import signal
import traceback
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from datetime import date, timedelta
from pathlib import Path

import msgspec

from algo_scalper import __version__
from algo_scalper.adapters.dhan.auth import DhanAuth
from algo_scalper.adapters.dhan.catalogue import read_catalogue
from algo_scalper.adapters.dhan.chain import DhanChains
from algo_scalper.adapters.dhan.feed import DhanFeed
from algo_scalper.adapters.dhan.history import DhanHistory
from algo_scalper.adapters.dhan.limits import DHAN_WINDOWS, Limiter, Throttled, own_windows
from algo_scalper.adapters.dhan.order_stream import DhanOrderStream
from algo_scalper.adapters.dhan.orders import DhanBroker
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.subscriptions import Mode
from algo_scalper.adapters.journal import FORMAT, JournalHeader, JournalWriter
from algo_scalper.adapters.marks import Mark, no_mark
from algo_scalper.adapters.storage.lock import InstanceLock
from algo_scalper.adapters.storage.stores import Stores, open_stores
from algo_scalper.adapters.storage.trading import TradingStore
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
from algo_scalper.domain.errors import BrokerError, ConfigError, DataError, SecondInstance, StoreError
from algo_scalper.domain.events import (
    BookUnread,
    Event,
    FeedLost,
    HistoryLoaded,
    OrderReported,
    SecondPassed,
    SessionStarted,
    SessionStopping,
)
from algo_scalper.domain.instruments import INDEX_BY_KEY, INDIA_VIX_KEY, INDICES, Contract
from algo_scalper.domain.market import Candle
from algo_scalper.domain.orders import BrokerOrder, Purpose
from algo_scalper.domain.ports import Broker, Changes, Clock, Restored
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND, clock_text, ist_ns
from algo_scalper.engine.views import figures, sentence
from algo_scalper.runtime.background import Background
from algo_scalper.runtime.chain_polls import ChainPolls
from algo_scalper.runtime.change_desk import Written, begin_day
from algo_scalper.runtime.clock import LIMITED_UP_TO, PacedClock, Rank, SteppedClock, SystemClock, Timers
from algo_scalper.runtime.feeds import FEEDS, Feeds
from algo_scalper.runtime.gate import refuse_real_host
from algo_scalper.runtime.intake import Intake
from algo_scalper.runtime.lifeboat import cancel_buys
from algo_scalper.runtime.listed import ChangedTerms, listed_contracts
from algo_scalper.runtime.opening import account_tag, opening_event
from algo_scalper.runtime.operator_door import OperatorDoor
from algo_scalper.runtime.order_lane import OrderLane
from algo_scalper.runtime.paper_account import PaperAccount
from algo_scalper.runtime.publish import Publisher
from algo_scalper.runtime.real_market import DhanMarket, session_today
from algo_scalper.runtime.rule_changes import Rulebook
from algo_scalper.runtime.session import Session
from algo_scalper.runtime.showing import Showing
from algo_scalper.runtime.sim_link import Hello, SimLink, StepGate
from algo_scalper.runtime.soft_state import SoftKeeper
from algo_scalper.runtime.source_hash import source_hash
from algo_scalper.runtime.token_care import TokenKeeper, outlive_refusals
from algo_scalper.runtime.warm_up import WarmUp, last_close
from algo_scalper.runtime.watching import Watching

EXIT_OK = 0
EXIT_FAULT = 70
SOFT_EVERY_NS = 5 * NS_PER_SECOND
FLUSH_EVERY_NS = NS_PER_SECOND
VIEW_EVERY_NS = 100 * NS_PER_MS
LOCK_WITHIN_NS = 2 * NS_PER_SECOND
"""Another engine holds the account's lock for longer than this."""
LOCK_EVERY_NS = 100 * NS_PER_MS
VIX_TICK_PAISE = 1
END_AFTER_NS = 60 * NS_PER_SECOND
"""So long after the close there is nothing left to do."""
CLOCK_MOVED_NS = 5 * NS_PER_SECOND
"""The wall clock was set, or the machine slept: by more than this, what the engine does by the clock is wrong."""
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
        self._book: Rulebook | None = None
        self._say = say
        self._mark = mark
        self._system = SystemClock(settings.market.from_ns) if settings.market is not None else SystemClock()
        self._timers = Timers()
        self._gate = StepGate()
        self._contracts: dict[int, Contract] = {}
        self._tick_sizes: dict[int, int] = {index.key: index.tick_paise for index in INDICES.values()}
        self._tick_sizes[INDIA_VIX_KEY] = VIX_TICK_PAISE
        self._background = Background(self._on_task_fault)
        self._ended = asyncio.Event()
        self._stop_why = ""
        self._exit_code = EXIT_OK
        self._paper: PaperAccount | None = None
        self._keeper: TokenKeeper | None = None
        self._terms: ChangedTerms | None = None
        self._showing: Showing | None = None

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
            await self._end()
        return self._exit_code

    @property
    def begun(self) -> bool:
        """Has the engine taken its first event? Before that nothing was decided and nothing can be lost."""
        return hasattr(self, "session") and self.session.engine.is_born

    def stop(self, why: str) -> None:
        """End soon and cleanly."""
        self._stop_why = self._stop_why or why
        self._ended.set()

    # Starting

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

    async def _find_market(self, stack: AsyncExitStack) -> tuple[SimLink | None, Hello]:
        """The simulator and its clock, or the day's session at Dhan."""
        settings = self.settings
        if settings.market is not None:
            return None, session_today(self._system.now_ns())
        link = SimLink(settings.sim_url)
        hello = await link.attach(stepped=settings.stepped, downtime_ns=settings.downtime_ns)
        stack.push_async_callback(link.close)
        return link, hello

    def _clock_of(self, hello: Hello) -> Clock:
        if self.settings.market is not None:
            return self._system
        if self.settings.stepped:
            return SteppedClock(hello.now_ns)
        return PacedClock(hello.now_ns, hello.rate, self._system)

    def _limiter_of(self, hello: Hello) -> Limiter | None:
        """The account's budget, in the market's own time; a simulator faster than people can follow keeps none."""
        if hello.rate > LIMITED_UP_TO:
            return None
        orders = self._rules.orders
        windows = DHAN_WINDOWS + own_windows(orders.per_second, orders.per_minute, orders.per_day)
        jitter = random.Random(hello.now_ns)  # noqa: S311
        return Limiter(self._clock, jitter, windows, self._on_throttled)

    async def _begin(self, stores: Stores, hello: Hello, rest: DhanRest, dhan: DhanSettings) -> None:
        """All that the first event is made of, everything it may lead to, then the first event itself."""
        self._day = date.fromisoformat(hello.day)
        self._stores = stores
        self._rules = self._rules_of_the_day()
        contracts = await self._listed(rest, dhan)
        for contract in contracts:
            self._contracts[contract.key] = contract
            self._tick_sizes[contract.key] = contract.tick_paise
        self._store: TradingStore = stores.trading(self.settings.account)
        restored = self._store.restore(self._day.isoformat())
        epoch = self._store.next_epoch(started_ns=self._clock.now_ns(), code_version=__version__)
        self._journal = self._new_journal(epoch, hello.market)
        self.session = Session(self._journal, self, self._on_fault)
        self._soft = SoftKeeper(
            self.session.engine, self._store, stores.decisions, self._clock, self._say, restored.standing_halt
        )
        self._join(rest, dhan)
        if self.settings.socket_path is not None:
            publisher = Publisher(self._system, self._door.on_word, self._door.on_ask)
            self._showing = Showing(publisher, self._lane, self._watching, self._day)
            await self._showing.start(self.settings.socket_path)
        if self.settings.market is not None:
            self._keep_token(self.settings.market, rest)
        minutes = await self._minutes_before(dhan, hello.close_ns)
        await self._feeds.wait_up(self._system)
        self._gate.active = self.settings.stepped
        self._start_timers()
        self._take(self._opening(hello.market, epoch, contracts, minutes, restored))
        await self._after_opening(minutes)

    def _rules_of_the_day(self) -> Rules:
        """What is written, with what a person has laid over it; but no looser than this day was traded by before."""
        changes, wanted, laid_over = self._stores.changes(self.settings.account), self._rules, {}
        if self._written is not None:
            laid_over = {key: kept.value for key, kept in changes.overrides().items()}
            self._book = Rulebook.read(self._written.config, laid_over)
            wanted = self._book.algo().rules
        morning = begin_day(changes, wanted, laid_over, self._day, self._clock.now_ns())
        for sentence_of_start in morning.said:
            self._say(sentence_of_start)
        return morning.rules

    async def _listed(self, rest: DhanRest, dhan: DhanSettings) -> tuple[Contract, ...]:
        """What is listed now: on the real market the catalog's, else the file's, read here."""
        names = [index.name for index in self._rules.indices]
        until = self._day + timedelta(days=LISTED_DAYS)

        async def read_file() -> tuple[Contract, ...]:
            return (await read_catalogue(rest, dhan.csv_url, names, self._day, until)).contracts

        if self.settings.market is None:
            return await read_file()
        listed = await listed_contracts(
            self._stores.catalog,
            names,
            self._day,
            until,
            read_file,
            self._clock,
            self.settings.market.import_patience_ns,
        )
        if listed.warning:
            self.notify(Notify(self._clock.now_ns(), "warning", "catalog_old", listed.warning))
        return listed.contracts

    def _new_journal(self, epoch: int, market: str) -> JournalWriter:
        account, day = self.settings.account, self._day
        path = self.settings.journal_dir / f"{day.isoformat()}-{account}-{epoch:04d}.journal"
        now_ns = self._clock.now_ns()
        header = JournalHeader(FORMAT, __version__, source_hash(), account, epoch, day, market, "PAPER", now_ns)
        return JournalWriter(path, header, mark=self._mark)

    def _join(self, rest: DhanRest, dhan: DhanSettings) -> None:
        """The session to the broker, the order lane, the polls, the sockets and the operator."""
        self._broker = self._broker_of(rest)
        self._lane = OrderLane(
            self._store,
            self._broker,
            self._clock,
            self._system,
            self._flush_for_orders,
            self._take_changes,
            self._take,
            self._alarm,
            inline=self.settings.stepped,
            mark=self._mark,
        )
        chains = DhanChains(rest, self._clock, self._contracts)
        self._polls = ChainPolls(chains, self._contracts, self._timers, self._spawn, self._take, self._warn)
        self._warm_up = WarmUp(DhanHistory(rest), self._day, self._clock)
        if self.settings.market is not None:
            self._terms = ChangedTerms(self._stores.catalog, self._clock, self._take, self._warn)
        self._connect(dhan)
        self._door = OperatorDoor(
            self.session,
            self._clock,
            self._stores,
            self.settings.account,
            self._watching,
            lambda: self._spawn(self._soft.keep()),
            self._tell,
        )
        if self._written is not None and self._book is not None:
            self._door.allow_changes(self._written, self._book, self._day)

    def _broker_of(self, rest: DhanRest) -> Broker:
        if self.settings.broker == "simulator":
            refuse_real_host(rest.base_url)
            return DhanBroker(rest, self._clock, self._contracts)
        self._paper = PaperAccount(
            self.settings.data_dir / "paper.sqlite3",
            self.settings.account,
            self._day,
            self._rules.capital_paise,
            self._contracts,
            self._tick_sizes,
            self._clock,
            self._timers,
            self.session.engine,
            self._on_report,
            self._mark,
        )
        return self._paper.broker

    def _connect(self, dhan: DhanSettings) -> None:
        """Both sockets and the way from them into the session; they connect when the loop goes on."""
        self._watching = Watching(self._subscribe, self._unsubscribe, self._tick_sizes)
        intake = Intake(self.session, self._clock, self._tick_sizes, self._watching, self._paper)
        chance = random.Random(self._clock.now_ns())  # noqa: S311 - jitter of reconnects
        hold = self._gate.hold if self.settings.stepped else None
        real = self.settings.market
        feed = DhanFeed(
            dhan,
            self._system,
            chance,
            on_message=intake.on_message,
            on_lost=lambda detail: intake.on_lost("market", detail),
            on_restored=lambda gap: intake.on_restored("market", gap),
            expects_data=lambda _: self._in_session(),
            frame_gate=hold,
            least_mode=Mode.TICKER if real is None else real.least_mode,
        )
        orders = DhanOrderStream(
            dhan,
            self._system,
            chance,
            on_report=lambda row, _: self._on_report(row),
            on_unreadable=self._on_unreadable,
            on_lost=lambda detail: intake.on_lost("orders", detail),
            on_restored=lambda gap: intake.on_restored("orders", gap),
            contracts=self._contracts,
            frame_gate=hold,
        )
        self._feeds = Feeds(feed, orders, real, on_paper=self._paper is not None)
        self._feeds.run(self._spawn)

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
            on_new=lambda _: self._spawn(self._feeds.log_in_again(self._alarm)),
            say=lambda level, text: self._alarm("token", text, level=level),
        )
        self._spawn(self._keeper.run())

    async def _minutes_before(self, dhan: DhanSettings, until_ns: int) -> dict[int, tuple[Candle, ...]]:
        """Minutes of the previous session and of today so far, by index."""

        async def read() -> dict[int, tuple[Candle, ...]]:
            return await self._warm_up.all_minutes(self._rules.indices)

        if self._keeper is None:
            return await read()
        return await outlive_refusals(read, dhan, self._clock, until_ns, self._say)

    def _opening(
        self,
        market: str,
        epoch: int,
        contracts: tuple[Contract, ...],
        minutes: dict[int, tuple[Candle, ...]],
        restored: Restored,
    ) -> SessionStarted:
        return opening_event(
            self._clock.now_ns(),
            self.settings.account,
            epoch,
            self._day,
            self._rules,
            contracts,
            {key: last_close(candles, self._day) for key, candles in minutes.items()},
            market=market,
            restored=restored,
            week_before_paise=self._store.week_before(self._day),
        )

    async def _after_opening(self, minutes: dict[int, tuple[Candle, ...]]) -> None:
        """What was said and is known already, and what is to be looked at beside the traded."""
        self._door.say_early_words()
        if self._terms is not None:
            await self._terms.check()
        for feed in FEEDS:
            if switched := self._feeds.switched_off(feed):
                self._take(FeedLost(self._clock.now_ns(), feed, f"switched off: {switched}; entries refuse"))
        for key, candles in minutes.items():
            self._take(HistoryLoaded(self._clock.now_ns(), key, candles))
            if self._showing is not None:
                self._showing.history(key, candles)
        if self._showing is not None:
            state = self.session.engine.state
            opened_ns = ist_ns(self._day, 0)
            earlier = self._stores.reference.decisions_between(self.settings.account, opened_ns, state.now_ns)
            self._showing.earlier(earlier, state)
        try:
            self._door.watch()
        except (ConfigError, BrokerError) as fault:  # what is only looked at must not keep anything from being traded
            self._warn("watchlist_unread", f"nothing beside the traded is watched: {fault}")

    # Living

    def _start_timers(self) -> None:
        """A second that passes and a poll of the chains, from the next full second on."""
        first_ns = (self._clock.now_ns() // NS_PER_SECOND + 1) * NS_PER_SECOND
        self._timers.at(first_ns, Rank.SECOND, self._second)
        self._polls.begin(first_ns)

    async def _live(self, link: SimLink | None, hello: Hello) -> None:
        """Until somebody or something ends it: step by step with the simulator, or by a clock that goes on alone."""
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
            self._spawn(link.follow(self._clock, self._system))
        await self._ended.wait()

    async def _walk(self, link: SimLink, clock: SteppedClock, until_ns: int) -> None:
        """Hand in hand with the simulator, to the end of the day or until somebody ends it."""
        feed, orders = self._feeds.market, self._feeds.orders

        def after_step() -> bool:
            if not self._lane.idle:
                self._mark("lane.in_flight")
            if clock.now_ns() >= until_ns:
                self.stop("the run ends here" if self.settings.until_ns else "the session is over")
            self._show_when_due()
            return not self._ended.is_set()

        await link.walk(
            clock,
            self._timers,
            self._gate,
            lambda: (feed.sent_messages, orders.sent_messages),
            lambda payload: orders.deliver(payload, clock.now_ns()),
            lambda payload: feed.deliver(payload, clock.now_ns()),
            after_step,
        )
        self._stop_why = self._stop_why or "the session is over"

    def _second(self, at_ns: int) -> None:
        self._timers.at(at_ns + NS_PER_SECOND, Rank.SECOND, self._second)
        self._take(SecondPassed(at_ns))
        if self._showing is not None:
            self._showing.candles(self.session.engine.state)
        if self.settings.stepped and at_ns // NS_PER_SECOND % 60 == 0:
            self._flush_journal()
            self._soft.save()

    async def _housekeeping(self) -> None:
        """The journal a second late at most, the soft state, what is shown; none of it on the path of an event."""
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
                await self._soft.keep()
                if self._terms is not None:
                    await self._terms.check()
            self._show_when_due()
            await self._system.sleep_until(now + VIEW_EVERY_NS)

    def _watch_clock(self, wall_ns: int) -> None:
        """On the real market the clock decides when to be flat: one that was moved needs a new start, from the books."""
        moved_ns = self._system.wall_gap_ns() - wall_ns
        if self.settings.market is not None and abs(moved_ns) > CLOCK_MOVED_NS:
            why = f"the machine slept or its clock was set, by {moved_ns / NS_PER_SECOND:+.0f} s"
            self._alarm("clock_moved", f"{why}; starting again by the time it shows now")
            self._exit_code = EXIT_FAULT
            self.stop(why)

    async def _watch_end(self, close_ns: int) -> None:
        """The day ends by itself a while after the close."""
        await self._clock.sleep_until(close_ns + END_AFTER_NS)
        self.stop("the session is over")

    def _in_session(self) -> bool:
        schedule = self.session.engine.state.schedule if self.begun else None
        now_ns = self._clock.now_ns()
        return schedule is not None and any(span.start_ns <= now_ns < span.end_ns for span in schedule.options)

    # Ending

    async def _end(self) -> None:
        """Say what is left, let nothing more leave, withdraw buys that still work, write and close everything."""
        if not self.session.poisoned:
            self._take(SessionStopping(self._clock.now_ns(), self._stop_why or "stopped"))
        await self._close_lane()
        if self.session.poisoned or self._buying():
            await self._lifeboat()
            if not self.session.poisoned:  # what crossed the cancel is held now, and still gets its floor
                await self._read_book()
                await self._close_lane()
        await self._background.end(self._system, self._say)
        self._flush_journal()
        self._journal.close()
        self._soft.save()
        if self._showing is not None:
            self._show()
            await self._showing.close()

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
        if isinstance(self._clock, SteppedClock) or not self.begun:
            return False
        orders = self.session.engine.state.orders.values()
        return any(order.is_live and order.purpose is Purpose.ENTRY for order in orders)

    async def _lifeboat(self) -> None:
        for done in await cancel_buys(self._broker, account_tag(self.settings.account)):
            self._say(f"lifeboat: {done}")

    # What happens

    def _take(self, event: Event) -> None:
        self.session.take(event)

    def _on_report(self, row: BrokerOrder) -> None:
        self._take(OrderReported(self._clock.now_ns(), row))

    def _on_unreadable(self, text: str) -> None:
        """Something happened to an order and we do not know what: the book does."""
        self._alarm("order_update_unreadable", text)
        if self.begun:
            self._spawn(self._read_book())

    def _on_token_refused(self) -> None:
        if self._keeper is not None:
            self._keeper.refused()

    def _on_throttled(self, told: Throttled) -> None:
        until = clock_text(told.paused_until_ns)
        self._warn("broker_throttles", f"Dhan answers too often to {told.family}: paused until {until}")

    def _on_fault(self, fault: Exception, event: Event) -> None:
        """A poisoned session: nothing is decided any more, the lifeboat takes over."""
        self._exit_code = EXIT_FAULT
        self._say(f"FAULT while handling {type(event).__name__}: {fault}")
        self._say("".join(traceback.format_exception(fault)))
        self._say(f"the journal {self._journal.path} ends with the event that broke it")
        self.stop("engine fault")

    def _on_task_fault(self, fault: BaseException) -> None:
        self._say("a task of the engine ended: " + "".join(traceback.format_exception(fault)))
        self._exit_code = EXIT_FAULT
        self.stop(f"a task of the engine ended: {fault}")

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
        self._subscribe(command.keys)

    def _subscribe(self, keys: Iterable[int]) -> None:
        self._feeds.market.subscribe(keys)

    def unsubscribe(self, command: Unsubscribe) -> None:
        """Once less."""
        self._watching.core_lets_go(command.keys)
        self._unsubscribe(command.keys)

    def _unsubscribe(self, keys: Iterable[int]) -> None:
        self._feeds.market.unsubscribe(keys)

    def poll_chain(self, command: PollChain) -> None:
        """From the next poll on."""
        self._polls.want(command)

    def read_candles(self, command: ReadCandles) -> None:
        """Ask the broker; what comes is an event, what does not is asked for again."""
        self._spawn(self._read_candles(command.key))

    async def _read_candles(self, key: int) -> None:
        try:
            candles = await self._warm_up.minutes(key)
        except (BrokerError, DataError) as error:
            self._warn("candles_unread", f"{INDEX_BY_KEY[key].name}: {error}")
            return
        self._take(HistoryLoaded(self._clock.now_ns(), key, candles))

    def notify(self, command: Notify) -> None:
        """To the page and the terminal."""
        if command.level != "info" or command.code in {"position_closed", "position_resumed"}:
            self._say(f"{command.level}: {command.text}")
        if self._showing is not None:
            self._showing.notice(command)

    def decided(self, command: Decision) -> None:
        """To the page and the decision log."""
        self._stores.decisions.keep(self.settings.account, (command,))
        if command.kind in {DecisionKind.ENTRY, DecisionKind.EXIT}:
            self._say(f"{command.contract}: {sentence(command)} ({figures(command.numbers)})")
        if self._showing is not None:
            self._showing.decision(command, self.session.engine.state)

    def done(self) -> None:
        """The event is handled: write and send."""
        self._lane.kick()

    # Beside the path

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        self._background.spawn(work)

    def _flush_journal(self) -> None:
        try:
            self._journal.flush(fsync=False)
        except StoreError as error:
            self._alarm("journal_not_written", str(error))

    def _flush_for_orders(self) -> None:
        self._journal.flush(fsync=True)
        if self._showing is not None:
            self._showing.committed(self._clock.now_ns())

    def _take_changes(self) -> Changes | None:
        return self.session.engine.state.take_changes()

    def _alarm(self, code: str, text: str, level: str = "alarm") -> None:
        self.notify(Notify(self._clock.now_ns(), level, code, text))
        if self._showing is not None:
            self._showing.store()

    def _warn(self, code: str, text: str) -> None:
        self._alarm(code, text, level="warning")

    def _tell(self, code: str, text: str) -> None:
        self._say(text)
        self.notify(Notify(self._clock.now_ns(), "info", code, text))

    def _show_when_due(self) -> None:
        if self._showing is not None and self._showing.is_due:
            self._show()

    def _show(self) -> None:
        if self._showing is not None and self.begun:
            self._showing.state(self.session.engine.state)
