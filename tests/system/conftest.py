"""The PostgreSQL server of the contract tests, for system tests too."""

from __future__ import annotations

from tests.contract.conftest import new_postgres_url, postgres_server  # noqa: F401 - fixtures
