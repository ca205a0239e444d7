"""Seeded noise: the published mixer, and its normal values."""

from __future__ import annotations

from statistics import NormalDist, fmean, pstdev

import pytest

from algo_scalper.simulation.mix import GOLDEN, NORMALS, inverse_normal, mix, mix_all, mix_text, normals, unit


def test_mix_is_splitmix64() -> None:
    # The published outputs for seed 1234567.
    published = (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    )
    assert tuple(mix(1234567 + n * GOLDEN) for n in range(5)) == published


def test_mixing_several_numbers_depends_on_their_order_and_on_each_of_them() -> None:
    assert len({mix_all(1, 2, 3), mix_all(3, 2, 1), mix_all(1, 2), mix_all(1, 2, 4), mix_all(-1, 2, 3)}) == 5


def test_text_is_mixed_from_its_bytes_alone() -> None:
    assert mix_text("NIFTY") == mix_text("NIF" + "TY") != mix_text("BANKNIFTY")


@pytest.mark.parametrize("p", [0.0005, 0.01, 0.0243, 0.2, 0.5, 0.77, 0.99, 0.9999])
def test_inverse_normal_agrees_with_the_standard_library(p: float) -> None:
    assert inverse_normal(p) == pytest.approx(NormalDist().inv_cdf(p), abs=1e-8)


def test_quick_normals_are_standard_and_as_many_as_asked() -> None:
    values = normals(7, 50_001)
    assert len(values) == 50_001
    assert fmean(values) == pytest.approx(0.0, abs=0.02)
    assert pstdev(values) == pytest.approx(1.0, abs=0.01)


def test_unit_values_lie_in_the_half_open_interval() -> None:
    assert unit(0) == 0.0
    assert unit((1 << 64) - 1) < 1.0


def test_quick_normals_are_the_quantiles_of_the_mixers_bits() -> None:
    assert normals(7, 2) == [NORMALS[mix(7) & 4095], NORMALS[mix(7) >> 12 & 4095]]
    assert normals(7, 6)[5] == NORMALS[mix(7 + GOLDEN) & 4095]
