"""Matching, refusals, square-off and settlement of the simulated exchange, by examples worked out by hand."""

from __future__ import annotations

import msgspec
import pytest

from algo_scalper.domain.account import Funds
from algo_scalper.domain.errors import DataError
from algo_scalper.domain.exchange_rules import stop_gap
from algo_scalper.domain.market import Quote, Tick
from algo_scalper.domain.orders import BrokerStatus, OrderKind, Product, Side
from algo_scalper.domain.ports import Accepted, Rejected
from algo_scalper.simulation.exchange import (
    FOREIGN_ID,
    SQUARE_OFF_ID,
    ExchangeState,
    Holding,
    next_day,
)
from tests.unit.simulation.exchange_desk import (
    DAY,
    EXPIRING_KEY,
    EXPIRY,
    KEY,
    LAKH,
    OPEN,
    SENSEX_KEY,
    Bench,
    seconds,
)

BUY, SELL = Side.BUY, Side.SELL
BIDS = ((9_950, 130), (9_945, 195))
ASKS = ((10_000, 65), (10_005, 130), (10_010, 195))


@pytest.fixture
def bench() -> Bench:
    made = Bench(20 * LAKH)
    made.quote(BIDS, ASKS)
    return made


# --- taking ---------------------------------------------------------------------------------------------------------


def test_a_marketable_buy_walks_the_levels_inside_its_limit(bench: Bench) -> None:
    order = bench.place(BUY, 195, 10_005)
    assert bench.row(order).status is BrokerStatus.TRADED
    assert bench.filled(order) == (195, 65 * 10_000 + 130 * 10_005)
    assert [(fill.quantity, fill.price_paise) for fill in bench.exchange.fills()] == [(65, 10_000), (130, 10_005)]


def test_what_the_limit_does_not_reach_stays_and_rests(bench: Bench) -> None:
    order = bench.place(BUY, 260, 10_000)
    assert bench.row(order).status is BrokerStatus.PART_TRADED
    assert bench.filled(order) == (65, 650_000)


def test_what_we_took_is_gone_until_the_next_quote(bench: Bench) -> None:
    bench.place(BUY, 65, 10_000)
    second = bench.place(BUY, 65, 10_000)
    assert bench.filled(second) == (0, 0)
    third = bench.place(BUY, 130, 10_005)
    assert bench.filled(third) == (130, 130 * 10_005)
    bench.quote(BIDS, ASKS)
    fourth = bench.place(BUY, 65, 10_000)
    # The second order, which rests at 10,000, comes first; 65 is all there is.
    assert bench.filled(second) == (65, 650_000)
    assert bench.filled(fourth) == (0, 0)


def test_an_order_deeper_than_the_book_takes_all_shown_and_goes_on_with_the_next_quote(bench: Bench) -> None:
    order = bench.place(BUY, 520, 10_100)
    assert bench.filled(order)[0] == 390
    bench.quote(BIDS, ((10_020, 65), (10_025, 650)))
    assert bench.row(order).status is BrokerStatus.TRADED
    # A taker's prices: it never came to rest.
    assert bench.filled(order)[1] == 65 * 10_000 + 130 * 10_005 + 195 * 10_010 + 65 * 10_020 + 65 * 10_025


def test_an_order_meets_nothing_before_a_quote_is_seen() -> None:
    bench = Bench()
    order = bench.place(BUY, 65, 10_000)
    assert bench.row(order).status is BrokerStatus.PENDING
    bench.quote(BIDS, ASKS)
    assert bench.filled(order) == (65, 650_000)


# --- resting --------------------------------------------------------------------------------------------------------


def test_a_resting_buy_fills_at_its_own_price_when_the_market_comes_to_it(bench: Bench) -> None:
    order = bench.place(BUY, 195, 9_900)
    bench.quote(((9_850, 65),), ((9_880, 65), (9_890, 65), (9_905, 650)), ltp=9_880)
    # 130 are offered at or under 9,900: it would have stood there before them.
    assert bench.filled(order) == (130, 130 * 9_900)


