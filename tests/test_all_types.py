"""Every type of transformers that generates or fills in text, whole, from its defaults (tests/oracle/all_types.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmcx.catalog.load import from_data
from llmcx.costs.params import count
from llmcx.errors import InputError
from tests.helpers import between, write_between

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/families.md"
GOLDEN = json.loads((ROOT / "tests/oracle/all_types.json").read_text(encoding="utf-8"))
BUILT = [row for row in GOLDEN["types"] if "failed" not in row]
CLASSES = list(dict.fromkeys(row["of"] for row in GOLDEN["types"]))


def outcome(row: dict[str, object]) -> str:
    """exact, part (said to be without its towers), refused, or wrong."""
    name = str(row["type"])
    try:
        spec = from_data({"model_type": name, "architectures": [row["class"]]}, name)
    except InputError:
        return "refused"
    if count(spec) == row["params"]:
        return "exact"
    return "part" if any("are not counted" in note for note in spec.assumes) else "wrong"


@pytest.mark.parametrize("row", BUILT, ids=lambda row: f"{row['of']}-{row['type']}")
def test_none_is_wrong(row: dict[str, object]) -> None:
    assert outcome(row) != "wrong"


def table() -> str:
    rows = ["| class | types | build from defaults | exact | language model alone | refused | wrong |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    refused = []
    for which in CLASSES:
        mine = [row for row in BUILT if row["of"] == which]
        outcomes = [outcome(row) for row in mine]
        types = sum(row["of"] == which for row in GOLDEN["types"])
        counts = [outcomes.count(word) for word in ("exact", "part", "refused", "wrong")]
        rows.append(f"| {which} | {types} | {len(mine)} | " + " | ".join(map(str, counts)) + " |")
        refused += [row["type"] for row, said in zip(mine, outcomes, strict=True) if said == "refused"]
    rows += ["", f"Refused: {', '.join(sorted(set(refused)))}."]
    return f"torch {GOLDEN['torch']}, transformers {GOLDEN['transformers']}:\n\n" + "\n".join(rows)


def test_table_is_current() -> None:
    """`python tests/test_all_types.py` writes it."""
    assert between(PAGE, "types") == table()


if __name__ == "__main__":
    write_between(PAGE, "types", table())
