"""An order's life cut at every kind of place, over real sockets: the right outcome, one request, nothing left behind.

The server reads to an exact byte, answers an exact part and ends by FIN or by reset. What it reads and what the kernel
says of its sockets in the very step an outcome is returned is the evidence, not what the client says of itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple

import psutil
import pytest

from algo_scalper.adapters.dhan.endpoints import MODIFY_ORDER, ORDER_BY_ID
from algo_scalper.adapters.dhan.failures import AskedTooOften
from algo_scalper.adapters.dhan.limits import NO_WINDOWS, WINDOWS, Limiter, Priority, Window, own_windows
from algo_scalper.adapters.dhan.orders import DhanBroker
from algo_scalper.adapters.dhan.rest import MOST_THROTTLED, DhanRest
from algo_scalper.adapters.dhan.wire import Family
from algo_scalper.domain.commands import CancelOrder, ModifyOrder, PlaceOrder
from algo_scalper.domain.instruments import Segment, instrument_key
from algo_scalper.domain.orders import OrderKind, Product, Purpose, Side
from algo_scalper.domain.ports import Accepted, Outcome, Rejected, Unknown
from algo_scalper.domain.units import NS_PER_SECOND
from tests.unit.dhan.doubles import Half, HandClock, HttpServer, http_server, settings_for

BOTH_LOOPS = True
OPTION = instrument_key(Segment.NSE_FNO, 42500)
ID = "752502167405"
PLACE = PlaceOrder("as1-12-000001", OPTION, Side.BUY, OrderKind.LIMIT, 130, 11_235, 0, Purpose.ENTRY, Product.INTRADAY)
MODIFY = ModifyOrder("as1-12-000001", ID, OPTION, OrderKind.LIMIT, 130, 9_000, 0, Purpose.EXIT)
CANCEL = CancelOrder("as1-12-000001", ID, OPTION, Purpose.EXIT)
EACH = pytest.mark.parametrize("which", ["place", "modify", "cancel"])
METHOD = {"place": "POST", "modify": "PUT", "cancel": "DELETE"}

BODY = b'{"orderId": "752502167405", "orderStatus": "PENDING"}'
STATUS_LINE = b"HTTP/1.1 200 OK\r\n"
HEAD = STATUS_LINE + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
ANSWER = HEAD + BODY
WITHOUT_LENGTH = STATUS_LINE + b"Connection: close\r\n\r\n"
CHUNKED = STATUS_LINE + b"Transfer-Encoding: chunked\r\n\r\n"
IN_CHUNKS = CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


def answer(status: str, body: bytes, header: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{header}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Line:
    """One connection, as the server has it."""

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self.read = b""

    async def take(self, enough: Callable[[bytes], bool]) -> None:
        """Read byte by byte until what was read since the last answer is ``enough``, and not one byte more."""
        self.read = b""
        while not enough(self.read):
            byte = await asyncio.get_running_loop().sock_recv(self.raw, 1)
            assert byte, "the client closed first"
            self.read += byte

    async def write(self, content: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.raw, content)

    def end(self, how: str) -> None:
        if how == "reset":
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.raw.close()

    def closed_by_the_client(self) -> bool:
        """Asked of the kernel, without a turn of the loop: whatever closes later is not closed."""
        readable, _, _ = select.select([self.raw], [], [], 0.2)
        if not readable:
            return False
        try:
            return self.raw.recv(1) == b""
        except ConnectionResetError:
            return True


def something(read: bytes) -> bool:
    return len(read) >= 3


def part_of_the_headers(read: bytes) -> bool:
    return b"\r\nHost: " in read


def all_of_the_headers(read: bytes) -> bool:
    return read.endswith(b"\r\n\r\n")


def part_of_the_body(read: bytes) -> bool:
    return len(read.partition(b"\r\n\r\n")[2]) >= 20


def everything(read: bytes) -> bool:
    head, blank, body = read.partition(b"\r\n\r\n")
    length = next((row[15:] for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")), b"0")
    return bool(blank) and len(body) == int(length)


Play = Callable[[Line], Coroutine[Any, Any, None]]


class Wire:
    """A listening socket and what came in on it; ``play`` is what the server does with each connection."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.lines: list[Line] = []
        self.played: list[asyncio.Task[None]] = []
        self.first = asyncio.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.setblocking(False)
        self.port: int = self.listening.getsockname()[1]
        self._accepting = asyncio.ensure_future(self._accept())
        self.clock = HandClock()
        self.rest = DhanRest(settings_for(self.port), self.clock)
        self.broker = DhanBroker(self.rest, self.clock)

    async def _accept(self) -> None:
        while True:
            raw, _ = await asyncio.get_running_loop().sock_accept(self.listening)
            self.lines.append(Line(raw))
            self.played.append(asyncio.ensure_future(self.play(self.lines[-1])))
            self.first.set()

    async def played_first(self) -> None:
        """Wait until the server has done with its first connection what it does."""
        await self.first.wait()
        await self.played[0]

    async def ask(self, which: str) -> Outcome:
        if which == "place":
            return await self.broker.place(PLACE)
        return await (self.broker.modify(MODIFY) if which == "modify" else self.broker.cancel(CANCEL))

    def connected(self) -> int:
        """Sockets of the client that are connected to this server now, asked of the kernel."""
        sockets = psutil.Process().net_connections(kind="tcp4")
        ours = [one for one in sockets if one.status == psutil.CONN_ESTABLISHED and one.raddr]
        return len([one for one in ours if one.raddr[1] == self.port])

    def came(self) -> int:
        """Connections that came in, those not accepted yet included."""
        with contextlib.suppress(BlockingIOError):
            self.lines.append(Line(self.listening.accept()[0]))
        return len(self.lines)

    async def close(self) -> None:
        self._accepting.cancel()
        for task in self.played:
            task.cancel()
        done = await asyncio.gather(self._accepting, *self.played, return_exceptions=True)
        self.listening.close()
        for line in self.lines:
            line.raw.close()
        await self.rest.close()
        faults = [one for one in done if isinstance(one, Exception)]
        assert faults == []


