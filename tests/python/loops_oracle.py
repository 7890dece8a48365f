"""Writes operands and NumPy's answers, element by element, for tests/unit/loops_numpy_test.cc.

    loops_oracle.py FILE SEED

The file is a sequence of records, little endian: a kind ("loop" or "cast"), the op's name (or "cast") in 16 bytes, the
number of the operands' dtype and of the result's, the number of operands and of elements, the operands' bytes, the
answer's.
Functions that NumPy computes to the last bit by definition alone; loops_math_test.cc has the others.
"""

import os
import struct
import sys

# NumPy's vectors of complex numbers fuse their multiply-adds; its plain loops are the definition.
os.environ["NPY_DISABLE_CPU_FEATURES"] = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX2 FMA3"
import warnings

warnings.simplefilter("ignore")
import numpy as np

np.seterr(all="ignore")

NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()
NUMBERS = {name: i + 1 for i, name in enumerate(NAMES)}
KINDS = {"B": "b", "I": "i", "U": "u", "F": "f", "C": "c"}

ONE = {
    "negative": "IUFC", "absolute": "IUFC", "sign": "IUFC", "invert": "BIU", "square": "IUFC", "reciprocal": "IUFC",
    "conjugate": "C", "real": "C", "imag": "C", "floor": "F", "ceil": "F", "trunc": "F", "rint": "FC", "sqrt": "FC",
    "isnan": "FC", "isinf": "FC", "isfinite": "FC", "signbit": "F",
    "exp": "C", "expm1": "C", "exp2": "C", "log": "C", "log1p": "C", "log2": "C", "log10": "C", "sin": "C", "cos": "C",
    "tan": "C", "arcsin": "C", "arccos": "C", "arctan": "C", "sinh": "C", "cosh": "C", "tanh": "C", "arcsinh": "C",
    "arccosh": "C", "arctanh": "C",
}
TWO = {
    "add": "IUFC", "subtract": "IUFC", "multiply": "IUFC", "divide": "FC", "floor_divide": "IUF", "remainder": "IUF",
    "fmod": "IUF", "power": "IUC", "minimum": "IUFC", "maximum": "IUFC", "fmin": "FC", "fmax": "FC", "copysign": "F",
    "bitwise_and": "BIU", "bitwise_or": "BIU", "bitwise_xor": "BIU", "left_shift": "IU", "right_shift": "IU",
    "equal": "BIUFC", "not_equal": "BIUFC", "less": "BIUFC", "less_equal": "BIUFC", "greater": "BIUFC",
    "greater_equal": "BIUFC",
}


def sign_of_complex(z):
    """NumPy 2's."""
    out = np.empty_like(z)
    for i, x in enumerate(z):
        size = np.hypot(x.real, x.imag)
        if np.isnan(x.real) or np.isnan(x.imag) or (np.isinf(x.real) and np.isinf(x.imag)):
            out[i] = complex(np.nan, np.nan)
        elif np.isinf(x.real):
            out[i] = complex(np.copysign(1, x.real), 0)
        elif np.isinf(x.imag):
            out[i] = complex(0, np.copysign(1, x.imag))
        elif size == 0:
            out[i] = 0
        else:
            if np.isinf(size):
                x = x * x.real.dtype.type(0.25)
                size = np.hypot(x.real, x.imag)
            out[i] = complex(x.real / size, x.imag / size)
    return out


def answer(name, operands):
    if name == "sign" and operands[0].dtype.kind == "c":
        return sign_of_complex(operands[0])
    if name in ("real", "imag"):
        return np.ascontiguousarray(getattr(operands[0], name))
    return getattr(np, name)(*operands)


