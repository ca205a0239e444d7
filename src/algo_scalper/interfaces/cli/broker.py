"""``scalper login``, ``ltp``, ``funds``, ``positions``, ``orders``, ``doctor`` and ``probe``: the account at the broker."""

from __future__ import annotations

import asyncio
import getpass
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

import msgspec
import typer

from algo_scalper.adapters.dhan.auth import DhanAuth
from algo_scalper.adapters.dhan.catalogue import read_catalogue
from algo_scalper.adapters.dhan.chain import DhanChains
from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.token_store import MintedToken, moment_text
from algo_scalper.adapters.dhan.values import plain
from algo_scalper.domain.calendar import expiries
from algo_scalper.domain.errors import AlgoScalperError, ConfigError, StoreError
from algo_scalper.domain.instruments import INDIA_VIX_KEY, INDICES, Contract, Index, Segment, instrument_key, key_text
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import ist_day, ist_second, parse_clock_s, rupees_text
from algo_scalper.runtime.account_changes import settings_of
from algo_scalper.runtime.broker_account import BrokerAccount, broker_account, need_token, simulated_account
from algo_scalper.runtime.clock import SystemClock
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.doctor.checkup import Checkup, Surroundings
from algo_scalper.runtime.doctor.examine import examine, examine_machine
from algo_scalper.runtime.doctor.lines import Light, Line, red, worst
from algo_scalper.runtime.market_clock import market_clock
from algo_scalper.runtime.opening import account_tag
from algo_scalper.runtime.probe.plan import ProbePlan, agreed, choose_quote, far_below, may_probe, must_be_open
from algo_scalper.runtime.probe.record import save_result
from algo_scalper.runtime.probe.run import Probe
from algo_scalper.runtime.settings import Settings, load_settings
from algo_scalper.runtime.token_care import (
    QUIET_FROM,
    QUIET_UNTIL,
    LoginMeans,
    TokenFacts,
    prospect,
    session_of,
)

_T = TypeVar("_T")
ENV_FILE = Path(".env")
ENGINE_ACCOUNT = {True: "PAPER", False: "PAPER-REAL"}
"""The account names of `scalper run` at a simulator and at Dhan: their tags begin the engine's own orders."""
LOGIN_WAYS = ("status", "paste", "mint", "renew", "consent")
PROBED_DAYS = 45
PASTE_HOW = "Paste the access token of web.dhan.co (it is not shown): "
CONSENT_HOW = "Log in there, then paste the address you were sent to (it is not shown): "


class BrokerOptions(NamedTuple):
    """What all of these commands take."""

    sim_url: str | None
    as_json: bool
    config: Path
    data_dir: Path


class Asking(NamedTuple):
    """An account being asked."""

    account: BrokerAccount
    client: DhanClient
    clock: Clock
    """The market's time: a simulator's where it is one."""


def broker_settings(options: BrokerOptions) -> Settings:
    """The settings as the engine reads them, with what its account has stored. Raises `ConfigError`.

    A store that cannot be read stops the engine, and here it is said: the broker can be asked without it.
    """
    account = ENGINE_ACCOUNT[options.sim_url is not None]
    try:
        return settings_of(os.environ, ENV_FILE, options.config, options.data_dir, account)
    except StoreError as fault:
        typer.echo(f"stored settings are left out: {fault}", err=True)
        return load_settings(os.environ, ENV_FILE, load_algo(options.config) if options.config.exists() else None)


def account_of(options: BrokerOptions, now_ns: int) -> BrokerAccount:
    """The simulator's account where one is named, else the one of the settings. Raises `ConfigError`."""
    settings = broker_settings(options)
    if options.sim_url is not None:
        return simulated_account(options.sim_url, options.data_dir, settings)
    return broker_account(settings, options.data_dir, now_ns)


