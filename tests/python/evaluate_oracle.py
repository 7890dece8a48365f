"""Writes expressions, their operands and what NumPy makes of them, for tests/unit/evaluate_numpy_test.cc.

    evaluate_oracle.py FILE SEED elements|functions|truths|reductions|compounds COUNT

A record is a line of fields between tabs and the bytes that it speaks of: the expression; "ok" with the result's dtype and shape, or "error"; for
each operand its name, dtype, shape, strides, offset and bytes of memory. Then the operands' memory, the result's elements, and a float64 for
each: how far ours may be from it. 0 asks for the same bits (any NaN for a NaN), -1 for the same value (-0.0 is 0.0; a complex number with a NaN
is one NaN).
"""

import os
import sys

# NumPy's vectors of complex numbers fuse their multiply-adds; its plain loops are the definition.
os.environ["NPY_DISABLE_CPU_FEATURES"] = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX2 FMA3"
import random
import warnings

warnings.simplefilter("ignore")
import numpy as np

np.seterr(all="ignore")
np._set_promotion_state("weak")

NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()
LENGTHS = [1, 2, 7, 63, 64, 65, 255, 256, 257, 511, 513, 1023, 1024, 1025, 4095, 4096, 4097, 32767, 32768, 32769]
LD, CLD = np.longdouble, np.clongdouble


# ---- elements and operands