def test_a_touch_is_not_a_fill_until_the_queue_before_us_is_eaten(bench: Bench) -> None:
    order = bench.place(BUY, 65, 9_950)  # 130 stand before it
    bench.quote(BIDS, ASKS, ltp=9_950, traded=65)
    bench.quote(BIDS, ASKS, ltp=9_950, traded=0)
    bench.quote(BIDS, ASKS, ltp=10_000, traded=6_500)
    assert bench.filled(order) == (0, 0)
    bench.quote(BIDS, ASKS, ltp=9_950, traded=130)  # 65 left of the queue, 65 for us
    assert bench.filled(order) == (65, 65 * 9_950)


def test_the_volume_of_one_quote_is_spent_once_among_our_orders(bench: Bench) -> None:
    first = bench.place(BUY, 65, 9_955)
    second = bench.place(BUY, 65, 9_955)
    bench.quote(((9_955, 130), *BIDS), ASKS, ltp=9_955, traded=65)
    assert bench.filled(first) == (65, 65 * 9_955)
    assert bench.filled(second) == (0, 0)


def test_a_print_through_our_price_fills_as_far_as_it_traded(bench: Bench) -> None:
    order = bench.place(BUY, 195, 9_945)
    bench.quote(((9_940, 65),), ASKS, ltp=9_940, traded=65)
    assert bench.filled(order) == (65, 65 * 9_945)


def test_an_old_print_without_volume_fills_nothing(bench: Bench) -> None:
    order = bench.place(BUY, 65, 9_960)
    bench.quote(BIDS, ASKS, ltp=9_900, traded=0)
    assert bench.filled(order) == (0, 0)


def test_behind_the_last_level_nothing_is_assumed_of_the_queue(bench: Bench) -> None:
    order = bench.place(BUY, 65, 9_900)
    bench.quote(((9_900, 65),), ASKS, ltp=9_900, traded=1_000_000)
    assert bench.filled(order) == (0, 0)


def test_the_better_price_is_served_first(bench: Bench) -> None:
    lower = bench.place(BUY, 65, 9_900)
    higher = bench.place(BUY, 65, 9_910)
    bench.quote(((9_850, 65),), ((9_890, 65),), ltp=9_890)
    assert bench.filled(higher) == (65, 65 * 9_910)
    assert bench.filled(lower) == (0, 0)


def test_a_repeated_quote_brings_nothing_back() -> None:
    bench = Bench(20 * LAKH)
    quote = Quote(Tick(bench.now_ns, KEY, 0, 10_000, 9_950, 10_000, 65, 65), ((9_950, 65),), ((10_000, 65),))
    bench.exchange.see(quote)
    bench.place(BUY, 65, 10_000)
    order = bench.place(BUY, 65, 10_000)
    bench.exchange.see(quote)
    assert bench.filled(order) == (0, 0)


def test_among_our_own_orders_a_changed_one_goes_to_the_end(bench: Bench) -> None:
    first, second = bench.place(BUY, 65, 9_900), bench.place(BUY, 65, 9_900)
    for price in (9_905, 9_900):
        assert isinstance(bench.modify(first, 65, price), Accepted)
    bench.quote(((9_850, 65),), ((9_890, 65),), ltp=9_890)
    assert bench.filled(second) == (65, 65 * 9_900)
    assert bench.filled(first) == (0, 0)


def test_a_changed_price_loses_its_place_in_the_queue(bench: Bench) -> None:
    order = bench.place(BUY, 65, 9_950)
    bench.quote(BIDS, ASKS, ltp=9_950, traded=130)
    assert isinstance(bench.modify(order, 65, 9_945), Accepted)
    assert isinstance(bench.modify(order, 65, 9_950), Accepted)
    bench.quote(BIDS, ASKS, ltp=9_950, traded=65)
    assert bench.filled(order) == (0, 0)


# --- stops ----------------------------------------------------------------------------------------------------------