@asynccontextmanager
async def asking(options: BrokerOptions) -> AsyncIterator[Asking]:
    """The account with a connection, and the market's time."""
    system = SystemClock()
    account = account_of(options, system.now_ns())
    clock = await market_clock(options.sim_url, system)
    for notice in account.notices:
        typer.echo(notice, err=True)
    async with DhanClient(account.dhan, system) as client:
        yield Asking(account, client, clock)


def run_asking(options: BrokerOptions, ask: Callable[[Asking], Awaitable[_T]]) -> _T:
    """Ask, and give the answer; there must be a token."""

    async def asked() -> _T:
        async with asking(options) as at:
            need_token(at.account)
            return await ask(at)

    return asyncio.run(asked())


# --- reads ---------------------------------------------------------------------------------------------------------


def run_ltp(names: list[str], options: BrokerOptions) -> None:
    """Last prices of indices by name, of anything as ``SEGMENT:ID``."""
    keys = {name: key_of(name) for name in names}
    found = run_asking(options, lambda at: at.client.ltp(set(keys.values())))
    rows = []
    for name, key in keys.items():
        price = found.get(key)
        rows.append({"name": name, "key": key_text(key), "ltp_paise": int(price.last_price_paise) if price else None})
    if options.as_json:
        _print_json(rows)
        return
    for row in rows:
        price_paise = row["ltp_paise"]
        shown = rupees_text(price_paise) if isinstance(price_paise, int) else "no such instrument, or never traded"
        typer.echo(f"{row['name']:<20} {shown:>14}")


def key_of(name: str) -> int:
    """``NIFTY``, ``VIX`` or ``NSE_FNO:42500``. Raises `ConfigError` for anything else."""
    word = name.strip().upper()
    if word in INDICES:
        return INDICES[word].key
    if word in {"VIX", "INDIAVIX"}:
        return INDIA_VIX_KEY
    segment, _, security_id = word.partition(":")
    number = int(security_id) if security_id.isascii() and security_id.isdigit() and len(security_id) <= 10 else -1
    if segment in Segment.__members__ and 0 <= number < 1 << 32:
        return instrument_key(Segment[segment], number)
    known = ", ".join((*INDICES, "VIX"))
    raise ConfigError(f"{name!r} is not known; write one of {known}, or SEGMENT:ID as NSE_FNO:42500")


def run_funds(options: BrokerOptions) -> None:
    """Balances, with what may be used for buying options set apart."""
    found = run_asking(options, lambda at: at.client.funds())
    cash_paise = found.available_balance_paise - found.collateral_amount_paise
    usable_paise = max(min(cash_paise, found.sod_limit_paise), 0)
    figures = {
        "usable_paise": int(usable_paise),
        "available_paise": int(found.available_balance_paise),
        "collateral_paise": int(found.collateral_amount_paise),
        "start_of_day_paise": int(found.sod_limit_paise),
        "utilized_paise": int(found.utilized_amount_paise),
        "withdrawable_paise": int(found.withdrawable_balance_paise),
    }
    if options.as_json:
        _print_json(figures)
        return
    words = {
        "usable_paise": "the engine may use",
        "available_paise": "available, pledge included",
        "collateral_paise": "of it pledged",
        "start_of_day_paise": "start of day",
        "utilized_paise": "in use",
        "withdrawable_paise": "withdrawable",
    }
    for name, amount in figures.items():
        typer.echo(f"{words[name]:<28} {rupees_text(amount):>16}")


def run_positions(options: BrokerOptions) -> None:
    """The day's positions, whoever opened them."""
    found = run_asking(options, lambda at: at.client.positions())
    rows = [
        {
            "symbol": str(row.trading_symbol),
            "key": f"{row.exchange_segment}:{row.security_id}",
            "product": str(row.product_type),
            "net_quantity": int(row.net_qty),
            "bought_quantity": int(row.buy_qty),
            "buy_average": float(row.buy_avg),
            "sold_quantity": int(row.sell_qty),
            "sell_average": float(row.sell_avg),
            "realized_rupees": float(row.realized_profit),
            "unrealized_rupees": float(row.unrealized_profit),
        }
        for row in found
    ]
    _print_rows(rows, options, "no positions today")


