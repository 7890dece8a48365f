"""The Python package among processes and threads: forks, pickles, shared nodes, signals, ends of servers, and what is left behind."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import unittest

from package import CHECKOUT, SLOW, PackageTest, np, pc, segments_of


def total(array):
    """In another process: the array is found by its name."""
    view = np.asarray(array)
    return float(view.sum()), float(array.sum()), os.getpid()


class Processes(PackageTest):
    def in_child(self, body):
        """Runs body() in a child of fork(); it must return True."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if body() is True else 2
            finally:
                sys.stderr.flush()
                os._exit(status)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    # ---- fork and pickle

    def test_a_child_maps_named_arrays_that_its_parent_never_did(self):
        self.node.arange(10.0, name="unseen")
        found = self.node.find("unseen")
        self.in_child(lambda: (found + 1).shape == (10,) and np.asarray(found).tolist() == list(range(10)))
        self.node.remove("unseen")

    def test_a_server_ends_though_a_child_lives(self):
        server = pc.PrivateServer(workers=1)
        socket = server.socket
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(write_end)
            os.read(read_end, 1)
            os._exit(0)
        server.close()  # waits for its end
        self.assertFalse(os.path.exists(socket))
        os.close(write_end)
        os.close(read_end)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_a_server_that_was_closed_has_no_socket(self):
        server = pc.PrivateServer(workers=1)
        server.close()
        with self.assertRaises(ValueError):
            server.connect()

    def test_a_child_connects_anew_and_finds_named_arrays(self):
        a = self.node.array(np.arange(10.0), name="a")
        part = a[2:8][::2]
        nameless = self.node.array(np.arange(3.0))
        view = np.asarray(nameless)
        np.asarray(a)

        def body():
            view[0] = 5  # what is mapped stays, and is shared
            ok = a.sum() == 45 and part.sum() == 12 and self.node.evaluate("sum(a)") == 45
            own = self.node.array([1.0, 2.0])
            ok = ok and (own + 1).sum() == 5
            try:
                nameless.sum()
            except pc.Forked as error:
                ok = ok and "name" in str(error)
            else:
                ok = False
            return ok

        self.in_child(body)
        self.assertEqual(view[0], 5)
        self.assertEqual(nameless.sum(), 8)  # the child's end took nothing away
        self.assertEqual(a.sum(), 45)

    def test_a_child_that_lets_go_takes_nothing_from_its_parent(self):
        holder = [self.node.array(np.arange(4.0)), (self.node.array([1.0]) + 1), self.node.submit("nop")]
        holder[1].compute()

        def body():
            holder.clear()
            return True

        self.in_child(body)
        self.assertEqual(holder[0].sum(), 6)
        self.assertIsNone(holder[2].result())

    def test_pickles_are_names(self):
        a = self.node.array(np.arange(12.0).reshape(3, 4), name="a")
        packed = pickle.dumps(a)
        self.assertLess(len(packed), 300)
        again = pickle.loads(packed)
        again[0, 0] = 7
        self.assertEqual(a[0, 0], 7)
        part = pickle.loads(pickle.dumps(a[1:].T[::2]))
        self.same(part, np.asarray(a)[1:].T[::2], exact=True)
        for value in (self.node.zeros(3), a + 1):
            with self.refused(TypeError, "name"):
                pickle.dumps(value)
        self.node.remove("a")
        gone = pickle.loads(packed)
        with self.refused(LookupError, "'a'"):
            gone.sum()
        with self.refused(LookupError, "'a'"):
            np.asarray(gone)
        # A pool loses tasks that it cannot unpickle, and its caller waits for ever.
        with multiprocessing.get_context("fork").Pool(1) as pool, self.refused(LookupError, "'a'"):
            pool.map(total, [a])

    def test_process_pools_take_arrays_by_name(self):
        a = self.node.array(np.arange(1000.0), name="a")
        for method in ("fork", "spawn"):
            with multiprocessing.get_context(method).Pool(2) as pool:
                for in_memory, on_the_pool, pid in pool.map(total, [a, a[::2], a.reshape(10, 100)]):
                    self.assertNotEqual(pid, os.getpid())
                    self.assertEqual(in_memory, on_the_pool)

    # ---- threads

    def test_threads_share_a_node(self):
        slow = self.node.submit("mandelbrot", **SLOW)
        ends = []

        def wait():
            try:
                slow.wait()
            except pc.Cancelled as end:
                ends.append(end)

        waiter = threading.Thread(target=wait)
        waiter.start()

        def work(number):
            a = self.node.array(np.full(100, float(number)))
            for i in range(100):
                if (a + i).sum() != 100 * (number + i) or a.max() != number:
                    return False
            return True

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertEqual(list(pool.map(work, range(8))), [True] * 8)  # while another thread waits
        slow.cancel()
        waiter.join()
        self.assertEqual(len(ends), 1)

    # ---- signals

    def run_python(self, text, **more):
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "client" / "python"), "PYTHONDONTWRITEBYTECODE": "1", **more.pop("environment", {})}
        return subprocess.Popen([sys.executable, "-c", text], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)

    def test_ctrl_c_cancels_the_job(self):
        program = f"""
import parcompute as pc
from parcompute import _library
node = pc.connect(start=False)
job = node.submit("mandelbrot", **{SLOW!r})
wait = _library.library.job_wait
def told(*arguments):
    global told_once
    if not told_once:
        print(job.id, flush=True)
        told_once = True
    return wait(*arguments)
told_once = False
_library.library.job_wait = told
try:
    job.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
        with self.run_python(program) as child:
            job = self.node.find_job(int(child.stdout.readline()))
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        self.assertEqual(out, "interrupted\n", err)
        with self.refused(pc.Cancelled):
            job.wait()

    def test_ctrl_c_cancels_what_is_computed_at_once(self):
        program = f"""
