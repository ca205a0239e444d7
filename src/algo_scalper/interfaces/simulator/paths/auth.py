"""The auth host's paths: a token by PIN and one-time password, by an app's consent, by a partner's consent.

Errors come with HTTP 200 and ``{"message": ..., "status": "error"}``, as the real host's do.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from urllib.parse import urlencode

from algo_scalper.domain.units import IST, NS_PER_SECOND
from algo_scalper.interfaces.simulator.account import APP, Grant
from algo_scalper.interfaces.simulator.calls import Access, Call, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.replies import Reply, auth_error, page, success

_UNAUTHORIZED = "Unauthorized Request"
_APP, _PARTNER = "app", "partner"


def token_body(desk: Desk, grant: Grant, *, with_milliseconds: bool = True) -> dict[str, object]:
    """What every way to a token ends with. The time is IST."""
    ends = datetime.fromtimestamp(grant.expires_ns // NS_PER_SECOND, IST)
    return {
        "dhanClientId": desk.client_id,
        "dhanClientName": desk.facts.name,
        "dhanClientUcc": desk.client_id,
        "givenPowerOfAttorney": desk.facts.ddpi,
        "accessToken": grant.token,
        "expiryTime": f"{ends:%Y-%m-%dT%H:%M:%S}" + (".000" if with_milliseconds else ""),
    }


def _generate(desk: Desk, call: Call, _: str) -> Reply:
    facts, query, now_ns = desk.facts, call.query, desk.world.now_ns
    known = query.get("dhanClientId") == facts.client_id and _same(query.get("pin", ""), facts.pin)
    if not known:
        return auth_error(_UNAUTHORIZED)
    # A client may reckon in its own time or in the market's.
    if not desk.account.knows_code(query.get("totp", ""), now_ns, desk.real_ns()):
        return auth_error("Invalid TOTP")
    if desk.account.cools_down(now_ns, desk.real_ns()):
        return auth_error("Token can be generated once every 2 minutes")
    return success(token_body(desk, desk.account.mint(now_ns, APP)))


def _app_consent(desk: Desk, call: Call, _: str) -> Reply:
    if call.query.get("client_id") != desk.client_id or not _is_app(desk, call):
        return auth_error(_UNAUTHORIZED)
    consent_id = desk.account.begin_consent(_APP, desk.world.now_ns)
    if consent_id is None:
        return auth_error("Maximum consents of the day are generated")
    return success({"consentAppId": consent_id, "consentAppStatus": "GENERATED", "status": "success"})


def _app_login(desk: Desk, call: Call, _: str) -> Reply:
    return _login(desk, call.query.get("consentAppId", ""), _APP)


def _app_consume(desk: Desk, call: Call, _: str) -> Reply:
    return _consume(desk, call, _APP) if _is_app(desk, call) else auth_error(_UNAUTHORIZED)


def _partner_consent(desk: Desk, call: Call, _: str) -> Reply:
    if not is_partner(desk, call.headers.get("partner_id", ""), call.headers.get("partner_secret", "")):
        return auth_error(_UNAUTHORIZED)
    consent_id = desk.account.begin_consent(_PARTNER, desk.world.now_ns)
    if consent_id is None:
        return auth_error("Maximum consents of the day are generated")
    return success({"consentId": consent_id, "consentStatus": "GENERATED"})


def _partner_login(desk: Desk, call: Call, _: str) -> Reply:
    return _login(desk, call.query.get("consentId", ""), _PARTNER)


def _partner_consume(desk: Desk, call: Call, _: str) -> Reply:
    if not is_partner(desk, call.headers.get("partner_id", ""), call.headers.get("partner_secret", "")):
        return auth_error(_UNAUTHORIZED)
    return _consume(desk, call, _PARTNER)


def _login(desk: Desk, consent_id: str, kind: str) -> Reply:
    """The page a person would log in on; here nobody is asked anything."""
    token_id = desk.account.grant_consent(consent_id, kind)
    if token_id is None:
        return auth_error(_UNAUTHORIZED)
    redirect = desk.facts.redirect_url
    if redirect:
        return Reply(302, b"", location=f"{redirect.rstrip('/')}/?{urlencode({'tokenId': token_id})}")
    return page(f"<!doctype html><title>SIMULATED login</title><p>tokenId=<code>{token_id}</code></p>\n")


def _consume(desk: Desk, call: Call, kind: str) -> Reply:
    if not desk.account.consume_consent(call.query.get("tokenId", ""), kind):
        return auth_error(_UNAUTHORIZED)
    partner_id = desk.facts.partner_id if kind == _PARTNER else ""
    grant = desk.account.mint(desk.world.now_ns, APP, partner_id)
    return success(token_body(desk, grant, with_milliseconds=False))


def _is_app(desk: Desk, call: Call) -> bool:
    facts = desk.facts
    right = _same(call.headers.get("app_secret", ""), facts.app_secret)
    return call.headers.get("app_id") == facts.app_id and right


def is_partner(desk: Desk, partner_id: str, secret: str) -> bool:
    """Are these the partner's credentials?"""
    return partner_id == desk.facts.partner_id and _same(secret, desk.facts.partner_secret)


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())


PATHS: Paths = {
    ("POST", "/app/generateAccessToken"): Endpoint(Access.OPEN, Family.NON_TRADING, _generate),
    ("POST", "/app/generate-consent"): Endpoint(Access.OPEN, Family.NON_TRADING, _app_consent),
    ("GET", "/login/consentApp-login"): Endpoint(Access.OPEN, Family.NON_TRADING, _app_login),
    ("GET", "/app/consumeApp-consent"): Endpoint(Access.OPEN, Family.NON_TRADING, _app_consume),
    ("POST", "/app/consumeApp-consent"): Endpoint(Access.OPEN, Family.NON_TRADING, _app_consume),
    ("GET", "/partner/generate-consent"): Endpoint(Access.OPEN, Family.NON_TRADING, _partner_consent),
    ("POST", "/partner/generate-consent"): Endpoint(Access.OPEN, Family.NON_TRADING, _partner_consent),
    ("GET", "/consent-login"): Endpoint(Access.OPEN, Family.NON_TRADING, _partner_login),
    ("GET", "/partner/consume-consent"): Endpoint(Access.OPEN, Family.NON_TRADING, _partner_consume),
    ("POST", "/partner/consume-consent"): Endpoint(Access.OPEN, Family.NON_TRADING, _partner_consume),
}
