"""When a token is made, renewed or asked for, and the task that does it while everything runs.

The policy is `next_step`, a function of plain facts. One token is alive per user, so a new one is made only when it is
needed: between 08:15 and 08:45 on trading days, and from 09:00 to 15:45 only when the one in use is dead. A token made
on web.dhan.co is renewed a quarter of an hour before it ends. Without PIN and TOTP a person is asked at 08:30.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date
from enum import StrEnum
from typing import NamedTuple, TypeVar

from algo_scalper.adapters.dhan.auth import AppKey, DhanAuth
from algo_scalper.adapters.dhan.failures import TokenRefused
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.token_store import (
    WEB_MADE,
    ChosenToken,
    MintedToken,
    TokenBusy,
    TokenStore,
    moment_text,
)
from algo_scalper.adapters.dhan.waiting import done_by
from algo_scalper.domain.calendar import DaySchedule, day_schedule, flat_by_ns, next_trading_day
from algo_scalper.domain.errors import BrokerError, ConfigError, StoreError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, clock_text, ist_day, ist_ns, parse_clock_s
from algo_scalper.runtime.doctor.lines import Light

MINT_FROM = "08:15"
MINT_BY = "08:45"
"""Later is late: the open is near. It is still done until `QUIET_FROM`."""
ASK_FROM = "08:30"
QUIET_FROM = "09:00"
QUIET_UNTIL = "15:45"
"""In between a token that lives is never replaced by a new one; only a dead one is."""
BEYOND_FLAT_NS = 30 * NS_PER_MINUTE
"""A token must last so long past the moment positions are flat: exits may take their time."""
RENEW_BEFORE_NS = 15 * NS_PER_MINUTE
"""Before its end a token is renewed: time for a few attempts."""
LOOK_EVERY_NS = 3 * NS_PER_SECOND
"""How often the store is looked at for a token somebody else has put there."""
PAUSE_NS = 60 * NS_PER_SECOND
MOST_PAUSE_NS = 5 * NS_PER_MINUTE
REFUSED_PAUSE_NS = 150 * NS_PER_SECOND
"""After a refused PIN: longer than the broker's pause between two tokens, which is refused in the same way."""
MOST_REFUSED = 2
"""A PIN refused so often is not tried again for this day: the account might be locked."""
TOKEN_AGAIN_NS = 15 * NS_PER_SECOND
"""What a refused token was used for is tried with the same one after so long: the broker may have been at fault."""

Answer = TypeVar("Answer")


class Step(StrEnum):
    """What to do about the token now."""

    WAIT = "wait"
    MINT = "mint"
    RENEW = "renew"
    ASK = "ask"


class TokenFacts(NamedTuple):
    """All the policy looks at."""

    now_ns: int
    expires_ns: int
    """UTC ns; 0 when nobody says."""
    dead: bool = False
    """The broker refuses it, whatever it says of itself."""
    can_mint: bool = False
    """PIN and TOTP secret are at hand."""
    web_made: bool = False
    """Made on web.dhan.co: may be renewed while it lives."""
    asked: bool = False
    """A person was asked today, and has not answered yet."""


class NextStep(NamedTuple):
    """What to do; for WAIT, until when at most."""

    step: Step
    at_ns: int
    sentence: str


class Prospect(NamedTuple):
    """How the token stands towards the session at hand: its light, a sentence, and what to do."""

    light: Light
    sentence: str
    remedy: str


def session_of(now_ns: int) -> DaySchedule:
    """The session a token is needed for: today's until half an hour past its flat_by, then the next one."""
    today = day_schedule(ist_day(now_ns))
    if today is not None and now_ns < needed_until_ns(today):
        return today
    following = day_schedule(next_trading_day(ist_day(now_ns)))
    assert following is not None
    return following


def needed_until_ns(schedule: DaySchedule) -> int:
    """How long a token must last to see this day through: flat_by and half an hour."""
    return flat_by_ns(schedule, expires_today=False) + BEYOND_FLAT_NS


