"""Writes what Python makes of numbers and NumPy of dtypes, for tests/unit/expression_numpy_test.cc.

    expression_oracle.py FILE SEED

A line is fields between tabs. "number": an expression of numbers, then "int", "float" (its bits in hexadecimal), "complex" (both) or "bool" with
its value, or "error". "type": an expression of a, b and c, the dtypes of a and b (c is bool), then the result's dtype or "error".

NumPy 1.24 is asked to promote as NumPy 2 does (NEP 50). What NumPy 2 answers differently beyond that, or we do on purpose:
  - we have no float16: what NumPy makes float16 is float32;
  - floor, ceil, trunc and fix leave whole numbers as they are, as since NumPy 2.1;
  - degrees and radians of whole numbers are float64, whatever their width;
  - plus of bool is an error, as since NumPy 1.25;
  - whole numbers beyond a dtype's range compare by their value; elsewhere they are an error;
  - dividing whole numbers by one beyond their dtype's range, a / 300 of int8, is no error: the quotient is a float64;
  - where promotes numbers as ufuncs do: NumPy 1.24's does not yet;
  - ptp of bool, and whatever else NumPy refuses by TypeError, are errors here, too.
"""

import ast
import operator
import random
import struct
import sys
import warnings

warnings.simplefilter("ignore")
import numpy as np

np.seterr(all="ignore")
np._set_promotion_state("weak")

NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()
WHOLE = NAMES[:9]


# ---- numbers

BINARY = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod, ast.Pow: operator.pow, ast.BitAnd: operator.and_, ast.BitOr: operator.or_, ast.BitXor: operator.xor,
    ast.LShift: operator.lshift, ast.RShift: operator.rshift,
}
COMPARE = {ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}


class Skip(Exception):
    pass


def evaluate(node, top=True):
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        x = evaluate(node.operand, False)
        return {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Invert: operator.invert}[type(node.op)](x)
    if isinstance(node, ast.Compare):
        if len(node.ops) > 1 or not top:
            raise Skip
        return COMPARE[type(node.ops[0])](evaluate(node.left, False), evaluate(node.comparators[0], False))
    x, y = evaluate(node.left, False), evaluate(node.right, False)
    kind = type(node.op)
    whole = isinstance(x, int) and isinstance(y, int)
    if kind is ast.Pow and whole and abs(x) > 1 and y * abs(x).bit_length() > 90:
        raise Skip
    if kind is ast.LShift and whole and (y > 60 or abs(x) > 2**30):
        raise Skip
    if kind is ast.Div and whole and max(abs(x), abs(y)) > 2**53:
        raise Skip
    if (isinstance(x, complex) or isinstance(y, complex)) and kind not in (ast.Add, ast.Sub, ast.Mult):
        raise Skip
    if kind is ast.Pow and isinstance(x, float) and x < 0 and y != int(y):
        raise Skip
    result = BINARY[kind](x, y)
    if isinstance(result, int) and abs(result) > 2**90:
        raise Skip
    if isinstance(result, float) and (result != result or abs(result) == np.inf):
        raise Skip
    return result


def literal(r):
    kind = r.randrange(10)
    if kind < 6:
        return str(r.randrange(0, 12))
    if kind == 6:
        return r.choice(["0x1F", "0b101", "0o17", "1_000", "00", "4294967296"])
    if kind == 7:
        return r.choice(["1e3", "2.5e-3", ".5", "7.", "0.1", "1e-300", "1_0.2_5", "3E+2"])
    if kind == 8:
        return r.choice(["2j", "0.5j", "1e1J"])
    return str(r.randrange(0, 4))


def tokens(r, depth):
    def atom():
        text = "".join(r.choice("-+~") + r.choice(["", " "]) for _ in range(r.choice([0, 0, 0, 1, 2])))
        if depth and r.random() < 0.35:
            return text + "(" + tokens(r, depth - 1) + ")"
        return text + literal(r)

    text = atom()
    for _ in range(r.randrange(0, 5)):
        op = r.choice(["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>", "+", "-", "*"])
        if r.random() < 0.06:
            op = r.choice(["<", "<=", "==", "!=", ">", ">="])
        blank = r.choice(["", " "])
        text += blank + op + blank + atom()
    return text


def bits(x):
    return struct.pack(">d", x).hex()


def number_lines(r, file, count):
    done = 0
    while done < count:
        text = tokens(r, 2)
        try:
            x = evaluate(ast.parse(text, mode="eval").body)
            if isinstance(x, bool):
                answer = f"bool\t{int(x)}"
            elif isinstance(x, int):
                answer = f"int\t{x}" if -(2**63) <= x < 2**64 else "error"
            elif isinstance(x, float):
                answer = f"float\t{bits(x)}"
            else:
                answer = f"complex\t{bits(x.real)}\t{bits(x.imag)}"
        except (ZeroDivisionError, TypeError, ValueError):
            answer = "error"
        except (Skip, OverflowError):
            continue
        file.write(f"number\t{text}\t{answer}\n")
        done += 1


