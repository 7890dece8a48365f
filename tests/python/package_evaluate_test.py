"""Expressions, lazy ones too, reductions, products, order and jobs of the Python package, against NumPy."""

import unittest

from package import SLOW, PackageTest, np, pc

k = 4.0  # a global that expressions pick up


class Evaluations(PackageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        random = np.random.default_rng(1)
        cls.x, cls.y = random.random((50, 40)), random.random((50, 40)) + 0.5
        cls.whole = random.integers(-9, 9, (50, 40))
        cls.a, cls.b, cls.n = cls.node.array(cls.x), cls.node.array(cls.y), cls.node.array(cls.whole)

    # ---- evaluate

    def test_names_are_bound_or_the_callers(self):
        x, y, node = self.x, self.y, self.node
        a, b = self.a, self.b
        self.same(node.evaluate("sqrt(a**2 + b**2)"), np.sqrt(x**2 + y**2))
        self.same(node.evaluate("p - q", p=a, q=y), x - y, exact=True)
        self.same(node.evaluate("k*a"), k * x, exact=True)
        self.same(node.evaluate("a[:, ::2].T + 1"), x[:, ::2].T + 1, exact=True)
        node.array(x, name="kept")
        self.same(node.evaluate("kept + b"), x + y, exact=True)
        self.assertIsInstance(node.evaluate("sum(a)"), np.float64)
        del b
        with self.refused(LookupError, "'b'"):
            node.evaluate("a + b")
        with self.refused(ValueError, "'c'", "does not use"):
            node.evaluate("a + 1", c=1)
        pi = self.a
        with self.refused(ValueError, "'pi' is a constant"):
            node.evaluate("a * pi")
        self.same(node.evaluate("a * pi", pi=pi), x * x, exact=True)
        self.assertEqual(node.evaluate("size(a) + e - e"), 2000)

        class Series:
            def __array__(self, *_, **__):
                return np.full(40, 2.0)

        series = Series()
        self.same(node.evaluate("a * series"), x * 2, exact=True)
        row = [1.0] * 40
        self.same(node.evaluate("a + row"), x + 1, exact=True)

    def test_a_callers_number_is_no_constant(self):
        a, e = self.a, 0.5
        self.same(self.node.evaluate("e * a"), e * self.x, exact=True)
        self.same(self.node.evaluate("pi * a", pi=2.0), 2 * self.x, exact=True)
        self.same(pc.evaluate("nan * q", {"nan": 0.25, "q": self.x}), 0.25 * self.x, exact=True)

    def test_numbers_have_their_dtypes(self):
        f = self.node.array(np.arange(6, dtype="float32"))
        i = self.node.array(np.arange(6, dtype="int8"))
        for value, expected in ((2.5, "float32"), (2, "float32"), (True, "float32"), (1j, "complex64"), (np.float32(2.5), "float32"), (np.float64(2.5), "float64"),
                                (-2, "float32"), (-2.5, "float32"), (-0.0, "float32"), (2 - 1j, "complex64"), (np.int64(3), "float64"), (np.complex128(2j), "complex128")):  # fmt: skip
            answer = self.node.evaluate("f * v", v=value)
            self.assertEqual(answer.dtype, expected, value)
            np.testing.assert_allclose(answer, np.arange(6) * value)
            lazy = f * value
            self.assertEqual(lazy.dtype, expected)
            np.testing.assert_array_equal(lazy, answer)
        self.assertTrue(np.signbit(np.asarray(f * -0.0)[1]))
        self.assertEqual((i + 1).dtype, "int8")
        with self.refused(ValueError, "128"):
            np.asarray(i + 128)
        np.testing.assert_array_equal(i * np.inf > 3, np.arange(6) > 0)
        self.assertEqual(self.node.evaluate("sum(f, axis=axis)", axis=0), 15)

    def test_results_go_where_they_are_sent(self):
        out = self.node.zeros((50, 40))
        a = self.a
        self.assertIs(self.node.evaluate("2*a", out=out), out)
        self.same(out, 2 * self.x, exact=True)
        self.node.evaluate("a[:25]", out=out[::2])
        self.same(out[::2], self.x[:25], exact=True)
        plain = np.zeros((50, 40), "float32")
        self.assertIs(self.node.evaluate("3*a", out=plain), plain)
        np.testing.assert_allclose(plain, 3 * self.x, rtol=1e-6)
        self.assertEqual(self.node.evaluate("2*a", name="doubled").name, "doubled")
        self.assertEqual(self.node.evaluate("a > 0.5", dtype="uint8").dtype, "uint8")
        with self.refused(TypeError, "out="):
            self.node.evaluate("a", out=[1, 2])
        with self.refused(ValueError):
            self.node.evaluate("a", out=self.node.zeros(3))
        with self.refused(FileExistsError):
            self.node.evaluate("a", name="doubled")

    def test_errors_are_sentences_with_columns(self):
        a = self.a
        for text, words in (("a +", "column"), ("sinn(a)", "did you mean"), ("a @ a", "column"), ("a if a else a", "column"), ("", "too early"), ("a\0", "zero byte"), ("a" * 5000, "4096")):
            with self.refused(ValueError, words):
                self.node.evaluate(text)
        with self.refused(ValueError, "50x40"):
            self.node.evaluate("a + c", c=np.zeros(7))
        self.assertEqual(self.node.evaluate("sum(a)"), a.sum())

    # ---- numexpr's

    def test_pc_evaluate_is_numexprs(self):
        a, b = self.x, self.y
        answer = pc.evaluate("2*a + 3*b")
        self.assertIs(type(answer), np.ndarray)
        np.testing.assert_array_equal(answer, 2 * a + 3 * b)
        answer[0, 0] = 1  # it is the caller's
        np.testing.assert_array_equal(pc.evaluate("p*k", {"p": a}, {"k": 2}), a * 2)
        np.testing.assert_array_equal(pc.evaluate("a + c", c=b), a + b)
        self.assertEqual(pc.evaluate("sum(a)").shape, ())
        out = np.zeros_like(a)
        self.assertIs(pc.evaluate("a - b", out=out), out)
        np.testing.assert_array_equal(out, a - b)
        with self.refused(TypeError, "safe"):
            pc.evaluate("a", out=np.zeros(a.shape, "int32"))
        pc.evaluate("a", out=out.view(), casting="unsafe")
        self.assertTrue(pc.evaluate("a + b", order="F").flags.f_contiguous)
        np.testing.assert_array_equal(pc.evaluate("where(a > 0.5, a, b)"), np.where(a > 0.5, a, b))
        np.testing.assert_array_equal(pc.evaluate("a.T[::-1] * 2"), a.T[::-1] * 2)
        a.flags.writeable = False
        np.testing.assert_array_equal(pc.evaluate("a + 1"), a + 1)

    # ---- lazy expressions

    def test_operators_are_lazy_and_numpys(self):
        a, b, n, x, y, w = self.a, self.b, self.n, self.x, self.y, self.whole
        for lazy, expected in (
            (2 * a + 3 * b, 2 * x + 3 * y), (a / b - 1, x / y - 1), (a**2, x**2), (-a, -x), (abs(a - b), abs(x - y)), (n // 3, w // 3), (n % 5, w % 5), (~n, ~w),
            (n & 6, w & 6), (n | 1, w | 1), (n ^ 3, w ^ 3), (n << 2, w << 2), (n >> 1, w >> 1), (1 - a, 1 - x), (2 / b, 2 / y), (2.0**a, 2.0**x), (7 // b, 7 // y),
            (7 % b, 7 % y), (a > b, x > y), (a <= 0.5, x <= 0.5), (n == 3, w == 3), (n != 3, w != 3), (a + x, x + x), (x - b, x - y), (a + [1.0] * 40, x + 1),
            (a.astype("float32"), x.astype("float32")), ((a + 1j).conj(), x - 1j), ((a + 1j).imag, np.ones_like(x)), (a.clip(0.2, 0.7), x.clip(0.2, 0.7)),
            (a.clip(max=0.5), x.clip(max=0.5)), (a.round(2), x.round(2)), (+a, x), (6 & n, 6 & w), (a[0] + b, x[0] + y), (a * b.sum(axis=0), x * y.sum(axis=0)),
        ):  # fmt: skip
            self.assertIsInstance(lazy, pc.Expression)
            self.assertEqual((lazy.dtype, lazy.shape), (expected.dtype, expected.shape), repr(lazy))
            self.same(lazy.compute(), expected)
        lazy = (a + b) * 2
        self.same(lazy[3, ::2], ((x + y) * 2)[3, ::2])
        self.same(lazy.T, ((x + y) * 2).T)
        self.assertEqual(len(lazy), 50)
        self.assertIn("x0 + x1", repr(a + b))
        self.same(np.asarray(lazy, dtype="float32"), ((x + y) * 2).astype("float32"))
        self.assertIs(lazy.compute(), lazy.compute())
        self.same(lazy + lazy, (x + y) * 4)

    def test_they_go_into_arrays_and_names(self):
        out = self.node.zeros((50, 40), "float32")
        (self.a + 1).compute(out=out)
        np.testing.assert_allclose(out, self.x + 1, rtol=1e-6)
        self.assertEqual((self.a + 1).compute(name="plus").name, "plus")

    def test_long_ones_are_computed_in_parts(self):
        terms = [self.node.full(10, float(i)) for i in range(40)]
        total = sum(terms)
        np.testing.assert_array_equal(total, np.full(10, sum(range(40))))
        chain = terms[1]
        for _ in range(300):
            chain = chain + 1
        np.testing.assert_array_equal(chain, np.full(10, 301.0))
        square = terms[1] + 1
        for _ in range(30):
            square = square * 0.5 + square * 0.5  # as text it would double each time
        np.testing.assert_array_equal(square, np.full(10, 2.0))

    def test_values_of_no_dimensions(self):
        zero = self.node.array(3.0)
        self.assertEqual((zero + 1).compute(), 4)
        self.assertEqual(float(zero * 2), 6)
        self.assertTrue(zero > 2)
        np.testing.assert_array_equal((zero + 1) * self.a, 4 * self.x)
        self.assertEqual(zero.sum(), 3)
        self.assertEqual(self.node.array(np.zeros((0, 3))).sum(axis=0).tolist(), [0, 0, 0])
        self.same((self.node.zeros((0, 3)) + 1).compute(), np.ones((0, 3)))
        with self.refused(ValueError):
            self.node.zeros((0, 3)).max()

    # ---- reductions

    def test_reductions_are_numpys(self):
        for a, x in ((self.a, self.x), (self.n, self.whole), (self.a[::-1, ::3].T, self.x[::-1, ::3].T), (self.a > 0.5, self.x > 0.5)):
            for word in "sum prod mean var std min max any all argmin argmax".split():
                for axis in (None, 0, 1, -1):
                    for keepdims in (False, True):
                        expected = np.asarray(getattr(x, word)(axis=axis, keepdims=keepdims) if word not in ("var", "std") or x.dtype != bool else getattr(x.astype(float), word)(axis=axis, keepdims=keepdims))
                        answer = getattr(a, word)(axis=axis, keepdims=keepdims)
                        self.assertEqual(answer.shape, expected.shape, (word, axis))
                        np.testing.assert_allclose(np.asarray(answer), expected, rtol=1e-11, err_msg=f"{word} {axis}")
        self.same(self.a.sum(axis=(0, 1), keepdims=True), self.x.sum(axis=(0, 1), keepdims=True))
        self.same(self.a.var(axis=0, ddof=1), self.x.var(axis=0, ddof=1))
        self.same(self.n.sum(dtype="float32"), self.whole.sum(dtype="float32"))
        self.same((2 * self.a + 3 * self.b).sum(axis=0), (2 * self.x + 3 * self.y).sum(axis=0))
        out = self.node.zeros(40)
        self.assertIs(self.a.mean(axis=0, out=out), out)
        self.same(out, self.x.mean(axis=0))
        with self.refused(ValueError, "axis"):
            self.a.sum(axis=2)
        with self.refused(TypeError, "axis"):
            self.a.sum(axis=0.5)

    # ---- jobs of their own

    def test_products_order_and_counts_are_numpys(self):
        a, b, n, x, y, w, node = self.a, self.b, self.n, self.x, self.y, self.whole, self.node
        self.same(a @ b.T, x @ y.T)
        self.same(a @ y.T, x @ y.T)
        self.same(x @ b.T, x @ y.T)
        self.same((a + 1) @ b[0], (x + 1) @ y[0])
        self.same(node.dot(a, b.T), np.dot(x, y.T))
        self.same(node.vecdot(a, b), (x * y).sum(axis=-1))
        self.same(node.outer(a[0], b[0]), np.outer(x[0], y[0]), exact=True)
        out = node.zeros((50, 50))
        self.assertIs(node.matmul(a, b.T, out=out), out)
        for axis in (-1, 0, None):
            self.same(node.sort(a, axis), np.sort(x, axis), exact=True)
            self.same(node.argsort(n, axis), np.argsort(w, axis, kind="stable"), exact=True)
            self.same(node.cumsum(n, axis), np.cumsum(w, axis), exact=True)
            self.same(node.percentile(a, [5, 50], axis), np.percentile(x, [5, 50], axis))
        self.same(node.sort(a, descending=True), np.sort(x)[:, ::-1], exact=True)
        c = a.copy()
        c.sort()
        self.same(c, np.sort(x), exact=True)
        self.same(node.unique(n), np.unique(w), exact=True)
        self.same(node.searchsorted(node.unique(n), [-3, 2], side="right"), np.searchsorted(np.unique(w), [-3, 2], side="right"), exact=True)
        self.same(node.cumprod(a[0]), np.cumprod(x[0]))
        self.same(node.take(a, [3, 1], axis=1), x[:, [3, 1]], exact=True)
        self.same(node.concatenate([a, b], axis=1), np.concatenate([x, y], axis=1), exact=True)
        self.same(node.stack([a, y]), np.stack([x, y]), exact=True)
        self.same(node.bincount((n + 9).compute().ravel(), 18), np.bincount((w + 9).ravel(), minlength=18), exact=True)
        self.same(node.histogram(a, 7), np.histogram(x, 7)[0], exact=True)
        self.same(node.histogram(a, [0, 0.3, 1]), np.histogram(x, [0, 0.3, 1])[0], exact=True)
        self.same(node.percentile(a, 50), np.percentile(x, 50))
        self.same(node.percentile(a, [50]), np.percentile(x, [50]))
        self.assertEqual(node.sort(a, name="sorted").name, "sorted")
        with self.refused(ValueError, "inner"):
            a @ b
        with self.refused(ValueError):
            node.concatenate([])
        with self.refused(ValueError, "side"):
            node.searchsorted(a, b, side="middle")

    def test_jobs_are_waited_for_watched_and_cancelled(self):
        a = self.a
        job = self.node.submit_expr("sum(a, axis=0)")
        self.same(job.wait(timeout=60).result(), self.x.sum(axis=0))
        self.assertEqual((job.state, job.progress, job.done()), ("done", 1.0, True))
        slow = self.node.submit("mandelbrot", **SLOW)
        with self.refused(TimeoutError, "0.01 s"):
            slow.wait(timeout=0.01)
        self.assertIn(slow.state, ("queued", "running"))
        self.assertLess(slow.progress, 1)
        self.assertFalse(slow.done())
        self.assertEqual(slow.info()["operation"], "mandelbrot")
        self.assertEqual(slow.explain()["job"]["id"], slow.id)
        self.assertIn(slow.id, [job["id"] for job in self.node.jobs()])
        behind = self.node.submit_expr("sum(a)", options={"after": slow, "priority": 3})
        same = self.node.find_job(slow.id)
        slow.cancel()
        for ended in (slow, same, behind):
            with self.refused(pc.Cancelled):
                ended.wait()
        self.assertEqual(slow.state, "cancelled")
        with self.refused(ValueError, "'prority'"):
            self.node.submit_expr("sum(a)", options={"prority": 3})
        with self.refused(ValueError, "did you mean 'sort'"):
            self.node.submit("sotr", a=a)
        with self.refused(LookupError):
            self.node.find_job(10**9)
        with self.refused(pc.Cancelled):
            self.node.submit("mandelbrot", time_limit=0.05, **SLOW).wait()


if __name__ == "__main__":
    unittest.main()
