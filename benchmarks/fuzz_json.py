"""Broken JSON by the million through everything that reads an answer of Dhan's.

Each body begins as a good answer of some call, an error of one of the six families, or noise; then values change their
kind, keys disappear or are swapped, numbers become endless and lists deep, and the bytes are cut or overwritten. One in
ten stays good, so that what lies behind the first check is reached too. Nothing may be raised but errors of
`algo_scalper.domain.errors`, no body may take long, and what is printed of one may not be long.

    python -m benchmarks.fuzz_json [--count 1000000] [--seed 1]

The same seed gives the same bodies; a body that breaks something is printed before the exception goes on.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from functools import partial
from random import Random
from typing import Any

from algo_scalper.adapters.dhan import endpoints as rows
from algo_scalper.adapters.dhan.chain import read_chain
from algo_scalper.adapters.dhan.endpoints import ENDPOINTS
from algo_scalper.adapters.dhan.failures import failure_in, refusal
from algo_scalper.adapters.dhan.history import read_bars, read_days, read_rolling
from algo_scalper.adapters.dhan.outcomes import judge
from algo_scalper.adapters.dhan.replies import Bars, KillSwitch, LastPrices, Profile, Quotes, RollingOptions, Token
from algo_scalper.adapters.dhan.rows import read_funds, read_orders, read_positions, read_push
from algo_scalper.adapters.dhan.values import segment_key
from algo_scalper.adapters.dhan.wire import Endpoint, read_json, read_reply
from algo_scalper.domain.errors import AlgoScalperError
from algo_scalper.domain.instruments import NIFTY, OptionType, Segment, instrument_key
from benchmarks.measuring import machine, table

MOST_BODY_S = 0.5
"""No body may take longer, in CPU time."""
MOST_MESSAGE = 2_000
"""Characters of an error about a body, whatever the body holds."""
STATUSES = (200, 200, 200, 202, 302, 400, 401, 404, 408, 429, 500, 502)
EXPIRY = date(2026, 12, 1)
OPTION = instrument_key(Segment.NSE_FNO, 42_500)

_LEG: dict[str, Any] = {"security_id": 42528, "last_price": 134, "oi": 3786445, "top_bid_price": 133.55, "greeks": {}}
_BARS: dict[str, Any] = {
    "timestamp": [1.7730243e9, 1.7730249e9],
    "open": [1.5, 2.5],
    "high": [2.5, 2.5],
    "low": [1.5, 1.5],
    "close": [2.0, 2.0],
    "volume": [6.5e3, 0],
}
GOOD: tuple[tuple[Endpoint[Any], Any], ...] = (
    (
        rows.ORDER_BOOK,
        [
            {
                "orderId": "249260930396313",
                "correlationId": "as1-12-1",
                "orderStatus": "PART_TRADED",
                "transactionType": "SELL",
                "exchangeSegment": "NSE_FNO",
                "orderType": "STOP_LOSS",
                "securityId": "42500",
                "quantity": 130,
                "remainingQuantity": 65,
                "filledQty": 65.0,
                "price": 2.7,
                "triggerPrice": "2.80",
                "averageTradedPrice": 49.125,
                "omsErrorDescription": "CONFIRMED",
                "afterMarketOrder": False,
                "drvExpiryDate": "0001-01-01",
            }
        ],
    ),
    (
        rows.POSITIONS,
        [
            {
                "securityId": "42500",
                "exchangeSegment": "NSE_FNO",
                "netQty": 65,
                "buyQty": 65,
                "sellQty": 0,
                "buyAvg": 100.025,
                "carryForwardBuyValue": 0.0,
                "dayBuyValue": 6501.65,
            }
        ],
    ),
    (rows.FUNDS, {"availabelBalance": 98440.18, "sodLimit": 113642.0, "collateralAmount": "0.0"}),
    (
        rows.PROFILE,
        {"tokenValidity": "09/09/2026 08:00", "activeSegment": "E, D", "dataValidity": "2026-09-29 17:52:44.0"},
    ),
    (rows.GENERATE_TOKEN, {"accessToken": "a.b.c", "expiryTime": "2026-01-01T00:00:00.000"}),
    (rows.KILL_SWITCH, {"killSwitchStatus": "Kill Switch has been successfully activated"}),
    (rows.PLACE_ORDER, {"orderId": "752502167405", "orderStatus": "TRANSIT"}),
    (rows.SLICE_ORDER, [{"orderId": "7", "orderStatus": "TRANSIT"}, {"orderId": "8", "orderStatus": "REJECTED"}]),
    (rows.SUPER_ORDERS, [{"orderId": "7", "legDetails": [{"legName": "TARGET_LEG", "totalQuatity": 65}]}]),
    (rows.TRADE_BOOK, [{"orderId": "7", "tradedQuantity": 65, "tradedPrice": 112.7, "customSymbol": None}]),
    (rows.LEDGER, [{"voucherdate": "Jun 22, 2022", "debit": "10.05", "credit": "0.0", "runbal": "0"}]),
    (rows.MARGINS, {"total_margin": "150000.50", "hedge_benefit": "0"}),
    (rows.PNL_EXIT, {"pnlExitStatus": "ACTIVE", "profit": "1500.0", "productType": ["INTRADAY"]}),
    (rows.TRIGGERS, [{"alertId": "7", "condition": {"comparingValue": 2500}, "orders": [{"price": "1.05"}]}]),
    (rows.LAST_PRICES, {"data": {"NSE_FNO": {"42500": {"last_price": 134}}}, "status": "success"}),
    (
        rows.QUOTES,
        {
            "data": {
                "NSE_FNO": {
                    "42500": {
                        "last_price": 134,
                        "ohlc": {"open": 1, "close": 2, "high": 3, "low": 4},
                        "depth": {"buy": [{"quantity": 65, "orders": 1, "price": 133.5}], "sell": []},
                        "last_trade_time": "01/01/1980 00:00:00",
                    }
                }
            },
            "status": "success",
        },
    ),
    (rows.INTRADAY, _BARS),
    (rows.DAILY, {**_BARS, "open_interest": [0, 1.3e6]}),
    (rows.ROLLING_OPTIONS, {"data": {"ce": {**_BARS, "iv": [12.5, 0], "strike": [25650, 25650]}, "pe": None}}),
    (
        rows.OPTION_CHAIN,
        {"data": {"last_price": 25642.8, "oc": {"25650.000000": {"ce": _LEG, "pe": _LEG}}}, "status": "success"},
    ),
    (rows.EXPIRY_LIST, {"data": ["2026-11-23", "2026-12-01"], "status": "success"}),
)
ERRORS: tuple[Any, ...] = (
    {"errorType": "Order_Error", "errorCode": "DH-906", "errorMessage": "Invalid Token"},
    {"data": {"813": "Invalid SecurityId"}, "status": "failed"},
    [{"message": "Something went wrong", "status": "ERROR"}],
    {"timestamp": 1737794954581, "status": 404, "error": "Not Found", "path": "/v2/x"},
    {"message": "Invalid TOTP", "status": "error"},
    {"errorCode": "NONE", "httpStatus": "BAD_REQUEST", "internalErrorCode": "RS-9005", "internalErrorMessage": "None"},
)
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    "",
    "NA",
    0,
    -1,
    2**63,
    2**64,
    -(2**80),
    10**300,
    10**4000,
    1e308,
    1e16,
    -0.0,
    0.5,
    "nan",
    "-inf",
    "1e999",
    "9" * 400,
    "x" * 3_000,
    "2026-13-45",
    "31/12/9999 23:59",
    "0001-01-01T00:00:00",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"a": {"b": [1]}},
    "NSE_FNO",
    "TRADED",
    "success",
    "४२",
)


def some_body(chance: Random) -> tuple[Endpoint[Any] | None, bytes]:
    """An answer after something happened to it, and the call it began as an answer of."""
    kind = chance.randrange(20)
    if kind == 0:
        return None, deep(chance)
    if kind == 1:
        return None, chance.randbytes(chance.randrange(200))
    endpoint, good = (None, chance.choice(ERRORS)) if kind < 6 else chance.choice(GOOD)
    if chance.randrange(10):
        good = changed(chance, good, chance.choice((1, 1, 2, 5)))
    content = json.dumps(good).encode()
    return endpoint, content if chance.randrange(4) else cut(chance, content)


def changed(chance: Random, value: Any, times: int) -> Any:
    """A copy in which ``times`` places hold something else, or nothing."""
    found = json.loads(json.dumps(value))
    for _ in range(times):
        found = _changed_once(chance, found)
    return found


def _changed_once(chance: Random, value: Any) -> Any:
    if isinstance(value, dict) and value and chance.randrange(8):
        key = chance.choice(list(value))
        what = chance.randrange(8)
        if what == 0:
            del value[key]
        elif what == 1:
            value[chance.choice(("status", "data", "errorCode", "orderId", key * 2))] = value.pop(key)
        else:
            value[key] = _changed_once(chance, value[key])
        return value
    if isinstance(value, list) and value and chance.randrange(8):
        at = chance.randrange(len(value))
        what = chance.randrange(8)
        if what == 0:
            del value[at]
        elif what == 1:
            value.append(deepcopy(value[at]))
        else:
            value[at] = _changed_once(chance, value[at])
        return value
    return deepcopy(chance.choice(ODD_VALUES))


def cut(chance: Random, content: bytes) -> bytes:
    """The bytes, cut, doubled or overwritten."""
    what = chance.randrange(4)
    at = chance.randrange(len(content) + 1)
    if what == 0:
        return content[:at]
    if what == 1:
        return content[:at] + content[chance.randrange(len(content) + 1) :]
    if what == 2:
        return (
            content[:at]
            + chance.choice((b"NaN", b"1e999", b"-", b"\xff\xfe", b"\x00", b'"\\ud800"', b"}"))
            + content[at:]
        )
    return content + content


def deep(chance: Random) -> bytes:
    """Lists or objects in one another, closed or not, up to far more than Python can follow."""
    levels = chance.choice((10, 31, 32, 33, 100, 400, 600, 800, 950, 1_100, 20_000))
    opening, closing = chance.choice(
        ((b"[", b"]"), (b'{"data":', b"}"), (b'[{"status":', b"}]"), (b'{"orderId":', b"}"))
    )
    return opening * levels + chance.choice((b"1", b'"x"', b"")) + closing * (levels if chance.randrange(4) else 1)


class Readers:
    """Everything that reads an answer, and what came of it."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.taken: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.longest_message = 0

    def take(self, endpoint: Endpoint[Any] | None, content: bytes) -> None:
        """Read a body in every way. Raises what no reader may raise."""
        self.take_body(endpoint, read_json(content))

    def take_body(self, endpoint: Endpoint[Any] | None, body: object) -> None:
        """The same for a body that is no bytes any more."""
        status = self._chance.choice(STATUSES)
        self._try("failure", lambda: self._failed(status, body))
        self._try("outcome", lambda: judge(status, body))
        for one in (endpoint or self._chance.choice(ENDPOINTS), self._chance.choice(ENDPOINTS)):
            self._try("reply", partial(self._replied, one, body))
        self._try("orders", lambda: read_orders(body, {}))
        self._try("positions", lambda: read_positions(body))
        self._try("funds", lambda: read_funds(body))
        self._try("chain", lambda: read_chain(body, NIFTY, EXPIRY, 0, {}))
        if isinstance(body, dict):
            self._try("push", lambda: read_push(body, {}))

    def _failed(self, status: int, body: object) -> None:
        failure = failure_in(status, body)
        if failure is not None:
            raise refusal("place_order (POST /orders)", failure)

    def _replied(self, endpoint: Endpoint[Any], body: object) -> None:
        reply = read_reply(endpoint, body)
        if isinstance(reply, Bars):
            self._try("bars", lambda: read_bars(reply, OPTION))
            self._try("days", lambda: read_days(reply, NIFTY.key))
        elif isinstance(reply, RollingOptions):
            self._try("rolling", lambda: read_rolling(reply, NIFTY, OptionType.CE))
        elif isinstance(reply, LastPrices | Quotes):
            for segment, security_id in [(one, other) for one, prices in reply.data.items() for other in prices]:
                self._try("key", partial(segment_key, segment, security_id))
        elif isinstance(reply, Profile):
            assert reply.token_ends_ns is None or reply.derivatives_active is not None
            assert reply.data_ends_ns is None or reply.data_active is not None
        elif isinstance(reply, Token):
            assert reply.ends_ns is None or reply.ends_ns != 0
        elif isinstance(reply, KillSwitch):
            assert reply.active in (True, False)

    def _try(self, name: str, read: Callable[[], object]) -> None:
        try:
            read()
        except AlgoScalperError as refused:
            self.refused[name] += 1
            self.longest_message = max(self.longest_message, len(str(refused)))
        else:
            self.taken[name] += 1


