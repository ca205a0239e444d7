"""Seeded noise without a stream: splitmix64 of integers, and uniform and normal values read off its bits.

Noise that belongs to a (key, instant) is mixed from the seed, the key and the instant's number. What one contract
prints then does not depend on who else was watched, in which order, or under which PYTHONHASHSEED.
"""

from __future__ import annotations

from math import log, sqrt

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
"""2**64 / golden ratio: the step of splitmix64 (Steele, Lea, Flood, 2014)."""


def mix(value: int) -> int:
    """The splitmix64 output for state ``value``: 64 well-spread bits of any integer."""
    z = (value + GOLDEN) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def mix_all(*values: int) -> int:
    """One mixed number of several; the order matters."""
    z = 0
    for value in values:
        z = mix(z ^ mix(value & MASK))
    return z


def mix_text(text: str) -> int:
    """A number of a text (FNV-1a, then mixed): the same in every process, unlike ``hash``."""
    z = 0xCBF29CE484222325
    for byte in text.encode():
        z = ((z ^ byte) * 0x100000001B3) & MASK
    return mix(z)


def unit(z: int) -> float:
    """A float in [0, 1) from the top 53 bits."""
    return (z >> 11) * 2.0**-53


# P. Acklam's rational approximation of the inverse normal distribution function, relative error 1.15e-9.
_A = (
    -39.69683028665376,
    220.9460984245205,
    -275.9285104469687,
    138.3577518672690,
    -30.66479806614716,
    2.506628277459239,
)
_B = (-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572)
_C = (
    -0.007784894002430293,
    -0.3223964580411365,
    -2.400758277161838,
    -2.549732539343734,
    4.374664141464968,
    2.938163982698783,
)
_D = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416)
_LOW = 0.02425


def inverse_normal(p: float) -> float:
    """The value a standard normal variate stays below with probability ``p`` (0 < p < 1)."""
    if p > 0.5:
        return -inverse_normal(1.0 - p)
    if p < _LOW:
        q = sqrt(-2.0 * log(p))
        over = ((((_C[0] * q + _C[1]) * q + _C[2]) * q + _C[3]) * q + _C[4]) * q + _C[5]
        return over / ((((_D[0] * q + _D[1]) * q + _D[2]) * q + _D[3]) * q + 1.0)
    q = p - 0.5
    r = q * q
    over = (((((_A[0] * r + _A[1]) * r + _A[2]) * r + _A[3]) * r + _A[4]) * r + _A[5]) * q
    return over / (((((_B[0] * r + _B[1]) * r + _B[2]) * r + _B[3]) * r + _B[4]) * r + 1.0)


def normal(z: int) -> float:
    """A standard normal value of a mixed number."""
    return inverse_normal(((z >> 11) + 0.5) * 2.0**-53)


NORMALS = tuple(inverse_normal((i + 0.5) / 4096.0) for i in range(4096))
"""Normal quantiles by 12 random bits (largest 3.67): quick noise for seconds, not for tails."""


def normals(seed: int, count: int) -> list[float]:
    """``count`` quick normal values, five to a mixed number."""
    table = NORMALS
    values: list[float] = []
    for block in range(1, (count + 4) // 5 + 1):
        # `mix` written out: a call for every five values is a quarter of the work.
        z = (seed + block * GOLDEN) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        values += (
            table[z & 4095],
            table[z >> 12 & 4095],
            table[z >> 24 & 4095],
            table[z >> 36 & 4095],
            table[z >> 48 & 4095],
        )
    del values[count:]
    return values
