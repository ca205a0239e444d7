"""When jobs are due: by the clock (APScheduler's cron triggers), or by the exchange's calendar.

A rule is asked for instants and never waits: waiting is the `Clock`'s. Times are Indian.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Protocol

from apscheduler.triggers.cron import CronTrigger

from algo_scalper.domain.calendar import DaySchedule, day_schedule, is_trading_day
from algo_scalper.domain.units import IST, NS_PER_DAY, NS_PER_MINUTE, NS_PER_SECOND, ist_day

_LOOKS_BACK_NS = (2 * NS_PER_MINUTE, NS_PER_DAY, 12 * NS_PER_DAY)
"""How far to look for the last time, nearest first. No two sessions are further apart."""
_MOST_DAYS = 60
_MICROSECOND = timedelta(microseconds=1)


class When(Protocol):
    """A rule of time."""

    @property
    def said(self) -> str:
        """In words, for people."""

    def next_ns(self, after_ns: int) -> int:
        """The first instant later than ``after_ns``."""


def last_ns(when: When, at_ns: int) -> int | None:
    """The last instant of a rule that is not later than ``at_ns``; None when it is longer ago than anybody looks."""
    for back_ns in _LOOKS_BACK_NS:
        found, due_ns = None, when.next_ns(at_ns - back_ns)
        while due_ns <= at_ns:
            found, due_ns = due_ns, when.next_ns(due_ns)
        if found is not None:
            return found
    return None


class EveryMinute:
    """On every full minute."""

    said = "every minute"

    def __init__(self) -> None:
        self._trigger = CronTrigger(minute="*", timezone=IST)

    def next_ns(self, after_ns: int) -> int:
        """The next full minute."""
        return _fired(self._trigger, after_ns)


class OnTradingDays:
    """At a time of day, on days with a session."""

    def __init__(self, hour: int, minute: int) -> None:
        self.said = f"{hour:02d}:{minute:02d} on trading days"
        self._trigger = CronTrigger(hour=hour, minute=minute, timezone=IST)

    def next_ns(self, after_ns: int) -> int:
        """That time of the next trading day."""
        due_ns = _fired(self._trigger, after_ns)
        while not is_trading_day(ist_day(due_ns)):
            due_ns = _fired(self._trigger, due_ns)
        return due_ns


class BeforeOpen:
    """So many minutes before options open, each trading day; several times where several are named."""

    def __init__(self, *minutes: int) -> None:
        self._minutes = sorted(minutes, reverse=True)
        self.said = f"{' and '.join(map(str, self._minutes))} minutes before the open"

    def next_ns(self, after_ns: int) -> int:
        """The next of them."""
        return _first_after(after_ns, self._of_day)

    def _of_day(self, schedule: DaySchedule) -> Iterator[int]:
        for minutes in self._minutes:
            yield schedule.options[0].start_ns - minutes * NS_PER_MINUTE


class AfterClose:
    """So many minutes after the last option stops trading, each trading day."""

    def __init__(self, minutes: int) -> None:
        self.said = f"{minutes} minutes after the close"
        self._after_ns = minutes * NS_PER_MINUTE

    def next_ns(self, after_ns: int) -> int:
        """The next of them."""
        return _first_after(after_ns, self._of_day)

    def _of_day(self, schedule: DaySchedule) -> Iterator[int]:
        yield schedule.options[-1].end_ns + self._after_ns


class _OfDay(Protocol):
    def __call__(self, schedule: DaySchedule, /) -> Iterator[int]: ...


def _first_after(after_ns: int, of_day: _OfDay) -> int:
    """The first instant later than ``after_ns`` of those a day has; from the day before on: a job may end past midnight."""
    first = ist_day(after_ns) - timedelta(days=1)
    for schedule in _sessions(first):
        for due_ns in of_day(schedule):
            if due_ns > after_ns:
                return due_ns
    raise AssertionError(f"no session within {_MOST_DAYS} days of {first}")


def _sessions(first: date) -> Iterator[DaySchedule]:
    for ahead in range(_MOST_DAYS):
        schedule = day_schedule(first + timedelta(days=ahead))
        if schedule is not None:
            yield schedule


def _fired(trigger: CronTrigger, after_ns: int) -> int:
    """The trigger's first time later than ``after_ns``; its resolution is a second, so a microsecond later is later."""
    after = datetime.fromtimestamp(after_ns // NS_PER_SECOND, IST) + _MICROSECOND
    due: datetime = trigger.get_next_fire_time(None, after)
    return round(due.timestamp()) * NS_PER_SECOND
