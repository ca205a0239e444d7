"""The account at the broker, ready to be asked: its addresses, the token to use and why, and how the next one is got.

The token is the environment's or the stored one, whichever lasts longer. Where the REST address is on this machine (a
simulator), the addresses nobody has named are that simulator's too: a PIN meant for a simulated account must not
travel to the real one.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from algo_scalper.adapters.dhan.auth import AppKey, pasted_token
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.adapters.dhan.token_store import ChosenToken, TokenStore, choose_token, moment_text
from algo_scalper.domain.errors import ConfigError, StoreError
from algo_scalper.domain.ports import Clock
from algo_scalper.runtime.dhan_account import dhan_settings_of
from algo_scalper.runtime.gate import is_loopback
from algo_scalper.runtime.settings import DEFAULT_SOURCE, Settings
from algo_scalper.runtime.token_care import LoginMeans

SIMULATED = "SIMULATED"
"""The simulated account's client id and token: well-known words, not secrets."""
NO_TOKEN = "no-token-yet"  # noqa: S105 - what stands in the token's place until there is one

_SIDES = {
    "DHANHQ_WS_MARKET_FEED_URL": "feed_url",
    "DHANHQ_WS_ORDER_URL": "order_url",
    "DHANHQ_CSV_URL": "csv_url",
    "DHANHQ_AUTH_URL": "auth_url",
    "DHANHQ_WS_MARKET_DEPTH_URL": "depth_20_url",
    "DHANHQ_WS_FULL_DEPTH_URL": "depth_200_url",
}


class BrokerAccount(NamedTuple):
    """One account: where, as whom, with which token, and by what means the next one is got."""

    dhan: DhanSettings
    store: TokenStore
    chosen: ChosenToken
    means: LoginMeans
    notices: tuple[str, ...]
    simulated: bool


def broker_account(settings: Settings, data_dir: Path, now_ns: int) -> BrokerAccount:
    """The account of the settings. Without any token it can still be logged in; see `need_token`.

    A stored token that cannot be trusted is a notice, not an end: the environment's is used then. Raises `ConfigError`
    as `dhan_settings_of`, and for addresses of which only some are on this machine.
    """
    client_id, said = settings.text("DHANHQ_CLIENT_ID"), settings.get("DHANHQ_ACCESS_TOKEN")
    store = TokenStore(data_dir, client_id, settings.text("ALGO_SCALPER_KEY"))
    notices: tuple[str, ...] = ()
    try:
        stored = store.read() if client_id else None
    except StoreError as fault:
        stored, notices = None, (str(fault),)
    chosen = choose_token(client_id, said.value, f"{said.name} from {said.source}", stored, now_ns)
    dhan = dhan_settings_of(settings, chosen.access_token or NO_TOKEN)
    _on_one_side(settings, dhan)
    means = login_means(settings)
    for secret in (said.value, means.pin, means.totp_secret, means.app.secret if means.app else ""):
        dhan.keep_secret(secret)
    return BrokerAccount(dhan, store, chosen, means, notices, is_loopback(dhan.base_url))


def simulated_account(url: str, data_dir: Path, settings: Settings) -> BrokerAccount:
    """The account of a simulator on this machine. Raises `ConfigError` for any other address."""
    if not url.startswith("http://") or not is_loopback(url):
        raise ConfigError(f"--sim-url {url}: a simulator is on this machine; write it as http://127.0.0.1:9200")
    root = url.rstrip("/")
    dhan = DhanSettings.simulator(root)
    store = TokenStore(data_dir, SIMULATED, settings.text("ALGO_SCALPER_KEY"))
    stored = store.read()
    chosen = ChosenToken(SIMULATED, 0, web_made=False, sentence="the simulator's own token")
    if stored is not None:
        chosen = ChosenToken(stored.access_token, stored.expires_ns, web_made=False, sentence="the stored token")
        dhan.replace_token(stored.access_token)
    return BrokerAccount(dhan, store, chosen, login_means(settings), (), simulated=True)


def need_token(account: BrokerAccount) -> None:
    """Raise `ConfigError` when there is no token to ask with."""
    if not account.chosen.access_token:
        raise ConfigError("; ".join((account.chosen.sentence, *account.notices)))


def keep_pasted(account: BrokerAccount, clock: Clock, access_token: str) -> str:
    """Keep a token a person has copied; what runs takes it up by itself. Until when it lasts, in words.

    Raises `ConfigError` for a text that is no token of this account, `StoreError` when it cannot be kept.
    """
    made = pasted_token(account.dhan, clock.now_ns(), access_token)
    with account.store.making():
        account.store.write(made)
    return f"A token until {moment_text(made.expires_ns)} is kept; it is taken up in seconds."


def login_means(settings: Settings) -> LoginMeans:
    """PIN and TOTP secret, and an application's key, where they are given. Raises `ConfigError` for half a pair."""
    pin, totp_secret = _pair(settings, "DHANHQ_PIN", "DHANHQ_TOTP_SECRET")
    app_id, app_secret = _pair(settings, "DHANHQ_APP_ID", "DHANHQ_APP_SECRET")
    partner = settings.text("DHANHQ_WS_USER_TYPE").upper() == "PARTNER"
    return LoginMeans(pin, totp_secret, AppKey(app_id, app_secret) if app_id else None, partner)


def _pair(settings: Settings, first: str, second: str) -> tuple[str, str]:
    one, other = settings.text(first), settings.text(second)
    if bool(one) != bool(other):
        there, missing = (first, second) if one else (second, first)
        raise ConfigError(
            f"{settings.get(there).source}: {there} is set and {missing} is not; they work only together: set both in "
            ".env, or neither"
        )
    return one, other


def _on_one_side(settings: Settings, dhan: DhanSettings) -> None:
    """All addresses at Dhan, or all on this machine; those nobody has named follow the REST address."""
    local = is_loopback(dhan.base_url)
    simulator = DhanSettings.simulator(dhan.base_url.removesuffix("/v2"))
    for name, attribute in _SIDES.items():
        if local and settings.get(name).source == DEFAULT_SOURCE:
            setattr(dhan, attribute, getattr(simulator, attribute))
        elif is_loopback(getattr(dhan, attribute)) != local:
            raise ConfigError(
                f"{settings.get(name).source}: {name} and DHANHQ_BASE_URL are not on the same side: one is on this machine "
                "and the other is not; point both at Dhan, or both at the simulator"
            )
