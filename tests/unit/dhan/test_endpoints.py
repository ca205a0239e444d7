"""The table of calls holds together, and bodies are written as Dhan wants them: in rupees, by the field and not the value."""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

import msgspec
import pytest

from algo_scalper.adapters.dhan import bodies, replies
from algo_scalper.adapters.dhan import endpoints as table
from algo_scalper.adapters.dhan.endpoints import ENDPOINTS
from algo_scalper.adapters.dhan.wire import Effect, Endpoint, Family, Host, write_body
from algo_scalper.domain.instruments import Segment

EACH = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)


def structs_in(module: Any) -> set[type[msgspec.Struct]]:
    own = [one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__]
    return {one for one in own if issubclass(one, msgspec.Struct)}


def test_names_are_unique_and_say_the_constant() -> None:
    assert len({endpoint.name for endpoint in ENDPOINTS}) == len(ENDPOINTS) == 60
    for endpoint in ENDPOINTS:
        assert getattr(table, endpoint.name.upper()) is endpoint


@EACH
def test_a_row_of_the_table_holds_together(endpoint: Endpoint[Any]) -> None:
    assert endpoint.method in ("GET", "POST", "PUT", "DELETE")
    assert re.fullmatch(r"(/[\w-]+|/\{\w+\})+", endpoint.path)
    assert endpoint.rows == (get_origin(endpoint.reply) is tuple)
    assert endpoint.body is None or endpoint.method in ("POST", "PUT")
    assert (endpoint.family is Family.AUTH) >= (endpoint.host is Host.AUTH)
    assert (endpoint.effect is Effect.ORDER) <= (endpoint.family is Family.ORDER and endpoint.needs_address)
    assert endpoint.summary.endswith(".")
    reply = get_args(endpoint.reply)[0] if endpoint.rows else endpoint.reply
    names = set(reply.__struct_encode_fields__)
    for told, known in endpoint.spellings.items():
        assert told not in names
        nested = {name for one in structs_in(replies) for name in one.__struct_encode_fields__}
        assert known in nested


@EACH
def test_every_get_is_a_reading_or_is_known_to_change_something(endpoint: Endpoint[Any]) -> None:
    changing = {"renew_token", "consume_consent", "consume_partner_consent", "edis_tpin"}
    if endpoint.method == "GET":
        assert (endpoint.effect is Effect.CHANGE) == (endpoint.name in changing)
    elif endpoint.method in ("PUT", "DELETE"):
        assert endpoint.effect is not Effect.READ


def test_every_body_and_reply_is_used() -> None:
    sent = {endpoint.body for endpoint in ENDPOINTS}
    parts = {bodies.Body, bodies.TriggerCondition, bodies.TriggerOrder}
    assert structs_in(bodies) == {one for one in sent if one is not None} | parts
    used = set()
    waiting: list[Any] = [endpoint.reply for endpoint in ENDPOINTS]
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind not in used:
            used.add(kind)
            waiting += [field.type for field in msgspec.structs.fields(kind)]
    assert structs_in(replies) == used | {replies.Answer}


def test_every_field_of_a_reply_may_be_absent() -> None:
    for kind in structs_in(replies):
        assert kind() == kind()


def test_an_order() -> None:
    body = bodies.OrderBody(
        transaction_type="BUY",
        exchange_segment="NSE_FNO",
        product_type="INTRADAY",
        security_id="42500",
        quantity=65,
        price_paise=11_235,
    )
    assert write_body(body, "1100000001") == {
        "dhanClientId": "1100000001",
        "transactionType": "BUY",
        "exchangeSegment": "NSE_FNO",
        "productType": "INTRADAY",
        "orderType": "LIMIT",
        "validity": "DAY",
        "securityId": "42500",
        "quantity": 65,
        "disclosedQuantity": 0,
        "price": 112.35,
        "triggerPrice": 0.0,
        "afterMarketOrder": False,
    }, "zeros and false are sent, None is not"


def test_optional_money_is_written_in_rupees_too() -> None:
    order = bodies.OrderBody(
        transaction_type="SELL",
        exchange_segment="NSE_EQ",
        product_type="BO",
        security_id="1333",
        quantity=1,
        price_paise=5,
        bo_profit_value_paise=1_005,
        bo_stop_loss_value_paise=995,
        correlation_id="as1-12-000001",
    )
    written = write_body(order, "1")
    assert written is not None
    assert (written["price"], written["boProfitValue"], written["boStopLossValue"]) == (0.05, 10.05, 9.95)
    assert written["correlationId"] == "as1-12-000001"


def test_a_trigger_carries_its_prices_as_texts() -> None:
    body = bodies.TriggerBody(
        condition=bodies.TriggerCondition(
            comparison_type="PRICE_WITH_VALUE",
            exchange_segment="IDX_I",
            security_id="13",
            operator="CROSSING_UP",
            comparing_value=25_000.0,
        ),
        orders=(
            bodies.TriggerOrder(
                transaction_type="BUY",
                exchange_segment="NSE_FNO",
                product_type="MARGIN",
                security_id="42500",
                quantity=65,
                price_paise=11_235,
            ),
        ),
    )
    assert write_body(body, "1") == {
        "dhanClientId": "1",
        "condition": {
            "comparisonType": "PRICE_WITH_VALUE",
            "exchangeSegment": "IDX_I",
            "securityId": "13",
            "operator": "CROSSING_UP",
            "comparingValue": 25_000.0,
            "frequency": "ONCE",
        },
        "orders": [
            {
                "transactionType": "BUY",
                "exchangeSegment": "NSE_FNO",
                "productType": "MARGIN",
                "orderType": "LIMIT",
                "securityId": "42500",
                "quantity": 65,
                "validity": "DAY",
                "price": "112.35",
                "discQuantity": "0",
                "triggerPrice": "0.00",
            }
        ],
    }


def test_instruments_go_by_segment() -> None:
    body = bodies.instruments_body({Segment.NSE_EQ: [11536], Segment.IDX_I: [13, 25]})
    assert write_body(body, "1") == {"dhanClientId": "1", "IDX_I": [13, 25], "NSE_EQ": [11536]}
    for segment in Segment:
        assert write_body(bodies.instruments_body({segment: [7]}), "1") == {"dhanClientId": "1", segment.name: [7]}


def test_the_legs_of_a_super_order_have_bodies_of_their_own() -> None:
    target = bodies.SuperTargetBody(order_id="7", target_price_paise=15_500)
    assert write_body(target, "1") == {
        "dhanClientId": "1",
        "orderId": "7",
        "legName": "TARGET_LEG",
        "targetPrice": 155.0,
    }
    stop = bodies.SuperStopBody(order_id="7", stop_loss_price_paise=9_000, trailing_jump_paise=50)
    assert write_body(stop, "1") == {
        "dhanClientId": "1",
        "orderId": "7",
        "legName": "STOP_LOSS_LEG",
        "stopLossPrice": 90.0,
        "trailingJump": 0.5,
    }


def test_a_body_of_ones_own_is_sent_as_it_is() -> None:
    assert write_body({"NSE_EQ": [1]}, "7") == {"dhanClientId": "7", "NSE_EQ": [1]}
    assert write_body(None, "7") is None
