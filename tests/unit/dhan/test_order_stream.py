"""Order pushes: real ones, glued ones, odd ones; and the socket they come on."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path

import pytest
from picows import WSMsgType

from algo_scalper.adapters.dhan.line import Gap, LineRules
from algo_scalper.adapters.dhan.order_stream import (
    MOST_ORDERS,
    DhanOrderStream,
    login_message,
    parse_alert,
    split_documents,
)
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.waiting import Backoff
from algo_scalper.domain.errors import BrokerUnreachable, ConfigError, DataError
from algo_scalper.domain.instruments import Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.orders import BrokerOrder, BrokerStatus, OrderKind, Side
from algo_scalper.domain.units import NS_PER_SECOND
from tests.shared_data import shared
from tests.unit.dhan.doubles import CLIENT, TOKEN, Half, HandClock, SocketServer, ended, settings_for, socket_server

OPTION = instrument_key(Segment.NSE_FNO, 53847)


def alert(**fields: object) -> dict[str, object]:
    data = {
        "exchange": "NSE",
        "segment": "D",
        "securityId": "53847",
        "orderNo": "102250326300826",
        "txnType": "S",
        "orderType": "LMT",
        "quantity": 75,
        "price": 133.5,
        "status": "Pending",
        "reasonDescription": "CONFIRMED",
        "correlationId": "as1-1-7",
    }
    return {"Data": {**data, **fields}, "Type": "order_alert"}


def row_of(**fields: object) -> BrokerOrder:
    found = parse_alert(alert(**fields))
    assert found is not None
    return found


def captured(name: str) -> BrokerOrder:
    document = json.loads(Path(shared(f"wire_samples/order_update/{name}.json")).read_text())["message"]
    found = parse_alert(document)
    assert found is not None
    return found


def test_a_real_fill() -> None:
    assert captured("nifty_option_lmt_traded_20250326") == BrokerOrder(
        correlation_id="1100000001-1742967679712",
        broker_id="102250326300826",
        key=OPTION,
        side=Side.SELL,
        kind=OrderKind.LIMIT,
        status=BrokerStatus.TRADED,
        quantity=75,
        filled_quantity=75,
        filled_value_paise=75 * 13_355,
        price_paise=13_350,
        reason="TRADE CONFIRMED",
    )


def test_a_real_modified_stop() -> None:
    row = captured("nifty_option_sl_modified_20250312")
    assert (row.status, row.kind, row.price_paise, row.trigger_paise, row.filled_quantity) == (
        BrokerStatus.PENDING,
        OrderKind.STOP_LIMIT,
        13_100,
        13_120,
        0,
    )


def test_a_real_rejection_says_why() -> None:
    row = captured("equity_rejected_20260209")
    assert row.status is BrokerStatus.REJECTED
    assert row.correlation_id == "", "NA is Dhan's word for none"
    assert row.reason.endswith("You have insufficient funds. Please add Rs.23.67 to trade.")


def test_real_rows_of_other_segments_are_rows_too() -> None:
    assert captured("equity_pending_20260318").key == instrument_key(Segment.NSE_EQ, 11630)
    assert captured("equity_traded_20260318").filled_value_paise == 37_955


def test_keys_as_the_documentation_prints_them() -> None:
    data = {key[0].upper() + key[1:]: value for key, value in dict(alert()["Data"]).items()}  # type: ignore[call-overload]
    assert parse_alert({"Data": data, "Type": "order_alert"}) == row_of()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("Transit", BrokerStatus.TRANSIT),
        ("PENDING", BrokerStatus.PENDING),
        ("Triggered", BrokerStatus.PENDING),
        ("Part Traded", BrokerStatus.PART_TRADED),
        ("Part_Traded", BrokerStatus.PART_TRADED),
        ("Cancelled", BrokerStatus.CANCELLED),
        ("Expired", BrokerStatus.EXPIRED),
    ],
)
def test_statuses_in_any_spelling(said: str, status: BrokerStatus) -> None:
    assert row_of(status=said).status is status


def test_traded_with_less_than_all_of_it_is_part_traded() -> None:
    row = row_of(
        status="Traded", quantity=150, tradedQty=75, remainingQuantity=75, tradedPrice=133.5, avgTradedPrice=133.5
    )
    assert (row.status, row.filled_quantity) == (BrokerStatus.PART_TRADED, 75)


def test_a_fill_whose_zero_fields_are_left_out() -> None:
    row = row_of(status="Traded", tradedPrice=133.55)  # no tradedQty, no remainingQuantity
    assert (row.status, row.filled_quantity, row.filled_value_paise) == (BrokerStatus.TRADED, 75, 75 * 13_355)


def test_a_cut_average_is_undone_on_the_grid_of_whole_lots() -> None:
    contract = Contract(OPTION, "NIFTY", date(2026, 11, 23), 2_375_000, OptionType.PE, 65, 5, 1755)
    printed = alert(status="Traded", quantity=130, tradedQty=130, avgTradedPrice=100.03)  # 65 at 100.00, 65 at 100.05
    row = parse_alert(printed, {OPTION: contract})
    assert row is not None
    assert row.filled_value_paise == 65 * 10_000 + 65 * 10_005


@pytest.mark.parametrize("broken", [{"status": "Dreaming"}, {"orderNo": ""}, {"txnType": "?"}, {"quantity": 0}])
def test_an_alert_of_ours_that_makes_no_sense_is_an_error(broken: dict[str, object]) -> None:
    with pytest.raises(DataError):
        parse_alert(alert(**broken))


def test_an_alert_of_another_world_is_left_alone() -> None:
    assert parse_alert(alert(exchange="NYSE", status="Dreaming")) is None
    assert parse_alert({"Type": "login", "Data": {}}) is None
    assert parse_alert(["odd"]) is None


def test_glued_documents_come_apart() -> None:
    one, two = json.dumps(alert()), json.dumps(alert(status="Traded"), indent=1)
    assert split_documents(one + two) == ([json.loads(one), json.loads(two)], "")
    assert split_documents(f" {one}\n{two} {{half") == ([json.loads(one), json.loads(two)], "{half")
    assert split_documents("") == ([], "")


def test_the_login_is_the_documented_one() -> None:
    documented = json.loads(shared("wire_samples/order_update/login_self.json").read_text())
    documented["LoginReq"]["Token"] = TOKEN
    assert json.loads(login_message(settings_for())) == documented


class Watched:
    def __init__(self, server: SocketServer, *, held: bool = False, login_ns: int = 0) -> None:
        self.clock = HandClock()
        self.settings = settings_for(socket_url=server.url)
        self.rows: asyncio.Queue[tuple[BrokerOrder, int]] = asyncio.Queue()
        self.unreadable: asyncio.Queue[str] = asyncio.Queue()
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.restored: asyncio.Queue[Gap] = asyncio.Queue()
        self.held: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.stream = DhanOrderStream(
            self.settings,
            self.clock,
            Half(),
            on_report=lambda row, at_ns: self.rows.put_nowait((row, at_ns)),
            on_unreadable=self.unreadable.put_nowait,
            on_lost=self.lost.put_nowait,
            on_restored=self.restored.put_nowait,
            frame_gate=(lambda kind, payload: self.held.put_nowait((kind, payload))) if held else None,
            rules=LineRules(login_ns=login_ns, backoff=Backoff(NS_PER_SECOND, 16 * NS_PER_SECOND)),
        )


async def test_glued_and_odd_messages_on_the_socket() -> None:
    async with socket_server() as server, asyncio.timeout(60):
        watched = Watched(server)
        task = asyncio.ensure_future(watched.stream.run())
        connection = await server.next_connection()
        assert json.loads(await connection.texts.get())["LoginReq"]["ClientId"] == CLIENT
        await watched.stream.wait_up()
        assert watched.stream.sent_messages == 1
        connection.send(b'{"Type":"login","Data":{"Status":"ok"}}', WSMsgType.TEXT)
        glued = json.dumps(alert()) + json.dumps(alert(status="Traded", tradedQty=75, avgTradedPrice=133.55))
        connection.send(glued.encode(), WSMsgType.TEXT)
        assert [(await watched.rows.get())[0].status for _ in range(2)] == [BrokerStatus.PENDING, BrokerStatus.TRADED]
        assert watched.stream.other_documents == 1
        connection.send(json.dumps(alert(status="Dreaming")).encode(), WSMsgType.TEXT)
        assert "Dreaming" in await watched.unreadable.get()
        connection.send(json.dumps(alert()).encode() + b'{"Da' + TOKEN.encode(), WSMsgType.TEXT)
        await watched.rows.get()
        said = await watched.unreadable.get()
        assert said.startswith("not JSON: ")
        assert TOKEN not in said
        await ended(task)
        assert TOKEN not in repr(watched.stream)


async def test_a_reset_after_login_is_lost_then_restored() -> None:
    async with socket_server() as server, asyncio.timeout(60):
        watched = Watched(server)
        task = asyncio.ensure_future(watched.stream.run())
        (await server.next_connection()).reset()
        assert (await watched.lost.get()).startswith("reset: ")
        await watched.clock.slept(lambda _wake: True)
        watched.clock.advance(NS_PER_SECOND)
        again = await server.next_connection()
        assert "LoginReq" in json.loads(await again.texts.get())
        await watched.restored.get()
        assert watched.stream.sent_messages == 2
        await ended(task)


async def test_a_gate_holds_pushes_until_they_are_delivered() -> None:
    async with socket_server() as server, asyncio.timeout(60):
        watched = Watched(server, held=True)
        task = asyncio.ensure_future(watched.stream.run())
        connection = await server.next_connection()
        connection.send(json.dumps(alert()).encode(), WSMsgType.TEXT)
        kind, payload = await watched.held.get()
        assert kind == "orders"
        assert watched.rows.empty()
        watched.stream.deliver(payload, 42)
        assert watched.rows.get_nowait() == (row_of(), 42)
        await ended(task)


def partner(**values: str) -> DhanSettings:
    return DhanSettings(CLIENT, TOKEN, user_type="PARTNER", **values)


def test_the_partner_login_is_the_documented_one() -> None:
    documented = json.loads(shared("wire_samples/order_update/login_partner.json").read_text())
    settings = partner(partner_id="<partner_id>", partner_secret="<partner_secret>")
    assert json.loads(login_message(settings)) == documented


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (partner(), "PARTNER and the partner id or the partner secret is missing"),
        (partner(partner_id="P1"), "set DHANHQ_PARTNER_ID and DHANHQ_PARTNER_SECRET"),
        (DhanSettings(CLIENT, TOKEN, user_type="BOSS"), "SELF and PARTNER, not 'BOSS'"),
    ],
)
def test_a_login_that_cannot_be_made_is_refused_before_connecting(settings: DhanSettings, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DhanOrderStream(
            settings,
            HandClock(),
            Half(),
            on_report=lambda row, at_ns: None,
            on_unreadable=lambda text: None,
            on_lost=lambda why: None,
            on_restored=lambda gap: None,
        )


async def test_a_report_that_comes_twice_is_handed_on_once() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        pending, changed = alert(), alert(price=134.0)
        for document in (pending, pending, changed, pending, alert(orderNo="2"), pending):
            watched.stream.deliver(json.dumps(document).encode(), 1)
        heard = [watched.rows.get_nowait()[0] for _ in range(watched.rows.qsize())]
        assert [(row.broker_id[-1], row.price_paise) for row in heard] == [
            ("6", 13_350),
            ("6", 13_400),
            ("6", 13_350),  # back at the first price: not a repeat of what was said last
            ("2", 13_350),
        ]
        assert watched.stream.repeats == 2


async def test_what_is_remembered_of_reports_is_bounded() -> None:
    async with socket_server() as server:
        watched = Watched(server)
        for number in range(MOST_ORDERS + 1):
            watched.stream.deliver(json.dumps(alert(orderNo=str(number + 1))).encode(), 1)
        watched.stream.deliver(json.dumps(alert(orderNo="2")).encode(), 1)
        assert watched.stream.repeats == 1
        watched.stream.deliver(json.dumps(alert(orderNo="1")).encode(), 1)
        assert (watched.stream.repeats, watched.rows.qsize()) == (1, MOST_ORDERS + 2)


async def test_after_a_reconnect_every_report_is_news() -> None:
    async with socket_server() as server, asyncio.timeout(60):
        watched = Watched(server)
        task = asyncio.ensure_future(watched.stream.run())
        for _ in range(2):
            connection = await server.next_connection()
            await watched.stream.wait_up()
            connection.send(json.dumps(alert()).encode(), WSMsgType.TEXT)
            await watched.rows.get()
            connection.reset()
            await watched.lost.get()
            watched.clock.advance(await watched.clock.slept(lambda _wake: True))
        await ended(task)


async def test_a_reset_right_after_the_login_is_named() -> None:
    async with socket_server() as server, asyncio.timeout(60):
        watched = Watched(server, login_ns=NS_PER_SECOND)
        task = asyncio.ensure_future(watched.stream.run())
        (await server.next_connection()).reset()
        said = await watched.lost.get()
        assert said.startswith("login_reset: the connection broke right after the login (")
        assert "get a new access token" in said
        watched.clock.advance(await watched.clock.slept(lambda _wake: True))
        again = await server.next_connection()
        await watched.stream.wait_up()
        again.send(b'{"Type":"login"}', WSMsgType.TEXT)
        again.reset()
        assert (await watched.lost.get()).startswith("reset: "), "a login that was answered was not refused"
        await ended(task)


async def test_a_new_token_logs_in_beside_the_old_and_the_book_is_read() -> None:
    async with socket_server() as server, asyncio.timeout(60):
        watched = Watched(server)
        task = asyncio.ensure_future(watched.stream.run())
        old = await server.next_connection()
        await watched.stream.wait_up()
        watched.settings.replace_token("another-token")
        renewing = asyncio.ensure_future(watched.stream.renew())
        newer = await server.next_connection()
        assert json.loads(await newer.texts.get())["LoginReq"]["Token"] == "another-token"
        old.send(json.dumps(alert()).encode(), WSMsgType.TEXT)
        await watched.rows.get()
        assert not old.gone.is_set()
        newer.send(json.dumps(alert(status="Traded")).encode(), WSMsgType.TEXT)
        assert (await watched.rows.get())[0].status is BrokerStatus.TRADED
        await renewing
        await old.gone.wait()
        assert (await watched.restored.get()).reason.startswith("renewed: ")
        assert watched.lost.empty()
        await ended(task)
        assert watched.stream.is_up is False


async def test_a_refused_new_login_leaves_the_old_one() -> None:
    async with socket_server() as server, asyncio.timeout(60):
        watched = Watched(server, login_ns=NS_PER_SECOND)
        task = asyncio.ensure_future(watched.stream.run())
        await server.next_connection()
        await watched.stream.wait_up()
        renewing = asyncio.ensure_future(watched.stream.renew())
        (await server.next_connection()).reset()
        with pytest.raises(BrokerUnreachable, match="login_reset"):
            await renewing
        assert watched.stream.is_up
        assert watched.lost.empty()
        await ended(task)


def test_brackets_without_end_are_not_json() -> None:
    deep = "[" * 100_000
    assert split_documents('{"Type":1}' + deep) == ([{"Type": 1}], deep)


@pytest.mark.parametrize(
    "odd", [{"securityId": "-5"}, {"securityId": str(2**70)}, {"quantity": 10**400}, {"price": 1e300}]
)
def test_numbers_that_cannot_be_are_errors_of_the_tree(odd: dict[str, object]) -> None:
    with pytest.raises(DataError):
        parse_alert(alert(**odd))


def test_half_a_character_can_be_written_down() -> None:
    assert row_of(reasonDescription="no \ud800 funds \u20b9").reason == "no ? funds \u20b9"
