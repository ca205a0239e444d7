"""Which sockets a start needs, and what is said when one does not come up."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from algo_scalper.adapters.dhan.feed import DhanFeed
from algo_scalper.adapters.dhan.order_stream import DhanOrderStream
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.errors import BrokerError, BrokerUnreachable
from algo_scalper.runtime.feeds import CONNECT_WITHIN_NS, Feeds
from algo_scalper.runtime.real_market import DhanMarket
from tests.unit.runtime.doubles import HandClock, turns

ACCOUNT: Any = None
"""Which account it is does not matter here."""


def nothing(*_said: object) -> None:
    """Nobody listens."""


def feeds(clock: HandClock, real: DhanMarket | None = None, *, on_paper: bool = False) -> Feeds:
    dhan, chance = DhanSettings.simulator("http://127.0.0.1:1"), random.Random(1)
    market = DhanFeed(
        dhan, clock, chance, on_message=nothing, on_lost=nothing, on_restored=nothing, expects_data=lambda _: True
    )
    orders = DhanOrderStream(
        dhan, clock, chance, on_report=nothing, on_unreadable=nothing, on_lost=nothing, on_restored=nothing
    )
    return Feeds(market, orders, real, on_paper=on_paper)


@pytest.mark.parametrize(
    ("real", "on_paper", "needed"),
    [
        (None, False, {"DhanFeed", "DhanOrderStream"}),
        (None, True, {"DhanFeed"}),
        (DhanMarket(ACCOUNT, feed_off="DHANHQ_WS_ENABLED=false"), False, {"DhanOrderStream"}),
        (DhanMarket(ACCOUNT, order_feed_off="DHANHQ_ORDER_WS_ENABLED=false"), False, {"DhanFeed"}),
        (DhanMarket(ACCOUNT, "DHANHQ_WS_ENABLED=false", "DHANHQ_ORDER_WS_ENABLED=false"), True, set()),
    ],
)
def test_paper_needs_no_order_feed_and_a_setting_switches_either_off(
    real: DhanMarket | None, on_paper: bool, needed: set[str]
) -> None:
    assert {type(socket).__name__ for socket in feeds(HandClock(), real, on_paper=on_paper).needed} == needed


@pytest.mark.parametrize(
    ("real", "remedy"), [(None, "is the simulator running?"), (DhanMarket(ACCOUNT), "see scalper doctor")]
)
async def test_a_socket_that_does_not_come_up_is_named_with_the_remedy(real: DhanMarket | None, remedy: str) -> None:
    clock = HandClock()
    waiting = asyncio.create_task(feeds(clock, real).wait_up(clock))
    await turns()
    clock.move(CONNECT_WITHIN_NS)
    with pytest.raises(BrokerError) as late:
        await waiting
    assert str(late.value).startswith("DhanFeed(up=False")
    assert str(late.value).endswith(remedy)


async def test_a_token_that_one_socket_refuses_is_still_given_to_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    both, renewed, alarms = feeds(HandClock()), list[str](), list[tuple[str, str]]()

    async def refused() -> None:
        raise BrokerUnreachable("the login was refused")

    async def taken() -> None:
        renewed.append("orders")

    monkeypatch.setattr(both.market, "renew", refused)
    monkeypatch.setattr(both.orders, "renew", taken)
    await both.log_in_again(lambda code, text: alarms.append((code, text)))
    assert renewed == ["orders"]
    assert alarms == [("token", "the new token is refused and the old connection kept: the login was refused")]
