#!/usr/bin/env python3
"""The floors of the building: a file includes its own floor and those below, never up.

The table of floors stands in ARCHITECTURE.md, in words; this is the same table for the machine. Rules that
would otherwise live in comments are here, too: which folder alone may use a library or a call.
Run it by hand with: python3 tests/tidy/floors_test.py
"""

import pathlib
import re
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import source_tree

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The longest prefix decides.
FLOORS = {
    "common/base/": 0,
    "common/os/": 0,
    "common/array/": 1,
    "common/shm/": 1,
    "proto/parcompute.pb.h": 2,
    "proto/descriptor.h": 2,
    "proto/field_writer.h": 2,
    "proto/limits.h": 2,
    "proto/version.h": 2,
    "proto/channel.": 3,
    "proto/worker_message.": 2,
    "common/expression/": 2,
    "common/operation/": 3,
    "server/core/": 4,
    "worker/kernels/": 4,
    "server/": 5,
    "worker/": 5,
    "client/": 5,
    "server/main.cc": 6,
    "worker/main.cc": 6,
    "client/cli/main.cc": 6,
}
ROOMS = ("server", "worker", "client")

# What may be included: pattern, the folders or files that may, why.
INCLUDE_RULES = (
    (r"spdlog/", ("common/base/log.cc",), "the log is common/base/log.h"),
    (r"boost/interprocess/", ("common/shm/",), "shared memory is common/shm"),
    (r"boost/interprocess/managed_", (), "no allocator and no lock lives in shared memory"),
    (r"boost/asio", ("server/io/", "server/main.cc", "tests/"), "the event loop belongs to server/io"),
    (r"hwloc", ("common/os/read_topology.cc",), "a topology is plain facts: common/os/read_topology.h"),
    (r"systemd/", ("server/io/", "tests/"), "systemd is spoken to in server/io"),
    (r"tests/", ("tests/",), "the product does not know its tests"),
    (r"client/cli/", ("client/cli/", "tests/"), "the library does not know its command"),
    (r"g(test|mock)/", ("tests/",), "the product does not know its tests"),
)

# What may be called.
CALL_RULES = (
    (r"\b(strerror(_r)?|perror|system_category|generic_category)\s*\(", ("common/base/", "common/os/"),
     "errno becomes an Error in common/os: see system_error.h"),
    # Each of these files has a child that it has not reaped, whose number is its own therefore.
    (r"::kill\s*\(|\b(killpg|tgkill)\s*\(", ("tests/", "server/io/pool.cc", "worker/forkserver.cc", "client/cpp/server_process.cc"),
     "a number may be another process's by now: signal a pidfd, or a child that is not reaped"),
    (r"\bsystem_clock\b|\bCLOCK_REALTIME\b|\bgettimeofday\s*\(", ("tests/",),
     "clocks are set: what is waited for is measured by steady_clock"),
)
TEST_CALL_RULES = (
    (r"\b(sleep_for|sleep_until|usleep|nanosleep|sleep)\s*\(",
     "a test waits for the event, or steps the clock"),
)


def floor_of(path):
    known = [prefix for prefix in FLOORS if path.startswith(prefix)]
    return FLOORS[max(known, key=len)] if known else None


def room_of(path):
    return path.split("/", 1)[0]


def violations_in(path, text, exists):
    """Sentences about one file. `exists` answers whether a path from the top is there."""
    found = []
    in_tests = path.startswith("tests/")
    floor = None if in_tests else floor_of(path)
    if floor is None and not in_tests:
        found.append(f"{path} stands on no floor: add it to FLOORS in tests/tidy/floors_test.py")
    for name, quoted in source_tree.includes(text):
        for pattern, allowed, reason in INCLUDE_RULES:
            if re.match(pattern, name) and not path.startswith(allowed):
                found.append(f"{path} includes {name}: {reason}")
        if not quoted:
            continue
        if not exists(name) and not name.endswith(".pb.h"):
            found.append(f"{path} includes \"{name}\", which is no path from the top of the tree")
            continue
        other_floor = floor_of(name)
        if floor is None or other_floor is None:
            continue
        if other_floor > floor:
            found.append(f"{path} (floor {floor}) includes {name} (floor {other_floor}): a step up")
        if room_of(path) in ROOMS and room_of(name) in ROOMS and room_of(path) != room_of(name):
            rooms = f"{room_of(path)} and {room_of(name)}"
            found.append(f"{path} includes {name}: {rooms} know only what is below both")
    code = source_tree.without_strings(source_tree.without_comments(text))
    for pattern, allowed, reason in CALL_RULES:
        if not path.startswith(allowed):
            found += [f"{path} calls {m[0].rstrip('( ')}: {reason}" for m in re.finditer(pattern, code)]
    if in_tests:
        for pattern, reason in TEST_CALL_RULES:
            found += [f"{path} calls {m[0].rstrip('( ')}: {reason}" for m in re.finditer(pattern, code)]
    return found


