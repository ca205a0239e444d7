"""At what price: limits the exchange takes, aggressive enough to trade and bounded enough not to be robbed.

Facts (trading-rules, "orders the exchange takes"): a limit must lie within about 40 % of the last price (Rs 20 at
50 and below); BSE about 60 %, Rs 30. A stop's limit may lie at most 20 % of the trigger under it (Rs 10 at 50 and
below), also on modification.
"""

from __future__ import annotations

from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.rules import OrderRules
from algo_scalper.domain.units import apply_bps, tick_down, tick_up

LOW_PREMIUM_PAISE = 5_000
BAND_BPS = {Exchange.NSE: 4_000, Exchange.BSE: 6_000}
BAND_LOW_PAISE = {Exchange.NSE: 2_000, Exchange.BSE: 3_000}
STOP_GAP_BPS = 2_000
STOP_GAP_LOW_PAISE = 1_000
SLABS_BPS = ((1_000, 500), (10_000, 300), (50_000, 200))
"""Price-protection slabs: premium under 10: 5 %, to 100: 3 %, to 500: 2 %, above: 1 %."""
SLAB_ABOVE_BPS = 100


def entry_limit_paise(ask_paise: int, rules: OrderRules, tick_paise: int) -> int:
    """Ask plus the larger of a tick and the entry slip."""
    return tick_up(ask_paise + max(tick_paise, apply_bps(ask_paise, rules.entry_slip_bps)), tick_paise)


def exit_limit_paise(
    bid_paise: int, waited_ns: int, last_paise: int, exchange: Exchange, rules: OrderRules, tick_paise: int
) -> int:
    """Bid less the exit slip; after a while less the protection slab; at last the edge of the band."""
    if waited_ns >= rules.edge_after_ns:
        return band_edge_paise(last_paise or bid_paise, exchange, tick_paise)
    slip = max(2 * tick_paise, apply_bps(bid_paise, rules.exit_slip_bps))
    if waited_ns >= rules.slab_after_ns:
        slip = max(slip * 2, apply_bps(bid_paise, slab_bps(bid_paise)))
    edge = band_edge_paise(last_paise or bid_paise, exchange, tick_paise)
    return max(tick_down(bid_paise - slip, tick_paise), edge, tick_paise)


def slab_bps(premium_paise: int) -> int:
    """The protection slab of a premium."""
    for below_paise, bps in SLABS_BPS:
        if premium_paise < below_paise:
            return bps
    return SLAB_ABOVE_BPS


def band_edge_paise(last_paise: int, exchange: Exchange, tick_paise: int) -> int:
    """The lowest limit the exchange takes, a tick inside the band."""
    if last_paise <= LOW_PREMIUM_PAISE:
        width = BAND_LOW_PAISE[exchange]
    else:
        width = apply_bps(last_paise, BAND_BPS[exchange])
    return max(tick_up(last_paise - width, tick_paise) + tick_paise, tick_paise)


def stop_limit_paise(trigger_paise: int, tick_paise: int) -> int:
    """The floor's limit: as far under its trigger as is taken, less one tick of safety."""
    gap = STOP_GAP_LOW_PAISE if trigger_paise <= LOW_PREMIUM_PAISE else apply_bps(trigger_paise, STOP_GAP_BPS)
    return max(tick_up(trigger_paise - gap, tick_paise) + tick_paise, tick_paise)
