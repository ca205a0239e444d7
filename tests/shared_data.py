"""Finds the folder of real market data that lies beside the repository; skips, visibly, when it is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("ALGO_SCALPER_SHARED", Path(__file__).resolve().parents[2] / "shared"))


def shared(path: str) -> Path:
    """A file or folder of the shared data, for example ``data/parquet/nifty_1m_2026.parquet``."""
    found = ROOT / path
    if not found.exists():
        pytest.skip(f"real data not on this machine: {path}")
    return found
