"""A probe as it is done: each step tries a fact, and whatever ends it, nothing of it is left at the broker.

Its orders carry a tag of their own, so that a running engine takes them for somebody else's. An order request is never
repeated: after a lost answer the order book is read, and the probe ends there.
"""

from __future__ import annotations

import asyncio
import contextlib
import string
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from algo_scalper.adapters.dhan.bodies import PnlExitBody
from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.endpoints import ORDER_BY_CORRELATION, PUT_PNL_EXIT
from algo_scalper.adapters.dhan.failures import DhanRefused
from algo_scalper.adapters.dhan.order_stream import DhanOrderStream
from algo_scalper.adapters.dhan.orders import at_market, stop_order
from algo_scalper.adapters.dhan.packets import Buffer
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.waiting import done_by
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.errors import BrokerError
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Chance, Clock, Outcome, Rejected, Unknown
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND, rupees_text, tick_down, tick_up
from algo_scalper.runtime.probe.plan import PNL_EXIT_PAISE, ProbePlan
from algo_scalper.runtime.probe.record import Fact, ProbeResult, Verdict, result_of

TAG = "PRB"
LOOK_EVERY_NS = 300 * NS_PER_MS
SEEN_WITHIN_NS = 5 * NS_PER_SECOND
SETTLE_NS = 10 * NS_PER_SECOND
"""So long after a lost answer a book that does not have the order proves that it never arrived."""
CLEAN_WITHIN_NS = 90 * NS_PER_SECOND
SECOND_SELL_ABOVE_PAISE = 1_500
"""Within the band of Rs 20, and nowhere near the market of an option of Rs 2 to 5."""

_WORKING = frozenset({BrokerStatus.TRANSIT, BrokerStatus.PENDING, BrokerStatus.PART_TRADED})
_OVER = frozenset({BrokerStatus.TRADED, BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED})
_DIGITS = string.digits + string.ascii_uppercase
_T = TypeVar("_T")


class _ProbeEnds(Exception):
    """A step ended in a way on which the next cannot be built."""


