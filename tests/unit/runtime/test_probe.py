"""The probe, whole, at the simulator over sockets; and what it may do, says and keeps."""

from __future__ import annotations

import asyncio
import random
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import pytest

from algo_scalper.adapters.dhan.chain import DhanChains
from algo_scalper.adapters.dhan.client import DhanClient
from algo_scalper.adapters.dhan.settings import DhanSettings
from algo_scalper.domain.account import Funds
from algo_scalper.domain.calendar import expiries
from algo_scalper.domain.commands import CancelOrder, PlaceOrder
from algo_scalper.domain.errors import ConfigError
from algo_scalper.domain.events import BookRead
from algo_scalper.domain.instruments import NIFTY, Contract, OptionType, Segment, instrument_key
from algo_scalper.domain.market import ChainRow, OptionChain
from algo_scalper.domain.orders import BrokerOrder, BrokerPosition, BrokerStatus, OrderKind, Side
from algo_scalper.domain.ports import Accepted, Outcome, Unknown
from algo_scalper.domain.units import NS_PER_SECOND
from algo_scalper.runtime.broker_account import simulated_account
from algo_scalper.runtime.clock import PacedClock, SystemClock
from algo_scalper.runtime.probe.plan import ProbePlan, agreed, choose_quote, far_below, may_probe, must_be_open
from algo_scalper.runtime.probe.record import (
    FOLDER,
    Fact,
    ProbeResult,
    Verdict,
    account_mark,
    probe_passed,
    redacted,
    result_of,
    save_result,
)
from algo_scalper.runtime.probe.run import Probe
from algo_scalper.runtime.settings import load_settings
from tests.unit.dhan.doubles import HandClock
from tests.unit.dhan.scripted import ist
from tests.unit.simulator.stage import DAY, Visitor, serving, world_of

EXPIRY = date(2026, 12, 1)
RATE = 4.0
DHAN = "https://api.dhan.co/v2"


def contract_of(number: int, expiry: date = EXPIRY) -> Contract:
    key = instrument_key(Segment.NSE_FNO, number)
    return Contract(key, "NIFTY", expiry, 2_450_000, OptionType.CE, 65, 5, 1755)


def row_of(number: int, ltp: int, bid: int, ask: int, volume: int = 1) -> ChainRow:
    return ChainRow(instrument_key(Segment.NSE_FNO, number), ltp, bid, ask, 1, volume)


def plan_at(base_url: str, *, round_trip: bool = False) -> ProbePlan:
    return ProbePlan(base_url, contract_of(1), row_of(1, 300, 295, 305), 120, round_trip)


# --- what it may do ------------------------------------------------------------------------------------------------


def test_a_real_host_needs_its_name_and_a_person() -> None:
    may_probe("http://127.0.0.1:9200/v2", "simulator", at_terminal=False)
    may_probe(DHAN, "dhan", at_terminal=True)
    with pytest.raises(ConfigError, match="--market dhan"):
        may_probe(DHAN, "simulator", at_terminal=True)
    with pytest.raises(ConfigError, match="a person at a terminal"):
        may_probe(DHAN, "dhan", at_terminal=False)
    with pytest.raises(ConfigError, match="real order"):
        may_probe("http://127.0.0.1.example.com/v2", "simulator", at_terminal=True)


def test_only_the_words_are_consent() -> None:
    plan = plan_at(DHAN)
    assert plan.words == "send one far order NIFTY 01 DEC 24500 CE to api.dhan.co"
    agreed(plan, f"  {plan.words}\n")
    for other in ("", "y", "yes", plan.words.lower(), plan.words[:-1], plan_at(DHAN, round_trip=True).words):
        with pytest.raises(ConfigError, match="nothing was sent"):
            agreed(plan, other)


def test_the_plan_says_what_it_can_cost() -> None:
    text = "\n".join(plan_at(DHAN, round_trip=True).lines())
    assert "at Rs 1.20" in text
    assert "for Rs 78.00 and sold again" in text
    assert "Rs 198.25" in text, "one lot at the ask"
    assert "Ctrl-C" in text
    assert "P&L exit" not in "\n".join(plan_at(DHAN).lines())


