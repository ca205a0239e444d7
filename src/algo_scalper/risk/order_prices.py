"""At what price: limits the exchange takes, aggressive enough to trade and bounded enough not to be robbed."""

from __future__ import annotations

from algo_scalper.domain.exchange_rules import price_band, protection_bps
from algo_scalper.domain.instruments import Exchange
from algo_scalper.domain.rules import OrderRules
from algo_scalper.domain.units import apply_bps, tick_down, tick_up


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
        slip = max(slip * 2, apply_bps(bid_paise, protection_bps(bid_paise)))
    edge = band_edge_paise(last_paise or bid_paise, exchange, tick_paise)
    return max(tick_down(bid_paise - slip, tick_paise), edge, tick_paise)


def band_edge_paise(last_paise: int, exchange: Exchange, tick_paise: int) -> int:
    """The lowest limit the exchange takes, a tick inside the band."""
    low, _ = price_band(last_paise, exchange, tick_paise)
    return low if low == tick_paise else low + tick_paise