import parcompute as pc
try:
    pc.connect(start=False)._run("mandelbrot", {SLOW!r})
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
        before = {job["id"] for job in self.node.jobs()}
        with self.run_python(program) as child:
            running = []
            while not running:
                self.assertIsNone(child.poll())
                running = [job["id"] for job in self.node.jobs() if job["id"] not in before and job["state"] == "running"]
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        self.assertEqual(out, "interrupted\n", err)
        with self.refused(pc.Cancelled):
            self.node.find_job(running[0]).wait()

    # ---- servers that end

    def test_the_next_server_is_found_with_its_named_arrays(self):
        environment = {"PARCOMPUTE_SOCKET": str(self.folder / "own" / "control.sock")}
        (self.folder / "own").mkdir(mode=0o700)
        program = """
import parcompute as pc, numpy as np
node = pc.connect()
a = node.array(np.arange(5.0), name="a")
nameless = node.array([1.0, 2.0])
np.asarray(nameless)
node.stop_server()
for _ in range(2):  # whoever was told of the end is connected anew
    try:
        again = node.find("a")
        break
    except pc.NoServer:
        pass
assert again.sum() == 10, again
assert np.asarray(nameless).tolist() == [1.0, 2.0]
try:
    nameless.sum()
except LookupError as error:
    print("refused:", error)
node.stop_server(drop_arrays=True)
"""
        try:
            with self.run_python(program, environment=environment) as child:
                out, err = child.communicate(timeout=120)
        finally:
            with contextlib.suppress(pc.NoServer):
                pc.connect(environment["PARCOMPUTE_SOCKET"], start=False).stop_server(drop_arrays=True)
        self.assertEqual(child.returncode, 0, err)
        self.assertIn("refused:", out)

    def test_nothing_is_left_in_shared_memory(self):
        program = """
import parcompute as pc, numpy as np
with pc.PrivateServer(workers=2) as node:
    arrays = [node.array(np.random.rand(1000), name=f"a{i}") for i in range(5)] + [node.random(10**6)]
    kept = (arrays[0] + arrays[1]).compute()
    job = node.submit_expr("x + 1", x=arrays[5])
    print(node.status()["instance"])
"""
        with self.run_python(program) as child:
            out, err = child.communicate(timeout=120)
        self.assertEqual((child.returncode, err), (0, ""))
        self.assertGreater(len(out.strip()), 4)
        self.assertEqual(segments_of(out.strip()), [])

    def test_an_interpreter_that_ends_anyhow_ends_quietly(self):
        for ending in ("", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit(0)"):
            program = f"import parcompute as pc\nnode = pc.connect(start=False)\na = node.zeros(10**6)\ncycle = [a]; cycle.append(cycle)\nb = a + 1\n{ending}"
            with self.run_python(program) as child:
                _, err = child.communicate(timeout=60)
            self.assertEqual(err, "")
        self.assertEqual(self.node.zeros(3).sum(), 0)

    # ---- what cannot be

    def test_a_library_that_is_not_there_is_told_with_its_places(self):
        with self.run_python("import parcompute as pc; pc.connect()", environment={"PARCOMPUTE_LIBRARY": "/nonexistent/lib.so"}) as child:
            _, err = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 1)
        self.assertIn("ImportError", err)
        for words in ("/nonexistent/lib.so", "PARCOMPUTE_LIBRARY", "cmake --build"):
            self.assertIn(words, err)

    def test_no_server_is_a_connection_error(self):
        with self.refused(ConnectionError, "/nonexistent/control.sock"):
            pc.connect("/nonexistent/control.sock", start=False)
        node = self.server.connect()
        a = node.zeros(3)
        node.close()
        with self.refused(ValueError, "closed"):
            node.status()
        with self.refused(ValueError, "closed"):
            a.sum()
        self.assertIn("closed", repr(node))
        node.close()

    def test_arrays_of_another_node_are_refused(self):
        with self.server.connect() as other:
            a = other.zeros(3)
            with self.refused(ValueError, "another session"):
                self.node.evaluate("a + 1")
            with self.refused(ValueError, "another session"):
                (self.node.zeros(3) + a).compute()


if __name__ == "__main__":
    unittest.main()
