"""How long everything takes on the way, and the small seeded differences that keep two instants from being one."""

from __future__ import annotations

from enum import IntEnum

import msgspec

from algo_scalper.domain.units import NS_PER_MS
from algo_scalper.simulation.mix import mix_all

_US = 1_000


class Way(IntEnum):
    """What travels."""

    ORDER = 1
    ANSWER = 2
    PUSH = 3
    READ = 4
    WATCH = 5


class Latency(msgspec.Struct, frozen=True):
    """Nanoseconds, before jitter.

    ``order_ns``: our request to the exchange. ``answer_ns``: our request to its HTTP answer. ``push_ns``: exchange
    event to order socket. ``read_ns``: any read, sampled half way. ``watch_ns``: subscription to first packet.
    ``jitter_ns``: each way takes up to this much more.
    """

    order_ns: int = 35 * NS_PER_MS
    answer_ns: int = 60 * NS_PER_MS
    push_ns: int = 25 * NS_PER_MS
    read_ns: int = 80 * NS_PER_MS
    watch_ns: int = 12 * NS_PER_MS
    jitter_ns: int = 8 * NS_PER_MS

    def jittered(self, base_ns: int, seed: int, sent_ns: int, way: Way) -> int:
        """``base_ns`` and an odd number of microseconds more, drawn from (seed, sent, way)."""
        steps = max(self.jitter_ns // (2 * _US), 1)
        return base_ns + (2 * (mix_all(seed, sent_ns, way) % steps) + 1) * _US
