"""The REST paths: who may call them, which budget they take, and how each is answered.

An endpoint returns a `Reply`, or something to be asked of the world and how the result is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from enum import Enum
from functools import partial

import msgspec

from algo_scalper.domain.commands import OrderCommand
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.instruments import INDEX_BY_KEY, Segment, instrument_key, key_security_id
from algo_scalper.domain.market import OptionChain
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus
from algo_scalper.domain.units import IST, NS_PER_MS, NS_PER_SECOND
from algo_scalper.interfaces.simulator import data_rows, master, rows
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import Refused, body_object, cancel_order, modify_order, place_order
from algo_scalper.interfaces.simulator.replies import (
    Reply,
    bad_input,
    data_authentication,
    data_error,
    data_success,
    data_unavailable,
    invalid_authentication,
    not_found,
    order_error,
    success,
    trading_error,
)
from algo_scalper.interfaces.simulator.tape import DayPrint
from algo_scalper.simulation.exchange import FOREIGN_ID

MOST_QUOTED = 1_000
LONGEST_CHART = timedelta(days=90)
SESSION_OPEN_S = 9 * 3600 + 15 * 60
_INTERVALS = ("1", "5", "15", "25", "60")
_INVALID_SECURITY = (400, 813, "Invalid SecurityId")
_CANNOT = "Incorrect request for order and cannot be processed"


class Call(msgspec.Struct, frozen=True):
    """One HTTP request, without its transport."""

    method: str
    path: str
    """Without ``/v2`` and trailing slash."""
    is_v2: bool
    token: str
    client_id: str
    body: bytes = b""


class OrderAsked(msgspec.Struct, frozen=True):
    """An order request for the world, and how its yes (with the broker's id) and its no (with the reason) are printed."""

    command: OrderCommand
    accepted: Callable[[str], Reply]
    rejected: Callable[[str], Reply]


class BookAsked(msgspec.Struct, frozen=True):
    """A reading of the book, and what of it is printed."""

    print: Callable[[BookRead], Reply]


class ChainAsked(msgspec.Struct, frozen=True):
    """An option chain, and how it is printed."""

    underlying: str
    expiry: date
    print: Callable[[OptionChain], Reply]


Asked = OrderAsked | BookAsked | ChainAsked


class Access(Enum):
    """Whose token is asked for, and what a bad one is answered."""

    OPEN = "open"
    READ = "read"
    WRITE = "write"
    DATA = "data"


class Endpoint(msgspec.Struct, frozen=True):
    """One path. ``argument`` is the last segment of a path ending in ``{}``."""

    access: Access
    family: Family
    answer: Callable[[Desk, Call, str], Reply | Asked]
    is_order: bool = False


def turned_away(access: Access) -> Reply:
    """What each family answers to a dead or unknown token."""
    if access is Access.DATA:
        return data_authentication()
    return invalid_authentication() if access is Access.READ else order_error("Invalid Token")


def find(method: str, path: str) -> tuple[Endpoint, str] | None:
    """The endpoint of a path and the argument in it."""
    exact = ENDPOINTS.get((method, path))
    if exact is not None:
        return exact, ""
    parent, _, last = path.rpartition("/")
    endpoint = ENDPOINTS.get((method, parent + "/{}"))
    return (endpoint, last) if endpoint is not None and last else None


def budget_key(call: Call) -> str:
    """What separates budgets within a family: the option chain's (underlying, expiry)."""
    if call.path != "/optionchain":
        return ""
    try:
        body = body_object(call.body)
    except Refused:
        return ""
    return f"{_either(body, 'UnderlyingScrip')}/{_either(body, 'Expiry')}"


# Orders


def _refused(reason: str) -> Reply:
    """The broker's no: a DH-905 for what cannot be asked, a DH-906 for what cannot be done."""
    code, _, text = reason.partition(": ")
    if code == "DH-905":
        return bad_input(text)
    return order_error(text if code == "DH-906" else reason)


def _place(desk: Desk, call: Call, _: str) -> Reply | Asked:
    try:
        command = place_order(call.body, desk.client_id, desk.world.now_ns, desk.last_paise)
    except Refused as refusal:
        return refusal.reply
    return OrderAsked(command, _in_transit, _refused)


def _modify(desk: Desk, call: Call, order_id: str) -> Reply | Asked:
    record = desk.order(order_id)
    if record is None:
        return order_error(_CANNOT)
    try:
        command = modify_order(call.body, record.row(), desk.last_paise)
    except Refused as refusal:
        return refusal.reply
    return OrderAsked(command, _in_transit, _refused)


def _in_transit(broker_id: str) -> Reply:
    return success({"orderId": broker_id, "orderStatus": "TRANSIT"})


def _cancel(desk: Desk, _: Call, order_id: str) -> Reply | Asked:
    record = desk.order(order_id)
    if record is None:
        return order_error(_CANNOT)
    if record.status is BrokerStatus.TRANSIT:
        return order_error("Order is in Transit state")
    return OrderAsked(cancel_order(record.row()), _cancelled, _refused)


def _cancelled(broker_id: str) -> Reply:
    return success({"orderId": broker_id, "orderStatus": "CANCELLED"})


def _order_rows(desk: Desk, found: Iterable[BrokerOrder]) -> list[dict[str, object]]:
    """Rows of the book, newest first."""
    printed = []
    for row in sorted(found, key=lambda row: row.broker_id, reverse=True):
        record = desk.order(row.broker_id)
        if record is not None:
            printed.append(rows.order_row(row, record, desk.contracts[row.key], desk.client_id))
    return printed


def _orders(desk: Desk, _: Call, __: str) -> BookAsked:
    return BookAsked(lambda book: success(_order_rows(desk, book.orders)))


def _order(desk: Desk, _: Call, order_id: str) -> BookAsked:
    """The documents promise an object; the server answers with a list, empty for an unknown id."""
    return BookAsked(lambda book: success(_order_rows(desk, [row for row in book.orders if row.broker_id == order_id])))


def _order_by_correlation(desk: Desk, _: Call, correlation_id: str) -> BookAsked:
    """The newest order under this id; in transit it is not found yet. An app's orders share ``NA`` and have no id."""

    def print_found(book: BookRead) -> Reply:
        found = _order_rows(
            desk,
            [
                row
                for row in book.orders
                if row.correlation_id == correlation_id != FOREIGN_ID and row.status is not BrokerStatus.TRANSIT
            ],
        )
        return success(found[0]) if found else order_error(_CANNOT, 404)

    return BookAsked(print_found)


def _trades(desk: Desk, _: Call, order_id: str) -> BookAsked:
    return BookAsked(
        lambda _: success(
            [
                rows.trade_row(fill, record, desk.contracts[fill.key], desk.client_id)
                for fill, record in desk.fills()
                if order_id in ("", fill.broker_id)
            ]
        )
    )


def _positions(desk: Desk, _: Call, __: str) -> BookAsked:
    return BookAsked(
        lambda book: success(
            [
                rows.position_row(
                    position,
                    desk.contracts[position.key],
                    desk.product_of(position.key),
                    desk.last_paise(position.key) if position.net_quantity else 0,
                    desk.client_id,
                )
                for position in book.positions
            ]
        ),
    )


def _funds(desk: Desk, _: Call, __: str) -> BookAsked:
    return BookAsked(lambda book: success(rows.funds_body(book.funds, desk.client_id)))


def _holdings(_: Desk, __: Call, ___: str) -> Reply:
    return trading_error(500, "HOLDING_ERROR", "DH-1111", "No holdings available")


def _profile(desk: Desk, _: Call, __: str) -> Reply:
    tomorrow = desk.day + timedelta(days=1)
    return success(
        {
            "dhanClientId": desk.client_id,
            "tokenValidity": f"{tomorrow:%d/%m/%Y} 08:00",
            "activeSegment": "E, D, C, M, ",
            "ddpi": "Deactive",
            "mtf": "Deactive",
            "dataPlan": "Active",
            "dataValidity": f"{desk.day + timedelta(days=30):%Y-%m-%d} 17:52:44.0",
        }
    )


def _kill_switch(desk: Desk, _: Call, __: str) -> Reply:
    return success({"dhanClientId": desk.client_id, "killSwitchStatus": "DEACTIVATE"})


def _static_ip(_: Desk, __: Call, ___: str) -> Reply:
    """No address was ever set on this account."""
    return success([{"message": "Something went wrong", "status": "ERROR"}])


# Market data


def _snapshots(desk: Desk, call: Call, print_one: Callable[[DayPrint], dict[str, object]]) -> Reply:
    """Segments and ids in the order of their text; what is not listed is left out without a word."""
    try:
        body = body_object(call.body)
    except Refused:
        return data_error(400, 814, "Invalid Request")
    asked = {name: ids for name, ids in sorted(body.items()) if name in Segment.__members__ and isinstance(ids, list)}
    if sum(map(len, asked.values())) > MOST_QUOTED:
        return data_error(400, 804, "Requested number of instruments exceeds limit")
    data: dict[str, dict[str, object]] = {}
    for name, ids in asked.items():
        keys = {instrument_key(Segment[name], number) for number in ids if isinstance(number, int) and number >= 0}
        listed = sorted(keys & desk.known, key=lambda key: str(key_security_id(key)))
        data[name] = {str(key_security_id(key)): print_one(desk.day_print(key)) for key in listed}
    return data_success(data)


def _ltp(desk: Desk, call: Call, _: str) -> Reply:
    return _snapshots(desk, call, data_rows.ltp_body)


def _ohlc(desk: Desk, call: Call, _: str) -> Reply:
    return _snapshots(desk, call, data_rows.ohlc_body)


def _quote(desk: Desk, call: Call, _: str) -> Reply:
    return _snapshots(desk, call, data_rows.quote_body)


def _either(body: dict[str, object], field: str) -> object:
    """A field by its documented name or with a lower first letter: both are accepted."""
    return body.get(field, body.get(field[0].lower() + field[1:]))


def _underlying(desk: Desk, body: dict[str, object]) -> str:
    """The index an option-chain request names; empty for anything else."""
    number, segment = _either(body, "UnderlyingScrip"), _either(body, "UnderlyingSeg")
    if segment != Segment.IDX_I.name or not isinstance(number, int):
        return ""
    index = INDEX_BY_KEY.get(instrument_key(Segment.IDX_I, number))
    return index.name if index is not None and index.key in desk.indices else ""


def _expiry_list(desk: Desk, call: Call, _: str) -> Reply:
    try:
        underlying = _underlying(desk, body_object(call.body))
    except Refused:
        underlying = ""
    if not underlying:
        return data_error(*_INVALID_SECURITY)
    return data_success(data_rows.expiry_list(desk.contracts.values(), underlying, desk.day))


def _chain(desk: Desk, call: Call, _: str) -> Reply | Asked:
    try:
        body = body_object(call.body)
    except Refused:
        return data_error(*_INVALID_SECURITY)
    underlying, asked = _underlying(desk, body), _either(body, "Expiry")
    if not underlying or not asked:
        return data_error(*_INVALID_SECURITY)
    try:
        expiry = date.fromisoformat(str(asked))
    except ValueError:
        return data_error(400, 812, "Invalid Date Format")
    if expiry.isoformat() not in data_rows.expiry_list(desk.contracts.values(), underlying, desk.day):
        return data_error(400, 811, "Invalid Expiry Date")

    def shape(chain: OptionChain) -> Reply:
        tops = partial(desk.top_quantities, at_ns=chain.at_ns)
        return data_success(data_rows.chain_data(chain, desk.contracts, desk.world.previous_close_paise, tops))

    return ChainAsked(underlying, expiry, shape)


def _charts(desk: Desk, call: Call, _: str) -> Reply:
    try:
        body = body_object(call.body)
        from_ns, until_ns = _span(body)
        if body.get("exchangeSegment") not in Segment.__members__ or str(body.get("interval")) not in _INTERVALS:
            return bad_input()
        number = int(str(body.get("securityId")))
    except Refused as refusal:
        return refusal.reply
    except ValueError:
        return bad_input()
    if until_ns - from_ns > LONGEST_CHART.total_seconds() * NS_PER_SECOND:
        return bad_input("Data for Intraday Charts can be fetched for 90 days at a time")
    key = instrument_key(Segment[str(body["exchangeSegment"])], number)
    # Only indices have a history here; for everything else the answer is the empty one of a holiday.
    candles = desk.world.history(key, desk.world.now_ns) if key in desk.indices else ()
    inside = [candle for candle in candles if from_ns <= candle.start_ns < until_ns]
    if not inside and not call.is_v2:
        return data_unavailable()
    bars = data_rows.coarser(inside, int(str(body["interval"])), SESSION_OPEN_S)
    return success(data_rows.chart_body(bars, with_oi=body.get("oi") is True))


def _span(body: dict[str, object]) -> tuple[int, int]:
    """[from, until) in UTC ns. A ``toDate`` of a date alone includes that day; a ``fromDate`` with a time is exclusive.

    Raises ValueError for what is no date.
    """
    begin, end = str(body.get("fromDate")), str(body.get("toDate"))
    from_ns, until_ns = _ist_ns(begin), _ist_ns(end)
    if len(end) <= len("2026-11-23"):
        until_ns += 86_400 * NS_PER_SECOND
    if len(begin) > len("2026-11-23") and not begin.endswith("00:00:00"):
        from_ns += 1
    return from_ns, until_ns


def _ist_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=IST).timestamp()) * NS_PER_SECOND


