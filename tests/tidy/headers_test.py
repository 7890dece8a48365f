#!/usr/bin/env python3
"""Every header compiles alone, without warnings: whoever includes it needs nothing in front of it.

usage: headers_test.py BUILD-DIRECTORY [HEADER...]
Reads the flags from the build's compile_commands.json; exits with 77 (skipped) where there is none. What passed
is remembered in BUILD-DIRECTORY/headers_alone.json by the text of the header and of all that it includes from the
tree, so that a second run compiles only what has changed.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import source_tree

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Parts of one header or source, which say so.
FRAGMENTS = (".inc.h", "-inl.h")


def flags_of(entry):
    """The compiler and what changes the meaning of the code: no input, no output, no code generation."""
    words = shlex.split(entry["command"])
    # A launcher such as ccache may stand in front.
    while os.path.basename(words[0]) in ("ccache", "sccache", "distcc"):
        words = words[1:]
    flags = []
    after = iter(words[1:])
    for word in after:
        if word in ("-o", "-c", "-MF", "-MT", "-MQ"):
            next(after, None)
        elif word in ("-isystem", "-include", "-I", "-D"):
            flags += [word, next(after)]
        elif word.startswith(("-I", "-D", "-std", "-W", "-f", "-m")) and not word.startswith("-fsanitize"):
            flags.append(word)
    return words[0], flags


def nearest(header, commands):
    """The flags of a source in the header's folder, or of one as near as possible."""
    folder = pathlib.PurePosixPath(header).parent
    while True:
        for source in sorted(commands):
            if folder in pathlib.PurePosixPath(source).parents:
                return commands[source]
        if folder == folder.parent:
            return next(iter(commands.values()))
        folder = folder.parent


def fingerprint(header, command):
    """Of the command, the header and every file of the tree or the build that it leads to."""
    digest = hashlib.sha256(repr(command).encode())
    waiting, seen = [header], set()
    while waiting:
        name = waiting.pop()
        path = ROOT / name
        if name in seen or not path.is_file():
            continue
        seen.add(name)
        text = path.read_text(encoding="utf-8")
        digest.update(f"{name}\0{text}\0".encode())
        waiting += [other for other, quoted in source_tree.includes(text) if quoted]
    # Generated from here.
    digest.update((ROOT / "proto/parcompute.proto").read_bytes())
    return digest.hexdigest()


def compile_alone(header, command):
    compiler, flags = command
    done = subprocess.run(
        [compiler, *flags, "-Werror", "-fsyntax-only", "-x", "c++", "-"],
        input=f'#include "{header}"\n', text=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return header, done.returncode, done.stdout


def main():
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    database = pathlib.Path(sys.argv[1]) / "compile_commands.json"
    if not database.is_file():
        print(f"skipped: {database} is not there; configure with CMAKE_EXPORT_COMPILE_COMMANDS=ON")
        return 77
    commands = {}
    for entry in json.loads(database.read_text()):
        source = pathlib.Path(entry["directory"], entry["file"])
        if source.is_relative_to(ROOT) and source.suffix == ".cc":
            commands[source.relative_to(ROOT).as_posix()] = entry
    headers = sys.argv[2:] or [
        path for path in source_tree.sources(ROOT) if path.endswith(".h") and not path.endswith(FRAGMENTS)]
    flags = {header: flags_of(nearest(header, commands)) for header in headers}
    prints = {header: fingerprint(header, flags[header]) for header in headers}
    memory = pathlib.Path(sys.argv[1]) / "headers_alone.json"
    try:
        passed = json.loads(memory.read_text())
    except (OSError, ValueError):
        passed = {}
    changed = [header for header in headers if passed.get(header) != prints[header]]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for header, status, output in pool.map(lambda h: compile_alone(h, flags[h]), changed):
            if status == 0:
                passed[header] = prints[header]
            else:
                failed += 1
                print(f"{header} does not compile alone:\n{output}")
    memory.write_text(json.dumps(passed, indent=1, sort_keys=True))
    print(f"{len(headers)} headers, {len(changed)} compiled, {failed} failed")
    return 1 if failed or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
