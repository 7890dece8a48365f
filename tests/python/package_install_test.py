"""`pip install` of the Python package: offline, into a folder of its own, where it finds the build it came from."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from package import BIN, CHECKOUT

MISSING = [name for name in ("pip", "setuptools", "wheel") if importlib.util.find_spec(name) is None]
if MISSING:
    print(f"skipped: {sys.executable} has no {', '.join(MISSING)} (Debian packages python3-pip, python3-setuptools, python3-wheel)")
    sys.exit(77)


class Install(unittest.TestCase):
    def test_it_installs_offline_and_finds_the_library(self):
        with tempfile.TemporaryDirectory(prefix="parcompute-test-") as folder:
            # pip builds in the source's folder: a copy, whose checkout has this build.
            checkout = os.path.join(folder, "checkout")
            source = os.path.join(checkout, "client", "python")
            shutil.copytree(CHECKOUT / "client" / "python", source, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
            os.makedirs(os.path.join(checkout, "build", "release"))
            os.symlink(BIN.parent / "lib", os.path.join(checkout, "build", "release", "lib"))
            site = os.path.join(folder, "site")
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-build-isolation", "--no-deps", "--target", site, source]
            environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "PYTHONPATH": "", "HOME": folder}
            done = subprocess.run(install, env=environment, capture_output=True, text=True, timeout=240)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertTrue(os.path.exists(os.path.join(site, "parcompute", "py.typed")))
            environment["PYTHONPATH"] = site
            del environment["PARCOMPUTE_LIBRARY"]
            program = (
                "import parcompute as pc, numpy as np\n"
                "with pc.PrivateServer(workers=1) as node:\n"
                "    print(pc.__file__, node.array(np.arange(5.0)).sum())\n"
            )
            done = subprocess.run([sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(done.stdout, f"{site}/parcompute/__init__.py 10.0\n")


if __name__ == "__main__":
    unittest.main()