def test_nothing_is_probed_out_of_hours() -> None:
    must_be_open(ist(date(2026, 11, 23), "15:39"))
    for day, clock in ((date(2026, 11, 23), "09:14"), (date(2026, 11, 23), "15:40"), (date(2026, 11, 22), "11:00")):
        with pytest.raises(ConfigError, match="closed"):
            must_be_open(ist(day, clock))


def test_the_narrowest_cheap_option_that_does_not_expire_today_is_chosen() -> None:
    contracts = {contract_of(n).key: contract_of(n) for n in range(1, 8)}
    today = contract_of(9, date(2026, 11, 23))
    contracts[today.key] = today
    rows = (
        row_of(1, 12_000, 11_995, 12_005),
        row_of(2, 400, 380, 420),
        row_of(3, 300, 295, 300, volume=5),
        row_of(4, 350, 345, 350, volume=9),
        row_of(5, 250, 0, 250),  # nobody bids
        row_of(6, 150, 145, 150),  # too cheap
        row_of(9, 300, 299, 300),  # expires today
    )
    chain = OptionChain(0, "NIFTY", EXPIRY, 2_450_000, rows)
    chosen = choose_quote(chain, contracts, date(2026, 11, 23), round_trip=True)
    assert chosen == rows[3]
    dear = OptionChain(0, "NIFTY", EXPIRY, 2_450_000, rows[:1])
    assert choose_quote(dear, contracts, date(2026, 11, 23), round_trip=False) == rows[0]
    with pytest.raises(ConfigError, match="no option of Rs 2 to 5"):
        choose_quote(dear, contracts, date(2026, 11, 23), round_trip=True)
    with pytest.raises(ConfigError, match="both sides"):
        choose_quote(OptionChain(0, "NIFTY", EXPIRY, 1, rows[4:5]), contracts, date(2026, 11, 23), round_trip=False)


@pytest.mark.parametrize(("ltp", "far"), [(300, 120), (5_000, 3_200), (5_005, 3_255), (12_000, 7_800), (10, 5), (5, 5)])
def test_far_below_is_inside_the_band(ltp: int, far: int) -> None:
    assert far_below(ltp, 5) == far
    least = ltp - 2_000 if ltp <= 5_000 else ltp * 60 // 100
    assert far >= least


# --- at the simulator ----------------------------------------------------------------------------------------------


class Stage(NamedTuple):
    probe: Probe
    dhan: DhanSettings
    said: list[str]
    visitor: Visitor
    plan: ProbePlan


@asynccontextmanager
async def stage(
    tmp_path: Path, *, round_trip: bool = False, say: Callable[[str], None] | None = None
) -> AsyncIterator[Stage]:
    system = SystemClock()
    # Market and probe run at the same pace; only the machine's own time-outs are real.
    clock = PacedClock(system.now_ns(), RATE, system)
    async with serving(world_of(after_open_s=3600), system, rate=RATE, limited=False) as (server, visitor):
        dhan = simulated_account(visitor.root, tmp_path, load_settings({}, tmp_path / ".env")).dhan
        contracts = {contract.key: contract for contract in server.venue.world.contracts}
        async with DhanClient(dhan, system, contracts=contracts) as client:
            plan = await planned(client, contracts, system, dhan, round_trip=round_trip)
            said: list[str] = []

            def heard(line: str) -> None:
                said.append(line)
                if say is not None:
                    say(line)

            yield Stage(Probe(client, dhan, clock, plan, random.Random(1), heard), dhan, said, visitor, plan)


async def planned(
    client: DhanClient, contracts: dict[int, Contract], clock: SystemClock, dhan: DhanSettings, *, round_trip: bool
) -> ProbePlan:
    for expiry in expiries("NIFTY", DAY + timedelta(days=1), 3):
        chain = await DhanChains(client.rest, clock, contracts).option_chain(NIFTY, expiry)
        try:
            quote = choose_quote(chain, contracts, DAY, round_trip=True)
        except ConfigError:
            continue
        return ProbePlan(dhan.base_url, contracts[quote.key], quote, far_below(quote.ltp_paise, 5), round_trip)
    raise AssertionError("the simulated day has no option of Rs 2 to 5: choose another seed")