# ---- dtypes

UNARY_OPERATORS = ["-a", "+a", "~a"]
FUNCTIONS = """negative abs absolute fabs sign invert bitwise_not square reciprocal conj conjugate real imag floor ceil trunc fix rint sqrt cbrt exp
expm1 exp2 log log1p log2 log10 sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh isnan isinf isfinite signbit angle
logical_not degrees radians deg2rad rad2deg round""".split()
OPERATORS = "+ - * / // % ** & | ^ << >> == != < <= > >=".split()
TWO = """add subtract multiply divide true_divide floor_divide remainder mod fmod power minimum maximum fmin fmax hypot arctan2 copysign bitwise_and
bitwise_or bitwise_xor left_shift right_shift equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor""".split()
REDUCTIONS = """sum prod min amin max amax mean var std any all argmin argmax count_nonzero norm ptp nansum nanprod nanmin nanmax nanmean nanvar
nanstd nanargmin nanargmax""".split()
WEAK = ["2", "1", "0", "2.5", "2j", "0.5", "-1", "300", "-70000", "3000000000", "10000000000000000000"]


def count_nonzero(x, axis=None):
    return np.asarray(np.count_nonzero(x, axis=axis))


SPACE = {name: getattr(np, name) for name in FUNCTIONS + TWO + REDUCTIONS if hasattr(np, name)}
SPACE |= {"conj": np.conjugate, "norm": np.linalg.norm, "where": np.where, "clip": np.clip, "count_nonzero": count_nonzero}
SPACE |= {name: getattr(np, name) for name in NAMES[1:]} | {"bool": np.bool_}


def numpy_dtype(text, a, b):
    if text == "+a" and a.dtype == bool:
        raise TypeError
    if not any(word in text for word in ("a", "b")):
        return None
    result = eval(text, SPACE | {"a": a, "b": b, "c": np.ones(3, bool)})
    name = np.asarray(result).dtype.name
    return "float32" if name == "float16" else name


def wanted(text, name, a, other):
    """The dtype that we give on purpose; else NumPy's."""
    function = text.split("(")[0]
    if function in ("floor", "ceil", "trunc", "fix") and name in WHOLE:
        return name
    if function in ("degrees", "radians", "deg2rad", "rad2deg") and name in WHOLE:
        return "float64"
    try:
        return numpy_dtype(text, a, other)
    except (TypeError, ValueError, OverflowError):
        return "error"


def fits(number, name):
    return np.iinfo(name).min <= number <= np.iinfo(name).max


def type_lines(file):
    arrays = {name: np.ones(3, name) for name in NAMES}
    for name, a in arrays.items():
        for text in UNARY_OPERATORS + [f"{f}(a)" for f in FUNCTIONS] + [f"{f}(a)" for f in REDUCTIONS] + [f"{f}(a, axis=0)" for f in REDUCTIONS if f != "norm"]:
            if text.startswith("nanarg") and name == "bool":
                continue  # NumPy's own helper fails there
            file.write(f"type\t{text}\t{name}\t{name}\t{wanted(text, name, a, a)}\n")
        for other, b in arrays.items():
            for text in [f"a {o} b" for o in OPERATORS] + [f"{f}(a, b)" for f in TWO] + ["where(c, a, b)"]:
                file.write(f"type\t{text}\t{name}\t{other}\t{wanted(text, name, a, b)}\n")
        for number in WEAK:
            value = eval(number)
            far = isinstance(value, int) and (name in WHOLE and not fits(value, "int64" if name == "bool" else name))
            for o in OPERATORS:
                compares = o in ("==", "!=", "<", "<=", ">", ">=")
                for text in (f"a {o} {number}", f"({number}) {o} a"):
                    if far:
                        if name == "bool":
                            continue
                        answer = "bool" if compares else "float64" if o == "/" else "error"
                    elif o == "**" and text.startswith("a") and isinstance(value, int) and value < 0 and name in WHOLE:
                        answer = "error"
                    elif o in ("<<", ">>") and isinstance(value, int) and value > 10:
                        continue
                    else:
                        answer = wanted(text, name, a, a)
                    file.write(f"type\t{text}\t{name}\t{name}\t{answer}\n")
            if not far:
                for text in (f"where(c, a, {number})", f"where(c, {number}, a)"):
                    file.write(f"type\t{text}\t{name}\t{name}\t{np.result_type(a, value).name}\n")
                for text in (f"minimum(a, {number})", f"arctan2({number}, a)"):
                    file.write(f"type\t{text}\t{name}\t{name}\t{wanted(text, name, a, a)}\n")
        for to in NAMES:
            file.write(f"type\t{to}(a)\t{name}\t{name}\t{to}\n")


def main():
    with open(sys.argv[1], "w") as file:
        number_lines(random.Random(int(sys.argv[2])), file, 4000)
        type_lines(file)


main()
