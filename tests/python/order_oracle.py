"""Writes random cases and NumPy's answers to them, for tests/unit/order_numpy_test.cc.

    order_oracle.py FILE SEED

Records as records.py's: parameters, operands, the answer.
"""

import math
import random
import struct
import sys
import warnings

import numpy as np

from records import DTYPES, Writer

NAMES = list(DTYPES)
FLAT = 99  # an axis that is left out


def random_view(rng, base):
    """Slices, reversals, transposes, stretched axes of `base`."""
    view = base
    for axis in range(view.ndim):
        if rng.random() < 0.4 and view.shape[axis] > 2:
            start, step = rng.randrange(2), rng.choice([1, 1, 2, 3, -1, -2])
            index = [slice(None)] * view.ndim
            index[axis] = slice(start, None, step) if step > 0 else slice(None, start, step)
            view = view[tuple(index)]
    if rng.random() < 0.3:
        view = view.transpose(rng.sample(range(view.ndim), view.ndim))
    if rng.random() < 0.1 and view.size < 1000:
        view = np.broadcast_to(view, (3,) + view.shape)
    return view


def random_shape(rng):
    if rng.random() < 0.4:
        return (rng.choice([0, 1, 2, 3, 9, 31, 32, 33, 100, 255, 256, 257, 511, 512, 513, 1000, 4097, 30000]),)
    return tuple(rng.choice([1, 2, 3, 4, 5, 8, 17, 33]) for _ in range(rng.randrange(0, 4)))


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e300, -1e300]


def random_elements(rng, npr, name, shape, special=True):
    dtype = np.dtype(name)
    if dtype.kind == "b":
        return npr.random(shape) < rng.choice([0, 0.01, 0.5, 1])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        if rng.random() < 0.3:
            return npr.integers(0, 10, shape).astype(dtype)
        return npr.integers(info.min, info.max, shape, dtype, endpoint=True)
    if dtype.kind == "c":
        part = "float32" if name == "complex64" else "float64"
        few = rng.random() < 0.5
        re, im = (random_elements(rng, npr, part, shape, special) for _ in range(2))
        if few:
            re = np.round(re)
        return join(re, im, dtype)
    x = npr.standard_normal(shape) * np.exp2(npr.integers(-3, 3, shape, endpoint=True))
    if rng.random() < 0.3:
        x = np.round(x)
    with np.errstate(all="ignore"):
        x = np.asarray(x).astype(dtype)
        if special and x.size and rng.random() < 0.4:
            for _ in range(rng.randrange(1, 1 + min(200, x.size))):
                x.flat[rng.randrange(x.size)] = rng.choice(SPECIAL)
    return x


def join(re, im, dtype):
    z = np.empty(np.shape(re), dtype)
    z.real, z.imag = re, im
    return z


def operand(rng, npr, name, shape=None, special=True):
    shape = random_shape(rng) if shape is None else shape
    base = np.array(random_elements(rng, npr, name, shape, special), order="C")
    return base, random_view(rng, base)


def whole(array):
    array = np.array(array, order="C")
    return array, array


def random_axis(rng, view):
    if view.ndim == 0 or rng.random() < 0.3:
        return None
    return rng.choice([-1, view.ndim - 1, rng.randrange(-view.ndim, view.ndim)])


def code(axis):
    return FLAT if axis is None else axis


