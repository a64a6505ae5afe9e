"""The rules of replay (docs/FORMAT.md, 7.4), by that page alone: F32 arithmetic as it is written
there, one rounding for each sign. numpy does + - * / and sqrt of F32 so; fma is made exact here."""

import numpy as np

from block_codec import BF16, narrowed, unranked, widened
from store_format import UnknownEncoding, need

NAN = np.uint32(0x7fc00000).view(np.float32)
WITH_GRADIENT = (3, 8, 9)


def one_nan(floats):
    return np.where(np.isnan(floats), NAN, floats)


def fma(a, b, c):
    """a * b + c, rounded once. The F64 product is exact; of the F64 sum the last bit is made odd
    when it is not exact, so that rounding it again goes the way the exact sum would."""
    product, c = np.multiply(a, b, dtype=np.float64), np.float64(c)
    total = product + c
    part = total - product
    off = (product - (total - part)) + (c - part)  # what the sum left out, exact
    bits = total.view(np.int64)
    outward = np.where((off > 0) == (total > 0), 1, -1)
    is_even = np.isfinite(total) & (off != 0) & (bits & 1 == 0)
    return np.where(is_even, bits + outward, bits).view(np.float64).astype(np.float32)


def fnma(a, b, c):
    return fma(-a, b, c)


def bf16(a):
    return one_nan(widened(narrowed(a, BF16), BF16))


def same(a):
    return a


def wide(x, a, y, *factors):
    """(x * a) + ((y * factor) * ...), each sign in F64."""
    for factor in factors:
        y = y * np.float64(factor)
    return (x * np.float64(a) + y).astype(np.float32)


def second_moment(variant, scalars, m, m0, v0):
    update, kind = variant & 7, variant & ~7
    known(update <= (3 if kind & 32 else 6) and variant <= 0x3f, variant)
    take_scalars(scalars, 10 if update == 6 else 6)
    q1, b1, q2, b2, c, i = scalars[:6]
    g = (m - b1 * m0) / q1 if kind & 8 else m0 + (m - m0) / q1
    g = bf16(g * i) * c if kind & 16 else g
    decayed = bf16(b2 * v0) if kind & 32 else b2 * v0
    if update == 6:
        x, y = scalars[6:].view(np.float64)
        return wide(x, v0, y, g, g)
    if update == 4:
        return fma(b2, v0, q2 * g * g)
    if update == 5:
        return fma(b2, v0, q2 * (g * g))
    return [lambda: fma(q2 * g, g, decayed), lambda: fma(q2, g * g, decayed),
            lambda: decayed + q2 * g * g, lambda: decayed + q2 * (g * g)][update]()


def parameter(variant, scalars, w0, m, v):
    decay, step, kind = variant & 3, variant >> 2 & 7, variant & 32
    known(step <= 6 and variant <= 0x3f, variant)
    known(step != 5 or (decay in (1, 3) and not kind), variant)
    take_scalars(scalars, 5 if step == 5 else 4)
    s, r, e, d = scalars[:4]
    rounded = bf16 if kind else same
    if step == 5:
        h = np.sqrt(v / r) + e
        u = m / scalars[4] / h
        return fnma(s, fma(d, w0, u) if decay == 1 else u, w0)
    root = rounded(np.sqrt(v))
    h = rounded(fma(root, r, e)) if step == 6 else rounded(rounded(root / r) + e)
    h = rounded(h / s) if step == 4 else h
    p = w0 if decay == 3 else rounded(
        [lambda: d * w0, lambda: fnma(d, w0, w0), lambda: w0 - d * w0][decay]())
    if step in (2, 6):
        return fnma(s, m / h, p)
    return p - (s * m / h if step == 0 else s * (m / h) if step == 1 else m / h)


def first_moment(variant, scalars, m0, *others):
    """Also rule 8: `others` are the old parameter, which rule 3 has not, and the gradient."""
    update, count = variant & 7, 2 + len(others)
    known(update <= 5 and variant <= (5 if count == 3 else 0xf), variant)
    take_scalars(scalars, count + 4 * (update == 5))
    q1, b1, c = scalars[:3]
    g = c * others[-1]
    if count == 4:
        g = g + scalars[3] * others[0] if variant & 8 else fma(scalars[3], others[0], g)
    if update == 5:
        x, y = scalars[count:].view(np.float64)
        return wide(x, m0, y, g)
    return [lambda: fma(q1, g - m0, m0), lambda: m0 + q1 * (g - m0), lambda: b1 * m0 + q1 * g,
            lambda: fma(b1, m0, q1 * g), lambda: fma(q1, g, b1 * m0)][update]()


def gradient_parameter(variant, scalars, w0, n):
    decay = variant >> 1
    known(decay <= 2, variant)
    take_scalars(scalars, 4)
    s, c, d, k = scalars
    g = [same, lambda g: fma(k, w0, g), lambda g: g + k * w0][decay](c * n)
    return d * w0 - s * g if variant & 1 else fnma(s, g, d * w0)


def sgd(variant, scalars, w0, b):
    known(variant <= 1, variant)
    take_scalars(scalars, 1)
    return w0 - scalars[0] * b if variant else fnma(scalars[0], b, w0)


def maximum(variant, scalars, a, v):
    known(variant == 0, variant)
    take_scalars(scalars, 0)
    return np.where(a < v, v, a)


def nesterov(variant, scalars, w0, b, b0):
    known(variant <= 3, variant)
    take_scalars(scalars, 2)
    s, u = scalars
    t = fnma(u, b0, b)
    t = t + u * b if variant & 2 else fma(u, b, t)
    return w0 - s * t if variant & 1 else fnma(s, t, w0)


def lion(variant, scalars, w0, m, m0):
    known(variant <= 1, variant)
    take_scalars(scalars, 4)
    s, q, k, d = scalars
    t = fma(q, (m - m0) / k, m0)
    t = np.where(t > 0, np.float32(1), np.where(t < 0, np.float32(-1), t))
    return d * w0 - s * t if variant else fnma(s, t, d * w0)


def known(condition, variant):
    if not condition:
        raise UnknownEncoding(f"replay: unknown variant {variant}")


def take_scalars(scalars, count):
    need(len(scalars) == count, f"replay: {len(scalars)} scalars, not {count}")


RULES = {1: (second_moment, 3), 2: (parameter, 3), 3: (first_moment, 1), 4: (sgd, 2),
         5: (maximum, 2), 6: (nesterov, 3), 7: (lion, 3), 8: (first_moment, 2),
         9: (gradient_parameter, 1)}  # with how many bases


def predict(rule, variant, scalars, numbers, dtype):
    """The items of a dtype that a rule makes of F32 numbers. `scalars`: bits of F32."""
    with np.errstate(all="ignore"):
        made = RULES[rule][0](variant, scalars.view(np.float32), *numbers)
        return narrowed(one_nan(made), dtype)
