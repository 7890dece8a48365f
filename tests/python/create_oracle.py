"""Writes random cases of making and joining arrays, and NumPy's answers, for tests/unit/create_numpy_test.cc.

    create_oracle.py FILE SEED

Records as records.py's. A number without a dtype is a kind (0: integer, 1: real, 2: complex) and its bytes:
decimal digits, one float64, two.
"""

import math
import random
import struct
import sys
import warnings

import numpy as np

from kernel_oracle import random_elements
from records import DTYPES, Writer


def write_plain(writer, number):
    if isinstance(number, int):
        writer.number(0)
        writer.bytes(str(number).encode())
    elif isinstance(number, float):
        writer.number(1)
        writer.bytes(struct.pack("<d", number))
    else:
        writer.number(2)
        writer.bytes(struct.pack("<dd", number.real, number.imag))


def write_uniforms(writer, rng):
    for _ in range(60):
        key = rng.choice([0, 1, 7, 2**64 - 1, 2**64, 2**128 - 1, rng.getrandbits(64), rng.getrandbits(128)])
        counter = rng.choice([0, 1, 1000, 2**64 - 2, rng.getrandbits(63)])
        count = rng.choice([1, 3, 4, 5, 2047, 2049, 131072, 131073, 300001])
        low, high = rng.choice([(0.0, 1.0), (-1.0, 1.0), (3.0, 3.0), (0.1, 0.7), (-1e10, 1e-3)])
        for dtype in "float64", "float32":
            generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
            if dtype == "float64":
                values = generator.random(count) if (low, high) == (0, 1) else generator.uniform(low, high, count)
            else:
                low, high = 0.0, 1.0  # NumPy has no others
                values = generator.random(count, dtype=np.float32)
            writer.record("unif")
            writer.bytes(struct.pack("<QQQ", key % 2**64, key >> 64, counter))
            writer.bytes(struct.pack("<dd", low, high))
            writer.answer(values)


def random_real(rng):
    return rng.choice([rng.uniform(-5, 5), float(rng.randrange(-9, 9)), math.ldexp(rng.uniform(-1, 1), rng.randint(-60, 60)),
                       rng.choice([0.1, 0.5, 1 / 3, 1e16, -0.0, 5e-324, 1e-310, 1e300])])


def random_integer(rng, dtype):
    info = np.iinfo(dtype)
    return rng.choice([rng.randrange(-20, 300), rng.randint(int(info.min), int(info.max)), int(info.max) - rng.randrange(9),
                       int(info.min) + rng.randrange(9)])


def write_aranges(writer, rng):
    written = 0
    while written < 1500:
        name = rng.choice(list(DTYPES)[1:])
        dtype = np.dtype(name)
        if dtype.kind in "iu":
            start, step = random_integer(rng, dtype), rng.choice([1, 2, -1, -3, 7, rng.randrange(1, 2**40)])
            stop = start + step * rng.choice([0, 1, 2, 5, 1000, -3]) + rng.choice([0, 1, -1])
        else:
            start, step = random_real(rng), rng.choice([1.0, -0.1, 0.1, 1 / 3, random_real(rng), 3])
            stop = start + step * rng.uniform(-3, 2000) if rng.random() < 0.8 else start + step * rng.randrange(200)
            if rng.random() < 0.2:
                start, stop, step = int(start) if abs(start) < 1e6 else 5, 777, 3
        if step == 0 or not (math.isfinite(stop) and math.isfinite(start)):
            continue
        if isinstance(stop, int) and not -2**63 <= stop < 2**64:
            continue  # such numbers do not travel
        try:
            if abs((stop - start) / step) > 300000:
                continue
            with np.errstate(all="ignore"):
                values = np.arange(start, stop, step, dtype)
                if dtype.kind in "fc" and values.size and not np.isfinite(values[:2]).all():
                    continue
                # Some versions of NumPy let the first elements wrap.
                if dtype.kind in "iu" and not all(np.iinfo(dtype).min <= x <= np.iinfo(dtype).max
                                                  for x in (start, start + step)[:values.size]):
                    continue
        except OverflowError:
            continue
        writer.record("aran")
        for number in (start, stop, step):
            write_plain(writer, number)
        writer.answer(values)
        written += 1


