"""MicroPython's generated headers: names (qstrs), modules and root pointers found in its sources.

MicroPython's own makefiles do this in eight steps with files in between; here the sources are
preprocessed once and searched once, and its generators are called on what was found.

    python headers.py MICROPYTHON FOLDER 'COMPILER FLAGS' QSTRDEFS SOURCE ...

writes into FOLDER/genhdr: qstrdefs.preprocessed.h, qstrdefs.generated.h, moduledefs.h,
root_pointers.h and mpversion.h.
"""

import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

RELEASE = "1744675200"  # 2025-04-15, when MicroPython 1.25.0 came out

# Modules that runtime/library has on top of MicroPython's: these get an underscore in front, and
# are not "extensible" any more, so that `utime` is the one on top, too.
ON_TOP = re.compile(r"MP_REGISTER_EXTENSIBLE_MODULE\(MP_QSTR_(hashlib|os|time),")

NAME = re.compile(r"MP_QSTR_([_a-zA-Z0-9]+)")
MODULE = re.compile(
    r"(?:MP_REGISTER_MODULE|MP_REGISTER_EXTENSIBLE_MODULE|MP_REGISTER_MODULE_DELEGATION)\(.*?,\s*.*?\);"
)
ROOT_POINTER = re.compile(r"MP_REGISTER_ROOT_POINTER\(.*?\);")


def main(micropython, folder, compiler, qstrdefs, sources):
    py = Path(micropython) / "py"
    out = Path(folder) / "genhdr"
    out.mkdir(parents=True, exist_ok=True)
    compiler = shlex.split(compiler)
    for name in ("qstrdefs.generated.h", "moduledefs.h", "root_pointers.h"):
        (out / name).write_text("")  # the sources include them

    version = [sys.executable, py / "makeversionhdr.py", out / "mpversion.h"]
    # Not the version and date of the checkout around it: the same source makes the same image.
    fixed = {**os.environ, "GIT_DIR": "/nonexistent", "SOURCE_DATE_EPOCH": RELEASE}
    subprocess.run(version, check=True, capture_output=True, env=fixed)

    def preprocess(some):
        return subprocess.run(
            [*compiler, "-E", "-DNO_QSTR", *some], check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:
        text = "".join(pool.map(preprocess, [sources[i::workers] for i in range(workers)]))
    text = ON_TOP.sub(r"MP_REGISTER_MODULE(MP_QSTR__\1,", text)

    def generate(script, source, result):
        done = subprocess.run(
            [sys.executable, py / script, source], check=True, capture_output=True, text=True
        )
        (out / result).write_text(done.stdout)

    def collect(pattern, name):
        found = sorted(set(pattern.findall(text)))
        path = out / name
        path.write_text("\n".join(found) + "\n")
        return path

    generate("makemoduledefs.py", collect(MODULE, "modules"), "moduledefs.h")
    generate("make_root_pointers.py", collect(ROOT_POINTER, "root_pointers"), "root_pointers.h")

    # The lists of names are for the preprocessor too, but the names in them are not.
    lists = "".join(path.read_text() for path in (py / "qstrdefs.h", Path(qstrdefs)))
    lists = re.sub(r"^(Q\(.*\))", r'"\1"', lists, flags=re.MULTILINE)
    done = subprocess.run(
        [*compiler, "-E", "-x", "c", "-"], input=lists, check=True, capture_output=True, text=True
    )
    names = re.sub(r'^"(Q\(.*\))"', r"\1", done.stdout, flags=re.MULTILINE)
    names += "\n".join(f"Q({name})" for name in sorted(set(NAME.findall(text)))) + "\n"
    path = out / "qstrdefs.preprocessed.h"
    path.write_text(names)
    generate("makeqstrdata.py", path, "qstrdefs.generated.h")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:5], sys.argv[5:])
    except subprocess.CalledProcessError as error:
        sys.exit(f"headers: {error.cmd[0]} failed: {error.stderr or ''}")
