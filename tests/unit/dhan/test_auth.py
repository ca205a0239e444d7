"""Getting a token, over a socket: what is sent, what comes back, and what nobody may read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest

from algo_scalper.adapters.dhan.auth import AppKey, DhanAuth
from algo_scalper.adapters.dhan.endpoints import PROFILE
from algo_scalper.adapters.dhan.failures import AnswerLost, AnswerUnreadable, AskedTooOften, TokenRefused
from algo_scalper.adapters.dhan.rest import DhanRest
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.token_store import HowMade
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.interfaces.simulator import account
from algo_scalper.runtime.broker_account import simulated_account
from algo_scalper.runtime.settings import load_settings
from tests.unit.dhan.doubles import HandClock
from tests.unit.dhan.scripted import ScriptedServer, ist, jwt, scripted_server, settings_at
from tests.unit.simulator.stage import serving

CLIENT = "1100000001"
PIN = "804317"
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
CODE_AT_1234567890 = "005924"
"""RFC 6238, appendix B."""
DAY = date(2026, 11, 23)
ENDS = ist(DAY, "20:10")
APP = AppKey("app-one", "app-secret-word")
MINTED = {
    "dhanClientId": CLIENT,
    "dhanClientName": "A TRADER",
    "dhanClientUcc": "ABCD1",
    "givenPowerOfAttorney": False,
    "accessToken": "plain-new-token",
    "expiryTime": "2026-11-23T20:10:00.000",
}


class Stage(NamedTuple):
    server: ScriptedServer
    settings: DhanSettings
    auth: DhanAuth


class At(HandClock):
    """Stands at an instant."""

    def __init__(self, at_ns: int) -> None:
        super().__init__()
        self._now_ns = at_ns


@asynccontextmanager
async def stage(token: str = "the-old-token", at_ns: int = 1_234_567_890 * NS_PER_SECOND) -> AsyncIterator[Stage]:
    async with scripted_server() as server:
        settings = settings_at(server, CLIENT, token)
        clock = At(at_ns)
        rest = DhanRest(settings, clock)
        try:
            yield Stage(server, settings, DhanAuth(rest, settings, clock))
        finally:
            await rest.close()


def shown_nowhere(secrets: tuple[str, ...], *texts: object) -> None:
    for text in texts:
        for secret in secrets:
            assert secret not in str(text)
            assert secret not in repr(text)


async def test_a_token_is_made_by_pin_and_the_code_of_the_instant() -> None:
    async with stage() as (server, settings, auth):
        server.answers["POST", "/app/generateAccessToken"] = 200, MINTED
        made = await auth.mint(PIN, SECRET)
    (asked,) = server.asked
    assert asked.query == {"dhanClientId": CLIENT, "pin": PIN, "totp": CODE_AT_1234567890}
    assert asked.body == b""
    assert "access-token" not in asked.headers, "the old token does not travel to the other host"
    assert (made.access_token, made.how, made.consumer) == ("plain-new-token", HowMade.PIN_AND_TOTP, "APP")
    shown_nowhere((PIN, SECRET, CODE_AT_1234567890, "plain-new-token", CLIENT), made, settings)
    assert settings.masked(f"{PIN} {SECRET} {CODE_AT_1234567890} plain-new-token") == "*** *** *** ***"


async def test_the_expiry_is_indian_time() -> None:
    async with stage() as (server, _, auth):
        server.answers["POST", "/app/generateAccessToken"] = 200, MINTED
        made = await auth.mint(PIN, SECRET)
    # 20:10 in India is 14:40 in Greenwich: 1795444800 is midnight UTC of that day.
    assert made.expires_ns == (1_795_392_000 + 14 * 3600 + 40 * 60) * NS_PER_SECOND


async def test_the_earlier_of_two_ends_is_believed() -> None:
    async with stage() as (server, _, auth):
        earlier = ENDS - 3600 * NS_PER_SECOND
        server.answers["POST", "/app/generateAccessToken"] = (
            200,
            {**MINTED, "accessToken": jwt(CLIENT, earlier, "APP")},
        )
        assert (await auth.mint(PIN, SECRET)).expires_ns == earlier


@pytest.mark.parametrize("words", ["Invalid TOTP", "Unauthorized Request", "Invalid Pin"])
async def test_a_refusal_at_status_200_is_a_refusal_and_speaks_of_the_clock(words: str) -> None:
    async with stage() as (server, _, auth):
        server.answers["POST", "/app/generateAccessToken"] = 200, {"message": words, "status": "error"}
        with pytest.raises(TokenRefused, match=f"{words}.*clock") as refused:
            await auth.mint(PIN, SECRET)
    shown_nowhere((PIN, SECRET, CODE_AT_1234567890, CLIENT), refused.value)


async def test_asking_too_often_is_not_mistaken_for_a_wrong_pin() -> None:
    async with stage() as (server, _, auth):
        server.answers["POST", "/app/generateAccessToken"] = 200, {"message": "Too many requests", "status": "error"}
        with pytest.raises(AskedTooOften):
            await auth.mint(PIN, SECRET)


async def test_a_lost_answer_names_no_secret_and_is_sent_once() -> None:
    async with stage() as (server, _, auth):
        server.answers["POST", "/app/generateAccessToken"] = None
        with pytest.raises(AnswerLost) as lost:
            await auth.mint(PIN, SECRET)
    assert len(server.asked) == 1
    shown_nowhere((PIN, SECRET, CODE_AT_1234567890, CLIENT), lost.value)


@pytest.mark.parametrize("pin", ["12345", "1234567", "12345x", "", "१२३४५६"])
async def test_what_cannot_be_a_pin_is_not_sent(pin: str) -> None:
    async with stage() as (server, _, auth):
        with pytest.raises(ConfigError, match="DHANHQ_PIN is not 6 digits"):
            await auth.mint(pin, SECRET)
    assert not server.asked


async def test_a_secret_that_is_none_is_not_sent_and_not_shown() -> None:
    async with stage() as (server, _, auth):
        with pytest.raises(ConfigError) as refused:
            await auth.mint(PIN, "hunter-18!")
    assert not server.asked
    shown_nowhere(("hunter-18!", PIN), refused.value)


async def test_a_token_of_somebody_else_is_not_taken() -> None:
    async with stage() as (server, _, auth):
        server.answers["POST", "/app/generateAccessToken"] = 200, {**MINTED, "dhanClientId": "1100000002"}
        with pytest.raises(AnswerUnreadable, match="another client id"):
            await auth.mint(PIN, SECRET)


@pytest.mark.parametrize("body", [{}, {"accessToken": ""}, [], "text", {"accessToken": None}])
async def test_an_answer_without_a_token_is_unreadable(body: object) -> None:
    async with stage() as (server, _, auth):
        server.answers["POST", "/app/generateAccessToken"] = 200, body
        with pytest.raises(AnswerUnreadable):
            await auth.mint(PIN, SECRET)


async def test_renewing_sends_the_client_id_as_a_header_by_get() -> None:
    old, new = jwt(CLIENT, ENDS), jwt(CLIENT, ENDS + 86_400 * NS_PER_SECOND)
    async with stage(old) as (server, settings, auth):
        server.answers["GET", "/v2/RenewToken"] = 200, {**MINTED, "accessToken": new, "expiryTime": ""}
        made = await auth.renew()
    (asked,) = server.asked
    assert asked.headers["dhanClientId"] == CLIENT
    assert asked.headers["access-token"] == old
    assert (made.how, made.consumer, made.expires_ns) == (HowMade.RENEWED, "SELF", ENDS + 86_400 * NS_PER_SECOND)
    assert settings.access_token == old, "what is made is handed back; who uses it is decided elsewhere"


async def test_renewing_a_dead_token_says_what_can_be_renewed() -> None:
    async with stage() as (server, _, auth):
        server.answers["GET", "/v2/RenewToken"] = (
            400,
            {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Invalid Token"},
        )
        with pytest.raises(TokenRefused, match=r"Invalid Token.*web\.dhan\.co"):
            await auth.renew()


async def test_a_consent_gives_a_link_and_its_token_id_a_token() -> None:
    async with stage() as (server, settings, auth):
        server.answers["POST", "/app/generate-consent"] = (
            200,
            {"consentAppId": "ab-12", "consentAppStatus": "GENERATED", "status": "success"},
        )
        server.answers["GET", "/app/consumeApp-consent"] = 200, {**MINTED, "expiryTime": "2026-11-23T20:10:00"}
        consent = await auth.begin_consent(APP)
        made = await auth.finish_consent(APP, "token-id-77")
    assert consent.link == f"{server.root}/login/consentApp-login?consentAppId=ab-12"
    begun, finished = server.asked
    assert begun.query == {"client_id": CLIENT}
    assert finished.query == {"tokenId": "token-id-77"}
    for asked in server.asked:
        assert (asked.headers["app_id"], asked.headers["app_secret"]) == (APP.app_id, APP.secret)
    assert (made.expires_ns, made.how) == (ENDS, HowMade.CONSENT)
    shown_nowhere((APP.secret,), APP, settings, settings.masked(f"x {APP.secret} token-id-77"))


async def test_a_refused_consent_names_the_key_and_not_its_secret() -> None:
    async with stage() as (server, _, auth):
        server.answers["POST", "/app/generate-consent"] = 200, {"message": "Unauthorized Request", "status": "error"}
        with pytest.raises(TokenRefused, match="DHANHQ_APP_ID and DHANHQ_APP_SECRET: a key lasts 12 months") as refused:
            await auth.begin_consent(APP)
    shown_nowhere((APP.secret,), refused.value)


async def test_a_partner_logs_in_by_its_own_paths_and_headers() -> None:
    async with stage() as (server, settings, auth):
        settings.partner_id, settings.partner_secret = "partner-1", "partner-secret-word"
        server.answers["POST", "/partner/generate-consent"] = 200, {"consentId": "p-9", "consentStatus": "GENERATED"}
        server.answers["GET", "/partner/consume-consent"] = 200, MINTED
        consent = await auth.begin_partner_consent()
        made = await auth.finish_partner_consent("t-1")
    assert consent.link == f"{server.root}/consent-login?consentId=p-9"
    assert all(asked.headers["partner_secret"] == "partner-secret-word" for asked in server.asked)
    assert made.how is HowMade.PARTNER


async def test_a_pasted_token_is_believed_about_itself() -> None:
    async with stage(at_ns=ist(DAY, "08:20")) as (_, settings, auth):
        word = jwt(CLIENT, ENDS)
        made = auth.pasted(word)
        assert (made.expires_ns, made.consumer, made.how) == (ENDS, "SELF", HowMade.PASTED)
        shown_nowhere((word,), made, settings)


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("not a token", "copy it whole"),
        (jwt(CLIENT, ENDS)[:60] + "\n" + jwt(CLIENT, ENDS)[60:], "copy it whole"),
        (jwt("1100000002", ENDS), "another client id"),
        (jwt(CLIENT, ist(DAY, "08:19")), "already ended"),
    ],
)
async def test_what_is_pasted_wrongly_is_told_and_not_repeated(word: str, why: str) -> None:
    async with stage(at_ns=ist(DAY, "08:20")) as (_, _, auth):
        with pytest.raises(ConfigError, match=why) as refused:
            auth.pasted(word)
    shown_nowhere((word,), refused.value)


# --- at the simulator, which keeps its own account of tokens -------------------------------------------------------


@asynccontextmanager
async def simulated(tmp_path: Path) -> AsyncIterator[tuple[DhanRest, DhanSettings, DhanAuth]]:
    async with serving() as (server, visitor):
        clock = At(server.time.now_ns())
        dhan = simulated_account(visitor.root, tmp_path, load_settings({}, tmp_path / ".env")).dhan
        rest = DhanRest(dhan, clock)
        try:
            yield rest, dhan, DhanAuth(rest, dhan, clock)
        finally:
            await rest.close()


async def test_the_simulator_makes_a_token_by_pin_and_totp_that_works(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (rest, dhan, auth):
        made = await auth.mint(account.PIN, account.TOTP_SECRET)
        dhan.replace_token(made.access_token)
        profile = await rest.call(PROFILE)
        assert profile.dhan_client_id == dhan.client_id
        assert profile.token_ends_ns is not None
        assert made.expires_ns // (60 * NS_PER_SECOND) == profile.token_ends_ns // (60 * NS_PER_SECOND)
        with pytest.raises(TokenRefused, match="right after another token was made"):
            await auth.mint(account.PIN, account.TOTP_SECRET)
        with pytest.raises(TokenRefused, match=r"web\.dhan\.co"):
            await auth.renew()  # it was not made on the web


async def test_the_simulator_knows_a_wrong_pin_and_a_clock_that_is_off(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (_, _, auth):
        with pytest.raises(TokenRefused, match="Unauthorized Request"):
            await auth.mint("654321", account.TOTP_SECRET)
        auth._clock._now_ns += 90 * NS_PER_SECOND  # type: ignore[attr-defined]
        with pytest.raises(TokenRefused, match=r"Invalid TOTP.*clock is off"):
            await auth.mint(account.PIN, account.TOTP_SECRET)


async def test_the_simulators_web_made_token_is_renewed(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (rest, dhan, auth):
        made = await auth.renew()
        assert made.consumer == "SELF"
        dhan.replace_token(made.access_token)
        await rest.call(PROFILE)


async def test_a_consent_at_the_simulator_from_the_link_to_the_token(tmp_path: Path) -> None:
    app = AppKey("SIMULATED-APP", "SIMULATED-APP-SECRET")
    async with simulated(tmp_path) as (rest, dhan, auth), aiohttp.ClientSession() as browser:
        consent = await auth.begin_consent(app)
        async with browser.get(consent.link, allow_redirects=False) as page:
            shown = page.headers.get("Location") or await page.text()
        found = re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}", shown)
        assert found is not None, shown
        made = await auth.finish_consent(app, found[0])
        dhan.replace_token(made.access_token)
        await rest.call(PROFILE)
        with pytest.raises(TokenRefused):
            await auth.finish_consent(app, found[0])
