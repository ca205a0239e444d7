"""Running Alembic inside a transaction we hold: a migration is there whole or not at all."""

from __future__ import annotations

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