def specials(dtype):
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        bits = info.bits
        wanted = [0, 1, 2, 3, 7, 10, bits - 1, bits, bits + 1, -1, -2, -3, -bits, info.min, info.min + 1, info.max,
                  info.max - 1, 2**31, 2**31 - 1, -2**31, 2**32, 2**32 - 1, 2**16, 2**15, 255, 256, 127, 128,
                  -128, -129]
        return np.array([x for x in wanted if info.min <= x <= info.max], dtype)
    if dtype.kind == "f":
        info = np.finfo(dtype)
        wanted = [0.0, 1, 0.5, 1.5, 2, 2.5, 3, 7, 10, 100, 0.1, 1 / 3, 127.9, 128, 255.5, 256, 32768, 65536, 2.0**23 + 1,
                  2.0**31, 2.0**31 - 1, 2.0**31 + 0.5, 2.0**32, 2.0**52 + 1, 2.0**53, 2.0**63, 2.0**64, 1e20,
                  float(info.max), float(info.tiny), float(info.smallest_subnormal), float(info.tiny) / 3, float(info.eps),
                  np.inf, np.nan]
        values = np.array(wanted).astype(dtype)
        return np.concatenate([values, -values])
    part = specials(np.dtype("f4" if dtype.itemsize == 8 else "f8"))
    part = part[[0, 1, 2, 5, 8, 10, 28, 29, 30, 33, 34, 35, 36, 38, 45, 63, 68]]
    re, im = np.meshgrid(part, part)
    out = np.empty(re.size, dtype)
    out.real, out.imag = re.ravel(), im.ravel()
    return out


def randoms(npr, dtype, count):
    if dtype.kind == "b":
        return npr.random(count) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        wide = npr.integers(info.min, info.max, count, dtype, endpoint=True)
        shift = npr.integers(0, info.bits, count).astype(dtype)
        return wide >> shift
    if dtype.kind == "f":
        bits = npr.integers(0, 256, (count, dtype.itemsize), np.uint8).view(dtype)[:, 0].copy()
        scaled = (npr.standard_normal(count) * np.exp2(npr.integers(-20, 20, count))).astype(dtype)
        whole = npr.integers(-100, 100, count).astype(dtype)
        return np.choose(npr.integers(0, 3, count), [bits, scaled, whole])
    part = np.dtype("f4" if dtype.itemsize == 8 else "f8")
    out = np.empty(count, dtype)
    out.real, out.imag = randoms(npr, part, count), randoms(npr, part, count)
    return out


def pairs(npr, dtype):
    edge = specials(dtype)
    if len(edge) > 80:
        edge = npr.permutation(edge)[:60]
    a, b = (x.ravel() for x in np.meshgrid(edge, edge))
    a = np.concatenate([a, randoms(npr, dtype, 3000), npr.choice(edge, 300)])
    b = np.concatenate([b, randoms(npr, dtype, 3000), randoms(npr, dtype, 300)])
    return a, b


def cast(x, to):
    """One element at a time: vectors convert what does not fit in other ways, and NumPy mixes the two."""
    spread = np.empty(2 * len(x), x.dtype)[::2]
    spread[:] = x
    return spread.astype(to)


def record(file, kind, name, given, operands, result):
    file.write(kind.encode() + name.encode().ljust(16, b"\0"))
    file.write(struct.pack("<4q", NUMBERS[given.name], NUMBERS[result.dtype.name], len(operands), len(result)))
    for x in operands:
        file.write(np.ascontiguousarray(x).tobytes())
    file.write(np.ascontiguousarray(result).tobytes())


def has(kinds, dtype):
    return dtype.kind in [KINDS[k] for k in kinds]


def main():
    npr = np.random.default_rng(int(sys.argv[2]))
    with open(sys.argv[1], "wb") as file:
        for dtype in map(np.dtype, NAMES):
            one = np.concatenate([specials(dtype), randoms(npr, dtype, 3000)])
            for name, kinds in ONE.items():
                if has(kinds, dtype):
                    record(file, "loop", name, dtype, [one], answer(name, [one]))
            for name, kinds in TWO.items():
                if not has(kinds, dtype):
                    continue
                a, b = pairs(npr, dtype)
                if name == "power" and dtype.kind == "i":
                    b = np.where(b < 0, ~b, b)
                if name == "power" and dtype.kind == "c":
                    whole = npr.integers(-110, 111, len(b)).astype(b.real.dtype)
                    b = np.where(npr.random(len(b)) < 0.5, whole.astype(dtype), b)
                record(file, "loop", name, dtype, [a, b], answer(name, [a, b]))
            for to in map(np.dtype, NAMES):
                record(file, "cast", "cast", dtype, [one], cast(one, to))


main()
