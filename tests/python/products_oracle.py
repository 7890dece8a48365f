"""Writes random products and NumPy's answers to them, for tests/unit/products_numpy_test.cc.

    products_oracle.py FILE SEED

Records as records.py's: the kind's 4 letters, the operation, both operands, the result's dtype and shape, whether
it is exact (then its bytes follow) or a float one. Then real parts, imaginary parts and bounds follow: the product in
long double, and what float arithmetic may be away from it, (k + 4) eps |a| |b|.
"""

import random
import sys

import numpy as np

from records import DTYPES, Writer

OPERATIONS = {"matmul": 1, "dot": 2, "vecdot": 3, "outer": 4}
SIDES = [0, 1, 1, 2, 3, 4, 7, 8, 16, 17, 31, 33, 64, 65, 70, 100]


def random_elements(rng, npr, dtype, shape):
    if dtype.kind == "b":
        return npr.random(shape) < rng.choice([0, 0.05, 0.5, 1])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return npr.integers(info.min, info.max, shape, dtype, endpoint=True)
    scale = rng.choice([0, 2, 9])

    def part():
        return npr.standard_normal(shape) * np.exp2(npr.integers(-scale, scale, shape, endpoint=True))

    elements = np.asarray((part() + 1j * part()) if dtype.kind == "c" else part()).astype(dtype)
    if elements.size and rng.random() < 0.15:
        elements.flat[rng.randrange(elements.size)] = np.nan if dtype.kind == "c" else rng.choice([np.nan, np.inf, -np.inf, -0.0])
    return elements


def random_operand(rng, npr, dtype, shape):
    """A view of that shape, and the bytes that it is a view of."""
    dtype = np.dtype(dtype)
    ndim = len(shape)
    plain = rng.random() < 0.4
    steps = [1 if plain else rng.choice([1, 1, 1, 2, 3, -1, -2]) for _ in shape]
    lengths = [max(length, 1) * abs(step) + (0 if plain else rng.randrange(3)) for length, step in zip(shape, steps)]
    order = list(range(ndim))
    if rng.random() < 0.5:
        rng.shuffle(order)
    shift = 0 if rng.random() < 0.85 else rng.randrange(1, 8)
    base = np.zeros(int(np.prod(lengths, dtype=np.int64)) * dtype.itemsize + shift, np.uint8)
    full = np.ndarray([lengths[axis] for axis in order], dtype, base, shift).transpose(np.argsort(order) if ndim else None)
    view = full[(..., *(slice(None, None, step) for step in steps))][(..., *(slice(0, length) for length in shape))]
    view[...] = random_elements(rng, npr, dtype, shape)
    if ndim and view.size and rng.random() < 0.1:
        axis = rng.randrange(ndim)
        view = np.broadcast_to(view.take([0], axis), shape)
        one = np.ascontiguousarray(view[tuple(slice(0, 1) if i == axis else slice(None) for i in range(ndim))])
        return one, np.broadcast_to(one, shape)
    return base, view


def product(operation, a, b):
    if operation == "vecdot":
        if a.dtype.kind == "b":
            return (a & b).any(-1)
        return (np.conj(a) * b).sum(-1, dtype=a.dtype)
    return getattr(np, operation)(a, b)


def write(writer, operation, base_a, a, base_b, b):
    with np.errstate(all="ignore"):
        dtype = np.result_type(a.dtype, b.dtype)
        if dtype.kind == "c" and (np.isinf(a).any() or np.isinf(b).any()):
            return  # BLAS multiplies by alpha, 1 + 0i, which makes NaN of inf: NumPy's answers differ by their route
        k = 1 if operation == "outer" or not a.ndim or not b.ndim else a.shape[-1]
        left, right = a.astype(dtype), b.astype(dtype)
        exact = dtype.kind in "biu"
        if exact:
            result = np.asarray(product(operation, left, right))
            assert result.dtype == dtype, (operation, a.dtype, b.dtype)
        else:
            wide = np.clongdouble if dtype.kind == "c" else np.longdouble
            result = np.asarray(product(operation, left.astype(wide), right.astype(wide)))
            bound = product(operation, np.abs(left).astype(np.longdouble), np.abs(right).astype(np.longdouble))
            bound = np.asarray(bound * (k + 4) * np.finfo(dtype).eps * (4 if dtype.kind == "c" else 1), np.float64)
        writer.record("prod")
        writer.number(OPERATIONS[operation])
        writer.array(base_a, a)
        writer.array(base_b, b)
        writer.number(DTYPES[dtype.name], result.ndim, *result.shape)
        writer.number(1 if exact else 0)
        if exact:
            writer.bytes(result.tobytes())
        else:
            writer.bytes(np.asarray(result.real, np.float64).tobytes())
            writer.bytes(np.asarray(result.imag, np.float64).tobytes())
            writer.bytes(bound.tobytes())