def write_sorts(writer, rng, npr):
    for i in range(900):
        name = NAMES[i % 13]
        base, view = operand(rng, npr, name)
        axis = random_axis(rng, view)
        writer.record("sort", code(axis))
        writer.array(base, view)
        writer.answer(np.sort(view, axis=axis))
        writer.record("args", code(axis))
        writer.array(base, view)
        writer.answer(np.argsort(view, axis=axis, kind="stable"))
    # Long rows: runs and pieces.
    for name, count in [("float64", 140001), ("float64", 400003), ("float32", 300001), ("int64", 140000), ("int16", 600000),
                        ("uint8", 1100000), ("complex128", 50000), ("complex64", 50001), ("bool", 1050000), ("uint32", 270000)]:
        for few in (False, True):
            values = random_elements(rng, npr, name, (count,))
            if few:
                values = values[npr.integers(0, 7, count)]
            if rng.random() < 0.3:
                values = np.sort(values)
            samples = [whole(values)]
            if few and count < 300000:
                samples.append(whole(np.stack([values, values[::-1]], axis=rng.randrange(2))))
            for sample in samples:
                axis = None if sample[1].ndim == 1 else int(np.argmax(sample[1].shape))
                writer.record("sort", code(axis))
                writer.array(*sample)
                writer.answer(np.sort(sample[1], axis=axis))
                if sample[1].ndim == 1 or count < 60000:
                    writer.record("args", code(axis))
                    writer.array(*sample)
                    writer.answer(np.argsort(sample[1], axis=axis, kind="stable"))
            writer.record("uniq", 0)
            writer.array(*whole(values))
            writer.answer(np.unique(values))


def write_uniques(writer, rng, npr):
    for i in range(250):
        base, view = operand(rng, npr, NAMES[i % 13])
        writer.record("uniq", 0)
        writer.array(base, view)
        writer.answer(np.unique(view))


def write_scans(writer, rng, npr):
    """Floats are small integers, so that every order of additions is exact, or short; longer ones are in scan_test.cc."""
    for i in range(700):
        name = NAMES[i % 13]
        base, view = operand(rng, npr, name, special=False)
        if base.dtype.kind in "fc" and rng.random() < 0.7:
            base[...] = npr.integers(-9, 9, base.shape)
        axis = random_axis(rng, view)
        op = rng.choice([1, 2])
        length = view.size if axis is None else view.shape[axis]
        exact = base.dtype.kind not in "fc" or (op == 2 or length <= 512) and name not in ("float32", "complex64") or (base == np.round(base)).all()
        if op == 2 and base.dtype.kind == "f":
            base[...] = np.where(np.abs(base) < 0.1, 1, base)
        if op == 2 and base.dtype.kind == "c":  # NumPy may fuse these
            base[...] = npr.choice([1, -1, 1j, -1j], base.shape)
        if not exact:
            continue
        with np.errstate(all="ignore"):
            result = (np.cumsum if op == 1 else np.cumprod)(view, axis=axis)
        writer.record("scan", op, code(axis))
        writer.array(base, view)
        writer.answer(result)
    for name, count in [("int64", 131073), ("int8", 300001), ("bool", 200000), ("uint32", 262144), ("float64", 200001), ("float32", 140000),
                        ("complex64", 150000), ("complex128", 140001)]:
        values = npr.integers(-1, 2, count).astype(name)
        for op in (1, 2):
            sample = values
            if op == 2:
                sample = np.where(values == 0, 1, values).astype(name)
                if sample.dtype.kind == "u":
                    sample = (npr.integers(0, 2**31, count) * 2 + 1).astype(name)
            for operand_ in (whole(sample), whole(np.stack([sample, sample[::-1]], axis=1))):
                axis = None if operand_[1].ndim == 1 else 0
                writer.record("scan", op, code(axis))
                writer.array(*operand_)
                writer.answer((np.cumsum if op == 1 else np.cumprod)(operand_[1], axis=axis))


