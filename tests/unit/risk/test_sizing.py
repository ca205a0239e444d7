"""How much: worked by hand from the rule book, then never above any cap whatever the numbers."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from algo_scalper.domain.charges import round_trip_charges
from algo_scalper.domain.decisions import Refusal, RefusalReason
from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.rules import GuardRules, Rules, SizeRules
from algo_scalper.risk.sizing import SizeContext, risk_per_lot_paise, size_order
from tests.unit.risk.beginner import GUARD_RULES, LAKH, RULES

R = RefusalReason
PLENTY = 10**12
DEFAULTS = SizeContext(14_000, 65, 1_755, 10_000, LAKH, 400_000, 5_000, 6_600, 14.0)


def lots(*, fixed: int = 0, most: int = 1_000, risk: int = 10_000, outlay: int = 10_000) -> Rules:
    return replace(RULES, size=SizeRules(fixed, most, risk, outlay))


def refused(context: SizeContext, rules: Rules = RULES) -> tuple[RefusalReason, dict[str, int | float | str]]:
    size = size_order(context, rules)
    assert isinstance(size, Refusal), size
    return size.reason, size.numbers


def test_one_nifty_lot_at_the_top_of_the_band_passes_the_risk_cap() -> None:
    # 140 x 20 % x 65 = 1,820; with charges of 66 that is 1,886, under 2 % of a lakh.
    assert risk_per_lot_paise(DEFAULTS, RULES) == 182_000 + 6_600
    assert size_order(DEFAULTS, RULES) == 65


def test_charges_count_in_the_risk() -> None:
    # 182,000 + 18,000 is the cap exactly; one paisa more breaks it, and the answer is no, never one lot.
    assert size_order(replace(DEFAULTS, charges_paise=18_000), RULES) == 65
    assert refused(replace(DEFAULTS, charges_paise=18_001)) == (
        R.RISK_CAP,
        {"lot_risk_paise": 200_001, "cap_paise": 200_000},
    )


def test_the_charges_of_that_lot_are_about_66_rupees() -> None:
    value = 14_000 * 65
    assert 6_000 < round_trip_charges(Exchange.NSE, value, value, date(2026, 9, 15)).total_paise < 7_500


def test_the_bare_formula_would_buy_twelve_lots() -> None:
    bare = replace(DEFAULTS, entry_paise=12_000, budget_left_paise=PLENTY, usable_cash_paise=PLENTY, ask_total=-1)
    assert size_order(bare, lots()) == 12 * 65, "a lakh at 120 x 65"
    # One 25 % stop of that: 12 x 65 x 120 x 25 % is Rs 23,400 of the lakh.
    stop = replace(lots(), exit=replace(RULES.exit, stop_bps=2_500))
    assert 12 * (risk_per_lot_paise(bare, stop) - bare.charges_paise) == 2_340_000


def test_the_multiplier_scales_the_formula_and_lifts_no_cap() -> None:
    half = replace(DEFAULTS, entry_paise=12_000, multiplier_bps=5_000, budget_left_paise=PLENTY, ask_total=-1)
    assert size_order(half, lots()) == 6 * 65
    doubled = replace(half, multiplier_bps=20_000, usable_cash_paise=PLENTY)
    assert size_order(doubled, lots(outlay=2_000)) == 2 * 65, "20 % of a lakh is two lots at 7,800"


def test_each_cap_says_what_it_was() -> None:
    assert refused(replace(DEFAULTS, entry_paise=31_000), lots(outlay=2_000)) == (
        R.OUTLAY_CAP,
        {"lot_cost_paise": 2_015_000, "cap_paise": 2_000_000},
    )
    assert refused(replace(DEFAULTS, multiplier_bps=900)) == (
        R.OUTLAY_CAP,
        {"lot_cost_paise": 910_000, "formula_paise": 900_000},
    )
    assert refused(replace(DEFAULTS, budget_left_paise=188_599)) == (
        R.BUDGET_SPENT,
        {"lot_risk_paise": 188_600, "budget_left_paise": 188_599},
    )
    assert refused(replace(DEFAULTS, budget_left_paise=-5))[0] is R.BUDGET_SPENT
    assert refused(replace(DEFAULTS, usable_cash_paise=916_599)) == (
        R.CASH_SHORT,
        {"lot_cost_paise": 910_000, "cash_paise": 916_599},
    )
    assert refused(replace(DEFAULTS, usable_cash_paise=-1))[0] is R.CASH_SHORT
    assert refused(replace(DEFAULTS, ask_total=259)) == (R.BOOK_THIN, {"ask_total": 259, "lot": 65})
    assert size_order(replace(DEFAULTS, ask_total=260), RULES) == 65, "a quarter of the top five is one lot"


def test_a_book_that_is_not_known_caps_nothing() -> None:
    assert size_order(replace(DEFAULTS, ask_total=-1), RULES) == 65
    assert refused(replace(DEFAULTS, ask_total=0))[0] is R.BOOK_THIN, "an empty book is known"


def test_lots_are_capped_by_number_and_by_the_freeze_quantity() -> None:
    rich = replace(
        DEFAULTS, entry_paise=100, charges_paise=0, usable_cash_paise=PLENTY, budget_left_paise=PLENTY, ask_total=-1
    )
    assert size_order(rich, lots()) == 1_755
    assert size_order(rich, lots(most=3)) == 3 * 65
    assert size_order(rich, lots(most=3, fixed=2)) == 2 * 65


def test_half_size_while_volatility_is_raised() -> None:
    cheap = replace(DEFAULTS, entry_paise=6_000, vix=26.0)
    assert size_order(cheap, lots(most=5, fixed=5)) == 2 * 65
    assert refused(cheap, lots(most=1))[0] is R.VIX_HIGH
    off: GuardRules = replace(GUARD_RULES, vix_none=0.0)
    assert size_order(cheap, replace(lots(most=4, fixed=4), guards=off)) == 4 * 65


money = st.integers(-LAKH, 20 * LAKH)
contexts = st.builds(
    SizeContext,
    entry_paise=st.integers(5, 60_000),
    lot=st.sampled_from([20, 30, 60, 65]),
    freeze_quantity=st.integers(0, 2_000),
    multiplier_bps=st.integers(0, 50_000),
    usable_cash_paise=money,
    budget_left_paise=money,
    ask_total=st.one_of(st.just(-1), st.integers(0, 50_000)),
    charges_paise=st.integers(0, 50_000),
    vix=st.floats(5, 29),
)
rule_sets = st.builds(
    lambda capital, fixed, most, risk, outlay: replace(
        RULES, capital_paise=capital, size=SizeRules(fixed, most, risk, outlay)
    ),
    st.integers(0, 50 * LAKH),
    st.integers(0, 20),
    st.integers(1, 20),
    st.integers(0, 2_000),
    st.integers(0, 10_000),
)


@given(contexts, rule_sets)
def test_never_above_any_cap_and_always_whole_lots(context: SizeContext, rules: Rules) -> None:
    quantity = size_order(context, rules)
    if isinstance(quantity, Refusal):
        assert quantity.numbers
        return
    cost = context.entry_paise * quantity
    risk = cost * rules.exit.stop_bps // 10_000 + context.charges_paise
    assert quantity > 0
    assert quantity % context.lot == 0
    assert cost * 10_000 <= rules.capital_paise * context.multiplier_bps
    assert cost * 10_000 <= rules.capital_paise * rules.size.outlay_bps + 5_000
    assert risk <= rules.capital_paise * rules.size.risk_bps / 10_000 + 1
    assert risk <= context.budget_left_paise + 1
    assert cost + context.charges_paise <= context.usable_cash_paise
    assert quantity <= rules.size.max_lots * context.lot
    assert quantity <= (rules.size.fixed_lots or 20) * context.lot
    assert quantity <= context.freeze_quantity
    if context.ask_total >= 0:
        assert quantity * 4 <= context.ask_total


def bought(context: SizeContext, rules: Rules) -> int:
    size = size_order(context, rules)
    return size if isinstance(size, int) else 0


@given(contexts, rule_sets, st.sampled_from(["usable_cash_paise", "budget_left_paise", "multiplier_bps"]), money)
def test_more_means_never_less(context: SizeContext, rules: Rules, name: str, more: int) -> None:
    richer = replace(context, **{name: getattr(context, name) + abs(more)})
    assert bought(richer, rules) >= bought(context, rules)


@given(contexts, rule_sets, st.integers(1, 10_000))
def test_a_dearer_option_is_never_bought_in_larger_number(context: SizeContext, rules: Rules, dearer: int) -> None:
    assert bought(replace(context, entry_paise=context.entry_paise + dearer), rules) <= bought(context, rules)