def test_a_stop_waits_for_its_trigger_then_takes_what_stands_in_its_limit() -> None:
    bench = Bench()
    bench.long(130)
    stop = bench.place(SELL, 130, 7_000, trigger=8_000)
    bench.quote(((8_000, 650),), ((8_050, 650),), ltp=8_005)
    assert bench.row(stop).status is BrokerStatus.PENDING
    bench.quote(((7_990, 65), (7_950, 65), (6_900, 650)), ((8_050, 65),), ltp=8_000)
    assert bench.row(stop).status is BrokerStatus.TRADED
    assert bench.filled(stop) == (130, 65 * 7_990 + 65 * 7_950)
    assert bench.exchange.held(KEY) == 0


def test_a_market_that_gaps_under_the_stops_limit_leaves_it_resting() -> None:
    bench = Bench()
    bench.long()
    stop = bench.place(SELL, 65, 7_000, trigger=8_000)
    bench.quote(((6_500, 650),), ((6_550, 650),), ltp=6_500)
    assert bench.row(stop).status is BrokerStatus.PENDING
    assert isinstance(bench.modify(stop, 65, 6_500), Accepted)
    assert bench.filled(stop) == (65, 65 * 6_500)


def test_a_stop_whose_limit_lies_outside_the_band_when_it_triggers_is_rejected() -> None:
    bench = Bench()
    bench.long()
    stop = bench.place(SELL, 65, 7_000, trigger=8_000)
    bench.quote(((4_900, 650),), ((4_950, 650),), ltp=4_900)  # the band reaches Rs 20 up, to 69.00
    assert bench.row(stop).status is BrokerStatus.REJECTED
    assert "16284" in bench.row(stop).reason


def test_a_stop_becomes_a_limit_by_modification() -> None:
    bench = Bench()
    bench.long()
    stop = bench.place(SELL, 65, 7_000, trigger=8_000)
    assert isinstance(bench.modify(stop, 65, 9_900), Accepted)
    assert bench.row(stop).kind is OrderKind.LIMIT
    assert bench.filled(stop) == (65, 65 * 9_950)


def test_a_triggered_stop_cannot_be_made_a_stop_again() -> None:
    bench = Bench()
    bench.long()
    stop = bench.place(SELL, 65, 7_000, trigger=8_000)
    bench.quote(((6_500, 650),), ((6_550, 650),), ltp=6_500)
    answer = bench.modify(stop, 65, 5_500, trigger=6_000)
    assert isinstance(answer, Rejected)
    assert "triggered" in answer.reason


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "price", "trigger", "key", "said"),
    [
        (64, 10_000, 0, KEY, "lot size 65"),
        (0, 10_000, 0, KEY, "lot size 65"),
        (65, 0, 0, KEY, "not above 0"),
        (65, 10_000, 10_002, KEY, "tick"),
        (65, 10_000, 9_000, KEY, "should be greater than Price"),
        (65, 10_000, 0, 999, "not listed"),
    ],
)
def test_a_malformed_request_is_rejected_in_the_answer(
    bench: Bench, quantity: int, price: int, trigger: int, key: int, said: str
) -> None:
    answer = bench.try_place(SELL, quantity, price, trigger, key)
    assert isinstance(answer, Rejected)
    assert said in answer.reason
    assert bench.exchange.rows() == ()


def test_a_correlation_id_of_26_characters_is_rejected_and_25_are_taken(bench: Bench) -> None:
    assert isinstance(bench.try_place(BUY, 65, 9_000, correlation_id="x" * 26), Rejected)
    assert isinstance(bench.try_place(BUY, 65, 9_000, correlation_id="x" * 25), Accepted)


def refusal(bench: Bench, broker_id: str) -> str:
    row = bench.row(broker_id)
    assert row.status is BrokerStatus.REJECTED
    assert row.filled_quantity == 0
    return row.reason