def write_selections(writer, rng, npr):
    for i in range(400):
        name = NAMES[i % 13]
        base, view = operand(rng, npr, name)
        if view.ndim == 0:
            continue
        ndim = rng.randrange(1, view.ndim + 1)
        mask = npr.random(view.shape[:ndim]) < rng.choice([0, 0.1, 0.5, 1])
        mask_base = np.zeros(tuple(2 * d for d in mask.shape), bool)
        mask_view = mask_base[tuple(slice(None, None, 2) for _ in mask.shape)]
        mask_view[...] = mask
        writer.record("comp", 0)
        writer.array(base, view)
        writer.array(mask_base, mask_view)
        writer.answer(view[mask_view])
    for count, inner in [(200001, 1), (70000, 3), (3, 300000)]:
        values = npr.standard_normal((count, inner))
        mask = npr.random(count) < 0.6
        writer.record("comp", 0)
        writer.array(*whole(values))
        writer.array(*whole(mask))
        writer.answer(values[mask])
    for i in range(400):
        base, view = operand(rng, npr, NAMES[i % 13])
        axis = random_axis(rng, view)
        length = view.size if axis is None else view.shape[axis]
        shape = rng.choice([(), (1,), (5,), (3, 4), (0,), (2000,), (20000,)])
        if length == 0 or view.size // length * math.prod(shape) > 300000:
            continue
        kind = rng.choice(NAMES[1:9])
        low, high = -length, length
        if kind.startswith("u"):
            low = 0
        else:
            low = max(low, np.iinfo(kind).min)
        indices = npr.integers(low, min(high, np.iinfo(kind).max), shape).astype(kind)
        indices = np.asarray(indices)
        writer.record("take", code(axis))
        writer.array(base, view)
        writer.array(*whole(indices) if indices.ndim == 0 else (indices, indices[::-1]))
        signed = indices.astype(np.int64)  # NumPy takes no uint64
        writer.answer(np.take(view, signed if signed.ndim == 0 else signed[::-1], axis=axis))


def small_weights(rng, npr, shape):
    """Whole ones of any real dtype: NumPy rounds sums of others block by block."""
    name = rng.choice(NAMES[:11])
    if name == "bool":
        return npr.random(shape) < 0.1
    return npr.integers(0 if name[0] == "u" else -9, 9, shape).astype(name)


def histogram_sums(weights, counted):
    """Of bool NumPy has them for bins of equal width alone."""
    if weights.dtype == bool:
        return counted(weights.astype(np.int64)).astype(bool)
    return counted(weights)


def write_bins(writer, rng, npr):
    for i in range(450):
        name = NAMES[i % 13]
        sorted_ = np.sort(random_elements(rng, npr, name, (rng.choice([0, 1, 2, 3, 100, 1000, 5000]),)))
        base, view = operand(rng, npr, name if i < 300 else rng.choice(NAMES))
        if sorted_.size and view.size and rng.random() < 0.5:
            base.flat[:] = sorted_[npr.integers(0, sorted_.size, base.size)].astype(base.dtype)
        right = rng.randrange(2)
        doubled = np.repeat(sorted_, 2)
        writer.record("srch", right)
        writer.array(doubled, doubled[::2])
        writer.array(base, view)
        writer.answer(np.searchsorted(sorted_, view, side="right" if right else "left"))
    for i in range(150):
        length = rng.choice([1, 5, 100, 300, 70000])
        name = rng.choice(NAMES[:9])
        most = 1 if name == "bool" else min(length - 1, np.iinfo(name).max)
        length = max(length, most + 1)
        shape = (rng.choice([0, 1, 7, 1000, 5000, 300000]),)
        base = npr.integers(0, most, shape, endpoint=True).astype(name)
        base, view = base, base[::rng.choice([1, -1, 2])]
        flat = view.astype(np.int64)
        if rng.random() < 0.5:
            weights = small_weights(rng, npr, view.shape)
            writer.record("binw", length)
            writer.array(base, view)
            writer.array(*whole(weights))
            writer.answer(np.bincount(flat, weights, minlength=length).astype(np.float64))
        else:
            writer.record("binc", length)
            writer.array(base, view)
            writer.answer(np.bincount(flat, minlength=length))
    for i in range(400):
        name = rng.choice(NAMES[1:11])
        base, view = operand(rng, npr, name, special=False)
        if rng.random() < 0.1:
            base = random_elements(rng, npr, name, (300000,), special=False)
            view = base[::rng.choice([1, 2])]
        flat = view.ravel()
        if base.dtype.kind == "f" and base.size and rng.random() < 0.3:
            base.flat[rng.randrange(base.size)] = rng.choice([np.nan, np.inf])
            flat = view.ravel()
        finite = flat[np.isfinite(flat)]
        if not finite.size:
            continue
        bins = rng.choice([1, 2, 10, 64, 257, 1000])
        first, last = finite.min(), finite.max()
        if rng.random() < 0.6 and base.dtype.kind == "f":
            first, last = sorted([rng.uniform(-5, 5), rng.uniform(-5, 5)])
            if rng.random() < 0.5:
                first, last = math.floor(first), math.ceil(last)
        elif base.dtype.kind in "iu" and base.itemsize == 8 and max(abs(int(first)), abs(int(last))) > 2**52:
            continue
        ends = (float(first), float(last)) if base.dtype.kind == "f" else (int(first), int(last))
        weighted = rng.random() < 0.3
        weights = small_weights(rng, npr, view.shape)
        edges_given = rng.random() < 0.3 and base.itemsize + (base.dtype.kind == "f") != 8
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if edges_given:
                edges = np.sort(np.round(npr.uniform(float(first), float(last), rng.choice([1, 2, 5, 100])), rng.choice([0, 3])))
                counts = histogram_sums(weights, lambda w: np.histogram(view, edges, weights=w)[0]) if weighted else np.histogram(view, edges)[0]
            else:
                counts = np.histogram(view, bins, range=ends, weights=weights if weighted else None)[0]
        writer.record("hist", 0 if edges_given else bins, weighted)
        writer.bytes(struct.pack("<dd", *ends))
        writer.array(base, view)
        if edges_given:
            writer.array(*whole(edges))
        if weighted:
            writer.array(*whole(weights))
        writer.answer(counts)