def run_orders(options: BrokerOptions) -> None:
    """The day's orders, newest first, whoever placed them."""
    found = run_asking(options, lambda at: at.client.orders())
    rows = [
        {
            "time": str(row.create_time)[11:],
            "order_id": str(row.order_id),
            "correlation_id": str(row.correlation_id),
            "side": str(row.transaction_type),
            "symbol": str(row.trading_symbol),
            "type": str(row.order_type),
            "quantity": int(row.quantity),
            "filled": int(row.filled_qty),
            "price": rupees_text(row.price_paise),
            "trigger": rupees_text(row.trigger_price_paise),
            "status": str(row.order_status),
            "reason": str(row.oms_error_description) if row.order_status == "REJECTED" else "",
        }
        for row in found
    ]
    _print_rows(rows, options, "no orders today")


def _print_rows(rows: list[dict[str, object]], options: BrokerOptions, nothing: str) -> None:
    if options.as_json:
        _print_json(rows)
    elif not rows:
        typer.echo(nothing)
    else:
        for line in columns(rows):
            typer.echo(line)


def columns(rows: list[dict[str, object]]) -> Iterable[str]:
    """A heading and one line a row, each column as wide as its widest value."""
    cells = [{name: plain(str(value)) for name, value in row.items()} for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in rows[0]}
    yield "  ".join(f"{name.replace('_', ' '):<{width}}" for name, width in widths.items()).rstrip()
    for row in cells:
        yield "  ".join(f"{row[name]:<{width}}" for name, width in widths.items()).rstrip()


def _print_json(value: object) -> None:
    typer.echo(msgspec.json.encode(value))


# --- the token -----------------------------------------------------------------------------------------------------


def run_login(way: str, options: BrokerOptions, *, anyway: bool) -> None:
    """See or get the access token. It is never printed. Raises `ConfigError`, `BrokerError`, `StoreError`."""
    if way not in LOGIN_WAYS:
        raise ConfigError(f"scalper login {way}: not a way; choose one of {', '.join(LOGIN_WAYS)}")
    asyncio.run(_login(way, options, anyway=anyway))


async def _login(way: str, options: BrokerOptions, *, anyway: bool) -> None:
    async with asking(options) as at:
        if way == "status":
            _say_status(at, options)
            return
        auth = DhanAuth(at.client.rest, at.account.dhan, at.clock)
        if way != "paste" and not anyway:
            _refuse_in_mid_session(at)
        make = await _asked_for(way, auth, at.account.means)
        with at.account.store.making():
            made = await make()
            at.account.store.write(made)
    at.account.dhan.replace_token(made.access_token)
    told = prospect(_facts(made.expires_ns, at))
    ends = moment_text(made.expires_ns)
    if options.as_json:
        _print_json({"expires_ns": made.expires_ns, "expires": ends, "how": made.how.value, "light": told.light.value})
        return
    typer.echo(f"a token until {ends}, kept for all programs of this folder; running ones take it up in seconds")
    if told.light is not Light.GREEN:
        typer.echo(told.sentence)


async def _asked_for(way: str, auth: DhanAuth, means: LoginMeans) -> Callable[[], Awaitable[MintedToken]]:
    """What a person has to give is asked for first; the account is locked only while the token is made."""
    if way == "paste":
        pasted = auth.pasted(_secret_line(PASTE_HOW))

        async def as_pasted() -> MintedToken:
            return pasted

        return as_pasted
    if way == "renew":
        return auth.renew
    if way == "mint":
        if not means.can_mint:
            raise ConfigError("DHANHQ_PIN and DHANHQ_TOTP_SECRET are not set: write them into .env, or use login paste")
        return partial(auth.mint, means.pin, means.totp_secret)
    if means.partner:
        typer.echo(f"Open this address: {(await auth.begin_partner_consent()).link}")
        return partial(auth.finish_partner_consent, token_id_of(_secret_line(CONSENT_HOW)))
    if means.app is None:
        raise ConfigError(
            "DHANHQ_APP_ID and DHANHQ_APP_SECRET are not set: make a key on web.dhan.co, or use login paste"
        )
    typer.echo(f"Open this address: {(await auth.begin_consent(means.app)).link}")
    return partial(auth.finish_consent, means.app, token_id_of(_secret_line(CONSENT_HOW)))


