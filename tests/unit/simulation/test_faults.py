"""The table of what goes wrong: rates are kept, draws are one number each."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from algo_scalper.domain.market import Quote, Tick
from algo_scalper.simulation.faults import (
    HOSTILE,
    FaultRates,
    MarketFault,
    PersonAct,
    PushFault,
    RequestFault,
    market_fault,
    person_act,
    push_fault,
    request_fault,
    thinned,
)

CERTAIN = FaultRates(lost_after=1.0, push_duplicated=1.0, stall=1.0, sell_part=1.0)


def test_without_rates_nothing_goes_wrong() -> None:
    chance, calm = random.Random(1), FaultRates()
    assert {request_fault(chance, calm) for _ in range(100)} == {RequestFault.NONE}
    assert {push_fault(chance, calm) for _ in range(100)} == {PushFault.NONE}
    assert {market_fault(chance, calm) for _ in range(100)} == {MarketFault.NONE}
    assert {person_act(chance, calm) for _ in range(100)} == {PersonAct.NONE}


def test_a_certain_fault_always_happens() -> None:
    chance = random.Random(1)
    assert request_fault(chance, CERTAIN) is RequestFault.LOST_AFTER
    assert push_fault(chance, CERTAIN) is PushFault.DUPLICATED
    assert market_fault(chance, CERTAIN) is MarketFault.STALL
    assert person_act(chance, CERTAIN) is PersonAct.SELL_PART


def test_faults_come_at_their_rates() -> None:
    chance = random.Random(7)
    seen = Counter(request_fault(chance, HOSTILE) for _ in range(40_000))
    for fault, rate in (
        (RequestFault.LOST_BEFORE, HOSTILE.lost_before),
        (RequestFault.LOST_AFTER, HOSTILE.lost_after),
        (RequestFault.DELAYED, HOSTILE.delayed),
        (RequestFault.REJECTED, HOSTILE.rejected),
    ):
        assert seen[fault] / 40_000 == pytest.approx(rate, rel=0.15)


def test_each_draw_uses_one_number_of_chance_whatever_the_rates() -> None:
    one, other = random.Random(3), random.Random(3)
    for draw in (request_fault, push_fault, market_fault, person_act):
        draw(one, HOSTILE)
        draw(other, FaultRates())
    assert one.random() == other.random()


def test_a_thin_book_keeps_its_prices_and_one_lot_a_level() -> None:
    quote = Quote(Tick(1, 2, 3, 100, 95, 105, 650, 260), ((95, 195), (90, 455)), ((105, 260),))
    thin = thinned(quote, 65)
    assert thin.bids == ((95, 65), (90, 65))
    assert thin.asks == ((105, 65),)
    assert (thin.tick.bid_total, thin.tick.ask_total, thin.tick.ltp_paise) == (130, 65, 100)
