"""Decoding feed packets: this project's decoder beside the official SDK's, on the same packets in the same run.

Two thousand different packets of each kind, one to a message, as most are on the wire; the decoders take turns. Before
anything is timed both must agree on the last price and the exchange's time of every packet. Each is given what its
socket library hands it: ours memoryviews, the SDK bytes. CPU time, medians.

They do not give the same thing. The SDK gives a dict of strings (``"48.05"``, ``"15:04:57"``) with the day's figures and
five levels; ours gives a `Tick` in integer paise with both times, best bid and ask and the sums of the levels, after
checking length, segment and prices, which is what the engine takes. The line *five levels* is `decode_quote`, which adds
the book and leaves out the day's figures. The SDK reads the first packet of a message and drops the others; *five in a
message* is what a message costs us in which it would lose four.

The SDK is not a dependency of this project. Install it anywhere and name the folder:

    python3 -m venv /tmp/sdk && /tmp/sdk/bin/pip install dhanhq==2.3.0
    python -m benchmarks.feed_decode --sdk /tmp/sdk/lib/python3.11/site-packages [--rounds 15]
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from random import Random
from typing import Any

from algo_scalper.adapters.dhan.packets import (
    Buffer,
    DayFigures,
    FeedDecoder,
    decode_quote,
    encode_full,
    encode_quote,
    encode_ticker,
)
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.market import Quote, Tick
from algo_scalper.domain.units import IST_OFFSET_S
from benchmarks.measuring import machine, middle, settle_memory, table

PACKETS = 2_000
AT_NS = 1_795_000_000 * 10**9
KEYS = [instrument_key(Segment.NSE_FNO, 40_000 + number) for number in range(200)]
TICKS = dict.fromkeys(KEYS, 5)
AIM_TIMES = 10.0
GET_IT = "python3 -m venv /tmp/sdk && /tmp/sdk/bin/pip install dhanhq==2.3.0, then --sdk /tmp/sdk/lib/python3.*/site-packages"


def made_up(chance: Random) -> Quote:
    paise = chance.randrange(100, 100_000) * 5
    bids = tuple((paise - 5 * level, 65 * chance.randrange(1, 200)) for level in range(5))
    asks = tuple((paise + 5 + 5 * level, 65 * chance.randrange(1, 200)) for level in range(5))
    tick = Tick(
        AT_NS, chance.choice(KEYS), AT_NS // 10**9 - chance.randrange(3), paise, paise, paise + 5,
        volume=chance.randrange(10**8), oi=chance.randrange(10**7),
    )  # fmt: skip
    return Quote(tick, bids, asks)


def packets() -> dict[str, list[bytes]]:
    chance = Random(7)
    quotes = [made_up(chance) for _ in range(PACKETS)]
    day = DayFigures(65, 5_399, 1_892_865, 3_146_975, 12_791_805, 7_970_105, 6_500, 6_840, 7_070, 4_255)
    return {
        "ticker": [encode_ticker(quote.tick) for quote in quotes],
        "quote": [encode_quote(quote.tick, day) for quote in quotes],
        "full": [encode_full(quote, day) for quote in quotes],
    }


def the_sdk(folder: str) -> Any:
    """The SDK's feed class, undecorated: its decoder needs no connection. None when it is not there."""
    if folder:
        sys.path.append(folder)
    try:
        module = importlib.import_module("dhanhq.marketfeed")
    except ModuleNotFoundError:
        return None
    return module.MarketFeed.__new__(module.MarketFeed)


def agree(sdk: Any, messages: dict[str, list[bytes]]) -> None:
    """Both read the same price and time from every packet, or there is nothing to compare."""
    decoder = FeedDecoder(TICKS)
    for listed in messages.values():
        for message in listed:
            (tick,) = decoder.decode(message, AT_NS)
            theirs = sdk.process_data(message)
            clock = datetime.fromtimestamp(tick.exchange_s + IST_OFFSET_S, UTC).strftime("%H:%M:%S")
            if (theirs["LTP"], theirs["LTT"]) != (f"{tick.ltp_paise / 100:.2f}", clock):
                raise AssertionError(f"they disagree on {message.hex()}: {theirs}, {tick}")


def our_seconds(work: Callable[[Buffer, int], object], messages: Sequence[Buffer]) -> float:
    """CPU seconds: nothing here waits, and other programs run on this machine."""
    began = time.process_time()
    for message in messages:
        work(message, AT_NS)
    return time.process_time() - began


def sdk_seconds(work: Callable[[bytes], object], messages: Sequence[bytes]) -> float:
    """As `our_seconds`; the SDK takes no time of receipt."""
    began = time.process_time()
    for message in messages:
        work(message)
    return time.process_time() - began


def main() -> int:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--rounds", type=int, default=15)
    ask.add_argument("--sdk", default="", help="a site-packages folder in which the official SDK is")
    asked = ask.parse_args()
    messages = packets()
    five = [b"".join(messages["full"][at : at + 5]) for at in range(0, PACKETS, 5)]
    sdk = the_sdk(asked.sdk)
    if sdk is not None:
        agree(sdk, messages)
    decoder = FeedDecoder(TICKS)

    def levels(message: Buffer, at_ns: int) -> object:
        return decode_quote(message, 0, at_ns, TICKS)

    views = {kind: [memoryview(message) for message in listed] for kind, listed in messages.items()}
    work: list[tuple[str, Callable[[Buffer, int], object], Sequence[Buffer]]] = [
        *((kind, decoder.decode, listed) for kind, listed in views.items()),
        ("full, five levels", levels, views["full"]),
        ("full, five in a message", decoder.decode, [memoryview(message) for message in five]),
    ]
    settle_memory()
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    for _ in range(asked.rounds):
        for kind, decode, listed in work:
            ours.setdefault(kind, []).append(our_seconds(decode, listed) / PACKETS)
        for kind, plain in messages.items():
            if sdk is not None:
                theirs.setdefault(kind, []).append(sdk_seconds(sdk.process_data, plain) / PACKETS)
    rows = []
    for kind, times in ours.items():
        mine = middle(times)
        cells = [kind, f"{mine * 1e6:.2f}", f"{1e-6 / mine:.2f}", "-", "-", "-"]
        if theirs:
            peers = middle(theirs[kind.split(",")[0]])
            cells[3:] = [f"{peers * 1e6:.2f}", f"{1e-6 / peers:.3f}", f"{peers / mine:.1f}"]
        rows.append(cells)
    try:
        peer = f"dhanhq {version('dhanhq')}"
    except PackageNotFoundError:
        peer = "the official SDK is not here, its columns are empty; get it: " + GET_IT
    print(machine())
    table(
        "Decoding a packet",
        ("packet", "CPU us", "million/s", "SDK CPU us", "SDK million/s", "times"),
        rows,
        (peer, f"aim: {AIM_TIMES:g} times on quote and full"),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
