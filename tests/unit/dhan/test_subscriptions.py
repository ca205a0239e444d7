"""What is wanted of the feed and in which mode, which socket carries it, and the messages that say so."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.subscriptions import (
    MOST_INSTRUMENTS,
    MOST_SOCKETS,
    Messages,
    Mode,
    Subscriptions,
)
from algo_scalper.domain.errors import BrokerRefused
from algo_scalper.domain.instruments import NIFTY, SENSEX, Segment, instrument_key


def option(number: int) -> int:
    return instrument_key(Segment.NSE_FNO, number)


def read(messages: Messages) -> list[tuple[int, Any]]:
    return [(number, json.loads(message)) for number, message in messages]


def codes(messages: Messages) -> list[int]:
    return [message["RequestCode"] for _, message in read(messages)]


def ids(messages: Messages) -> list[str]:
    return [one["SecurityId"] for _, message in read(messages) for one in message["InstrumentList"]]


def test_the_message_is_the_documented_one() -> None:
    assert read(Subscriptions().want([NIFTY.key, option(49081)])) == [
        (
            0,
            {
                "RequestCode": 17,
                "InstrumentCount": 1,
                "InstrumentList": [{"ExchangeSegment": "IDX_I", "SecurityId": "13"}],
            },
        ),
        (
            0,
            {
                "RequestCode": 21,
                "InstrumentCount": 1,
                "InstrumentList": [{"ExchangeSegment": "NSE_FNO", "SecurityId": "49081"}],
            },
        ),
    ]


def test_a_hundred_instruments_to_a_message() -> None:
    messages = Subscriptions().want(option(n) for n in range(1, 251))
    assert [message["InstrumentCount"] for _, message in read(messages)] == [100, 100, 50]
    assert ids(messages) == [str(n) for n in range(1, 251)]


def test_what_two_want_is_subscribed_once_and_let_go_by_the_second() -> None:
    table = Subscriptions()
    assert len(table.want([option(1), option(2)])) == 1
    assert table.want([option(1)]) == []
    assert table.let_go([option(1)]) == []
    gone = table.let_go([option(1)])
    assert (codes(gone), ids(gone)) == ([22], ["1"])
    assert table.keys == (option(2),)
    assert table.let_go([option(1), option(77)]) == []


def test_everything_again_for_a_new_connection() -> None:
    table = Subscriptions()
    table.want([SENSEX.key, option(1), NIFTY.key])
    table.let_go([option(1)])
    (message,) = table.resubscribe(0)
    assert json.loads(message)["InstrumentCount"] == 2
    assert SENSEX.key in table
    assert option(1) not in table


def test_the_highest_mode_wanted_is_carried() -> None:
    table = Subscriptions()
    assert codes(table.want([option(1)], Mode.QUOTE)) == [17]
    assert codes(table.want([option(1)], Mode.TICKER)) == [], "less than what comes anyway"
    assert codes(table.want([option(1)], Mode.FULL)) == [18, 21], "the old one is ended first"
    assert table.let_go([option(1)], Mode.QUOTE) == []
    assert codes(table.let_go([option(1)], Mode.FULL)) == [22, 15], "down to what is still wanted"
    assert table.let_go([option(1)], Mode.FULL) == [], "nobody wants it so any more"
    assert codes(table.let_go([option(1)], Mode.TICKER)) == [16]
    assert len(table) == 0


def test_an_index_in_full_is_an_index_in_quote() -> None:
    table = Subscriptions()
    assert codes(table.want([NIFTY.key], Mode.FULL)) == [17]
    assert table.want([NIFTY.key]) == []
    assert table.let_go([NIFTY.key], Mode.FULL) == []
    assert codes(table.let_go([NIFTY.key], Mode.QUOTE)) == [18]


@pytest.mark.parametrize(
    ("least", "index", "contract"),
    [(Mode.TICKER, 15, 15), (Mode.QUOTE, 17, 17), (Mode.FULL, 17, 21)],
)
def test_a_least_mode_raises_what_is_asked(least: Mode, index: int, contract: int) -> None:
    table = Subscriptions(least)
    assert codes(table.want([NIFTY.key], Mode.TICKER)) == [index]
    assert codes(table.want([option(1)], Mode.TICKER)) == [contract]
    assert codes(table.want([option(2)])) == [21], "never lowered"


def test_a_second_socket_only_when_the_first_is_full() -> None:
    table = Subscriptions()
    first = table.want(option(n) for n in range(1, MOST_INSTRUMENTS + 1))
    assert {number for number, _ in first} == {0}
    second = table.want([option(9001)])
    assert [number for number, _ in second] == [1]
    table.let_go([option(3)])
    assert [number for number, _ in table.want([option(9002)])] == [0], "its seat is free again"
    assert set(table.carried(1)) == {option(9001)}
    gone = table.let_go([option(9001)])
    assert [number for number, _ in gone] == [1]


def test_more_than_all_sockets_carry_is_refused_whole() -> None:
    table = Subscriptions()
    table.want(option(n) for n in range(1, 11))
    room = MOST_SOCKETS * MOST_INSTRUMENTS - 10
    with pytest.raises(BrokerRefused, match=f"5000 instruments each; 10 are subscribed and {room + 1} more"):
        table.want(option(n) for n in range(11, room + 12))
    assert len(table) == 10
    table.want(option(n) for n in range(1, room + 11))  # ten of them for the second time
    assert len(table) == MOST_SOCKETS * MOST_INSTRUMENTS
    assert all(len(table.carried(number)) == MOST_INSTRUMENTS for number in range(MOST_SOCKETS))


wishes = st.lists(
    st.tuples(
        st.booleans(),
        st.lists(st.sampled_from([NIFTY.key, SENSEX.key, *map(option, range(5))]), max_size=6),
        st.sampled_from([None, *Mode]),
    ),
    max_size=30,
)


@given(wishes)
def test_the_wire_carries_what_the_counts_say(history: list[tuple[bool, list[int], Mode | None]]) -> None:
    table = Subscriptions()
    counts: Counter[tuple[int, Mode]] = Counter()
    wire: dict[str, int] = {}
    for wanting, keys, mode in history:
        for key in keys:
            most = Mode.QUOTE if key in {NIFTY.key, SENSEX.key} else Mode.FULL
            counted = min(mode or Mode.FULL, most)
            if wanting:
                counts[key, counted] += 1
            elif counts[key, counted]:
                counts[key, counted] -= 1
        for _, message in read(table.want(keys, mode) if wanting else table.let_go(keys, mode)):
            for one in message["InstrumentList"]:
                name, code = f"{one['ExchangeSegment']}:{one['SecurityId']}", message["RequestCode"]
                if code in {15, 17, 21}:
                    assert name not in wire, "never two subscriptions of one instrument"
                    wire[name] = code
                else:
                    assert wire.pop(name) == code - 1
    expected = {key: max(mode for (one, mode), count in counts.items() if one == key and count) for key in table.keys}
    assert {key for (key, _), count in counts.items() if count} == set(table.keys)
    assert sorted(wire.values()) == sorted(expected.values())
    assert dict(table.carried(0)) == expected