def write_linspaces(writer, rng):
    for _ in range(1500):
        name = rng.choice(list(DTYPES))
        dtype = np.dtype(name)
        small = dtype.kind in "iu"
        if small:
            info = np.iinfo(dtype)
            start, stop = (rng.choice([rng.randint(int(info.min), int(info.max)), rng.uniform(float(info.min), float(info.max) / 2)])
                           for _ in range(2))
            if max(abs(start), abs(stop)) > 2**62:  # doubles that int64 does not hold
                continue
        else:
            start, stop = (rng.choice([random_real(rng), rng.randrange(-9, 9)]) for _ in range(2))
            if dtype.kind == "c" and rng.random() < 0.6:
                start = complex(start, random_real(rng))
                if rng.random() < 0.6:
                    stop = complex(stop, random_real(rng))
        if dtype.itemsize in (4, 8) and dtype.kind in "fc" and name != "float64" and max(abs(start), abs(stop)) > 1e38:
            continue
        num, endpoint = rng.choice([0, 1, 2, 3, 10, 100, rng.randrange(1, 3000)]), rng.random() < 0.6
        with np.errstate(all="ignore"):
            values = np.linspace(start, stop, num, endpoint, dtype=dtype)
        writer.record("lins")
        for number in (start, stop):
            write_plain(writer, number)
        writer.number(endpoint)
        writer.answer(values)


def write_eyes(writer, rng):
    for _ in range(150):
        rows, columns = (rng.choice([0, 1, 2, 3, 7, 100, 500]) for _ in range(2))
        diagonal = rng.choice([0, 1, -1, 2, -3, 6, -6, 99, -99, 500, -500, rng.randrange(-600, 600)])
        writer.record("eye.")
        writer.number(diagonal)
        writer.answer(np.eye(rows, columns, diagonal, dtype=rng.choice(list(DTYPES))))


def write_concatenations(writer, rng, npr):
    for _ in range(400):
        names = list(DTYPES) if rng.random() < 0.4 else [rng.choice(list(DTYPES))]
        count = rng.choice([1, 2, 3, 5, 14])
        stack = rng.random() < 0.4
        ndim = rng.randrange(0 if stack else 1, 5)
        largest = {0: 1, 1: 100000, 2: 600, 3: 60, 4: 20}[ndim]
        shape = [rng.choice([1, 2, 3, rng.randint(0, largest)]) for _ in range(ndim)]
        axis = rng.randrange(ndim + stack)
        operands = []
        for _ in range(count):
            mine = list(shape)
            if not stack:
                mine[axis] = rng.choice([0, 1, 1, 2, rng.randint(0, largest)])
            # A larger array, of which the operand is a view.
            view_of = rng.sample(range(ndim), ndim)
            steps = [rng.choice([1, 1, 2, -1, -2]) for _ in mine]
            base_shape = [mine[i] * abs(steps[i]) for i in range(ndim)]
            base = np.asarray(random_elements(rng, npr, rng.choice(names), [base_shape[i] for i in view_of]), order="C")
            view = base.transpose(np.argsort(view_of)) if ndim else base
            if ndim:
                view = view[tuple(slice(None, None, step) for step in steps)]
            if ndim and view.shape[-1] == 1 and rng.random() < 0.3:
                view = np.broadcast_to(view[..., :1], view.shape)
            operands.append((base, view))
        views = [view for _, view in operands]
        result = np.stack(views, axis) if stack else np.concatenate(views, axis)
        writer.record("conc")
        writer.number(axis - (ndim + stack if rng.random() < 0.3 else 0), stack, count)
        for base, view in operands:
            writer.array(base, view)
        writer.answer(result)


def main():
    path, seed = sys.argv[1], int(sys.argv[2])
    rng, npr = random.Random(seed), np.random.default_rng(seed)
    warnings.simplefilter("ignore")
    with open(path, "wb") as file:
        writer = Writer(file)
        write_uniforms(writer, rng)
        write_aranges(writer, rng)
        write_linspaces(writer, rng)
        write_eyes(writer, rng)
        write_concatenations(writer, rng, npr)
        writer.record("end.")


if __name__ == "__main__":
    main()
