"""Hold llmcx against measured cases: JSON lines on stdin, as `measure.py --random` prints them.

    python tests/oracle/measure.py --random 5 --seed 7 | python tests/oracle/compare.py

Exits 1 if a count is wrong. A refusal is counted, not failed: llmcx may say no, but never a wrong number.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from llmcx.errors import InputError
from tests.test_families import ours


def main() -> None:
    exact, refused, wrong = 0, [], []
    for line in sys.stdin:
        case = json.loads(line)
        try:
            found = ours(case)
        except InputError as refusal:
            refused.append(f"{case['id']}: {refusal}")
            continue
        off = {key: (case[key], found[key]) for key in found if key in case and case[key] != found[key]}
        if off:
            wrong.append(f"{case['id']}: measured and ours: {off}; config {json.dumps(case['config'])}")
        else:
            exact += 1
    print(*wrong, *refused, sep="\n")
    print(f"{exact} exact, {len(refused)} refused, {len(wrong)} wrong")
    sys.exit(1 if wrong or not exact else 0)


if __name__ == "__main__":
    main()
