"""How large a one-minute move of an index is for its time of day, in standard deviations.

What is usual has two parts: a fixed profile over the day (steep at the open, flat, a bump before 15:15) and how lively
this day has been so far. The spike guard asks for the latest move in units of the two together.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from algo_scalper.domain.market import Candle
from algo_scalper.domain.units import BPS, NS_PER_MINUTE, ist_day, ist_second

HALF_LIFE_MINUTES = 30
"""After so long a past minute counts half of a present one in how lively the day is."""
KEEP: float = 0.5 ** (1 / HALF_LIFE_MINUTES)
COUNTED_SIGMAS = 3.0
"""A move counts for at most this much in the day's liveliness, so that one spike does not hide the next."""
CALMEST = 0.25
WILDEST = 64.0
"""Liveliness stays between these (half and eight times the usual standard deviation): a dead calm must not make a spike
of two points, and the wildest days on record reach five to seven times the usual."""


class SigmaProfile(NamedTuple):
    """Standard deviation of one-minute returns by time of day, in basis points, and where the numbers come from.

    ``from_minute`` are IST minutes of the day, ascending; each value holds until the next. The first bucket is the
    opening minute, measured open to close; all others close to close.
    """

    source: str
    from_minute: tuple[int, ...]
    sigma_bp: tuple[float, ...]


_BUCKETS = (555, 556, 557, 560, 570, 585, 615, 705, 765, 855, 900, 915)

NIFTY_2024 = SigmaProfile(
    "NIFTY one-minute bars, 154 days of January to August 2024",
    _BUCKETS,
    (22.0, 8.2, 5.1, 5.6, 4.8, 3.9, 3.5, 3.7, 3.1, 3.3, 4.2, 2.7),
)
BANKNIFTY_2024 = SigmaProfile(
    "BANKNIFTY one-minute bars, 154 days of January to August 2024",
    _BUCKETS,
    (27.0, 7.9, 6.6, 7.0, 6.6, 5.4, 4.8, 4.5, 4.3, 4.5, 5.8, 4.0),
)

SIGMA_PROFILES: dict[str, SigmaProfile] = {
    "NIFTY": NIFTY_2024,
    "SENSEX": NIFTY_2024,  # one-minute correlation .92 with NIFTY, and the same level on the days both were recorded
    "BANKNIFTY": BANKNIFTY_2024,
    "FINNIFTY": BANKNIFTY_2024,
}
"""By index name. A level that is off is corrected by the day's own liveliness within the first half hour."""


def profile_sigma_bp(profile: SigmaProfile, second_of_day: int) -> float:
    """The usual standard deviation of the minute that holds this second; before the first bucket, the first."""
    minute = second_of_day // 60
    sigma = profile.sigma_bp[0]
    for start, value in zip(profile.from_minute, profile.sigma_bp, strict=True):
        if minute < start:
            break
        sigma = value
    return sigma


def liveliness_step(liveliness: float, sigmas_of_profile: float) -> float:
    """Mean square of the day's moves over their profile, the late ones counting more; 1 is a usual day.

    ``sigmas_of_profile`` is the new move in units of the profile alone.
    """
    counted = min(sigmas_of_profile * sigmas_of_profile, COUNTED_SIGMAS * COUNTED_SIGMAS * liveliness)
    return min(max(KEEP * liveliness + (1.0 - KEEP) * counted, CALMEST), WILDEST)


class MoveReadings(NamedTuple):
    """The latest closed minute's move, what was expected of it, and the day's liveliness after it.

    ``move_bp`` carries its sign. ``expected_bp`` was known before the move. Both are 0 before the first candle.
    """

    start_ns: int
    close_paise: int
    liveliness: float
    move_bp: float
    expected_bp: float

    @property
    def sigmas(self) -> float:
        """Size of the latest move in standard deviations of its time of day, without its sign."""
        return abs(self.move_bp) / self.expected_bp if self.expected_bp else 0.0


CALM_START = MoveReadings(0, 0, 1.0, 0.0, 0.0)


def expected_move_bp(liveliness: float, profile: SigmaProfile, second_of_day: int, minutes: int = 1) -> float:
    """The standard deviation to expect of a move over ``minutes`` ending in the minute of ``second_of_day``."""
    return profile_sigma_bp(profile, second_of_day) * sqrt(liveliness * minutes)


def move_step(readings: MoveReadings, minute: Candle, profile: SigmaProfile) -> MoveReadings:
    """One more closed minute of the same index.

    The first minute of a day is judged from its own open: the night gap is another guard's business, and each day
    starts with usual liveliness. After missing minutes the expectation grows with the square root of their number.
    """
    same_day = readings.start_ns > 0 and ist_day(readings.start_ns) == ist_day(minute.start_ns)
    if same_day:
        before_paise, liveliness = readings.close_paise, readings.liveliness
        minutes = max(1, (minute.start_ns - readings.start_ns) // NS_PER_MINUTE)
    else:
        before_paise, liveliness, minutes = minute.open_paise, CALM_START.liveliness, 1

    move_bp = (minute.close_paise - before_paise) * BPS / before_paise
    second = ist_second(minute.start_ns)
    usual_bp = profile_sigma_bp(profile, second) * sqrt(minutes)
    return MoveReadings(
        start_ns=minute.start_ns,
        close_paise=minute.close_paise,
        liveliness=liveliness_step(liveliness, move_bp / usual_bp),
        move_bp=move_bp,
        expected_bp=expected_move_bp(liveliness, profile, second, minutes),
    )
