"""Asking for option chains: every ten seconds each one that is wanted, and none that is still being waited for."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping

from algo_scalper.adapters.dhan.chain import DhanChains
from algo_scalper.domain.commands import PollChain
from algo_scalper.domain.errors import BrokerError, DataError
from algo_scalper.domain.events import Event
from algo_scalper.domain.instruments import INDICES, Contract
from algo_scalper.domain.market import near_chain
from algo_scalper.runtime.clock import Rank, Timers
from algo_scalper.runtime.virtual import CHAIN_EVERY_NS


class ChainPolls:
    """The chains one session wants, one for each underlying."""

    def __init__(
        self,
        chains: DhanChains,
        contracts: Mapping[int, Contract],
        timers: Timers,
        spawn: Callable[[Coroutine[None, None, None]], None],
        take: Callable[[Event], None],
        warn: Callable[[str, str], None],
    ) -> None:
        """``spawn`` begins a reading, ``take`` is given what it brings, ``warn(code, text)`` tells a person."""
        self._chains = chains
        self._contracts = contracts
        self._timers = timers
        self._spawn = spawn
        self._take = take
        self._warn = warn
        self._wanted: dict[str, PollChain] = {}
        self._asked: set[str] = set()
        self._unread: set[str] = set()
        """Underlyings whose chain could not be read when it was last asked for."""

    def want(self, command: PollChain) -> None:
        """From the next poll on, in place of the underlying's chain before."""
        self._wanted[command.underlying] = command

    def begin(self, first_ns: int) -> None:
        """Poll at ``first_ns`` and from then on."""
        self._timers.at(first_ns, Rank.POLL, self._poll)

    def _poll(self, at_ns: int) -> None:
        self.begin(at_ns + CHAIN_EVERY_NS)
        for poll in self._wanted.values():
            if poll.underlying not in self._asked:
                self._spawn(self._ask(poll))

    async def _ask(self, poll: PollChain) -> None:
        self._asked.add(poll.underlying)
        try:
            chain = await self._chains.option_chain(INDICES[poll.underlying], poll.expiry)
        except (BrokerError, DataError) as error:
            if poll.underlying not in self._unread:  # said once, not at every poll until it is back
                self._unread.add(poll.underlying)
                self._warn("chain_unread", f"{poll.underlying} {poll.expiry}: {error}")
            return
        finally:
            self._asked.discard(poll.underlying)
        self._unread.discard(poll.underlying)
        self._take(near_chain(chain, self._contracts))
