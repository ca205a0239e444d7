"""The world's instants: who is told what, when, in which order, and the same every time."""

from __future__ import annotations

from datetime import date

import pytest

from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.errors import Bug, DataError
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.instruments import INDIA_VIX_KEY, NIFTY
from algo_scalper.domain.market import OptionChain
from algo_scalper.domain.orders import BrokerStatus, OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Rejected
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND, clock_text, ist_ns
from algo_scalper.simulation.exchange import SQUARE_OFF_ID, SimulatedExchange
from algo_scalper.simulation.market import MarketDay, synthetic_day
from algo_scalper.simulation.world import Answer, BookQuery, ChainQuery, Delivery, Push, Quoted, World

DAY = date(2026, 6, 5)
EXPIRY = date(2026, 6, 9)
LAKH = 10_000_000


@pytest.fixture(scope="module")
def market() -> MarketDay:
    return synthetic_day(DAY, 5)


def world_of(market: MarketDay, start_ns: int | None = None, seed: int = 1) -> World:
    return World(market, SimulatedExchange(market.contracts, market.day, LAKH), seed, start_ns=start_ns)


def at(hour: int, minute: int, second: int = 0) -> int:
    return ist_ns(DAY, hour * 3600 + minute * 60 + second)


def near_the_money(market: MarketDay, at_ns: int, expiry: date = EXPIRY) -> int:
    chain = market.chain("NIFTY", expiry, at_ns)
    rows = [row for row in chain.rows if 8_000 < row.ask_paise < 14_000]
    return rows[0].key


def run(world: World, until_ns: int) -> list[Delivery]:
    out: list[Delivery] = []
    while (due := world.next_ns()) is not None and due <= until_ns:
        out += world.step(due)
    return out


def buy(key: int, quantity: int, price: int, name: str = "b1") -> PlaceOrder:
    return PlaceOrder(name, key, Side.BUY, OrderKind.LIMIT, quantity, price, 0, Purpose.ENTRY, Product.INTRADAY)


def test_an_unwatched_market_is_silent_but_for_the_brokers_own_instants(market: MarketDay) -> None:
    world = world_of(market)
    assert world.next_ns() == at(15, 20)
    assert run(world, at(16, 0)) == []
    assert world.next_ns() is None
    assert world.now_ns == at(15, 30)


