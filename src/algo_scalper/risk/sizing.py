"""How much: the smallest of every cap, down to whole lots. One lot too many is a refusal, never one lot."""

from __future__ import annotations

import msgspec

from algo_scalper.domain.decisions import Refusal, RefusalReason
from algo_scalper.domain.rules import Rules
from algo_scalper.domain.units import BPS, apply_bps
from algo_scalper.risk.expiry_day import risk_of_the_day_bps


class SizeContext(msgspec.Struct, frozen=True):
    """What size depends on. Prices per contract, ``charges`` for a round trip of one lot."""

    entry_paise: int
    """The limit we would pay, per contract."""
    lot: int
    freeze_quantity: int
    multiplier_bps: int
    usable_cash_paise: int
    """The smaller of available (without pledged collateral) and start-of-day cash."""
    budget_left_paise: int
    """What day, week and giveback limits still allow to be lost."""
    ask_total: int
    """Contracts offered on the top five levels; -1 when the book is not known (a watched index)."""
    charges_paise: int
    vix: float
    expires_today: bool = False


def risk_per_lot_paise(context: SizeContext, rules: Rules) -> int:
    """What one lot loses at its stop, charges included."""
    return apply_bps(context.entry_paise, rules.exit.stop_bps) * context.lot + context.charges_paise


def size_order(context: SizeContext, rules: Rules) -> int | Refusal:
    """Contracts to buy (a multiple of the lot), or the cap that leaves less than one lot, with its numbers."""
    lot_cost = context.entry_paise * context.lot
    lot_risk = risk_per_lot_paise(context, rules)
    capital = rules.capital_paise
    formula = capital * context.multiplier_bps // BPS  # the original's term: scales this cap, lifts no other
    outlay = apply_bps(capital, rules.size.outlay_bps)
    risk_bps = risk_of_the_day_bps(rules.size.risk_bps) if context.expires_today else rules.size.risk_bps
    risk = apply_bps(capital, risk_bps)
    caps: list[tuple[int, Refusal]] = [
        (
            formula // lot_cost,
            Refusal(RefusalReason.OUTLAY_CAP, {"lot_cost_paise": lot_cost, "formula_paise": formula}),
        ),
        (outlay // lot_cost, Refusal(RefusalReason.OUTLAY_CAP, {"lot_cost_paise": lot_cost, "cap_paise": outlay})),
        (risk // lot_risk, Refusal(RefusalReason.RISK_CAP, {"lot_risk_paise": lot_risk, "cap_paise": risk})),
        (
            max(context.budget_left_paise, 0) // lot_risk,
            Refusal(
                RefusalReason.BUDGET_SPENT,
                {"lot_risk_paise": lot_risk, "budget_left_paise": context.budget_left_paise},
            ),
        ),
        (
            max(context.usable_cash_paise, 0) // (lot_cost + context.charges_paise),
            Refusal(RefusalReason.CASH_SHORT, {"lot_cost_paise": lot_cost, "cash_paise": context.usable_cash_paise}),
        ),
        (
            context.freeze_quantity // context.lot,
            Refusal(RefusalReason.BOOK_THIN, {"freeze_quantity": context.freeze_quantity, "lot": context.lot}),
        ),
    ]
    if context.ask_total >= 0:
        caps.append(
            (
                context.ask_total // 4 // context.lot,
                Refusal(RefusalReason.BOOK_THIN, {"ask_total": context.ask_total, "lot": context.lot}),
            )
        )
    lots, refusal = min(caps, key=lambda cap: cap[0])
    if lots < 1:
        return refusal
    lots = min(lots, rules.size.max_lots)
    if rules.size.fixed_lots:
        lots = min(lots, rules.size.fixed_lots)
    if rules.guards.vix_none > 0 and context.vix > rules.guards.vix_full:
        lots //= 2
    if lots < 1:
        return Refusal(RefusalReason.VIX_HIGH, {"vix": context.vix, "limit": rules.guards.vix_full})
    return lots * context.lot