# Instrument lists


def _master(desk: Desk, _: Call, __: str) -> Reply:
    return Reply(200, master.compact_csv(desk.contracts.values()).encode(), "text/csv")


def _instruments(_: Desk, call: Call, segment: str) -> Reply:
    """The real one too only leads to a file."""
    if segment not in Segment.__members__:
        return not_found(f"/v2{call.path}", 0)
    return Reply(302, b"", location=f"/api-data/instrument/{segment}")


def _instrument_file(desk: Desk, call: Call, segment: str) -> Reply:
    if segment not in Segment.__members__:
        return not_found(call.path, desk.world.now_ns // NS_PER_MS)
    return Reply(200, master.detailed_csv(desk.contracts.values(), Segment[segment]).encode(), "text/csv")


ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("POST", "/orders"): Endpoint(Access.WRITE, Family.ORDER, _place, is_order=True),
    ("PUT", "/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _modify, is_order=True),
    ("DELETE", "/orders/{}"): Endpoint(Access.WRITE, Family.ORDER, _cancel, is_order=True),
    ("GET", "/orders"): Endpoint(Access.READ, Family.NON_TRADING, _orders),
    ("GET", "/orders/{}"): Endpoint(Access.READ, Family.NON_TRADING, _order),
    ("GET", "/orders/external/{}"): Endpoint(Access.READ, Family.NON_TRADING, _order_by_correlation),
    ("GET", "/trades"): Endpoint(Access.READ, Family.NON_TRADING, _trades),
    ("GET", "/trades/{}"): Endpoint(Access.READ, Family.NON_TRADING, _trades),
    ("GET", "/positions"): Endpoint(Access.READ, Family.NON_TRADING, _positions),
    ("GET", "/fundlimit"): Endpoint(Access.READ, Family.NON_TRADING, _funds),
    ("GET", "/holdings"): Endpoint(Access.READ, Family.NON_TRADING, _holdings),
    ("GET", "/profile"): Endpoint(Access.WRITE, Family.NON_TRADING, _profile),
    ("GET", "/killswitch"): Endpoint(Access.READ, Family.NON_TRADING, _kill_switch),
    ("GET", "/ip/getIP"): Endpoint(Access.READ, Family.NON_TRADING, _static_ip),
    ("POST", "/marketfeed/ltp"): Endpoint(Access.DATA, Family.QUOTE, _ltp),
    ("POST", "/marketfeed/ohlc"): Endpoint(Access.DATA, Family.QUOTE, _ohlc),
    ("POST", "/marketfeed/quote"): Endpoint(Access.DATA, Family.QUOTE, _quote),
    ("POST", "/optionchain"): Endpoint(Access.DATA, Family.CHAIN, _chain),
    ("POST", "/optionchain/expirylist"): Endpoint(Access.DATA, Family.DATA, _expiry_list),
    ("POST", "/charts/intraday"): Endpoint(Access.WRITE, Family.DATA, _charts),
    ("GET", "/instrument/{}"): Endpoint(Access.OPEN, Family.NON_TRADING, _instruments),
    ("GET", "/api-data/api-scrip-master.csv"): Endpoint(Access.OPEN, Family.NON_TRADING, _master),
    ("GET", "/api-data/instrument/{}"): Endpoint(Access.OPEN, Family.NON_TRADING, _instrument_file),
}
