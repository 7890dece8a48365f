#!/usr/bin/env python3
"""libparcompute exports what its header declares, and nothing else. usage: exports_test.py LIBRARY HEADER"""

import pathlib
import re
import subprocess
import sys


def main():
    library, header = sys.argv[1:]
    listed = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    # "A" is the version's own name.
    exported = {line.split()[2].split("@")[0] for line in listed.splitlines() if line.split()[1] != "A"}
    text = re.sub(r"/\*.*?\*/", "", pathlib.Path(header).read_text(encoding="utf-8"), flags=re.DOTALL)
    declared = set(re.findall(r"PARCOMPUTE_API [^;]*?\b(parcompute_\w+)\(", text))
    for name in sorted(exported ^ declared):
        print(f"{name} is {'exported, and not declared' if name in exported else 'declared, and not exported'}")
    dynamic = subprocess.run(["readelf", "-d", library], capture_output=True, text=True, check=True).stdout
    soname = "[libparcompute.so.0]" in dynamic
    if not soname:
        print("its SONAME is not libparcompute.so.0")
    return 1 if exported != declared or len(declared) < 40 or not soname else 0


if __name__ == "__main__":
    sys.exit(main())