@contextlib.asynccontextmanager
async def wire(play: Play) -> AsyncIterator[Wire]:
    one = Wire(play)
    try:
        async with asyncio.timeout(60):
            yield one
    finally:
        await one.close()


def cutting(enough: Callable[[bytes], bool], written: bytes, how: str) -> Play:
    """Read until it is enough, write, end; ``how`` "hold" leaves the connection open."""

    async def play(line: Line) -> None:
        await line.take(enough)
        if written:
            await line.write(written)
        if how != "hold":
            line.end(how)

    return play


ENDS = pytest.mark.parametrize("how", ["fin", "reset"])


@EACH
async def test_a_refused_connection_is_not_sent(which: str) -> None:
    async with wire(cutting(everything, ANSWER, "hold")) as one:
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        nowhere = DhanRest(settings_for(taken.getsockname()[1]), one.clock)
        one.broker = DhanBroker(nowhere, one.clock)
        outcome = await one.ask(which)
        assert isinstance(outcome, Rejected)
        assert outcome.reason.startswith("not sent: ")
        taken.close()
        await nowhere.close()


@EACH
@ENDS
async def test_a_fresh_connection_closed_before_a_byte_was_read(which: str, how: str) -> None:
    async def play(line: Line) -> None:
        line.end(how)

    async with wire(play) as one:
        outcome = await one.ask(which)
        assert isinstance(outcome, Unknown), "bytes may have left"
        assert (one.came(), one.connected()) == (1, 0)


@EACH
@ENDS
async def test_a_kept_connection_that_died_unnoticed_is_not_tried_again(which: str, how: str) -> None:
    async with wire(cutting(everything, answer("200 OK", b"[]"), "hold")) as one:
        assert await one.broker.order_by_id("7") is None
        one.lines[0].end(how)  # the client's loop has no turn between this and its being asked
        outcome = await one.ask(which)
        assert isinstance(outcome, Unknown)
        assert one.connected() == 0
        if isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop):
            assert one.came() == 1, "it was written to the dead connection: no other is tried"
        else:
            assert one.came() <= 2, "uvloop looks at its sockets first: the order went to a new connection, or to none"


@EACH
@ENDS
async def test_a_kept_connection_known_to_be_dead_is_replaced(which: str, how: str) -> None:
    async def play(line: Line) -> None:
        await line.take(everything)
        first = len(one.lines) == 1
        await line.write(answer("200 OK", b"[]") if first else ANSWER)
        if not first:
            return
        line.end(how)

    async with wire(play) as one:
        assert await one.broker.order_by_id("7") is None
        await one.played_first()
        for _ in range(10):
            await asyncio.sleep(0)  # each a look at the sockets: the client's loop sees the end
        assert await one.ask(which) == Accepted(ID)
        assert one.came() == 2


