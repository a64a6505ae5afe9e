#!/usr/bin/env python3
"""Makes golden_vectors.txt: docs/FORMAT.md, section 7.4, in exact rational arithmetic, written from
the document alone. Lines: rule, variant, scalars, then inputs and result of one item, all as the bits
of F32 in hexadecimal (the gradient too)."""

import math
import pathlib
import random
import struct
from fractions import Fraction

NAN = float("nan")


def bits(value):
    return 0x7FC00000 if value != value else struct.unpack("<I", struct.pack("<f", value))[0]


def single(number):
    return struct.unpack("<f", struct.pack("<I", number))[0]


def rounded(exact, zero_sign, mantissa=24, lowest=-149, largest=128):
    """An exact Fraction as a float of so many bits, to nearest, ties to even."""
    if exact == 0:
        return math.copysign(0.0, zero_sign)
    size = abs(exact)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if Fraction(2) ** exponent > size:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - mantissa + 1, lowest)
    whole, rest = divmod(size, unit)
    if 2 * rest > unit or (2 * rest == unit and whole % 2 == 1):
        whole += 1
    value = whole * unit
    result = math.inf if value >= Fraction(2) ** largest else float(value)
    return math.copysign(result, -1 if exact < 0 else 1)


WIDE = dict(mantissa=53, lowest=-1074, largest=1024)


def fma(a, b, c, **form):
    """a * b + c with one rounding. Python's own floats decide where no rounding is involved."""
    if not all(map(math.isfinite, (a, b, c))):
        return a * b + c if math.isfinite(c) or not math.isfinite(a * b) else \
            (NAN if a * b != a * b or c != c else c)
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    return rounded(exact, sign_of_zero(a, b, c), **form)


def sign_of_zero(a, b, c):
    """Of a sum that is exactly 0: negative only when both parts are."""
    product_is_negative = (math.copysign(1, a) < 0) != (math.copysign(1, b) < 0)
    return -1.0 if product_is_negative and math.copysign(1, c) < 0 else 1.0


def add(a, b, **form):
    if not (math.isfinite(a) and math.isfinite(b)):
        return a + b
    return rounded(Fraction(a) + Fraction(b),
                   -1.0 if math.copysign(1, a) < 0 and math.copysign(1, b) < 0 else 1.0, **form)


def sub(a, b, **form):
    return add(a, -b, **form)


def mul(a, b, **form):
    sign = math.copysign(1, a) * math.copysign(1, b)
    if not (math.isfinite(a) and math.isfinite(b)):
        return a * b
    return rounded(Fraction(a) * Fraction(b), sign, **form)


def div(a, b):
    sign = math.copysign(1, a) * math.copysign(1, b)
    if a != a or b != b or (math.isinf(a) and math.isinf(b)) or (a == 0 and b == 0):
        return NAN
    if math.isinf(a) or b == 0:
        return math.copysign(math.inf, sign)
    if math.isinf(b):
        return math.copysign(0.0, sign)
    return rounded(Fraction(a) / Fraction(b), sign)


