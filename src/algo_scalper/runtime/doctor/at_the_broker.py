"""What only Dhan knows: token, data plan, segments, static IP address, money, switches, and what else is open there."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Collection, Sequence
from datetime import date
from email.utils import parsedate_to_datetime
from socket import AF_INET

import aiohttp

from algo_scalper.adapters.dhan.failures import DhanRefused, FailureKind, NothingThere, RequestRefused, TokenRefused
from algo_scalper.adapters.dhan.replies import Addresses
from algo_scalper.adapters.dhan.token_store import moment_text
from algo_scalper.domain.calendar import is_trading_day, previous_trading_day
from algo_scalper.domain.errors import BrokerError
from algo_scalper.domain.units import NS_PER_SECOND, ist_day, ist_second, parse_clock_s, rupees_text
from algo_scalper.runtime.doctor.checkup import Checkup
from algo_scalper.runtime.doctor.lines import Light, Line, amber, green, red
from algo_scalper.runtime.token_care import TokenFacts, prospect

AMBER_GAP_NS = NS_PER_SECOND
RED_GAP_NS = 3 * NS_PER_SECOND
MASTER_BY = "08:30"
"""By then the day's instrument master is there."""
MOST_NAMED = 3
LIVE_STATES = frozenset({"TRANSIT", "PENDING", "PART_TRADED"})


async def token(at: Checkup) -> Sequence[Line]:
    """Does it live, and does it last through the session?"""
    chosen, why = at.account.chosen, ""
    if not chosen.access_token:
        return (red("token", "; ".join((chosen.sentence, *at.account.notices)), "get one: scalper login"),)
    expires_ns, dead = chosen.expires_ns, False
    try:
        told_ns = (await at.broker.profile()).token_ends_ns or 0
    except TokenRefused:
        dead = True
    except BrokerError as fault:
        why = f" (Dhan could not be asked: {at.account.dhan.masked(str(fault))})"
    else:
        # Dhan prints minutes: within the same one, what the token says of itself is finer.
        if told_ns and not (expires_ns and 0 <= expires_ns - told_ns < 60 * NS_PER_SECOND):
            expires_ns = min(expires_ns or told_ns, told_ns)
    told = prospect(TokenFacts(at.clock.now_ns(), expires_ns, dead, at.account.means.can_mint, chosen.web_made))
    light = Light.AMBER if why and told.light is Light.GREEN else told.light
    lines = [Line("token", light, f"{told.sentence}{why}", told.remedy)]
    lines += [amber("token store", notice) for notice in at.account.notices]
    return lines


async def account(at: Checkup) -> Sequence[Line]:
    """Is the token of the client id that is set?"""
    found = (await at.broker.profile()).dhan_client_id
    shown = f"client id ending in {at.account.dhan.client_id[-2:]}"
    if found and found != at.account.dhan.client_id:
        return (
            red(
                "account",
                f"the token is of another account, ending in {found[-2:]}; DHANHQ_CLIENT_ID ends in {shown[-2:]}",
                "set DHANHQ_CLIENT_ID to the account you log in to, or log in to the other one",
            ),
        )
    where = "simulated" if at.account.simulated else "Dhan"
    return (green("account", f"{shown}, {where}"),)


async def data_plan(at: Checkup) -> Sequence[Line]:
    """Are quotes, charts, chains and feeds paid for?"""
    profile = await at.broker.profile()
    ends_ns, now_ns = profile.data_ends_ns, at.clock.now_ns()
    without = "without it there are no quotes, charts, option chains and feeds"
    if not profile.data_active:
        said = f"the Data API plan is {profile.data_plan or 'not told'}: {without}"
        return (red("data plan", said, "subscribe to the Data APIs on web.dhan.co, DhanHQ Trading APIs"),)
    if ends_ns is not None and ends_ns <= now_ns:
        return (red("data plan", f"it ended {moment_text(ends_ns)}: {without}", "renew the Data APIs on web.dhan.co"),)
    until = f"active until {moment_text(ends_ns)}" if ends_ns else "active"
    if ends_ns is not None and ends_ns - now_ns < 3 * 86_400 * NS_PER_SECOND:
        return (amber("data plan", until, "renew it in time on web.dhan.co; the balance must cover it"),)
    return (green("data plan", until),)


async def segments(at: Checkup) -> Sequence[Line]:
    """May futures and options be traded?"""
    profile = await at.broker.profile()
    active = ", ".join(part for part in (one.strip() for one in profile.active_segment.split(",")) if part) or "none"
    if profile.derivatives_active:
        return (green("segments", f"futures and options are active (active: {active})"),)
    said = f"futures and options are not active (active: {active}): every option order will be refused"
    return (red("segments", said, "activate the derivatives segment in the Dhan app; it takes a day or two"),)