PARTS_READ = [
    (which, enough)
    for which in METHOD
    for enough in (something, part_of_the_headers, all_of_the_headers, part_of_the_body, everything)
    if (which, enough) != ("cancel", part_of_the_body)  # a cancel has no body
]


@ENDS
@pytest.mark.parametrize(("which", "enough"), PARTS_READ)
async def test_cut_while_the_request_arrives(which: str, how: str, enough: Callable[[bytes], bool]) -> None:
    async with wire(cutting(enough, b"", how)) as one:
        outcome = await one.ask(which)
        assert one.connected() == 0
        assert isinstance(outcome, Unknown)
        assert one.came() == 1
        assert one.lines[0].read.startswith(METHOD[which].encode()[:3])


class Cut(NamedTuple):
    name: str
    written: bytes


PARTS_WRITTEN = [
    Cut("part of the status line", STATUS_LINE[:7]),
    Cut("status line", STATUS_LINE),
    Cut("part of the headers", HEAD[:30]),
    Cut("headers", HEAD),
    Cut("part of the body", HEAD + BODY[:20]),
    Cut("all but the last byte", ANSWER[:-1]),
    Cut("part of a chunk", IN_CHUNKS[: len(CHUNKED) + 20]),
    Cut("all chunks but the last", IN_CHUNKS[:-5]),
    Cut("a body without length, cut", WITHOUT_LENGTH + BODY[:-1]),
]


@EACH
@ENDS
@pytest.mark.parametrize("cut", PARTS_WRITTEN, ids=lambda cut: cut.name)
async def test_cut_while_the_answer_comes(which: str, how: str, cut: Cut) -> None:
    async with wire(cutting(everything, cut.written, how)) as one:
        outcome = await one.ask(which)
        assert one.connected() == 0
        assert isinstance(outcome, Unknown)
        assert one.came() == 1


@EACH
@ENDS
@pytest.mark.parametrize("whole", [ANSWER, IN_CHUNKS], ids=["length", "chunks"])
async def test_an_answer_that_was_whole_counts_whatever_follows(which: str, how: str, whole: bytes) -> None:
    async with wire(cutting(everything, whole, how)) as one:
        assert await one.ask(which) == Accepted(ID)
        assert one.came() == 1


@EACH
async def test_an_answer_that_the_end_of_its_connection_ends_is_whole(which: str) -> None:
    async with wire(cutting(everything, WITHOUT_LENGTH + BODY, "fin")) as one:
        assert await one.ask(which) == Accepted(ID)
        assert one.came() == 1


@EACH
async def test_an_answer_byte_by_byte_is_an_answer(which: str) -> None:
    async def play(line: Line) -> None:
        await line.take(everything)
        line.raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(ANSWER)):
            await line.write(ANSWER[at : at + 1])
            await asyncio.sleep(0)

    async with wire(play) as one:
        assert await one.ask(which) == Accepted(ID)
        assert one.came() == 1


SETTLES_NOTHING = [
    Cut("500", answer("500 Internal Server Error", b'{"errorCode": "DH-908", "errorMessage": "Internal"}')),
    Cut("502", answer("502 Bad Gateway", b"<html>")),
    Cut("503", answer("503 Service Unavailable", b"")),
    Cut("504", answer("504 Gateway Timeout", b"")),
    Cut("408", answer("408 Request Timeout", b"")),
    Cut("301 to itself", answer("301 Moved", b"", "Location: /v2/orders\r\n")),
    Cut("307 to itself", answer("307 Again", b"", "Location: /v2/orders\r\n")),
    Cut("200 of something else", answer("200 OK", b"hello")),
    Cut("200 of nothing", answer("200 OK", b"")),
    Cut("garbage", b"\x00\x01\x02\x03 no HTTP at all\r\n\r\n"),
    Cut("garbage as length", STATUS_LINE + b"Content-Length: many\r\n\r\n"),
    Cut("garbage as chunk", CHUNKED + b"zz\r\n"),
    Cut("garbage as encoding", answer("200 OK", b"\x1f\x8bno", "Content-Encoding: gzip\r\n")),
]


