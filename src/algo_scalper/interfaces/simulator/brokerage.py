"""All accounts at the simulated broker: one market and one time for them, and whose each request is.

Accounts do not meet. Each trades with the market's book as if it were alone there, so that its day is the same in any
company; tokens, funds, orders, rate limits and sockets are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from algo_scalper.domain.errors import ConfigError, DataError
from algo_scalper.interfaces.simulator.account import AccountFacts
from algo_scalper.interfaces.simulator.calls import Call
from algo_scalper.interfaces.simulator.desk import Desk
from algo_scalper.interfaces.simulator.faults import FaultRequest
from algo_scalper.interfaces.simulator.paths.auth import is_partner
from algo_scalper.interfaces.simulator.state import Saved, StateFile
from algo_scalper.interfaces.simulator.venue import Inquiry, Stepped, Venue
from algo_scalper.simulation.exchange import ExchangeState, SimulatedExchange
from algo_scalper.simulation.world import World

CASH_PAISE = 10_000_000
"""What an account begins with when nothing is said of it."""
MOST_ACCOUNTS = 50
_NUMBERS = 100_000
"""Order numbers set aside for each account, so that no two accounts have the same."""


class OrderLogin(msgspec.Struct, frozen=True):
    """Who asks for order updates: an account with its token, or a partner with its secret for all of its accounts."""

    client_id: str
    token: str = ""
    partner_secret: str | None = None


class Brokerage:
    """Venues of one market. The first is the simulator's own account and is always there."""

    def __init__(self, first: Venue, state: StateFile | None = None) -> None:
        """``state``: where the first account's books are kept; the others' lie beside it."""
        self.first = first
        self._state = state
        self.driven = first
        """The account of the stepped engine that drives time."""
        self.venues = [first]
        self._on_schedule: Callable[[], None] = lambda: None
        self._keep(first, state)

    # Accounts

    def open_all(self, listed: Iterable[AccountFacts]) -> None:
        """The accounts that are listed, then those that were opened while an earlier simulator ran."""
        for facts in listed:
            self.open(facts)
        for client_id in self._state.others() if self._state is not None else ():
            if self._of_id(client_id) is None:
                self.open(AccountFacts(client_id=client_id, token=client_id))

    def open(self, facts: AccountFacts) -> Venue:
        """Another account, with its books if they are kept, else from this instant on.

        Raises `DataError` as `check`, and as `StateFile.load`.
        """
        state = self._state.of(facts.client_id) if self._state is not None else None
        kept = state.load(self.first.desk.day) if state is not None else None
        facts = kept.account.facts if kept is not None and kept.account is not None else facts
        self.check(facts)
        if len(self.venues) >= MOST_ACCOUNTS:
            raise DataError(f"{MOST_ACCOUNTS} accounts are open, no more fit into one simulator")
        venue = Venue(self._desk(facts, kept), limited=self.first.limited)
        venue.time_runs = self.first.time_runs
        venue.on_schedule = self._on_schedule
        self.venues.append(venue)
        self._keep(venue, state)
        venue.on_change()
        self._on_schedule()
        return venue

    def _keep(self, venue: Venue, state: StateFile | None) -> None:
        if state is not None:
            venue.on_change = lambda: state.save(venue.desk, venue.desk.real_ns())

    def _desk(self, facts: AccountFacts, kept: Saved | None) -> Desk:
        first = self.first.world
        market, now_ns = first.market, first.now_ns
        numbers_from = len(self.venues) * _NUMBERS
        if kept is not None:
            # Numbers begin anew each day.
            kept.exchange.sequence = max(kept.exchange.sequence, numbers_from)
            exchange = SimulatedExchange(market.contracts, market.day, state=kept.exchange)
            world = World(market, exchange, first.seed, start_ns=min(kept.now_ns or now_ns, now_ns))
            go_on(world, now_ns)
            desk = Desk(world, facts, kept.account, kept.standing)
        else:
            cash_paise = CASH_PAISE if facts.cash_paise is None else facts.cash_paise
            state = ExchangeState(market.day, cash_paise, cash_paise, sequence=numbers_from)
            exchange = SimulatedExchange(market.contracts, market.day, state=state)
            desk = Desk(World(market, exchange, first.seed, start_ns=now_ns), facts)
        desk.real_ns = self.first.desk.real_ns
        return desk

    def check(self, facts: AccountFacts, of: Venue | None = None) -> None:
        """Raises `DataError` when another account than ``of`` has this client id or token: requests could not be told apart."""
        for venue in self.venues:
            if venue is of:
                continue
            if venue.desk.client_id == facts.client_id:
                raise DataError(f"there is an account {facts.client_id} already; give this one another client_id")
            if venue.desk.account.facts.token == facts.token:
                raise DataError(f"{facts.client_id} has the token of {venue.desk.client_id}; give it another token")

    def named(self, client_id: str) -> Venue:
        """The account of that id; the first for an empty one. Raises `ConfigError` naming those there are."""
        found = self._of_id(client_id) if client_id else self.first
        if found is None:
            there = ", ".join(venue.desk.client_id for venue in self.venues)
            raise ConfigError(f"there is no account {client_id[:40]}; there are {there}")
        return found

    # Whose is it?

    def of_call(self, call: Call) -> Venue:
        """Whose request this is, by what it names. Nobody's is the first account's, which then turns it away."""
        query = call.query
        consent = query.get("tokenId") or query.get("consentAppId") or query.get("consentId") or ""
        partner_id = call.headers.get("partner_id", "")
        return (
            self._of_id(query.get("dhanClientId") or query.get("client_id") or "")
            or self._one(lambda desk: desk.account.has_consent(consent))
            or self._of_id(call.client_id)
            or self._of_token(call.token)
            or self._one(lambda desk: bool(partner_id) and desk.facts.partner_id == partner_id)
            or self.first
        )

    def of_socket(self, client_id: str, token: str) -> Venue:
        """Whose feed or depth connection this is."""
        return self._of_id(client_id) or self._of_token(token) or self.first

    def logged_in(self, login: OrderLogin) -> list[Venue]:
        """The accounts whose order updates go to this login; none when it is refused."""
        if login.partner_secret is not None:
            secret = login.partner_secret
            return [venue for venue in self.venues if is_partner(venue.desk, login.client_id, secret)]
        venue = self.of_socket(login.client_id, login.token)
        return [venue] if venue.admits(login.token, login.client_id) else []

    def _of_id(self, client_id: str) -> Venue | None:
        return self._one(lambda desk: desk.client_id == client_id)

    def _of_token(self, token: str) -> Venue | None:
        return self._one(lambda desk: desk.account.is_known(token))

    def _one(self, fits: Callable[[Desk], bool]) -> Venue | None:
        return next((venue for venue in self.venues if fits(venue.desk)), None)

    # Time, the same for all

    @property
    def now_ns(self) -> int:
        """The instant at which every account stands."""
        return self.first.world.now_ns

    @property
    def time_runs(self) -> bool:
        """Does virtual time move by itself?"""
        return self.first.time_runs

    def start_time(self) -> None:
        """From now on it does."""
        for venue in self.venues:
            venue.time_runs = True

    def on_schedule(self, action: Callable[[], None]) -> None:
        """Have ``action`` done whenever something new is due."""
        self._on_schedule = action
        for venue in self.venues:
            venue.on_schedule = action

    def next_ns(self) -> int | None:
        """The next instant at which anything can happen to anybody; None when nothing will."""
        return min((at_ns for venue in self.venues if (at_ns := venue.next_ns()) is not None), default=None)

    def step(self, at_ns: int) -> Stepped:
        """All accounts go to ``at_ns`` (<= `next_ns`); what ended there for the stepped engine's."""
        told = Stepped([], [])
        for venue in self.venues:
            done = venue.step(at_ns)
            if venue is self.driven:
                told = done
        return told

    def run_until(self, at_ns: int, goes_on: Callable[[], bool]) -> bool:
        """Step through everything up to ``at_ns`` while ``goes_on``; False when that ended first."""
        while goes_on():
            next_ns = self.next_ns()
            if next_ns is None or next_ns > at_ns:
                if at_ns > self.now_ns:
                    self.step(at_ns)
                return True
            self.step(next_ns)
        return False

    # Stepped engines

    def attached(self, venue: Venue) -> None:
        """A stepped engine that trades for ``venue`` drives time from here."""
        self.driven = venue
        venue.attached()

    def take(self, inquiry: Inquiry) -> None:
        """Answer a request of whosever it is."""
        self.of_call(inquiry.call).take(inquiry)

    # Faults

    def break_something(self, request: FaultRequest) -> list[Venue]:
        """Break it for the account it names, else for all; the accounts it met. Raises `ConfigError` as `named`.

        A person's hand, and a token made elsewhere, are one account's: the first's when none is named.
        """
        if request.account:
            venues = [self.named(request.account)]
            venues[0].break_something(request)
            return venues
        for venue in self.venues:
            is_first = venue is self.first
            venue.break_something(request if is_first else msgspec.structs.replace(request, hand=None, mint=False))
        return list(self.venues)


def go_on(world: World, until_ns: int) -> None:
    """What happened to an account while nobody served it: stops trigger and the square-off comes all the same."""
    while (next_ns := world.next_ns()) is not None and next_ns <= until_ns:
        world.step(next_ns)
    if until_ns > world.now_ns:
        world.step(until_ns)
