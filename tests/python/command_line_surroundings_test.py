"""Odd surroundings: standard streams that are closed, or cannot be written; a socket that somebody took away."""

import json
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from command_line import BIN, CommandLine, is_sanitized


class Surroundings(CommandLine):
    def shell(self, line):
        """A line of shell, with the program as $C."""
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env={**self.environment, "C": str(BIN / "parcompute-client")},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def test_what_standard_error_does_not_take_changes_nothing(self):
        for where in ("2>/dev/full", "2>&-"):
            with self.subTest(where):
                self.assertEqual(self.shell(f"$C array create a --shape 3 --fill 2 {where}").returncode, 0)
                done = self.shell(f"$C run reduce sum a --progress always {where}")
                self.assertEqual((done.returncode, done.stdout), (0, "6.0\n"))
                self.assertEqual(self.shell(f"$C array show nothing {where}").returncode, 66)
                self.client("array", "rm", "a")

    def test_what_standard_output_does_not_take_is_an_error(self):
        for where in (">/dev/full", ">&-"):
            with self.subTest(where):
                done = self.shell(f"$C status {where}")
                self.assertEqual(done.returncode, 74)
                self.assertIn("standard output", done.stderr)

    def test_closed_streams_are_not_taken_for_others(self):
        for where in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            with self.subTest(where):
                self.assertEqual(self.shell(f"timeout 60 $C with-server -- true {where}").returncode, 0)

    def test_a_server_without_its_socket_is_named(self):
        with tempfile.TemporaryDirectory(prefix="parcompute-test-") as name:
            folder = pathlib.Path(name)
            place = folder / "s"
            options = ("--socket", place)
            self.client("start", "--workers", "1", *options)
            pid = int((folder / "s.lock").read_text())
            self.assertEqual(json.loads(self.client("status", "--json", *options))["server_pid"], pid)
            place.unlink()
            self.refused(69, (f"pid {pid}", f"kill {pid}", str(place)), "stop", *options)
            self.refused(73, (f"pid {pid}", f"kill {pid}", "is gone"), "start", *options)
            process = os.pidfd_open(pid)
            os.kill(pid, 15)
            self.assertTrue(self.ends(process))
            self.refused(69, ("no server answers",), "stop", *options)

    def test_a_server_that_is_stopped_is_waited_for_no_longer_than_asked(self):
        with tempfile.TemporaryDirectory(prefix="parcompute-test-") as name:
            options = ("--socket", pathlib.Path(name) / "s")
            self.client("start", "--workers", "1", *options)
            pid = json.loads(self.client("status", "--json", *options))["server_pid"]
            words = (f"pid {pid}", "does not answer", f"kill -CONT {pid}")
            endless = ("run", "nop", "--blocks", "100000000000000", "--chunk", "1")
            job = self.client(*endless, "--detach", *options).strip()
            running = subprocess.Popen([BIN / "parcompute-client", "--progress", "always", *endless, "--timeout", "20", *map(str, options)], env=self.environment, stderr=subprocess.PIPE, text=True)
            try:
                self.assertNotEqual(running.stderr.read(1), "", "it ended by itself")  # the bar's first letter: the job is there
                os.kill(pid, signal.SIGSTOP)
                self.refused(124, words, "run", "nop", "--blocks", "1", "--timeout", "0.2", *options)
                self.refused(124, words, "job", "wait", job, "--timeout", "0.2", *options)
                self.assertEqual(running.wait(timeout=60), 124)
                said = running.stderr.read().splitlines()[-1]
                for word in ("did not end within 20", "it is cancelled when its server hears of that", *words):
                    self.assertIn(word, said)
            finally:
                os.kill(pid, signal.SIGCONT)
                running.stderr.close()
                self.client("stop", *options)

    def test_a_private_server_is_announced(self):
        with tempfile.TemporaryDirectory(prefix="parcompute-test-") as name:
            place = pathlib.Path(name) / "s"
            options = ("--socket", place)
            for quiet, why in ((False, "there is no server at"), (True, ""), (False, "though its socket is there (is the service down?)")):
                done = self.run_client("run", "nop", "--blocks", "1", "--json", *options, *(["--quiet"] if quiet else []))
                self.assertEqual(done.returncode, 0, done.stderr)
                json.loads(done.stdout)
                said = [line for line in done.stderr.splitlines() if "private server" in line]
                self.assertEqual(len(said), 0 if quiet else 1, done.stderr)
                if not quiet:
                    self.assertIn(why, said[0])
                    self.assertIn(str(place), said[0])
                self.assertNotIn("private server", self.run_client("run", "nop", "--blocks", "1", *options).stderr)
                process = os.pidfd_open(json.loads(self.client("status", "--json", *options))["server_pid"])
                signal.pidfd_send_signal(process, signal.SIGKILL)
                self.assertTrue(self.ends(process))
            self.client("start", *options)
            self.client("stop", *options)

    def test_a_server_that_closes_the_door_has_not_gone(self):
        with tempfile.TemporaryDirectory(prefix="parcompute-test-") as name:
            place = str(pathlib.Path(name) / "s")
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(place)
                listener.listen()

                def turn_away():
                    listener.accept()[0].close()

                thread = threading.Thread(target=turn_away)
                thread.start()
                self.refused(69, (place, "before it answered", "journalctl"), "status", "--socket", place)
                thread.join()

    @unittest.skipIf(is_sanitized(), "UndefinedBehaviorSanitizer needs a free descriptor")
    def test_too_few_descriptors_are_named_with_what_lifts_the_limit(self):
        with tempfile.TemporaryDirectory(prefix="parcompute-test-") as name:
            for command in ("run nop --blocks 1", "start"):
                done = self.shell(f"ulimit -n 8; $C -q --socket {name}/s {command}")
                self.assertEqual(done.returncode, 75, done.stderr)
                self.assertIn("Too many open files", done.stderr)
                self.assertIn("'ulimit -n'", done.stderr)

    def test_the_log_tells_what_a_server_found_and_whom_it_ended(self):
        with tempfile.TemporaryDirectory(prefix="parcompute-test-") as name:
            options = ("--socket", pathlib.Path(name) / "s")
            log = pathlib.Path(name) / "s.log"
            self.client("start", "--workers", "1", *options)
            self.client("create", "whole", "--shape", "3", *options)
            self.client("create", "cut", "--shape", "3000x3000", "--dtype", "int64", *options)
            job = self.client("run", "mandelbrot", "--size", "3000x3000", "--max-iter", "1000000", "--into", "cut", "--detach", *options).strip()
            while json.loads(self.client("job", "show", job, "--json", *options))["chunks"] == 0:
                pass
            status = json.loads(self.client("status", "--json", *options))
            worker = status["workers"][0]["pid"]
            process = os.pidfd_open(worker)
            signal.pidfd_send_signal(process, signal.SIGSTOP)
            self.assertTrue(self.ends(process))
            self.assertIn(f"worker 0 (pid {worker}) is ended: it had been stopped for ", log.read_text())
            self.assertIn(f"with a chunk in hand (job {job}, whose chunk is computed again)", log.read_text())
            process = os.pidfd_open(status["server_pid"])
            signal.pidfd_send_signal(process, signal.SIGKILL)
            self.assertTrue(self.ends(process))
            self.client("start", *options)
            found = re.search("found 2 arrays of an earlier server, 1 of them incomplete, which jobs were writing when it ended: (.*)", log.read_text())
            self.assertIsNotNone(found, log.read_text())
            self.assertEqual(sorted(found[1].split(", ")), ["'cut' (incomplete)", "'whole'"])
            self.client("stop", "--drop-arrays", *options)

    def test_the_version_is_json_where_that_is_asked_for(self):
        for words in (("--json", "--version"), ("--version", "--json")):
            answer = json.loads(self.client(*words))
            self.assertEqual(answer["program"], "parcompute-client")
            self.assertEqual(self.client("--version"), f"{answer['program']} {answer['version']}\n")

    @staticmethod
    def ends(process):
        try:
            return bool(select.select([process], [], [], 60)[0])
        finally:
            os.close(process)


if __name__ == "__main__":
    unittest.main()
