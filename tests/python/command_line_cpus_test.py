"""parcompute-client's cpus, and what it shows and says of a pool: see command_line.py."""

import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True

from command_line import BIN, CommandLine


class Cpus(CommandLine):
    def run_with(self, variables, *words):
        return subprocess.run([BIN / "parcompute-client", *map(str, words)], cwd=self.folder, env={**self.environment, **variables}, capture_output=True, text=True, timeout=120)

    def cpus(self, variables, *words):
        done = self.run_with(variables, "cpus", "--json", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        return answer, {source["source"]: source for source in answer["sources"]}

    def with_server(self, variables, *words):
        """The status of a server of its own, started so."""
        done = self.run_with(variables, "with-server", *words, "--", BIN / "parcompute-client", "status", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_cpus_tells_every_source_and_which_decided(self):
        answer, sources = self.cpus({})
        self.assertEqual(answer["affinity"], sorted(os.sched_getaffinity(0)))
        self.assertEqual(sources["affinity"]["cpus"], len(answer["affinity"]))
        for name in ("cores", "cgroup v2 cpu.max", "cgroup v1 cpu quota", "SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE", "PBS_NCPUS", "NCPUS", "PBS_NUM_PPN", "LSB_DJOB_NUMPROC",
                     "NSLOTS", "PARCOMPUTE_WORKERS"):
            self.assertIn(name, sources)
        decided = [source for source in sources.values() if source["decided"]]
        self.assertEqual(len(decided), 1)
        self.assertEqual(decided[0]["cpus"], answer["cpus"])
        self.assertEqual(answer["cpus"], min(source["cpus"] for source in sources.values() if source["cpus"] is not None))

        answer, sources = self.cpus({"NSLOTS": "1", "NCPUS": "many"})
        self.assertEqual(answer["cpus"], 1)
        self.assertIn("outside of a job", sources["NCPUS"]["detail"])
        table = self.run_with({"NSLOTS": "1"}, "cpus").stdout
        self.assertRegex(table, r"(?m)^affinity +\d+ ")

    def test_hyperthreads_are_counted_when_asked(self):
        threads = max(os.sched_getaffinity(0)) + 1
        machine = {"HWLOC_SYNTHETIC": f"pack:1 core:1 pu:{threads}"}  # all are of one core
        answer, sources = self.cpus(machine)
        self.assertEqual(answer["cpus"], 1)
        if len(answer["affinity"]) > 1:
            self.assertTrue(sources["cores"]["decided"])
            self.assertIn("--hyperthreads", sources["cores"]["detail"])
        answer, sources = self.cpus(machine, "--hyperthreads")
        self.assertEqual(answer["cpus"], min(source["cpus"] for source in sources.values() if source["cpus"] is not None))
        self.assertIsNone(sources["cores"]["cpus"])
        self.assertEqual(self.cpus({**machine, "PARCOMPUTE_WORKERS": str(threads)}, )[0]["cpus"], answer["cpus"])

    def test_a_pool_is_as_large_as_cpus_says(self):
        for variables, words in (({}, ()), ({"PARCOMPUTE_WORKERS": "1"}, ()), ({"NSLOTS": "1"}, ("--hyperthreads", "--no-pin")), ({}, ("--pin",))):
            answer, sources = self.cpus(variables, *(word for word in words if word == "--hyperthreads"))
            status = self.with_server(variables, *words)
            self.assertEqual(status["worker_limit"], answer["cpus"])
            self.assertEqual(len(status["workers"]), answer["cpus"])
            self.assertTrue(sources[status["worker_limit_source"]]["decided"])
            for worker in status["workers"]:
                self.assertFalse(worker["parked"])
                if words:
                    self.assertEqual(worker["cpu"] is not None, "--pin" in words)

    def test_status_tells_what_limits_the_pool(self):
        self.assertRegex(self.client("status"), r"(?m)^workers +2 \(limit: --workers\)$")

    def test_pinning_and_not_pinning_at_once_is_refused(self):
        done = self.run_client("with-server", "--pin", "--no-pin", "--", "true")
        self.assertEqual(done.returncode, 64)
        self.assertRegex(done.stderr, "--(no-)?pin excludes --(no-)?pin")
        done = subprocess.run([BIN / "parcompute-server", "--pin", "--no-pin"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 64)
        self.assertRegex(done.stderr, "--(no-)?pin excludes --(no-)?pin")


if __name__ == "__main__":
    unittest.main()
