"""The keys of ``algo.yml``: default, how it is written, what it means. `config` reads by it, the reference page prints it.

The defaults are those of the shipped ``config/algo.yml``; a test holds the two together.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import NamedTuple

from algo_scalper.runtime.yaml_file import KeyPath, Leaf


class Key(NamedTuple):
    """One key. ``path`` is dotted, ``*`` stands for an index name; ``written`` says how a value looks."""

    path: str
    default: Leaf
    written: str
    meaning: str


KEYS: tuple[Key, ...] = (
    Key(
        "mode", "paper", "paper | live", "Which money is asked for. Anything unreadable is paper; live needs much more."
    ),
    Key("capital", 100000, "rupees", "Cash to start with on paper. The balance carries over days."),
    Key(
        "product",
        "INTRADAY",
        "INTRADAY | MARGIN",
        "INTRADAY is squared off by the broker at 15:20 even when this engine is dead; MARGIN is not.",
    ),
    Key("indices.*.key", None, "the name", "The index's name again, as in the list form of older files."),
    Key(
        "indices.*.sid",
        None,
        '"13"',
        "Dhan's security id of the index: NIFTY 13, BANKNIFTY 25, FINNIFTY 27, SENSEX 51.",
    ),
    Key("indices.*.segment", "IDX_I", "IDX_I", "The exchange segment the index is quoted in."),
    Key("indices.*.max_same_side", 1, "count", "Most positions in one direction on this index."),
    Key(
        "indices.*.multiplier",
        1,
        "number",
        "Scales the capital term of the size formula (capital x multiplier / premium). It lifts no cap.",
    ),
    Key(
        "indices.*.cooldown_sec",
        300,
        "seconds, a bare number",
        "Wait after a trade before the next entry on this index.",
    ),
    Key("indices.*.role", "trade", "trade | watch", "watch decides and logs, and sends no order."),
    Key(
        "indices.*.premium", None, "60-140, rupees", "The option prices looked at. Each index has its own default band."
    ),
    Key("session.entries", "09:30-14:40", "09:30-14:40", "No entry before the first or from the second time on (IST)."),
    Key(
        "session.flat_by",
        "auto",
        "auto | 15:05",
        "Every position is left by then. auto: 10 minutes before the first of the index freeze, the broker's square-off "
        "and the contract's end, by date.",
    ),
    Key("session.special_sessions", "skip", "skip | trade", "Weekend, Muhurat and split sessions."),
    Key("expiry.choose", "nearest", "nearest", "Which expiry is bought."),
    Key("expiry.min_dte", 1, "calendar days", "Least days to expiry. 1 never buys a contract on its expiry day."),
    Key(
        "signal.name", "supertrend_adx", "supertrend_adx", "The signal. The bundled one is an example without an edge."
    ),
    Key("signal.supertrend", (10, 3.0), "[period, multiplier]", "Supertrend on one-minute candles."),
    Key("signal.adx.period", 14, "candles", "Period of ADX."),
    Key("signal.adx.m1", 20, "0-100", "Least ADX on one-minute candles."),
    Key("signal.adx.m5", 18, "0-100", "Least ADX on five-minute candles."),
    Key(
        "signal.gap",
        "exclude",
        "exclude | carry",
        "exclude: the first bar of a day has no true range and no movement across the night. carry: as TA-Lib would.",
    ),
    Key(
        "signal.entry",
        "state",
        "state | flip",
        "state: while aligned, re-armed after the cooldown. flip: on the turn only.",
    ),
    Key("strike.from", "ATM", "ATM", "Where the search for a strike begins."),
    Key("strike.max_otm", 2, "strikes", "How far out of the money it may go."),
    Key(
        "strike.pick",
        "nearest ATM inside premium band",
        "nearest ATM inside premium band",
        "Which of the strikes is taken.",
    ),
    Key("strike.min_oi", 50000, "contracts", "Least open interest."),
    Key("strike.max_spread", "max(0.30, 0.75%)", "max(rupees, percent)", "Widest spread taken, the larger of the two."),
    Key("strike.min_top5", "5 lots", "5 lots", "Least quantity offered on the best five levels."),
    Key("fresh.option", "3s", "duration", "How old an option's price may be."),
    Key("fresh.index", "5s", "duration", "How old the index's price may be."),
    Key("fresh.chain", "15s", "duration", "How old the option chain may be."),
    Key("fresh.lag", "2s", "duration", "How far our time may trail the exchange's."),
    Key("size.method", "fixed_lots", "fixed_lots | formula", "fixed_lots adds `lots` as one more cap."),
    Key("size.lots", 1, "lots", "Lots per trade under fixed_lots."),
    Key("size.max_lots", 1, "lots", "Never more than this."),
    Key(
        "size.risk_per_trade",
        "2%",
        "percent",
        "Most at risk: (entry - stop) x quantity + charges, of the day's first capital.",
    ),
    Key("size.outlay", "20%", "percent", "Most paid for one position, of the day's first capital."),
    Key("exit.stop", "20%", "percent", "Stop loss, below the average fill."),
    Key("exit.emergency", "26%", "percent", "Emergency stop: fires on the first price that shows it."),
    Key("exit.target", "40%", "percent", "Target, above the average fill."),
    Key(
        "exit.trail",
        ("15%:cost", "25%:+10%", "40%:+20%", "60%:+30%"),
        "[gain:stop, ...]",
        "From each gain on, the stop stands at that distance over entry; cost is entry plus charges. [] for none.",
    ),
    Key(
        "exit.time_stop",
        "45m if under +5%",
        "45m if under +5% | off",
        "Leave after this long unless the gain is at least that.",
    ),
    Key("exit.blind", "10s", "duration", "Leave after this long without a trustworthy price."),
    Key(
        "exit.floor.trigger",
        "30%",
        "percent",
        "Trigger of the sell order that rests at the exchange from the first fill.",
    ),
    Key("exit.floor.limit", "band", "band", "Its limit lies as far below the trigger as the exchange allows."),
    Key("exit.floor.pnl_exit", "5%", "percent | off", "The broker's own P&L exit, as part of capital."),
    Key("limits.open", 1, "positions", "Open positions at one time."),
    Key("limits.trades_day", 4, "trades", "Entries in a day."),
    Key("limits.after_loss", "15m", "duration", "No entry for this long after a losing trade."),
    Key("limits.losses_in_row", "2: 30m, 3: day", "count: duration | day", "Pauses after losses in a row."),
    Key("limits.day_loss", "4%", "percent", "Loss of the day, charges included, after which no entry is taken."),
    Key("limits.week_loss", "8%", "percent", "The same for Monday to Friday."),
    Key(
        "limits.giveback",
        "after +4% keep half",
        "after +4% keep half | off",
        "Once up so much, this part of the best is kept.",
    ),
    Key("limits.opposite", "refuse", "refuse", "An entry against an open position of the other direction."),
    Key("limits.pyramid", "none", "none", "Adding to a position."),
    Key(
        "guards.vix",
        "<= 25 full, 25-30 half (one lot = none), > 30 none",
        "<= 25 full, 25-30 half, > 30 none | off",
        "Size by India VIX.",
    ),
    Key(
        "guards.gap",
        "1%: 10:00",
        "percent: time | off",
        "Opened this far from yesterday's close: no entry before that time.",
    ),
    Key(
        "guards.spike",
        "5 sigma: 3m",
        "sigma: duration | off",
        "A one-minute move beyond this, for its time of day: wait.",
    ),
    Key("guards.events", "config/events.csv", "file | off", "Dated days without trades (columns date, event)."),
    Key(
        "guards.breakeven",
        "<= 10% of target",
        "<= 10% of target",
        "Most the round trip may cost, as part of the target.",
    ),
    Key(
        "watchlist",
        (),
        "[SEGMENT:ID, ...]",
        "Watched beside what is traded, for the page and the mirror; never decided on. The stored list goes before it.",
    ),
    Key(
        "guards.iv_rank", "off until 20 sessions", "off | off until 20 sessions", "Needs history that is not yet kept."
    ),
)

DEFAULTS: MappingProxyType[str, Leaf] = MappingProxyType({key.path: key.default for key in KEYS})

PREMIUM_DEFAULTS: MappingProxyType[str, str] = MappingProxyType(
    {"NIFTY": "60-140", "SENSEX": "150-450", "BANKNIFTY": "120-300", "FINNIFTY": "60-150"}
)

ORIGINAL_KEYS: MappingProxyType[str, str] = MappingProxyType(
    {
        "paper_trading.enabled": "write mode: paper",
        "paper_trading.balance": "write capital: 100000",
        "dhanhq.enable_orders": "set ENABLE_ORDER in the environment or .env",
        "indices.*.capital_alloc_pct": "write size.outlay, for example 30%",
        "indices.*.direction": "remove it; the direction comes from the signal alone",
        "indices.*.premium_band.min": "write premium: 60-140 in one value",
        "indices.*.premium_band.max": "write premium: 60-140 in one value",
        "indices.*.otm_rules.max_otm": "write strike.max_otm",
        "indices.*.trade_limits.max_trades_per_day": "write limits.trades_day",
        "indices.*.adx_thresholds.primary_min_strength": "write signal.adx.m1",
        "indices.*.adx_thresholds.confirmation_min_strength": "write signal.adx.m5",
        "indices.*.lot": "remove it; lots come from the exchange's contract list",
        "indices.*.lot_size": "remove it; lots come from the exchange's contract list",
        "indices.*.enabled": "write role: watch to switch an index off",
        "trade_limits.global_max_trades_per_day": "write limits.trades_day",
        "risk.sl_pct": "write exit.stop, for example 30% for 0.30",
        "risk.tp_pct": "write exit.target, for example 60% for 0.60",
        "risk.trailing_tiers": "write exit.trail",
        "risk.time_exit_hhmm": "write session.flat_by",
        "risk.market_close_hhmm": "remove it; sessions come from the dated calendar",
        "signals.supertrend.period": "write signal.supertrend: [period, multiplier]",
        "signals.supertrend.base_multiplier": "write signal.supertrend: [period, multiplier]",
        "signals.adx.min_strength": "write signal.adx.m1",
        "signals.adx.confirmation_min_strength": "write signal.adx.m5",
        "option_chain.min_oi": "write strike.min_oi",
        "option_chain.max_spread_pct": "write strike.max_spread",
    }
)
"""Keys of the project's original that say something here under another name, and how to say it."""

ORIGINAL_SECTIONS = frozenset(
    {"feature_flags", "risk", "signals", "chain_analyzer", "option_chain", "data_freshness", "paper_trading", "dhanhq"}
)

INDEX_SECTION = "indices"


def pattern_of(path: KeyPath) -> str:
    """The dotted key with an index name replaced: ``("indices", "NIFTY", "sid") -> "indices.*.sid"``."""
    if len(path) > 1 and path[0] == INDEX_SECTION:
        return ".".join((INDEX_SECTION, "*", *path[2:]))
    return ".".join(path)