async def left_behind(visitor: Visitor) -> tuple[list[str], list[int]]:
    """States of orders that still work, and quantities still held."""
    orders = await visitor.json("GET", "/v2/orders")
    positions = await visitor.json("GET", "/v2/positions")
    working = [row["orderStatus"] for row in orders if row["orderStatus"] in ("TRANSIT", "PENDING", "PART_TRADED")]
    return working, [row["netQty"] for row in positions if row["netQty"]]


def verdicts(result: ProbeResult) -> dict[str, Verdict]:
    return {fact.name: fact.verdict for fact in result.facts}


async def test_the_far_order_costs_nothing_and_shows_every_fact(tmp_path: Path) -> None:
    async with stage(tmp_path) as at:
        result = await at.probe.run()
        assert await left_behind(at.visitor) == ([], [])
        assert [row["orderStatus"] for row in await at.visitor.json("GET", "/v2/orders")] == ["CANCELLED"]
    assert set(verdicts(result).values()) == {Verdict.AS_EXPECTED}, [
        f for f in result.facts if f.verdict != "as expected"
    ]
    assert set(verdicts(result)) >= {
        "order socket login",
        "placing a limit",
        "found by correlation id",
        "the order is pushed on the order socket",
        "changing its price",
        "cancelling it",
        "cancelling it again",
        "an id nobody used",
    }
    assert result.passed
    assert result.clean
    assert "order push" in result.samples
    assert "SIMULATED" not in str(result.samples), "the client id is masked"


async def test_a_round_trip_ends_flat(tmp_path: Path) -> None:
    async with stage(tmp_path, round_trip=True) as at:
        result = await at.probe.run()
        assert await left_behind(at.visitor) == ([], [])
    found = verdicts(result)
    for name in (
        "the buy trades",
        "the stop rests",
        "a second sell beside the stop",
        "the stop becomes a limit and sells",
        "the position is gone",
    ):
        assert found[name] is Verdict.AS_EXPECTED, (name, at.said)
    assert result.clean
    assert result.passed, at.said


@pytest.mark.parametrize(
    "after",
    [
        "order socket login",
        "placing a limit",
        "found by correlation id",
        "changing its price",
        "buying one lot",
        "the buy trades",
        "placing a stop under it",
        "the stop rests",
        "a second sell beside the stop",
    ],
)
async def test_interrupted_after_any_step_nothing_is_left(tmp_path: Path, after: str) -> None:
    running: list[asyncio.Task[ProbeResult]] = []

    def interrupt(line: str) -> None:
        if f" {after}:" in line:
            running[0].cancel()

    async with stage(tmp_path, round_trip=True, say=interrupt) as at:
        running.append(asyncio.create_task(at.probe.run()))
        result = await running[0]
        assert await left_behind(at.visitor) == ([], [])
    assert any("interrupted" in line for line in at.said)
    assert result.clean
    assert not result.passed, "a probe that did not go to its end proves nothing"


async def test_a_second_interruption_does_not_stop_the_taking_back(tmp_path: Path) -> None:
    running: list[asyncio.Task[ProbeResult]] = []

    def interrupt(line: str) -> None:
        if " the stop rests:" in line or "cancelling" in line or "interrupted" in line:
            running[0].cancel()

    async with stage(tmp_path, round_trip=True, say=interrupt) as at:
        running.append(asyncio.create_task(at.probe.run()))
        result = await running[0]
        assert await left_behind(at.visitor) == ([], [])
    assert result.clean


# --- taking back: no order is followed by a second before the first is known to be over ------------------------------


class Desk:
    """A broker that does as it is told and remembers it; ``lost``: the next answers do not come."""

    def __init__(self) -> None:
        self.placed: list[PlaceOrder] = []
        self.cancelled: list[str] = []
        self.lost = False

    async def place(self, command: PlaceOrder) -> Outcome:
        self.placed.append(command)
        return Unknown("no answer") if self.lost else Accepted("b-new")

    async def cancel(self, command: CancelOrder) -> Outcome:
        self.cancelled.append(command.broker_id)
        return Accepted(command.broker_id)

    async def order_by_id(self, broker_id: str) -> BrokerOrder:
        return ours("9", Side.SELL, BrokerStatus.TRADED, 65)


