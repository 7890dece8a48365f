"""parcompute-client as people type it: results against NumPy, messages, exit codes. One private server for all tests."""

import json
import os
import pathlib
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
        self.refused(64, ["complex64"], "create", "a", "--shape", "3", "--dtype", "complex64", "--fill", "")
        self.client("create", "a", "--shape", "2x2")
        self.refused(65, ["'-'", "-.npy"], "export", "a", "-")
        self.refused(65, ["a.txt", ".png"], "image", "a", "a.txt")
        self.refused(66, ["'x'", "'y'"], "rm", "x", "a", "y", "-q")
        self.refused(66, ["'a'"], "show", "a")

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
