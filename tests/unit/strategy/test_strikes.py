"""Strike choice on chains worked by hand."""

from __future__ import annotations

import msgspec
import pytest

from algo_scalper.domain.decisions import Direction, Refusal, RefusalReason, StrikeChoice
from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.market import ChainRow, OptionChain
from algo_scalper.domain.rules import IndexRules, Role, StrikeRules
from algo_scalper.strategy.strikes import choose_strike
from tests.unit.strategy.chains import EXPIRY, chain, contract

INDEX = IndexRules("NIFTY", NIFTY.key, Role.TRADE, 1, 10_000, 0, 6_000, 14_000)  # premium 60-140
RULES = StrikeRules(max_otm=2, min_oi=50_000, max_spread_paise=30, max_spread_bps=75, min_top5_lots=5)

#           strike side bid    ask    oi
CHAIN = """
            25600  CE   196.00 196.40 900000
            25600  PE   70.10  70.25  900000
            25650  CE   165.20 165.55 800000
            25650  PE   88.00  88.20  800000
            25700  CE   136.90 137.20 3000000
            25700  PE   110.05 110.25 3000000
            25750  CE   111.30 111.55 700000
            25750  PE   134.80 135.10 700000
            25800  CE   88.90  89.10  2000000
            25800  PE   162.10 162.45 2000000
"""


def choose(
    text: str, direction: Direction, spot: float, index: IndexRules = INDEX, rules: StrikeRules = RULES
) -> StrikeChoice | Refusal:
    """`choose_strike` on a written chain, spot in rupees."""
    listed, contracts = chain(text)
    return choose_strike(listed, contracts, direction, round(spot * 100), index, rules)


def chosen(answer: StrikeChoice | Refusal) -> tuple[str, int, int]:
    """Contract, steps out of the money, premium."""
    assert isinstance(answer, StrikeChoice)
    return answer.contract.name, answer.otm_steps, answer.premium_paise


def refused(answer: StrikeChoice | Refusal) -> Refusal:
    """The refusal it must be."""
    assert isinstance(answer, Refusal)
    return answer


def test_at_the_money_when_its_premium_fits() -> None:
    assert chosen(choose(CHAIN, Direction.UP, 25_712.30)) == ("NIFTY 20 JAN 25700 CE", 0, 13_720)
    assert chosen(choose(CHAIN, Direction.DOWN, 25_712.30)) == ("NIFTY 20 JAN 25700 PE", 0, 11_025)


def test_the_choice_carries_open_interest() -> None:
    answer = choose(CHAIN, Direction.UP, 25_712.30)
    assert isinstance(answer, StrikeChoice)
    assert answer.oi == 3_000_000


def test_out_of_the_money_is_up_for_calls_and_down_for_puts() -> None:
    tight = msgspec.structs.replace(INDEX, premium_max_paise=9_000)  # 60-90
    assert chosen(choose(CHAIN, Direction.UP, 25_712.30, tight)) == ("NIFTY 20 JAN 25800 CE", 2, 8_910)
    assert chosen(choose(CHAIN, Direction.DOWN, 25_712.30, tight)) == ("NIFTY 20 JAN 25650 PE", 1, 8_820)


def test_nearest_to_the_money_wins_over_a_cheaper_one() -> None:
    wide = msgspec.structs.replace(INDEX, premium_max_paise=12_000)  # 25750 and 25800 both fit
    assert chosen(choose(CHAIN, Direction.UP, 25_712.30, wide)) == ("NIFTY 20 JAN 25750 CE", 1, 11_155)


@pytest.mark.parametrize(
    ("spot", "strike"),
    [(25_724.95, 25_700), (25_725.00, 25_700), (25_725.05, 25_750), (25_674.95, 25_650), (25_675.00, 25_650)],
)
def test_at_the_money_is_the_nearest_listed_strike_and_the_lower_of_two(spot: float, strike: int) -> None:
    everything = msgspec.structs.replace(INDEX, premium_min_paise=1, premium_max_paise=100_000)
    assert chosen(choose(CHAIN, Direction.UP, spot, everything))[:2] == (f"NIFTY 20 JAN {strike} CE", 0)


def test_the_band_includes_its_ends() -> None:
    exact = msgspec.structs.replace(INDEX, premium_min_paise=13_720, premium_max_paise=13_720)
    assert chosen(choose(CHAIN, Direction.UP, 25_700, exact))[2] == 13_720


def test_a_refusal_lists_what_was_looked_at() -> None:
    dear = msgspec.structs.replace(INDEX, premium_min_paise=20_000, premium_max_paise=30_000)
    assert refused(choose(CHAIN, Direction.UP, 25_712.30, dear)) == Refusal(
        RefusalReason.NO_STRIKE_IN_BAND,
        {
            "spot_paise": 2_571_230,
            "atm_paise": 2_570_000,
            "premium_min_paise": 20_000,
            "premium_max_paise": 30_000,
            "min_oi": 50_000,
            "otm0_strike_paise": 2_570_000,
            "otm0_premium_paise": 13_720,
            "otm0_oi": 3_000_000,
            "otm0_unfit": "below_band",
            "otm1_strike_paise": 2_575_000,
            "otm1_premium_paise": 11_155,
            "otm1_oi": 700_000,
            "otm1_unfit": "below_band",
            "otm2_strike_paise": 2_580_000,
            "otm2_premium_paise": 8_910,
            "otm2_oi": 2_000_000,
            "otm2_unfit": "below_band",
        },
    )


