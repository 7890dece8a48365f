"""The tour in client/python/README.md and the example, as they stand."""

import doctest
import os
import subprocess
import sys
import unittest

from package import CHECKOUT, PackageTest


class Tour(PackageTest):
    def test_the_tour_is_true(self):
        results = doctest.testfile(str(CHECKOUT / "client" / "python" / "README.md"), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
        self.assertEqual(results.failed, 0)
        self.assertGreater(results.attempted, 30)

    def test_the_example_runs(self):
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "client" / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([sys.executable, CHECKOUT / "client" / "examples" / "standardize.py"], env=environment, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the farthest lie", done.stdout)


if __name__ == "__main__":
    unittest.main()
