"""PackageTest: the Python package against a server of its own, one for all tests of a class."""

import os
import pathlib
import sys
import tempfile
import unittest

BIN = pathlib.Path(os.environ["PARCOMPUTE_BIN"])
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
os.environ["PARCOMPUTE_LIBRARY"] = str(BIN.parent / "lib" / "libparcompute.so.0")
os.environ["PARCOMPUTE_SERVER"] = str(BIN / "parcompute-server")
sys.dont_write_bytecode = True
sys.path.insert(0, str(CHECKOUT / "client" / "python"))

import numpy as np  # noqa: E402

import parcompute as pc  # noqa: E402

# Beside the cusp no point escapes within so many steps, and none repeats itself: hours, in chunks of some milliseconds.
SLOW = dict(nx=3000, ny=3000, x_min=0.2500000001, x_max=0.2500000002, y_min=-1e-11, y_max=1e-11, max_iter=100000, chunk_blocks=1)


def segments_of(instance):
    """What lies in /dev/shm of one server's."""
    return [name for name in os.listdir("/dev/shm") if instance in name]


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="parcompute-test-")
        cls.folder = pathlib.Path(cls.temporary.name)
        cls.server = pc.PrivateServer(workers=2)
        cls.saved = os.environ.get("PARCOMPUTE_SOCKET")
        os.environ["PARCOMPUTE_SOCKET"] = cls.server.socket
        cls.node = cls.server.connect()

    @classmethod
    def tearDownClass(cls):
        cls.node.close()
        cls.server.close()
        if cls.saved is None:
            del os.environ["PARCOMPUTE_SOCKET"]
        else:
            os.environ["PARCOMPUTE_SOCKET"] = cls.saved
        cls.temporary.cleanup()

    def tearDown(self):
        for array in self.node.list():
            if array["name"]:
                self.node.remove(array["name"])

    def same(self, answer, expected, exact=False):
        """Values, shape and dtype. Sums and functions may differ from NumPy's in last bits."""
        self.assertEqual(answer.dtype, expected.dtype)
        self.assertEqual(answer.shape, expected.shape)
        if exact:
            np.testing.assert_array_equal(np.asarray(answer), expected)
        else:
            np.testing.assert_allclose(np.asarray(answer), expected, rtol=1e-5 if expected.dtype.itemsize < 8 or expected.dtype == np.complex64 else 1e-12)

    def refused(self, kind, *words):
        """A context: an exception of this kind, whose message has these words."""
        test = self

        class Refused:
            def __enter__(self):
                return self

            def __exit__(self, raised, error, trace):
                test.assertIsNotNone(raised, f"nothing was raised: {kind.__name__} was awaited")
                if not issubclass(raised, kind):
                    return False
                for word in words:
                    test.assertIn(word, str(error))
                return True

        return Refused()
