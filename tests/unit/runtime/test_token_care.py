"""When a token is made, renewed or asked for; and the keeper that does it, over a socket, by a clock moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.adapters.dhan.auth import AppKey, DhanAuth
from algo_scalper.adapters.dhan.failures import Failure, FailureKind, TokenRefused
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.token_store import ChosenToken, HowMade, MintedToken, TokenStore
from algo_scalper.domain.calendar import is_trading_day
from algo_scalper.domain.units import NS_PER_MINUTE, NS_PER_SECOND, ist_day, ist_second, parse_clock_s
from algo_scalper.runtime.doctor.lines import Light
from algo_scalper.runtime.token_care import (
    TOKEN_AGAIN_NS,
    LoginMeans,
    Step,
    TokenFacts,
    TokenKeeper,
    known_end,
    next_step,
    outlive_refusals,
    prospect,
)
from tests.unit.dhan.doubles import HandClock, ended
from tests.unit.dhan.scripted import Asked, ScriptedServer, ist, jwt, scripted_server, settings_at
from tests.unit.runtime.doubles import turns

MONDAY = date(2026, 11, 23)
FRIDAY, SATURDAY, SUNDAY = (MONDAY - timedelta(days=days) for days in (3, 2, 1))
WEDNESDAY = date(2026, 11, 25)  # the Tuesday between is a holiday
CLIENT = "1100000001"
REFUSED = TokenRefused("minutes", Failure(FailureKind.CREDENTIALS, 401, "DH-901", "the token has expired"))


def mon(clock: str) -> int:
    return ist(MONDAY, clock)


def step_of(now_ns: int, expires_ns: int, **known: bool) -> tuple[Step, int]:
    found = next_step(TokenFacts(now_ns, expires_ns, **known))
    return found.step, found.at_ns


@pytest.mark.parametrize(
    ("now", "ends", "step", "until"),
    [
        ("07:00", mon("08:20"), Step.WAIT, mon("08:15")),  # in the window, not before
        ("08:14", mon("08:00"), Step.WAIT, mon("08:15")),  # over already, and still not before
        ("08:15", mon("08:20"), Step.MINT, mon("08:15")),
        ("08:15", mon("15:34"), Step.MINT, mon("08:15")),  # a minute short of flat_by and half an hour
        ("08:15", mon("15:35"), Step.WAIT, ist(WEDNESDAY, "08:15")),
        ("08:59", mon("14:00"), Step.MINT, mon("08:59")),  # late, and still before the quiet hours
        ("09:00", mon("14:00"), Step.WAIT, mon("14:00")),  # never in the quiet hours ...
        ("13:59", mon("14:00"), Step.WAIT, mon("14:00")),
        ("14:00", mon("14:00"), Step.MINT, mon("14:00")),  # ... unless dead
        ("15:35", mon("15:00"), Step.WAIT, ist(WEDNESDAY, "08:15")),  # nothing needs it any more
        ("20:00", mon("20:30"), Step.WAIT, ist(WEDNESDAY, "08:15")),
    ],
)
def test_with_pin_and_totp(now: str, ends: int, step: Step, until: int) -> None:
    assert step_of(mon(now), ends, can_mint=True) == (step, until)


def test_a_token_the_broker_refuses_is_replaced_at_once_in_a_session_and_not_at_night() -> None:
    late = mon("23:00")
    assert step_of(mon("10:00"), late, can_mint=True, dead=True) == (Step.MINT, mon("10:00"))
    assert step_of(mon("03:00"), late, can_mint=True, dead=True) == (Step.WAIT, mon("08:15"))
    assert step_of(ist(SUNDAY, "10:00"), late, can_mint=True, dead=True) == (Step.WAIT, mon("08:15"))


@pytest.mark.parametrize(
    ("now", "ends", "step", "until"),
    [
        (mon("09:30"), mon("14:00"), Step.WAIT, mon("13:45")),
        (mon("13:45"), mon("14:00"), Step.RENEW, mon("13:45")),
        (mon("08:15"), mon("14:00"), Step.RENEW, mon("08:15")),
        # Alive over a weekend only by being renewed: a dead one cannot be.
        (ist(FRIDAY, "16:00"), ist(SATURDAY, "08:20"), Step.WAIT, ist(SATURDAY, "08:05")),
        (ist(SATURDAY, "08:05"), ist(SATURDAY, "08:20"), Step.RENEW, ist(SATURDAY, "08:05")),
        (ist(SUNDAY, "12:00"), mon("08:04"), Step.WAIT, mon("07:49")),
    ],
)
def test_a_web_made_token_is_renewed_a_quarter_of_an_hour_before_its_end(
    now: int, ends: int, step: Step, until: int
) -> None:
    assert step_of(now, ends, web_made=True) == (step, until)


@pytest.mark.parametrize(
    ("now", "asked", "step", "until"),
    [
        ("08:20", False, Step.WAIT, mon("08:30")),
        ("08:30", False, Step.ASK, mon("08:30")),
        ("08:40", True, Step.WAIT, ist(WEDNESDAY, "08:15")),
        ("11:00", False, Step.ASK, mon("11:00")),
    ],
)
def test_without_pin_a_person_is_asked_at_half_past_eight_and_once(
    now: str, asked: bool, step: Step, until: int
) -> None:
    assert step_of(mon(now), mon("08:00"), asked=asked) == (step, until)


def test_a_token_that_does_not_say_when_it_ends_is_used_until_it_is_refused() -> None:
    assert step_of(mon("08:20"), 0, can_mint=True)[0] is Step.WAIT
    assert step_of(mon("08:20"), 0, can_mint=True, dead=True)[0] is Step.MINT


minutes = st.integers(0, 14 * 24 * 60).map(lambda minute: ist(MONDAY, "00:00") + minute * NS_PER_MINUTE)


@given(now=minutes, ends=minutes, dead=st.booleans(), can=st.booleans(), web=st.booleans(), asked=st.booleans())
def test_no_hour_of_a_fortnight_breaks_a_rule(
    now: int, ends: int, dead: bool, can: bool, web: bool, asked: bool
) -> None:
    found = next_step(TokenFacts(now, ends, dead, can, web, asked))
    second = ist_second(now)
    over = dead or ends <= now
    if found.step is Step.MINT:
        assert can
        assert is_trading_day(ist_day(now))
        assert second >= parse_clock_s("08:15", "")
        assert over or second < parse_clock_s("09:00", "")
    if found.step is Step.RENEW:
        assert web
        assert not over
    if found.step is Step.ASK:
        assert not can
        assert not asked
        assert second >= parse_clock_s("08:30", "")
    if found.step is Step.WAIT:
        assert found.at_ns > now, "or the keeper would spin"
    assert found.sentence


# --- what people are told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "facts", "light", "words"),
    [
        ("09:30", {"expires_ns": mon("20:10")}, Light.GREEN, "until Mon 23 Nov 20:10"),
        ("09:30", {"expires_ns": mon("14:00")}, Light.RED, "ends Mon 23 Nov 14:00, before 15:35 (flat_by 15:05"),
        ("09:30", {"expires_ns": mon("15:34")}, Light.RED, "before 15:35"),
        ("09:30", {"expires_ns": mon("15:35")}, Light.GREEN, "until Mon 23 Nov 15:35"),
        ("09:30", {"expires_ns": mon("08:59")}, Light.RED, "ended Mon 23 Nov 08:59"),
        ("09:30", {"expires_ns": mon("20:10"), "dead": True}, Light.RED, "though it would last until Mon 23 Nov 20:10"),
        (
            "07:30",
            {"expires_ns": mon("08:20"), "can_mint": True},
            Light.GREEN,
            "makes the next one Mon 23 Nov at 08:15",
        ),
        ("07:30", {"expires_ns": mon("08:20")}, Light.RED, "before 15:35"),
        ("20:30", {"expires_ns": ist(date(2026, 11, 24), "20:10")}, Light.AMBER, "session of Wed 25 Nov"),
        ("09:30", {"expires_ns": 0}, Light.AMBER, "does not say"),
    ],
)
def test_how_the_token_stands(now: str, facts: dict[str, Any], light: Light, words: str) -> None:
    told = prospect(TokenFacts(now_ns=mon(now), **facts))
    assert told.light is light
    assert words in told.sentence
    if light is Light.RED:
        assert "scalper login" in told.remedy or "running engine" in told.remedy


def test_the_notice_at_start() -> None:
    assert known_end(TokenFacts(mon("09:30"), mon("20:10"))) == "token ends Mon 23 Nov 20:10"


# --- the keeper ----------------------------------------------------------------------------------------------------


class Kept:
    """A keeper at work, and what it said and did."""

    def __init__(self, server: ScriptedServer, tmp_path: Path, now_ns: int, means: LoginMeans, chosen: ChosenToken):
        self.server = server
        self.clock = HandClock()
        self.clock._now_ns = now_ns
        self.settings = settings_at(server, CLIENT, chosen.access_token)
        self.rest = DhanRest(self.settings, self.clock)
        self.store = TokenStore(tmp_path, CLIENT)
        self.said: list[tuple[str, str]] = []
        self.new: asyncio.Queue[MintedToken] = asyncio.Queue()
        self.spoken: asyncio.Queue[str] = asyncio.Queue()
        self.keeper = TokenKeeper(
            DhanAuth(self.rest, self.settings, self.clock),
            self.settings,
            self.store,
            self.clock,
            means,
            chosen,
            on_new=self.new.put_nowait,
            say=self._say,
        )

    def _say(self, level: str, text: str) -> None:
        self.said.append((level, text))
        self.spoken.put_nowait(text)

    async def next_new(self) -> MintedToken:
        async with asyncio.timeout(60):
            return await self.new.get()

    async def heard(self, words: str) -> str:
        async with asyncio.timeout(60):
            while words not in (text := await self.spoken.get()):
                pass
            return text

    async def resting(self) -> int:
        """How long the keeper means to wait."""
        async with asyncio.timeout(60):
            return await self.clock.slept(lambda wait_ns: wait_ns <= 5 * NS_PER_MINUTE)


MEANS = LoginMeans("804317", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")


@asynccontextmanager
async def kept(
    tmp_path: Path, now_ns: int, *, ends_ns: int, means: LoginMeans = MEANS, web_made: bool = False
) -> AsyncIterator[Kept]:
    chosen = ChosenToken("the-old-token", ends_ns, web_made, "for a test")
    async with scripted_server() as server:
        found = Kept(server, tmp_path, now_ns, means, chosen)
        running = asyncio.create_task(found.keeper.run())
        try:
            yield found
        finally:
            await ended(running)
            await found.rest.close()


def minted(server: ScriptedServer, value: str, ends_ns: int) -> None:
    text = f"{ist_day(ends_ns)}T{ist_second(ends_ns) // 3600:02d}:{ist_second(ends_ns) // 60 % 60:02d}:00.000"
    server.answers["POST", "/app/generateAccessToken"] = 200, {"accessToken": value, "expiryTime": text}


async def test_the_keeper_makes_a_token_in_its_window_and_everybody_gets_it(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("08:14"), ends_ns=mon("08:20")) as at:
        minted(at.server, "the-new-token", ist(date(2026, 11, 24), "08:15"))
        assert await at.resting() == 3 * NS_PER_SECOND
        assert not at.server.asked
        at.clock.advance(NS_PER_MINUTE)
        new = await at.next_new()
        assert new.access_token == at.settings.access_token == "the-new-token"
        assert at.store.read() == new
        await at.resting()
        at.clock.advance(10 * NS_PER_MINUTE)
        await at.resting()
        assert len(at.server.asked) == 1, "one is enough"
        assert not any("the-new-token" in text or "804317" in text for _, text in at.said)


async def test_a_token_put_into_the_store_by_another_process_is_taken_up_without_a_restart(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("10:00"), ends_ns=mon("20:00")) as at:
        await at.resting()
        TokenStore(tmp_path, CLIENT).write(
            MintedToken(CLIENT, "from-the-phone", mon("21:00"), HowMade.PASTED, "SELF", mon("10:00"))
        )
        at.clock.advance(3 * NS_PER_SECOND)
        assert (await at.next_new()).access_token == at.settings.access_token == "from-the-phone"
        assert at.keeper.facts.web_made
        assert not at.server.asked


async def test_a_torn_file_is_told_once_and_the_old_token_goes_on(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("10:00"), ends_ns=mon("20:00")) as at:
        await at.resting()
        at.store.path.parent.mkdir()
        at.store.path.write_bytes(b"{")
        at.store.path.chmod(0o600)
        at.clock.advance(3 * NS_PER_SECOND)
        await at.heard("torn")
        await at.resting()
        at.clock.advance(3 * NS_PER_SECOND)
        await at.resting()
        assert sum("torn" in text for _, text in at.said) == 1
        assert at.settings.access_token == "the-old-token"


async def test_no_second_token_is_made_when_another_process_has_just_made_one(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("10:00"), ends_ns=mon("20:00")) as at:
        await at.resting()
        with at.store.making():
            at.keeper.refused()
            await at.heard("is dead")
            await at.resting()
            at.store.write(MintedToken(CLIENT, "theirs", mon("21:00"), HowMade.PIN_AND_TOTP, "APP", mon("10:00")))
        at.clock.advance(3 * NS_PER_SECOND)
        assert (await at.next_new()).access_token == "theirs"
        assert not at.server.asked


async def test_what_another_process_has_made_while_we_waited_for_the_lock_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with kept(tmp_path, mon("10:00"), ends_ns=mon("20:00")) as at:
        await at.resting()
        theirs = MintedToken(CLIENT, "theirs", mon("21:00"), HowMade.PIN_AND_TOTP, "APP", mon("10:00"))
        locked = TokenStore.making

        @contextlib.contextmanager
        def made_meanwhile(store: TokenStore) -> Iterator[None]:
            store.write(theirs)
            with locked(store):
                yield

        monkeypatch.setattr(TokenStore, "making", made_meanwhile)
        at.keeper.refused()
        assert await at.next_new() == theirs
        assert not at.server.asked


async def test_a_refused_token_is_replaced_in_mid_session(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("10:00"), ends_ns=mon("20:00")) as at:
        minted(at.server, "the-new-token", mon("22:00"))
        await at.resting()
        at.keeper.refused()
        assert (await at.next_new()).access_token == "the-new-token"
        assert not at.keeper.facts.dead


async def test_a_wrong_pin_is_tried_twice_and_then_a_person_is_asked(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("08:31"), ends_ns=mon("08:20")) as at:
        at.server.answers["POST", "/app/generateAccessToken"] = 200, {"message": "Invalid TOTP", "status": "error"}
        await at.heard("clock")
        assert await at.resting() == 150 * NS_PER_SECOND
        at.clock.advance(150 * NS_PER_SECOND)
        await at.heard("clock")
        at.clock.advance(await at.resting())
        await at.heard("scalper login paste")
        at.clock.advance(30 * NS_PER_MINUTE)
        await at.resting()
        assert len(at.server.asked) == 2


async def test_a_lost_answer_is_tried_again_after_a_pause_that_grows(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("08:15"), ends_ns=mon("08:20")) as at:
        at.server.answers["POST", "/app/generateAccessToken"] = None
        for minutes_to_wait in (1, 2, 4, 5, 5):
            await at.heard("generate_token")
            assert await at.resting() == minutes_to_wait * NS_PER_MINUTE
            at.clock.advance(minutes_to_wait * NS_PER_MINUTE)
        await at.heard("generate_token")
        minted(at.server, "the-new-token", mon("22:00"))
        at.clock.advance(await at.resting())
        assert (await at.next_new()).access_token == "the-new-token"


async def test_a_person_is_asked_with_the_consent_link(tmp_path: Path) -> None:
    means = LoginMeans(app=AppKey("an-app", "app-secret-word"))
    async with kept(tmp_path, mon("08:29"), ends_ns=mon("08:20"), means=means) as at:
        at.server.answers["POST", "/app/generate-consent"] = 200, {"consentAppId": "c-1", "status": "success"}
        await at.resting()
        assert not at.server.asked
        at.clock.advance(NS_PER_MINUTE)
        told = await at.heard("/login/consentApp-login?consentAppId=c-1")
        assert "scalper login consent" in told
        for _ in range(3):
            await at.resting()
            at.clock.advance(NS_PER_MINUTE)
        assert len(at.server.asked) == 1, "25 consents a day are all there are"


async def test_a_web_made_token_is_renewed_in_mid_session_before_it_ends(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("13:44"), ends_ns=mon("14:00"), web_made=True, means=LoginMeans()) as at:
        renewed = jwt(CLIENT, mon("14:00") + 24 * 60 * NS_PER_MINUTE)
        at.server.answers["GET", "/v2/RenewToken"] = 200, {"accessToken": renewed}
        await at.resting()
        assert not at.server.asked
        at.clock.advance(NS_PER_MINUTE)
        assert (await at.next_new()).how is HowMade.RENEWED
        assert at.settings.access_token == renewed


async def test_a_token_that_cannot_be_renewed_after_all_is_asked_for(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("13:46"), ends_ns=mon("14:00"), web_made=True, means=LoginMeans()) as at:
        at.server.answers["GET", "/v2/RenewToken"] = (
            400,
            {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Invalid Token"},
        )
        await at.heard("Invalid Token")
        at.clock.advance(await at.resting())
        await at.heard("scalper login paste")
        assert len(at.server.asked) == 1


async def test_a_new_token_is_used_even_where_it_cannot_be_kept(tmp_path: Path) -> None:
    async with kept(tmp_path, mon("08:15"), ends_ns=mon("08:20")) as at:

        def made(_: Asked) -> tuple[int, object]:
            at.store.path.mkdir()  # now the file cannot be replaced
            return 200, {"accessToken": "the-new-token", "expiryTime": "2026-11-24T08:15:00.000"}

        at.server.answers["POST", "/app/generateAccessToken"] = made
        assert (await at.next_new()).access_token == at.settings.access_token == "the-new-token"
        await at.heard("cannot be written")


async def test_a_reading_whose_token_is_refused_is_tried_again_with_a_new_one_or_after_a_while() -> None:
    settings, clock, said, used = DhanSettings.simulator("http://127.0.0.1:1"), HandClock(), list[str](), list[str]()

    async def read() -> str:
        used.append(settings.access_token)
        if settings.access_token != "new":
            raise REFUSED
        return "minutes"

    async def pass_seconds(count: int) -> None:
        for _ in range(count):
            await turns()
            clock.advance(NS_PER_SECOND)
        await turns()

    settings.replace_token("old")
    until_ns = clock.now_ns() + NS_PER_MINUTE
    reading = asyncio.create_task(outlive_refusals(read, settings, clock, until_ns, said.append))
    await pass_seconds(TOKEN_AGAIN_NS // NS_PER_SECOND - 1)
    assert used == ["old"]
    await pass_seconds(1)
    assert used == ["old", "old"]  # the refusal may have been the broker's fault
    settings.replace_token("new")
    await pass_seconds(1)
    assert used == ["old", "old", "new"]
    assert await reading == "minutes"
    assert said == ["minutes: DH-901 the token has expired (HTTP 401); the start waits for a token"] * 2


async def test_when_the_session_is_over_a_refused_token_ends_the_waiting() -> None:
    settings, clock = DhanSettings.simulator("http://127.0.0.1:1"), HandClock()

    async def read() -> str:
        raise REFUSED

    with pytest.raises(TokenRefused):
        await outlive_refusals(read, settings, clock, clock.now_ns(), pytest.fail)
