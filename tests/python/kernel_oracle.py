"""Writes random cases and NumPy's answers to them, for tests/unit/kernel_numpy_test.cc.

    kernel_oracle.py FILE SEED

Records as records.py's. What cannot be decided by bits is math.fsum's.
"""

import math
import random
import struct
import sys

import numpy as np

from records import DTYPES, Writer


def random_view(rng, base):
    """Slices, reversals, transposes of `base`."""
    view = base
    for axis in range(view.ndim):
        if rng.random() < 0.4 and view.shape[axis] > 2:
            start, step = rng.randrange(2), rng.choice([1, 1, 2, 3, -1, -2])
            index = [slice(None)] * view.ndim
            index[axis] = slice(start, None, step) if step > 0 else slice(None, start, step)
            view = view[tuple(index)]
    if rng.random() < 0.3:
        view = view.transpose(rng.sample(range(view.ndim), view.ndim))
    return view


def random_shape(rng):
    if rng.random() < 0.3:
        return (rng.choice([1, 2, 3, 9, 16, 17, 100, 1000, 16384, 16385, 131071, 131072, 131073, 200003]),)
    return tuple(rng.choice([1, 2, 3, 5, 8, 17, 40, 61]) for _ in range(rng.randrange(0, 4)))


def random_elements(rng, npr, dtype, shape):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return npr.random(shape) < rng.choice([0, 0.01, 0.5, 1])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return npr.integers(info.min, info.max, shape, dtype, endpoint=True)
    scale = rng.choice([0, 3, 20])
    return (npr.standard_normal(shape) * np.exp2(npr.integers(-scale, scale, shape, endpoint=True))).astype(dtype)


def write_reductions(writer, rng, npr):
    for _ in range(700):
        name = rng.choice(list(DTYPES)[:11])
        base = np.ascontiguousarray(random_elements(rng, npr, name, random_shape(rng)))
        if base.dtype.kind == "f" and base.size and rng.random() < 0.15:
            base.flat[rng.randrange(base.size)] = rng.choice([np.nan, np.inf, -np.inf])
        view = random_view(rng, base)
        op = rng.choice(["sum", "min", "max"])
        if view.size == 0 and op != "sum":
            continue
        result = getattr(np, op)(view)
        if op == "sum" and view.dtype.kind == "f" and np.isfinite(result):
            result = view.dtype.type(math.fsum(float(x) for x in view.flat))
        writer.record("redu")
        writer.bytes(op.encode())
        writer.array(base, view)
        result = np.asarray(result)
        writer.number(DTYPES[result.dtype.name])
        writer.bytes(result.tobytes())


def write_linspaces(writer, rng):
    ends = [0.0, -0.0, 1.0, -1.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e308, -1.7e308, 0.1, 1 / 3, np.pi]
    for _ in range(1500):
        start, stop = (rng.choice(ends) if rng.random() < 0.3 else math.ldexp(rng.uniform(-1, 1), rng.randint(-1074, 1020))
                       if rng.random() < 0.3 else rng.uniform(-3, 3) for _ in range(2))
        num = rng.choice([1, 2, 3, 5, 10, 100, rng.randrange(1, 700)])
        with np.errstate(all="ignore"):
            values = np.linspace(start, stop, num)
        writer.record("lins")
        writer.bytes(struct.pack("<dd", start, stop))
        writer.number(num)
        writer.bytes(values.tobytes())


def escape_counts(nx, ny, x_min, x_max, y_min, y_max, max_iter):
    x, y = np.linspace(x_min, x_max, nx), np.linspace(y_min, y_max, ny)
    cx, cy = (a.ravel() for a in np.meshgrid(x, y, indexing="ij"))
    counts = np.zeros(nx * ny, np.int64)
    zx, zy, at = np.zeros_like(cx), np.zeros_like(cy), np.arange(nx * ny)
    for _ in range(max_iter):
        inside = zx * zx + zy * zy <= 4
        zx, zy, cx, cy, at = zx[inside], zy[inside], cx[inside], cy[inside], at[inside]
        if not at.size:
            break
        counts[at] += 1
        zx, zy = (zx * zx - zy * zy) + cx, 2 * (zx * zy) + cy
    return counts


def write_mandelbrots(writer, rng):
    grids = [(120, 80, -2.0, 1.0, -1.5, 1.5, 1000), (1, 50, -1.0, -1.0, -1.0, 1.0, 300),
             (50, 1, -2.0, 0.5, 0.0, 0.0, 300)]
    for _ in range(20):
        x, y = rng.uniform(-2, 0.5), rng.uniform(-1, 1)
        side = math.exp(rng.uniform(-8, 1))
        grids.append((rng.randrange(1, 50), rng.randrange(1, 50), x - side, x + side, y + side, y - side,
                      rng.choice([1, 7, 16, 100, 700])))
    for grid in grids:
        with np.errstate(all="ignore"):
            counts = escape_counts(*grid)
        writer.record("mand")
        writer.number(grid[0], grid[1], grid[6])
        writer.bytes(struct.pack("<4d", *grid[2:6]))
        writer.bytes(counts.tobytes())


def write_products(writer, rng, npr):
    for _ in range(250):
        m, k, n = (rng.choice([0, 1, 2, 3, 7, 16, 33, 70, 150]) for _ in range(3))
        stack = [rng.choice([1, 2, 3]) for _ in range(rng.randrange(0, 3))]

        def operand(rows, columns):
            shape = [1 if rng.random() < 0.2 else d for d in stack[rng.randrange(0, len(stack) + 1):]]
            # Small integers: every order of additions gives the same sum.
            dense = npr.integers(-8, 9, shape + [2 * rows, 3 * columns]).astype(name)
            view = dense[..., :rows, :columns] if rng.random() < 0.5 else dense[..., ::2, ::-3]
            if rng.random() < 0.3:
                dense = npr.integers(-8, 9, shape + [columns, rows]).astype(name)
                view = dense.swapaxes(-1, -2)
            return dense, view

        name = rng.choice(["float32", "float64"])
        (base_a, a), (base_b, b) = operand(m, k), operand(k, n)
        c = np.matmul(a, b)
        writer.record("matm")
        writer.array(base_a, a)
        writer.array(base_b, b)
        writer.number(c.ndim, *c.shape)
        writer.bytes(c.tobytes())


def main(path, seed):
    rng, npr = random.Random(seed), np.random.default_rng(seed)
    with open(path, "wb") as file:
        writer = Writer(file)
        write_reductions(writer, rng, npr)
        write_linspaces(writer, rng)
        write_mandelbrots(writer, rng)
        write_products(writer, rng, npr)
        writer.record("end.")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