def test_a_watched_key_gets_a_snapshot_and_then_prints_on_its_quarter_of_each_second(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    key = near_the_money(market, at(10, 0))
    world.watch([key, NIFTY.key, INDIA_VIX_KEY])
    seen = [item for item in run(world, at(10, 0, 10)) if isinstance(item, Quoted)]
    assert all(item.at_ns == item.quote.tick.at_ns for item in seen)
    first = [item for item in seen if item.at_ns < at(10, 0) + 100 * NS_PER_MS]
    assert {item.quote.tick.key for item in first} == {key, NIFTY.key, INDIA_VIX_KEY}
    assert all(12 * NS_PER_MS < item.at_ns - at(10, 0) < 21 * NS_PER_MS for item in first)
    rest = seen[len(first) :]
    # An index prints on the second, and leaves one in fifteen out.
    index, ten = market.line(NIFTY.key), market.axis.second_of(at(10, 0))
    printed = [at(10, 0, second) for second in range(1, 11) if index.prints(ten + second)]
    assert [item.at_ns for item in rest if item.quote.tick.key == NIFTY.key] == printed
    assert len(printed) >= 8
    phases = {item.at_ns % NS_PER_SECOND for item in rest if item.quote.tick.key == key}
    assert phases == {market.line(key).phase_ns}
    assert len([item for item in rest if item.quote.tick.key == INDIA_VIX_KEY]) == 5
    assert [item.at_ns for item in seen] == sorted(item.at_ns for item in seen)


def test_a_key_that_is_no_longer_watched_is_silent(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    world.watch([NIFTY.key])
    world.unwatch([NIFTY.key])
    assert run(world, at(10, 0, 5)) == []


def test_watching_what_is_not_listed_is_an_error(market: MarketDay) -> None:
    with pytest.raises(DataError):
        world_of(market).watch([12345])


def test_an_order_meets_the_quote_standing_when_it_arrives_and_answers_take_their_time(market: MarketDay) -> None:
    world = world_of(market, at(10, 0, 1))
    key = near_the_money(market, at(10, 0, 1))
    # Three quarters into the second before the contract prints again: the request crosses that print.
    sent_ns = at(10, 0, 1) + market.line(key).phase_ns + NS_PER_SECOND - 20 * NS_PER_MS
    while (due := world.next_ns()) is not None and due < sent_ns:
        world.step(due)
    world.step(sent_ns)
    old, new = market.quote(key, sent_ns), market.quote(key, sent_ns + 20 * NS_PER_MS)
    assert old.tick.at_ns != new.tick.at_ns
    world.submit(buy(key, 65, new.tick.ask_paise + 500), 7)
    out = run(world, sent_ns + NS_PER_SECOND)
    (answer,) = [item for item in out if isinstance(item, Answer)]
    assert answer.token == 7
    assert isinstance(answer.result, Accepted)
    assert 60 * NS_PER_MS < answer.at_ns - sent_ns < 70 * NS_PER_MS
    pushes = [item for item in out if isinstance(item, Push)]
    assert [push.row.status for push in pushes] == [BrokerStatus.PENDING, BrokerStatus.TRADED]
    assert pushes[-1].row.filled_value_paise == 65 * new.tick.ask_paise
    reached_ns = world.exchange.fills()[0].at_ns
    assert 35 * NS_PER_MS < reached_ns - sent_ns < 45 * NS_PER_MS
    assert 25 * NS_PER_MS < pushes[0].at_ns - reached_ns < 35 * NS_PER_MS


def test_malformed_requests_and_changes_of_dead_orders_are_rejected_in_the_answer(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    key = near_the_money(market, at(10, 0))
    world.submit(buy(key, 64, 10_000), 1)
    world.submit(buy(99, 65, 10_000), 2)
    world.submit(CancelOrder("b1", "nobody", key, Purpose.ENTRY), 3)
    world.submit(ModifyOrder("b1", "nobody", key, OrderKind.LIMIT, 65, 10_000, 0, Purpose.ENTRY), 4)
    out = run(world, at(10, 0, 1))
    assert [item.token for item in out if isinstance(item, Answer)] == [1, 2, 3, 4]
    assert all(isinstance(item.result, Rejected) for item in out if isinstance(item, Answer))


def test_what_the_risk_desk_refuses_is_accepted_and_then_pushed_as_rejected(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    key = near_the_money(market, at(10, 0))
    world.submit(buy(key, 1_755, market.quote(key, at(10, 0)).tick.ask_paise), 1)
    out = run(world, at(10, 0, 1))
    (answer,) = [item for item in out if isinstance(item, Answer)]
    (push,) = [item for item in out if isinstance(item, Push)]
    assert isinstance(answer.result, Accepted)
    assert push.row.status is BrokerStatus.REJECTED
    assert "insufficient funds" in push.row.reason


def test_a_book_is_sampled_half_way_and_says_when_it_was_asked(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    key = near_the_money(market, at(10, 0))
    world.submit(BookQuery(), 1)
    world.submit(buy(key, 65, 9_000), 2)
    world.submit(ChainQuery("NIFTY", EXPIRY), 3)
    out = run(world, at(10, 0, 1))
    answers = {item.token: item for item in out if isinstance(item, Answer)}
    book, chain = answers[1].result, answers[3].result
    assert isinstance(book, BookRead)
    assert isinstance(chain, OptionChain)
    assert (book.began_ns, book.at_ns) == (at(10, 0), answers[1].at_ns)
    assert chain.at_ns == answers[3].at_ns
    assert book.funds.available_paise == LAKH or book.orders
    assert world.book().orders != ()


def test_the_world_does_not_step_over_what_is_due_nor_back(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    world.watch([NIFTY.key])
    due = world.next_ns()
    assert due is not None
    assert world.step(due - 1) == []
    assert world.now_ns == due - 1
    with pytest.raises(Bug):
        world.step(due + 1)
    with pytest.raises(Bug):
        world.step(due - 2)
    assert len(world.step(due)) == 1


def test_a_position_is_squared_off_by_the_broker_although_nobody_watches(market: MarketDay) -> None:
    world = world_of(market, at(15, 0))
    key = near_the_money(market, at(15, 0))
    world.submit(buy(key, 130, market.quote(key, at(15, 0)).tick.ask_paise + 200), 1)
    out = run(world, at(15, 31))
    rows = [item.row for item in out if isinstance(item, Push)]
    assert rows[-1].correlation_id == SQUARE_OFF_ID
    assert rows[-1].status is BrokerStatus.TRADED
    assert clock_text(out[-1].at_ns)[:8] == "15:20:00"
    assert world.book().positions[0].net_quantity == 0
    assert not any(isinstance(item, Quoted) for item in out)


def test_what_is_held_over_expiry_becomes_cash_at_the_close() -> None:
    market = synthetic_day(EXPIRY, 5)
    start_ns = ist_ns(EXPIRY, 10 * 3600)
    chain = market.chain("NIFTY", EXPIRY, start_ns)
    key = next(row.key for row in chain.rows if 4_000 < row.ask_paise < 8_000)
    world = world_of(market, start_ns)
    price = market.quote(key, start_ns).tick.ask_paise + 300
    world.submit(PlaceOrder("b1", key, Side.BUY, OrderKind.LIMIT, 65, price, 0, Purpose.ENTRY, Product.MARGIN), 1)
    run(world, ist_ns(EXPIRY, 16 * 3600))
    assert world.book().positions[0].net_quantity == 0
    contract = market.contract(key)
    close = market.settlement_paise("NIFTY")
    away = close - contract.strike_paise
    intrinsic = max(away if contract.option_type == "CE" else -away, 0)
    assert world.exchange.fills()[-1].price_paise == intrinsic


def test_a_persons_doings_are_pushed_like_everything_else(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    key = near_the_money(market, at(10, 0))
    world.submit(buy(key, 65, market.quote(key, at(10, 0)).tick.ask_paise - 500), 1)
    run(world, at(10, 0, 1))
    order = world.exchange.working()[0]
    world.foreign_cancel(order.broker_id)
    world.foreign_place(key, Side.BUY, 65, market.quote(key, world.now_ns).tick.ask_paise + 300)
    rows = [item.row for item in run(world, world.now_ns + NS_PER_SECOND) if isinstance(item, Push)]
    assert [(row.correlation_id, row.status) for row in rows] == [
        ("b1", BrokerStatus.CANCELLED),
        ("NA", BrokerStatus.PENDING),
        ("NA", BrokerStatus.TRADED),
    ]


def test_pushes_of_one_socket_never_overtake_one_another(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    key = near_the_money(market, at(10, 0))
    for step in range(40):
        world.step(at(10, 0) + step * 137_000)
        world.foreign_place(key, Side.BUY, 65, market.quote(key, world.now_ns).tick.bid_paise - 500 + 5 * step)
    pushes = [item for item in run(world, at(10, 0, 1)) if isinstance(item, Push)]
    ids = [push.row.broker_id for push in pushes]
    assert len(set(ids)) == 40
    assert ids == sorted(ids)
    assert [push.at_ns for push in pushes] == sorted(push.at_ns for push in pushes)


def test_the_same_day_twice_is_the_same_and_another_seed_has_other_latencies(market: MarketDay) -> None:
    def story(seed: int) -> list[Delivery]:
        world = world_of(market, at(10, 0), seed)
        key = near_the_money(market, at(10, 0))
        world.watch([NIFTY.key, key])
        world.submit(buy(key, 65, market.quote(key, at(10, 0)).tick.ask_paise + 100), 1)
        world.submit(BookQuery(), 2)
        return run(world, at(10, 1))

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_what_one_watches_does_not_change_what_it_prints(market: MarketDay) -> None:
    key = near_the_money(market, at(10, 0))

    def prints(others: list[int]) -> list[Delivery]:
        world = world_of(market, at(10, 0))
        world.watch([key, *others])
        return [x for x in run(world, at(10, 0, 20)) if isinstance(x, Quoted) and x.quote.tick.key == key]

    assert prints([]) == prints([contract.key for contract in market.contracts[:30]])


def test_history_and_closes_come_from_the_market(market: MarketDay) -> None:
    world = world_of(market, at(10, 0))
    assert world.history(NIFTY.key, at(10, 0)) == market.history(NIFTY.key, at(10, 0))
    assert world.contracts is market.contracts
    assert world.previous_close_paise[NIFTY.key] == market.history(NIFTY.key, at(9, 0))[-1].close_paise
    assert world.chain("NIFTY", EXPIRY).at_ns == at(10, 0)