def violations(root):
    root = pathlib.Path(root)
    found = []
    for path in source_tree.sources(root):
        text = (root / path).read_text(encoding="utf-8")
        found += violations_in(path, text, lambda name: (root / name).is_file())
        # What ends in -inl.h is included once for each instruction set.
        if path.endswith(".h") and not path.endswith("-inl.h") and "#pragma once" not in text:
            found.append(f"{path} has no #pragma once")
    return found


class Floors(unittest.TestCase):
    def test_no_file_steps_up(self):
        found = violations(ROOT)
        self.assertFalse(found, "\n" + "\n".join(found))

    def test_the_tree_was_found(self):
        self.assertGreater(len(source_tree.sources(ROOT)), 50)

    def check(self, path, text, words):
        found = violations_in(path, text, lambda name: True)
        if words is None:
            self.assertEqual(found, [])
        else:
            self.assertEqual(len(found), 1, found)
            self.assertIn(words, found[0])

    def test_a_step_up_is_noticed(self):
        self.check("common/base/a.cc", '#include "common/array/dtype.h"\n', "a step up")
        self.check("common/array/a.cc", '#include "proto/limits.h"\n', "a step up")
        self.check("proto/limits.h", '  #  include  "proto/channel.h"\n', "a step up")
        self.check("server/core/a.h", '#include "server/io/b.h"\n', "a step up")
        self.check("worker/kernels/a.h", '#include "worker/b.h"\n', "a step up")
        self.check("server/io/a.cc", '#include "server/core/b.h"\n#include "common/base/c.h"\n', None)
        self.check("common/operation/a.cc", '#include "proto/parcompute.pb.h"\n', None)

    def test_rooms_do_not_know_each_other(self):
        self.check("server/io/a.cc", '#include "worker/kernels/b.h"\n', "know only what is below both")
        self.check("client/cli/a.cc", '#include "server/core/b.h"\n', "know only what is below both")
        self.check("client/cpp/a.cc", '#include "client/cli/b.h"\n', "does not know its command")
        self.check("tests/process/a.cc", '#include "server/core/b.h"\n#include "worker/kernels/c.h"\n', None)

    def test_libraries_stay_in_their_folders(self):
        self.check("server/io/a.cc", "#include <spdlog/spdlog.h>\n", "common/base/log.h")
        self.check("worker/a.cc", "#include <boost/interprocess/mapped_region.hpp>\n", "common/shm")
        self.check("common/shm/a.cc", "#include <boost/interprocess/managed_shared_memory.hpp>\n", "no lock")
        self.check("server/core/a.cc", "#include <boost/asio/io_context.hpp>\n", "server/io")

    def test_errno_and_sleeping_are_noticed(self):
        self.check("worker/a.cc", "auto x = std::strerror(errno);\n", "system_error.h")
        self.check("server/io/a.cc", "::kill(pid, SIGTERM);\n", "signal a pidfd")
        self.check("server/io/a.cc", "auto now = std::chrono::system_clock::now();\n", "steady_clock")
        self.check("tests/unit/a.cc", "std::this_thread::sleep_for(1ms);\n", "waits for the event")
        self.check("tests/unit/a.cc", '// sleep_for(1ms)\nauto x = "usleep(3)"; /* sleep(1) */\n', None)
        self.check("tests/unit/a.cc", 'auto x = "http://sleep(1)"; sleep (1);\n', "waits for the event")

    def test_unknown_places_and_paths_are_noticed(self):
        self.check("proto/extra.h", "", "no floor")
        found = violations_in("common/os/a.cc", '#include "b.h"\n', lambda name: False)
        self.assertIn("no path from the top", found[0])

    def test_a_header_without_pragma_once_is_noticed(self):
        with tempfile.TemporaryDirectory() as folder:
            header = pathlib.Path(folder) / "common/base/a.h"
            header.parent.mkdir(parents=True)
            header.write_text("int a;\n")
            self.assertEqual(violations(folder), ["common/base/a.h has no #pragma once"])


if __name__ == "__main__":
    unittest.main()