def sqrt(a):
    if a != a or a < 0:
        return NAN
    if a == 0 or math.isinf(a):
        return a
    shift = 400  # enough bits for a remainder to show
    number = Fraction(a) * 4 ** shift
    whole = math.isqrt(number.numerator // number.denominator)
    exact = whole * whole == number
    return rounded(Fraction(2 * whole + (0 if exact else 1), 2 * 2 ** shift), 1.0)


def fnma(a, b, c):
    return fma(-a, b, c)


def bf16(a):
    if a != a:
        return NAN
    number = bits(a)
    return single((number + 0x7FFF + (number >> 16 & 1)) & 0xFFFF0000)


def same(a):
    return a


def wide(x, a, y, b, squared):
    product = mul(y, b, **WIDE)
    total = add(mul(x, a, **WIDE), mul(product, b, **WIDE) if squared else product, **WIDE)
    return NAN if total != total else total if math.isinf(total) else \
        rounded(Fraction(total), math.copysign(1, total))


def second_moment(variant, s, inputs):
    (q1, b1, q2, b2, c, i), (m, m0, v0) = s[:6], inputs
    g = div(sub(m, mul(b1, m0)), q1) if variant & 8 else add(m0, div(sub(m, m0), q1))
    if variant & 16:
        g = mul(bf16(mul(g, i)), c)
    keep = bf16 if variant & 32 else same
    update = variant & 7
    if update == 0:
        return fma(mul(q2, g), g, keep(mul(b2, v0)))
    if update == 1:
        return fma(q2, mul(g, g), keep(mul(b2, v0)))
    if update == 2:
        return add(keep(mul(b2, v0)), mul(mul(q2, g), g))
    if update == 3:
        return add(keep(mul(b2, v0)), mul(q2, mul(g, g)))
    if update == 4:
        return fma(b2, v0, mul(mul(q2, g), g))
    if update == 5:
        return fma(b2, v0, mul(q2, mul(g, g)))
    return wide(s[6], v0, s[7], g, True)


def parameter(variant, s, inputs):
    (size, r, e, d), (w0, m, v) = s[:4], inputs
    decay, step = variant & 3, variant >> 2 & 7
    keep = bf16 if variant & 32 else same
    if step == 5:
        u = div(div(m, s[4]), add(sqrt(div(v, r)), e))
        if decay == 1:
            u = fma(d, w0, u)
        return fnma(size, u, w0)
    p = w0
    if decay < 3:
        p = keep((mul(d, w0), fnma(d, w0, w0), sub(w0, mul(d, w0)))[decay])
    h = keep(sqrt(v))
    h = keep(fma(h, r, e)) if step == 6 else keep(add(keep(div(h, r)), e))
    if step == 4:
        h = keep(div(h, size))
    if step == 0:
        return sub(p, div(mul(size, m), h))
    if step == 1:
        return sub(p, mul(size, div(m, h)))
    if step in (2, 6):
        return fnma(size, div(m, h), p)
    return sub(p, div(m, h))


def first_update(update, q1, b1, m0, g, wides):
    return (lambda: fma(q1, sub(g, m0), m0), lambda: add(m0, mul(q1, sub(g, m0))),
            lambda: add(mul(b1, m0), mul(q1, g)), lambda: fma(b1, m0, mul(q1, g)),
            lambda: fma(q1, g, mul(b1, m0)),
            lambda: wide(wides[0], m0, wides[1], g, False))[update]()


def first_moment(variant, s, inputs):
    (q1, b1, c), (m0, n) = s[:3], inputs
    return first_update(variant, q1, b1, m0, mul(c, n), s[3:])


def decayed_first_moment(variant, s, inputs):
    (q1, b1, c, d), (m0, w0, n) = s[:4], inputs
    g = mul(c, n)
    g = add(g, mul(d, w0)) if variant & 8 else fma(d, w0, g)
    return first_update(variant & 7, q1, b1, m0, g, s[4:])


def gradient_parameter(variant, scalars, inputs):
    (s, c, d, k), (w0, n) = scalars, inputs
    g = mul(c, n)
    if variant >> 1 == 1:
        g = fma(k, w0, g)
    if variant >> 1 == 2:
        g = add(g, mul(k, w0))
    return sub(mul(d, w0), mul(s, g)) if variant & 1 else fnma(s, g, mul(d, w0))


def sgd(variant, s, inputs):
    w0, b = inputs
    return sub(w0, mul(s[0], b)) if variant & 1 else fnma(s[0], b, w0)


def maximum(_, __, inputs):
    return inputs[1] if inputs[0] < inputs[1] else inputs[0]


def nesterov(variant, s, inputs):
    w0, b, b0 = inputs
    t = fnma(s[1], b0, b)
    t = add(t, mul(s[1], b)) if variant & 2 else fma(s[1], b, t)
    return sgd(variant, s, (w0, t))


def lion(variant, s, inputs):
    lr, q, k, d = s
    w0, m, m0 = inputs
    t = fma(q, div(sub(m, m0), k), m0)
    t = 1.0 if t > 0 else -1.0 if t < 0 else t
    return sub(mul(d, w0), mul(lr, t)) if variant & 1 else fnma(lr, t, mul(d, w0))


def f32(value):
    return rounded(Fraction(value), 1.0)


MOMENTS = [f32(0.1), f32(0.9), f32(0.001), f32(0.999), f32(0.7234), f32(1 / 0.7234)]
STEP = [f32(1.23e-3), f32(0.2207), f32(1e-8), f32(0.9999)]
SECONDS = [u | f for f in (0, 8, 16, 24) for u in range(7)] + [32 | u for u in range(4)] + [56, 35]
PARAMETERS = [s << 2 | d for s in range(7) for d in range(4) if s != 5 or d in (1, 3)] + \
    [32 | s << 2 | d for s in (0, 1, 2, 3, 4, 6) for d in (0, 3)]
# Rule: function, variants, scalars of a variant, inputs, of these a BF16 gradient.
RULES = {
    1: (second_moment, SECONDS, lambda v: MOMENTS + ([0.999, 0.001] if v & 7 == 6 else []), 3, 9),
    2: (parameter, PARAMETERS,
        lambda v: (STEP if v & 3 == 0 else STEP[:3] + [f32(1e-4)]) +
        ([f32(0.19)] if v >> 2 & 7 == 5 else []), 3, 9),
    3: (first_moment, range(6),
        lambda v: [MOMENTS[0], MOMENTS[1], MOMENTS[4]] + ([0.9, 1 - 0.9] if v == 5 else []), 2, 1),
    4: (sgd, range(2), lambda v: STEP[:1], 2, 9),
    5: (maximum, range(1), lambda v: [], 2, 9),
    6: (nesterov, range(4), lambda v: [STEP[0], f32(0.9)], 3, 9),
    7: (lion, range(2), lambda v: [STEP[0], f32(0.1), f32(0.01), f32(0.9999)], 3, 9),
    8: (decayed_first_moment, [f | u for f in (0, 8) for u in range(6)],
        lambda v: [MOMENTS[0], MOMENTS[1], MOMENTS[4], f32(0.01)] +
        ([0.9, 1 - 0.9] if v & 7 == 5 else []), 3, 2),
    9: (gradient_parameter, range(6), lambda v: [STEP[0], MOMENTS[4], STEP[3], f32(0.01)], 2, 1),
}
F32_SCALARS = {1: 6, 2: 5, 3: 3, 4: 1, 5: 0, 6: 2, 7: 4, 8: 4, 9: 4}
ODD = [0.0, -0.0, single(1), single(0x80000123), single(0x007FFFFF), math.inf, -math.inf, NAN,
       single(0x7F7FFFFF), single(0x00800000), 1.0, -1.0]


def scalar_words(rule, scalars):
    words = [f"{bits(s):08x}" for s in scalars[:F32_SCALARS[rule]]]
    for s in scalars[F32_SCALARS[rule]:]:
        words += [f"{w:08x}" for w in struct.unpack("<II", struct.pack("<d", s))]
    return ",".join(words) or "-"


def lines():
    chance = random.Random(5)
    for rule, (function, variants, scalars_of, inputs, gradient) in RULES.items():
        for variant in variants:
            scalars = scalars_of(variant)
            for turn in range(8):
                values = [f32(chance.gauss(0, 1) * 10.0 ** -chance.randint(0, 6))
                          for _ in range(inputs)]
                if turn >= 4:
                    values = [chance.choice(ODD) if chance.random() < 0.6 else v for v in values]
                if rule in (1, 2) and turn < 4:
                    values[2] = abs(values[2])
                if gradient < inputs:
                    values[gradient] = bf16(values[gradient])
                result = function(variant, scalars, values)
                yield " ".join([str(rule), str(variant), scalar_words(rule, scalars),
                                *(f"{bits(v):08x}" for v in values), f"{bits(result):08x}"])


if __name__ == "__main__":
    pathlib.Path(__file__).with_name("golden_vectors.txt").write_text("\n".join(lines()) + "\n")
