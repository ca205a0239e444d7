"""``/profile``, ``/ip/*`` and ``/RenewToken``: who the account is and what it may do."""

from __future__ import annotations

import ipaddress
from datetime import date, datetime, timedelta

from algo_scalper.domain.units import IST, NS_PER_SECOND
from algo_scalper.interfaces.simulator.account import IP_CHANGE_DAYS, SELF
from algo_scalper.interfaces.simulator.calls import Access, Call, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.orders_in import Refused, choice, own_body
from algo_scalper.interfaces.simulator.paths.auth import token_body
from algo_scalper.interfaces.simulator.replies import Reply, bad_input, order_error, success

_WORD = {True: "Active", False: "Deactive"}


def _profile(desk: Desk, call: Call, _: str) -> Reply:
    facts = desk.facts
    ends_ns = desk.account.expires_ns(call.token) or 0
    ends = datetime.fromtimestamp(ends_ns // NS_PER_SECOND, IST)
    return success(
        {
            "dhanClientId": desk.client_id,
            "tokenValidity": f"{ends:%d/%m/%Y %H:%M}",
            "activeSegment": facts.active_segments,
            "ddpi": _WORD[facts.ddpi],
            "mtf": _WORD[facts.mtf],
            "dataPlan": _WORD[facts.data_plan],
            "dataValidity": facts.data_until or f"{desk.day + timedelta(days=30):%Y-%m-%d} 17:52:44.0",
        }
    )


def _renew(desk: Desk, call: Call, _: str) -> Reply:
    """Only a token made on the web is renewed; it is dead afterwards, and the new one is its equal."""
    if not desk.account.renews(call.token):
        return order_error("Invalid Token")
    return success(token_body(desk, desk.account.mint(desk.world.now_ns, SELF)))


def _renew_by_post(_: Desk, __: Call, ___: str) -> Reply:
    return bad_input()


def _get_ip(desk: Desk, _: Call, __: str) -> Reply:
    facts = desk.facts
    if not facts.primary_ip and not facts.secondary_ip:
        return success([{"message": "Something went wrong", "status": "ERROR"}])
    return success(
        {
            "modifyDatePrimary": _next_change(facts.primary_changed),
            "primaryIP": facts.primary_ip,
            "modifyDateSecondary": _next_change(facts.secondary_changed),
            "secondaryIP": facts.secondary_ip,
            "detectedIP": facts.detected_ip,
            "ipMatchStatus": "MATCH" if facts.ip_matches else "MISMATCH",
            "ordersAllowed": facts.may_order,
        }
    )


def _next_change(changed: str) -> str:
    """From which day the slot may be changed again; empty for one that was never set."""
    return (date.fromisoformat(changed) + timedelta(days=IP_CHANGE_DAYS)).isoformat() if changed else ""


def _set_ip(desk: Desk, call: Call, _: str) -> Reply:
    return _save_ip(desk, call, is_first=True)


def _modify_ip(desk: Desk, call: Call, _: str) -> Reply:
    return _save_ip(desk, call, is_first=False)


def _save_ip(desk: Desk, call: Call, *, is_first: bool) -> Reply:
    try:
        body = own_body(call.body, desk.client_id)
        slot = choice(body, "ipFlag", {"PRIMARY": "PRIMARY", "SECONDARY": "SECONDARY"})
        ip = str(ipaddress.ip_address(str(body.get("ip"))))
    except Refused as refusal:
        return refusal.reply
    except ValueError:
        return bad_input()
    facts = desk.account.facts
    stands = facts.primary_ip if slot == "PRIMARY" else facts.secondary_ip
    if bool(stands) is is_first:
        return bad_input("IP is already set" if is_first else "IP is not set")
    if not desk.account.set_ip(ip, slot, desk.day):
        return bad_input(f"IP can be modified once in {IP_CHANGE_DAYS} days")
    return success({"message": "IP saved successfully", "status": "SUCCESS"})


PATHS: Paths = {
    ("GET", "/profile"): Endpoint(Access.WRITE, Family.NON_TRADING, _profile),
    ("GET", "/RenewToken"): Endpoint(Access.WRITE, Family.NON_TRADING, _renew),
    ("POST", "/RenewToken"): Endpoint(Access.WRITE, Family.NON_TRADING, _renew_by_post),
    ("GET", "/ip/getIP"): Endpoint(Access.READ, Family.NON_TRADING, _get_ip),
    ("POST", "/ip/setIP"): Endpoint(Access.WRITE, Family.NON_TRADING, _set_ip),
    ("PUT", "/ip/modifyIP"): Endpoint(Access.WRITE, Family.NON_TRADING, _modify_ip),
}
