"""The protocol's schema keeps its word: what a released peer may send or read still means the same.

Usage: protocol_test.py          compares proto/parcompute.proto with protocol_v1.txt
       protocol_test.py --record writes protocol_v1.txt anew, keeping every line that is in it

protocol_v1.txt has a line for each field and each enumerator of protocol version 1. Adding to the schema is allowed (and recorded, so
that it is kept from then on); taking away, renumbering or changing a type, a label or the oneof of what is in the file is not: an older
peer would be misread. What an older peer would misread raises kWireVersion (proto/version.h), and begins a file of its own.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
SCHEMA = HERE.parent.parent / "proto" / "parcompute.proto"
RECORD = HERE / "protocol_v1.txt"

OPEN = re.compile(r"(message|enum|oneof)\s+(\w+)\s*\{")
FIELD = re.compile(r"(?:(repeated|optional)\s+)?([\w.]+)\s+(\w+)\s*=\s*(\d+)\s*(?:\[[^\]]*\])?;")
ENUMERATOR = re.compile(r"(\w+)\s*=\s*(\d+)\s*;")


def lines_of(schema: str) -> set[str]:
    """A line for each field ("Job.id = 1: uint64") and enumerator ("Job.State.DONE = 3: enumerator")."""
    text = re.sub(r"//[^\n]*", "", schema)
    lines, scopes, at = set(), [], 0
    while at < len(text):
        if found := OPEN.match(text, at):
            scopes.append((found[1], found[2]))
        elif text[at] == "}":
            scopes.pop()
            at += 1
            continue
        elif scopes:
            path = ".".join(name for kind, name in scopes if kind != "oneof")
            if scopes[-1][0] == "enum" and (found := ENUMERATOR.match(text, at)):
                lines.add(f"{path}.{found[1]} = {found[2]}: enumerator")
            elif scopes[-1][0] != "enum" and (found := FIELD.match(text, at)):
                kind = " ".join(filter(None, (found[1], found[2])))
                oneof = f", one of {scopes[-1][1]}" if scopes[-1][0] == "oneof" else ""
                lines.add(f"{path}.{found[3]} = {found[4]}: {kind}{oneof}")
        at = found.end() if found else at + 1
    if scopes:
        raise SystemExit(f"{SCHEMA}: a brace is not closed in {scopes}")
    return lines


def main() -> int:
    now = lines_of(SCHEMA.read_text())
    kept = set(filter(None, RECORD.read_text().splitlines())) if RECORD.exists() else set()
    broken = sorted(kept - now)
    for line in broken:
        print(f"{SCHEMA.name} has no more: {line}. Older peers count on it: put it back, and give what is new a number of its own.")
    if "--record" in sys.argv[1:] and not broken:
        RECORD.write_text("\n".join(sorted(now)) + "\n")
        return 0
    new = sorted(now - kept)
    for line in new:
        print(f"new, and to be kept from now on: {line}. Run {pathlib.Path(__file__).name} --record.")
    probe = lines_of("message A { oneof b { B c = 1; } repeated B d = 2; enum E { F = 0; } message G { optional uint64 h = 3 [x=y]; } }")
    expected = {"A.c = 1: B, one of b", "A.d = 2: repeated B", "A.E.F = 0: enumerator", "A.G.h = 3: optional uint64"}
    if probe != expected:
        print(f"the schema is not read as it is written: {sorted(probe)}")
        return 1
    return 1 if broken or new else 0


if __name__ == "__main__":
    sys.exit(main())