async def static_ip(at: Checkup) -> Sequence[Line]:
    """Do orders leave from an address Dhan takes them from? Only looked at, never set here."""
    try:
        found = await at.broker.addresses()
    except RequestRefused as refused:
        if refused.failure.kind is not FailureKind.OTHER:
            raise
        found = Addresses()
    registered = {name: ip for name, ip in (("primary", found.primary_ip), ("secondary", found.secondary_ip)) if ip}
    if not registered:
        said = "no static IP address is registered: reading works, every order will be refused (Invalid IP)"
        return (red("static IP", said, "register the address of this machine on web.dhan.co"),)
    listed = ", ".join(f"{ip} ({name})" for name, ip in registered.items())
    when = _next_change(found, at)
    leaves = str(found.detected_ip)
    refused_all = "every order will be refused (Invalid IP)"
    if leaves and _version(leaves) == 6 and all(_version(ip) == 4 for ip in registered.values()):
        said = f"requests leave by IPv6, from {leaves}; registered is IPv4, {listed}: {refused_all}"
        remedy = "make this machine leave by IPv4 (switch IPv6 off, or on the way: VPN, proxy, NAT64); change nothing at Dhan"
        return (red("static IP", said, remedy),)
    if leaves and _same(leaves, tuple(registered.values())) and not _said_no(found.orders_allowed):
        return (green("static IP", f"we leave from {leaves}, registered: {listed}{when}"),)
    if leaves and not _same(leaves, tuple(registered.values())):
        said = f"we leave from {leaves}; registered: {listed}: {refused_all}"
        return (red("static IP", said, f"leave from the registered address, or change it on web.dhan.co{when}"),)
    if _said_no(found.orders_allowed) or _said_no(found.ip_match_status):
        said = f"Dhan says orders from here are not allowed; registered: {listed}: {refused_all}"
        return (red("static IP", said, f"compare with the address this machine leaves from{when}"),)
    if found.ip_match_status or found.orders_allowed:
        return (green("static IP", f"Dhan says we leave from a registered address: {listed}{when}"),)
    said = f"registered: {listed}{when}; Dhan does not say from where we leave"
    return (amber("static IP", said, "compare by hand: curl -4 with any service that prints your address"),)


def _next_change(found: Addresses, at: Checkup) -> str:
    """When each registered address may next be changed: one change in seven days."""
    dates = (("primary", found.modify_date_primary), ("secondary", found.modify_date_secondary))
    today = ist_day(at.clock.now_ns())
    told = []
    for name, text in dates:
        try:
            day = date.fromisoformat(text[:10])
        except ValueError:
            continue
        if day > today:
            told.append(f"{name} locked until {day.isoformat()}")
    return f"; {', '.join(told)}" if told else ""


def _version(ip: str) -> int:
    try:
        return ipaddress.ip_address(ip).version
    except ValueError:
        return 0


def _same(ip: str, others: Collection[str]) -> bool:
    """Whether one of these is the same address, however it is written."""
    try:
        return ipaddress.ip_address(ip) in {ipaddress.ip_address(one) for one in others}
    except ValueError:
        return ip in others


def _said_no(word: str) -> bool:
    bare = word.strip().upper()
    return bare in {"FALSE", "NO", "N", "0"} or "MISMATCH" in bare or bare.startswith(("NOT", "UN"))


async def money(at: Checkup) -> Sequence[Line]:
    """Cash, with the pledge apart: only cash buys options."""
    try:
        found = await at.broker.funds()
    except DhanRefused as refused:
        if refused.failure.code != "DH-906" or isinstance(refused, TokenRefused):
            raise
        return (
            amber("funds", f"not known: {refused.failure}", "before the open Dhan sometimes refuses this: ask later"),
        )
    cash_paise = found.available_balance_paise - found.collateral_amount_paise
    usable_paise = max(min(cash_paise, found.sod_limit_paise), 0)
    pledge = f", pledged Rs {rupees_text(found.collateral_amount_paise)}" if found.collateral_amount_paise else ""
    start = f"start of day Rs {rupees_text(found.sod_limit_paise)}"
    if usable_paise > 0:
        said = f"Rs {rupees_text(usable_paise)} may buy options (cash Rs {rupees_text(cash_paise)}{pledge}; {start})"
        return (green("funds", said),)
    if found.collateral_amount_paise > 0:
        said = (
            f"Rs {rupees_text(found.available_balance_paise)} available, all of it from pledged holdings: it cannot buy "
            f"options, and there is no cash (cash Rs {rupees_text(cash_paise)}{pledge}; {start})"
        )
        return (red("funds", said, "add cash: option premium is paid in cash, a pledge only covers margins"),)
    said = f"no cash to buy options with (cash Rs {rupees_text(cash_paise)}; {start})"
    return (red("funds", said, "add cash; money added today counts from the next day's start-of-day figure"),)


async def kill_switch(at: Checkup) -> Sequence[Line]:
    """Has somebody switched trading off?"""
    found = await at.broker.kill_switch()
    if found.active:
        said = "the kill switch is on: Dhan takes no orders for the rest of the day"
        return (red("kill switch", said, "switch it off in the Dhan app if you meant to trade today"),)
    return (green("kill switch", "off"),)