def main() -> None:
    """Run it and print what came of it."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--count", type=int, default=1_000_000)
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    chance = Random(given.seed)
    readers = Readers(chance)
    slowest_s = 0.0
    began_s = time.perf_counter()
    for number in range(given.count):
        endpoint, content = some_body(chance)
        before_s = time.process_time()
        try:
            readers.take(endpoint, content)
        except Exception:
            print(f"body {number} of seed {given.seed}: {content[:2_000]!r}")
            raise
        slowest_s = max(slowest_s, time.process_time() - before_s)
        assert slowest_s <= MOST_BODY_S, f"body {number} took {slowest_s:.3f} s: {content[:200]!r}"
        assert readers.longest_message <= MOST_MESSAGE, f"a message of {readers.longest_message}: {content[:200]!r}"
    took_s = time.perf_counter() - began_s
    table(
        f"{given.count:,} broken answers, seed {given.seed}",
        ("reader", "taken", "refused"),
        [
            (name, f"{readers.taken[name]:,}", f"{readers.refused[name]:,}")
            for name in sorted(readers.refused | readers.taken)
        ],
        (
            "nothing was raised outside algo_scalper.domain.errors",
            f"slowest body {slowest_s * 1_000:.1f} ms, longest message {readers.longest_message} characters",
            f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB, {took_s:.0f} s in all",
            machine(),
        ),
    )


if __name__ == "__main__":
    main()
