"""parcompute-client as people type it: results against NumPy, messages, exit codes. One private server for all tests."""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

import numpy as np

BIN = pathlib.Path(os.environ["PARCOMPUTE_BIN"])


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="parcompute-test-")
        cls.folder = pathlib.Path(cls.temporary.name)
        (cls.folder / "run").mkdir(mode=0o700)
        cls.environment = {
            **os.environ,
            "PARCOMPUTE_SOCKET": str(cls.folder / "run" / "control.sock"),
            "PARCOMPUTE_SERVER": str(BIN / "parcompute-server"),
            "NO_COLOR": "1",
        }
        assert cls.run_client("start", "--workers", "2").returncode == 0

    @classmethod
    def tearDownClass(cls):
        cls.run_client("stop", "--drop-arrays")
        cls.temporary.cleanup()

    @classmethod
    def run_client(cls, *words):
        return subprocess.run(
            [BIN / "parcompute-client", *map(str, words)],
            cwd=cls.folder,
            env=cls.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def tearDown(self):
        for array in json.loads(self.client("list", "--json")):
            if array["name"]:
                self.client("rm", array["name"])

    def client(self, *words):
        done = self.run_client(*words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, code, words_of_message, *words):
        done = self.run_client(*words)
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for word in words_of_message:
            self.assertIn(word, done.stderr)

    def save(self, name, array):
        np.save(self.folder / name, array)
        return name

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

    def answer(self, *words):
        """What a command computes, as NumPy has it: through --json."""
        answer = json.loads(self.client(*words, "--json"))
        return np.array(answer["data"] if "data" in answer else answer["result"])

    def exported(self, name):
        self.client("export", name, "exported.npy")
        return np.load(self.folder / "exported.npy")

    def imported(self, name, array):
        self.client("import", name, self.save(f"{name}.npy", array))
        return array

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

    # ---- what is not there yet, or no more

    def test_an_array_that_a_job_is_writing_is_not_shown_as_if_it_were_whole(self):
        job = self.client("run", "mandelbrot", "--size", "3000x3000", "--max-iter", "1000000", "--out", "slow", "--detach").strip()
        for command in (("show", "slow"), ("export", "slow", "slow.npy"), ("image", "slow", "slow.png")):
            self.refused(65, ["'slow'", "incomplete", "job"], *command)
        self.client("job", "cancel", job)
        self.assertFalse((self.folder / "slow.npy").exists())
        self.assertEqual(self.run_client("job", "wait", job).returncode, 130)

    def test_stop_says_what_becomes_of_jobs_arrays_and_files(self):
        self.client("create", "stays", "--shape", "3")
        self.client("attach", "file", self.save("f.npy", np.ones(3)))
        self.client("run", "mandelbrot", "--size", "3000x3000", "--max-iter", "1000000", "--out", "slow", "--detach")
        said = self.run_client("stop").stderr
        for word in ("1 job cancelled", "1 array kept", "1 file no longer attached"):
            self.assertIn(word, said)
        said = self.run_client("start", "--workers", "1", "--memory", "64MiB").stderr
        self.assertIn("1 worker,", said)
        self.assertEqual([array["name"] for array in json.loads(self.client("list", "--json"))], ["stays"])

    # ---- refusals

    def test_words_that_make_no_sense_are_refused_with_the_way_out(self):
        self.refused(64, ["run reduce"], "reduce", "sum", "a")
        self.refused(64, ["--socket", "empty"], "--socket", "", "list")
        self.refused(64, ["--workers", "4096"], "start", "--workers", "5000")
        self.refused(64, ["--fill", "empty"], "create", "a", "--shape", "3", "--dtype", "complex64", "--fill", "")
        self.refused(64, ["complex64"], "create", "a", "--shape", "3", "--dtype", "complex64", "--fill", "1+")
        self.refused(64, ["--out", "empty"], "run", "expr", "1 + 1", "--out", "")
        self.refused(64, ["--into", "empty"], "run", "expr", "1 + 1", "--into", "")
        self.client("create", "a", "--shape", "2x2")
        self.refused(64, ["'-'", "-.npy"], "export", "a", "-")
        self.refused(64, ["a.txt", ".png"], "image", "a", "a.txt")
        self.refused(64, ["step"], "arange", "z", "0", "5", "0")
        self.refused(66, ["'x'", "'y'"], "rm", "x", "a", "y", "-q")
        self.refused(66, ["'a'"], "show", "a")

    def test_names_that_may_mean_something_else_are_refused(self):
        x = self.imported("x", np.arange(4.0))
        self.imported("n1", np.arange(4.0))
        np.testing.assert_array_equal(self.answer("run", "expr", "x * e + pi"), x * np.e + np.pi)
        e = self.imported("e", np.array([5.0, 6, 7, 8]))
        self.refused(64, ["'e' is the constant and an array's name: bind it, e=e"], "run", "expr", "x * e")
        np.testing.assert_array_equal(self.answer("run", "expr", "x * e", "e=e"), x * e)
        np.testing.assert_array_equal(self.answer("run", "expr", "sum(x, keepdims=True) * pi"), [x.sum() * np.pi])
        self.refused(64, ["'N1' is bound, but the expression does not use it; did you mean 'n1'?"], "run", "expr", "n1 + 1", "N1=x")
        self.refused(64, ["'z' is bound"], "run", "expr", "x + 1", "x=x", "z=n1")
        self.client("rm", "e")

    def test_unknown_names_lead_to_those_there_are(self):
        self.imported("density", np.arange(4.0))
        self.imported("n1", np.arange(4.0))
        self.imported("run-7", np.arange(4.0))
        self.refused(66, ["'denisty' at column 5", "did you mean 'density'?"], "run", "expr", "2 * denisty")
        self.refused(66, ["did you mean 'n1'?"], "run", "expr", "N1 + 1")
        self.refused(66, ["did you mean 'dens'?"], "run", "expr", "dnes + 1 * dens", "dens=density")
        self.refused(66, ["an array is named 'run-7'", "bind it, r=run-7, and write r"], "run", "expr", "run-7 + 1")
        self.refused(64, ["'é'", "is bound"], "run", "expr", "é + 1")
        self.refused(65, ["is no dtype"], "run", "expr", "density.astype(flaot32)")
        self.refused(65, ["write sum(...)"], "run", "expr", "1 + sum")
        done = self.run_client("run", "expr", "q + 1")
        self.assertEqual(done.returncode, 66)
        self.assertNotIn("did you mean", done.stderr)

    def test_what_is_no_view_is_answered_with_what_to_write(self):
        self.imported("m", np.arange(6.0).reshape(2, 3))
        self.refused(66, ["'.ravel()' is no view: write .reshape(-1)"], "show", "m.ravel()")
        self.refused(66, ["'.T()' is no view: write .T"], "show", "m.T()")
        self.refused(66, ["'.squeeze()'", "write [0]"], "show", "m.squeeze()")
        self.refused(66, ["'.astype(float32)'", "array copy"], "show", "m.astype(float32)")
        self.refused(66, ["'.ravel()'", "write .reshape(-1)"], "show", "m.T.ravel()")
        self.refused(66, ["'.sum()'", "run reduce sum 'm'"], "show", "m.sum()")
        self.refused(65, ["'.sum()'", "run reduce sum 'm[:, 0]'"], "show", "m[:, 0].sum()")
        self.refused(65, ["'.flatten()'", "write .reshape(-1)"], "show", "m[1:].T.flatten()")
        self.refused(66, ["run expr 'm.clip(0.5)'"], "show", "m.clip(0.5)")
        self.refused(66, ["write 'm[0]'"], "show", "m [0]")
        self.refused(65, ["run compress m MASK"], "show", "m[m>0]")
        self.refused(65, ["run take m INDICES"], "show", "m[idx]")
        self.refused(65, ["run compress m MASK"], "run", "expr", "m[m>0]")
        self.refused(66, ["'[0,1]' is no array", "array arange"], "run", "take", "m", "[0,1]")
        self.refused(66, ["'0,1' is no array"], "run", "take", "m", "0,1")
        self.refused(66, ["'m>0' is no array", "run expr 'm>0' --out NAME"], "run", "compress", "m", "m>0")
        self.refused(66, ["there is no array 'nosuch'", "array list"], "show", "nosuch")

    def test_results_do_not_go_to_names_that_look_like_other_files(self):
        self.imported("x", np.arange(4.0))
        for name in ("foo.txt", "foo.csv", "foo.png", "foo.npz"):
            self.refused(64, [f"'{name}' names no file here: write '{name}.npy'"], "run", "expr", "x + 1", "--out", name)
        self.client("run", "expr", "x + 1", "--out", "run.7")
        self.assertIn(", 'm.png': ", self.run_client("run", "mandelbrot", "--size", "9x9", "--max-iter", "9", "--out", "c", "--png", "m.png").stderr)
        self.refused(64, ["'m.jpg' does not end in .png"], "run", "mandelbrot", "--size", "9x9", "--max-iter", "9", "--png", "m.jpg")
        self.imported("i", np.arange(4))
        self.refused(65, ["cast it", "int64(...)", "--dtype int64"], "run", "expr", "x * 0.5", "--into", "i")

    def test_negative_numbers_are_no_flags(self):
        for words, numbers in ((("-.5", ".5", ".25"), np.arange(-0.5, 0.5, 0.25)), (("-1e-1", ".5", ".25"), np.arange(-0.1, 0.5, 0.25)), (("-5", "-2"), np.arange(-5, -2))):
            self.client("arange", "n", *words)
            np.testing.assert_array_equal(self.exported("n"), numbers)
            self.client("rm", "n")

    def test_the_manual_lists_what_expressions_know(self):
        help = self.client("run", "expr", "--help")
        manual = (pathlib.Path(__file__).parents[2] / "deploy" / "man" / "parcompute-client.1").read_text()
        manual = manual[manual.index(".SH EXPRESSIONS") : manual.index(".SH EXIT STATUS")]
        known = set(re.findall(r"\w+", manual))
        names = [line.split() for line in help[help.index("\nFunctions:") : help.index("\nOperators:")].splitlines() if line.startswith("  ")]
        names = [name for line in names for name in line]
        self.assertGreater(len(names), 130)
        self.assertEqual([name for name in names if name not in known], [])

    def test_commands_that_compute_refuse_what_makes_no_sense(self):
        self.imported("a", np.arange(12.0).reshape(3, 4))
        self.imported("n", np.arange(12).reshape(3, 4))
        self.save("f.npy", np.zeros((3, 4)))
        self.refused(66, ["unknown name 'nosuch' at column 5", "array list"], "run", "expr", "a + nosuch")
        self.refused(66, ["'nosuch'"], "run", "expr", "a + b", "b=nosuch")
        self.refused(66, ["'nosuch'"], "run", "expr", "a + 1", "--into", "nosuch")
        self.refused(65, ["3x4", "4x3"], "run", "expr", "a + b", "b=a.T")
        self.refused(65, ["'a'"], "run", "expr", "b + 1", "b=a[7]")
        self.refused(65, ["'a'"], "show", "a[::0]")
        self.refused(65, ["'a'"], "show", "a[1,2,3]")
        self.refused(65, ["'a'"], "show", "a.reshape(5, 5)")
        for words in (("sum", "a", "--axis", "2"), ("argmax", "a", "--axis", "0,1"), ("max", "a[:0]")):
            self.refused(65, [f"{words[0]} of '{words[1]}' (float64, "], "run", "reduce", *words)
            self.assertNotIn("column", self.run_client("run", "reduce", *words).stderr)
        self.refused(65, ["axis 2 is out of bounds"], "run", "reduce", "sum", "a", "--axis", "2")
        for axis in ("x", ",", "0,", "1.5", "--"):
            self.refused(64, ["--axis"], "run", "reduce", "sum", "a", f"--axis={axis}")
        self.refused(65, ["axis"], "run", "sort", "a", "--axis", "2")
        self.refused(64, ["--axis"], "run", "reduce", "sum", "a", "--axis", "x")
        self.refused(64, ["--ddof"], "run", "reduce", "sum", "a", "--ddof", "1")
        self.refused(64, ["--range", "1", "0"], "run", "histogram", "a", "--range", "1,0")
        self.refused(64, ["'--json'", "before"], "run", "expr", "--", "-a", "--json", "-q")
        self.refused(64, ["--edges"], "run", "histogram", "a", "--bins", "3", "--edges", "a")
        self.refused(64, ["f.npy", "attach", "--writable"], "run", "expr", "a + 1", "--into", "f.npy")
        self.refused(65, ["float64", "int64", "cast"], "run", "expr", "a + 1", "--into", "n")
        self.refused(65, ["does not stretch"], "run", "expr", "a + 1", "--into", "a[0]")
        self.refused(64, ["NAME=ARRAY"], "run", "expr", "a + 1", "b")
        self.refused(64, ["twice"], "run", "expr", "b + 1", "b=a", "b=n")
        self.refused(64, ["--into", "--out"], "run", "expr", "a + 1", "--into", "a", "--out", "b")
        self.refused(64, ["column 4"], "run", "expr", "a +")
        self.refused(64, ["column 12"], "run", "expr", "__import__('os')")
        self.refused(65, ["column 12", "max"], "run", "expr", "clip(a, hi=5)")
        self.refused(65, ["'np.'", "sqrt(...)", "column 1"], "run", "expr", "np.sqrt(a)")
        self.refused(65, ["3x4"], "run", "matmul", "a", "a")
        self.refused(65, ["new array"], "run", "unique", "a", "--into", "a")
        self.refused(64, ["--high"], "run", "random", "integers", "--shape", "3")
        self.refused(64, ["--mean"], "run", "random", "uniform", "--shape", "3", "--mean", "1")
        self.refused(64, ["--high must be above --low"], "run", "random", "integers", "--shape", "3", "--low", "5", "--high", "5")
        self.refused(64, ["--high", "uint8"], "run", "random", "integers", "--shape", "3", "--dtype", "uint8", "--high", "257")
        self.refused(64, ["int64"], "run", "random", "normal", "--shape", "3", "--dtype", "int64")
        self.refused(64, ["--q", "101"], "run", "percentile", "a", "--q", "101")
        self.refused(64, ["--q"], "run", "percentile", "a", "--q", "half")
        self.refused(65, ["bool"], "run", "compress", "a", "n")
        self.imported("i", np.array([0, 99]))
        self.refused(65, ["99"], "run", "take", "a", "i")
        self.client("attach", "fixed", "f.npy")
        self.refused(77, ["'fixed'", "read-only"], "run", "expr", "a + 1", "--into", "fixed")

    def test_a_file_is_never_replaced_by_a_socket(self):
        for program in ([BIN / "parcompute-client", "--socket", self.folder / "run" / "precious", "start"],
                        [BIN / "parcompute-server", "--socket", self.folder / "run" / "precious"]):
            (self.folder / "run" / "precious").write_text("precious")
            done = subprocess.run(program, env=self.environment, capture_output=True, text=True, timeout=60)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("no socket", done.stderr)
            self.assertEqual((self.folder / "run" / "precious").read_text(), "precious")

    def test_server_options_are_refused_in_one_line(self):
        for words in (["--bogus"], ["--workers", "0"], ["--lifeline-fd", "99"], ["--memory", "0"], ["--admit-group", "nogroup"]):
            done = subprocess.run([BIN / "parcompute-server", *words], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertTrue(done.stderr.startswith("parcompute-server: "), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_a_server_that_cannot_start_is_quoted(self):
        socket = self.folder / "run" / "other.sock"
        environment = {**self.environment, "PARCOMPUTE_WORKERS": "many"}
        done = subprocess.run([BIN / "parcompute-client", "--socket", socket, "start"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("PARCOMPUTE_WORKERS", done.stderr)

    # ---- signals

    def test_ctrl_c_cancels_the_job(self):
        running = subprocess.Popen(
            [BIN / "parcompute-client", "--progress", "always", "run", "mandelbrot", "--size", "3000x3000", "--max-iter", "1000000", "--out", "slow"],
            cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True)
        self.assertNotEqual(running.stderr.read(1), "", "it ended by itself")  # the bar's first letter: the job is there
        self.assertIn("running", [job["state"] for job in json.loads(self.client("job", "list", "--json"))])
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(timeout=60), 130)
        running.stderr.close()
        self.assertEqual(json.loads(self.client("list", "--json")), [])


if __name__ == "__main__":
    unittest.main()
