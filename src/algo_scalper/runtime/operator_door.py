"""What people say to a running engine: a word becomes an event, a change goes to the change desk and comes back answered."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from algo_scalper.adapters.storage.stores import Stores
from algo_scalper.domain.events import Event, OperatorAsked
from algo_scalper.domain.ports import Clock
from algo_scalper.domain.rules import Rules
from algo_scalper.runtime.change_desk import ChangeDesk, Written
from algo_scalper.runtime.config import load_algo
from algo_scalper.runtime.publish import Answer, Ask, Word
from algo_scalper.runtime.rule_changes import Rulebook
from algo_scalper.runtime.session import Session
from algo_scalper.runtime.watching import Watching
from algo_scalper.runtime.watchlist import Watched, choose

NOTHING_CHANGES = "this engine was started with rules of its own: nothing of it can be changed"
NOT_NOW = "the engine is starting or ending; nothing was changed, try again in a moment"


class OperatorDoor:
    """Where people reach one session. Implements `Running` for the change desk."""

    def __init__(
        self,
        session: Session,
        clock: Clock,
        stores: Stores,
        account: str,
        watching: Watching,
        keep_soon: Callable[[], None],
        tell: Callable[[str, str], None],
    ) -> None:
        """``keep_soon`` has a word's effect written at once; ``tell(code, text)`` tells whoever watches."""
        self._session = session
        self._clock = clock
        self._stores = stores
        self._account = account
        self._watching = watching
        self._keep_soon = keep_soon
        self._tell = tell
        self._written: Written | None = None
        self._change_desk: ChangeDesk | None = None
        self._early: list[Word] = []
        """What was said before the engine had taken its first event."""

    def allow_changes(self, written: Written, book: Rulebook, day: date) -> None:
        """Of these rules and settings, from now on; without this nothing can be changed."""
        self._written = written
        changes = self._stores.changes(self._account)
        self._change_desk = ChangeDesk(changes, book, written.settings_with, self, day, self._clock)

    def on_word(self, word: Word) -> None:
        """A word to the engine. A start may wait for a token; what is said then counts as soon as it has begun."""
        if not self._session.engine.is_born:
            self._early.append(word)
            return
        self._session.take(OperatorAsked(self._clock.now_ns(), word.word, word.target, word.by))
        self._keep_soon()  # a halt is not to be lost with the process in the next five seconds

    def say_early_words(self) -> None:
        """The first event has been taken: now what was said before it."""
        for word in self._early:
            self.on_word(word)

    async def on_ask(self, ask: Ask) -> Answer:
        """A change a person wants."""
        if self._change_desk is None:
            return Answer(done=False, text=NOTHING_CHANGES)
        if not self._session.hears:
            return Answer(done=False, text=NOT_NOW)
        return await self._change_desk.answer(ask)

    def rules_now(self) -> Rules:
        """In force now."""
        return self._session.engine.state.rules

    def take(self, event: Event) -> None:
        """A changed rule is an event like any other."""
        self._session.take(event)

    def tell(self, code: str, text: str) -> None:
        """To the page and the terminal."""
        self._tell(code, text)

    def watch(self) -> str:
        """Follow the watchlist as it is now. Raises `ConfigError` for one that cannot be read, `BrokerRefused` for too many."""
        written = self._written
        if written is None:
            return "nothing is watched"
        changes, listed = self._stores.changes(self._account), self._stores.watchlist.items()
        settings = written.settings_with({name: kept.value for name, kept in changes.settings().items()})
        wanted = choose([Watched(item.key, item.label) for item in listed], load_algo(written.config), settings)
        self._watching.follow(wanted, self._stores.watchlist.tick_sizes(item.key for item in wanted.items))
        return f"{len(wanted.items)} instruments are watched, by {wanted.source}"