def percentile(a, q, axis):
    """NumPy 2's: one q is a number without a dtype. In NumPy 1 it is an array of float64 from the beginning."""
    if not isinstance(q, float):
        return np.percentile(a, q, axis=axis)
    function_base = np.lib.function_base
    numpy_1 = function_base._lerp
    function_base._lerp = lambda a, b, t, out=None: numpy_1(a, b, t.item(), out)
    state = np._get_promotion_state()
    np._set_promotion_state("weak")
    try:
        return np.percentile(a, q, axis=axis)
    finally:
        function_base._lerp = numpy_1
        np._set_promotion_state(state)


def write_percentiles(writer, rng, npr):
    def write(sample, axis, q, drop):
        view = sample[1]
        # A difference of small integers wraps in NumPy; ours does not.
        wide = view.astype(np.float64) if view.dtype.kind in "iu" and view.itemsize < 8 else view
        with np.errstate(all="ignore"):
            result = percentile(wide, float(q[0]) if drop else q, axis)
        writer.record("perc", code(axis), drop, len(q))
        writer.bytes(struct.pack("<%dd" % len(q), *q))
        writer.array(*sample)
        writer.answer(np.asarray(result))

    for _ in range(400):
        name = rng.choice(NAMES[1:11])
        base, view = operand(rng, npr, name)
        if view.size == 0:
            continue
        if view.dtype.kind in "iu" and view.itemsize == 8:
            base >>= np.array(2, base.dtype)
        drop = rng.randrange(2)
        q = [rng.choice([0, 25, 50, 75, 100, rng.uniform(0, 100)]) for _ in range(1 if drop else rng.randrange(1, 7))]
        write((base, view), random_axis(rng, view), q, drop)
    for name in ("float64", "float32", "int32", "int64"):
        values = random_elements(rng, npr, name, (300001,), special=False)
        if name == "int64":
            values >>= 2
        write(whole(values), None, [50, 0, 100, 99.9, 12.34], 0)
        write(whole(np.stack([values, values[::-1]])), 1, [33.3], 1)


def main(path, seed):
    rng, npr = random.Random(seed), np.random.default_rng(seed)
    with open(path, "wb") as file:
        writer = Writer(file)
        for write in (write_sorts, write_uniques, write_scans, write_selections, write_bins, write_percentiles):
            write(writer, rng, npr)
        writer.record("end.")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
