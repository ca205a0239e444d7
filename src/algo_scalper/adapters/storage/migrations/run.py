"""Running Alembic inside a transaction we hold: a migration is there whole or not at all.

The next migration is drafted from what ``tables.py`` says and the newest migration does not::

    python -m algo_scalper.adapters.storage.migrations.run trading trading_0002 "What it is for."

Read it, name it in ``revisions.HEAD``, and the tests hold it against ``tables.py`` on both databases.
"""

from __future__ import annotations

import sys
from typing import cast

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from algo_scalper.adapters.storage.database import Part
from algo_scalper.adapters.storage.revisions import METADATA, MIGRATIONS


def configuration(part: Part) -> Config:
    """Alembic's settings for one of the two stores; there is no ``alembic.ini``."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(MIGRATIONS / part).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["metadata"] = METADATA[part]
    return config


def upgrade(connection: sa.Connection, part: Part, revision: str = "head") -> None:
    """Bring the tables up to ``revision`` in the transaction of ``connection``."""
    config = configuration(part)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def downgrade(connection: sa.Connection, part: Part, revision: str) -> None:
    """Take the tables back to ``revision``; ``base`` removes them and all they hold."""
    config = configuration(part)
    config.attributes["connection"] = connection
    command.downgrade(config, revision)


def draft(part: Part, revision: str, message: str) -> None:
    """Write the file of the next migration; see the module's text."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection, part)
        config = configuration(part)
        config.attributes["connection"] = connection
        config.set_main_option("file_template", "%%(rev)s")
        command.revision(config, message, autogenerate=True, rev_id=revision, version_path=str(MIGRATIONS / part))
    engine.dispose()


if __name__ == "__main__":
    draft(cast("Part", sys.argv[1]), sys.argv[2], sys.argv[3])
