"""The kernels stay compilable as they are: names, float arithmetic and comparisons, nothing else."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import pytest

from algo_scalper.indicators import adx, supertrend, true_range, volatility

KERNELS: tuple[Callable[..., Any], ...] = (
    true_range.true_range,
    true_range.atr_step,
    true_range.atr_ready,
    adx.adx_step,
    adx.adx_ready,
    supertrend.supertrend_step,
    supertrend.supertrend_line,
    volatility.liveliness_step,
)
CALLS = {"abs", "min", "max", "sqrt", "AtrState", "AdxState", "SupertrendState"}
FORBIDDEN = (ast.Pow, ast.FloorDiv, ast.Mod, ast.Try, ast.Raise, ast.Dict, ast.List, ast.Set, ast.Lambda, ast.JoinedStr)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_diet(kernel: Callable[..., Any]) -> None:
    function = ast.parse(inspect.getsource(kernel)).body[0]
    assert isinstance(function, ast.FunctionDef)
    body = [node for statement in function.body[1:] for node in ast.walk(statement)]
    for node in body:
        assert not isinstance(node, FORBIDDEN), ast.dump(node)
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            assert node.func.id in CALLS, node.func.id
        if isinstance(node, ast.Constant):
            assert isinstance(node.value, int | float), node.value
