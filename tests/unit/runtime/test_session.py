"""One loop: journaled, decided, performed; and after a fault nothing at all."""

from __future__ import annotations

from algo_scalper.domain.commands import (
    CancelOrder,
    Command,
    ModifyOrder,
    Notify,
    PlaceOrder,
    PollChain,
    ReadBook,
    ReadCandles,
    Subscribe,
    Unsubscribe,
)
from algo_scalper.domain.decisions import Decision
from algo_scalper.domain.events import Event, OrderAccepted, SecondPassed
from algo_scalper.domain.orders import Request
from algo_scalper.runtime.session import Session
from tests.unit.engine.story import Day


class Everything:
    """Journal and effects in one list."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, object]] = []
        self.faults: list[tuple[Exception, Event]] = []
        self.session = Session(self, self, lambda fault, event: self.faults.append((fault, event)))

    def append(self, record: Event | Command) -> None:
        self.lines.append(("journal", record))

    def order(self, command: PlaceOrder | ModifyOrder | CancelOrder) -> None:
        self.lines.append(("order", command))

    def read_book(self, command: ReadBook) -> None:
        self.lines.append(("read_book", command))

    def subscribe(self, command: Subscribe) -> None:
        self.lines.append(("subscribe", command))

    def unsubscribe(self, command: Unsubscribe) -> None:
        self.lines.append(("unsubscribe", command))

    def poll_chain(self, command: PollChain) -> None:
        self.lines.append(("poll_chain", command))

    def read_candles(self, command: ReadCandles) -> None:
        self.lines.append(("read_candles", command))

    def notify(self, command: Notify) -> None:
        self.lines.append(("notify", command))

    def decided(self, command: Decision) -> None:
        self.lines.append(("decided", command))

    def done(self) -> None:
        self.lines.append(("done", None))


def test_journaled_before_performed_and_done_at_the_end() -> None:
    seen = Everything()
    start = Day().started
    seen.session.take(start)
    assert seen.lines[0] == ("journal", start)
    performed = seen.lines[1:-1]
    assert [word for word, _ in performed[::2]] == ["journal"] * (len(performed) // 2)
    assert [word for word, _ in performed[1::2]] == ["subscribe", "poll_chain", "read_book"]
    assert all(noted[1] is done[1] for noted, done in zip(performed[::2], performed[1::2], strict=True))
    assert seen.lines[-1] == ("done", None)


def test_a_fault_poisons_the_session() -> None:
    seen = Everything()
    seen.session.take(Day().started)
    before = len(seen.lines)
    wrong = OrderAccepted(1, "nobody", Request.PLACE, "B1")
    seen.session.take(wrong)
    assert seen.session.poisoned
    (fault, event) = seen.faults[0]
    assert isinstance(fault, KeyError)
    assert event is wrong
    assert seen.lines[before:] == [("journal", wrong)], "the journal ends with the event that broke it"
    seen.session.take(SecondPassed(10**18))
    assert len(seen.lines) == before + 1, "nothing is handled, nothing is journaled"
    assert len(seen.faults) == 1


def test_an_event_before_the_start_is_a_fault() -> None:
    seen = Everything()
    seen.session.take(SecondPassed(1))
    assert seen.session.poisoned
