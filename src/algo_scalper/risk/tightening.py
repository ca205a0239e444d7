"""Which of two rules is the tighter one, limit by limit. A session may be tightened at any moment and loosened at none.

`tighter` is the meet of a lattice on the limits: it never allows what one of its two arguments forbids. What is no limit
(exits of positions to come, the premium band, how a strike is chosen) it takes from the wanted rules as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from algo_scalper.domain.rules import IndexRules, LossPause, Role, Rules

Values = tuple[Any, ...]
Meet = Callable[[Values, Values], Values]


class Limit(NamedTuple):
    """One limit: its key in ``algo.yml``, where its values stand in `Rules`, and the tighter of two sets of them."""

    key: str
    section: str
    fields: tuple[str, ...]
    meet: Meet

    def of(self, rules: Rules) -> Values:
        """Its values."""
        section = getattr(rules, self.section) if self.section else rules
        return tuple(getattr(section, name) for name in self.fields)


def _least(one: Values, other: Values) -> Values:
    return tuple(map(min, one, other))


def _most(one: Values, other: Values) -> Values:
    return tuple(map(max, one, other))


def _later_and_earlier(one: Values, other: Values) -> Values:
    """A window of entries: what lies in both."""
    return max(one[0], other[0]), min(one[1], other[1])


def _off_is_loosest(meet: Meet) -> Meet:
    """A first value of 0 or None switches the limit off."""
    return lambda one, other: other if not one[0] else one if not other[0] else meet(one, other)


def _less_then_more(one: Values, other: Values) -> Values:
    """Begins earlier and asks for more: giveback, gap and spike."""
    return min(one[0], other[0]), max(one[1], other[1])


def _longer_pauses(one: Values, other: Values) -> Values:
    """After any number of losses, the longer of the two pauses."""
    counts = sorted({pause.losses for pauses in (one[0], other[0]) for pause in pauses})
    return (tuple(LossPause(n, _longer(_pause(one[0], n), _pause(other[0], n))) for n in counts),)


def _pause(pauses: tuple[LossPause, ...], losses: int) -> int | None:
    """What the rows say after so many losses: the row for the most losses reached; 0 before the first."""
    reached = [pause for pause in pauses if losses >= pause.losses]
    return reached[-1].pause_ns if reached else 0


def _longer(one: int | None, other: int | None) -> int | None:
    """None is the rest of the day."""
    return None if one is None or other is None else max(one, other)


def _both(one: Values, other: Values) -> Values:
    return (tuple(sorted({*one[0], *other[0]})),)


LIMITS: tuple[Limit, ...] = (
    Limit("capital", "", ("capital_paise",), _least),
    Limit("session.entries", "session", ("entries_from_s", "entries_until_s"), _later_and_earlier),
    Limit("session.flat_by", "session", ("flat_by_s",), _off_is_loosest(_least)),
    Limit("session.special_sessions", "session", ("special_sessions",), _least),
    Limit("expiry.min_dte", "expiry", ("min_dte",), _most),
    Limit("strike.min_oi", "strike", ("min_oi",), _most),
    Limit("strike.max_spread", "strike", ("max_spread_paise", "max_spread_bps"), _least),
    Limit("strike.min_top5", "strike", ("min_top5_lots",), _most),
    Limit("fresh.option", "fresh", ("option_ns",), _least),
    Limit("fresh.index", "fresh", ("index_ns",), _least),
    Limit("fresh.chain", "fresh", ("chain_ns",), _least),
    Limit("fresh.lag", "fresh", ("lag_ns",), _least),
    Limit("size.lots", "size", ("fixed_lots",), _off_is_loosest(_least)),
    Limit("size.max_lots", "size", ("max_lots",), _least),
    Limit("size.risk_per_trade", "size", ("risk_bps",), _least),
    Limit("size.outlay", "size", ("outlay_bps",), _least),
    Limit("limits.open", "limits", ("open_positions",), _least),
    Limit("limits.trades_day", "limits", ("trades_day",), _least),
    Limit("limits.after_loss", "limits", ("after_loss_ns",), _most),
    Limit("limits.losses_in_row", "limits", ("losses_in_row",), _longer_pauses),
    Limit("limits.day_loss", "limits", ("day_loss_bps",), _least),
    Limit("limits.week_loss", "limits", ("week_loss_bps",), _least),
    Limit("limits.giveback", "limits", ("giveback_from_bps", "giveback_keep_bps"), _off_is_loosest(_less_then_more)),
    Limit("guards.vix", "guards", ("vix_full", "vix_none"), _off_is_loosest(_least)),
    Limit("guards.gap", "guards", ("gap_bps", "gap_until_s"), _off_is_loosest(_less_then_more)),
    Limit("guards.spike", "guards", ("spike_sigma", "spike_wait_ns"), _off_is_loosest(_less_then_more)),
    Limit("guards.breakeven", "guards", ("breakeven_bps",), _least),
    Limit("guards.events", "guards", ("no_trade_days",), _both),
)
INDEX_LIMITS: tuple[str, ...] = ("role", "max_same_side", "multiplier", "cooldown_sec")
"""Limits of an index, as the keys under ``indices.<name>``."""


def tighter(standing: Rules, wanted: Rules) -> Rules:
    """``wanted``, except that no limit is looser than in ``standing``. An index not traded before is only watched."""
    result = wanted
    for limit in LIMITS:
        met = limit.meet(limit.of(standing), limit.of(wanted))
        if met != limit.of(wanted):
            result = _with(result, limit, met)
    before = {index.name: index for index in standing.indices}
    indices = tuple(_tighter_index(before.get(index.name), index) for index in wanted.indices)
    return replace(result, indices=indices)


def loosened(standing: Rules, wanted: Rules) -> tuple[str, ...]:
    """Keys of the limits that ``wanted`` would loosen."""
    met = tighter(standing, wanted)
    keys = [limit.key for limit in LIMITS if limit.of(met) != limit.of(wanted)]
    for now, asked in zip(met.indices, wanted.indices, strict=True):
        values = zip(INDEX_LIMITS, _index_values(now), _index_values(asked), strict=True)
        keys += [f"indices.{asked.name}.{key}" for key, held, value in values if held != value]
    return tuple(keys)


def _with(rules: Rules, limit: Limit, values: Values) -> Rules:
    changed = dict(zip(limit.fields, values, strict=True))
    if not limit.section:
        return replace(rules, **changed)
    return replace(rules, **{limit.section: replace(getattr(rules, limit.section), **changed)})


def _tighter_index(standing: IndexRules | None, wanted: IndexRules) -> IndexRules:
    if standing is None:
        return replace(wanted, role=Role.WATCH)
    return replace(
        wanted,
        role=wanted.role if standing.role is Role.TRADE else Role.WATCH,
        max_same_side=min(standing.max_same_side, wanted.max_same_side),
        multiplier_bps=min(standing.multiplier_bps, wanted.multiplier_bps),
        cooldown_ns=max(standing.cooldown_ns, wanted.cooldown_ns),
    )


def _index_values(index: IndexRules) -> Values:
    return index.role, index.max_same_side, index.multiplier_bps, index.cooldown_ns
