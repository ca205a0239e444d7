"""The shipped beginner's rules in integers, typed by hand from the rule book, and the contracts tests trade with."""

from __future__ import annotations

from datetime import date

from algo_scalper.domain.instruments import NIFTY, Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.orders import Product
from algo_scalper.domain.rules import (
    ExitRules,
    ExpiryRules,
    FreshRules,
    GuardRules,
    IndexRules,
    LimitRules,
    LossPause,
    Role,
    Rules,
    SessionRules,
    SignalRules,
    SizeRules,
    StrikeRules,
    TrailStep,
)
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND

DAY = date(2026, 9, 15)
"""A Tuesday with the closing auction: the index freezes at 15:15, flat_by is 15:05, the last entry 14:40."""
EXPIRY = date(2026, 9, 22)
LAKH = 10_000_000
LOT = 65
TICK = 5

CALL = Contract(instrument_key(Segment.NSE_FNO, 42_500), "NIFTY", EXPIRY, 2_450_000, OptionType.CE, LOT, TICK, 1_755)
PUT = Contract(instrument_key(Segment.NSE_FNO, 42_501), "NIFTY", EXPIRY, 2_450_000, OptionType.PE, LOT, TICK, 1_755)

NIFTY_RULES = IndexRules("NIFTY", NIFTY.key, Role.TRADE, 1, 10_000, 300 * NS_PER_SECOND, 6_000, 14_000)

EXIT_RULES = ExitRules(
    stop_bps=2_000,
    emergency_bps=2_600,
    target_bps=4_000,
    trail=(TrailStep(1_500, None), TrailStep(2_500, 1_000), TrailStep(4_000, 2_000), TrailStep(6_000, 3_000)),
    time_stop_ns=45 * NS_PER_MINUTE,
    time_stop_under_bps=500,
    blind_ns=10 * NS_PER_SECOND,
    floor_bps=3_000,
)

LIMIT_RULES = LimitRules(
    open_positions=1,
    trades_day=4,
    after_loss_ns=15 * NS_PER_MINUTE,
    losses_in_row=(LossPause(2, 30 * NS_PER_MINUTE), LossPause(3, None)),
    day_loss_bps=400,
    week_loss_bps=800,
    giveback_from_bps=400,
    giveback_keep_bps=5_000,
)

GUARD_RULES = GuardRules(
    gap_bps=100,
    gap_until_s=10 * 3600,
    spike_sigma=5.0,
    spike_wait_ns=3 * NS_PER_MINUTE,
    breakeven_bps=1_000,
    vix_full=25.0,
    vix_none=30.0,
    no_trade_days=("2026-02-01",),
)

RULES = Rules(
    version=1,
    capital_paise=LAKH,
    product=Product.INTRADAY,
    indices=(NIFTY_RULES,),
    session=SessionRules((9 * 60 + 30) * 60, (14 * 60 + 40) * 60, None, special_sessions=False),
    expiry=ExpiryRules(1),
    signal=SignalRules("supertrend_adx", 10, 3.0, 14, 20.0, 18.0, carry_gap=False, on_flip_only=False),
    strike=StrikeRules(2, 50_000, 30, 75, 5),
    fresh=FreshRules(3 * NS_PER_SECOND, 5 * NS_PER_SECOND, 15 * NS_PER_SECOND, 2 * NS_PER_SECOND),
    size=SizeRules(1, 1, 200, 2_000),
    exit=EXIT_RULES,
    limits=LIMIT_RULES,
    guards=GUARD_RULES,
)
