"""Where ``why``, ``report`` and ``token`` look when no folder is named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from algo_scalper.interfaces.cli.dev_runs import choose_run, demo_day, folder_with
from algo_scalper.runtime.config import load_rules

ROOT = Path(__file__).resolve().parents[2]


def test_the_newest_simulated_day_is_asked_when_the_folder_itself_has_nothing(tmp_path: Path) -> None:
    assert folder_with(tmp_path, "api-token") == tmp_path
    for seed in (1, 2):
        run = choose_run(tmp_path, seed, None, None, fresh=False)
        (run.folder / "api-token").write_text("x")
    assert folder_with(tmp_path, "api-token").name == "0002"
    (tmp_path / "api-token").write_text("x")
    assert folder_with(tmp_path, "api-token") == tmp_path


def test_the_day_shown_to_a_newcomer_is_a_session_near_the_traded_expiry() -> None:
    rules = load_rules(ROOT / "config" / "algo.yml")
    # Monday the 23rd is itself an expiry, and the next one is eight days off; Friday is four days before the 1st.
    assert demo_day(date(2026, 11, 21), rules) == date(2026, 11, 27)
    assert demo_day(date(2026, 11, 27), rules) == date(2026, 11, 27)
