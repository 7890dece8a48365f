"""CommandLine: a private server, and parcompute-client as people type it. One server for all tests of a class."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy as np

BIN = pathlib.Path(os.environ["PARCOMPUTE_BIN"])


def is_sanitized():
    """Whether a sanitizer watches the programs: UBSan takes a full table of descriptors for a broken object."""
    program = (BIN / "parcompute-server").read_bytes()
    return b"__ubsan_" in program or b"__tsan_" in program


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
