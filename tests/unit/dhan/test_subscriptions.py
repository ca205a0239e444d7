"""What is wanted of the feed, and the messages that say so."""

from __future__ import annotations

import json

from algo_scalper.adapters.dhan.subscriptions import Subscriptions, subscribe_messages
from algo_scalper.domain.instruments import NIFTY, SENSEX, Segment, instrument_key


def option(number: int) -> int:
    return instrument_key(Segment.NSE_FNO, number)


def test_the_message_is_the_documented_one() -> None:
    assert [json.loads(message) for message in subscribe_messages([NIFTY.key, option(49081)])] == [
        {
            "RequestCode": 17,
            "InstrumentCount": 1,
            "InstrumentList": [{"ExchangeSegment": "IDX_I", "SecurityId": "13"}],
        },
        {
            "RequestCode": 21,
            "InstrumentCount": 1,
            "InstrumentList": [{"ExchangeSegment": "NSE_FNO", "SecurityId": "49081"}],
        },
    ]


def test_a_hundred_instruments_to_a_message() -> None:
    messages = [json.loads(message) for message in subscribe_messages(option(n) for n in range(1, 251))]
    assert [message["InstrumentCount"] for message in messages] == [100, 100, 50]
    ids = [one["SecurityId"] for message in messages for one in message["InstrumentList"]]
    assert ids == [str(n) for n in range(1, 251)]


def test_what_two_want_is_subscribed_once_and_let_go_by_the_second() -> None:
    table = Subscriptions()
    assert len(table.want([option(1), option(2)])) == 1
    assert table.want([option(1)]) == []
    assert table.let_go([option(1)]) == []
    (message,) = table.let_go([option(1)])
    assert json.loads(message)["RequestCode"] == 22
    assert json.loads(message)["InstrumentList"] == [{"ExchangeSegment": "NSE_FNO", "SecurityId": "1"}]
    assert table.keys == (option(2),)
    assert table.let_go([option(1), option(77)]) == []


def test_everything_again_for_a_new_connection() -> None:
    table = Subscriptions()
    table.want([SENSEX.key, option(1), NIFTY.key])
    table.let_go([option(1)])
    (message,) = table.resubscribe_all()
    assert json.loads(message)["InstrumentCount"] == 2
    assert SENSEX.key in table
    assert option(1) not in table