def next_step(facts: TokenFacts) -> NextStep:
    """The policy. Pure: the same facts give the same step."""
    schedule = session_of(facts.now_ns)
    day, now_ns = schedule.day, facts.now_ns
    needed_ns, mint_ns = needed_until_ns(schedule), _at(day, MINT_FROM)
    over = facts.dead or 0 < facts.expires_ns <= now_ns
    if not facts.expires_ns and not over:
        return NextStep(Step.WAIT, mint_ns, "the token does not say when it ends; it is used until it is refused")
    if not over and facts.expires_ns >= needed_ns:
        return _kept(facts, day)
    if now_ns < mint_ns:
        return _before_the_window(facts, mint_ns, over)
    ends = "is dead" if facts.dead else f"{'ended' if over else 'ends'} at {moment_text(facts.expires_ns)}"
    if over:
        if facts.can_mint:
            return NextStep(Step.MINT, now_ns, f"the token {ends}: a new one is made")
        return _ask(facts, day, f"the token {ends}")
    too_early = f"the token {ends}, before {clock_text(needed_ns)[:5]}"
    if now_ns < _at(day, QUIET_FROM):
        if facts.can_mint:
            return NextStep(Step.MINT, now_ns, f"{too_early}: a new one is made")
        if facts.web_made:
            return NextStep(Step.RENEW, now_ns, f"{too_early}: it is renewed")
        return _ask(facts, day, too_early)
    if facts.web_made:
        return _renewed_in_time(facts, facts.expires_ns, too_early)
    if facts.can_mint:
        return NextStep(Step.WAIT, facts.expires_ns, f"{too_early}: a new one is made the moment it ends, not earlier")
    return _ask(facts, day, too_early)


def _kept(facts: TokenFacts, day: date) -> NextStep:
    """It sees this session through: nothing until the next morning, unless it can only live on by being renewed."""
    again_ns = _at(next_trading_day(day), MINT_FROM)
    said = f"the token lasts until {moment_text(facts.expires_ns)}"
    if facts.web_made and not facts.can_mint and facts.expires_ns <= again_ns + RENEW_BEFORE_NS:
        return _renewed_in_time(facts, again_ns, said)
    return NextStep(Step.WAIT, again_ns, said)


def _before_the_window(facts: TokenFacts, mint_ns: int, over: bool) -> NextStep:
    """Night, weekend or early morning: what can be made at 08:15 is made then, what can only be renewed is kept alive."""
    said = "the token is over" if over else f"the token ends at {moment_text(facts.expires_ns)}"
    if facts.web_made and not facts.can_mint and not over:
        return _renewed_in_time(facts, mint_ns, said)
    return NextStep(Step.WAIT, mint_ns, f"{said}; looked at again at {moment_text(mint_ns)}")


def _renewed_in_time(facts: TokenFacts, again_ns: int, said: str) -> NextStep:
    renew_ns = facts.expires_ns - RENEW_BEFORE_NS
    if facts.now_ns >= renew_ns:
        return NextStep(Step.RENEW, facts.now_ns, f"{said}: it is renewed")
    return NextStep(Step.WAIT, min(renew_ns, again_ns), f"{said}: it is renewed at {moment_text(renew_ns)}")


def _ask(facts: TokenFacts, day: date, said: str) -> NextStep:
    ask_ns = _at(day, ASK_FROM)
    if facts.now_ns < ask_ns:
        return NextStep(Step.WAIT, ask_ns, f"{said}; you are asked for a new one at {ASK_FROM}")
    if facts.asked:
        return NextStep(Step.WAIT, _at(next_trading_day(day), MINT_FROM), f"{said}; waiting for a new one from you")
    return NextStep(Step.ASK, facts.now_ns, f"{said}: a new one is needed from you")


