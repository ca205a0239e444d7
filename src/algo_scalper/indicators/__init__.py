"""Candle arithmetic, one file each: a step and its reading.

A step is a plain function ``step(state, numbers...) -> state`` over a small `NamedTuple`; batch is a loop of steps, so
there is no second, array-shaped formula. The kernels (everything that takes and returns floats) keep to a diet that
compilers take as it is: ``+ - * /``, comparisons, ``abs``, ``min``, ``max`` and ``sqrt``; no ``**``, no ``sum``, no
``None``, no call of one kernel by another. "Not yet" is a count, never a NaN.

Prices go in as paise and values come out in paise; they are floats because they are statistics, not money.
"""
