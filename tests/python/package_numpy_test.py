"""NumPy's own functions on Arrays: what the engine has runs on the pool, the rest on the same memory; the answers are NumPy's."""

import unittest
import warnings

from package import PackageTest, np, pc

warnings.simplefilter("error")


class Protocols(PackageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        random = np.random.default_rng(1)
        cls.x, cls.y = random.random((30, 20)) + 0.1, random.random((30, 20)) + 0.1
        cls.whole = random.integers(-9, 9, (30, 20))
        cls.a, cls.b, cls.n = cls.node.array(cls.x), cls.node.array(cls.y), cls.node.array(cls.whole)

    def jobs(self):
        return self.node.status()["jobs"]["ended"]

    def test_ufuncs_are_lazy_and_run_on_the_pool(self):
        one = "fabs negative sign square reciprocal floor ceil trunc rint sqrt cbrt exp expm1 exp2 log log1p log2 log10 sin cos tan arcsin arccos arctan degrees radians " \
              "sinh cosh tanh arcsinh arctanh conjugate isnan isinf isfinite signbit logical_not".split()  # fmt: skip
        two = "add subtract multiply divide floor_divide remainder power arctan2 hypot minimum maximum fmin fmax copysign fmod less less_equal greater greater_equal equal " \
              "not_equal logical_and logical_or logical_xor".split()  # fmt: skip
        small, x = self.a * 0.5, self.x * 0.5
        for word in one:
            lazy = getattr(np, word)(small)
            self.assertIsInstance(lazy, pc.Expression, word)
            self.same(lazy.compute(), getattr(np, word)(x))
        for word in two:
            called = getattr(np, word)
            self.same(called(self.a, self.b).compute(), called(self.x, self.y))
            self.same(called(self.a, self.y).compute(), called(self.x, self.y))
            self.same(called(self.x, self.b).compute(), called(self.x, self.y))
            self.same(called(self.a, 2.0).compute(), called(self.x, 2.0))
        for word in "bitwise_and bitwise_or bitwise_xor left_shift".split():
            self.same(getattr(np, word)(self.n, 3).compute(), getattr(np, word)(self.whole, 3), exact=True)
        self.same((np.sin(self.a) + self.b).compute(), np.sin(self.x) + self.y)
        self.assertIsInstance(np.absolute(self.n), pc.Expression)

    def test_outputs_are_written(self):
        out, plain = self.node.zeros((30, 20)), np.zeros((30, 20))
        self.assertIs(np.add(self.a, self.b, out=out), out)
        self.same(out, self.x + self.y, exact=True)
        self.assertIs(np.add(self.a, self.b, out=plain), plain)
        np.testing.assert_array_equal(plain, self.x + self.y)
        self.assertIs(np.multiply(self.x, 2, out=out), out)
        self.same(out, self.x * 2, exact=True)
        plain += self.a
        np.testing.assert_array_equal(plain, self.x + self.y + self.x)
        square = self.node.zeros((30, 30))
        self.assertIs(np.matmul(self.a, self.b.T, out=square), square)
        self.same(square, self.x @ self.y.T)
        self.assertIs(np.sum(self.a, axis=0, out=self.node.zeros(20)).__class__, pc.Array)

    def test_ufuncs_that_the_engine_lacks_run_here(self):
        jobs = self.jobs()
        self.assertIs(type(np.heaviside(self.a, 0.5)), np.ndarray)
        np.testing.assert_array_equal(np.nextafter(self.a, 1), np.nextafter(self.x, 1))
        quotient, rest = np.divmod(self.a, 0.3)
        np.testing.assert_array_equal(rest, np.divmod(self.x, 0.3)[1])
        np.testing.assert_array_equal(np.add.accumulate(self.a), np.add.accumulate(self.x))
        np.testing.assert_array_equal(np.add.outer(self.a[0], self.b[0]), np.add.outer(self.x[0], self.y[0]))
        np.testing.assert_array_equal(np.add(self.a, 1, where=self.x > 0.5, out=np.zeros_like(self.x)), np.add(self.x, 1, where=self.x > 0.5, out=np.zeros_like(self.x)))
        bins = self.node.zeros(5)
        np.add.at(bins, [1, 1, 3], 2.0)
        self.assertEqual(bins.tolist(), [0, 4, 0, 2, 0])
        self.assertEqual(self.jobs() - jobs, 1)  # of zeros()

    def test_functions_run_on_the_pool(self):
        a, b, n, x, y, w = self.a, self.b, self.n, self.x, self.y, self.whole
        checks = [
            (np.sum, (a, 1), {}, (x, 1)), (np.sum, (a,), {"axis": 0, "keepdims": True}, (x,)), (np.mean, (a,), {"axis": 0}, (x,)), (np.prod, (a, 1), {}, (x, 1)),
            (np.var, (a,), {"ddof": 1, "axis": 1}, (x,)), (np.std, (a, 0), {}, (x, 0)), (np.min, (a, 0), {}, (x, 0)), (np.max, (n,), {}, (w,)), (np.ptp, (a, 1), {}, (x, 1)),
            (np.any, (n, 0), {}, (w, 0)), (np.all, (n,), {"axis": 1}, (w,)), (np.argmin, (a, 1), {}, (x, 1)), (np.argmax, (a,), {}, (x,)), (np.count_nonzero, (n,), {"axis": 0}, (w,)),
            (np.nansum, (a, 0), {}, (x, 0)), (np.nanmax, (a, 0), {}, (x, 0)), (np.nanmean, (a, 0), {}, (x, 0)),
            (np.add.reduce, (a, 0), {}, (x, 0)), (np.maximum.reduce, (a,), {"axis": 1}, (x,)), (np.add.reduce, (a,), {"axis": None}, (x,)),
            (np.dot, (a, b.T), {}, (x, y.T)), (np.matmul, (a, b.T), {}, (x, y.T)), (np.outer, (a[0], b[1]), {}, (x[0], y[1])),
            (np.sort, (a, 0), {}, (x, 0)), (np.argsort, (a,), {"axis": 0}, (x,)), (np.unique, (n,), {}, (w,)), (np.cumsum, (n, 1), {}, (w, 1)), (np.cumprod, (a, 1), {}, (x, 1)),
            (np.searchsorted, (np.sort(a[0]), [0.5]), {"side": "right"}, (np.sort(x[0]), [0.5])), (np.take, (a, [1, 2], 0), {}, (x, [1, 2], 0)),
            (np.percentile, (a, 30), {"axis": 0}, (x, 30)), (np.where, (n > 0, a, b), {}, (w > 0, x, y)), (np.where, (n > 0, 1.0, b), {}, (w > 0, 1.0, y)),
            (np.clip, (a, 0.2, 0.4), {}, (x, 0.2, 0.4)), (np.clip, (a, None, 0.4), {}, (x, None, 0.4)), (np.round, (a, 1), {}, (x, 1)), (np.real, (a,), {}, (x,)),
        ]  # fmt: skip
        for called, ours, keywords, theirs in checks:
            jobs = self.jobs()
            answer = called(*ours, **keywords)
            if isinstance(answer, pc.Expression):
                answer = answer.compute()
            self.assertGreater(self.jobs(), jobs, called)
            self.same(answer, called(*theirs, **keywords))
        self.same(np.concatenate([a, b]), np.concatenate([x, y]), exact=True)
        self.same(np.stack([a, b], axis=1), np.stack([x, y], axis=1), exact=True)
        counts, edges = np.histogram(a, bins=6)
        np.testing.assert_array_equal(counts, np.histogram(x, bins=6)[0])
        np.testing.assert_array_equal(edges, np.histogram(x, bins=6)[1])
        self.assertEqual((np.shape(a), np.ndim(a), np.size(a)), ((30, 20), 2, 600))
        self.same(np.transpose(a), x.T, exact=True)
        self.same(np.reshape(a, (20, 30)), x.reshape(20, 30), exact=True)
        self.same(np.copy(a), x, exact=True)

    def test_joins_and_conditions_in_their_short_forms(self):
        x = np.arange(6.0).reshape(2, 3) - 2
        a = self.node.array(x)
        self.same(np.concatenate([a, a], axis=None), np.concatenate([x, x], axis=None), exact=True)
        with self.assertRaises(TypeError):
            np.stack([a, a], axis=None)
        for mine, numpys in zip(np.where(a > 0), np.where(x > 0)):
            np.testing.assert_array_equal(mine, numpys)
        with self.assertRaises(TypeError):
            (a * np.longdouble(2)).sum()

    def test_functions_that_the_engine_lacks_run_here(self):
        a, x = self.a, self.x
        np.testing.assert_array_equal(np.median(a, axis=0), np.median(x, axis=0))
        np.testing.assert_array_equal(np.fft.fft(a), np.fft.fft(x))
        np.testing.assert_array_equal(np.unique(self.n, return_counts=True)[1], np.unique(self.whole, return_counts=True)[1])
        np.testing.assert_array_equal(np.sum(a, where=x > 0.5), np.sum(x, where=x > 0.5))
        np.testing.assert_array_equal(np.linalg.norm(a), np.linalg.norm(x))
        np.testing.assert_array_equal(np.vstack([a, x]), np.vstack([x, x]))
        np.testing.assert_array_equal(np.flip(a), np.flip(x))
        np.testing.assert_array_equal(np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", x, x))
        np.testing.assert_allclose(np.cov(a), np.cov(x))
        np.testing.assert_array_equal(np.sum(a + 1, where=x > 0.5), np.sum(x + 1, where=x > 0.5))
        copied = np.zeros_like(x)
        np.copyto(copied, a)
        np.testing.assert_array_equal(copied, x)
        with self.refused(ValueError):
            np.sum(a, axis=5)

    def test_what_has_no_meaning_is_refused_as_numpy_does(self):
        for call in (lambda: self.a + "x", lambda: self.a @ object(), lambda: self.a < None, lambda: np.add(self.a, "x")):
            with self.refused(TypeError):
                call()
        self.assertFalse(self.a is None)


if __name__ == "__main__":
    unittest.main()
