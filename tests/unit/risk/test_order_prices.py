"""At what price: always one the exchange takes, whatever the premium."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.rules import OrderRules
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.risk.order_prices import (
    band_edge_paise,
    entry_limit_paise,
    exit_limit_paise,
)

O = OrderRules()  # noqa: E741 - the rule book's own numbers
NSE, BSE = Exchange.NSE, Exchange.BSE
S = NS_PER_SECOND
premiums = st.integers(1, 40_000).map(lambda ticks: ticks * 5)


@pytest.mark.parametrize(
    ("ask", "limit"), [(12_000, 12_060), (1_000, 1_005), (500, 505), (12_010, 12_070), (14_000, 14_070)]
)
def test_entry_is_the_ask_and_half_a_percent_or_a_tick(ask: int, limit: int) -> None:
    assert entry_limit_paise(ask, O, 5) == limit


@pytest.mark.parametrize(
    ("bid", "waited_ns", "limit"),
    [
        (10_000, 0, 9_850),  # 1.5 %
        (500, 0, 490),  # two ticks
        (10_000, 2 * S, 9_850),
        (10_000, 3 * S, 9_700),  # the slab of 100 to 500 is 2 %; twice the slip is 3 %
        (900, 3 * S, 855),  # under 10: 5 %
        (10_000, 6 * S, 6_005),  # the edge of the band, a tick inside
        (3_000, 6 * S, 1_005),  # Rs 20 at 50 and below
        (1_500, 6 * S, 5),  # never nothing
    ],
)
def test_exit_grows_more_urgent(bid: int, waited_ns: int, limit: int) -> None:
    assert exit_limit_paise(bid, waited_ns, bid, NSE, O, 5) == limit


def test_the_band_of_each_exchange() -> None:
    assert band_edge_paise(10_000, NSE, 5) == 6_005
    assert band_edge_paise(10_000, BSE, 5) == 4_005
    assert band_edge_paise(5_000, NSE, 5) == 3_005
    assert band_edge_paise(5_005, NSE, 5) == 3_010  # 40 % of 50.05 is 20.02: 30.03, up to the tick, and one more
    assert band_edge_paise(5_000, BSE, 5) == 2_005
    assert band_edge_paise(1_000, NSE, 5) == 5


@given(premiums, st.integers(0, 10 * S), premiums, st.sampled_from([NSE, BSE]))
def test_an_exit_is_always_inside_the_band_and_on_the_tick(
    bid: int, waited_ns: int, last: int, exchange: Exchange
) -> None:
    limit = exit_limit_paise(bid, waited_ns, last, exchange, O, 5)
    share, low = (4_000, 2_000) if exchange is NSE else (6_000, 3_000)
    width = low if last <= 5_000 else last * share / 10_000
    assert limit > 0
    assert limit % 5 == 0
    assert limit > last - width - 0.5, "half a paisa of rounding"
    if waited_ns < 6 * S and last <= bid:
        assert limit < bid or limit == 5, "marketable"


@given(premiums, st.integers(0, 6 * S), st.integers(0, 6 * S))
def test_waiting_never_asks_for_more(bid: int, one_ns: int, other_ns: int) -> None:
    sooner, later = sorted((one_ns, other_ns))
    assert exit_limit_paise(bid, later, bid, NSE, O, 5) <= exit_limit_paise(bid, sooner, bid, NSE, O, 5)


@given(premiums)
def test_an_entry_is_on_the_tick_and_over_the_ask_but_little(ask: int) -> None:
    limit = entry_limit_paise(ask, O, 5)
    assert limit % 5 == 0
    assert ask < limit <= ask * 1.005 + 10
