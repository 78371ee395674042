"""Run several scripts of this directory in one process: to import transformers' models takes longer than to measure tiny ones.

    python tests/oracle/several.py "defaults.py --check" "order.py --check --share 3/12"

Exits 1 where one of them does; the others run all the same.
"""

from __future__ import annotations

import runpy
import shlex
import sys
from pathlib import Path


def main() -> int:
    """Each argument is a call."""
    failed = 0
    for call in sys.argv[1:]:
        script, *words = shlex.split(call)
        path = str(Path(__file__).parent / script)
        sys.argv = [path, *words]
        print(f"+ {call}", flush=True)
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            failed |= bool(end.code)
    return failed


if __name__ == "__main__":
    sys.exit(main())