@pytest.mark.parametrize("trigger", [0, 9_500])
def test_a_price_between_two_ticks_is_accepted_and_then_rejected_by_the_exchange(bench: Bench, trigger: int) -> None:
    number = bench.place(BUY, 65, 10_001, trigger=trigger)
    assert refusal(bench, number) == "EXCH:16283:The order price is not multiple of tick size"
    assert bench.exchange.available_paise == bench.exchange.funds().start_of_day_paise


def test_a_change_to_a_price_between_two_ticks_is_refused_and_leaves_the_order(bench: Bench) -> None:
    number = bench.place(BUY, 65, 9_000)
    answer = bench.modify(number, 65, 9_001)
    assert isinstance(answer, Rejected)
    assert answer.reason == "EXCH:16283:The order price is not multiple of tick size"
    assert (bench.row(number).price_paise, bench.row(number).status) == (9_000, BrokerStatus.PENDING)


def test_an_order_above_the_freeze_quantity_is_accepted_and_then_rejected(bench: Bench) -> None:
    assert "freeze quantity 1755" in refusal(bench, bench.place(BUY, 28 * 65, 10_000))
    assert bench.row(bench.place(BUY, 27 * 65, 9_000)).status is BrokerStatus.PENDING


def test_a_limit_outside_the_band_is_refused(bench: Bench) -> None:
    assert bench.exchange.rows() == ()
    assert "price range" in refusal(bench, bench.place(BUY, 65, 13_960))  # last 99.50: up to 139.30
    assert bench.row(bench.place(BUY, 65, 5_970)).status is BrokerStatus.PENDING
    assert "price range" in refusal(bench, bench.place(BUY, 65, 5_965))


def test_a_stops_limit_lies_within_a_fifth_of_its_trigger_or_ten_rupees_when_cheap() -> None:
    assert (stop_gap(10_000), stop_gap(5_000), stop_gap(2_000)) == (2_000, 1_000, 1_000)
    bench = Bench()
    bench.long()
    assert "exceeds 16.00" in refusal(bench, bench.place(SELL, 65, 6_395, trigger=8_000))
    stop = bench.place(SELL, 65, 6_400, trigger=8_000)
    assert bench.row(stop).status is BrokerStatus.PENDING
    answer = bench.modify(stop, 65, 6_395, trigger=8_000)
    assert isinstance(answer, Rejected)
    assert bench.row(stop).price_paise == 6_400


def test_a_buy_must_have_premium_and_charges_beside_all_other_working_buys() -> None:
    bench = Bench(cash_paise=1_300_000 + 2 * 2_400)
    bench.quote(BIDS, ASKS)
    # 6,435 rupees; charges 20 + exchange 2.2542 + IPFT .0322 + SEBI .0064 + stamp .1931 + GST 4.0127 = 26.50.
    first = bench.place(BUY, 65, 9_900)
    assert bench.row(first).status is BrokerStatus.PENDING
    # 6,565 rupees; charges 20 + 2.2997 + .0328 + .0066 + .1970 + 4.0210 = 26.56. In all 13,053.06, against 13,048.
    second = bench.place(BUY, 65, 10_100)
    assert refusal(bench, second).endswith("You have insufficient funds. Please add Rs.5.06 to trade.")
    assert bench.row(bench.place(BUY, 65, 9_900)).status is BrokerStatus.PENDING


def test_a_second_sell_beside_a_resting_one_is_margined_as_a_short_and_refused() -> None:
    bench = Bench()
    bench.long()
    stop = bench.place(SELL, 65, 7_000, trigger=8_000)
    second = bench.place(SELL, 65, 9_950)
    # 12 % of 24,500 x 65 = 1,91,100 rupees, against 1,00,000 less 6,500 and 26.53 of charges.
    assert refusal(bench, second).endswith(f"Please add Rs.{191_100 - 93_473.47:.2f} to trade.")
    assert isinstance(bench.modify(stop, 65, 9_950), Accepted)
    assert bench.exchange.held(KEY) == 0
    assert bench.filled(second) == (0, 0)