def elements(r, npr, dtype, count, tame=False):
    """Random ones; `tame`: neither special nor far apart."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return npr.random(count) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        if tame:
            return npr.integers(max(info.min, -100), 100, count).astype(dtype)
        wide = npr.integers(info.min, info.max, count, dtype, endpoint=True) >> npr.integers(0, info.bits, count).astype(dtype)
        edge = npr.choice(np.array([info.min, info.max, 0, 1], dtype), count)
        return np.where(npr.random(count) < 0.1, edge, wide)
    if dtype.kind == "f":
        if tame:
            return npr.standard_normal(count).astype(dtype)
        scaled = (npr.standard_normal(count) * np.exp2(npr.integers(-20, 20, count))).astype(dtype)
        info = np.finfo(dtype)
        edge = npr.choice(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.tiny, float(info.tiny) / 8, -float(info.tiny) / 16, 1, -1, 0.5]).astype(dtype), count)
        whole = npr.integers(-100, 100, count).astype(dtype)
        return np.choose(npr.choice([0, 1, 2], count, p=[0.6, 0.25, 0.15]), [scaled, whole, edge])
    part = "f4" if dtype.itemsize == 8 else "f8"
    out = np.empty(count, dtype)
    out.real, out.imag = elements(r, npr, part, count, tame), elements(r, npr, part, count, tame)
    return out


class Operand:
    """An array of any strides, and the memory that it lies in."""

    def __init__(self, r, name, values, plain=False):
        values = np.asarray(values)
        self.name, ndim, size = name, values.ndim, values.dtype.itemsize
        order = list(range(ndim))
        steps = [1] * ndim
        shift = 0
        if not plain:
            if r.random() < 0.4:
                r.shuffle(order)
            steps = [r.choice([1, 1, 1, 1, -1, 2, -3] if values.nbytes < 100_000 else [1, 1, 1, -1]) for _ in range(ndim)]
            shift = r.choice([0, 0, 0, 1, 4, size])
        lengths = [n * abs(s) + (0 if plain else r.choice([0, 0, 0, 1])) for n, s in zip(values.shape, steps)]
        strides, at = [0] * ndim, size
        for axis in reversed(order):
            strides[axis] = at
            at *= max(1, lengths[axis])
        offset = shift + sum((n - 1) * -s * st for n, s, st in zip(values.shape, steps, strides) if s < 0 and n > 0)
        strides = [s * st for s, st in zip(steps, strides)]
        self.memory = np.full(shift + at + size, 0xC3, np.uint8)
        if values.size == 0:
            offset = 0
        self.array = np.ndarray(values.shape, values.dtype, self.memory, offset, strides)
        self.array[...] = values
        self.fields = [name, values.dtype.name, numbers(values.shape), numbers(strides), str(offset), str(self.memory.size)]
        self.values = np.ascontiguousarray(values).reshape(values.shape)


def numbers(values):
    return ",".join(str(int(v)) for v in values)


def write(file, text, operands, result, tolerance=0.0):
    if result is None:
        head = ["error", "", ""]
    else:
        result = np.asarray(result)
        head = ["ok", result.dtype.name, numbers(result.shape)]
    fields = [text, *head]
    for operand in operands:
        fields += operand.fields
    file.write(("\t".join(fields) + "\n").encode())
    for operand in operands:
        file.write(operand.memory.tobytes())
    if result is not None:
        file.write(result.tobytes())
        file.write(np.broadcast_to(np.asarray(tolerance, np.float64), result.shape).tobytes())


def shape_of(r):
    kind = r.randrange(10)
    if kind == 0:
        return ()
    if kind < 5:
        return (r.choice(LENGTHS),)
    if kind < 8:
        n = r.choice([1, 3, 17, 64, 255, 257, 1024, 1025])
        m = r.choice([1, 2, 3, 5, 33, 256, 700])
        shape = (n, min(m, 33_000 // n + 1))
        return shape if r.random() < 0.5 else shape[::-1]
    return tuple(r.choice([0, 1, 2, 3, 5, 8, 31] if r.random() < 0.2 else [1, 2, 3, 5, 8, 31]) for _ in range(r.choice([3, 4])))


def part_of_shape(r, shape):
    if r.random() < 0.6:
        return shape
    shape = [1 if r.random() < 0.4 else n for n in shape]
    return tuple(shape[r.randrange(len(shape) + 1):] if r.random() < 0.4 else shape)


# ---- expressions of exact operations

SPACE = {name: getattr(np, name) for name in "sqrt abs negative square reciprocal floor ceil trunc rint where minimum maximum fmin fmax isnan isinf isfinite real imag conjugate invert remainder fmod floor_divide logical_and logical_or logical_xor logical_not left_shift right_shift equal less sign".split()}
SPACE |= {name: getattr(np, name) for name in NAMES[1:]} | {"bool": np.bool_, "absolute": np.absolute}


class Exact:
    def __init__(self, r, operands):
        self.r, self.operands = r, operands
        self.free_zeros = False

    def leaf(self):
        operand = self.r.choice(self.operands)
        if operand.array.ndim and self.r.random() < 0.15:
            return f"{operand.name}[::-1]", np.ascontiguousarray(operand.values[::-1])
        return operand.name, operand.values

    def number(self, kind):
        if kind in "iu":
            return self.r.choice(["1", "2", "3", "7", "100", "0"])
        return self.r.choice(["1", "2", "0.5", "3.25", "1e3", "0", "-1.5"])

    def tree(self, depth):
        while True:
            made = self.tree_or_not(depth)
            if made is not None:
                return made

    def cast(self, text, x, dtype):
        # What a float outside an integer's range becomes depends on NumPy's loop; loops_numpy_test.cc has it.
        if np.dtype(dtype).kind in "iu" and x.dtype.kind in "fc":
            return None
        return f"{dtype}({text})", np.asarray(x).astype(dtype)

    def tree_or_not(self, depth):
        r = self.r
        if depth == 0 or r.random() < 0.1:
            return self.leaf()
        text, x = self.tree(depth - 1)
        kind = x.dtype.kind
        choice = r.randrange(13)
        if choice == 0:
            return self.cast(text, x, r.choice(NAMES))
        if choice == 1:
            f = r.choice({"b": ["~", "logical_not"], "i": ["-", "~", "abs", "square", "sign"], "u": ["-", "~", "abs", "square", "sign"],
                          "f": ["-", "abs", "square", "sqrt", "floor", "ceil", "trunc", "rint", "reciprocal", "sign"],
                          "c": ["-", "real", "imag", "conjugate"]}[kind])
            made = f"({f}{text})" if f in "-~" else f"{f}({text})"
            return self.made(made, x)
        if choice == 2:
            f = r.choice(["isnan", "isinf", "isfinite", "logical_not"])
            return self.made(f"{f}({text})", x)
        if choice == 3:
            condition, c = self.tree(depth - 1)
            other, y = self.tree(depth - 1)
            made = f"where({condition}, {text}, {other})"
            return self.computed(made, lambda: np.where(c.astype(bool), x, y))
        other, y = (self.number(kind), None) if r.random() < 0.3 else self.tree(depth - 1)
        if y is None:
            y = eval(other)
            if kind == "b" and r.random() < 0.9:
                return None
        if r.random() < 0.3:
            text, x, other, y = other, y, text, x
        ops = ["+", "-", "*", "==", "!=", "<", "<=", ">", ">="]
        both = np.result_type(x, y).kind
        if both in "biu":
            ops += ["&", "|", "^", "//", "%", "/"]
        if both in "f":
            ops += ["/", "//", "%", "/"]
        op = r.choice(ops)
        if op in ("==", "!=", "<", "<=", ">", ">=") and both in "f" and all(np.asarray(v).dtype.kind in "iu" for v in (x, y)):
            return None  # int64 and uint64: NumPy 1 rounds
        if op in ("<", "<=", ">", ">=") and both == "c":
            return None
        if both in "iu" and r.random() < 0.15:
            f = r.choice(["minimum", "maximum", "remainder", "fmod", "floor_divide"])
            return self.computed(f"{f}({text}, {other})", lambda: SPACE[f](x, y))
        return self.computed(f"({text} {op} {other})", lambda: eval(f"x {op} y", {"x": x, "y": y}))

    def made(self, text, x):
        # x's own text is evaluated already: what stands around it is applied.
        return self.computed(text, lambda: self.around(text, x))

    @staticmethod
    def around(text, x):
        if text[0] == "(":
            return -x if text[1] == "-" else ~x
        return SPACE[text.split("(")[0]](x)

    @staticmethod
    def computed(text, compute):
        try:
            x = np.asarray(compute())
        except (TypeError, ValueError, OverflowError):
            return None
        if x.dtype == np.float16:
            return None
        if x.dtype.kind in "iub" and text.split("(")[0] in ("floor", "ceil", "trunc", "rint"):
            return None
        return text, np.ascontiguousarray(x).reshape(x.shape)


def operands_of(r, npr, shape, count, dtypes=NAMES, tame=False):
    made = []
    for i in range(count):
        part = part_of_shape(r, shape)
        values = elements(r, npr, r.choice(dtypes), int(np.prod(part, dtype=np.int64)), tame).reshape(part)
        made.append(Operand(r, "abcd"[i], values, r.random() < 0.3))
    return made


def element_records(r, npr, file, count):
    for i in range(count):
        shape = shape_of(r)
        if i % 40 == 0:
            shape = r.choice([(200_000,), (300, 700), (70_001, 3), (3, 70_001)])
        operands = operands_of(r, npr, shape, r.choice([1, 2, 3, 3]), r.choice([NAMES, NAMES, ["float64"], ["float32", "float64"], ["int8", "uint8", "bool"], ["int64", "uint64"]]))
        exact = Exact(r, operands)
        text, x = exact.tree(r.choice([1, 2, 3, 4]))
        write(file, text, operands, x)
        if r.random() < 0.15 and x.dtype.kind in "fc":
            other = elements(r, npr, x.dtype, x.size).reshape(x.shape)
            more = Operand(r, "e", other)
            f = r.choice(["minimum", "maximum", "fmin", "fmax"])
            y = getattr(np, f)(x, other)
            write(file, f"{f}({text}, e)", [*operands, more], y, -1)


# ---- functions

FUNCTIONS = "exp expm1 exp2 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh cbrt".split()


def function_records(r, npr, file, count):
    for _ in range(count):
        dtype = r.choice(["float32", "float64"])
        shape = shape_of(r)
        a = elements(r, npr, dtype, int(np.prod(shape)), r.random() < 0.7).reshape(shape)
        f = r.choice(FUNCTIONS + ["**", "hypot", "arctan2"])
        finfo = np.finfo(dtype)
        operands = [Operand(r, "a", a)]
        if f in FUNCTIONS:
            text, x = f"{f}(a)", getattr(np, f)(a.astype(LD))
        else:
            b = elements(r, npr, dtype, int(np.prod(shape)), True).reshape(shape)
            operands.append(Operand(r, "b", b))
            if f == "**":
                a = np.abs(a)
                text, x = "abs(a) ** b", np.power(a.astype(LD), b.astype(LD))
            else:
                text, x = f"{f}(a, b)", getattr(np, f)(a.astype(LD), b.astype(LD))
        result = x.astype(dtype)
        write(file, text, operands, result, np.where(np.isfinite(result), 2 * float(finfo.eps) * np.abs(result).astype(np.float64) + float(finfo.smallest_subnormal), 0))


# ---- truths

TRUTHS_ONE = """negative abs absolute fabs sign invert square reciprocal conj real imag floor ceil trunc fix rint round sqrt cbrt exp expm1 exp2 log
log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh isnan isinf isfinite signbit angle logical_not degrees
radians sum prod min max mean var std any all argmin argmax count_nonzero norm ptp""".split()
TRUTHS_TWO = """add subtract multiply divide floor_divide remainder fmod power minimum maximum fmin fmax hypot arctan2 copysign bitwise_and bitwise_or
bitwise_xor left_shift right_shift equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor""".split()
TRUTHS_OPERATORS = "+ - * / // % ** & | ^ << >> == != < <= > >=".split()


def truth_answer(text, names):
    """NumPy 2's answer, how far ours may be, or nothing where NumPy refuses. Where it would be float16, that of float32."""
    function = text.split("(")[0]
    if text == "+a":
        return None, 0.0  # NumPy 1.24 warns only
    if function in ("floor", "ceil", "trunc", "fix"):
        return names["a"], 0.0  # since NumPy 2.1
    if text == "a ** 2.0":
        text = "power(a, 2.0)"  # NumPy 1.24 squares for 2.0 as for 2
    if function in ("degrees", "radians"):
        names = {"a": names["a"].astype("f8")}
    space = {**vars(np), "norm": np.linalg.norm}
    try:
        x = np.asarray(eval(text, space, names))
        if x.dtype == np.float16:
            x = np.asarray(eval(text, space, {name: values.astype("f4") for name, values in names.items()}))
    except (TypeError, ValueError):
        return None, 0.0
    if x.dtype.kind != "f":
        return x, 0.0
    return x, np.where(np.isfinite(x), 2 * float(np.finfo(x.dtype).eps) * np.abs(x).astype(np.float64), 0)


