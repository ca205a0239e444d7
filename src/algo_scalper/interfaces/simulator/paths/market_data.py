"""``/marketfeed/*`` and ``/optionchain``: snapshots, chains and expiries, in the data backend's style."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial

from algo_scalper.domain.instruments import INDEX_BY_KEY, Segment, instrument_key, key_security_id
from algo_scalper.domain.market import OptionChain
from algo_scalper.interfaces.simulator import data_rows
from algo_scalper.interfaces.simulator.calls import Access, Asked, Call, ChainAsked, Endpoint, Paths
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.limits import Family
from algo_scalper.interfaces.simulator.master import UNDERLYING_TOKEN
from algo_scalper.interfaces.simulator.orders_in import SEGMENTS, Refused, body_object
from algo_scalper.interfaces.simulator.replies import Reply, data_error, data_success

MOST_QUOTED = 1_000
_INVALID_SECURITY = (400, 813, "Invalid SecurityId")


def _snapshots(desk: Desk, call: Call, print_one: Callable[[int], dict[str, object]]) -> Reply:
    """Segments and ids in the order of their text; what is not listed is left out without a word."""
    try:
        body = body_object(call.body)
    except Refused:
        return data_error(400, 814, "Invalid Request")
    asked = {name: ids for name, ids in sorted(body.items()) if name in Segment.__members__ and isinstance(ids, list)}
    if sum(map(len, asked.values())) > MOST_QUOTED:
        return data_error(400, 804, "Requested number of instruments exceeds limit")
    data: dict[str, dict[str, object]] = {}
    for name, ids in asked.items():
        keys = {instrument_key(Segment[name], number) for number in ids if isinstance(number, int) and _is_id(number)}
        listed = sorted(keys & desk.known, key=lambda key: str(key_security_id(key)))
        data[name] = {str(key_security_id(key)): print_one(key) for key in listed}
    return data_success(data)


def _is_id(number: int) -> bool:
    return 0 <= number < 1 << 32


def _ltp(desk: Desk, call: Call, _: str) -> Reply:
    return _snapshots(desk, call, lambda key: data_rows.ltp_body(desk.last_paise(key)))


def _ohlc(desk: Desk, call: Call, _: str) -> Reply:
    return _snapshots(desk, call, lambda key: data_rows.ohlc_body(desk.day_print(key)))


def _quote(desk: Desk, call: Call, _: str) -> Reply:
    skew_s = desk.stamps.now_skew_s
    return _snapshots(desk, call, lambda key: data_rows.quote_body(desk.day_print(key), skew_s))


def either(body: dict[str, object], field: str) -> object:
    """A field by its documented name or with a lower first letter: both are accepted."""
    return body.get(field, body.get(field[0].lower() + field[1:]))


def _underlying(desk: Desk, body: dict[str, object]) -> str:
    """The index an option-chain request names, by its own id or its derivatives' underlying id; empty for others."""
    number, segment = either(body, "UnderlyingScrip"), either(body, "UnderlyingSeg")
    if isinstance(segment, str) and segment in SEGMENTS:
        return next((name for name, token in UNDERLYING_TOKEN.items() if token == number), "")
    if segment != Segment.IDX_I.name or not isinstance(number, int):
        return ""
    index = INDEX_BY_KEY.get(instrument_key(Segment.IDX_I, number))
    return index.name if index is not None and index.key in desk.indices else ""


def _expiry_list(desk: Desk, call: Call, _: str) -> Reply:
    try:
        underlying = _underlying(desk, body_object(call.body))
    except Refused:
        underlying = ""
    if not underlying:
        return data_error(*_INVALID_SECURITY)
    return data_success(data_rows.expiry_list(desk.contracts.values(), underlying, desk.day))


def _chain(desk: Desk, call: Call, _: str) -> Reply | Asked:
    try:
        body = body_object(call.body)
    except Refused:
        return data_error(*_INVALID_SECURITY)
    underlying, asked = _underlying(desk, body), either(body, "Expiry")
    if not underlying or not asked:
        return data_error(*_INVALID_SECURITY)
    try:
        expiry = date.fromisoformat(str(asked))
    except ValueError:
        return data_error(400, 812, "Invalid Date Format")
    if expiry.isoformat() not in data_rows.expiry_list(desk.contracts.values(), underlying, desk.day):
        return data_error(400, 811, "Invalid Expiry Date")

    def shape(chain: OptionChain) -> Reply:
        tops = partial(desk.top_quantities, at_ns=chain.at_ns)
        closes = desk.world.previous_close_paise
        return data_success(data_rows.chain_data(chain, desk.contracts, closes, desk.previous_oi, tops))

    return ChainAsked(underlying, expiry, shape)


PATHS: Paths = {
    ("POST", "/marketfeed/ltp"): Endpoint(Access.DATA, Family.QUOTE, _ltp),
    ("POST", "/marketfeed/ohlc"): Endpoint(Access.DATA, Family.QUOTE, _ohlc),
    ("POST", "/marketfeed/quote"): Endpoint(Access.DATA, Family.QUOTE, _quote),
    ("POST", "/optionchain"): Endpoint(Access.DATA, Family.CHAIN, _chain),
    ("POST", "/optionchain/expirylist"): Endpoint(Access.DATA, Family.DATA, _expiry_list),
}