@EACH
@pytest.mark.parametrize("cut", SETTLES_NOTHING, ids=lambda cut: cut.name)
async def test_an_answer_that_settles_nothing_and_a_server_that_holds_on(which: str, cut: Cut) -> None:
    async with wire(cutting(everything, cut.written, "hold")) as one:
        outcome = await one.ask(which)
        assert one.lines[0].closed_by_the_client(), "before the outcome is known to anybody"
        assert isinstance(outcome, Unknown)
        assert one.came() == 1


@EACH
@pytest.mark.parametrize("cut", [Cut("nothing", b""), *PARTS_WRITTEN], ids=lambda cut: cut.name)
async def test_an_answer_that_does_not_come_in_time(which: str, cut: Cut) -> None:
    async with wire(cutting(everything, cut.written, "hold")) as one:
        asking = asyncio.ensure_future(one.ask(which))
        await one.clock.slept(lambda wake: wake == 5 * NS_PER_SECOND)
        await one.played_first()
        one.clock.advance(5 * NS_PER_SECOND - 1)
        await asyncio.sleep(0)
        assert not asking.done()
        one.clock.advance(1)
        outcome = await asking
        assert one.lines[0].closed_by_the_client()
        assert isinstance(outcome, Unknown)
        assert "no answer within 5 s" in outcome.detail
        assert one.came() == 1


@EACH
async def test_an_answer_after_the_time_is_nobodys(which: str) -> None:
    async def play(line: Line) -> None:
        await line.take(everything)
        if len(one.lines) > 1:
            await line.write(ANSWER)

    async with wire(play) as one:
        asking = asyncio.ensure_future(one.ask(which))
        await one.clock.slept(lambda wake: wake == 5 * NS_PER_SECOND)
        await one.played_first()
        one.clock.advance(5 * NS_PER_SECOND)
        assert isinstance(await asking, Unknown)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 - the first write may still be taken
            for _ in range(2):
                one.lines[0].raw.send(answer("200 OK", b'{"orderId": "1", "orderStatus": "PENDING"}'))
        assert await one.ask(which) == Accepted(ID), "the next order has a connection and an answer of its own"
        assert one.came() == 2


@EACH
async def test_a_second_order_never_shares_the_connection_of_one_without_answer(which: str) -> None:
    async def play(line: Line) -> None:
        await line.take(everything)
        if len(one.lines) == 2:
            await line.write(ANSWER)

    async with wire(play) as one:
        first = asyncio.ensure_future(one.ask(which))
        await one.played_first()
        assert await one.ask(which) == Accepted(ID)
        assert not first.done()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert one.lines[0].closed_by_the_client()
        assert one.came() == 2


# --- the budget, over the same wire -------------------------------------------------------------------------------------

TOO_OFTEN = (429, {"errorType": "Rate_Limit", "errorCode": "DH-904", "errorMessage": "Too many requests on server"})
TAKEN = (200, {"orderId": ID, "orderStatus": "TRANSIT"})


class Desk:
    def __init__(self, server: HttpServer, windows: tuple[Window, ...]) -> None:
        self.clock = HandClock()
        self.limiter = Limiter(self.clock, Half(), windows)
        self.rest = DhanRest(settings_for(server.port), self.clock, limiter=self.limiter)
        self.broker = DhanBroker(self.rest, self.clock)


@contextlib.asynccontextmanager
async def desk(server: HttpServer, windows: tuple[Window, ...] = WINDOWS) -> AsyncIterator[Desk]:
    one = Desk(server, windows)
    try:
        yield one
    finally:
        await one.rest.close()


async def test_too_often_is_a_no_for_an_order_and_a_pause_for_the_next() -> None:
    async with http_server() as server, desk(server) as one:
        server.answers["/v2/orders"] = [TOO_OFTEN, TAKEN]
        outcome = await one.broker.place(PLACE)
        assert isinstance(outcome, Rejected)
        assert "DH-904" in outcome.reason
        assert len(server.asked) == 1, "an order is not repeated"
        pause_ns = 375_000_000
        following = asyncio.ensure_future(one.broker.place(PLACE))
        await one.clock.slept(lambda wake: wake == pause_ns)
        assert next(row.paused_until_ns for row in one.limiter.usage() if row.family is Family.ORDER) == (
            one.clock.now_ns() + pause_ns
        )
        one.clock.advance(pause_ns - 1)
        await asyncio.sleep(0)
        assert len(server.asked) == 1
        one.clock.advance(1)
        assert await following == Accepted(ID)


