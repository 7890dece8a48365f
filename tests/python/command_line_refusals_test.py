"""What parcompute-client refuses: the message, which names what was wrong and the way out, and the exit code."""

import pathlib
import re
import subprocess
import unittest

import numpy as np

from command_line import BIN, CommandLine


class Refusals(CommandLine):
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
        for words in (["--bogus"], ["--workers", "0"], ["--lifeline-fd", "99"], ["--memory", "0"], ["--memory", "64"], ["--admit-group", "nogroup"]):
            done = subprocess.run([BIN / "parcompute-server", *words], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertTrue(done.stderr.startswith("parcompute-server: "), done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_memory_in_which_no_array_fits_is_taken_for_a_slip(self):
        socket = ("--socket", self.folder / "run" / "small.sock")
        for size, words in (("64", ("'64' is 64 B", "did you mean '64M', or '64G'?")), ("1K", ("'1K' is 1.0 KiB", "at least 64.0 KiB")), ("0", ("at least",))):
            self.refused(64, ("--memory", *words), "start", "--memory", size, *socket)
            done = subprocess.run([BIN / "parcompute-server", "--memory", size, *map(str, socket)], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 64, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
            self.refused(64, words, "with-server", "--memory", size, "--", "true")

    def test_a_time_limit_is_seconds_that_somebody_may_live_to_see(self):
        for limit in ("1e300", "1e10"):
            self.refused(64, ("--timeout", "hundred years", "leave --timeout away"), "run", "nop", "--blocks", "1", "--timeout", limit)
        self.refused(64, ("above 0",), "run", "nop", "--blocks", "1", "--timeout", "0")

    def test_when_a_job_runs_is_said_in_numbers_that_there_are(self):
        nop = ("run", "nop", "--blocks", "1")
        for priority in ("20", "-21", "1.5", "high", "99999999999999999999"):
            self.refused(64, ("--priority", f"'{priority}' is no whole number from -20 (soonest) to 19 (last)"), *nop, f"--priority={priority}")
        self.refused(64, ("--priority", "excludes"), *nop, "--priority", "1", "--background")
        for jobs, word in (("7,", "''"), ("0", "'0'"), ("x", "'x'"), ("-1", "'-1'"), ("1,,2", "''"), ("99999999999999999999", "'99999999999999999999'")):
            self.refused(64, ("--after", f"{word} is no job's number"), *nop, f"--after={jobs}")
        self.refused(64, ("--after", "257 jobs are too many"), *nop, "--after", ",".join(["1"] * 257))
        self.refused(66, ("cannot come after job 1000000: there is no job 1000000", "job list"), *nop, "--after", "1000000")
        for limit in ("0", "-1", "nan", "soon"):
            self.refused(64, ("--time-limit",), *nop, f"--time-limit={limit}")
        self.refused(66, ("there is no job 1000000",), "job", "explain", "1000000")
        self.refused(64, ("ID", "'x'"), "job", "explain", "x")

    def test_a_file_that_cannot_be_written_is_refused_before_the_work(self):
        self.imported("a", np.arange(6.0).reshape(2, 3))
        (self.folder / "there.npy").write_text("as it was")
        (self.folder / "a-file").write_text("")
        jobs = self.client("job", "list", "--json")
        endless = ("mandelbrot", "--size", "30000x30000", "--max-iter", "1000000000")
        for words in ((*endless, "--out", "no/x.npy"), (*endless, "--png", "no/x.png"), (*endless, "--out", "there.npy", "--png", "no/x.png"), ("unique", "a", "--counts", "no/x.npy"),
                      ("unique", "a", "--out", "no/x.npy", "--counts", "there.npy"), ("histogram", "a", "--edges-out", "no/x.npy"), ("histogram", "a", "--out", "no/x.npy", "--edges-out", "e")):
            self.refused(73, ("'no/x.", "make the directory 'no' first"), "run", *words)
        self.refused(73, ("'a-file/x.npy'", "Not a directory"), "run", *endless, "--out", "a-file/x.npy")
        self.refused(73, ("'no/x.npy'", "make the directory"), "export", "a", "no/x.npy")
        self.refused(73, ("'no/x.png'", "make the directory"), "image", "a", "no/x.png")
        self.assertEqual(self.client("job", "list", "--json"), jobs)
        self.refused(66, ("nosuch",), "run", "reduce", "sum", "nosuch", "--out", "there.npy")
        self.refused(66, ("nosuch",), "export", "nosuch", "new.npy")
        self.assertEqual((self.folder / "there.npy").read_text(), "as it was")
        self.assertEqual([path.name for path in self.folder.iterdir() if path.name in ("new.npy", "no") or path.name.startswith(".parcompute")], [])

    def test_a_server_that_cannot_start_is_quoted(self):
        socket = self.folder / "run" / "other.sock"
        environment = {**self.environment, "PARCOMPUTE_WORKERS": "many"}
        done = subprocess.run([BIN / "parcompute-client", "--socket", socket, "start"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("PARCOMPUTE_WORKERS", done.stderr)


if __name__ == "__main__":
    unittest.main()
