"""The project's C++ sources, as the tidy tests see them."""

import pathlib
import re

FOLDERS = ("common", "proto", "server", "worker", "client", "tests")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(<[^>\n]+>|"[^"\n]+")', re.MULTILINE)
# Comments go, string literals stay whole: "//" inside one is no comment.
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.DOTALL)


def sources(root):
    """Paths relative to root, sorted: every .h, .cc and .c."""
    root = pathlib.Path(root)
    return sorted(
        path.relative_to(root).as_posix()
        for folder in FOLDERS
        for path in (root / folder).rglob("*")
        if path.suffix in (".h", ".cc", ".c") and path.is_file()
    )


def without_comments(text):
    return TOKEN.sub(lambda m: m[0] if m[0][0] in "\"'" else " ", text)


def without_strings(text):
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def includes(text):
    """Pairs of name and whether it stands in quotes."""
    return [(name[1:-1], name[0] == '"') for name in INCLUDE.findall(without_comments(text))]
