"""The engine's line to the simulator's clock: paced time is followed, stepped time is walked hand in hand.

In stepped time the simulator sends all frames of a step and their counts; the engine takes them in rank order, runs the
timers that are due, and says it is ready with what it has asked meanwhile. Nothing depends on how fast either runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import aiohttp
import msgspec

from algo_scalper.adapters.dhan.settings import SIMULATED
from algo_scalper.domain.errors import BrokerError, BrokerUnreachable
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.units import NS_PER_MS
from algo_scalper.runtime.clock import PacedClock, Rank, SteppedClock, Timers, settle

TIME_EVERY_NS = 500 * NS_PER_MS


class Hello(msgspec.Struct, frozen=True):
    """What the simulator says of itself."""

    mode: str
    now_ns: int
    rate: float
    day: str
    close_ns: int
    market: str = "SIMULATED"


class _Ready(msgspec.Struct, frozen=True):
    """What we have sent so far, and when our next timer is due."""

    requests: int
    feed: int
    orders: int
    next_wake_ns: int | None


class _Step(msgspec.Struct, frozen=True):
    """The instant that has come, and what was sent to us up to and with it."""

    at_ns: int
    feed: int
    orders: int
    answers: list[int]


class _End(msgspec.Struct, frozen=True):
    """Nothing will happen any more."""

    at_ns: int


class _Said(msgspec.Struct, frozen=True):
    """The clock's answer to `_Ready`."""

    step: _Step | None = None
    end: _End | None = None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Said)


class StepGate:
    """Counts what goes out, holds what comes in, and lets it through when the step says so."""

    def __init__(self) -> None:
        """Let everything through until `active`."""
        self.active = False
        self._requests = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._frames: dict[str, list[bytes]] = {"feed": [], "orders": []}
        self._held = {"feed": 0, "orders": 0}
        self._news = asyncio.Event()

    @property
    def requests(self) -> int:
        """Numbered requests so far."""
        return self._requests

    def stamp(self) -> tuple[int, Mapping[str, str]] | None:
        """The next request's number and the header that carries it."""
        if not self.active:
            return None
        self._requests += 1
        return self._requests, {"X-Sim-Seq": str(self._requests)}

    async def arrived(self, seq: int) -> None:
        """An answer is here; wait for its turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[seq] = turn
        self._news.set()
        await turn

    def hold(self, kind: str, payload: bytes) -> None:
        """A frame is here; it waits for its step."""
        self._frames[kind].append(payload)
        self._held[kind] += 1
        self._news.set()

    async def complete(self, feed: int, orders: int, answers: list[int]) -> None:
        """Return when everything the step counted is here."""
        while not (
            self._held["feed"] >= feed
            and self._held["orders"] >= orders
            and all(seq in self._waiting for seq in answers)
        ):
            self._news.clear()
            await self._news.wait()

    async def release(self, answers: list[int]) -> None:
        """Let these answers through, one after another."""
        for seq in answers:
            self._waiting.pop(seq).set_result(None)
            await settle(6)

    def frames(self, kind: str) -> list[bytes]:
        """The held frames of a kind, in order."""
        frames, self._frames[kind] = self._frames[kind], []
        return frames


class SimLink:
    """The clock socket."""

    def __init__(self, url: str) -> None:
        """``url``: the simulator's root, for example ``http://127.0.0.1:9200``."""
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def attach(self, *, stepped: bool, downtime_ns: int = 0) -> Hello:
        """Say who we are; raises `BrokerUnreachable` naming the address and the remedy."""
        self._session = aiohttp.ClientSession()
        try:
            self._socket = await self._session.ws_connect(f"{self._url}/sim/clock", max_msg_size=0)
            await self._socket.send_json(
                {"attach": {"stepped": stepped, "client_id": SIMULATED, "downtime_ns": downtime_ns}}
            )
            said = await self._socket.receive_json()
        except (aiohttp.ClientError, OSError, TypeError) as error:
            await self.close()
            raise BrokerUnreachable(
                f"no simulator answers at {self._url} ({error}); start one with: scalper sim"
            ) from error
        if "hello" not in said:
            await self.close()
            raise BrokerUnreachable(f"the simulator at {self._url} takes no engine now: {said.get('error', said)}")
        return msgspec.convert(said["hello"], Hello)

    async def close(self) -> None:
        """Leave; virtual time stands still until another engine comes."""
        if self._socket is not None:
            await self._socket.close()
        if self._session is not None:
            await self._session.close()
        self._socket = self._session = None

    async def now_ns(self) -> int:
        """The simulator's time, in paced mode."""
        socket = self._open()
        try:
            await socket.send_json({"now": True})
            said = await socket.receive_json()
        except (aiohttp.ClientError, OSError, TypeError) as error:
            raise BrokerUnreachable(f"the simulator's clock is gone: {error}") from error
        return int(said["now"])

    async def come_back(self) -> None:
        """Try once to reach a simulator that was started again; in vain is no error, it is tried again later."""
        await self.close()
        with contextlib.suppress(BrokerUnreachable):
            await self.attach(stepped=False)

    async def follow(self, clock: PacedClock, wall: Clock) -> None:
        """The simulator's time is the time; a slow machine makes it slip. Without it, time goes on at its rate."""
        while True:
            await wall.sleep_until(wall.now_ns() + TIME_EVERY_NS)
            try:
                clock.correct(await self.now_ns())
            except BrokerError:
                await self.come_back()

    async def walk(
        self,
        clock: SteppedClock,
        timers: Timers,
        gate: StepGate,
        sent: Callable[[], tuple[int, int]],
        on_orders: Callable[[bytes], None],
        on_feed: Callable[[bytes], None],
        after_step: Callable[[], bool],
    ) -> None:
        """Walk until the day ends, or until ``after_step()`` is false. ``sent()`` counts our feed and order messages."""
        socket = self._open()
        while True:
            await settle()
            feed_sent, orders_sent = sent()
            wakes = [at for at in (timers.next_ns(), clock.next_wake_ns()) if at is not None]
            ready = _Ready(gate.requests, feed_sent, orders_sent, min(wakes) if wakes else None)
            try:
                await socket.send_str(_encoder.encode({"ready": ready}).decode())
                said = _decoder.decode(await socket.receive_str())
            except (aiohttp.ClientError, OSError, TypeError) as error:
                raise BrokerUnreachable(f"the simulator at {self._url} went away in the middle of a step") from error
            if said.end is not None:
                return
            if said.step is None:
                raise BrokerUnreachable(
                    "the simulator's clock answered neither with a step nor with the end of the day"
                )
            step, at_ns = said.step, said.step.at_ns
            await gate.complete(step.feed, step.orders, step.answers)
            await clock.move_to(at_ns)
            if timers.run_due(at_ns, Rank.BROKER) or step.answers:
                await settle()  # else nobody was woken, and nobody will be before the frames are taken
            await gate.release(step.answers)
            for payload in gate.frames("orders"):
                on_orders(payload)
            for payload in gate.frames("feed"):
                on_feed(payload)
            timers.run_due(at_ns)
            if not after_step():
                return

    def _open(self) -> aiohttp.ClientWebSocketResponse:
        if self._socket is None:
            raise BrokerUnreachable("the simulator's clock socket is not attached")
        return self._socket
