"""Can the chaos tests fail? Each planted bug is put into a copy of the package, and must be caught within 200 seeds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import algo_scalper
from tests.chaos.planting import PatchStale, apply

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLANTED = sorted((HERE / "planted").glob("*.patch"))
SEEDS = 200


def test_a_dozen_bugs_are_planted() -> None:
    assert len(PLANTED) >= 12


@pytest.mark.parametrize("patch", PLANTED, ids=lambda patch: patch.stem)
def test_a_planted_bug_is_caught(patch: Path, tmp_path: Path) -> None:
    package = Path(algo_scalper.__file__).parent
    shutil.copytree(package, tmp_path / "algo_scalper", ignore=shutil.ignore_patterns("__pycache__", "page"))
    apply(patch, tmp_path)
    hunt = subprocess.run(
        [sys.executable, "-m", "tests.chaos.hunt", "--first", "0", "--seeds", str(SEEDS), "--trail", "20"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    said = re.match(r"caught after (\d+) seeds\n(.*)", hunt.stdout)
    assert said, f"{patch.stem} was not caught within {SEEDS} seeds:\n{hunt.stdout[-2000:]}{hunt.stderr[-2000:]}"
    print(f"{patch.stem}: caught after {said[1]} seeds: {said[2][:160]}")


def test_a_patch_that_no_longer_fits_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("one\ntwo\ntwo\n")
    patch = tmp_path / "stale.patch"
    patch.write_text("why\n\n--- a/x.py\n+++ b/x.py\n@@ -1,1 +1,1 @@\n-two\n+three\n")
    with pytest.raises(PatchStale, match=r"stand 2 times in x.py"):
        apply(patch, tmp_path)
