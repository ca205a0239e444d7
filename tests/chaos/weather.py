"""What may go wrong in one seed's run, and the rules it trades by: drawn once, before the first event."""

from __future__ import annotations

from random import Random

import msgspec

from algo_scalper.domain.instruments import NIFTY
from algo_scalper.domain.orders import Product
from algo_scalper.domain.rules import (
    ExitRules,
    ExpiryRules,
    FreshRules,
    GuardRules,
    IndexRules,
    LimitRules,
    OrderRules,
    Role,
    Rules,
    SessionRules,
    SignalRules,
    SizeRules,
    StrikeRules,
    TrailStep,
)
from algo_scalper.domain.units import NS_PER_MS, NS_PER_SECOND
from algo_scalper.simulation.faults import FaultRates

SIGNAL = "chaos"


class Weather(msgspec.Struct, frozen=True):
    """Rates of everything `simulation.faults` does not know. Per request, read, step or second."""

    wire: FaultRates
    type_refused: bool
    """The broker refuses to change a stop into a limit, always."""
    crash: float
    """At each step of the lane."""
    early_yes: float
    """Of changes and cancels, so many are answered before the exchange has seen them."""
    late_arrival: float
    """Of the requests whose answer is lost, so many arrive after their connection was closed."""
    book_unread: float
    book_late: float
    book_partial: float
    newest_first: bool
    """How the broker lists its book."""
    feed_lost: float
    orders_lost: float
    wide: float
    no_bids: float
    frozen: float
    gap: float
    jumps: float
    sigma: float
    words: float
    kill: float
    rules: float
    stop: float
    """The process is asked to end, and started again."""
    not_durable: float
    commits_apart: bool
    """Commits take time, and events are handled meanwhile; else everything happens inside one event."""
    evening: bool
    """The day ends with a long sleep of the process, around the broker's square-off."""
    cash_paise: int
    patient: bool
    """A quieter market and wider stops: positions live over several entries, and several are open at once."""


CALM = FaultRates()
TRAIL = (TrailStep(300, None), TrailStep(700, 300), TrailStep(1_200, 800), TrailStep(2_000, 1_500))
PATIENT_TRAIL = (TrailStep(1_500, None), TrailStep(2_500, 1_000))


def weather_of(chance: Random) -> Weather:
    """Each kind of fault is absent, usual or frequent, independently: so every pair of them meets alone sometimes."""

    def rate(usual: float) -> float:
        return usual * chance.choice((0.0, 1.0, 1.0, 3.0))

    patient = chance.random() < 0.35
    quiet = 0.1 if patient else 1.0
    return Weather(
        wire=FaultRates(
            lost_before=rate(0.02),
            lost_after=rate(0.03),
            delayed=rate(0.05),
            rejected=rate(0.015),
            push_dropped=rate(0.05),
            push_duplicated=rate(0.05),
            push_delayed=rate(0.08),
            stall=rate(0.002),
            thin=rate(0.03),
            cancel_floor=rate(0.005),
            sell_part=rate(0.0015),
            sell_all=rate(0.0015),
            buy_more=rate(0.0015),
        ),
        type_refused=chance.random() < 0.1,
        crash=rate(0.008),
        early_yes=rate(0.04),
        late_arrival=chance.choice((0.0, 0.4)),
        book_unread=rate(0.04),
        book_late=rate(0.05),
        book_partial=rate(0.06),
        newest_first=chance.random() < 0.5,
        feed_lost=rate(0.002),
        orders_lost=rate(0.003),
        wide=rate(0.01),
        no_bids=rate(0.003),
        frozen=rate(0.003),
        gap=rate(0.01) * quiet,
        jumps=rate(0.002) * quiet,
        sigma=0.003 if patient else chance.choice((0.004, 0.008, 0.015)),
        words=rate(0.003),
        kill=chance.choice((0.0, 0.0, 0.0, 0.0008)),
        rules=rate(0.001),
        stop=rate(0.0005),
        not_durable=chance.choice((0.0, 0.0, 0.0, 0.001)),
        commits_apart=chance.random() < 0.5,
        evening=chance.random() < 0.1,
        cash_paise=chance.choice((4_000_000, 10_000_000, 100_000_000)),
        patient=patient,
    )


def rules_of(chance: Random, patient: bool, version: int = 1) -> Rules:
    """Rules that trade often and leave soon, by every way out."""
    stop_bps = 2_000 if patient else chance.choice((500, 1_000, 2_000))
    open_positions = 3 if patient else chance.choice((1, 2, 3))
    return Rules(
        version=version,
        capital_paise=10_000_000,
        product=Product.INTRADAY,
        indices=(IndexRules("NIFTY", NIFTY.key, Role.TRADE, open_positions, 10_000, 0, 500, 200_000),),
        session=SessionRules(9 * 3600 + 900, 14 * 3600 + 2_400, None, special_sessions=False),
        expiry=ExpiryRules(1),
        signal=SignalRules(SIGNAL, 10, 3.0, 14, 0.0, 0.0, carry_gap=False, on_flip_only=False),
        strike=StrikeRules(0, 0, 100, 200, 1),
        fresh=FreshRules(3 * NS_PER_SECOND, 5 * NS_PER_SECOND, 15 * NS_PER_SECOND, 2 * NS_PER_SECOND),
        size=SizeRules(0, 3, 10_000, 10_000),
        exit=ExitRules(
            stop_bps=stop_bps,
            emergency_bps=stop_bps * 13 // 10,
            target_bps=4_000 if patient else chance.choice((700, 1_500, 4_000)),
            trail=PATIENT_TRAIL if patient else TRAIL,
            time_stop_ns=(150 if patient else chance.choice((0, 15, 40))) * NS_PER_SECOND,
            time_stop_under_bps=300,
            blind_ns=chance.choice((2, 6)) * NS_PER_SECOND,
            floor_bps=stop_bps * 3 // 2,
        ),
        limits=LimitRules(
            open_positions=open_positions,
            trades_day=10_000,
            after_loss_ns=0,
            losses_in_row=(),
            day_loss_bps=chance.choice((600, 10_000, 10_000, 10_000)),
            week_loss_bps=20_000,
            giveback_from_bps=0,
            giveback_keep_bps=0,
        ),
        guards=GuardRules(10_000, 0, 0.0, 0, 10_000, 0.0, 0.0),
        orders=OrderRules(
            trail_gap_ns=2 * NS_PER_SECOND,
            trail_step_bps=100,
            settle_ns=chance.choice((2, 5, 10, 60, 60)) * NS_PER_SECOND,
            per_second=chance.choice((1, 5)),
            entry_wait_ns=chance.choice((500 * NS_PER_MS, 3 * NS_PER_SECOND)),
        ),
    )
