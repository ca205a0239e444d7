"""The exception tree, by whose fault it is.

::

    AlgoScalperError
    ├── ConfigError            the operator's files or flags; the message names the key and the remedy
    ├── DataError              a file or a reply that cannot be what it claims to be
    │   └── JournalError       a journal that cannot be read, or replayed under this code
    ├── BrokerError            the broker or the way to it
    │   ├── BrokerUnreachable  nothing was sent, or a read that may be repeated
    │   └── BrokerRefused      the broker answered no to a read
    ├── StoreError             the database: not durable, too new, corrupt, locked by another process
    │   └── SecondInstance     another engine holds this account's lock
    └── Bug                    a broken invariant: the session is poisoned and the lifeboat takes over
        └── IllegalTransition  an empty cell of a state table

Refusals are values (`domain.decisions.Refusal`), lost answers are events (`OrderUnknown`): neither is here.
"""

from __future__ import annotations


class AlgoScalperError(Exception):
    """Anything this project raises on purpose."""


class ConfigError(AlgoScalperError):
    """A setting that is misspelt, impossible or in conflict."""


class DataError(AlgoScalperError):
    """Input that cannot be what it claims to be."""


class JournalError(DataError):
    """A journal that cannot be read, or replayed under this code."""


class BrokerError(AlgoScalperError):
    """The broker or the way to it."""


class BrokerUnreachable(BrokerError):
    """Nothing was sent, or a read failed on the way and may be repeated."""


class BrokerRefused(BrokerError):
    """The broker answered no to a read."""


class StoreError(AlgoScalperError):
    """The database is not durable, too new, corrupt or locked."""


class SecondInstance(StoreError):
    """Another engine already runs for this account."""


class Bug(AlgoScalperError):
    """A broken invariant of ours."""


class IllegalTransition(Bug):
    """A state table has no cell for what happened."""
