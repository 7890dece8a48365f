"""Arrays of the Python package: made, looked at, sliced, written, kept and let go."""

import gc
import unittest

from package import PackageTest, np, segments_of

DTYPES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128".split()


class Arrays(PackageTest):
    def test_an_array_is_its_source_whatever_its_dtype_and_order(self):
        random = np.random.default_rng(1)
        for dtype in DTYPES:
            source = (random.random((5, 6, 7)) * 100).astype(dtype)
            for view in (source, np.asfortranarray(source), source[::-1, ::2], source.T, source[:0], source[0, 0, 0], source[2:3, :, -1]):
                made = self.node.array(view)
                self.same(made, view, exact=True)
                self.assertEqual(made.nbytes, view.nbytes)

    def test_asarray_is_the_memory_itself(self):
        a = self.node.zeros((4, 5))
        view = np.asarray(a)
        view[1, 2] = 7
        self.assertEqual(np.asarray(a)[1, 2], 7)
        self.assertEqual(a.sum(), 7)
        self.assertIs(view.base, a)
        self.assertEqual(view.__array_interface__["data"][0], np.asarray(a).__array_interface__["data"][0])
        del a
        gc.collect()
        view[3, 4] = 1  # the view keeps the array
        self.assertEqual(view.sum(), 8)

    def test_the_ways_to_make_one_are_numpys(self):
        node = self.node
        self.same(node.empty((2, 3)), np.zeros((2, 3)), exact=True)
        self.same(node.ones(4, "int16"), np.ones(4, "int16"), exact=True)
        self.same(node.full((2, 2), 2 + 1j), np.full((2, 2), 2 + 1j), exact=True)
        self.same(node.full((), 3, dtype="uint64"), np.full((), 3, "uint64"), exact=True)
        self.same(node.full(2, 2**64 - 1, dtype="uint64"), np.full(2, 2**64 - 1, "uint64"), exact=True)
        self.same(node.full(2, True), np.full(2, True), exact=True)
        self.same(node.arange(10), np.arange(10), exact=True)
        self.same(node.arange(2, 11, 3), np.arange(2, 11, 3), exact=True)
        self.same(node.arange(0, 1, 0.25), np.arange(0, 1, 0.25), exact=True)
        self.same(node.arange(5, dtype="float32"), np.arange(5, dtype="float32"), exact=True)
        self.same(node.linspace(0, 1, 11), np.linspace(0, 1, 11))
        self.same(node.linspace(0, 1, 4, endpoint=False), np.linspace(0, 1, 4, endpoint=False))
        self.same(node.eye(3, 4, k=1), np.eye(3, 4, k=1), exact=True)

    def test_random_numbers_are_their_seeds(self):
        node = self.node
        a, b, c = node.random((100, 3), seed=7), node.random((100, 3), seed=7), node.random((100, 3))
        np.testing.assert_array_equal(a, b)
        self.assertFalse(np.array_equal(a, c))
        np.testing.assert_array_equal(a, np.random.Generator(np.random.Philox(key=7)).uniform(size=(100, 3)))
        whole = np.asarray(node.random(10000, "integers", low=-2, high=3, seed=1))
        self.assertEqual((whole.min(), whole.max(), whole.dtype), (-2, 2, np.int64))
        self.assertAlmostEqual(float(node.random(100000, "normal", mean=5, standard_deviation=2, seed=1).std()), 2, places=1)
        with self.refused(ValueError, "distribution"):
            node.random(3, "poisson")

    def test_names_find_arrays_and_remove_them(self):
        a = self.node.array([1.0, 2.0], name="a")
        self.assertEqual(a.name, "a")
        self.assertEqual([array["name"] for array in self.node.list() if array["name"]], ["a"])
        np.asarray(self.node.find("a"))[0] = 5
        self.assertEqual(a[0], 5)
        self.assertEqual(self.node["a"].info()["mode"], "private")
        with self.refused(FileExistsError, "'a'"):
            self.node.zeros(1, name="a")
        self.node.remove(a)
        with self.refused(LookupError, "'a'"):
            self.node.find("a")
        self.assertEqual(a[1], 2)  # what is mapped stays
        with self.refused(ValueError, "name"):
            self.node.remove(self.node.zeros(1))

    def test_files_are_attached_loaded_and_saved(self):
        file = self.folder / "f.npy"
        np.save(file, np.arange(6.0).reshape(2, 3))
        attached = self.node.attach(file)
        self.assertFalse(np.asarray(attached).flags.writeable)
        with self.refused(ValueError, "read-only"):
            np.asarray(attached)[0, 0] = 1
        loaded = self.node.load(file)
        loaded += 1
        loaded.save(self.folder / "g.npy")
        np.testing.assert_array_equal(np.load(self.folder / "g.npy"), np.arange(6.0).reshape(2, 3) + 1)
        self.assertEqual(attached.sum(), 15)
        with self.refused(FileNotFoundError, "nowhere.npy"):
            self.node.attach(self.folder / "nowhere.npy")

    def test_slices_are_views(self):
        source = np.arange(120.0).reshape(4, 5, 6)
        a = self.node.array(source)
        keys = [
            np.s_[1], np.s_[-1], np.s_[1:3], np.s_[::-1], np.s_[:, 2], np.s_[..., 3], np.s_[:, ::2, ::-3], np.s_[None, 1], np.s_[1:1], np.s_[2, ..., None, 1],
            np.s_[-100:100], np.s_[np.int8(2), :, np.uint64(1)], np.s_[...], np.s_[()],
        ]  # fmt: skip
        for key in keys:
            view = a[key]
            self.same(view, source[key], exact=True)
            self.assertEqual(view.strides, source[key].strides)
            self.assertTrue(np.shares_memory(np.asarray(view), np.asarray(a)) or view.size == 0)
        self.same(a.T, source.T, exact=True)
        self.same(a.transpose(1, 0, 2), source.transpose(1, 0, 2), exact=True)
        self.same(a.transpose((2, 0, 1)), source.transpose(2, 0, 1), exact=True)
        self.same(a.reshape(20, -1), source.reshape(20, -1), exact=True)
        self.same(a.T.reshape(-1), source.T.reshape(-1), exact=True)  # a copy, as NumPy's
        self.same(a[1, 2:4][::-1], source[1, 2:4][::-1], exact=True)
        self.assertEqual(a[1, 2, 3], source[1, 2, 3])
        self.assertIs(type(a[1, 2, 3]), np.float64)
        self.assertEqual([row.shape for row in a], [(5, 6)] * 4)
        for key in (np.s_[4], np.s_[0, 0, 0, 0], np.s_[0, 0, 9]):
            with self.refused(IndexError):
                a[key]
        with self.refused(ValueError):
            a[::0]

    def test_masks_and_indices_pick_elements(self):
        source = np.random.default_rng(2).random((30, 4))
        a = self.node.array(source)
        self.same(a[a > 0.5], source[source > 0.5], exact=True)
        self.same(a[source[:, 0] > 0.5], source[source[:, 0] > 0.5], exact=True)
        self.same(a[[3, 1, 1]], source[[3, 1, 1]], exact=True)
        self.same(a[np.array([[0, 2], [5, 4]])], source[np.array([[0, 2], [5, 4]])], exact=True)
        self.same(a[[-1, 0]], source[[-1, 0]], exact=True)
        self.same(a[:, [1, 2]], source[:, [1, 2]], exact=True)

    def test_elements_are_assigned_as_numpy_does(self):
        source = np.arange(20.0).reshape(4, 5)
        a = self.node.array(source)
        for key, value in ((np.s_[1], 7), (np.s_[:, ::2], np.arange(3)), (np.s_[2, 3], -1), (np.s_[::-1], source.copy())):
            a[key] = value
            source[key] = value
            np.testing.assert_array_equal(a, source)
        a[a > 5] = 0
        source[source > 5] = 0
        a[1:3] = a[1:3] * 2 + 1  # an expression, on the pool
        source[1:3] = source[1:3] * 2 + 1
        a[0] = a[3]
        source[0] = source[3]
        a += 1
        source += 1
        a[:, 0] **= 2
        source[:, 0] **= 2
        np.testing.assert_array_equal(a, source)

    def test_what_cannot_be_an_array_is_refused(self):
        for value, words in (
            (np.array([object()]), "object"), (np.array(["a"]), "str"), (np.zeros(3, ">f8"), "byte order"), (np.zeros(3, np.float16), "float16"),
            (np.zeros(3, "M8[s]"), "datetime64"), (np.zeros(3, [("a", int)]), "void"), (np.zeros(3, np.longdouble), "float"),
        ):  # fmt: skip
            with self.refused(TypeError, words):
                self.node.array(value)
        with self.refused(TypeError, "mask"):
            self.node.array(np.ma.masked_greater([1.0, 2.0], 1.5))
        with self.refused(TypeError):
            self.node.zeros(3.5)
        with self.refused(ValueError):
            self.node.zeros((2, -1))
        with self.refused(ValueError):
            self.node.zeros((1,) * 40)
        with self.refused(ValueError, "64 bits"):
            self.node.zeros(2**70)
        with self.refused(MemoryError):
            self.node.zeros(2**50, "uint8")
        with self.refused(ValueError):
            self.node.full(3, 300, dtype="uint8")
        with self.refused(ValueError, "zero byte"):
            self.node.zeros(3, name="a\0b")
        with self.refused(ValueError):
            self.node.zeros(3, name="a/b")

    def test_one_that_could_not_be_filled_leaves_no_name(self):
        with self.assertRaises(ValueError):
            self.node.array(["1", "x"], dtype=float, name="half")
        self.same(self.node.array([1.0], name="half"), np.ones(1), exact=True)
        self.node.remove("half")

    def test_conversions_and_words(self):
        a = self.node.array([[1.0, 2.0], [3.0, 4.0]], name="a")
        self.assertEqual(repr(a), "Array([[1., 2.],\n       [3., 4.]], dtype=float64, name='a')")
        self.assertEqual(str(a[0]), "[1. 2.]")
        self.assertEqual(a.tolist(), [[1.0, 2.0], [3.0, 4.0]])
        self.assertIn("float64", a._repr_html_())
        self.assertEqual(float(self.node.array(3.5)), 3.5)
        self.assertEqual((len(a), a.ndim, a.size, a.itemsize, a.nbytes), (2, 2, 4, 8, 32))
        self.assertIn(3.0, a)
        self.assertIn("shape=(0, 3)", repr(self.node.zeros((0, 3))))
        with self.refused(ValueError, "ambiguous"):
            bool(a)
        with self.refused(TypeError):
            hash(a)
        np.testing.assert_array_equal(np.from_dlpack(a), np.asarray(a))

    def test_results_that_are_always_a_little_behind_are_no_crowd(self):
        # One answer lies unread at nearly any time; none is for long.
        a = self.node.zeros(10)
        ahead = self.node.submit_expr("a + 0")
        for i in range(1, 3_000):
            ahead, job = self.node.submit_expr("a + i"), ahead
            self.assertEqual(job.result()[0], i - 1)

    def test_ten_thousand_temporaries_hold_memory_flat(self):
        used = self.node.status()["memory"]["used_bytes"]
        source = np.random.default_rng(3).random(20_000)
        a = self.node.array(source)
        for _ in range(10_000):
            c = (a[::2] + 1).compute()
        del a, c
        self.node.status()
        after = self.node.status()
        self.assertEqual(after["memory"]["used_bytes"], used)
        self.assertLess(len(segments_of(after["instance"])), 100)  # those that are spare, and nothing more
        with open("/proc/self/maps", encoding="utf-8") as maps:
            self.assertLess(sum("parcompute" in line for line in maps), 60)


if __name__ == "__main__":
    unittest.main()
