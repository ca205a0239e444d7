"""`DhanClient`: DhanHQ v2 for people who write their own programs, one object per account, one method per thing to do.

::

    settings = DhanSettings(client_id, access_token)
    async with DhanClient(settings, clock) as dhan:
        funds = await dhan.funds()
        prices = await dhan.ltp({NIFTY.key, BANKNIFTY.key})
        outcome = await dhan.place(OrderBody(...))

Instruments are keys (`domain.instruments.instrument_key`), money is integer paise, dates are dates, instants UTC ns.

Reads raise the tree of `failures`: `BrokerUnreachable` may be repeated, `BrokerRefused` says whose turn it is and what to
do. Order requests raise nothing for what happens on the way and return one of three answers: `Accepted` (Dhan took it,
nothing more), `Rejected` (Dhan said no, or nothing left this machine) or `Unknown` (it may have arrived: read the book).
No order request is ever repeated here. What changes the account otherwise raises `AnswerLost` when its answer is lost.

Requests are counted against Dhan's limits by ``limiter``, which is one of the client's own unless it is given one: two
clients of one account share theirs. ``auth`` has the ways to a new token.

The engine's own ways of doing these things are beside it: ``broker`` (its commands), ``history``, and `chain`.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from datetime import date
from itertools import islice
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from algo_scalper.adapters.dhan import endpoints as table
from algo_scalper.adapters.dhan.auth import DhanAuth
from algo_scalper.adapters.dhan.bodies import (
    AddressBody,
    ChainBody,
    ConvertBody,
    EdisFormBody,
    ForeverBody,
    MarginBody,
    MarginsBody,
    ModifyBody,
    ModifyForeverBody,
    ModifyTriggerBody,
    OrderBody,
    PnlExitBody,
    SuperEntryBody,
    SuperOrderBody,
    SuperStopBody,
    SuperTargetBody,
    TriggerBody,
    TriggerOrder,
    UnderlyingBody,
    instruments_body,
)
from algo_scalper.adapters.dhan.catalogue import Catalogue, read_catalogue
from algo_scalper.adapters.dhan.failures import AnswerUnreadable, DhanRefused, NothingThere
from algo_scalper.adapters.dhan.history import Bar, DhanHistory, RollingBar
from algo_scalper.adapters.dhan.limits import Limiter, Priority, Throttled
from algo_scalper.adapters.dhan.orders import DhanBroker
from algo_scalper.adapters.dhan.replies import (
    Addresses,
    ChainData,
    EdisForm,
    EdisStatus,
    FundsAnswer,
    HoldingRow,
    KillSwitch,
    LastAndDay,
    LastPrice,
    LedgerRow,
    Margin,
    Margins,
    OrderRow,
    PnlExit,
    PositionRow,
    Profile,
    Quote,
    Said,
    SuperOrderRow,
    TradeRow,
    TriggerRow,
)
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.values import iso_date, segment_key
from algo_scalper.adapters.dhan.wire import Endpoint, R
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.exchange_rules import MOST_CORRELATION
from algo_scalper.domain.instruments import (
    Contract,
    Index,
    OptionType,
    Segment,
    key_security_id,
    key_segment,
)
from algo_scalper.domain.ports import Clock, Outcome, Rejected
from algo_scalper.domain.units import NS_PER_SECOND

MOST_INSTRUMENTS = 1_000
"""In one request for prices."""
MOST_PAGES = 1_000
"""Of a trade history; more would be a service that never ends it."""
NO_HOLDINGS = "DH-1111"
log = logging.getLogger(__name__)

_Price = TypeVar("_Price", bound=LastPrice)
_MARKET = frozenset({"MARKET", "STOP_LOSS_MARKET"})


class DhanClient:
    """One account at Dhan. Close it with `close`, or use it as an async context manager."""

    def __init__(
        self,
        settings: DhanSettings,
        clock: Clock,
        limiter: Limiter | None = None,
        contracts: Mapping[int, Contract] | None = None,
    ) -> None:
        """``limiter``: the account's budget, to be shared by all that ask; None makes one of this client's own.

        ``contracts``: see `DhanBroker`.
        """
        self._settings = settings
        if limiter is None:
            limiter = Limiter(clock, random.Random(), on_throttled=_log_throttled)  # noqa: S311 - jitter of pauses
        self.limiter = limiter
        self.rest = DhanRest(settings, clock, limiter=self.limiter)
        self.auth = DhanAuth(self.rest, settings, clock)
        self.history = DhanHistory(self.rest)
        self.broker = DhanBroker(self.rest, clock, contracts)

    def __repr__(self) -> str:
        return f"DhanClient({self._settings!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self.rest.close()

    # --- who we are ------------------------------------------------------------------------------------------------

    async def profile(self) -> Profile:
        """The account's set-up: active segments, data plan, how long the token lives."""
        return await self._call(table.PROFILE)

    async def addresses(self) -> Addresses:
        """The static IP addresses orders are taken from. Raises `RequestRefused` where none was ever registered."""
        return await self._call(table.GET_ADDRESSES)

    async def set_address(self, ip: str, ip_flag: str = "PRIMARY") -> Said:
        """Register an IP address, as PRIMARY or SECONDARY."""
        return await self._call(table.SET_ADDRESS, AddressBody(ip=ip, ip_flag=ip_flag))

    async def modify_address(self, ip: str, ip_flag: str = "PRIMARY") -> Said:
        """Change a registered IP address; possible once in seven days."""
        return await self._call(table.MODIFY_ADDRESS, AddressBody(ip=ip, ip_flag=ip_flag))

    # --- money, positions, holdings --------------------------------------------------------------------------------

    async def funds(self) -> FundsAnswer:
        """Balances."""
        return await self._call(table.FUNDS, priority=Priority.BOOK)

    async def margin(self, body: MarginBody) -> Margin:
        """What an order would block."""
        return await self._call(table.MARGIN, body)

    async def margins(
        self, orders: Iterable[MarginBody], *, include_position: bool = False, include_order: bool = False
    ) -> Margins:
        """What several orders would block together, with open positions and working orders if wanted."""
        body = MarginsBody(include_position=include_position, include_order=include_order, scrip_list=tuple(orders))
        return await self._call(table.MARGINS, body)

    async def ledger(self, first: date, last: date) -> tuple[LedgerRow, ...]:
        """The account's bookings between two days."""
        days = {"from-date": first.isoformat(), "to-date": last.isoformat()}
        return await self._call(table.LEDGER, None, priority=Priority.DATA, **days)

    async def positions(self) -> tuple[PositionRow, ...]:
        """The day's positions, closed ones too, one row per product."""
        return await self._call(table.POSITIONS, priority=Priority.BOOK)

    async def holdings(self) -> tuple[HoldingRow, ...]:
        """Shares held. That there are none comes as an error of the server (500), and is an empty tuple here."""
        try:
            return await self._call(table.HOLDINGS)
        except NothingThere as refused:
            if refused.failure.code == NO_HOLDINGS:
                return ()
            raise

    async def convert_position(self, body: ConvertBody) -> Said:
        """Move part of a position to another product."""
        return await self._call(table.CONVERT_POSITION, body, priority=Priority.ENTRY)

    async def exit_all(self) -> Said:
        """Cancel every order and close every position of the account, without exception; those of other programs too."""
        return await self._call(table.EXIT_ALL, priority=Priority.EXIT)

    # --- orders ----------------------------------------------------------------------------------------------------

    async def place(self, body: OrderBody, priority: Priority = Priority.ENTRY) -> Outcome:
        """Place an order. Market orders are not sent: see `orders.at_market` for a limit with a protection."""
        return _unfit_order(body) or await self._ask(table.PLACE_ORDER, body, priority)

    async def place_sliced(self, body: OrderBody, priority: Priority = Priority.ENTRY) -> Outcome:
        """Place an order above the freeze quantity, which Dhan cuts. `Accepted` has all ids, with commas between them."""
        return _unfit_order(body) or await self._ask(table.SLICE_ORDER, body, priority)

    async def modify(self, body: ModifyBody, priority: Priority = Priority.EXIT) -> Outcome:
        """Change a working order; the body is the whole order as it shall be, its quantity the new total."""
        return _unfit(body.order_type) or await self._ask(table.MODIFY_ORDER, body, priority, order_id=body.order_id)

    async def cancel(self, order_id: str) -> Outcome:
        """Cancel a working order."""
        return await self._ask(table.CANCEL_ORDER, None, Priority.EXIT, order_id=order_id)

    async def orders(self) -> tuple[OrderRow, ...]:
        """The day's orders, newest first."""
        return await self._call(table.ORDER_BOOK, priority=Priority.BOOK)

    async def order(self, order_id: str) -> OrderRow | None:
        """One order; None when Dhan knows none of this id."""
        return _first(await self._call(table.ORDER_BY_ID, priority=Priority.BOOK, order_id=order_id))

    async def order_by_correlation(self, correlation_id: str) -> OrderRow | None:
        """The newest order under an id of ours. None is not a no: an order on its way answers the same."""
        try:
            found = await self._call(table.ORDER_BY_CORRELATION, priority=Priority.BOOK, correlation_id=correlation_id)
        except DhanRefused as refused:
            if refused.failure.status == 404:
                return None
            raise
        return _first(found)

    async def trades(self) -> tuple[TradeRow, ...]:
        """The day's fills."""
        return await self._call(table.TRADE_BOOK, priority=Priority.BOOK)

    async def trades_of(self, order_id: str) -> tuple[TradeRow, ...]:
        """The fills of one order."""
        return await self._call(table.TRADES_OF_ORDER, priority=Priority.BOOK, order_id=order_id)

    async def trade_history(self, first: date, last: date) -> tuple[TradeRow, ...]:
        """Past orders with their charges between two days, all pages of them."""
        return tuple([row async for page in self.trade_pages(first, last) for row in page])

    async def trade_pages(self, first: date, last: date) -> AsyncIterator[tuple[TradeRow, ...]]:
        """The same, a page at a time. Raises `AnswerUnreadable` when a page comes twice."""
        before: tuple[TradeRow, ...] = ()
        for number in range(MOST_PAGES):
            page = await self._call(
                table.TRADE_HISTORY, from_date=first.isoformat(), to_date=last.isoformat(), page=str(number)
            )
            if not page:
                return
            if page == before:
                raise AnswerUnreadable(f"{table.TRADE_HISTORY}: page {number} is page {number - 1} again")
            yield page
            before = page
        raise AnswerUnreadable(f"{table.TRADE_HISTORY}: no end after {MOST_PAGES} pages")

    # --- super orders ----------------------------------------------------------------------------------------------

    async def place_super_order(self, body: SuperOrderBody, priority: Priority = Priority.ENTRY) -> Outcome:
        """Place entry, target and stop as one."""
        return _unfit(body.order_type, body.correlation_id) or await self._ask(table.PLACE_SUPER_ORDER, body, priority)

    async def modify_super_entry(self, body: SuperEntryBody) -> Outcome:
        """Change the whole super order, while its entry works."""
        return _unfit(body.order_type) or await self._ask(
            table.MODIFY_SUPER_ENTRY, body, Priority.ENTRY, order_id=body.order_id
        )

    async def modify_super_target(self, order_id: str, target_price_paise: int) -> Outcome:
        """Move the target."""
        body = SuperTargetBody(order_id=order_id, target_price_paise=target_price_paise)
        return await self._ask(table.MODIFY_SUPER_TARGET, body, Priority.EXIT, order_id=order_id)

    async def modify_super_stop(
        self, order_id: str, stop_loss_price_paise: int, trailing_jump_paise: int = 0
    ) -> Outcome:
        """Move the stop. It trails in steps of ``trailing_jump_paise``; 0 ends the trailing."""
        body = SuperStopBody(
            order_id=order_id, stop_loss_price_paise=stop_loss_price_paise, trailing_jump_paise=trailing_jump_paise
        )
        return await self._ask(table.MODIFY_SUPER_STOP, body, Priority.EXIT, order_id=order_id)

    async def cancel_super_leg(self, order_id: str, leg: str) -> Outcome:
        """Cancel TARGET_LEG or STOP_LOSS_LEG, for good, or with ENTRY_LEG all."""
        return await self._ask(table.CANCEL_SUPER_LEG, None, Priority.EXIT, order_id=order_id, leg=leg)

    async def super_orders(self) -> tuple[SuperOrderRow, ...]:
        """The day's super orders with their legs."""
        return await self._call(table.SUPER_ORDERS, priority=Priority.BOOK)

    # --- forever orders --------------------------------------------------------------------------------------------

    async def place_forever(self, body: ForeverBody, priority: Priority = Priority.ENTRY) -> Outcome:
        """Place an order that rests until it triggers: SINGLE, or OCO with two legs."""
        return _unfit(body.order_type, body.correlation_id) or await self._ask(table.PLACE_FOREVER, body, priority)

    async def modify_forever(self, body: ModifyForeverBody) -> Outcome:
        """Change one leg of a forever order."""
        return _unfit(body.order_type) or await self._ask(
            table.MODIFY_FOREVER, body, Priority.EXIT, order_id=body.order_id
        )

    async def cancel_forever(self, order_id: str) -> Outcome:
        """Cancel a forever order."""
        return await self._ask(table.CANCEL_FOREVER, None, Priority.EXIT, order_id=order_id)

    async def forever_orders(self) -> tuple[OrderRow, ...]:
        """Forever orders; their order type says SINGLE or OCO."""
        return await self._call(table.FOREVER_ORDERS, priority=Priority.BOOK)

    # --- conditional triggers --------------------------------------------------------------------------------------

    async def place_trigger(self, body: TriggerBody) -> Outcome:
        """Have orders placed when a share or an index meets a condition; `Accepted` has the alert's id."""
        return _unfit_any(body.orders) or await self._ask(table.PLACE_TRIGGER, body, Priority.ENTRY)

    async def modify_trigger(self, body: ModifyTriggerBody) -> Outcome:
        """Change a conditional trigger."""
        return _unfit_any(body.orders or ()) or await self._ask(
            table.MODIFY_TRIGGER, body, Priority.ENTRY, alert_id=body.alert_id
        )

    async def cancel_trigger(self, alert_id: str) -> Outcome:
        """Cancel a conditional trigger."""
        return await self._ask(table.CANCEL_TRIGGER, None, Priority.EXIT, alert_id=alert_id)

    async def trigger(self, alert_id: str) -> TriggerRow:
        """One conditional trigger."""
        return await self._call(table.TRIGGER, alert_id=alert_id)

    async def triggers(self) -> tuple[TriggerRow, ...]:
        """All conditional triggers."""
        return await self._call(table.TRIGGERS)

    # --- controls --------------------------------------------------------------------------------------------------

    async def kill_switch(self) -> KillSwitch:
        """Whether trading is switched off for the day."""
        return await self._call(table.KILL_SWITCH)

    async def set_kill_switch(self, *, active: bool) -> KillSwitch:
        """Switch trading off for the day, or on again; only without open positions and working orders."""
        word = "ACTIVATE" if active else "DEACTIVATE"
        return await self._call(table.SET_KILL_SWITCH, priority=Priority.EXIT, killSwitchStatus=word)

    async def pnl_exit(self) -> PnlExit:
        """The broker's own exit at a profit or a loss of the day."""
        return await self._call(table.PNL_EXIT)

    async def set_pnl_exit(self, body: PnlExitBody) -> PnlExit:
        """Set it for the day; it fires at once when one of the two has been reached already."""
        return await self._call(table.SET_PNL_EXIT, body, priority=Priority.EXIT)

    async def remove_pnl_exit(self) -> PnlExit:
        """Remove it."""
        return await self._call(table.REMOVE_PNL_EXIT)

    async def edis_tpin(self) -> Said:
        """Have a T-PIN sent to the owner's telephone."""
        return await self._call(table.EDIS_TPIN)

    async def edis_form(self, body: EdisFormBody) -> EdisForm:
        """The page on which the owner lets shares leave the demat account."""
        return await self._call(table.EDIS_FORM, body)

    async def edis_inquiry(self, isin: str = "ALL") -> tuple[EdisStatus, ...]:
        """What may leave the demat account, of one ISIN or of all."""
        return await self._call(table.EDIS_INQUIRY, isin=isin)

    # --- prices ----------------------------------------------------------------------------------------------------

    async def ltp(self, keys: Collection[int]) -> dict[int, LastPrice]:
        """Last prices by key, in requests of 1,000; instruments Dhan does not know are left out."""
        return _by_key([answer.data for answer in await self._prices(table.LAST_PRICES, keys)])

    async def ohlc(self, keys: Collection[int]) -> dict[int, LastAndDay]:
        """Last prices and the day's open, high, low and close, as `ltp`."""
        return _by_key([answer.data for answer in await self._prices(table.DAY_PRICES, keys)])

    async def quote(self, keys: Collection[int]) -> dict[int, Quote]:
        """Prices, depth, volume, open interest and limits of the day, as `ltp`."""
        return _by_key([answer.data for answer in await self._prices(table.QUOTES, keys)])

    async def daily(
        self, key: int, instrument: str, first: date, last: date, *, expiry_code: int = 0, open_interest: bool = False
    ) -> tuple[Bar, ...]:
        """Days from ``first`` to ``last``, both included. ``instrument``: INDEX, OPTIDX, FUTIDX, EQUITY, ..."""
        return await self.history.daily(
            key, instrument, first, last, expiry_code=expiry_code, open_interest=open_interest
        )

    async def intraday(
        self,
        key: int,
        instrument: str,
        from_ns: int,
        to_ns: int,
        *,
        interval_min: int = 1,
        open_interest: bool = False,
        expiry: date | None = None,
    ) -> tuple[Bar, ...]:
        """Bars of 1, 5, 15, 25 or 60 minutes that start in ``[from_ns, to_ns)``; only those of trading hours."""
        return await self.history.intraday(
            key, instrument, from_ns, to_ns, interval_min=interval_min, open_interest=open_interest, expiry=expiry
        )

    async def rolling_options(
        self,
        underlying: Index,
        option_type: OptionType,
        first: date,
        last: date,
        *,
        expiry_flag: str = "WEEK",
        expiry_code: int = 1,
        strike: str = "ATM",
        interval_min: int = 1,
    ) -> tuple[RollingBar, ...]:
        """Bars of expired options by their distance from the money; see `DhanHistory.rolling_options`."""
        return await self.history.rolling_options(
            underlying,
            option_type,
            first,
            last,
            expiry_flag=expiry_flag,
            expiry_code=expiry_code,
            strike=strike,
            interval_min=interval_min,
        )

    async def expiries(self, underlying_key: int) -> tuple[date, ...]:
        """The expiries of an underlying that are listed, ascending."""
        body = UnderlyingBody(
            underlying_scrip=key_security_id(underlying_key), underlying_seg=key_segment(underlying_key).name
        )
        found = await self._call(table.EXPIRY_LIST, body)
        try:
            return tuple(sorted(iso_date(one, "expiry") for one in found.data))
        except DataError as fault:
            raise self.rest.unreadable(f"{table.EXPIRY_LIST}: {fault}") from None

    async def option_chain(self, underlying_key: int, expiry: date) -> ChainData:
        """A chain as Dhan has it, with its greeks. The same chain may be asked for once in three seconds."""
        body = ChainBody(
            underlying_scrip=key_security_id(underlying_key),
            underlying_seg=key_segment(underlying_key).name,
            expiry=expiry.isoformat(),
        )
        chain = (await self._call(table.OPTION_CHAIN, body)).data
        try:
            chain.strikes()
        except DataError as fault:
            raise self.rest.unreadable(f"{table.OPTION_CHAIN}: {fault}") from None
        return chain

    # --- instruments -----------------------------------------------------------------------------------------------

    async def contracts(
        self, underlyings: Collection[str], day: date, until: date, url: str | None = None
    ) -> Catalogue:
        """Index options that expire from ``day`` to ``until``, out of the master file (or another one, by its URL)."""
        return await read_catalogue(self.rest, url or self._settings.csv_url, underlyings, day, until)

    def segment_url(self, segment: Segment) -> str:
        """Where the file of one segment is, for `contracts`."""
        return f"{self.rest.base_url}/instrument/{segment.name}"

    async def download(self, url: str, take: Callable[[bytes], None]) -> None:
        """A file of Dhan's, chunk by chunk. No credentials are sent."""
        await self.rest.download(url, take)

    # --- asking ----------------------------------------------------------------------------------------------------

    async def _call(
        self,
        endpoint: Endpoint[R],
        body: msgspec.Struct | None = None,
        *,
        priority: Priority = Priority.DATA,
        **arguments: str,
    ) -> R:
        for name, value in arguments.items():
            if not value:
                raise ValueError(f"{endpoint}: {name} is empty")
        return await self.rest.call(endpoint, body, priority=priority, arguments=arguments)

    async def _ask(
        self, endpoint: Endpoint[R], body: msgspec.Struct | None, priority: Priority, **arguments: str
    ) -> Outcome:
        for name, value in arguments.items():
            if not value:
                return Rejected(f"not sent: {endpoint}: {name} is empty")
        return await self.rest.ask(endpoint, body, priority=priority, arguments=arguments)

    async def _prices(self, endpoint: Endpoint[R], keys: Collection[int]) -> list[R]:
        listed = iter(sorted(set(keys)))
        found: list[R] = []
        while some := tuple(islice(listed, MOST_INSTRUMENTS)):
            ids: dict[Segment, list[int]] = {}
            for key in some:
                ids.setdefault(key_segment(key), []).append(key_security_id(key))
            found.append(await self._call(endpoint, instruments_body(ids)))
        return found