async def pnl_exit(at: Checkup) -> Sequence[Line]:
    """Is the broker's own exit set? It closes positions we did not open, and ours without us."""
    try:
        found = await at.broker.pnl_exit()
    except NothingThere:
        return (green("P&L exit", "not set"),)
    if found.pnl_exit_status.upper() != "ACTIVE":
        return (green("P&L exit", "not set"),)
    switch = ", and switches trading off" if found.enable_kill_switch else ""
    said = (
        f"set: at a profit of Rs {rupees_text(found.profit_paise)} or a loss of Rs {rupees_text(found.loss_paise)} Dhan closes "
        f"{' and '.join(found.product_type) or 'all'} positions of the account{switch}"
    )
    return (amber("P&L exit", said, "it hits every position of the account, not only the engine's: check its figures"),)


async def others_hands(at: Checkup) -> Sequence[Line]:
    """Orders and positions on the account that are not the engine's."""
    orders, positions = await asyncio.gather(at.broker.orders(), at.broker.positions())
    ours = {row.security_id for row in orders if row.correlation_id.startswith(at.tag)}
    working = [row for row in orders if row.order_status in LIVE_STATES and not row.correlation_id.startswith(at.tag)]
    held = [row for row in positions if row.net_qty and row.security_id not in ours]
    if not working and not held:
        return (green("foreign orders", "no order and no position on the account but the engine's"),)
    named = [f"{row.trading_symbol or row.security_id} {row.net_qty:+d}" for row in held]
    named += [f"{row.transaction_type} {row.trading_symbol or row.security_id} {row.quantity}" for row in working]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    said = (
        f"{len(held)} positions and {len(working)} working orders of other hands: {', '.join(named[:MOST_NAMED])}{more}"
    )
    return (
        amber("foreign orders", said, "in these contracts entries are refused; account-wide switches hit them too"),
    )


async def clock_gap(at: Checkup) -> Sequence[Line]:
    """This machine's clock beside Dhan's, as its HTTP answers print it. No credentials are sent."""
    url = f"{at.account.dhan.base_url}/"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(family=AF_INET)) as session:
        async with session.get(url, allow_redirects=False) as first:
            await first.read()  # from now on an answer comes without the time it takes to connect
        sent_ns = at.system.now_ns()
        async with session.get(url, allow_redirects=False) as answer:
            got_ns, said = at.system.now_ns(), answer.headers.get("Date", "")
    gap_ns = gap_of(said, sent_ns, got_ns)
    if gap_ns is None:
        return (amber("clock", "Dhan's answer has no readable date: the clocks cannot be compared"),)
    if abs(gap_ns) <= AMBER_GAP_NS:
        return (green("clock", "this machine's clock and Dhan's agree within a second"),)
    way = "behind" if gap_ns > 0 else "ahead of"
    text = f"this machine's clock is {abs(gap_ns) / NS_PER_SECOND:.1f} s {way} Dhan's"
    remedy = "switch time synchronisation on (timedatectl set-ntp true)"
    if abs(gap_ns) > RED_GAP_NS:
        return (red("clock", f"{text}: sessions, stops and TOTP codes would be off", remedy),)
    return (amber("clock", text, remedy),)


def gap_of(date_header: str, sent_ns: int, got_ns: int) -> int | None:
    """How far Dhan's clock is at least ahead of ours (below 0: behind), in ns.

    The header has whole seconds, and was written some time between sending and getting: 0 when that explains it all.
    """
    try:
        second_ns = round(parsedate_to_datetime(date_header).timestamp()) * NS_PER_SECOND
    except (TypeError, ValueError):
        return None
    least_ns, most_ns = second_ns - got_ns, second_ns + NS_PER_SECOND - sent_ns
    return least_ns if least_ns > 0 else min(0, most_ns)


async def master(at: Checkup) -> Sequence[Line]:
    """Is today's instrument master there? Only its headers are looked at."""
    url = at.account.dhan.csv_url
    connector = aiohttp.TCPConnector(family=AF_INET)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        status, said = answer.status, answer.headers.get("Last-Modified", "")
    if status != 200:
        return (red("catalogue", f"the instrument master is not there (HTTP {status})", f"try {url} in a browser"),)
    try:
        changed = ist_day(round(parsedate_to_datetime(said).timestamp()) * NS_PER_SECOND)
    except (TypeError, ValueError):
        return (green("catalogue", "the instrument master is there; it does not say how old it is"),)
    now_ns = at.clock.now_ns()
    today = ist_day(now_ns)
    due = today if is_trading_day(today) and ist_second(now_ns) >= parse_clock_s(MASTER_BY, "") else None
    if changed >= (due or previous_trading_day(today)):
        return (green("catalogue", f"the instrument master is of {changed.isoformat()}"),)
    said = f"the instrument master is of {changed.isoformat()}: contracts listed since are missing"
    return (amber("catalogue", said, "wait for the new one; it comes in the morning"),)