def truth_records(r, npr, file, count):
    a, b = np.array([False, True, False, True]), np.array([False, False, True, True])
    operands = [Operand(r, "a", a), Operand(r, "b", b)]
    texts = ["+a", "-a", "~a", "round(a, 1)", "round(a, -1)", "clip(a, False, True)", "clip(a, 0, 1)", "clip(a, 0.5, None)", "where(a, b, 2)", "where(a, b, 0.5)",
             "where(a, b, True)"]
    texts += [f"{f}(a)" for f in TRUTHS_ONE]
    for other in ("b", "True", "False", "1", "2", "0", "-1", "3", "0.5", "2.0"):
        texts += [f"{f}(a, {other})" for f in TRUTHS_TWO] + [f"{f}({other}, a)" for f in TRUTHS_TWO]
        texts += [f"a {o} {other}" for o in TRUTHS_OPERATORS] + [f"{other} {o} a" for o in TRUTHS_OPERATORS]
    for text in texts:
        x, tolerance = truth_answer(text, {"a": a, "b": b})
        write(file, text, operands, x, tolerance)
    # Without arrays, too, they are NumPy's and not Python's.
    for text, value in [("True + True", np.True_), ("True * False", np.False_), ("True + 1", np.int64(2)), ("True + 0.5", 1.5), ("~True", np.False_), ("(1 < 2) + (3 < 4)", np.True_),
                        ("True ** 2", np.int8(1)), ("abs(True)", np.True_), ("-True", None), ("+True", None), ("True - True", None)]:
        write(file, text, [], value)