def random_shapes(rng, operation):
    m, k, n = (rng.choice(SIDES) for _ in range(3))
    if rng.random() < 0.06:
        k = rng.choice([1000, 4095, 4096, 4097, 9000])
        m, n = min(m, 9), min(n, 9)
    stack = [rng.choice([1, 2, 3]) for _ in range(rng.randrange(0, 3))]

    def some():
        return [1 if rng.random() < 0.25 else d for d in stack[rng.randrange(0, len(stack) + 1):]]

    if operation == "outer":
        return [rng.choice([0, 1, 3, 7]) for _ in range(rng.randrange(0, 4))], some() + [n]
    if operation == "vecdot":
        return some() + [m, k], some() + [m, k] if rng.random() < 0.7 else rng.choice([[k], [m, k], [1, k]])
    if operation == "dot":
        draw = rng.random()
        if draw < 0.1:
            return rng.choice([([], [m, 3]), ([m], []), ([], [])])
        left = [rng.choice([1, 2, 3]) for _ in range(rng.randrange(0, 3))]
        right = [rng.choice([1, 2, 3]) for _ in range(rng.randrange(0, 3))]
        return (left + [m, k] if rng.random() < 0.7 else [k]), (right + [k, n] if rng.random() < 0.7 else [k])
    return (some() + [m, k] if rng.random() < 0.75 else [k]), (some() + [k, n] if rng.random() < 0.75 else [k])


def main(path, seed):
    rng, npr = random.Random(seed), np.random.default_rng(seed)
    with open(path, "wb") as file:
        writer = Writer(file)
        cases = [(operation, x, y) for operation in OPERATIONS for x in DTYPES for y in DTYPES]
        cases += [(rng.choice(list(OPERATIONS)), name, name) for name in DTYPES for _ in range(60)]
        for operation, x, y in cases:
            left, right = random_shapes(rng, operation)
            base_a, a = random_operand(rng, npr, x, left)
            base_b, b = random_operand(rng, npr, y, right)
            write(writer, operation, base_a, a, base_b, b)
        # What is cut into slices, tiles and strips.
        for operation, x, y, left, right in [
                ("dot", "float64", "float64", [300_001], [300_001]), ("dot", "float32", "float32", [600_001], [600_001]),
                ("dot", "complex128", "complex128", [140_000], [140_000]), ("vecdot", "complex64", "complex64", [300_000], [300_000]),
                ("dot", "int8", "int8", [2_200_000], [2_200_000]), ("dot", "int64", "int16", [300_000], [300_000]),
                ("vecdot", "bool", "bool", [2, 400_000], [400_000]), ("matmul", "float64", "float64", [5000, 70], [70]),
                ("matmul", "float64", "float64", [70], [70, 5000]), ("matmul", "float32", "float32", [3000], [3000, 300]),
                ("matmul", "float64", "float32", [20_000, 5], [5, 3]), ("matmul", "float64", "float64", [3, 20_000], [20_000, 5]),
                ("matmul", "uint8", "uint8", [300, 150], [150, 300]), ("matmul", "int32", "int16", [3, 20_000], [20_000, 70]),
                ("matmul", "complex64", "complex64", [150, 200], [200, 150]), ("outer", "float64", "int8", [700], [9000])]:
            base_a, a = random_operand(rng, npr, x, left)
            base_b, b = random_operand(rng, npr, y, right)
            write(writer, operation, base_a, a, base_b, b)
        writer.record("end.")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