def test_with_enough_cash_the_second_sell_is_a_real_short() -> None:
    bench = Bench(cash_paise=5 * LAKH)
    bench.long()
    bench.place(SELL, 65, 7_000, trigger=8_000)
    before = bench.exchange.funds().available_paise
    bench.place(SELL, 65, 9_950)
    assert bench.exchange.held(KEY) == 0
    # The long is gone and the resting stop is now uncovered.
    assert before - bench.exchange.funds().available_paise > 19_110_000 - 65 * 9_950
    bench.quote(((7_500, 650),), ((7_550, 650),), ltp=7_500)
    assert bench.exchange.positions()[0].net_quantity == -65


def test_outside_the_session_orders_are_refused_and_changes_rejected() -> None:
    early = Bench(start=OPEN - 60 * 10**9)
    assert "Market is Closed" in refusal(early, early.place(BUY, 65, 10_000))
    late = Bench(start=seconds(15, 29, 58))
    late.quote(BIDS, ASKS)
    order = late.place(BUY, 65, 9_000)
    late.now_ns = seconds(15, 30)
    for answer in (late.modify(order, 65, 9_050), late.cancel(order)):
        assert isinstance(answer, Rejected)
        assert "Market is Closed" in answer.reason


def test_the_26th_modification_is_rejected(bench: Bench) -> None:
    order = bench.place(BUY, 65, 9_000)
    for n in range(25):
        assert isinstance(bench.modify(order, 65, 9_005 + 5 * n), Accepted)
    assert isinstance(bench.modify(order, 65, 9_300), Rejected)
    assert bench.row(order).price_paise == 9_125
    assert isinstance(bench.cancel(order), Accepted)


def test_a_modification_is_to_the_new_total(bench: Bench) -> None:
    order = bench.place(BUY, 195, 10_000)
    assert bench.filled(order)[0] == 65
    assert isinstance(bench.modify(order, 65, 10_000), Rejected)
    assert isinstance(bench.modify(order, 130, 10_005), Accepted)
    assert bench.row(order).status is BrokerStatus.TRADED
    assert bench.filled(order) == (130, 65 * 10_000 + 65 * 10_005)


def test_what_is_over_or_unknown_cannot_be_changed(bench: Bench) -> None:
    order = bench.place(BUY, 65, 10_000)
    for answer in (bench.modify(order, 65, 10_005), bench.cancel(order), bench.exchange.foreign_cancel("nobody", OPEN)):
        assert isinstance(answer, Rejected)
    assert bench.row(order).status is BrokerStatus.TRADED


# --- money ----------------------------------------------------------------------------------------------------------


def test_a_round_trip_costs_what_the_worked_example_says() -> None:
    """65 NIFTY bought at 100, sold at 110 after April 2026: charges 63.86 on a gross of 650."""
    bench = Bench()
    bench.quote(((9_950, 650),), ((10_000, 650),))
    bench.place(BUY, 65, 10_000)
    bench.quote(((11_000, 650),), ((11_050, 650),))
    bench.place(SELL, 65, 11_000)
    assert bench.exchange.funds() == Funds(LAKH + 65_000 - 6_386, LAKH)


def test_brokerage_is_per_order_however_many_fills() -> None:
    pieces, whole = Bench(), Bench()
    pieces.quote(BIDS, ((10_000, 65), (10_005, 0)))
    pieces.place(BUY, 130, 10_000)
    pieces.quote(BIDS, ((10_000, 65),))
    whole.quote(BIDS, ((10_000, 650),))
    whole.place(BUY, 130, 10_000)
    assert len(pieces.exchange.fills()) == 2
    assert pieces.exchange.cash_paise == whole.exchange.cash_paise


# --- other hands, the broker's own hand, the end of the day ---------------------------------------------------------


