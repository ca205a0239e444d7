"""Every guard: when it says no, with which numbers, and that it says no when it cannot know."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from algo_scalper.domain.account import Funds
from algo_scalper.domain.decisions import Direction, Refusal, RefusalReason, StrikeChoice
from algo_scalper.domain.market import Tick
from algo_scalper.domain.rules import ExpiryRules, Role, SessionRules
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_ns
from algo_scalper.risk.entry_context import EntryContext
from algo_scalper.risk.guards import GUARDS, first_refusal
from tests.unit.risk.beginner import CALL, DAY, GUARD_RULES, LAKH, NIFTY_RULES, RULES

R = RefusalReason
NOW = ist_ns(DAY, 11 * 3600)


def option(**changed: int) -> Tick:
    plain = {"at_ns": NOW - NS_PER_SECOND, "exchange_s": NOW // NS_PER_SECOND - 1, "ltp_paise": 12_000}
    book = {"bid_paise": 11_990, "ask_paise": 12_010, "bid_total": 5 * 65, "ask_total": 5 * 65}
    return Tick(key=CALL.key, **{**plain, **book, **changed})


ALLOWED = EntryContext(
    now_ns=NOW,
    rules=RULES,
    index=NIFTY_RULES,
    direction=Direction.UP,
    choice=StrikeChoice(CALL, 0, 12_010, 200_000),
    option=option(),
    spot_paise=2_450_500,
    reconciled=True,
    halted="",
    index_quoting=True,
    special_session=False,
    entries_from_ns=ist_ns(DAY, 9 * 3600 + 1_800),
    entries_until_ns=ist_ns(DAY, 14 * 3600 + 2_400),
    no_trade_day=False,
    expires_today=False,
    feed_up=True,
    orders_feed_up=True,
    terms_changed="",
    missed_from_ns=0,
    index_age_ns=NS_PER_SECOND,
    chain_age_ns=4 * NS_PER_SECOND,
    lag_ns=NS_PER_SECOND,
    gap_bps=20,
    gap_until_ns=ist_ns(DAY, 10 * 3600),
    spike_until_ns=0,
    spike_sigma=0.0,
    vix=14.0,
    open_positions=0,
    same_contract_open=False,
    same_side_open=0,
    opposite_open=0,
    unknown_orders=0,
    foreign_in_contract=False,
    cooldown_until_ns=0,
    paused_until_ns=0,
    losses_in_row=0,
    trades_today=0,
    orders_last_second=0,
    orders_last_minute=0,
    orders_today=0,
    funds=Funds(LAKH, LAKH),
    day_net_paise=0,
    day_peak_paise=0,
    week_before_paise=0,
    round_trip_paise=6_600,
)

EARLY = ist_ns(DAY, 9 * 3600 + 45 * 60)
WATCHED = replace(NIFTY_RULES, role=Role.WATCH)
NO_STRIKE = Refusal(R.NO_STRIKE_IN_BAND, {"atm_paise": 2_450_000})
LITTLE_INTEREST = Refusal(R.OPEN_INTEREST_LOW, {"min_oi": 50_000})

# What is changed in a context that is allowed, and the answer with its numbers.
NO: tuple[tuple[dict[str, Any], RefusalReason, dict[str, Any]], ...] = (
    ({"reconciled": False}, R.NOT_RECONCILED, {}),
    ({"halted": "halted by Asha"}, R.HALTED, {"why": "halted by Asha"}),
    ({"index_quoting": False}, R.MARKET_CLOSED, {}),
    ({"special_session": True}, R.SPECIAL_SESSION, {}),
    ({"no_trade_day": True}, R.EVENT_DAY, {}),
    ({"now_ns": ist_ns(DAY, 33_000)}, R.OUTSIDE_ENTRY_WINDOW, {"from": "09:30:00", "until": "14:40:00"}),
    ({"now_ns": ist_ns(DAY, 52_800)}, R.OUTSIDE_ENTRY_WINDOW, {"from": "09:30:00", "until": "14:40:00"}),
    ({"feed_up": False}, R.FEED_DOWN, {}),
    ({"orders_feed_up": False}, R.ORDER_FEED_DOWN, {}),
    ({"terms_changed": "NIFTY lot: 65 -> 75"}, R.TERMS_CHANGED, {"change": "NIFTY lot: 65 -> 75"}),
    ({"missed_from_ns": EARLY}, R.CANDLES_MISSED, {"since": "09:45:00"}),
    ({"index_age_ns": -1}, R.INDEX_STALE, {"limit_s": 5.0}),
    ({"index_age_ns": 5_100_000_000}, R.INDEX_STALE, {"age_s": 5.1, "limit_s": 5.0}),
    ({"lag_ns": 3_001_000_000}, R.LAGGING, {"lag_s": 3.001, "limit_s": 2.0}),
    ({"option": option(bid_paise=13_000, ask_paise=12_000)}, R.SPREAD_WIDE, {"spread_paise": -1_000}),
    ({"lag_ns": -3_001_000_000}, R.LAGGING, {"lag_s": -3.001, "limit_s": 2.0}),
    (
        {"now_ns": EARLY, "gap_bps": 100, "option": option(at_ns=EARLY)},
        R.GAP_WAIT,
        {"gap_bps": 100, "until": "10:00:00"},
    ),
    ({"now_ns": EARLY, "gap_bps": -478, "option": option(at_ns=EARLY)}, R.GAP_WAIT, {"gap_bps": -478}),
    ({"now_ns": EARLY, "gap_bps": None, "option": option(at_ns=EARLY)}, R.GAP_WAIT, {"gap_bps": "unknown"}),
    ({"spike_until_ns": NOW + 1, "spike_sigma": -6.24}, R.SPIKE_WAIT, {"sigma": -6.2, "until": "11:00:00"}),
    ({"vix": 0.0}, R.VIX_UNKNOWN, {}),
    ({"vix": 30.1}, R.VIX_HIGH, {"vix": 30.1}),
    ({"vix": 25.1}, R.VIX_HIGH, {"vix": 25.1}),  # half of one lot is none
    ({"unknown_orders": 1}, R.UNKNOWN_ORDER, {"orders": 1}),
    ({"opposite_open": 1}, R.OPPOSITE_OPEN, {"open": 1}),
    ({"same_side_open": 1}, R.SAME_SIDE_FULL, {"open": 1, "limit": 1}),
    ({"open_positions": 1}, R.OPEN_LIMIT, {"open": 1, "limit": 1}),
    ({"cooldown_until_ns": NOW + 1}, R.COOLDOWN, {"until": "11:00:00"}),
    ({"paused_until_ns": NOW + 1, "losses_in_row": 1}, R.AFTER_LOSS, {"until": "11:00:00"}),
    ({"paused_until_ns": NOW + 1, "losses_in_row": 2}, R.LOSSES_IN_ROW, {"losses": 2, "until": "11:00:00"}),
    ({"trades_today": 4}, R.TRADES_PER_DAY, {"trades": 4, "limit": 4}),
    ({"day_net_paise": -400_000}, R.DAY_LOSS, {"net_paise": -400_000, "limit_paise": -400_000}),
    ({"day_net_paise": -100_000, "week_before_paise": -700_000}, R.WEEK_LOSS, {"net_paise": -800_000}),
    (
        {"day_net_paise": 250_000, "day_peak_paise": 500_000},
        R.GIVEBACK,
        {"peak_paise": 500_000, "floor_paise": 250_000},
    ),
    ({"chain_age_ns": -1}, R.CHAIN_MISSING, {}),
    ({"chain_age_ns": 15_100_000_000}, R.CHAIN_STALE, {"age_s": 15.1, "limit_s": 15.0}),
    ({"choice": NO_STRIKE, "option": None}, R.NO_STRIKE_IN_BAND, {"atm_paise": 2_450_000}),
    ({"choice": LITTLE_INTEREST, "option": None}, R.OPEN_INTEREST_LOW, {"min_oi": 50_000}),
    ({"expires_today": True}, R.EXPIRY_DAY, {}),
    ({"same_contract_open": True}, R.DUPLICATE, {}),
    ({"foreign_in_contract": True}, R.FOREIGN_POSITION, {}),
    ({"option": None}, R.OPTION_STALE, {"age_s": -1.0, "limit_s": 3.0}),
    ({"option": option(at_ns=NOW - 3_100_000_000)}, R.OPTION_STALE, {"age_s": 3.1, "limit_s": 3.0}),
    ({"option": option(bid_paise=0)}, R.SPREAD_WIDE, {"bid_paise": 0}),
    # 0.75 % of an ask of 120.95 is 0.91: a spread of 0.95 is wider.
    ({"option": option(bid_paise=12_000, ask_paise=12_095)}, R.SPREAD_WIDE, {"spread_paise": 95, "limit_paise": 91}),
    ({"option": option(ask_total=324)}, R.BOOK_THIN, {"quantity": 324, "wanted": 325}),
    ({"option": option(bid_total=324)}, R.BOOK_THIN, {"quantity": 324, "wanted": 325}),
    # Target 40 % of 120.10 x 65 = 3,122.60; a tenth is 312.26; the spread costs 13.00, so charges may be 299.26.
    ({"round_trip_paise": 29_927}, R.BREAKEVEN_FAR, {"limit_bps": 1_000}),
    ({"orders_last_second": 5}, R.ORDER_RATE, {"orders": 5, "limit": 5, "window": "second"}),
    ({"orders_last_minute": 40}, R.ORDER_RATE, {"limit": 40, "window": "minute"}),
    ({"orders_today": 250}, R.ORDER_RATE, {"limit": 250, "window": "day"}),
    ({"index": WATCHED}, R.WATCH_ONLY, {}),
)


def test_the_plain_context_is_allowed() -> None:
    assert first_refusal(ALLOWED) is None


@pytest.mark.parametrize(("changed", "reason", "numbers"), NO, ids=lambda v: v.value if isinstance(v, R) else "")
def test_a_guard_says_no_with_its_numbers(changed: dict[str, Any], reason: R, numbers: dict[str, Any]) -> None:
    refusal = first_refusal(replace(ALLOWED, **changed))
    assert refusal is not None
    assert refusal.reason is reason
    assert {name: refusal.numbers.get(name) for name in numbers} == numbers


ELSEWHERE = {
    R.OUTLAY_CAP: "sizing",
    R.RISK_CAP: "sizing",
    R.BUDGET_SPENT: "sizing",
    R.CASH_SHORT: "sizing",
    R.SIGNAL_DISABLED: "the runtime, around people's own signals",
}


def test_every_reason_is_given_by_a_guard_here_or_by_another_place_that_is_named() -> None:
    assert {reason for _, reason, _ in NO} | ELSEWHERE.keys() == set(R)


def test_every_guard_says_no_to_something_here() -> None:
    silent = [g.__name__ for g in GUARDS if not any(g(replace(ALLOWED, **changed)) for changed, _, _ in NO)]
    assert not silent


# The order in which a person wants to hear them: the account, the day, the feeds, the market, what is open, the
# money, and only then the contract; the rate of orders and the watched role last.
ORDER = (
    "not_reconciled halted market_closed special_session event_day outside_entry_window terms_changed feed_down candles_missed index_stale lagging "
    "gap_wait spike_wait vix_high unknown_order exposure cooldown after_loss day_limits chain_stale no_strike "
    "expiry_day duplicate foreign_position option_stale spread_wide book_thin breakeven_far order_rate watch_only"
)


def test_the_order_of_the_guards() -> None:
    assert " ".join(guard.__name__ for guard in GUARDS) == ORDER


def test_the_first_of_several_is_the_answer() -> None:
    refusal = first_refusal(replace(ALLOWED, halted="halted", feed_up=False, option=None, index=WATCHED))
    assert refusal == Refusal(R.HALTED, {"why": "halted"})


def test_at_the_limit_is_allowed() -> None:
    edge = replace(
        ALLOWED,
        index_age_ns=5 * NS_PER_SECOND,
        lag_ns=3 * NS_PER_SECOND,  # the exchange's second is cut off: up to one more is no lag
        chain_age_ns=15 * NS_PER_SECOND,
        option=option(at_ns=NOW - 3 * NS_PER_SECOND, bid_paise=12_000, ask_paise=12_090),
        vix=25.0,
        trades_today=3,
        day_net_paise=-399_999,
        orders_last_second=4,
        orders_last_minute=39,
        gap_bps=500,  # it is past ten
    )
    assert first_refusal(edge) is None


def test_before_ten_a_small_gap_does_not_wait() -> None:
    assert first_refusal(replace(ALLOWED, now_ns=EARLY, gap_bps=99, option=option(at_ns=EARLY))) is None


def test_guards_can_be_asked_for_or_switched_off_by_rule() -> None:
    special = replace(RULES, session=SessionRules(0, 86_400, None, special_sessions=True))
    assert first_refusal(replace(ALLOWED, rules=special, special_session=True)) is None
    on_expiry = replace(RULES, expiry=ExpiryRules(0))
    assert first_refusal(replace(ALLOWED, rules=on_expiry, expires_today=True)) is None
    no_vix = replace(RULES, guards=replace(GUARD_RULES, vix_none=0.0))
    assert first_refusal(replace(ALLOWED, rules=no_vix, vix=0.0)) is None
    many = replace(RULES, size=replace(RULES.size, max_lots=4))
    assert first_refusal(replace(ALLOWED, rules=many, vix=26.0)) is None, "half of several lots is some"


def test_a_watched_index_is_judged_by_its_row_of_the_chain() -> None:
    from_chain = Tick(NOW - 10 * NS_PER_SECOND, CALL.key, 0, 12_000, 11_990, 12_010)
    refusal = first_refusal(replace(ALLOWED, index=WATCHED, option=from_chain))
    assert refusal == Refusal(R.WATCH_ONLY, {}), "no depth and a chain's age are no reasons there"


def test_the_pause_of_a_loss_ends_on_time() -> None:
    assert first_refusal(replace(ALLOWED, paused_until_ns=NOW, cooldown_until_ns=NOW, spike_until_ns=NOW)) is None
    late = replace(ALLOWED, now_ns=NOW + NS_PER_MINUTE, option=option(at_ns=NOW + NS_PER_MINUTE), cooldown_until_ns=NOW)
    assert first_refusal(late) is None
