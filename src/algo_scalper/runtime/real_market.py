"""The real market by the system's clock: is there a session now, and when is the next?"""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from algo_scalper.adapters.dhan.subscriptions import Mode
from algo_scalper.domain.calendar import DaySchedule, SessionKind, day_schedule
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, clock_text, ist_day
from algo_scalper.runtime.broker_account import BrokerAccount
from algo_scalper.runtime.settings import Settings
from algo_scalper.runtime.sim_link import Hello

REAL = "REAL"
START_BEFORE_NS = 30 * NS_PER_MINUTE
"""The engine starts so long before the open: master, warm-up and sockets take their time, and people like to look."""
STOP_AFTER_NS = 50 * NS_PER_SECOND


class DhanMarket(NamedTuple):
    """What the engine needs to trade on Dhan's market."""

    account: BrokerAccount
    feed_off: str = ""
    """Which setting has switched the market feed off; empty when it is on."""
    order_feed_off: str = ""
    """As ``feed_off``, for the order feed."""
    least_mode: Mode = Mode.QUOTE
    from_ns: int = 0
    """Live as if it were then, for rehearsals; 0 is now."""
    import_patience_ns: int = 0
    """How long to wait for the desk's import of the day, where a desk is about."""


class Session(NamedTuple):
    """A session of the options market: when to start, open and stop."""

    start_ns: int
    open_ns: int
    stop_ns: int
    schedule: DaySchedule


def next_session(now_ns: int, *, special: bool = False) -> Session:
    """The session that runs now or comes next. Special ones (a Sunday budget, Muhurat) only when asked for."""
    day = ist_day(now_ns)
    for ahead in range(60):
        schedule = day_schedule(day + timedelta(days=ahead))
        if schedule is None or (schedule.kind is not SessionKind.REGULAR and not special):
            continue
        open_ns, close_ns = schedule.options[0].start_ns, schedule.options[-1].end_ns
        if now_ns < close_ns + STOP_AFTER_NS:
            return Session(open_ns - START_BEFORE_NS, open_ns, close_ns + STOP_AFTER_NS, schedule)
    raise ConfigError(f"the calendar knows no session in the 60 days after {day}; update the project")


def closed_text(session: Session) -> str:
    """``"market closed, next session Mon 23 Nov 09:15"``."""
    return f"market closed, next session {session.schedule.day:%a %d %b} {clock_text(session.open_ns)[:5]}"


def session_today(now_ns: int, *, special: bool = False) -> Hello:
    """The session to be traded now, in the words of a simulator's greeting. Raises `ConfigError` when there is none."""
    session = next_session(now_ns, special=special)
    if now_ns < session.start_ns:
        raise ConfigError(closed_text(session))
    close_ns = session.schedule.options[-1].end_ns
    return Hello(
        mode="system", now_ns=now_ns, rate=1.0, day=session.schedule.day.isoformat(), close_ns=close_ns, market=REAL
    )


_MODES = {"ticker": Mode.TICKER, "quote": Mode.QUOTE, "full": Mode.FULL}


def dhan_market_of(settings: Settings, account: BrokerAccount, from_ns: int = 0) -> DhanMarket:
    """The market as the settings have it: which feeds are on, and what they send at least. Raises `ConfigError`."""
    asked = settings.get("DHANHQ_WS_MODE")
    mode = _MODES.get(asked.value.lower())
    if mode is None:
        raise ConfigError(f"{asked.source}: DHANHQ_WS_MODE={asked.value!r} is not known; write ticker, quote or full")

    def off(name: str) -> str:
        return "" if settings.flag(name) else settings.get(name).shown

    return DhanMarket(account, off("DHANHQ_WS_ENABLED"), off("DHANHQ_ORDER_WS_ENABLED"), mode, from_ns)