def test_a_person_in_the_app_sells_what_we_hold_and_cancels_our_stop() -> None:
    bench = Bench()
    bench.long()
    stop = bench.place(SELL, 65, 7_000, trigger=8_000)
    bench.exchange.take_changes()
    assert isinstance(bench.exchange.foreign_cancel(stop, bench.now_ns), Accepted)
    assert isinstance(bench.exchange.foreign_place(KEY, SELL, 65, 9_900, bench.now_ns), Accepted)
    assert [(row.correlation_id, row.status) for row in bench.exchange.take_changes().rows] == [
        ("T1-2", BrokerStatus.CANCELLED),
        (FOREIGN_ID, BrokerStatus.PENDING),
        (FOREIGN_ID, BrokerStatus.TRADED),
    ]
    assert bench.exchange.held(KEY) == 0


def test_the_broker_squares_intraday_positions_off_and_leaves_the_others() -> None:
    bench = Bench(20 * LAKH)
    bench.long(130)
    bench.place(BUY, 65, 10_000, product=Product.MARGIN)
    stop = bench.place(SELL, 130, 7_000, trigger=8_000)
    kept = bench.place(SELL, 65, 12_000, product=Product.MARGIN)
    assert bench.exchange.next_ns(bench.now_ns) == seconds(15, 20)
    bench.now_ns = seconds(15, 20) - 10**9
    bench.quote(((9_000, 65), (8_900, 650)), ((9_050, 65),), ltp=9_000)
    bench.exchange.pass_time(seconds(15, 20))
    assert bench.row(stop).status is BrokerStatus.CANCELLED
    assert bench.row(kept).status is BrokerStatus.PENDING
    sold = next(row for row in bench.exchange.rows() if row.correlation_id == SQUARE_OFF_ID)
    assert (sold.filled_quantity, sold.filled_value_paise) == (130, 65 * 9_000 + 65 * 8_900)
    assert bench.exchange.held(KEY) == 65
    late = bench.place(BUY, 65, 9_050)
    assert "square-off" in refusal(bench, late)
    assert bench.row(bench.place(BUY, 65, 9_000, product=Product.MARGIN)).status is BrokerStatus.PENDING


def test_a_position_without_an_intraday_part_is_not_squared_off() -> None:
    bench = Bench()
    bench.quote(((9_950, 650),), ((10_000, 650),))
    bench.place(BUY, 65, 10_000, product=Product.MARGIN)
    bench.now_ns = seconds(15, 19, 59)
    bench.exchange.pass_time(seconds(15, 20))
    assert bench.exchange.held(KEY) == 65
    assert len(bench.exchange.rows()) == 1


def test_a_square_off_that_was_slept_through_is_due_at_once() -> None:
    bench = Bench(start=seconds(15, 21))
    assert bench.exchange.next_ns(seconds(15, 21)) == seconds(15, 21) + 1
    bench.exchange.pass_time(seconds(15, 21) + 1)
    assert bench.exchange.next_ns(seconds(15, 21)) == seconds(15, 30)


def test_day_orders_expire_at_the_close(bench: Bench) -> None:
    order = bench.place(BUY, 65, 9_000, product=Product.MARGIN)
    bench.exchange.pass_time(seconds(15, 30))
    assert bench.row(order).status is BrokerStatus.EXPIRED
    assert bench.exchange.next_ns(seconds(15, 30)) is None
    assert bench.exchange.funds().available_paise == 20 * LAKH


def test_an_expiring_contract_settles_at_its_intrinsic_value_with_tax() -> None:
    bench = Bench()
    bench.quote(((9_950, 650),), ((10_000, 650),), key=EXPIRING_KEY)
    bench.place(BUY, 65, 10_000, key=EXPIRING_KEY, product=Product.MARGIN)
    cash = bench.exchange.cash_paise
    bench.exchange.settle({"NIFTY": 2_460_000}, seconds(15, 30))
    bench.exchange.settle({"NIFTY": 2_460_000}, seconds(15, 30))
    # 100 points x 65, less 0.15 % of it.
    assert bench.exchange.cash_paise == cash + 650_000 - 975
    assert bench.exchange.positions()[0].net_quantity == 0
    assert bench.exchange.fills()[-1].price_paise == 10_000