class Line:
    """A client with this broker and a quote."""

    def __init__(self, desk: Desk) -> None:
        self.broker = desk

    async def quote(self, keys: set[int]) -> dict[int, object]:
        return {}


def ours(number: str, side: Side, status: BrokerStatus, filled: int, tag: str = "") -> BrokerOrder:
    key = contract_of(1).key
    return BrokerOrder(f"{tag}-{number}", f"b-{number}", key, side, OrderKind.LIMIT, status, 65, filled, 0, 300)


def taking_back(desk: Desk) -> tuple[Probe, HandClock]:
    clock = HandClock()
    dhan = DhanSettings("1100000001", "t", "http://127.0.0.1:1/v2", order_url="ws://127.0.0.1:1")
    client = cast("DhanClient", Line(desk))
    return Probe(client, dhan, clock, plan_at("http://127.0.0.1:1/v2"), random.Random(1), lambda _: None), clock


def book(orders: list[BrokerOrder], net: int) -> BookRead:
    held = (BrokerPosition(contract_of(1).key, net),) if net else ()
    return BookRead(0, 0, tuple(orders), held, Funds(0, 0))


async def test_what_still_works_is_cancelled_before_anything_is_sold() -> None:
    desk = Desk()
    probe, clock = taking_back(desk)
    bought = ours("1", Side.BUY, BrokerStatus.TRADED, 65, probe._tag)
    stop = ours("2", Side.SELL, BrokerStatus.PENDING, 0, probe._tag)
    assert not await probe._nothing_of_ours(book([bought, stop], 65), clock.now_ns())
    assert (desk.cancelled, desk.placed) == (["b-2"], [])


async def test_nothing_is_sold_while_the_book_lacks_an_accepted_order() -> None:
    desk = Desk()
    probe, clock = taking_back(desk)
    bought = ours("1", Side.BUY, BrokerStatus.TRADED, 65, probe._tag)
    probe._accepted = {"b-1", "b-2"}
    assert not await probe._nothing_of_ours(book([bought], 65), clock.now_ns())
    assert not desk.placed


async def test_after_a_lost_answer_no_second_closing_order_leaves_until_the_book_has_settled_it() -> None:
    desk = Desk()
    desk.lost = True
    probe, clock = taking_back(desk)
    bought = ours("1", Side.BUY, BrokerStatus.TRADED, 65, probe._tag)
    assert not await probe._nothing_of_ours(book([bought], 65), clock.now_ns())
    assert len(desk.placed) == 1
    for seconds in (0, 5, 4):
        clock.advance(seconds * NS_PER_SECOND)
        assert not await probe._nothing_of_ours(book([bought], 65), clock.now_ns())
        assert len(desk.placed) == 1
    clock.advance(NS_PER_SECOND)
    assert not await probe._nothing_of_ours(book([bought], 65), clock.now_ns())
    assert len(desk.placed) == 2, "it never arrived: the book says so late enough"


@pytest.mark.parametrize(
    ("sold", "net", "side", "quantity"),
    [
        (0, 65, Side.SELL, 65),
        (0, 30, Side.SELL, 30),  # a person has sold the rest
        (0, 0, None, 0),  # a person has sold all of it
        (0, -65, None, 0),  # whoever is short there, it is not the probe
        (130, -65, Side.BUY, 65),  # the second sell traded after all
        (65, 0, None, 0),
        (65, 650, None, 0),  # somebody else's
    ],
)
async def test_what_is_left_is_closed_and_never_more_than_the_broker_has(
    sold: int, net: int, side: Side | None, quantity: int
) -> None:
    desk = Desk()
    probe, clock = taking_back(desk)
    rows = [
        ours("1", Side.BUY, BrokerStatus.TRADED, 65, probe._tag),
        ours("2", Side.SELL, BrokerStatus.TRADED, sold, probe._tag),
        ours("1", Side.BUY, BrokerStatus.TRADED, 650, "another"),
    ]
    assert await probe._nothing_of_ours(book(rows, net), clock.now_ns()) is (side is None)
    assert [(order.side, order.quantity) for order in desk.placed] == ([(side, quantity)] if side else [])


