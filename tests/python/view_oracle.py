"""Writes views as text and what NumPy makes of them, for tests/unit/view_numpy_test.cc.

    view_oracle.py FILE SEED COUNT

A line is fields between '|'. "view": dtype, shape, strides and offset of an array, the view's text, then "ok" with the view's shape,
strides and offset, or "error", or "copy" where NumPy had to copy. "shapes": two shapes, then "ok" with the one that both stretch to, or "error".
"stretch": as "view", with a shape instead of the text. Numbers are joined by commas.
"""

import random
import sys

import numpy as np

FAR = [2**63 - 1, -(2**63), 10**12, -(10**12)]


def numbers(values):
    return ",".join(str(int(v)) for v in values)


def bound(r, length):
    kind = r.randrange(8)
    if kind < 2:
        return ""
    if kind == 2:
        return str(r.choice(FAR))
    if kind == 3:
        return str(r.choice([-length - 1, -length, -1, 0, length - 1, length, length + 1]))
    return str(r.randrange(-length - 2, length + 3))


def slice_text(r, length):
    text = bound(r, length) + ":" + bound(r, length)
    if r.random() < 0.5:
        step = r.choice(["", "1", "2", "3", "-1", "-2", "-3", "7", "-7", str(2**63 - 1), str(-(2**63)), "0" if r.random() < 0.1 else "-1"])
        text += ":" + step
    return text


def index_text(r, shape):
    count = r.randrange(0, len(shape) + 1)
    if r.random() < 0.04:
        count = len(shape) + 1
    items = []
    for i in range(count):
        length = shape[i] if i < len(shape) else 3
        if r.random() < 0.3:
            items.append(str(r.randrange(-length, length) if length and r.random() < 0.93 else r.choice([length, -length - 1])))
        else:
            items.append(slice_text(r, length))
    if r.random() < 0.35:
        items.insert(r.randrange(len(items) + 1), "...")
    while r.random() < 0.25:
        items.insert(r.randrange(len(items) + 1), r.choice(["None", "newaxis"]))
    if not items:
        items = ["..."]
    blanks = " " * r.randrange(2)
    return "[" + ("," + blanks).join(items) + ("," if len(items) == 1 and r.random() < 0.2 else "") + "]"


def split(r, count):
    """A shape of so many elements."""
    if count == 0:
        return [r.randrange(0, 4) for _ in range(r.randrange(0, 3))] + [0]
    shape = []
    while count > 1:
        divisors = [d for d in range(2, count + 1) if count % d == 0]
        d = r.choice(divisors)
        shape.append(d)
        count //= d
    while r.random() < 0.3:
        shape.insert(r.randrange(len(shape) + 1), 1)
    return shape


def reshape_text(r, array):
    shape = split(r, array.size)
    if r.random() < 0.05:
        shape = split(r, array.size + 1)
    if shape and r.random() < 0.4:
        shape[r.randrange(len(shape))] = -1
    inner = ", ".join(map(str, shape))
    if len(shape) == 0 or r.random() < 0.4:
        inner = "(" + inner + ("," if len(shape) == 1 else "") + ")"
    return ".reshape(" + inner + ")"


def transpose_text(r, array):
    if r.random() < 0.3:
        return ".transpose()"
    axes = list(range(array.ndim))
    r.shuffle(axes)
    axes = [a - array.ndim if r.random() < 0.3 else a for a in axes]
    if axes and r.random() < 0.05:
        axes[0] = r.choice([axes[-1], array.ndim, 99])
    if not axes:
        return ".transpose()"
    return ".transpose(" + ", ".join(map(str, axes)) + ")"


def step(r, array):
    kind = r.randrange(8)
    if kind < 4:
        return index_text(r, array.shape)
    if kind == 4:
        return ".T"
    if kind == 5:
        return transpose_text(r, array)
    return reshape_text(r, array)


def apply(array, text):
    names = {"array": array, "newaxis": np.newaxis}
    view = eval("array" + text, names)
    # One element is a number to NumPy, unless an ellipsis asks for the array.
    return eval("array" + text[:-1].rstrip(",") + ", ...]", names) if isinstance(view, np.generic) else view


def address(array):
    return array.__array_interface__["data"][0]


def chain(r, array, steps):
    """A text, and the view or why there is none."""
    text = ""
    for _ in range(steps):
        one = step(r, array)
        text += one
        try:
            after = apply(array, one)
        except (IndexError, ValueError):
            return text, "error"
        if after.size and not np.may_share_memory(array, after):
            return text, "copy"
        array = after
    return text, array


def base(r):
    ndim = r.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5])
    shape = [r.choice([0, 1, 1, 2, 3, 4, 5, 6, 8, 12]) if r.random() < 0.9 else 1 for _ in range(ndim)]
    dtype = np.dtype(r.choice("bool int16 float32 float64 complex128".split()))
    count = int(np.prod(shape, dtype=np.int64))
    memory = np.zeros(count * dtype.itemsize + 64, np.uint8)
    shift = r.choice([0, 0, 8, 3])
    array = np.ndarray(shape, dtype, memory, shift, order=r.choice("CF"))
    while r.random() < 0.4:
        _, view = chain(r, array, 1)
        if isinstance(view, str):
            continue
        array = view
        if r.random() < 0.2:
            array = np.broadcast_to(array, [r.randrange(1, 4), *array.shape])
    return memory, array


def spec(memory, array):
    return f"{array.dtype.name}|{numbers(array.shape)}|{numbers(array.strides)}|{address(array) - address(memory) if array.size else 0}"


def small_shape(r):
    return [r.choice([0, 1, 1, 2, 3]) for _ in range(r.randrange(0, 4))]


def main():
    r = random.Random(int(sys.argv[2]))
    with open(sys.argv[1], "w") as file:
        for _ in range(int(sys.argv[3])):
            memory, array = base(r)
            before = spec(memory, array)
            text, view = chain(r, array, r.choice([1, 1, 1, 2, 3]))
            answer = view if isinstance(view, str) else "ok|" + spec(memory, view).split("|", 1)[1]
            file.write(f"view|{before}|{text}|{answer}\n")

            a, b = small_shape(r), small_shape(r)
            try:
                answer = "ok|" + numbers(np.broadcast_shapes(tuple(a), tuple(b)))
            except ValueError:
                answer = "error"
            file.write(f"shapes|{numbers(a)}|{numbers(b)}|{answer}\n")

            shape = small_shape(r)
            if r.random() < 0.8:
                shape = [n if n != 1 else r.randrange(0, 4) for n in array.shape]
                shape = small_shape(r)[:2] + shape
            try:
                stretched = np.broadcast_to(array, shape)
                answer = "ok|" + spec(memory, stretched).split("|", 1)[1]
            except ValueError:
                answer = "error"
            file.write(f"stretch|{before}|{numbers(shape)}|{answer}\n")


main()