class Probe:
    """One probe of one account. Use it once."""

    def __init__(
        self,
        client: DhanClient,
        dhan: DhanSettings,
        clock: Clock,
        plan: ProbePlan,
        chance: Chance,
        say: Callable[[str], None],
    ) -> None:
        """``clock`` is this machine's: deadlines are real time. ``say`` prints a line for the person who watches."""
        self._client = client
        self._broker = client.broker
        self._dhan = dhan
        self._clock = clock
        self._plan = plan
        self._say = say
        self._tag = f"{TAG}{_base36(clock.now_ns() // NS_PER_SECOND)}"
        self._placed = 0
        self._lost_ns = 0
        self._accepted: set[str] = set()
        self._pnl_exit_set = False
        self._facts: list[Fact] = []
        self._samples: dict[str, str] = {}
        self._pushes: list[BrokerOrder] = []
        self._pushed_texts: list[str] = []
        self._losses: list[str] = []
        self._socket = DhanOrderStream(
            dhan,
            clock,
            chance,
            on_report=lambda row, _: self._pushes.append(row),
            on_unreadable=lambda text: self._samples.__setitem__("unreadable push", text),
            on_lost=self._losses.append,
            on_restored=lambda _: None,
            contracts={plan.contract.key: plan.contract},
            frame_gate=self._on_frame,
        )

    async def run(self) -> ProbeResult:
        """Do it. Cancelled at any step it ends, but not before it has taken back what it placed."""
        listening = asyncio.create_task(self._socket.run())
        finished = clean = False
        try:
            try:
                await self._socket_takes_the_login()
                await self._far_order()
                if self._plan.round_trip:
                    await self._brokers_own_exit()
                    await self._round_trip()
                finished = True
            except (_ProbeEnds, BrokerError) as ended:
                self._say(f"the probe ends early: {self._dhan.masked(str(ended))}")
            except asyncio.CancelledError:
                self._say("interrupted: what was placed is taken back first")
            clean = await _through(asyncio.create_task(self._clean_up()))
        finally:
            listening.cancel()
            await asyncio.wait((listening,))
        return result_of(
            self._dhan,
            self._clock.now_ns(),
            self._plan.contract.name,
            self._facts,
            self._samples,
            round_trip=self._plan.round_trip,
            clean=clean,
            finished=finished,
        )

    # --- the far order ---------------------------------------------------------------------------------------------

    async def _socket_takes_the_login(self) -> None:
        up = asyncio.ensure_future(self._socket.wait_up())
        came_up = await self._within(2 * SEEN_WITHIN_NS, up)
        if came_up:
            await self._pause(2 * NS_PER_SECOND)  # a refused login is a reset some milliseconds after it
        stays = came_up and self._socket.is_up and not self._losses
        seen = "stays open" if stays else f"lost: {self._losses[-1] if self._losses else self._socket.last_loss}"
        self._note("order socket login", "the socket stays open after the login", seen, stays)

    async def _far_order(self) -> None:
        plan, contract = self._plan, self._plan.contract
        command = PlaceOrder(
            self._next_id(),
            contract.key,
            Side.BUY,
            OrderKind.LIMIT,
            contract.lot,
            plan.far_paise,
            0,
            Purpose.ENTRY,
            Product.INTRADAY,
        )
        broker_id = await self._placing(command, "placing a limit")
        row = await self._found_by_correlation(command, broker_id)
        await self._pushed(broker_id, BrokerStatus.PENDING, "the order is pushed on the order socket")
        named = any(push.correlation_id == command.order_id for push in self._pushes if push.broker_id == broker_id)
        self._note("a push has our correlation id", "it does", "it does" if named else "it does not", named)
        camel = any('"orderNo"' in text for text in self._pushed_texts)
        self._note("keys of a push", "camelCase (orderNo)", "camelCase" if camel else "other", camel, needed=False)
        if row.status is BrokerStatus.REJECTED:
            raise _ProbeEnds(f"the order was rejected: {row.reason}")
        await self._changed_by_a_tick(command, broker_id)
        await self._cancelled_twice(command, broker_id)
        absent = await self._client.broker.order_by_correlation(f"{self._tag}-none")
        self._note(
            "an id nobody used",
            "404, told as no order",
            "no order" if absent is None else "an order",
            absent is None,
            needed=False,
        )

    async def _found_by_correlation(self, command: PlaceOrder, broker_id: str) -> BrokerOrder:
        began_ns, times = self._clock.now_ns(), 0
        row: BrokerOrder | None = None
        while self._clock.now_ns() < began_ns + SEEN_WITHIN_NS:
            times += 1
            row = await self._broker.order_by_correlation(command.order_id)
            if row is not None and row.status is not BrokerStatus.TRANSIT:
                break
            await self._pause(LOOK_EVERY_NS)
        if row is None:
            self._note("found by correlation id", f"within {SEEN_WITHIN_NS // NS_PER_SECOND} s", "not found", None)
            row = await self._broker.order_by_id(broker_id)
            if row is None:
                raise _ProbeEnds("the order is found neither by correlation id nor by its own")
            return row
        raw = await self._client.rest.raw(ORDER_BY_CORRELATION, arguments={"correlation_id": command.order_id})
        self._samples["order row"] = msgspec.json.encode(raw).decode()
        right = (
            row.broker_id == broker_id
            and row.price_paise == command.price_paise
            and row.quantity == command.quantity
            and row.status is BrokerStatus.PENDING
        )
        took_ms = (self._clock.now_ns() - began_ns) // NS_PER_MS
        seen = f"{row.status} at Rs {rupees_text(row.price_paise)} on look {times}, {took_ms} ms after the answer"
        self._note("found by correlation id", "PENDING, as it was sent", seen, right)
        return row

    async def _changed_by_a_tick(self, command: PlaceOrder, broker_id: str) -> None:
        price = command.price_paise + self._plan.contract.tick_paise
        change = ModifyOrder(
            command.order_id, broker_id, command.key, OrderKind.LIMIT, command.quantity, price, 0, Purpose.ENTRY
        )
        outcome = await self._ask(self._broker.modify(change))
        row = await self._until(broker_id, lambda found: found.price_paise == price)
        seen = f"{_word(outcome)}; the book has Rs {rupees_text(row.price_paise) if row else '?'}"
        self._note("changing its price", "accepted, and the book has the new price", seen, row is not None)

    async def _cancelled_twice(self, command: PlaceOrder, broker_id: str) -> None:
        cancel = CancelOrder(command.order_id, broker_id, command.key, Purpose.ENTRY)
        outcome = await self._ask(self._broker.cancel(cancel))
        row = await self._until(broker_id, lambda found: found.status in _OVER)
        gone = row is not None and row.status is BrokerStatus.CANCELLED
        self._note(
            "cancelling it", "accepted, then CANCELLED", f"{_word(outcome)}; {row.status if row else 'not over'}", gone
        )
        await self._pushed(broker_id, BrokerStatus.CANCELLED, "the cancellation is pushed on the order socket")
        again = await self._ask(self._broker.cancel(cancel))
        refused = isinstance(again, Rejected)
        self._note("cancelling it again", "rejected, DH-906", _word(again), refused, needed=False)

    # --- the round trip --------------------------------------------------------------------------------------------

    async def _brokers_own_exit(self) -> None:
        name, expected = "the broker's P&L exit", "set by POST, read back ACTIVE, removed"
        try:
            standing = await self._client.pnl_exit()
            active = standing.pnl_exit_status.upper() == "ACTIVE"
        except DhanRefused:
            active = False
        if active or any(row.net_qty for row in await self._client.positions()):
            self._note(name, expected, "left alone: one is set, or positions are open", None, needed=False)
            return
        try:
            way = await self._set_exit()
            read = (await self._client.pnl_exit()).pnl_exit_status
            removed = (await self._client.remove_pnl_exit()).pnl_exit_status
            self._pnl_exit_set = False
        except DhanRefused as refused:
            self._note(name, expected, str(refused), ok=False, needed=False)
            return
        right = way == "POST" and read.upper() == "ACTIVE" and removed.upper() == "DISABLED"
        self._note(name, expected, f"set by {way}, read back {read}, removed: {removed}", right, needed=False)

    async def _set_exit(self) -> str:
        """By which method it was set; sources disagree. What is refused is not set; what is lost may be."""
        body = PnlExitBody(profit_value_paise=PNL_EXIT_PAISE, loss_value_paise=PNL_EXIT_PAISE)
        try:
            self._pnl_exit_set = True
            await self._client.set_pnl_exit(body)
        except DhanRefused as refused:
            self._samples["P&L exit by POST"] = str(refused)
        else:
            return "POST"
        try:
            await self._client.rest.call(PUT_PNL_EXIT, body)
        except DhanRefused:
            self._pnl_exit_set = False
            raise
        return "PUT"

    async def _round_trip(self) -> None:
        contract, lot = self._plan.contract, self._plan.contract.lot
        bought = at_market(self._next_id(), contract, Side.BUY, lot, (await self._touch())[1])
        broker_id = await self._placing(bought, "buying one lot")
        row = await self._until(broker_id, lambda found: found.status in _OVER)
        if row is None or row.status is not BrokerStatus.TRADED:
            self._note("the buy trades", "TRADED", str(row.status if row else "still working"), None)
            raise _ProbeEnds("nothing was bought")
        self._note("the buy trades", "TRADED", f"TRADED for Rs {rupees_text(row.filled_value_paise)}", ok=True)
        bid_paise = (await self._touch())[0]
        trigger = max(tick_down(bid_paise // 2, contract.tick_paise), 2 * contract.tick_paise)
        stop = stop_order(self._next_id(), contract, Side.SELL, lot, trigger)
        stop_id = await self._placing(stop, "placing a stop under it")
        row = await self._until(stop_id, lambda found: found.status is not BrokerStatus.TRANSIT)
        rests = row is not None and row.status is BrokerStatus.PENDING and row.kind is OrderKind.STOP_LIMIT
        self._note("the stop rests", "PENDING, STOP_LOSS", _shown(row), rests)
        if not rests:
            raise _ProbeEnds("the stop does not rest")
        await self._second_sell()
        await self._stop_becomes_the_exit(stop, stop_id)

    async def _second_sell(self) -> None:
        contract = self._plan.contract
        price = tick_up(self._plan.quote.ltp_paise + SECOND_SELL_ABOVE_PAISE, contract.tick_paise)
        command = PlaceOrder(
            self._next_id(),
            contract.key,
            Side.SELL,
            OrderKind.LIMIT,
            contract.lot,
            price,
            0,
            Purpose.EXIT,
            Product.INTRADAY,
        )
        outcome = await self._ask(self._broker.place(command))
        if isinstance(outcome, Rejected):
            self._note("a second sell beside the stop", "refused, as a short sale", _word(outcome), ok=True)
            return
        broker_id = outcome.broker_id if isinstance(outcome, Accepted) else ""
        row = await self._until(broker_id, lambda found: found.status is not BrokerStatus.TRANSIT)
        refused = row is not None and row.status is BrokerStatus.REJECTED
        self._note("a second sell beside the stop", "refused, as a short sale", _shown(row), refused)
        if not refused:
            await self._ask(self._broker.cancel(CancelOrder(command.order_id, broker_id, contract.key, Purpose.EXIT)))
            if await self._until(broker_id, lambda found: found.status in _OVER) is None:
                raise _ProbeEnds("the second sell could not be cancelled")

    async def _stop_becomes_the_exit(self, stop: PlaceOrder, stop_id: str) -> None:
        contract = self._plan.contract
        limit = at_market("", contract, Side.SELL, contract.lot, (await self._touch())[0]).price_paise
        change = ModifyOrder(
            stop.order_id, stop_id, contract.key, OrderKind.LIMIT, contract.lot, limit, 0, Purpose.EXIT
        )
        outcome = await self._ask(self._broker.modify(change))
        row = await self._until(stop_id, lambda found: found.status in _OVER)
        sold = row is not None and row.status is BrokerStatus.TRADED
        self._note(
            "the stop becomes a limit and sells", "accepted, then TRADED", f"{_word(outcome)}; {_shown(row)}", sold
        )
        if sold:
            flat = not any(one.key == contract.key and one.net_quantity for one in await self._broker.positions())
            self._note("the position is gone", "0 held", "0 held" if flat else "still held", flat)

    # --- taking back -----------------------------------------------------------------------------------------------

    async def _clean_up(self) -> bool:
        """Until a book shows nothing of ours working or held; False, loudly, when that could not be had in time."""
        await self._remove_exit()
        if not self._placed:
            return not self._pnl_exit_set
        until_ns = self._clock.now_ns() + CLEAN_WITHIN_NS
        while self._clock.now_ns() < until_ns:
            try:
                began_ns = self._clock.now_ns()
                if await self._nothing_of_ours(await self._broker.read_book(), began_ns):
                    return not self._pnl_exit_set
            except BrokerError as fault:
                self._say(f"taking back: {self._dhan.masked(str(fault))}")
            await self._pause(LOOK_EVERY_NS)
        self._say(
            f"NOT TAKEN BACK within {CLEAN_WITHIN_NS // NS_PER_SECOND} s: look at the orders and positions in the Dhan app now, "
            f"contract {self._plan.contract.name}"
        )
        return False

    async def _remove_exit(self) -> None:
        if self._pnl_exit_set:
            try:
                await self._client.remove_pnl_exit()
                self._pnl_exit_set = False
            except BrokerError as fault:
                self._say(f"the broker's P&L exit may still be set: {self._dhan.masked(str(fault))}")

    async def _nothing_of_ours(self, book: BookRead, began_ns: int) -> bool:
        """True when nothing is left; else one round of cancelling, or of closing what is held.

        A book proves something only when it has all that was accepted, and was read long enough after a lost answer: a
        closing order on its way must not be followed by a second.
        """
        ours = [row for row in book.orders if row.correlation_id.startswith(f"{self._tag}-")]
        working = [row for row in ours if row.status in _WORKING]
        for row in working:
            self._say(f"cancelling {row.side.name.lower()} {row.correlation_id}")
            purpose = Purpose.ENTRY if row.side is Side.BUY else Purpose.EXIT
            await self._ask(self._broker.cancel(CancelOrder(row.correlation_id, row.broker_id, row.key, purpose)))
        settled = not self._lost_ns or began_ns >= self._lost_ns + SETTLE_NS
        if working or not settled or not self._accepted <= {row.broker_id for row in ours}:
            return False
        held = sum(row.filled_quantity if row.side is Side.BUY else -row.filled_quantity for row in ours)
        at_broker = sum(one.net_quantity for one in book.positions if one.key == self._plan.contract.key)
        # Never more than the broker has: what a person has closed meanwhile is closed.
        quantity = max(min(held, at_broker), 0) if held > 0 else min(max(held, at_broker), 0)
        if quantity:
            await self._close(quantity)
        return not quantity

    async def _close(self, quantity: int) -> None:
        side = Side.SELL if quantity > 0 else Side.BUY
        bid_paise, ask_paise = await self._touch()
        touch = bid_paise if side is Side.SELL else ask_paise
        self._say(f"{side.name.lower()}ing the {abs(quantity)} that are left")
        order = at_market(self._next_id(), self._plan.contract, side, abs(quantity), touch)
        outcome = await self._ask(self._broker.place(order))
        if isinstance(outcome, Accepted):
            await self._until(outcome.broker_id, lambda found: found.status in _OVER)

    # --- means -----------------------------------------------------------------------------------------------------

    def _next_id(self) -> str:
        self._placed += 1
        return f"{self._tag}-{self._placed}"

    async def _placing(self, command: PlaceOrder, name: str) -> str:
        """Place, note, and give the broker's id."""
        began_ns = self._clock.now_ns()
        outcome = await self._ask(self._broker.place(command))
        took_ms = (self._clock.now_ns() - began_ns) // NS_PER_MS
        accepted = isinstance(outcome, Accepted)
        self._note(name, "accepted, with an order id", f"{_word(outcome)} in {took_ms} ms", accepted)
        if isinstance(outcome, Accepted):
            return outcome.broker_id
        raise _ProbeEnds(f"{name}: {_word(outcome)}")

    async def _ask(self, request: Coroutine[Any, Any, Outcome]) -> Outcome:
        """Make a request, remembering what was accepted and when an answer was lost."""
        outcome = await request
        if isinstance(outcome, Unknown):
            self._lost_ns = self._clock.now_ns()
        if isinstance(outcome, Accepted):
            self._accepted.add(outcome.broker_id)
        return outcome

    async def _until(self, broker_id: str, wanted: Callable[[BrokerOrder], bool]) -> BrokerOrder | None:
        """The order's row once it is as ``wanted``; None when that does not come in time."""
        until_ns = self._clock.now_ns() + SEEN_WITHIN_NS
        while broker_id:
            row = await self._broker.order_by_id(broker_id)
            if row is not None and wanted(row):
                return row
            if self._clock.now_ns() >= until_ns:
                return None
            await self._pause(LOOK_EVERY_NS)
        return None

    async def _pushed(self, broker_id: str, status: BrokerStatus, name: str) -> None:
        began_ns = self._clock.now_ns()
        found: Sequence[BrokerOrder] = ()
        while self._clock.now_ns() < began_ns + SEEN_WITHIN_NS:
            found = [push for push in self._pushes if push.broker_id == broker_id]
            if any(push.status is status for push in found):
                break
            await self._pause(LOOK_EVERY_NS)
        states = ", ".join(push.status.value for push in found) or "nothing"
        self._note(name, status.value, states, any(push.status is status for push in found) if found else None)

    async def _touch(self) -> tuple[int, int]:
        """Best bid and ask now; of an empty side the last price, or what the plan saw."""
        quote = (await self._client.quote({self._plan.contract.key})).get(self._plan.contract.key)
        bids, asks = (quote.depth.buy, quote.depth.sell) if quote is not None else ((), ())
        if not bids or not asks or bids[0].price_paise <= 0 or asks[0].price_paise <= 0:
            if quote is not None and quote.last_price_paise > 0:
                return int(quote.last_price_paise), int(quote.last_price_paise)
            return self._plan.quote.bid_paise, self._plan.quote.ask_paise
        return int(bids[0].price_paise), int(asks[0].price_paise)

    def _on_frame(self, _: str, message: Buffer) -> None:
        text = bytes(message).decode(errors="replace")
        self._pushed_texts.append(text)
        if "order_alert" in text:
            self._samples["order push"] = text
        else:
            self._samples["first other message"] = text
        self._socket.deliver(message, self._clock.now_ns())

    def _note(self, name: str, expected: str, seen: str, ok: bool | None, *, needed: bool = True) -> None:
        verdict = Verdict.NOT_SEEN if ok is None else Verdict.AS_EXPECTED if ok else Verdict.DIFFERENT
        self._facts.append(Fact(name, expected, seen, verdict, needed))
        self._say(f"{verdict.value:<12} {name}: expected {expected}; seen: {self._dhan.masked(seen)}")

    async def _pause(self, for_ns: int) -> None:
        await self._clock.sleep_until(self._clock.now_ns() + for_ns)

    async def _within(self, for_ns: int, work: asyncio.Future[_T]) -> bool:
        done = await done_by(self._clock, self._clock.now_ns() + for_ns, work)
        work.cancel()
        return done


async def _through(work: asyncio.Task[_T]) -> _T:
    """The task's result, however often we are told to stop meanwhile: half taken back is worse than late."""
    while not work.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait((work,))
    return work.result()


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Accepted):
        return "accepted"
    return f"rejected: {outcome.reason}" if isinstance(outcome, Rejected) else f"answer lost: {outcome.detail}"


def _shown(row: BrokerOrder | None) -> str:
    if row is None:
        return "not in time"
    return f"{row.status.value} {row.kind.name}{' ' + row.reason if row.status is BrokerStatus.REJECTED else ''}"


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits
