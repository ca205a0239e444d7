"""Orders over a real connection: three answers, and what is true of the connection when each is given."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import date

import msgspec
import pytest

from algo_scalper.adapters.dhan.failures import DhanRefused, FailureKind
from algo_scalper.adapters.dhan.orders import DhanBroker, at_market, stop_order
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.errors import BrokerRefused, BrokerUnreachable
from algo_scalper.domain.instruments import Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.orders import BrokerStatus, OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Broker, Outcome, Rejected, Unknown
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.dhan.doubles import CLIENT, TOKEN, HandClock, HttpServer, http_server, settings_for

BOTH_LOOPS = True

OPTION = instrument_key(Segment.NSE_FNO, 42500)
PLACE = PlaceOrder("as1-12-000001", OPTION, Side.BUY, OrderKind.LIMIT, 130, 11_235, 0, Purpose.ENTRY, Product.INTRADAY)
MODIFY = ModifyOrder("as1-12-000001", "752502167405", OPTION, OrderKind.STOP_LIMIT, 130, 9_000, 9_100, Purpose.EXIT)
CANCEL = CancelOrder("as1-12-000001", "752502167405", OPTION, Purpose.EXIT)
PLACED = (200, {"orderId": "752502167405", "orderStatus": "TRANSIT"})


class Desk:
    def __init__(self, server: HttpServer, port: int | None = None) -> None:
        self.server = server
        self.clock = HandClock()
        self.rest = DhanRest(settings_for(port or server.port), self.clock)
        self.broker = DhanBroker(self.rest, self.clock)

    async def ask(self, which: str) -> Outcome:
        if which == "place":
            return await self.broker.place(PLACE)
        if which == "modify":
            return await self.broker.modify(MODIFY)
        return await self.broker.cancel(CANCEL)


@contextlib.asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    async with http_server() as server:
        one = Desk(server)
        try:
            yield one
        finally:
            await one.rest.close()


PATH = {"place": "/v2/orders", "modify": "/v2/orders/752502167405", "cancel": "/v2/orders/752502167405"}
EACH = pytest.mark.parametrize("which", ["place", "modify", "cancel"])


def test_it_is_a_broker() -> None:
    clock = HandClock()
    broker: Broker = DhanBroker(DhanRest(settings_for(), clock), clock)
    assert broker is not None


async def test_a_placed_order_is_the_documented_body() -> None:
    async with desk() as one:
        one.server.answers["/v2/orders"] = [PLACED]
        assert await one.broker.place(PLACE) == Accepted("752502167405")
        (asked,) = one.server.asked
        assert (asked.method, asked.headers["access-token"], asked.headers["client-id"]) == ("POST", TOKEN, CLIENT)
        assert asked.headers["content-type"] == "application/json"
        assert asked.json == {
            "dhanClientId": CLIENT,
            "correlationId": "as1-12-000001",
            "transactionType": "BUY",
            "exchangeSegment": "NSE_FNO",
            "productType": "INTRADAY",
            "orderType": "LIMIT",
            "validity": "DAY",
            "securityId": "42500",
            "quantity": 130,
            "disclosedQuantity": 0,
            "price": 112.35,
            "triggerPrice": 0.0,
            "afterMarketOrder": False,
        }


async def test_a_modification_sends_the_whole_order() -> None:
    async with desk() as one:
        one.server.answers[PATH["modify"]] = [PLACED]
        assert await one.broker.modify(MODIFY) == Accepted("752502167405")
        (asked,) = one.server.asked
        assert asked.method == "PUT"
        assert asked.json == {
            "dhanClientId": CLIENT,
            "orderId": "752502167405",
            "orderType": "STOP_LOSS",
            "legName": "NA",
            "quantity": 130,
            "price": 90.0,
            "disclosedQuantity": 0,
            "triggerPrice": 91.0,
            "validity": "DAY",
        }


@pytest.mark.parametrize("status", [200, 202])
async def test_a_cancel_is_accepted_with_any_success(status: int) -> None:
    async with desk() as one:
        one.server.answers[PATH["cancel"]] = [(status, {"orderId": "752502167405", "orderStatus": "CANCELLED"})]
        assert await one.broker.cancel(CANCEL) == Accepted("752502167405")
        assert (one.server.asked[0].method, one.server.asked[0].body) == ("DELETE", b"")


@EACH
async def test_no_answer_in_time_is_unknown_and_its_connection_is_gone_by_then(which: str) -> None:
    async with desk() as one:
        one.server.answers[PATH[which]] = ["hold"]
        asking = asyncio.ensure_future(one.ask(which))
        await one.server.arrived.get()
        assert one.server.established() == 1
        await one.clock.slept(lambda wake: wake == 5 * NS_PER_SECOND)
        one.clock.advance(5 * NS_PER_SECOND - 1)
        assert not asking.done()
        one.clock.advance(1)
        outcome = await asking
        assert one.server.established() == 0, "asked of the kernel in the very step the outcome is returned"
        assert isinstance(outcome, Unknown)
        assert "no answer within 5 s" in outcome.detail
        assert TOKEN not in outcome.detail
        await one.server.gone.get()
        assert len(one.server.asked) == 1


@EACH
@pytest.mark.parametrize("how", ["reset", "eof"])
async def test_a_lost_connection_is_unknown_and_nothing_is_sent_twice(which: str, how: str) -> None:
    async with desk() as one:
        # A first request leaves a kept connection behind: that is where libraries repeat PUT and DELETE by themselves.
        one.server.answers["/v2/orders/7"] = [(200, [])]
        one.server.answers[PATH[which]] = [how, PLACED]
        assert await one.broker.order_by_id("7") is None
        outcome = await one.ask(which)
        assert isinstance(outcome, Unknown)
        assert one.server.established() == 0
        assert [asked.path for asked in one.server.asked] == ["/v2/orders/7", PATH[which]]
        assert one.server.opened == 1


@EACH
@pytest.mark.parametrize(
    "reply",
    [
        (500, {"errorType": "X", "errorCode": "DH-908", "errorMessage": "Internal error"}),
        (502, b"<html>bad gateway</html>"),
        (503, b""),
        (408, b"timeout"),
        (301, b""),
        (200, {"orderStatus": "TRANSIT"}),
        (200, b"hello"),
        (200, b""),
    ],
)
async def test_an_answer_that_settles_nothing_is_unknown(which: str, reply: tuple[int, object]) -> None:
    async with desk() as one:
        one.server.answers[PATH[which]] = [reply]
        outcome = await one.ask(which)
        assert one.server.established() == 0
        assert isinstance(outcome, Unknown)
        assert len(one.server.asked) == 1


async def test_nobody_listens_so_not_a_byte_left() -> None:
    async with desk() as one:
        port = one.server.port
    nowhere = Desk(one.server, port)
    for which in PATH:
        outcome = await nowhere.ask(which)
        assert isinstance(outcome, Rejected)
        assert outcome.reason.startswith("not sent: ")
    await nowhere.rest.close()


@EACH
@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (400, {"errorType": "Input_Exception", "errorCode": "DH-905", "errorMessage": "Invalid IP"}, "Invalid IP"),
        (
            400,
            {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Order is in Transit state"},
            "Transit",
        ),
        (429, {"errorType": "Rate_Limit", "errorCode": "DH-904", "errorMessage": "Too many requests"}, "Too many"),
        (401, {"errorType": "I", "errorCode": "DH-901", "errorMessage": "token is invalid or expired."}, "DH-901"),
        (200, {"status": "failure", "errorCode": "E001", "errorMessage": "bad"}, "E001 bad"),
        (403, b"<html>forbidden</html>", "forbidden"),
    ],
)
async def test_a_no_carries_the_brokers_words(which: str, status: int, body: object, words: str) -> None:
    async with desk() as one:
        one.server.answers[PATH[which]] = [(status, body)]
        outcome = await one.ask(which)
        assert isinstance(outcome, Rejected)
        assert words in outcome.reason
        assert one.server.established() == 1, "a no is an answer: the connection is kept"


async def test_what_cannot_be_right_is_not_sent() -> None:
    async with desk() as one:
        long = PlaceOrder("x" * 26, OPTION, Side.BUY, OrderKind.LIMIT, 65, 5, 0, Purpose.ENTRY, Product.INTRADAY)
        assert isinstance(await one.broker.place(long), Rejected)
        lost = CancelOrder("as1-12-000001", "", OPTION, Purpose.EXIT)
        assert isinstance(await one.broker.cancel(lost), Rejected)
        assert one.server.asked == []


async def test_giving_up_from_above_cuts_the_connection() -> None:
    async with desk() as one:
        one.server.answers["/v2/orders"] = ["hold"]
        asking = asyncio.ensure_future(one.ask("place"))
        await one.server.arrived.get()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert one.server.established() == 0


ROW = {
    "dhanClientId": CLIENT,
    "orderId": "242260930378013",
    "correlationId": "as1-12-000001",
    "orderStatus": "TRADED",
    "transactionType": "BUY",
    "exchangeSegment": "NSE_FNO",
    "productType": "MARGIN",
    "orderType": "MARKET",
    "securityId": "42500",
    "quantity": 65,
    "price": 52.65,
    "triggerPrice": 0.0,
    "omsErrorDescription": "TRADE CONFIRMED",
    "remainingQuantity": 0,
    "averageTradedPrice": 52.65,
    "filledQty": 65,
}
POSITION = {
    "securityId": "42500",
    "exchangeSegment": "NSE_FNO",
    "productType": "INTRADAY",
    "netQty": 65,
    "buyQty": 130,
    "sellQty": 65,
    "carryForwardBuyValue": 0.0,
    "dayBuyValue": 6846.25,
    "carryForwardSellValue": 0.0,
    "daySellValue": 3425.5,
}
FUNDS = {"availabelBalance": 100_000.18, "sodLimit": 90_000.0, "collateralAmount": 5_000.5}


def book(one: Desk, **changed: tuple[int, object]) -> None:
    parts: dict[str, tuple[int, object]] = {
        "/v2/orders": (200, [ROW]),
        "/v2/positions": (200, [POSITION]),
        "/v2/fundlimit": (200, FUNDS),
        **changed,
    }
    one.server.answers = {path: [reply] for path, reply in parts.items()}


async def test_the_book_is_read_whole() -> None:
    async with desk() as one:
        book(one)
        read = await one.broker.read_book()
        assert (read.began_ns, read.at_ns) == (one.clock.now_ns(), one.clock.now_ns())
        (row,) = read.orders
        assert (row.correlation_id, row.status, row.filled_quantity) == ("as1-12-000001", BrokerStatus.TRADED, 65)
        assert row.filled_value_paise == 65 * 5_265
        (position,) = read.positions
        assert (position.net_quantity, position.bought_value_paise, position.sold_value_paise) == (65, 684_625, 342_550)
        assert (read.funds.available_paise, read.funds.usable_paise) == (10_000_018, 9_000_000)


@pytest.mark.parametrize("part", ["/v2/orders", "/v2/positions", "/v2/fundlimit"])
async def test_a_book_with_a_part_missing_is_not_a_book(part: str) -> None:
    async with desk() as one:
        book(one, **{part: (400, {"errorType": "O", "errorCode": "DH-906", "errorMessage": "Invalid Token"})})
        with pytest.raises(DhanRefused, match="Invalid Token") as refused:
            await one.broker.read_book()
        assert refused.value.failure.kind is FailureKind.CREDENTIALS
        book(one, **{part: (503, b"")})
        with pytest.raises(BrokerUnreachable):
            await one.broker.read_book()
        book(one, **{part: (200, b"<html>")})
        with pytest.raises(BrokerRefused, match="not JSON"):
            await one.broker.read_book()
        book(one, **{part: (200, "a string")})
        with pytest.raises(BrokerRefused):
            await one.broker.read_book()


async def test_a_row_of_ours_that_makes_no_sense_is_never_silently_missing() -> None:
    async with desk() as one:
        book(one, **{"/v2/orders": (200, [ROW, {**ROW, "orderStatus": "DREAMING"}])})
        with pytest.raises(BrokerRefused, match="DREAMING"):
            await one.broker.read_book()
        book(one, **{"/v2/orders": (200, [ROW, {**ROW, "exchangeSegment": "NYSE", "orderStatus": "DREAMING"}])})
        assert len((await one.broker.read_book()).orders) == 1


async def test_two_products_of_a_contract_are_one_position() -> None:
    async with desk() as one:
        book(one, **{"/v2/positions": (200, [POSITION, {**POSITION, "productType": "MARGIN", "netQty": -65}])})
        (position,) = (await one.broker.read_book()).positions
        assert (position.net_quantity, position.bought_quantity, position.sold_value_paise) == (0, 260, 685_100)


@pytest.mark.parametrize("shape", [ROW, [ROW]])
async def test_an_order_by_id_comes_as_an_object_or_a_list(shape: object) -> None:
    async with desk() as one:
        one.server.answers["/v2/orders/242260930378013"] = [(200, shape)]
        one.server.answers["/v2/orders/0"] = [(200, [])]
        found = await one.broker.order_by_id("242260930378013")
        assert found is not None
        assert found.broker_id == "242260930378013"
        assert await one.broker.order_by_id("0") is None


async def test_an_order_by_correlation_id() -> None:
    unknown = {"errorCode": "DH-906", "errorMessage": "Incorrect request for order and cannot be processed"}
    async with desk() as one:
        one.server.answers["/v2/orders/external/as1-12-000001"] = [(200, [ROW]), (404, unknown), (400, unknown)]
        found = await one.broker.order_by_correlation("as1-12-000001")
        assert found is not None
        assert await one.broker.order_by_correlation("as1-12-000001") is None
        with pytest.raises(DhanRefused):
            await one.broker.order_by_correlation("as1-12-000001")


class Gate:
    """Numbers requests and holds each answer until it is let go."""

    def __init__(self) -> None:
        self.numbers = 0
        self.read: asyncio.Queue[int] = asyncio.Queue()
        self.turn = asyncio.Event()

    def stamp(self) -> tuple[int, Mapping[str, str]] | None:
        self.numbers += 1
        return self.numbers, {"X-Sim-Seq": str(self.numbers)}

    async def arrived(self, seq: int) -> None:
        self.read.put_nowait(seq)
        await self.turn.wait()


async def test_a_gate_numbers_requests_and_holds_their_answers() -> None:
    async with http_server() as server:
        gate, clock = Gate(), HandClock()
        rest = DhanRest(settings_for(server.port), clock, gate)
        server.answers["/v2/orders"] = [PLACED]
        asking = asyncio.ensure_future(DhanBroker(rest, clock).place(PLACE))
        assert await gate.read.get() == 1
        assert server.asked[0].headers["x-sim-seq"] == "1"
        clock.advance(60 * NS_PER_SECOND)  # the answer is here: no deadline can take it back
        assert not asking.done()
        gate.turn.set()
        assert await asking == Accepted("752502167405")
        await rest.close()


CALL = Contract(OPTION, "NIFTY", date(2026, 12, 1), 2_500_000, OptionType.CE, 65, 5, 1_755)


async def test_a_buy_no_exchange_takes_is_not_sent_and_a_sell_is() -> None:
    async with desk() as one:
        broker = DhanBroker(one.rest, one.clock, {OPTION: CALL})
        crooked = msgspec.structs.replace(PLACE, quantity=100)
        assert await broker.place(crooked) == Rejected(
            "not sent: NIFTY 01 DEC 25000 CE: quantity 100 is not a multiple of the lot 65"
        )
        assert one.server.asked == []
        one.server.answers["/v2/orders"] = [PLACED]
        assert isinstance(await broker.place(msgspec.structs.replace(crooked, side=Side.SELL)), Accepted)


async def test_slices_are_sent_one_after_the_other_until_one_is_not_accepted() -> None:
    async with desk() as one:
        one.server.answers["/v2/orders"] = [PLACED, (500, {}), PLACED]
        big = msgspec.structs.replace(PLACE, quantity=65 * 60)
        first, second = await one.broker.place_sliced(big, CALL)
        assert isinstance(first, Accepted)
        assert isinstance(second, Unknown), "what is unknown is settled before more is sent"
        sent = [(asked.json["correlationId"], asked.json["quantity"]) for asked in one.server.asked]
        assert sent == [("as1-12-000001-1", 1_755), ("as1-12-000001-2", 1_755)]
        with pytest.raises(ValueError, match="room"):
            await one.broker.place_sliced(msgspec.structs.replace(big, order_id="x" * 24), CALL)


def test_market_orders_are_limits_with_a_stated_protection() -> None:
    buy = at_market("a", CALL, Side.BUY, 65, 12_000)
    assert (buy.kind, buy.price_paise, buy.purpose) == (OrderKind.LIMIT, 12_240, Purpose.ENTRY)
    sell = at_market("a", CALL, Side.SELL, 65, 12_000)
    assert (sell.price_paise, sell.purpose) == (11_760, Purpose.EXIT)
    stop = stop_order("a", CALL, Side.SELL, 65, 8_400)
    assert (stop.kind, stop.trigger_paise, stop.price_paise) == (OrderKind.STOP_LIMIT, 8_400, 6_725)


def book_row(correlation_id: str) -> dict[str, object]:
    return {
        "orderId": "752502167405",
        "correlationId": correlation_id,
        "orderStatus": "PENDING",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_FNO",
        "orderType": "LIMIT",
        "securityId": "42500",
        "quantity": 65,
        "price": 100.0,
    }


async def settled(one: Desk, since_ns: int) -> Outcome:
    """Let the clock run as long as anybody waits for it."""
    settling = asyncio.ensure_future(one.broker.settle("as1-12-000001", since_ns))
    while not settling.done():
        pauses = [wake for wake in one.clock.wakes_ns if wake == 2 * NS_PER_SECOND]
        if pauses:
            one.clock.advance(pauses[0])
        await asyncio.sleep(0)
    return settling.result()


async def test_an_unknown_order_that_is_in_the_book_was_accepted() -> None:
    async with desk() as one:
        one.server.answers["/v2/orders"] = [(200, []), (200, [book_row("other"), book_row("as1-12-000001")])]
        assert await settled(one, one.clock.now_ns()) == Accepted("752502167405")
        assert len(one.server.asked) == 2


async def test_an_unknown_order_absent_in_two_books_after_the_bound_never_arrived() -> None:
    async with desk() as one:
        one.server.answers["/v2/orders"] = [(200, [])]
        outcome = await settled(one, one.clock.now_ns())
        assert isinstance(outcome, Rejected)
        assert "never arrived" in outcome.reason
        assert len(one.server.asked) == 7, "at 0, 2, 4, 6 and 8 s it may still be on its way; 10 and 12 count"
        assert {asked.method for asked in one.server.asked} == {"GET"}


async def test_an_unknown_order_stays_unknown_while_the_book_cannot_be_read() -> None:
    async with desk() as one:
        one.server.answers["/v2/orders"] = [(500, {})]
        outcome = await settled(one, one.clock.now_ns())
        assert isinstance(outcome, Unknown)
        assert "as1-12-000001" in outcome.detail
