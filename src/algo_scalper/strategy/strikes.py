"""Which contract a signal is traded with: at the money or a little out of it, at a premium we trade, with interest."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from algo_scalper.domain.decisions import Direction, Numbers, Refusal, RefusalReason, StrikeChoice
from algo_scalper.domain.instruments import Contract, OptionType
from algo_scalper.domain.market import ChainRow, OptionChain
from algo_scalper.domain.rules import IndexRules, StrikeRules


class Unfit(StrEnum):
    """Why a strike that was looked at was passed over."""

    NOT_LISTED = "not_listed"
    NO_ASK = "no_ask"
    NO_BID = "no_bid"
    CROSSED = "crossed"
    BELOW_BAND = "below_band"
    ABOVE_BAND = "above_band"
    OI_LOW = "oi_low"


def choose_strike(
    chain: OptionChain,
    contracts: Mapping[int, Contract],
    direction: Direction,
    spot_paise: int,
    index: IndexRules,
    rules: StrikeRules,
) -> StrikeChoice | Refusal:
    """The strike nearest to the money, at most ``rules.max_otm`` strikes out of it, that fits; calls for UP.

    At the money is the listed strike nearest ``spot_paise`` (the lower of two equally near). Steps are counted on the
    strikes the chain lists, so no strike step is assumed. A strike fits when it is quoted on both sides, its ask lies
    in the index's premium band (ends included) and its open interest reaches ``rules.min_oi`` contracts. Spread, depth
    and freshness are judged by the guards, on the live tick.

    ``contracts`` is by instrument key; rows of the chain without one, or of another expiry, are left out. A refusal
    lists every strike that was looked at with its premium, open interest and what was wrong with it.
    """
    wanted = OptionType.CE if direction is Direction.UP else OptionType.PE
    listed: set[int] = set()
    offered: dict[int, tuple[Contract, ChainRow]] = {}
    for row in chain.rows:
        contract = contracts.get(row.key)
        if contract is None or (contract.underlying, contract.expiry) != (chain.underlying, chain.expiry):
            continue
        listed.add(contract.strike_paise)
        if contract.option_type is wanted:
            offered[contract.strike_paise] = contract, row

    ladder = sorted(listed)
    if not ladder or not ladder[0] <= spot_paise <= ladder[-1]:
        # Too few strikes to tell which is at the money: a piece of a chain, or a spot of another underlying.
        return Refusal(
            RefusalReason.CHAIN_MISSING,
            {
                "spot_paise": spot_paise,
                "rows": len(chain.rows),
                "strikes": len(ladder),
                "lowest_strike_paise": ladder[0] if ladder else 0,
                "highest_strike_paise": ladder[-1] if ladder else 0,
            },
        )

    atm = min(range(len(ladder)), key=lambda place: (abs(ladder[place] - spot_paise), place))
    numbers: Numbers = {
        "spot_paise": spot_paise,
        "atm_paise": ladder[atm],
        "premium_min_paise": index.premium_min_paise,
        "premium_max_paise": index.premium_max_paise,
        "min_oi": rules.min_oi,
    }
    interest_lacked = False
    for step in range(rules.max_otm + 1):
        place = atm + step * direction
        if not 0 <= place < len(ladder):
            break
        found = offered.get(ladder[place])
        numbers[f"otm{step}_strike_paise"] = ladder[place]
        if found is None:
            numbers[f"otm{step}_unfit"] = Unfit.NOT_LISTED.value
            continue
        contract, row = found
        unfit = _unfit(row, index, rules)
        if unfit is None:
            return StrikeChoice(contract, step, row.ask_paise, row.oi)
        interest_lacked = interest_lacked or unfit is Unfit.OI_LOW
        numbers[f"otm{step}_premium_paise"] = row.ask_paise
        numbers[f"otm{step}_oi"] = row.oi
        numbers[f"otm{step}_unfit"] = unfit.value

    # Open interest is looked at last, so a strike that lacks only that had the right premium.
    reason = RefusalReason.OPEN_INTEREST_LOW if interest_lacked else RefusalReason.NO_STRIKE_IN_BAND
    return Refusal(reason, numbers)


def _unfit(row: ChainRow, index: IndexRules, rules: StrikeRules) -> Unfit | None:
    """What is wrong with a strike; None when it fits. What we would pay is the ask, not the last price."""
    if row.ask_paise <= 0:
        return Unfit.NO_ASK
    if row.bid_paise <= 0:
        return Unfit.NO_BID
    if row.bid_paise > row.ask_paise:
        return Unfit.CROSSED
    if row.ask_paise < index.premium_min_paise:
        return Unfit.BELOW_BAND
    if row.ask_paise > index.premium_max_paise:
        return Unfit.ABOVE_BAND
    if row.oi < rules.min_oi:
        return Unfit.OI_LOW
    return None
