"""Which database the settings mean, and that no password of it is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from algo_scalper.adapters.storage.database import postgres_database
from algo_scalper.domain.errors import ConfigError
from algo_scalper.runtime.database_place import Place, database_url, place_named
from algo_scalper.runtime.settings import load_settings

PASSWORD = "hunter2/@:%"


def url_of(**environ: str) -> str | None:
    return database_url(load_settings(environ, Path("there is none")))


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, None),
        ({"DATABASE_URL": "postgresql://me@db/mine"}, "postgresql://me@db/mine"),
        (
            {"ALGO_SCALPER_API_DATABASE_PASSWORD": PASSWORD},
            "postgresql://algo_scalper_api:hunter2%2F%40%3A%25@/algo_scalper_api_production",
        ),
        (
            {"DATABASE_URL": "postgres://me@db/mine", "ALGO_SCALPER_API_DATABASE_PASSWORD": PASSWORD},
            "postgresql+psycopg://me:hunter2%2F%40%3A%25@db/mine",
        ),
        (
            {"DATABASE_URL": "postgresql://me:mine@db/mine", "ALGO_SCALPER_API_DATABASE_PASSWORD": PASSWORD},
            "postgresql://me:mine@db/mine",
        ),
    ],
)
def test_the_url_decides_and_the_originals_variable_is_the_password_it_leaves_out(
    environ: dict[str, str], url: str | None
) -> None:
    assert url_of(**environ) == url


def test_a_place_never_shows_a_password() -> None:
    place = Place(url_of(ALGO_SCALPER_API_DATABASE_PASSWORD=PASSWORD), Path("var"))
    assert place.shown == "postgresql://localhost/algo_scalper_api_production"
    assert "hunter2" not in f"{place} {place!r} {place.shown}"
    settings = load_settings({"ALGO_SCALPER_API_DATABASE_PASSWORD": PASSWORD, "ALGO_SCALPER_KEY": "k"}, Path("none"))
    assert settings.notices == ()
    assert not any("hunter2" in line for line in settings.explain())
    assert "ALGO_SCALPER_KEY=***" in "\n".join(settings.explain())


@pytest.mark.parametrize("text", ["sqlite:///some/folder", "some/folder"])
def test_a_folder_may_be_named_as_a_url(text: str) -> None:
    assert place_named(text, Path("var")) == Place(None, Path("some/folder"))


def test_a_server_keeps_the_locks_in_the_data_folder() -> None:
    assert place_named("postgresql://me@db/mine", Path("var")) == Place("postgresql://me@db/mine", Path("var"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mysql://me:hunter2@db/mine", "neither a PostgreSQL URL nor a folder"),
        ("", "neither"),
        ("postgresql://me:hunter2@db", "names no database"),
        ("var/trading.sqlite3", "name the folder"),
    ],
)
def test_what_is_no_place_is_refused_without_repeating_a_password(text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        place_named(text, Path("var"))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@10.0.0.7:5433/money", "postgresql://10.0.0.7:5433/money"),
        ("postgresql://me:secret@10.0.0.7/money", "postgresql://10.0.0.7/money"),
        ("postgresql://me:secret@/money?host=/run/pg", "postgresql:///run/pg/money"),
        ("postgresql://me:secret@[::1]:5433/money", "postgresql://[::1]:5433/money"),
    ],
)
def test_two_servers_of_one_machine_are_told_apart_and_no_password_is_shown(url: str, shown: str) -> None:
    assert Place(url, Path("var")).shown == shown
    database = postgres_database(url, "trading")
    assert (database.where, database.where_of("reference")) == (f"{shown} schema trading", f"{shown} schema reference")
    database.close()
