"""The order of release: one request a contract, and what protects before what risks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from algo_scalper.domain.commands import OrderCommand
from algo_scalper.domain.events import OrderAccepted, OrderRejected, OrderUnknown
from algo_scalper.domain.orders import Purpose, Request
from algo_scalper.domain.ports import Accepted, Rejected, Unknown
from algo_scalper.runtime.order_lane import LaneQueue, outcome_event
from tests.unit.runtime.doubles import ONE, TWO, cancel, modify, place

EXIT = Purpose.EXIT


def names(commands: list[OrderCommand]) -> list[str]:
    return [command.order_id for command in commands]


def test_first_in_first_out_over_contracts() -> None:
    queue = LaneQueue()
    queue.offer(place("a", ONE))
    queue.offer(place("b", TWO))
    assert names(queue.ready()) == ["a", "b"]
    assert queue.in_flight == 2
    assert queue.ready() == []


def test_a_contracts_next_request_waits_for_the_answer() -> None:
    queue = LaneQueue()
    queue.offer(place("a"))
    assert names(queue.ready()) == ["a"]
    queue.offer(modify("b"))
    assert names(queue.ready()) == []
    queue.answered(ONE)
    assert names(queue.ready()) == ["b"]


def test_exits_overtake_entries_and_keep_their_own_order() -> None:
    queue = LaneQueue()
    for command in (
        place("entry", 1),
        modify("reprice", 2, Purpose.ENTRY),
        place("floor", 3, EXIT),
        modify("exit", 4, EXIT),
        cancel("withdraw", 5),
    ):
        queue.offer(command)
    assert names(queue.ready()) == ["floor", "exit", "withdraw", "entry", "reprice"]


def test_an_exit_overtakes_within_its_contract_too() -> None:
    queue = LaneQueue()
    queue.offer(place("entry", ONE))
    queue.offer(place("exit", ONE, EXIT))
    assert names(queue.ready()) == ["exit"]
    queue.answered(ONE)
    assert names(queue.ready()) == ["entry"]


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from([place, modify, cancel]), st.sampled_from(Purpose))))
def test_everything_leaves_once_and_never_two_of_one_contract(plan: list[tuple[int, object, Purpose]]) -> None:
    queue = LaneQueue()
    for number, (key, make, purpose) in enumerate(plan):
        queue.offer(make(str(number), key, purpose))  # type: ignore[operator]
    left: list[str] = []
    for _ in range(len(plan) + 1):
        ready = queue.ready()
        assert len({command.key for command in ready}) == len(ready) == queue.in_flight
        left += names(ready)
        for command in ready:
            queue.answered(command.key)
    assert sorted(left, key=int) == [str(n) for n in range(len(plan))]


def test_an_outcome_becomes_its_event() -> None:
    assert outcome_event(place("a"), Accepted("B"), 7) == OrderAccepted(7, "a", Request.PLACE, "B")
    assert outcome_event(modify("a"), Rejected("no"), 7) == OrderRejected(7, "a", Request.MODIFY, "no")
    assert outcome_event(cancel("a"), Unknown("lost"), 7) == OrderUnknown(7, "a", Request.CANCEL, "lost")
