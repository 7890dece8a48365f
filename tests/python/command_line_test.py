"""What parcompute-client answers: results against NumPy, lists, pictures, signals."""

import json
import os
import pwd
import re
import signal
import subprocess
import unittest

import numpy as np

from command_line import BIN, CommandLine


class Answers(CommandLine):
    # Beside the cusp no point escapes within so many steps, and none repeats itself: 9e11 steps, in chunks of some milliseconds.
    SLOW = ("--size", "3000x3000", "--region=0.2500000001,0.2500000002,-1e-11,1e-11", "--max-iter", "100000", "--chunk", "1")

    # ---- results

    def test_sums_print_alone_on_their_line(self):
        numbers = np.arange(100_000, dtype=np.uint8)
        self.client("import", "a", self.save("numbers.npy", numbers))
        self.assertEqual(self.client("run", "reduce", "sum", "a"), f"{numbers.sum()}\n")
        self.assertEqual(self.client("run", "reduce", "max", "numbers.npy"), "255\n")
        answer = json.loads(self.client("run", "reduce", "sum", "a", "--json"))
        self.assertEqual(answer["result"], int(numbers.sum()))
        for key in ("job", "seconds", "chunks", "bytes_read", "bytes_written"):
            self.assertIn(key, answer)

    def test_products_go_to_a_file_or_a_name(self):
        random = np.random.default_rng(1)
        a, b = random.integers(-5, 5, (3, 40, 30)).astype(float), random.integers(-5, 5, (30, 20)).astype(float)
        self.save("a.npy", a)
        self.save("b.npy", b)
        self.client("run", "matmul", "a.npy", "b.npy", "--out", "c.npy")
        np.testing.assert_array_equal(np.load(self.folder / "c.npy"), a @ b)
        self.client("run", "matmul", "a.npy", "b.npy", "--out", "c")
        self.client("export", "c", "d.npy")
        np.testing.assert_array_equal(np.load(self.folder / "d.npy"), a @ b)

    def test_a_chunk_that_takes_long_is_handed_back_in_parts_and_changes_nothing(self):
        grid = ("--size", "600x600", "--region=0.2500000001,0.2500000002,-1e-11,1e-11", "--max-iter", "5000", "--json")
        self.client("run", "mandelbrot", *grid, "--out", "usual")
        answer = json.loads(self.client("run", "mandelbrot", *grid, "--chunk", "1000000000000", "--out", "whole"))
        self.assertGreater(answer["chunks"], 2, "it was computed in one piece")
        self.assertEqual(answer["retries"], 0)
        self.assertEqual(self.client("run", "expr", "all(usual == whole)").strip(), "True")

    def test_the_mandelbrot_set_is_numpys_to_the_bit(self):
        x, y = np.linspace(-2, 1, 60), np.linspace(-1.5, 1.5, 50)
        c = x[:, np.newaxis] + 1j * y
        zx, zy, counts = np.zeros(c.shape), np.zeros(c.shape), np.zeros(c.shape, np.int64)
        with np.errstate(all="ignore"):
            for _ in range(200):
                inside = zx * zx + zy * zy <= 4
                counts += inside
                zx, zy = np.where(inside, (zx * zx - zy * zy) + c.real, zx), np.where(inside, 2 * (zx * zy) + c.imag, zy)
        self.client("run", "mandelbrot", "--size", "60x50", "--max-iter", "200", "--out", "m.npy", "--png", "m.png")
        np.testing.assert_array_equal(np.load(self.folder / "m.npy"), counts)
        self.assertEqual((self.folder / "m.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

    def test_show_prints_what_numpy_prints(self):
        random = np.random.default_rng(2)

        def short_beside_long(dtype):
            short = [float(f"{random.integers(1, 99)}e{random.integers(-30, 30)}") for _ in range(2)]
            return np.array([*short, random.standard_normal() * 10.0 ** random.integers(-30, 30)]).astype(dtype)

        arrays = [np.zeros((0, 3)), np.array(3.5), np.array([True, False]), np.arange(2000).reshape(40, 50)]
        for dtype in ("f4", "f8"):
            arrays += [short_beside_long(dtype) for _ in range(12)]
            arrays += [short_beside_long(dtype) + 1j * short_beside_long(dtype) for _ in range(6)]
        for array in arrays:
            self.assertEqual(self.client("show", self.save("shown.npy", array)), f"{array}\n", array.tolist())

    # ---- expressions

    def test_expressions_are_numpys(self):
        random = np.random.default_rng(3)
        x = self.imported("x", random.standard_normal((30, 20)))
        y = self.imported("y", random.standard_normal(20))
        n = self.imported("n", random.integers(-100, 100, (30, 20)))
        np.testing.assert_array_equal(self.answer("run", "expr", "x * y + 2"), x * y + 2)
        np.testing.assert_array_equal(self.answer("run", "expr", "where(n > 0, n, -n) % 7"), np.where(n > 0, n, -n) % 7)
        np.testing.assert_array_equal(self.answer("run", "expr", "u - v", "u=x[::2, ::-1]", "v=x[1::2]"), x[::2, ::-1] - x[1::2])
        np.testing.assert_array_equal(self.answer("run", "expr", "a + a", "a=x[5].reshape(4, 5).T"), x[5].reshape(4, 5).T * 2)
        np.testing.assert_array_equal(self.answer("run", "expr", "f * 2", "f=x.npy"), x * 2)
        np.testing.assert_array_equal(self.answer("run", "expr", "f * 2", "f=x.npy[0]"), x[0] * 2)
        np.testing.assert_allclose(self.answer("run", "expr", "sqrt(sum(x**2))"), np.sqrt((x**2).sum()), rtol=1e-14)
        np.testing.assert_allclose(self.answer("run", "expr", "x - mean(x, axis=0, keepdims=True)"), x - x.mean(axis=0, keepdims=True), rtol=0, atol=1e-14)
        self.assertEqual(self.client("run", "expr", "1 + 2"), "3\n")
        self.assertEqual(self.client("run", "expr", "any(n > 1000)"), "False\n")

    def test_arrays_have_owners_and_modes(self):
        self.client("array", "create", "a", "--shape", "3", "--mode", "group-read")
        self.client("array", "arange", "b", "0", "3")
        self.client("run", "expr", "b + 1", "--out", "c", "--mode", "660")
        modes = lambda: {array["name"]: array["mode"] for array in json.loads(self.client("list", "--json"))}
        self.assertEqual(modes(), {"a": "group-read", "b": "private", "c": "group-write"})
        self.assertEqual(json.loads(self.client("chmod", "600", "a", "c", "--json")), {"changed": ["a", "c"], "mode": "private"})
        self.assertEqual(set(modes().values()), {"private"})
        header, *rows = self.client("list").splitlines()
        column = lambda title: {row[header.index(title):].split()[0] for row in rows}
        self.assertEqual(column("mode"), {"private"})
        self.assertEqual(column("owner"), {pwd.getpwuid(os.geteuid()).pw_name})
        self.assertIn("private", self.client("info", "a"))
        answer = self.run_client("chmod", "group-read", "a", "nosuch", "--json")
        self.assertEqual((answer.returncode, json.loads(answer.stdout)["changed"]), (66, ["a"]), "one that fails keeps none of the others")
        self.save("f.npy", np.arange(3))
        self.client("array", "attach", "f", "f.npy")
        self.refused(65, ["attached file", "whose own mode"], "chmod", "group-read", "f")
        self.refused(64, ["--mode is an array's"], "run", "expr", "b", "--out", "b.npy", "--mode", "640")

    def test_results_without_a_destination_are_printed_as_numpy_prints_them(self):
        n = self.imported("n", np.arange(2400).reshape(40, 60))
        x = self.imported("x", np.linspace(-1, 1, 7))
        self.assertEqual(self.client("run", "expr", "n * 2"), f"{n * 2}\n")
        self.assertEqual(self.client("run", "expr", "x / 3"), f"{x / 3}\n")
        self.assertEqual(self.client("run", "expr", "x > 0"), f"{x > 0}\n")
        self.assertEqual(self.client("run", "expr", "k * (1 + 2j)", "k=x[:2]"), f"{x[:2] * (1 + 2j)}\n")
        self.assertEqual(self.client("run", "expr", "k", "k=n[:0]"), "[]\n")
        answer = json.loads(self.client("run", "expr", "n + 1", "--json"))
        np.testing.assert_array_equal(answer["data"], n + 1)
        self.assertEqual(answer["result"]["shape"], [40, 60])
        self.assertEqual({array["name"] for array in json.loads(self.client("list", "--json"))}, {"n", "x"}, "nothing stays")
        self.assertEqual(self.client("run", "expr", "n + 1", "--out", "kept"), "")

    def test_dtypes_are_those_asked_for(self):
        x = self.imported("x", np.linspace(-3, 3, 50))
        self.client("run", "expr", "x / 3", "--dtype", "float32", "--out", "y")
        y = self.exported("y")
        self.assertEqual(y.dtype, np.float32)
        np.testing.assert_array_equal(y, (x / 3).astype(np.float32))
        self.client("run", "expr", "int8(x)", "--out", "z")
        self.assertEqual(self.exported("z").dtype, np.int8)

    def test_results_go_into_arrays_that_exist_and_views_of_them(self):
        a = self.imported("a", np.arange(200.0).reshape(10, 20))
        self.client("run", "expr", "a + 1", "--into", "a")
        np.testing.assert_array_equal(self.exported("a"), a := a + 1)
        self.client("run", "expr", "x * 2", "x=a[1:]", "--into", "a[:-1]")
        a = a.copy()
        a[:-1] = a[1:] * 2
        np.testing.assert_array_equal(self.exported("a"), a)
        self.client("run", "expr", "x", "x=a[0]", "--into", "a[9, ::-1]")
        a[9, ::-1] = a[0]
        np.testing.assert_array_equal(self.exported("a"), a)
        self.client("create", "t", "--shape", "20x10")
        self.client("run", "matmul", "a", "a.T", "--into", "t[:10]")
        np.testing.assert_allclose(self.exported("t")[:10], a @ a.T, rtol=1e-14)
        self.client("run", "sort", "a", "--into", "t.T")
        np.testing.assert_array_equal(self.exported("t"), np.sort(a).T)
        answer = json.loads(self.client("run", "reduce", "sum", "a", "--axis", "0", "--into", "t[:, 0]", "--json"))
        np.testing.assert_allclose(self.exported("t")[:, 0], a.sum(axis=0), rtol=1e-14)
        self.assertEqual(answer["into"], "t[:, 0]")
        self.save("file.npy", np.zeros(20))
        self.client("attach", "file", "file.npy", "--writable")
        self.client("run", "reduce", "max", "a", "--axis", "0", "--into", "file")
        np.testing.assert_array_equal(np.load(self.folder / "file.npy"), a.max(axis=0))

    # ---- reductions, products, order

    def test_reductions_are_numpys(self):
        x = self.imported("x", np.random.default_rng(4).standard_normal((6, 7, 8)))
        for op in ("sum", "mean", "min", "max", "prod", "var", "std", "argmin", "argmax"):
            for axis in (None, 0, -1) + (() if op.startswith("arg") else ((0, 2),)):
                for keepdims in (False, True):
                    words = ["run", "reduce", op, "x"]
                    if axis is not None:
                        words.append("--axis=" + ",".join(map(str, np.atleast_1d(axis))))
                    words += ["--keepdims"] * keepdims
                    expected = getattr(np, op)(x, axis=axis, keepdims=keepdims)
                    answer = self.answer(*words)
                    self.assertEqual(answer.shape, np.shape(expected), words)
                    np.testing.assert_allclose(answer, expected, rtol=1e-12, err_msg=str(words))
        self.client("run", "reduce", "sum", "x", "--out", "sum.npy")
        self.client("run", "reduce", "sum", "x", "--out", "total")
        for total in (np.load(self.folder / "sum.npy"), self.exported("total")):
            self.assertEqual(total.shape, ())
            np.testing.assert_allclose(total, x.sum(), rtol=1e-12)
        for op in ("var", "std"):
            np.testing.assert_allclose(self.answer("run", "reduce", op, "x", "--axis", "1", "--ddof", "1"), getattr(np, op)(x, axis=1, ddof=1), rtol=1e-12)
        np.testing.assert_allclose(self.answer("run", "reduce", "sum", "x[:, ::2, 3]", "--axis", "1"), x[:, ::2, 3].sum(axis=1), rtol=1e-12)

    def test_products_are_numpys(self):
        random = np.random.default_rng(5)
        a = self.imported("a", random.integers(-9, 9, (12, 15)).astype(float))
        b = self.imported("b", random.integers(-9, 9, (15, 9)).astype(float))
        v = self.imported("v", random.integers(-9, 9, 15).astype(float))
        c = self.imported("c", random.integers(-9, 9, (15, 9)) + 1j * random.integers(-9, 9, (15, 9)))
        for words, expected in (
            (("matmul", "a", "b"), a @ b), (("matmul", "b.T", "a.T"), b.T @ a.T), (("matmul", "a", "v"), a @ v), (("dot", "a", "b"), np.dot(a, b)),
            (("dot", "v", "v"), np.dot(v, v)), (("vecdot", "a", "v"), (a * v).sum(-1)), (("outer", "v", "a"), np.outer(v, a)), (("matmul", "a[:, ::-1]", "b[::-1]"), a @ b),
        ):
            np.testing.assert_array_equal(self.answer("run", *words), expected, str(words))
        np.testing.assert_array_equal(np.vectorize(complex)(self.answer("run", "matmul", "a", "c")), a @ c)

    def test_order_is_numpys(self):
        random = np.random.default_rng(6)
        a = self.imported("a", random.integers(0, 50, (20, 30)))
        x = self.imported("x", random.standard_normal((20, 30)))
        i = self.imported("i", random.integers(-20, 20, 11))
        m = self.imported("m", x[:, 0] > 0)
        edges = self.imported("edges", np.array([-2.0, -0.5, 0.25, 3.0]))
        line = self.imported("line", np.sort(x[0]))
        for words, expected in (
            (("sort", "a"), np.sort(a)), (("sort", "a", "--axis", "0"), np.sort(a, axis=0)), (("sort", "x", "--flat", "--descending"), np.sort(x, axis=None)[::-1]),
            (("argsort", "a", "--axis=-2"), np.argsort(a, axis=0, kind="stable")), (("argsort", "a", "--flat"), np.argsort(a, axis=None, kind="stable")),
            (("cumsum", "a"), np.cumsum(a)), (("cumsum", "a", "--axis", "1"), np.cumsum(a, axis=1)), (("cumprod", "a[:, :3]", "--axis", "1"), np.cumprod(a[:, :3], axis=1)),
            (("unique", "a"), np.unique(a)), (("unique", "a[0:0]"), np.unique(a[:0])), (("compress", "a", "m"), a[x[:, 0] > 0]), (("take", "a", "i", "--axis", "0"), np.take(a, i, axis=0)),
            (("take", "a", "i"), np.take(a, i)), (("searchsorted", "line", "x"), np.searchsorted(line, x)), (("searchsorted", "line", "x[0]", "--right"), np.searchsorted(line, x[0], side="right")),
            (("bincount", "a.reshape(-1)"), np.bincount(a.ravel())), (("bincount", "a.reshape(-1)", "--minlength", "90"), np.bincount(a.ravel(), minlength=90)),
            (("histogram", "x", "--bins", "7"), np.histogram(x, 7)[0]), (("histogram", "x", "--range=-1,1"), np.histogram(x, range=(-1, 1))[0]),
            (("histogram", "x", "--edges", "edges"), np.histogram(x, edges)[0]), (("percentile", "x"), np.percentile(x, 50)),
            (("percentile", "x", "--q", "0,12.5,100", "--axis", "1"), np.percentile(x, [0, 12.5, 100], axis=1)),
            (("concatenate", "a", "a[:3]"), np.concatenate([a, a[:3]])), (("concatenate", "a", "a[:, ::-1]", "--axis=-1"), np.concatenate([a, a[:, ::-1]], axis=-1)),
            (("stack", "a", "a", "--axis", "2"), np.stack([a, a], axis=2)),
        ):
            answer = self.answer("run", *words)
            self.assertEqual(answer.shape, np.shape(expected), words)
            np.testing.assert_allclose(answer, expected, rtol=1e-14, err_msg=str(words))

    def test_unique_counts_and_the_edges_of_histograms_are_arrays(self):
        random = np.random.default_rng(7)
        x = self.imported("x", np.round(random.standard_normal(5000), 1))
        x[::100], x[1::200] = np.nan, -0.0
        self.imported("x2", x)
        arrays = [x, random.integers(0, 9, (30, 40)).astype(np.uint8), random.random((5, 7)) < 0.5, np.zeros(0), x.astype(np.float32)]
        for array in arrays:
            file = self.save("many.npy", array)
            self.client("run", "unique", file, "--out", "values.npy", "--counts", "counts.npy")
            values, counts = np.unique(array, return_counts=True)
            np.testing.assert_array_equal(np.load(self.folder / "values.npy"), values)
            ours = np.load(self.folder / "counts.npy")
            self.assertEqual(ours.dtype, np.int64)
            np.testing.assert_array_equal(ours, counts)
        answer = json.loads(self.client("run", "unique", "x2[::2]", "--counts", "counts", "--json"))
        self.assertEqual(answer["counts"], "counts")
        np.testing.assert_array_equal(self.exported("counts"), np.unique(x[::2], return_counts=True)[1])

        y = self.imported("y", random.standard_normal(1000))
        f = self.imported("f", y.astype(np.float32))
        self.imported("same", np.full(4, 3, np.int16))
        for words, array, options in ((("y", "--bins", "7"), y, {"bins": 7}), (("y", "--range=-1,1"), y, {"range": (-1, 1)}), (("y", "--range", "2,2"), y, {"range": (2, 2)}),
                                      (("same",), np.full(4, 3, np.int16), {})):
            printed = self.client("run", "histogram", *words, "--edges-out", "edges.npy")
            counts, edges = np.histogram(array, **options)
            self.assertEqual(printed, f"{counts}\n")
            np.testing.assert_array_equal(np.load(self.folder / "edges.npy"), edges, str(words))
        answer = json.loads(self.client("run", "histogram", "f", "--edges-out", "edges", "--json"))
        self.assertEqual(answer["edges"], "edges")
        np.testing.assert_array_equal(self.exported("edges"), np.linspace(float(f.min()), float(f.max()), 11).astype(np.float32))
        self.assertEqual(self.exported("edges").dtype, np.float32)

        self.refused(73, ["--edges-out", "'edges' exists"], "run", "histogram", "f", "--edges-out", "edges")
        self.refused(73, ["--counts", "'edges' exists"], "run", "unique", "f", "--counts", "edges")
        self.refused(64, ["--edges-out", "--edges"], "run", "histogram", "f", "--edges", "edges", "--edges-out", "more")
        self.refused(64, ["two arrays"], "run", "unique", "f", "--out", "u", "--counts", "u")
        self.refused(64, ["--detach"], "run", "unique", "f", "--counts", "u", "--detach")
        self.refused(64, ["--counts", "write 'u.txt.npy'"], "run", "unique", "f", "--counts", "u.txt")
        self.refused(65, ["--counts", "complex128"], "run", "unique", self.save("z.npy", np.array([1j])), "--counts", "u")

    def test_weights_may_have_any_real_dtype(self):
        n = self.imported("n", np.array([0, 2, 2, 1, 2]))
        for weights in (np.array([1, 2, 3, 4, 5], np.int8), np.array([0.5, 1, 2, 4, 8], np.float32), np.array([True, False, False, True, False])):
            file = self.save("w.npy", weights)
            np.testing.assert_array_equal(self.answer("run", "bincount", "n", "--weights", file), np.bincount(n, weights))
            self.client("run", "histogram", "n", "--bins", "3", "--weights", file, "--out", "sums.npy")
            sums = np.load(self.folder / "sums.npy")
            self.assertEqual(sums.dtype, weights.dtype)
            np.testing.assert_array_equal(sums, np.histogram(n, 3, weights=weights)[0])
        self.refused(65, ["complex128", "must be real"], "run", "bincount", "n", "--weights", self.save("w.npy", np.ones(5) * 1j))

    def test_a_percentile_of_float32_is_float32(self):
        self.imported("f", np.linspace(0, 1, 11).astype(np.float32))
        self.assertEqual(json.loads(self.client("run", "percentile", "f", "--q", "25", "--json"))["dtype"], "float32")
        self.assertEqual(json.loads(self.client("run", "percentile", "f", "--q", "25,75", "--json"))["dtype"], "float64")

    def test_jobs_are_listed_with_their_expressions(self):
        x = self.imported("x", np.arange(10.0))
        job = str(json.loads(self.client("run", "expr", "x  *\n2 + 1", "--json"))["job"])
        wide = str(json.loads(self.client("run", "expr", "+".join(["sqrt(x)"] * 30), "--json"))["job"])
        sort = str(json.loads(self.client("run", "sort", "x", "--json"))["job"])
        listed = {line.split()[0]: line for line in self.client("job", "list").splitlines()}
        self.assertIn("  expr 'x * 2 + 1'  ", listed[job])
        self.assertIn("  expr '" + "+".join(["sqrt(x)"] * 30)[:37] + "...'  ", listed[wide])
        self.assertIn("  sort  ", listed[sort])
        self.assertIn("expr 'x * 2 + 1'\n", self.client("job", "show", job))
        self.assertIn("+".join(["sqrt(x)"] * 30), self.client("job", "show", wide))
        shown = json.loads(self.client("job", "show", job, "--json"))
        self.assertEqual((shown["operation"], shown["expression"]), ("expr", "x  *\n2 + 1"))
        rows = {str(row["id"]): row["expression"] for row in json.loads(self.client("job", "list", "--json"))}
        self.assertEqual((rows[job], rows[sort]), ("x  *\n2 + 1", None))
        self.client("run", "reduce", "sum", "x")
        self.assertIn("expr 'sum(", self.client("job", "list"))
        self.assertEqual(self.client("job", "wait", job), "")

    def test_a_picture_is_not_printed(self):
        done = self.run_client("run", "mandelbrot", "--size", "9x7", "--max-iter", "9", "--png", "m.png")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertRegex(done.stderr, r"\Amandelbrot 9x7 -> 'm.png': [^\n]*\n\Z")
        answer = json.loads(self.client("run", "mandelbrot", "--size", "9x7", "--max-iter", "9", "--png", "m.png", "--json"))
        self.assertEqual(answer["png"], "m.png")
        self.assertNotIn("data", answer)

    def test_a_start_counts_the_workers_that_have_started(self):
        socket = self.folder / "run" / "started.sock"
        try:
            said = self.run_client("--socket", socket, "start", "--workers", "3").stderr
            self.assertRegex(said, r": 3 workers( starting|, [12] of them starting)?, ")
        finally:
            self.run_client("--socket", socket, "stop")

    def test_random_numbers_are_those_of_numpys_philox(self):
        for seed in (0, 7, 2**64 - 1):
            self.client("run", "random", "uniform", "--shape", "3x5", "--seed", seed, "--low=-2", "--high", "5", "--out", "u")
            numpys = np.random.Generator(np.random.Philox(key=seed)).uniform(-2, 5, (3, 5))
            np.testing.assert_array_equal(self.exported("u"), numpys)
            self.client("rm", "u")
        for words in (("normal", "--mean", "3"), ("exponential", "--scale", "2"), ("integers", "--low=-3", "--high", "4")):
            once = self.client("run", "random", *words, "--shape", "100", "--seed", "5")
            self.assertEqual(self.client("run", "random", *words, "--shape", "100", "--seed", "5", "--chunk", "1"), once)
            self.assertNotEqual(self.client("run", "random", *words, "--shape", "100", "--seed", "6"), once)

    def test_expressions_may_begin_with_a_sign(self):
        x = self.imported("x", np.linspace(-1, 1, 5))
        np.testing.assert_array_equal(self.answer("run", "expr", "-x"), -x)
        np.testing.assert_array_equal(self.answer("run", "expr", "-y * 2", "y=x[:2]"), -x[:2] * 2)
        self.assertEqual(self.client("run", "expr", "--", "--x"), f"{x}\n")

    def test_bounds_have_names(self):
        x = self.imported("x", np.linspace(-9, 9, 50))
        np.testing.assert_array_equal(self.answer("run", "expr", "clip(x, max=5, min=0)"), np.clip(x, 0, 5))
        np.testing.assert_array_equal(self.answer("run", "expr", "x.clip(a_max=5)"), np.clip(x, None, 5))

    def test_dtypes_meet_where_arrays_do(self):
        i = self.imported("i", np.arange(-3, 4, dtype=np.int32))
        x = self.imported("x", np.linspace(-2, 2, 5))
        np.testing.assert_array_equal(self.answer("run", "concatenate", "i", "x"), np.concatenate([i, x]))
        np.testing.assert_array_equal(self.answer("run", "searchsorted", "i", "x", "--right"), np.searchsorted(i, x, side="right"))

    def test_one_element_goes_wherever_one_fits(self):
        x = self.imported("x", np.arange(5.0))
        self.imported("s", np.array(0.0))
        self.assertEqual(self.client("run", "reduce", "sum", "x", "--into", "s"), "10.0\n")
        self.assertEqual(self.exported("s"), 10)
        self.client("run", "expr", "s + 1", "--into", "s")
        self.assertEqual(self.exported("s"), 11)
        self.client("run", "expr", "sum(x)", "--into", "x[3]")
        x[3] = x.sum()
        np.testing.assert_array_equal(self.exported("x"), x)
        self.client("run", "expr", "7.0", "--into", "x[:2]")
        x[:2] = 7
        np.testing.assert_array_equal(self.exported("x"), x)
        done = self.run_client("run", "reduce", "max", "x", "--out", "max.npy")
        self.assertEqual(done.stdout, f"{x.max()}\n")
        self.assertIn("-> 'max.npy':", done.stderr)
        self.assertEqual(np.load(self.folder / "max.npy").shape, ())
        self.refused(65, ["does not stretch"], "run", "expr", "x", "--into", "s")

    def test_escape_counts_go_into_arrays_too(self):
        counts = self.imported("counts", np.zeros((40, 30), np.int64))
        self.client("run", "mandelbrot", "--size", "20x30", "--max-iter", "50", "--out", "m.npy")
        self.client("run", "mandelbrot", "--size", "20x30", "--max-iter", "50", "--into", "counts[::2]", "--png", "into.png")
        counts[::2] = np.load(self.folder / "m.npy")
        np.testing.assert_array_equal(self.exported("counts"), counts)
        self.assertEqual((self.folder / "into.png").read_bytes()[:8], b"\x89PNG\r\n\x1a\n")

    def test_jobs_have_the_names_of_their_commands(self):
        self.imported("x", np.arange(6.0))
        for words in (("cumsum", "x"), ("cumprod", "x"), ("stack", "x", "x"), ("concatenate", "x", "x"), ("expr", "x + 1")):
            self.client("run", *words, "-q")
            self.assertEqual(json.loads(self.client("job", "list", "--json"))[0]["operation"], words[0])

    def test_what_was_removed_is_told_beside_what_could_not_be(self):
        self.imported("a", np.arange(3))
        done = self.run_client("rm", "nosuch", "a", "--json")
        self.assertEqual(done.returncode, 66)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["removed"], ["a"])
        self.assertEqual(answer["error"]["exit_code"], 66)
        self.assertIn("'nosuch'", answer["error"]["message"])

    def test_rates_count_what_is_read(self):
        self.imported("x", np.arange(1000.0))
        answer = json.loads(self.client("run", "expr", "sum(x[:10])", "--json"))
        self.assertEqual(answer["bytes_read"], 80)

    def test_views_are_shown_exported_and_described(self):
        a = self.imported("a", np.arange(60.0).reshape(6, 10))
        for view, expected in (("a[::2].T", a[::2].T), ("a[1, ::-3]", a[1, ::-3]), ("a[2, 3]", a[2, 3]), ("a.reshape(4, 15)", a.reshape(4, 15)), ("a[:, None, 2]", a[:, None, 2]), ("a.npy[..., -1]", a[..., -1])):
            self.assertEqual(self.client("show", view), f"{expected}\n", view)
            np.testing.assert_array_equal(self.exported(view), expected)
            self.assertEqual(np.load(self.folder / "exported.npy").shape, np.shape(expected))
            self.assertEqual(json.loads(self.client("info", view, "--json"))["shape"], list(np.shape(expected)))
            np.testing.assert_array_equal(json.loads(self.client("show", view, "--json"))["data"], expected)
        self.assertIn("10x3", self.client("info", "a[::2].T"))

    # ---- when jobs run

    def test_a_job_comes_after_others(self):
        first = self.client("run", "mandelbrot", "--size", "100x100", "--max-iter", "100", "--out", "first", "--detach", "--priority", "-5").strip()
        second = self.client("run", "nop", "--blocks", "1", "--detach", "--after", first, "--background").strip()
        self.client("run", "nop", "--blocks", "1", "--after", f"{first},{second}", "--priority", "19")
        job = json.loads(self.client("job", "show", second, "--json"))
        self.assertEqual((job["state"], job["background"], job["priority"], job["time_limit_seconds"]), ("done", True, 0, None))
        self.assertEqual(json.loads(self.client("job", "show", first, "--json"))["priority"], -5)
        self.assertIn("background", self.client("job", "show", second))

    def test_a_job_is_cancelled_with_the_one_that_it_was_to_come_after(self):
        first = self.client("run", "mandelbrot", *self.SLOW, "--out", "slow", "--detach").strip()
        second = self.client("run", "nop", "--blocks", "1", "--detach", "--after", first).strip()
        self.assertIn(f"waits for the end of job {first}, which it comes after", self.client("job", "explain", second))
        self.client("job", "cancel", first)
        ended = self.run_client("job", "wait", second)
        self.assertEqual(ended.returncode, 130)
        self.assertIn(f"job {first}, which it was to come after, did not succeed", ended.stderr)
        self.refused(65, [f"cannot come after job {first} (mandelbrot), which was cancelled"], "run", "nop", "--blocks", "1", "--after", first)

    def test_a_job_has_no_longer_than_its_time_limit(self):
        self.refused(130, ["it had run for its time limit of 0.1 s"], "run", "mandelbrot", *self.SLOW, "--out", "slow", "--time-limit", "0.1")

    def test_a_job_is_explained(self):
        writer = self.client("run", "mandelbrot", *self.SLOW, "--out", "slow", "--detach", "--time-limit", "3600").strip()
        reader = self.client("run", "reduce", "sum", "slow", "--detach").strip()
        text = self.client("job", "explain", reader)
        self.assertIn(f"job {reader} (expr) is queued", text)
        self.assertIn(f"waits for job {writer}, which is to write array 'slow', which it reads", text)
        answer = json.loads(self.client("job", "explain", reader, "--json"))
        self.assertEqual(answer["obstacles"], [{"cause": "operand", "job": int(writer), "array": "slow", "bytes": None}])
        self.assertIsNone(answer["running"])
        while json.loads(self.client("job", "explain", writer, "--json"))["running"]["phase"] == 0:
            pass
        text = self.client("job", "explain", writer)
        for word in (f"job {writer} (mandelbrot) is running", "phase 1 of 1", "of 2 workers", "share of the workers' time is 100 %", "it will be done at"):
            self.assertIn(word, text)
        self.assertIn("time limit", self.client("job", "show", writer))
        self.client("job", "cancel", writer)
        self.run_client("job", "wait", reader)
        self.assertIn(f"job {reader} (expr) is cancelled: ", self.client("job", "explain", reader))
        self.assertEqual(json.loads(self.client("job", "explain", reader, "--json"))["obstacle_count"], 0)

    # ---- what is not there yet, or no more

    def test_an_array_that_a_job_is_writing_is_not_shown_as_if_it_were_whole(self):
        job = self.client("run", "mandelbrot", *self.SLOW, "--out", "slow", "--detach").strip()
        for command in (("show", "slow"), ("export", "slow", "slow.npy"), ("image", "slow", "slow.png")):
            self.refused(65, [f"'slow' is being written by job {job}", f"job wait {job}"], *command)
        self.assertIn(f"being written by job {job}", self.client("array", "list"))
        self.assertEqual(json.loads(self.client("info", "slow", "--json"))["writer_job"], int(job))
        self.refused(65, ["'slow'", "while job", f"job wait {job}"], "accept", "slow")
        self.client("job", "cancel", job)
        self.assertFalse((self.folder / "slow.npy").exists())
        self.assertEqual(self.run_client("job", "wait", job).returncode, 130)

    def test_an_incomplete_array_can_be_taken_as_it_is(self):
        self.client("create", "a", "--shape", "3000x3000", "--dtype", "int64")
        job = self.client("run", "mandelbrot", *self.SLOW, "--into", "a", "--detach").strip()
        while json.loads(self.client("job", "show", job, "--json"))["chunks"] == 0:
            pass
        self.client("job", "cancel", job)
        self.assertEqual(self.run_client("job", "wait", job).returncode, 130)
        self.refused(65, ["'a' is incomplete", "was cancelled", "array accept a"], "show", "a")
        self.assertIsNone(json.loads(self.client("info", "a", "--json"))["writer_job"])
        self.refused(65, ["'a'", "array accept a"], "run", "reduce", "sum", "a")
        self.client("create", "b", "--shape", "3")
        refused = self.run_client("accept", "b", "nosuch", "a", "--json")
        self.assertEqual(refused.returncode, 66)
        answer = json.loads(refused.stdout)
        self.assertEqual((answer["accepted"], answer["whole_already"]), (["a"], ["b"]))
        self.assertIn("'nosuch'", answer["error"]["message"])
        self.assertIn("whole already", self.run_client("accept", "a").stderr)
        self.client("run", "reduce", "sum", "a")

    def test_stop_says_what_becomes_of_jobs_arrays_and_files(self):
        self.client("create", "stays", "--shape", "3")
        self.client("attach", "file", self.save("f.npy", np.ones(3)))
        self.client("run", "mandelbrot", *self.SLOW, "--out", "slow", "--detach")
        said = self.run_client("stop").stderr
        for word in ("1 job cancelled", "1 array kept", "1 file no longer attached"):
            self.assertIn(word, said)
        said = self.run_client("start", "--workers", "1", "--memory", "64MiB").stderr
        self.assertRegex(said, r": 1 worker( starting)?, ")
        self.assertEqual([array["name"] for array in json.loads(self.client("list", "--json"))], ["stays"])

    # ---- strange names

    def test_no_name_does_anything_to_a_terminal(self):
        for words in (("rm", "a\x1b[2J"), ("accept", "a\x07\u202e"), ("run", "expr", "1 + \x1b[31m"), ("create", "\x1b]0;title\x07", "--shape", "3"),
                      ("no\x1bsuch",), ("show", "no\x9b31m.npy"), ("run", "reduce", "s\x1bm", "a"), ("with-server", "--", "no\x1bprogram")):
            done = self.run_client(*words)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertTrue(done.stderr, words)
            self.assertEqual([c for c in done.stderr if ord(c) < 32 and c != "\n" or ord(c) in (0x7f, 0x9b, 0x202e)], [], (words, done.stderr))
        (self.folder / "esc\x1b[2J.npy").write_bytes((self.folder / self.save("plain.npy", np.ones(3))).read_bytes())
        attached = self.run_client("attach", "file", "esc\x1b[2J.npy")
        self.assertEqual(attached.returncode, 0, attached.stderr)
        self.assertNotIn("\x1b", attached.stderr + self.client("list") + self.client("info", "file"))
        exported = self.run_client("export", "file", "out\x1b[2J.npy")
        self.assertEqual(exported.returncode, 0, exported.stderr)
        self.assertNotIn("\x1b", exported.stderr)

    # ---- workers that die, or do not come

    def test_status_says_that_no_worker_is_up(self):
        never = self.folder / "never.sh"  # a forkserver that has not come as far as to fork
        never.write_text("#!/bin/sh\nexec sleep 1000\n")
        never.chmod(0o755)
        (self.folder / "apart").mkdir(mode=0o700)
        environment = {**self.environment, "PARCOMPUTE_SOCKET": str(self.folder / "apart" / "control.sock"), "PARCOMPUTE_WORKER": str(never)}

        def client(*words):
            done = subprocess.run([BIN / "parcompute-client", *words], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout

        client("start", "--workers", "1")
        self.addCleanup(client, "stop")
        self.assertTrue(client("status").endswith("\nno worker is up: jobs wait for one, and fail where none comes for long; why stands in the server's log\n"))
        self.assertEqual([worker["state"] for worker in json.loads(client("status", "--json"))["workers"]], ["starting"])
        self.assertEqual(self.client("run", "reduce", "sum", self.save("ones.npy", np.ones(5))), "5.0\n")
        self.assertNotIn("no worker is up", self.client("status"))

    def test_a_job_that_workers_die_of_has_a_certificate(self):
        a = self.imported("a", np.arange(1000.0))
        server = json.loads(self.client("status", "--json"))["server_pid"]
        # What workers remember a piece in before they write over its operands: who finds it gone dies, each time.
        links = {f"/proc/{server}/fd/{fd}": os.readlink(f"/proc/{server}/fd/{fd}") for fd in os.listdir(f"/proc/{server}/fd")}
        redo = os.open(next(path for path, target in links.items() if target.startswith("/memfd:parcompute-redo")), os.O_RDWR)
        self.addCleanup(os.close, redo)
        size = os.fstat(redo).st_size
        os.ftruncate(redo, 0)
        done = self.run_client("run", "expr", "a + 1", "--into", "a")
        os.ftruncate(redo, size)
        self.assertEqual(done.returncode, 1, done.stderr)
        said = re.search(r"3 workers died computing blocks 0 to 0 of phase 1 of job (\d+) \(expr\), which make \[0:1000\] of its output; "
                         r"the last one was killed by signal 7 \(Bus error\); 'parcompute-client job show \1' tells how", done.stderr)
        self.assertTrue(said, done.stderr)
        shown = self.client("job", "show", said[1])
        self.assertRegex(shown, r"\nstate +failed\n")
        self.assertRegex(shown, r"\n\nblocks 0 to 0 of phase 1, \[0:1000\] of the output, ended 3 workers:\n")
        deaths = re.findall(r"^  worker \d \(pid (\d+)\) was killed by signal 7 \(Bus error\), after it had used \d[^\n]* at most\n"
                            r"    at address 0x[0-9a-f]+\n(?:    \S[^\n]*\n)*?    parcompute-worker\+0x[0-9a-f]+", shown, re.MULTILINE)
        self.assertEqual(len(set(deaths)), 3, shown)
        certificate = json.loads(self.client("job", "show", said[1], "--json"))["certificate"]
        self.assertEqual([certificate[key] for key in ("phase", "first_block", "block_count", "slice")], [1, 0, 1, "[0:1000]"])
        self.assertEqual([str(death["pid"]) for death in certificate["deaths"]], deaths)
        for death in certificate["deaths"]:
            self.assertEqual(set(death), {"worker", "pid", "how", "fault", "peak_bytes", "by_oom_killer"})
            self.assertIs(death["by_oom_killer"], False)
            self.assertGreater(death["peak_bytes"], 1_000_000)
            self.assertTrue(death["fault"].startswith("at address 0x"))
        self.client("accept", "a")
        self.client("run", "expr", "a + 1", "--into", "a")
        np.testing.assert_array_equal(self.exported("a"), a + 1)

    # ---- signals

    def test_ctrl_c_cancels_the_job(self):
        running = subprocess.Popen(
            [BIN / "parcompute-client", "--progress", "always", "run", "mandelbrot", *self.SLOW, "--out", "slow"],
            cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True)
        self.assertNotEqual(running.stderr.read(1), "", "it ended by itself")  # the bar's first letter: the job is there
        jobs = [job["id"] for job in json.loads(self.client("job", "list", "--json")) if job["state"] == "running"]
        self.assertEqual(len(jobs), 1)
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(timeout=60), 130)
        running.stderr.close()
        # It ends with the blocks that workers have in hand; the client does not wait for them for ever.
        self.assertEqual(self.run_client("job", "wait", jobs[0]).returncode, 130)
        self.assertEqual(json.loads(self.client("list", "--json")), [])


if __name__ == "__main__":
    unittest.main()