def test_one_strike_further_than_allowed_is_not_looked_at() -> None:
    tight = msgspec.structs.replace(INDEX, premium_max_paise=9_000)
    one = msgspec.structs.replace(RULES, max_otm=1)
    answer = refused(choose(CHAIN, Direction.UP, 25_712.30, tight, one))
    assert answer.reason is RefusalReason.NO_STRIKE_IN_BAND
    assert "otm2_strike_paise" not in answer.numbers


def test_low_interest_passes_on_to_the_next_strike() -> None:
    thin = CHAIN.replace("137.20 3000000", "137.20 49999")
    assert chosen(choose(thin, Direction.UP, 25_700)) == ("NIFTY 20 JAN 25750 CE", 1, 11_155)


def test_just_enough_interest_is_enough() -> None:
    enough = CHAIN.replace("137.20 3000000", "137.20 50000")
    assert chosen(choose(enough, Direction.UP, 25_700)) == ("NIFTY 20 JAN 25700 CE", 0, 13_720)


def test_low_interest_is_the_reason_even_when_the_last_strike_failed_otherwise() -> None:
    high = msgspec.structs.replace(INDEX, premium_min_paise=13_000)
    thin = CHAIN.replace("137.20 3000000", "137.20 49999")
    answer = refused(choose(thin, Direction.UP, 25_700, high))
    assert answer.reason is RefusalReason.OPEN_INTEREST_LOW
    assert [answer.numbers[f"otm{step}_unfit"] for step in range(3)] == ["oi_low", "below_band", "below_band"]


def test_low_interest_everywhere_is_its_own_refusal() -> None:
    thin = CHAIN.replace("137.20 3000000", "137.20 49999")
    none = msgspec.structs.replace(RULES, max_otm=0)
    answer = refused(choose(thin, Direction.UP, 25_700, rules=none))
    assert answer.reason is RefusalReason.OPEN_INTEREST_LOW
    assert (answer.numbers["otm0_oi"], answer.numbers["min_oi"]) == (49_999, 50_000)


@pytest.mark.parametrize(
    ("line", "unfit"),
    [("0 137.20", "no_bid"), ("136.90 0", "no_ask"), ("137.25 137.20", "crossed")],
)
def test_a_strike_not_quoted_on_both_sides_is_passed_over(line: str, unfit: str) -> None:
    broken = CHAIN.replace("136.90 137.20", line)
    assert chosen(choose(broken, Direction.UP, 25_700))[0] == "NIFTY 20 JAN 25750 CE"
    none = msgspec.structs.replace(RULES, max_otm=0)
    assert refused(choose(broken, Direction.UP, 25_700, rules=none)).numbers["otm0_unfit"] == unfit


def test_a_put_listed_without_its_call_still_counts_as_a_strike() -> None:
    missing = CHAIN.replace("            25700  CE   136.90 137.20 3000000\n", "")
    assert chosen(choose(missing, Direction.UP, 25_700)) == ("NIFTY 20 JAN 25750 CE", 1, 11_155)
    none = msgspec.structs.replace(RULES, max_otm=0)
    assert refused(choose(missing, Direction.UP, 25_700, rules=none)).numbers["otm0_unfit"] == "not_listed"


def test_steps_follow_the_listed_strikes_whatever_their_distance() -> None:
    uneven = """
        25000 CE 700.00 701.00 90000
        25700 CE 236.90 237.20 90000
        25900 CE 100.00 100.20 90000
        26500 CE 4.00   4.05   90000
    """
    assert chosen(choose(uneven, Direction.UP, 25_650)) == ("NIFTY 20 JAN 25900 CE", 1, 10_020)


def test_the_order_of_rows_does_not_matter() -> None:
    backwards = "\n".join(reversed(CHAIN.split("\n")))
    for direction in Direction:
        assert chosen(choose(CHAIN, direction, 25_712.30)) == chosen(choose(backwards, direction, 25_712.30))


@pytest.mark.parametrize("spot", [25_599.95, 25_800.05, 0.0, 82_000.0])
def test_a_spot_outside_the_listed_strikes_is_no_chain(spot: float) -> None:
    answer = refused(choose(CHAIN, Direction.UP, spot))
    assert answer.reason is RefusalReason.CHAIN_MISSING
    assert answer.numbers["lowest_strike_paise"] == 2_560_000
    assert answer.numbers["highest_strike_paise"] == 2_580_000


def test_an_empty_chain_is_no_chain() -> None:
    answer = choose_strike(OptionChain(1, "NIFTY", EXPIRY, 0, ()), {}, Direction.UP, 2_570_000, INDEX, RULES)
    assert refused(answer).reason is RefusalReason.CHAIN_MISSING


def test_contracts_of_another_expiry_or_underlying_are_left_out() -> None:
    listed, contracts = chain(CHAIN)
    for number, stranger in enumerate(
        [
            contract(1, 25_700, "CE", EXPIRY.replace(day=27)),
            contract(2, 25_700, "CE", underlying="FINNIFTY"),
        ]
    ):
        contracts[stranger.key] = stranger
        row = ChainRow(stranger.key, 10_000 + number, 10_000, 10_010, 9_000_000, 1)
        listed = msgspec.structs.replace(listed, rows=(row, *listed.rows, row))
    listed = msgspec.structs.replace(listed, rows=(*listed.rows, ChainRow(99, 10_000, 10_000, 10_010, 9_000_000, 1)))
    answer = choose_strike(listed, contracts, Direction.UP, 2_570_000, INDEX, RULES)
    assert chosen(answer) == ("NIFTY 20 JAN 25700 CE", 0, 13_720)