def token_id_of(pasted: str) -> str:
    """The ``tokenId`` in the address a browser was sent back to; or what was pasted, when it is only that."""
    try:
        found = parse_qs(urlsplit(pasted).query).get("tokenId", [])
    except ValueError:
        found = []
    token_id = found[0] if found else pasted
    if not token_id or not set(token_id) <= set("-_.") | {c for c in token_id if c.isascii() and c.isalnum()}:
        raise ConfigError("that has no tokenId in it: paste the whole address the browser shows after the login")
    return token_id


def _secret_line(how: str) -> str:
    """One line from a person, without echo; from a pipe as it comes."""
    line = getpass.getpass(how) if sys.stdin.isatty() else sys.stdin.readline()
    if not line.strip():
        raise ConfigError("nothing was pasted; nothing has changed")
    return line.strip()


def _refuse_in_mid_session(at: Asking) -> None:
    """A new token ends the one in use, everywhere: not in the session, unless it is asked for in so many words."""
    now_ns = at.clock.now_ns()
    quiet = parse_clock_s(QUIET_FROM, "login") <= ist_second(now_ns) < parse_clock_s(QUIET_UNTIL, "login")
    today = session_of(now_ns).day == ist_day(now_ns)
    chosen = at.account.chosen
    alive = bool(chosen.access_token) and not 0 < chosen.expires_ns <= now_ns
    if quiet and today and alive:
        raise ConfigError(
            f"a new token ends the one in use at once, everywhere; from {QUIET_FROM} to {QUIET_UNTIL} it is made only when "
            "that one is dead. If it is: add --anyway"
        )


def _facts(expires_ns: int, at: Asking) -> TokenFacts:
    return TokenFacts(
        at.clock.now_ns(), expires_ns, can_mint=at.account.means.can_mint, web_made=at.account.chosen.web_made
    )


def _say_status(at: Asking, options: BrokerOptions) -> None:
    chosen = at.account.chosen
    told = prospect(_facts(chosen.expires_ns, at))
    if options.as_json:
        _print_json(
            {
                "token": bool(chosen.access_token),
                "source": chosen.sentence,
                "expires_ns": chosen.expires_ns,
                "light": told.light.value if chosen.access_token else Light.RED.value,
                "sentence": told.sentence,
                "remedy": told.remedy,
                "can_mint": at.account.means.can_mint,
            }
        )
        return
    typer.echo(chosen.sentence)
    if chosen.access_token:
        typer.echo(f"{told.light.value}: {told.sentence}{'; ' + told.remedy if told.remedy else ''}")
    way = "by itself, with PIN and TOTP" if at.account.means.can_mint else "by you (no PIN and TOTP are set)"
    typer.echo(f"the next one is got {way}")


# --- the doctor ----------------------------------------------------------------------------------------------------


def run_doctor(options: BrokerOptions) -> None:
    """Every check a line; exit code 1 when one is red."""
    lines = asyncio.run(_examined(options))
    if options.as_json:
        _print_json(lines)
    else:
        width = max(len(line.name) for line in lines)
        for line in lines:
            typer.echo(f"{line.light.value.upper():<6} {line.name:<{width}}  {line.value}")
            if line.remedy:
                typer.echo(f"{'':<6} {'':<{width}}  -> {line.remedy}")
    if worst(lines) is Light.RED:
        sys.exit(1)