def prospect(facts: TokenFacts) -> Prospect:
    """How the token stands towards the session of today, or the next one."""
    schedule = session_of(facts.now_ns)
    needed_ns = needed_until_ns(schedule)
    new = "get a new one: scalper login mint" if facts.can_mint else "get a new one: scalper login paste, or consent"
    if facts.dead:
        lasting = f", though it would last until {moment_text(facts.expires_ns)}" if facts.expires_ns else ""
        return Prospect(
            Light.RED,
            f"Dhan refuses the token{lasting}: another login has replaced it, or it was ended",
            new,
        )
    if not facts.expires_ns:
        return Prospect(Light.AMBER, "the token does not say when it ends", "")
    ends = moment_text(facts.expires_ns)
    if facts.expires_ns <= facts.now_ns:
        return Prospect(Light.RED, f"the token ended {ends}", new)
    session = f"{schedule.day:%a} {schedule.day.day} {schedule.day:%b}"
    if facts.expires_ns >= needed_ns:
        return Prospect(Light.GREEN, f"until {ends}; the session of {session} needs it until {_clock(needed_ns)}", "")
    early = (
        f"the token ends {ends}, before {_clock(needed_ns)} (flat_by {_clock(needed_ns - BEYOND_FLAT_NS)} and 30 "
        f"minutes) of the session of {session}"
    )
    if facts.can_mint and facts.now_ns < _at(schedule.day, MINT_BY):
        return Prospect(Light.GREEN, f"until {ends}; a running engine makes the next one {session} at {MINT_FROM}", "")
    if schedule.day != ist_day(facts.now_ns):
        return Prospect(Light.AMBER, early, f"{new}, {session} between {MINT_FROM} and {MINT_BY}")
    if facts.web_made:
        return Prospect(Light.RED, early, "renew it now: scalper login renew")
    if facts.can_mint:
        return Prospect(
            Light.RED, early, "a running engine makes a new one when it ends; be there, or do it before 09:00"
        )
    return Prospect(Light.RED, early, "log in again now: scalper login paste, or scalper login consent")


def known_end(facts: TokenFacts) -> str:
    """The notice at start: when the token ends, and what then."""
    if not facts.expires_ns:
        return "the token does not say when it ends"
    told = prospect(facts)
    return f"token ends {moment_text(facts.expires_ns)}" if told.light is Light.GREEN else told.sentence


def _at(day: date, clock: str) -> int:
    return ist_ns(day, parse_clock_s(clock, "token care"))


def _clock(at_ns: int) -> str:
    return clock_text(at_ns)[:5]


class LoginMeans(NamedTuple):
    """What this machine may log in with, beside a person. Empty texts for what is not there."""

    pin: str = ""
    totp_secret: str = ""
    app: AppKey | None = None
    partner: bool = False

    @property
    def can_mint(self) -> bool:
        """PIN and TOTP are both there."""
        return bool(self.pin and self.totp_secret)

    def __repr__(self) -> str:
        return f"LoginMeans(can_mint={self.can_mint}, app={self.app is not None}, partner={self.partner})"