# ---- reductions

REDUCTIONS = "sum prod min max mean var std any all argmin argmax count_nonzero norm ptp nansum nanprod nanmin nanmax nanmean nanvar nanstd nanargmin nanargmax".split()


def is_whole(x):
    return x.dtype.kind in "biu"


def real_dtype(x):
    return np.dtype("float64") if is_whole(x) else np.dtype({8: "f4", 16: "f8"}[x.dtype.itemsize]) if x.dtype.kind == "c" else x.dtype


def wide(x):
    return x.astype(CLD if x.dtype.kind == "c" else LD)


def power2(x):
    return np.real(x) ** 2 + np.imag(x) ** 2


def size_of(x):
    return np.abs(np.real(x)) + np.abs(np.imag(x))


class Reduced:
    """Reference results in 80 bits, with how far ours may be."""

    def __init__(self, x, axis, keepdims, ddof):
        self.x, self.axis, self.keepdims, self.ddof = x, axis, keepdims, ddof
        self.options = {"axis": axis, "keepdims": keepdims}
        axes = range(x.ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
        self.count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
        self.eps = float(np.finfo(real_dtype(x)).eps)

    def total(self, y, where=True):
        """The sum in 80 bits, and the error that a sum in 106 (float64) or 53 bits (float32) may have."""
        sums = np.sum(y, **self.options, where=where)
        sizes = np.sum(size_of(y), **self.options, where=where)
        unit = 2.0**-61 if self.eps < 1e-10 else 2.0**-50
        return sums, sizes.astype(np.float64) * unit

    def rounded(self, value, error, dtype):
        result = value.astype(dtype)
        return result, np.where(np.isfinite(result), error + self.eps * size_of(result).astype(np.float64), 0)

    def answer(self, name):
        x, options = self.x, self.options
        whole = is_whole(x)
        if name.startswith("nan") and whole and name != "nansum" and name != "nanprod":
            name = name[3:]
        valid = True if whole else ~np.isnan(x)
        if name in ("sum", "prod", "nansum", "nanprod") and whole:
            return getattr(np, name.replace("nan", ""))(x, **options), 0.0
        if name in ("min", "max"):
            return getattr(np, name)(x, **options), -1.0
        if name in ("nanmin", "nanmax"):
            return getattr(np, {"nanmin": "fmin", "nanmax": "fmax"}[name]).reduce(x, **options), -1.0
        if name in ("any", "all"):
            return getattr(np, name)(x, **options), 0.0
        if name == "count_nonzero":
            return np.sum(x.astype(bool), dtype=np.int64, **options), 0.0
        if name in ("argmin", "argmax", "nanargmin", "nanargmax"):
            return np.asarray(getattr(np, name)(x, **options), np.int64), 0.0
        if name == "ptp":
            return np.asarray(np.max(x, **options) - np.min(x, **options)), -1.0
        if name in ("sum", "nansum"):
            value, error = self.total(wide(x), valid if name[0] == "n" else True)
            return self.rounded(value, error, x.dtype)
        if name in ("prod", "nanprod"):
            value = np.prod(wide(x), **options, where=valid if name[0] == "n" else True)
            return self.rounded(value, size_of(value).astype(np.float64) * (self.count * 8 * 2.0**-53), x.dtype)
        if name in ("mean", "nanmean"):
            where = valid if name[0] == "n" else True
            counts = np.sum(np.broadcast_to(where, x.shape), **options)
            value, error = self.total(wide(x), where)
            if whole:
                error = error + np.sum(np.abs(wide(x)), **options).astype(np.float64) * 2.0**-53
            return self.rounded(value / counts, error / np.maximum(counts, 1), "f8" if whole else x.dtype)
        if name in ("var", "std", "nanvar", "nanstd"):
            nan = name[0] == "n"
            where = np.broadcast_to(valid if nan else True, x.shape)
            kept = {"axis": self.axis, "keepdims": True}
            counts = np.sum(where, **options)
            centre = np.sum(wide(x), where=where, **kept) / np.sum(where, **kept)
            squares = np.sum(power2(wide(x) - centre), where=where, **options)
            freedom = counts - self.ddof
            value = squares / np.maximum(freedom, 0)
            if nan:
                value = np.where(freedom > 0, value, LD(np.nan))
            largest = np.max(size_of(np.where(where & np.isfinite(x), x, 0)).astype(np.float64), initial=0, **options)
            error = 32 * 2.0**-53 * value.astype(np.float64) + (4 * 2.0**-53 * largest) ** 2 * 8
            if name.endswith("std"):
                root = np.sqrt(value)
                error = np.where(root > 0, error / np.maximum(2 * root.astype(np.float64), 1e-300), np.sqrt(error))
                value = root
            return self.rounded(value, np.asarray(error, np.float64), real_dtype(x))
        if name == "norm":
            value = np.sqrt(np.sum(power2(wide(x)), **options))
            return self.rounded(value, 8 * 2.0**-53 * value.astype(np.float64), real_dtype(x))
        raise AssertionError(name)


SHAPES = [(), (1,), (5,), (64,), (1000,), (7, 9, 11), (3, 2000, 5), (2000, 3, 5), (5, 3, 2000), (2, 3, 4, 5, 6), (100, 31), (100, 33), (33, 100),
          (1, 1, 1), (40, 1024), (40, 1025), (0,), (0, 5), (5, 0), (3, 0, 4)]
LARGE_SHAPES = [(32768,), (32769,), (100_000,), (200_003,), (40_000, 3), (3, 40_000), (70_000, 1), (70_000, 2), (2, 50_000), (50_000, 2), (30, 40, 50),
                (513, 2, 130)]
HUGE_SHAPES = [(600, 1024), (1300, 1100), (17, 70_000), (70_000, 17)]


def some_values(r, npr, name, dtype, shape):
    count = int(np.prod(shape, dtype=np.int64))
    tame = r.random() < 0.5
    if "prod" in name and np.dtype(dtype).kind in "fc":
        values = (1 + 0.5 * elements(r, npr, dtype, count, True) / max(1, count) ** 0.5).astype(dtype)
    elif np.dtype(dtype).kind in "fc" and not tame and ("sum" in name or "mean" in name or "var" in name or "std" in name or name == "norm" or name == "ptp"):
        # Far apart, but of a finite sum of squares.
        values = elements(r, npr, dtype, count, True) * np.exp2(npr.integers(-10, 10, count)).astype(dtype) + np.asarray(r.choice([0, 0, 1000]), dtype)
        values = values.astype(dtype)
        if r.random() < 0.25 and count:
            values[npr.integers(0, count, 1 + count // 1000)] = r.choice([np.nan, np.nan, np.inf, -np.inf])
    else:
        values = elements(r, npr, dtype, count, tame)
        if np.dtype(dtype).kind in "fc" and r.random() < 0.6:
            values = np.where(np.isnan(values), np.asarray(1, dtype), values)
    if np.dtype(dtype).kind in "fc" and "nan" in name and count:
        values[npr.random(count) < r.choice([0.01, 0.3, 0.9])] = np.nan
    if "arg" in name and r.random() < 0.4 and np.dtype(dtype).kind != "b":
        values = npr.integers(0, 3, count).astype(dtype)
    return values.reshape(shape)


def reduction_records(r, npr, file, count):
    done = 0
    while done < count:
        name = REDUCTIONS[done % len(REDUCTIONS)]
        dtype = NAMES[(done // len(REDUCTIONS)) % len(NAMES)]
        if name == "ptp" and dtype == "bool":
            dtype = "int8"
        shape = r.choice(r.choices([SHAPES, LARGE_SHAPES, HUGE_SHAPES], [0.68, 0.28, 0.04])[0])
        kind = r.randrange(3)
        if kind == 0 or not shape:
            axis = None
        elif kind == 1 or "arg" in name:
            axis = r.randrange(len(shape))
        else:
            axis = tuple(sorted(r.sample(range(len(shape)), r.randrange(0, len(shape) + 1))))
        keepdims = r.random() < 0.3
        ddof = r.choice([0, 0, 1, 2]) if name.endswith(("var", "std")) else 0
        x = some_values(r, npr, name, dtype, shape)
        operand = Operand(r, "a", x, r.random() < 0.5)
        text = "a"
        if x.ndim == 2 and r.random() < 0.15:
            text, x = "a.T", np.ascontiguousarray(x.T)
        elif r.random() < 0.1 and x.ndim:
            text, x = "a[::-1]", np.ascontiguousarray(x[::-1])
        arguments = ""
        if axis is not None or r.random() < 0.2:
            axis_text = axis if axis is None or isinstance(axis, tuple) or r.random() < 0.5 else axis - len(shape)
            arguments += f", axis={axis_text}"
        if keepdims:
            arguments += ", keepdims=True"
        if ddof:
            arguments += f", ddof={ddof}"
        text = f"{text}.{name}({arguments[2:]})" if r.random() < 0.3 else f"{name}({text}{arguments})"
        done += 1
        try:
            result, tolerance = Reduced(x, axis, keepdims, ddof).answer(name)
        except ValueError:
            write(file, text, [operand], None)
            continue
        write(file, text, [operand], result, tolerance)


# ---- what people write

def relative(x, by=2.0**-44):
    return by * np.abs(np.asarray(x)).astype(np.float64)


def compound_records(r, npr, file, count):
    shapes = [(1000,), (50, 70), (3000, 3), (3, 3000), (40_000, 2), (300, 400), (1, 1), (64, 1025)]
    for i in range(count):
        shape = r.choice(shapes)
        last = len(shape) - 1
        x, y = (npr.standard_normal(shape) for _ in range(2))
        a, b = Operand(r, "a", x), Operand(r, "b", y)
        X, Y = x.astype(LD), y.astype(LD)
        n = x.shape[last]
        cases = [
            ("sum((a - b)**2)", np.sum(((x - y) ** 2).astype(LD)), None),
            (f"sum((a - b)**2, axis={last})", np.sum(((x - y) ** 2).astype(LD), axis=last), None),
            ("a - mean(a)", X - np.mean(X), 2.0**-50 * np.max(np.abs(x))),
            ("a - mean(a, axis=0)", X - np.mean(X, axis=0), 2.0**-50 * np.max(np.abs(x))),
            (f"max(abs(a), axis={last})", np.max(np.abs(x), axis=last), 0),
            ("std(a, ddof=0) / mean(b**2)", np.std(X) / np.mean(Y**2), None),
            (f"exp(a - max(a, axis={last}, keepdims=True)) / sum(exp(a - max(a, axis={last}, keepdims=True)), axis={last}, keepdims=True)",
             np.exp(X - np.max(X, axis=last, keepdims=True)) / np.sum(np.exp(X - np.max(X, axis=last, keepdims=True)), axis=last, keepdims=True), None),
            (f"var(a, axis={last}, ddof=1)", np.var(X, axis=last, ddof=1) if n > 1 else np.full(x.shape[:last], np.nan), None),
            ("sqrt(sum(a * a)) + norm(b)", np.sqrt(np.sum(X * X)) + np.sqrt(np.sum(Y * Y)), None),
            (f"max(sum(a, axis={last}))", np.max(np.sum(X, axis=last)), 2.0**-48 * np.max(np.sum(np.abs(X), axis=last))),
            ("mean(a > 0)", np.mean(x > 0, dtype=LD), None),
            ("sum(where(a > b, 1, 0))", np.asarray(np.sum(x > y)), 0),
            ("argmax(abs(a))", np.asarray(np.argmax(np.abs(x))), 0),
            (f"argmin(a * b, axis={last})", np.argmin(x * y, axis=last), 0),
            ("all(abs(a) < 10) & any(a > b)", np.asarray(np.all(np.abs(x) < 10) & np.any(x > y)), 0),
            ("2*a + 3*b - 1", 2 * x + 3 * y - 1, 0),
            ("where(isnan(a / a), 0, a)", np.where(np.isnan(x / x), 0, x), 0),
            ("mean((a - mean(a, axis=0)) * (b - mean(b, axis=0)), axis=0)", np.mean((X - np.mean(X, axis=0)) * (Y - np.mean(Y, axis=0)), axis=0), 2.0**-45),
            ("(a - min(a)) / ptp(a)", (x - np.min(x)) / np.ptp(x), 0),
            ("sum(a[1:] - a[:-1])", np.sum((x[1:] - x[:-1]).astype(LD)), 2.0**-50 * np.sum(np.abs(x))),
            ("sum(b)*a", np.float64(np.sum(Y)) * x, 2.0**-50 * np.sum(np.abs(y)) * np.abs(x)),
        ]
        text, wanted, tolerance = cases[i % len(cases)]
        wanted = np.asarray(wanted)
        if wanted.dtype == LD:
            wanted = wanted.astype(np.float64)
        write(file, text, [a, b], wanted, relative(wanted) + 1e-300 if tolerance is None else tolerance)
    for text, value in [("2+3", 5), ("pi", np.pi), ("True", True), ("2 ** 0.5", 2**0.5), ("1j * 1j", complex(-1, 0)), ("float32(2)", np.float32(2)),
                        ("inf - 1", np.inf), ("nan", np.nan), ("2 < 3", True), ("where(2 < 3, 4, 5.5)", 4.0), ("sum(3)", 3), ("uint8(255) + uint8(1)", np.uint8(0)),
                        ("mean(2.5)", 2.5), ("var(2.5)", 0.0), ("-1 // 2", -1), ("astype(3, complex64)", np.complex64(3))]:
        write(file, text, [], np.asarray(value))
    s = Operand(r, "s", np.float32(3.5))
    v = Operand(r, "v", np.arange(5, dtype="int16"))
    for text, value in [("s", np.float32(3.5)), ("s * 2", np.float32(7)), ("sum(s)", np.float32(3.5)), ("s[...]", np.float32(3.5)), ("s[None]", np.full(1, 3.5, "f4")),
                        ("s + v", np.float32(3.5) + np.arange(5, dtype="int16")), ("(s + 1) * v", np.asarray(np.float32(4.5)) * np.arange(5, dtype="int16")),
                        ("v * (s + 1)", np.arange(5, dtype="int16") * np.asarray(np.float32(4.5))), ("where(s > 1, v, 0)", np.arange(5, dtype="int16")),
                        ("max(v) - v", 4 - np.arange(5, dtype="int16"))]:
        write(file, text, [s, v], np.asarray(value))


def main():
    seed, what, count = int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    r, npr = random.Random(seed), np.random.default_rng(seed)
    records = {"elements": element_records, "functions": function_records, "truths": truth_records, "reductions": reduction_records, "compounds": compound_records}
    with open(sys.argv[1], "wb") as file:
        records[what](r, npr, file, count)


main()