async def _examined(options: BrokerOptions) -> list[Line]:
    """Settings that cannot be read, and an account that cannot be asked, are themselves findings."""
    system = SystemClock()
    try:
        settings = broker_settings(options)
    except AlgoScalperError as fault:
        return [red("settings", str(fault), "correct it, then run this again: nothing else can be looked at before")]
    clock: Clock = system
    found: list[Line]
    try:
        account = account_of(options, system.now_ns())
        clock = await market_clock(options.sim_url, system)
    except AlgoScalperError as fault:
        around = Surroundings(clock, system, settings, options.data_dir, ENV_FILE)
        found = [red("account", str(fault), "correct it: the account cannot be asked before")]
    else:
        around = Surroundings(clock, system, settings, options.data_dir, ENV_FILE)
        async with DhanClient(account.dhan, system) as client:
            found = await examine(Checkup(around, account, client, account_tag(ENGINE_ACCOUNT[account.simulated])))
    return [*found, *await examine_machine(around)]


# --- the probe -----------------------------------------------------------------------------------------------------


def run_probe(options: BrokerOptions, market: str, underlying: str, *, round_trip: bool) -> None:
    """Plan, consent, probe, result; exit code 0 when it passed."""
    if underlying.upper() not in INDICES:
        raise ConfigError(f"--underlying {underlying!r} is not known; write one of {', '.join(INDICES)}")
    if market not in {"simulator", "dhan"} or (market == "dhan" and options.sim_url is not None):
        raise ConfigError("--market is simulator (the default) or dhan, and --sim-url names a simulator only")
    passed = asyncio.run(_probed(options, market, INDICES[underlying.upper()], round_trip=round_trip))
    sys.exit(0 if passed else 1)


async def _probed(options: BrokerOptions, market: str, index: Index, *, round_trip: bool) -> bool:
    system = SystemClock()
    account = account_of(options, system.now_ns())
    may_probe(account.dhan.base_url, market, at_terminal=sys.stdin.isatty() and sys.stdout.isatty())
    need_token(account)
    clock = await market_clock(options.sim_url, system)
    must_be_open(clock.now_ns())
    today = ist_day(clock.now_ns())
    contracts: dict[int, Contract] = {}
    async with DhanClient(account.dhan, system, contracts=contracts) as client:
        plan = await _planned(client, account, index, today, contracts, round_trip=round_trip)
        for line in plan.lines():
            typer.echo(line)
        typer.echo(f"To agree, type: {plan.words}")
        agreed(plan, sys.stdin.readline())
        chance = random.Random(system.now_ns())  # noqa: S311 - jitter of reconnects
        probe = Probe(client, account.dhan, system, plan, chance, typer.echo)
        probing = asyncio.create_task(probe.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, probing.cancel)
        result = await probing
    path = save_result(options.data_dir, result)
    if options.as_json:
        _print_json(result)
    verdict = "passed" if result.passed else "NOT passed"
    typer.echo(f"{verdict}; nothing is left at the broker: {'yes' if result.clean else 'NO'}; kept in {path}")
    return result.passed


async def _planned(
    client: DhanClient,
    account: BrokerAccount,
    index: Index,
    today: date,
    contracts: dict[int, Contract],
    *,
    round_trip: bool,
) -> ProbePlan:
    """A contract of the first expiry after today that has one to probe."""
    until = today + timedelta(days=PROBED_DAYS)
    catalogue = await read_catalogue(client.rest, account.dhan.csv_url, [index.name], today, until)
    contracts.update({contract.key: contract for contract in catalogue.contracts})
    chains = DhanChains(client.rest, SystemClock(), contracts)
    expiry = next(day for day in expiries(index.name, today, 2) if day > today)
    chain = await chains.option_chain(index, expiry)
    quote = choose_quote(chain, contracts, today, round_trip=round_trip)
    contract = contracts[quote.key]
    far_paise = far_below(quote.ltp_paise, contract.tick_paise)
    return ProbePlan(account.dhan.base_url, contract, quote, far_paise, round_trip)
