"""Rules written as ``algo.yml`` writes them, so that what is in force can be shown beside what was asked for.

The reader of `config` reads every value back as it was; a test holds the two together.
"""

from __future__ import annotations

from algo_scalper.domain.rules import GuardRules, IndexRules, LimitRules, LossPause, Rules, TrailStep
from algo_scalper.domain.units import BPS, NS_PER_MINUTE, NS_PER_MS, NS_PER_SECOND


def written(rules: Rules) -> dict[str, str]:
    """Every key that `Rules` carries, dotted, with its value."""
    session, signal, strike, size, exits = rules.session, rules.signal, rules.strike, rules.size, rules.exit
    fresh, floor = rules.fresh, rules.exit.floor_bps
    found = {"capital": _rupees(rules.capital_paise), "product": rules.product.value}
    for index in rules.indices:
        found |= {f"indices.{index.name}.{key}": value for key, value in _index(index).items()}
    found |= {
        "session.entries": f"{_clock(session.entries_from_s)}-{_clock(session.entries_until_s)}",
        "session.flat_by": "auto" if session.flat_by_s is None else _clock(session.flat_by_s),
        "session.special_sessions": "trade" if session.special_sessions else "skip",
        "expiry.min_dte": str(rules.expiry.min_dte),
        "signal.name": signal.name,
        "signal.supertrend": f"[{signal.supertrend_period}, {signal.supertrend_multiplier}]",
        "signal.adx.period": str(signal.adx_period),
        "signal.adx.m1": _number(signal.adx_m1_min),
        "signal.adx.m5": _number(signal.adx_m5_min),
        "signal.gap": "carry" if signal.carry_gap else "exclude",
        "signal.entry": "flip" if signal.on_flip_only else "state",
        "strike.max_otm": str(strike.max_otm),
        "strike.min_oi": str(strike.min_oi),
        "strike.max_spread": f"max({strike.max_spread_paise / 100:.2f}, {_percent(strike.max_spread_bps)})",
        "strike.min_top5": f"{strike.min_top5_lots} lots",
        "fresh.option": _duration(fresh.option_ns),
        "fresh.index": _duration(fresh.index_ns),
        "fresh.chain": _duration(fresh.chain_ns),
        "fresh.lag": _duration(fresh.lag_ns),
        "size.method": "fixed_lots" if size.fixed_lots else "formula",
        "size.max_lots": str(size.max_lots),
        "size.risk_per_trade": _percent(size.risk_bps),
        "size.outlay": _percent(size.outlay_bps),
        "exit.stop": _percent(exits.stop_bps),
        "exit.emergency": _percent(exits.emergency_bps),
        "exit.target": _percent(exits.target_bps),
        "exit.trail": f"[{', '.join(map(_trail, exits.trail))}]",
        "exit.time_stop": _time_stop(exits.time_stop_ns, exits.time_stop_under_bps),
        "exit.blind": _duration(exits.blind_ns),
        "exit.floor.trigger": _percent(floor),
    }
    if size.fixed_lots:
        found["size.lots"] = str(size.fixed_lots)
    return {**found, **_limits(rules.limits), **_guards(rules.guards)}


def _index(index: IndexRules) -> dict[str, str]:
    return {
        "role": index.role.value,
        "max_same_side": str(index.max_same_side),
        "multiplier": _number(index.multiplier_bps / BPS),
        "cooldown_sec": str(index.cooldown_ns // NS_PER_SECOND),
        "premium": f"{_rupees(index.premium_min_paise)}-{_rupees(index.premium_max_paise)}",
    }


def _limits(limits: LimitRules) -> dict[str, str]:
    after, keep = limits.giveback_from_bps, limits.giveback_keep_bps
    return {
        "limits.open": str(limits.open_positions),
        "limits.trades_day": str(limits.trades_day),
        "limits.after_loss": _duration(limits.after_loss_ns),
        "limits.losses_in_row": ", ".join(map(_pause, limits.losses_in_row)) or "off",
        "limits.day_loss": _percent(limits.day_loss_bps),
        "limits.week_loss": _percent(limits.week_loss_bps),
        "limits.giveback": f"after {_gain(after)} keep {_percent(keep)}" if after else "off",
    }


def _guards(guards: GuardRules) -> dict[str, str]:
    full, none = _number(guards.vix_full), _number(guards.vix_none)
    return {
        "guards.vix": f"<= {full} full, {full}-{none} half, > {none} none" if guards.vix_none else "off",
        "guards.gap": f"{_percent(guards.gap_bps)}: {_clock(guards.gap_until_s)}" if guards.gap_bps else "off",
        "guards.spike": (
            f"{_number(guards.spike_sigma)} sigma: {_duration(guards.spike_wait_ns)}" if guards.spike_sigma else "off"
        ),
        "guards.breakeven": f"<= {_percent(guards.breakeven_bps)} of target",
    }


def _rupees(paise: int) -> str:
    return str(paise // 100) if paise % 100 == 0 else f"{paise / 100:.2f}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else str(value)


def _percent(bps: int) -> str:
    return f"{_number(bps / 100)}%"


def _gain(bps: int) -> str:
    return f"{'+' if bps >= 0 else ''}{_percent(bps)}"


def _duration(ns: int) -> str:
    for unit, size in (("m", NS_PER_MINUTE), ("s", NS_PER_SECOND)):
        if ns and ns % size == 0:
            return f"{ns // size}{unit}"
    return f"{ns // NS_PER_MS}ms" if ns else "0s"


def _clock(second: int) -> str:
    text = f"{second // 3600:02d}:{second // 60 % 60:02d}"
    return f"{text}:{second % 60:02d}" if second % 60 else text


def _pause(pause: LossPause) -> str:
    return f"{pause.losses}: {'day' if pause.pause_ns is None else _duration(pause.pause_ns)}"


def _trail(step: TrailStep) -> str:
    stop = "cost" if step.stop_bps is None else _gain(step.stop_bps)
    return f'"{_percent(step.from_bps)}:{stop}"'


def _time_stop(after_ns: int, under_bps: int) -> str:
    return f"{_duration(after_ns)} if under {_gain(under_bps)}" if after_ns else "off"