# --- what is kept --------------------------------------------------------------------------------------------------

FINE = Fact("placing", "accepted", "accepted", Verdict.AS_EXPECTED)


def kept(
    dhan: DhanSettings,
    at_ns: int = 1_795_000_000_000_000_000,
    fact: Fact = FINE,
    *,
    clean: bool = True,
    finished: bool = True,
) -> ProbeResult:
    return result_of(dhan, at_ns, "NIFTY", [fact], {}, round_trip=False, clean=clean, finished=finished)


def test_secrets_and_ids_are_not_kept(tmp_path: Path) -> None:
    dhan = DhanSettings("1100000001", "a-secret-token", DHAN)
    row = '{"dhanClientId":"1100000001","orderId":"249260930396313","correlationId":"1100000001-1759","createTime":"2026-11-23 11:00:01"}'
    shown = redacted(dhan, row + " a-secret-token")
    assert "1100000001" not in shown
    assert "249260930396313" not in shown
    assert "a-secret-token" not in shown
    assert "2026-11-23 11:00:01" in shown, "times are facts worth keeping"
    sample = result_of(
        dhan,
        1,
        "NIFTY",
        [Fact("placing", "x", "order 249260930396313", Verdict.DIFFERENT)],
        {"row": row},
        round_trip=False,
        clean=True,
        finished=True,
    )
    path = save_result(tmp_path, sample)
    text = path.read_text()
    assert not any(secret in text for secret in ("1100000001", "249260930396313", "a-secret-token"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_gate_reads_the_newest_probe_of_this_account_at_this_host(tmp_path: Path) -> None:
    dhan = DhanSettings("1100000001", "t", DHAN)
    assert not probe_passed(tmp_path, DHAN, "1100000001")
    save_result(tmp_path, kept(dhan))
    assert probe_passed(tmp_path, DHAN, "1100000001")
    assert not probe_passed(tmp_path, DHAN, "1100000002")
    assert not probe_passed(tmp_path, "http://127.0.0.1:9200/v2", "1100000001")
    failed = Fact("placing", "accepted", "rejected", Verdict.DIFFERENT)
    save_result(tmp_path, kept(dhan, 1_795_000_001_000_000_000, failed))
    assert not probe_passed(tmp_path, DHAN, "1100000001")


def test_a_probe_at_a_simulator_says_nothing_about_dhan(tmp_path: Path) -> None:
    save_result(tmp_path, kept(DhanSettings("1100000001", "t", "http://127.0.0.1:9200/v2")))
    assert not probe_passed(tmp_path, DHAN, "1100000001")


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"format":1}'])
def test_a_result_that_cannot_be_read_did_not_pass(tmp_path: Path, broken: bytes) -> None:
    save_result(tmp_path, kept(DhanSettings("1100000001", "t", DHAN)))
    (tmp_path / FOLDER / f"2026-11-24-110000-{account_mark('1100000001')}.json").write_bytes(broken)
    assert not probe_passed(tmp_path, DHAN, "1100000001")


def test_what_passes() -> None:
    dhan = DhanSettings("1100000001", "t", DHAN)
    assert kept(dhan).passed
    assert not kept(dhan, clean=False).passed
    assert not kept(dhan, finished=False).passed
    for verdict in (Verdict.DIFFERENT, Verdict.NOT_SEEN):
        assert not kept(dhan, fact=msgspec.structs.replace(FINE, verdict=verdict)).passed
        assert kept(dhan, fact=msgspec.structs.replace(FINE, verdict=verdict, needed=False)).passed


def test_the_states_the_probe_waits_for_are_the_brokers(tmp_path: Path) -> None:
    assert set(BrokerStatus) == {
        *(BrokerStatus.TRANSIT, BrokerStatus.PENDING, BrokerStatus.PART_TRADED),
        *(BrokerStatus.TRADED, BrokerStatus.CANCELLED, BrokerStatus.REJECTED, BrokerStatus.EXPIRED),
    }
