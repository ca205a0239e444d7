"""Getting an access token: by PIN and TOTP, by renewing the one in use, by a person's consent, by a partner's consent.

One token is alive per user: making one anywhere ends all others, so nothing here is called without need (see
`runtime.token_care`) or without the store's lock. PIN, TOTP and application secrets are given to the settings' masking
before anything is sent; the two that travel in a query never appear in a message, because calls to that host are named
without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from algo_scalper.adapters.dhan.access_token import fits_a_header, token_claims
from algo_scalper.adapters.dhan.endpoints import (
    CONSUME_CONSENT,
    CONSUME_PARTNER_CONSENT,
    GENERATE_CONSENT,
    GENERATE_PARTNER_CONSENT,
    GENERATE_TOKEN,
    RENEW_TOKEN,
)
from algo_scalper.adapters.dhan.failures import AnswerUnreadable, FailureKind, RequestRefused, TokenRefused
from algo_scalper.adapters.dhan.limits import Priority
from algo_scalper.adapters.dhan.replies import Token
from algo_scalper.adapters.dhan.rest import NO_ARGUMENTS, DhanRest
from algo_scalper.adapters.dhan.settings import MASKED, DhanSettings
from algo_scalper.adapters.dhan.token_store import HowMade, MintedToken
from algo_scalper.adapters.dhan.wire import Endpoint, R
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.totp import totp
from algo_scalper.domain.units import NS_PER_SECOND

PIN_DIGITS = 6
CONSENT_PAGE = "/login/consentApp-login?consentAppId="
PARTNER_PAGE = "/consent-login?consentId="

_MINT_REMEDY = (
    "check DHANHQ_PIN and DHANHQ_TOTP_SECRET; the code also fails when this machine's clock is off by half a minute "
    "(scalper doctor compares it), and right after another token was made"
)
_RENEW_REMEDY = (
    "only a token made on web.dhan.co that is still alive can be renewed; get a new one with: scalper login mint, or "
    "paste one with: scalper login paste"
)
_APP_REMEDY = "check DHANHQ_APP_ID and DHANHQ_APP_SECRET: a key lasts 12 months and takes 25 consents a day"
_PARTNER_REMEDY = "check DHANHQ_PARTNER_ID and DHANHQ_PARTNER_SECRET"


class AppKey(msgspec.Struct, frozen=True):
    """The id and secret of an application made on web.dhan.co. Its secret shows in no repr."""

    app_id: str
    secret: str

    def __repr__(self) -> str:
        return f"AppKey({self.app_id!r}, {MASKED})"


class Consent(msgspec.Struct, frozen=True):
    """A consent that waits for a person: they open ``link``, log in, and are sent on with a ``tokenId``."""

    consent_id: str
    link: str


def pasted_token(settings: DhanSettings, now_ns: int, access_token: str) -> MintedToken:
    """A token a person has copied from web.dhan.co; what is known of it is what it says of itself.

    Raises `ConfigError` when it is no token, is of another client id, or has ended.
    """
    settings.keep_secret(access_token)
    claims = token_claims(access_token)
    if not claims.expires_ns or not fits_a_header(access_token):
        raise ConfigError("that is not an access token of Dhan (about 300 characters in three parts): copy it whole")
    if claims.dhan_client_id and claims.dhan_client_id != settings.client_id:
        raise ConfigError("that token is of another client id than DHANHQ_CLIENT_ID; log in there as this client")
    if claims.expires_ns <= now_ns:
        raise ConfigError("that token has already ended; make a new one on web.dhan.co")
    return MintedToken(
        settings.client_id,
        access_token,
        claims.expires_ns,
        HowMade.PASTED,
        claims.token_consumer_type,
        now_ns,
    )


class DhanAuth:
    """The ways to a token for one account. Nothing is kept here: the answers are handed back."""

    def __init__(self, rest: DhanRest, settings: DhanSettings, clock: Clock) -> None:
        self._rest = rest
        self._settings = settings
        self._clock = clock

    async def mint(self, pin: str, totp_secret: str) -> MintedToken:
        """POST generateAccessToken with the PIN and the code of this instant.

        Raises `ConfigError` for a PIN or a secret that cannot be one, `TokenRefused` for a wrong one, `BrokerError`.
        """
        if len(pin) != PIN_DIGITS or not (pin.isascii() and pin.isdigit()):
            raise ConfigError(f"DHANHQ_PIN is not {PIN_DIGITS} digits; correct it in .env")
        self._settings.keep_secret(pin)
        self._settings.keep_secret(totp_secret)
        code = totp(totp_secret, self._clock.now_ns() // NS_PER_SECOND)
        self._settings.keep_secret(code)
        arguments = {"dhanClientId": self._settings.client_id, "pin": pin, "totp": code}
        found = await self._asked(GENERATE_TOKEN, _MINT_REMEDY, arguments)
        return self._made(GENERATE_TOKEN, found, HowMade.PIN_AND_TOTP, "APP")

    async def renew(self) -> MintedToken:
        """GET RenewToken: a new token for the one in use, which ends with the answer.

        Raises `TokenRefused` when the one in use is dead or was not made on web.dhan.co, `BrokerError`.
        """
        headers = {"dhanClientId": self._settings.client_id}
        consumer = token_claims(self._settings.access_token).token_consumer_type
        found = await self._asked(RENEW_TOKEN, _RENEW_REMEDY, headers=headers)
        return self._made(RENEW_TOKEN, found, HowMade.RENEWED, consumer)

    async def begin_consent(self, app: AppKey) -> Consent:
        """Ask for a consent; a person then opens its link. Raises `BrokerError`."""
        found = await self._asked(
            GENERATE_CONSENT, _APP_REMEDY, {"client_id": self._settings.client_id}, self._app_headers(app)
        )
        return self._consent(GENERATE_CONSENT, found.consent_app_id, CONSENT_PAGE)

    async def finish_consent(self, app: AppKey, token_id: str) -> MintedToken:
        """Turn the ``tokenId`` the browser was sent back with into a token. Raises `BrokerError`."""
        self._settings.keep_secret(token_id)
        found = await self._asked(CONSUME_CONSENT, _APP_REMEDY, {"tokenId": token_id}, self._app_headers(app))
        return self._made(CONSUME_CONSENT, found, HowMade.CONSENT, "APP")

    async def begin_partner_consent(self) -> Consent:
        """As `begin_consent`, for a partner. Raises `BrokerError`."""
        found = await self._asked(GENERATE_PARTNER_CONSENT, _PARTNER_REMEDY, headers=self._partner_headers())
        return self._consent(GENERATE_PARTNER_CONSENT, found.consent_id, PARTNER_PAGE)

    async def finish_partner_consent(self, token_id: str) -> MintedToken:
        """As `finish_consent`, for a partner. Raises `BrokerError`."""
        self._settings.keep_secret(token_id)
        found = await self._asked(
            CONSUME_PARTNER_CONSENT, _PARTNER_REMEDY, {"tokenId": token_id}, self._partner_headers()
        )
        return self._made(CONSUME_PARTNER_CONSENT, found, HowMade.PARTNER, "APP")

    def pasted(self, access_token: str) -> MintedToken:
        """As `pasted_token`, of this account and now."""
        return pasted_token(self._settings, self._clock.now_ns(), access_token)

    def _app_headers(self, app: AppKey) -> dict[str, str]:
        self._settings.keep_secret(app.secret)
        return {"app_id": app.app_id, "app_secret": app.secret}

    def _partner_headers(self) -> dict[str, str]:
        self._settings.keep_secret(self._settings.partner_secret)
        return {"partner_id": self._settings.partner_id, "partner_secret": self._settings.partner_secret}

    async def _asked(
        self,
        endpoint: Endpoint[R],
        remedy: str,
        arguments: Mapping[str, object] = NO_ARGUMENTS,
        headers: Mapping[str, str] | None = None,
    ) -> R:
        """The answer; a no comes with the remedy that fits the call."""
        try:
            return await self._rest.call(endpoint, arguments=arguments, headers=headers, priority=Priority.BOOK)
        except (TokenRefused, RequestRefused) as refused:
            if refused.failure.kind in (
                FailureKind.CREDENTIALS,
                FailureKind.OTHER,
                FailureKind.INPUT,
                FailureKind.ORDER,
            ):
                raise TokenRefused(str(endpoint), refused.failure, remedy) from None
            raise

    def _made(self, endpoint: Endpoint[Token], made: Token, how: HowMade, consumer: str) -> MintedToken:
        if not made.access_token or not fits_a_header(made.access_token):
            raise AnswerUnreadable(f"{endpoint}: no token in the answer")
        self._settings.keep_secret(made.access_token)
        claims = token_claims(made.access_token)
        owner = claims.dhan_client_id or made.dhan_client_id
        if owner and owner != self._settings.client_id:
            raise AnswerUnreadable(f"{endpoint}: a token of another client id than DHANHQ_CLIENT_ID came back")
        ends = [at_ns for at_ns in (made.ends_ns, claims.expires_ns) if at_ns]
        return MintedToken(
            self._settings.client_id,
            str(made.access_token),
            min(ends, default=0),
            how,
            claims.token_consumer_type or consumer,
            self._clock.now_ns(),
        )

    def _consent(self, endpoint: Endpoint[Any], consent_id: str, page: str) -> Consent:
        if not consent_id:
            raise AnswerUnreadable(f"{endpoint}: no consent id in the answer")
        return Consent(str(consent_id), f"{self._settings.auth_url}{page}{quote(consent_id, safe='')}")