class TokenKeeper:
    """Keeps an account's token alive by the clock, and takes up tokens that others put into the store.

    ``on_new(token)`` is called after the settings use the new token: reconnect what logs in by it. ``say(level, text)``
    tells a person; level is info, warning or alarm.
    """

    def __init__(
        self,
        auth: DhanAuth,
        settings: DhanSettings,
        store: TokenStore,
        clock: Clock,
        means: LoginMeans,
        chosen: ChosenToken,
        *,
        on_new: Callable[[MintedToken], None],
        say: Callable[[str, str], None],
    ) -> None:
        self._auth = auth
        self._settings = settings
        self._store = store
        self._clock = clock
        self._means = means
        self._on_new = on_new
        self._say = say
        self._expires_ns = chosen.expires_ns
        self._web_made = chosen.web_made
        self._dead = False
        self._stamp = store.stamp()
        self._asked: date | None = None
        self._mint_refused: tuple[date | None, int] = (None, 0)
        self._failures = 0
        self._woken = asyncio.Event()

    @property
    def facts(self) -> TokenFacts:
        """What is known now, for the policy and for people."""
        day = session_of(self._clock.now_ns()).day
        refused_day, refused = self._mint_refused
        return TokenFacts(
            self._clock.now_ns(),
            self._expires_ns,
            dead=self._dead,
            can_mint=self._means.can_mint and not (refused_day == day and refused >= MOST_REFUSED),
            web_made=self._web_made,
            asked=self._asked == day,
        )

    def refused(self) -> None:
        """The broker refuses the token in use: it is dead, whatever it says of itself."""
        self._dead = True
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        self._say("info", known_end(self.facts))
        while True:
            self._woken.clear()
            self.take_up()
            step = next_step(self.facts)
            pause_ns = LOOK_EVERY_NS if step.step is Step.WAIT else await self._perform(step)
            until_ns = self._clock.now_ns() + pause_ns
            if step.step is Step.WAIT:
                until_ns = min(until_ns, max(step.at_ns, self._clock.now_ns() + 1))
            waiting = asyncio.ensure_future(self._woken.wait())
            try:
                await done_by(self._clock, until_ns, waiting)
            finally:
                waiting.cancel()

    def take_up(self) -> bool:
        """Use the store's token when somebody has put a new one there; True when one was taken."""
        stamp = self._store.stamp()
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            found = self._store.read()
        except StoreError as fault:
            self._say("warning", str(fault))
            return False
        if found is None or found.access_token == self._settings.access_token:
            return False
        if 0 < found.expires_ns <= self._clock.now_ns():
            return False
        self._use(found)
        return True

    def _use(self, token: MintedToken) -> None:
        self._settings.replace_token(token.access_token)
        self._expires_ns = token.expires_ns
        self._web_made = token.consumer == WEB_MADE
        self._dead = False
        self._asked = None
        self._failures = 0
        self._mint_refused = (None, 0)
        self._say("info", f"a new token is used ({token.how.value.replace('_', ' ')}), {known_end(self.facts)}")
        self._on_new(token)

    async def _perform(self, step: NextStep) -> int:
        """Do it; the pause until the policy is asked again."""
        self._say("warning" if step.step is Step.ASK else "info", step.sentence)
        try:
            if step.step is Step.ASK:
                await self._ask()
            else:
                await self._make(step.step)
        except TokenBusy:
            return LOOK_EVERY_NS
        except TokenRefused as refused:
            self._say("alarm", str(refused))
            if step.step is Step.RENEW:
                self._web_made = False  # it cannot be renewed after all
            else:
                day, count = session_of(self._clock.now_ns()).day, self._mint_refused[1]
                self._mint_refused = (day, count + 1)
                return REFUSED_PAUSE_NS
            return self._longer_pause()
        except (BrokerError, ConfigError, StoreError) as fault:
            self._say("alarm", f"{fault}")
            if isinstance(fault, ConfigError):
                self._mint_refused = (session_of(self._clock.now_ns()).day, MOST_REFUSED)
            return self._longer_pause()
        return LOOK_EVERY_NS

    async def _make(self, step: Step) -> None:
        with self._store.making():
            if self.take_up():
                return  # another process was faster
            if step is Step.MINT:
                token = await self._auth.mint(self._means.pin, self._means.totp_secret)
            else:
                token = await self._auth.renew()
            try:
                self._store.write(token)
                self._stamp = self._store.stamp()
            finally:
                # The old one is dead already: the new one is used even if it could not be kept.
                self._use(token)

    async def _ask(self) -> None:
        how = "make a token on web.dhan.co (Access DhanHQ APIs), then: scalper login paste"
        if self._means.app is not None:
            link = (await self._auth.begin_consent(self._means.app)).link
            how = f"log in here: {link} and then run: scalper login consent"
        elif self._means.partner:
            link = (await self._auth.begin_partner_consent()).link
            how = f"log in here: {link} and then run: scalper login consent"
        self._asked = session_of(self._clock.now_ns()).day
        self._say("alarm", how)

    def _longer_pause(self) -> int:
        self._failures += 1
        return min(PAUSE_NS << min(self._failures - 1, 8), MOST_PAUSE_NS)


async def outlive_refusals(
    read: Callable[[], Awaitable[Answer]],
    settings: DhanSettings,
    clock: Clock,
    until_ns: int,
    say: Callable[[str], None],
) -> Answer:
    """The first reading that needs a token. One that is refused is waited out: its keeper makes or asks for another.

    Raises `TokenRefused` from ``until_ns`` on, and whatever else ``read`` raises at once.
    """
    while True:
        used = settings.access_token
        try:
            return await read()
        except TokenRefused as refused:
            if clock.now_ns() >= until_ns:
                raise
            say(f"{refused}; the start waits for a token")
        again_ns = clock.now_ns() + TOKEN_AGAIN_NS
        while settings.access_token == used and clock.now_ns() < again_ns:
            await clock.sleep_until(clock.now_ns() + NS_PER_SECOND)