def _log_throttled(told: Throttled) -> None:
    pause_s = (told.paused_until_ns - told.at_ns) / NS_PER_SECOND
    log.warning(
        "Dhan says too often, time %d: requests of the kind %s pause for %.1f s", told.count, told.family, pause_s
    )


def _by_key(answers: Iterable[Mapping[str, Mapping[str, _Price]]]) -> dict[int, _Price]:
    try:
        return {
            segment_key(segment, security_id): price
            for answer in answers
            for segment, prices in answer.items()
            for security_id, price in prices.items()
        }
    except DataError as fault:
        raise AnswerUnreadable(f"prices: {fault}") from None


def _unfit(order_type: str, correlation_id: str | None = None) -> Rejected | None:
    """Why an order is not sent, whatever else is in it; None when it is."""
    if order_type in _MARKET:
        return Rejected(
            f"not sent: {order_type} leaves the price to the broker; send LIMIT or STOP_LOSS with a limit of your own"
        )
    if correlation_id is not None and not 0 < len(correlation_id) <= MOST_CORRELATION:
        return Rejected(f"not sent: correlation id {correlation_id!r} is not 1 to {MOST_CORRELATION} long")
    return None


def _unfit_order(body: OrderBody) -> Rejected | None:
    if body.after_market_order and not body.amo_time:
        return Rejected("not sent: an order for after the market needs amo_time: PRE_OPEN, OPEN, OPEN_30 or OPEN_60")
    return _unfit(body.order_type, body.correlation_id)


def _unfit_any(orders: Iterable[TriggerOrder]) -> Rejected | None:
    return next((unfit for order in orders if (unfit := _unfit(order.order_type))), None)


def _first(rows: tuple[R, ...]) -> R | None:
    return rows[0] if rows else None