def test_out_of_the_money_settles_for_nothing_and_other_expiries_stay() -> None:
    bench = Bench()
    bench.long()
    cash = bench.exchange.cash_paise
    bench.exchange.settle({"NIFTY": 2_400_000}, seconds(15, 30))
    assert bench.exchange.held(KEY) == 65
    assert bench.exchange.cash_paise == cash
    assert EXPIRY > DAY


def test_bse_bands_apply_to_sensex() -> None:
    bench = Bench()
    bench.quote(((39_950, 200),), ((40_000, 200),), key=SENSEX_KEY)
    assert bench.row(bench.place(BUY, 20, 16_000, key=SENSEX_KEY)).status is BrokerStatus.PENDING


# --- keeping --------------------------------------------------------------------------------------------------------


def test_the_whole_state_survives_a_restart_and_goes_on_as_if_nothing_happened() -> None:
    one = Bench()
    one.long(130)
    stop = one.place(SELL, 130, 7_000, trigger=8_000)
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(one.exchange.export()), type=ExchangeState)
    other = Bench(state=state, start=one.now_ns)
    assert other.exchange.rows() == one.exchange.rows()
    assert other.exchange.positions() == one.exchange.positions()
    assert other.exchange.interest == one.exchange.interest
    for bench in (one, other):
        bench.quote(((7_990, 650),), ((8_050, 65),), ltp=7_990)
        assert bench.row(stop).status is BrokerStatus.TRADED
    assert other.exchange.export() == one.exchange.export()


def test_changes_are_told_once_and_rebuild_the_book() -> None:
    bench = Bench(20 * LAKH)
    bench.quote(BIDS, ASKS)
    bench.place(BUY, 130, 10_005)
    changes = bench.exchange.take_changes()
    assert [row.status for row in changes.rows] == [
        BrokerStatus.PENDING,
        BrokerStatus.PART_TRADED,
        BrokerStatus.TRADED,
    ]
    assert len(changes.fills) == 2
    assert [held.net_quantity for held in changes.holdings] == [130]
    assert changes.cash_paise == bench.exchange.cash_paise
    assert not bench.exchange.take_changes()


def test_the_next_day_begins_with_cash_and_overnight_positions() -> None:
    bench = Bench()
    bench.long()
    with pytest.raises(DataError, match="next_day"):
        Bench(state=msgspec.structs.replace(bench.exchange.export(), day=EXPIRY))
    state = next_day(bench.exchange.export(), EXPIRY)
    assert (state.cash_paise, state.start_of_day_paise) == (bench.exchange.cash_paise, bench.exchange.cash_paise)
    assert [(held.net_quantity, held.bought_value_paise) for held in state.holdings] == [(65, 650_000)]
    assert state.orders == []
    assert state.fills == []


def test_a_position_in_a_contract_that_is_not_listed_any_more_is_said() -> None:
    state = ExchangeState(DAY, LAKH, LAKH, holdings=[Holding(KEY + 7, 65, 0, 65, 650_000)])
    with pytest.raises(DataError, match="NSE_FNO:42507, which is not listed"):
        Bench(state=state)


def test_interest_is_what_works_and_what_is_held(bench: Bench) -> None:
    assert bench.exchange.interest == frozenset()
    order = bench.place(BUY, 65, 9_900)
    assert bench.exchange.interest == {KEY}
    bench.cancel(order)
    assert bench.exchange.interest == frozenset()
    bench.place(BUY, 65, 10_000)
    assert bench.exchange.interest == {KEY}


def test_broker_ids_look_like_the_brokers(bench: Bench) -> None:
    first, second = bench.place(BUY, 65, 9_000), bench.place(BUY, 65, 9_000)
    assert first.isdecimal()
    assert 12 <= len(first) <= 16
    assert f"{DAY:%y%m%d}" in first
    assert first != second