async def test_too_often_lets_a_read_wait_and_ask_again_a_few_times() -> None:
    async with http_server() as server, desk(server) as one:
        server.answers["/v2/orders/7"] = [TOO_OFTEN, TOO_OFTEN, (200, [])]
        reading = asyncio.ensure_future(one.rest.raw(ORDER_BY_ID, arguments={"order_id": "7"}))
        for pause_ns in (750_000_000, 1_500_000_000):
            await one.clock.slept(lambda wake, wanted=pause_ns: wake == wanted)  # type: ignore[misc]
            one.clock.advance(pause_ns)
        assert await reading == []
        assert len(server.asked) == 3


async def test_a_read_that_is_always_too_often_ends_in_an_error() -> None:
    async with http_server() as server, desk(server) as one:
        server.answers["/v2/orders/7"] = [TOO_OFTEN]
        reading = asyncio.ensure_future(one.broker.order_by_id("7"))
        for tried in range(1, MOST_THROTTLED + 1):
            await one.clock.slept(lambda wake: wake != 10 * NS_PER_SECOND)
            assert len(server.asked) == tried
            one.clock.advance(one.clock.wakes_ns[0])
        with pytest.raises(AskedTooOften, match=r"order_by_id .* Too many requests"):
            await reading
        assert len(server.asked) == MOST_THROTTLED + 1


async def test_an_order_over_our_cap_is_not_sent_and_an_exit_is() -> None:
    async with http_server() as server, desk(server, own_windows(per_day=1)) as one:
        server.answers["/v2/orders"] = [TAKEN]
        server.answers[f"/v2/orders/{ID}"] = [TAKEN]
        assert await one.broker.place(PLACE) == Accepted(ID)
        held = await one.broker.place(PLACE)
        assert isinstance(held, Rejected)
        assert held.reason.startswith(
            "not sent: order requests: 1 in 24 h, our own cap, are used; the next place comes"
        )
        assert await one.broker.modify(MODIFY) == Accepted(ID)
        assert [asked.method for asked in server.asked] == ["POST", "PUT"]


async def test_an_order_waits_for_its_place_no_longer_than_for_its_answer() -> None:
    six = (Window((Family.ORDER,), "6 s", 6 * NS_PER_SECOND, 1),)
    async with http_server() as server, desk(server, six) as one:
        server.answers["/v2/orders"] = [TAKEN]
        assert await one.broker.place(PLACE) == Accepted(ID)
        one.clock.advance(NS_PER_SECOND)
        late = await one.broker.place(PLACE)
        assert isinstance(late, Rejected)
        one.clock.advance(NS_PER_SECOND)
        waits = asyncio.ensure_future(one.broker.place(PLACE))
        await one.clock.slept(lambda wake: wake == 4_050_000_000)
        one.clock.advance(4_050_000_000)
        assert await waits == Accepted(ID)


async def test_a_change_too_many_is_not_sent_and_one_that_did_not_leave_is_not_counted() -> None:
    async with http_server() as server, desk(server, NO_WINDOWS) as one:
        server.answers[f"/v2/orders/{ID}"] = [TAKEN]
        entry = ModifyOrder("as1-12-000001", ID, OPTION, OrderKind.LIMIT, 130, 9_000, 0, Purpose.ENTRY)
        for _ in range(20):
            assert await one.broker.modify(entry) == Accepted(ID)
        assert await one.broker.modify(entry) == Rejected(
            f"not sent: order {ID} was changed 20 times and the broker allows 25, the last 5 of them kept for exits"
        )
        one.limiter.throttled(Family.ORDER)
        blocked = asyncio.ensure_future(
            one.rest.ask(
                MODIFY_ORDER, {}, priority=Priority.EXIT, deadline_ns=one.clock.now_ns(), arguments={"order_id": ID}
            )
        )
        assert isinstance(await blocked, Rejected)
        assert one.limiter.modifications(ID) == 20, "held back, so it never left"
        one.clock.advance(NS_PER_SECOND)
        for _ in range(5):
            assert await one.broker.modify(MODIFY) == Accepted(ID)
        assert await one.broker.modify(MODIFY) == Rejected(
            f"not sent: order {ID} was changed 25 times and the broker allows 25"
        )
        assert await one.broker.cancel(CANCEL) == Accepted(ID), "a cancel is no change"
        assert len(server.asked) == 26
