"""The same seed is the same day byte for byte on the wire: two servers in two processes that hash texts differently."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from algo_scalper.domain.instruments import INDIA_VIX_KEY, INDICES, OptionType
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.simulator.stage import (
    SteppedEngine,
    market_of,
    near_call,
    order_body,
    resting_price,
    serving,
    world_of,
)

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 150
SEED = 11


async def scripted_client(seed: int) -> dict[str, Any]:
    """Two and a half minutes of stepped time: feeds in three modes, orders that rest, trade and go, every kind of reading."""
    market = market_of(seed)
    calls = [near_call(market, steps) for steps in range(-3, 4)]
    puts = [
        contract
        for contract in market.contracts
        if contract.option_type is OptionType.PE
        and (contract.underlying, contract.expiry)
        in {("NIFTY", calls[0].expiry), ("SENSEX", market.expiries("SENSEX")[0])}
    ]
    low = resting_price(market, calls[3])
    expiry = calls[0].expiry.isoformat()
    requests: list[tuple[int, str, str, object]] = [
        (1, "GET", "/v2/fundlimit", None),
        (2, "POST", "/v2/orders", order_body(calls[3], price=low)),
        (3, "POST", "/v2/orders", order_body(calls[2], price=round(low * 1.8, 1), correlationId="t-2")),
        (5, "POST", "/v2/optionchain", {"UnderlyingScrip": 13, "UnderlyingSeg": "IDX_I", "Expiry": expiry}),
        (20, "POST", "/v2/marketfeed/quote", {"NSE_FNO": [calls[0].key & 0xFFFFFFFF], "IDX_I": [13]}),
        (40, "POST", "/v2/orders", order_body(calls[1], price=low / 2, correlationId="t-3", quantity=calls[1].lot * 2)),
        (60, "GET", "/v2/orders", None),
        (61, "GET", "/v2/trades", None),
        (90, "POST", "/v2/orders", order_body(calls[2], "SELL", price=0.05, correlationId="t-4")),
        (120, "GET", "/v2/positions", None),
        (140, "GET", "/v2/orders/external/t-1", None),
        (141, "POST", "/v2/optionchain", {"UnderlyingScrip": 13, "UnderlyingSeg": "IDX_I", "Expiry": expiry}),
    ]
    async with serving(world_of(seed), stepped=True, limited=False) as (_, visitor):
        engine = SteppedEngine(visitor)
        await engine.attach()
        begun_ns = engine.at_ns
        await engine.subscribe(15, INDIA_VIX_KEY, *(index.key for index in INDICES.values()))
        await engine.subscribe(17, *(contract.key for contract in puts[:40]))
        await engine.subscribe(21, *(contract.key for contract in calls))
        for second, method, path, body in requests:
            while engine.at_ns < begun_ns + second * NS_PER_SECOND:
                await engine.step(begun_ns + second * NS_PER_SECOND)
            engine.request(method, path, body)
        while engine.at_ns < begun_ns + SECONDS * NS_PER_SECOND:
            await engine.step(begun_ns + SECONDS * NS_PER_SECOND)
        answers = [await engine.answers[number] for number in sorted(engine.answers)]
        await engine.leave()
    feed = b"".join(engine.feed_frames)
    return {
        "feed": [len(feed), sha256(feed).hexdigest()],
        "orders": [len(engine.order_frames), sha256("\n".join(engine.order_frames).encode()).hexdigest()],
        "answers": [
            [request[1] + " " + request[2], status, sha256(text.encode()).hexdigest()]
            for request, (status, text) in zip(requests, answers, strict=True)
        ],
    }


def in_a_process(seed: int, hash_seed: str) -> dict[str, Any]:
    """What the scripted client heard, in a new interpreter with its own hashing of texts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.contract.test_simulator_same_bytes", str(seed)],
        cwd=ROOT,
        env={**environment, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    heard: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return heard


def test_two_processes_with_one_seed_send_the_same_bytes_and_another_seed_others() -> None:
    one, other = in_a_process(SEED, "0"), in_a_process(SEED, "4711")
    assert one == other
    assert one["feed"][0] > 300_000, "too few bytes to prove anything"
    assert one["orders"][0] >= 5
    assert [status for _, status, _ in one["answers"]] == [200] * len(one["answers"])
    assert in_a_process(SEED + 1, "0")["feed"] != one["feed"]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(scripted_client(int(sys.argv[1])))) + "\n")
