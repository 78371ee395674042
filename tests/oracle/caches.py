"""What transformers keeps of a prompt, in bytes: caches of every kind, of tiny models in bf16.

    python tests/oracle/caches.py            writes caches.json
    python tests/oracle/caches.py --check    measures again; exit 1 and print what differs; --share K/N: of a share of them
    python tests/oracle/caches.py mamba      prints the tensors of one family

Each is the first case of a family that runs (tests/oracle/cases.py), with 2 sequences of 33 tokens, longer than any window there.
``bytes`` are those of the tensors, by dtype, and ``held`` those of the memory behind them: until the next token, a window is a
view of the whole prompt's keys. Needs torch and transformers, and nothing of llmcx.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parent))

import cases
from measure import build

GOLDEN = Path(__file__).with_name("caches.json")
BATCH, SEQ = 2, 33


def tensors(value: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    """The tensors in a cache, whatever its class."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from tensors(one, depth + 1)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from tensors(one, depth + 1)
    elif hasattr(value, "__dict__") and depth < 6 and not isinstance(value, torch.nn.Module):
        yield from tensors(vars(value), depth + 1)


def held(model: Any, out: Any) -> list[torch.Tensor]:
    """What the cache holds, without counters; where there is none, what the modules keep themselves (RecurrentGemma)."""
    for name in ("past_key_values", "cache_params", "state"):
        if getattr(out, name, None) is not None:
            found = {tensor.untyped_storage().data_ptr(): tensor for tensor in tensors(getattr(out, name))}
            return [tensor for tensor in found.values() if tensor.dim()]
    known = {id(each) for each in (*model.parameters(), *model.buffers())}
    kept = (value for part in model.modules() for value in vars(part).values() if isinstance(value, torch.Tensor))
    return [value for value in kept if id(value) not in known and value.dim()]


def measured(family: str) -> dict[str, Any] | None:
    """A case's config, the bytes of its cache by dtype; None where the family has none."""
    case = next((case for case in cases.of(family) if case["kind"] == "flops"), None)
    if case is None:
        return None
    try:
        model = build(case["config"], "cpu", dtype=torch.bfloat16).eval()
        ids = torch.randint(4, model.config.get_text_config().vocab_size, (BATCH, SEQ))
        given = {"input_ids": ids, "use_cache": True}
        if model.config.is_encoder_decoder:
            given["decoder_input_ids"] = ids
        with torch.no_grad():
            found = held(model, model(**given))
    except Exception as error:  # what cannot be run so has no row
        print(family, type(error).__name__, str(error)[:120], file=sys.stderr)
        return None
    sizes: dict[str, int] = {}
    for tensor in found:
        name = str(tensor.dtype).removeprefix("torch.")
        sizes[name] = sizes.get(name, 0) + tensor.nbytes
    memory = sum(tensor.untyped_storage().nbytes() for tensor in found)
    return {"id": case["id"], "config": case["config"], "bytes": sizes, "held": memory} if sizes else None


def main() -> int:
    asked = [word for word in sys.argv[1:] if not word.startswith("-")]
    which, shares = map(int, asked.pop().split("/")) if "--share" in sys.argv else (0, 1)
    some = [family for family in asked or cases.FAMILIES if crc32(family.encode()) % shares == which]
    rows = [row for family in some if (row := measured(family)) is not None]
    if asked:
        print(*rows, sep="\n")
        return 0
    if shares > 1:  # to be found among those of all
        golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
        differing = [json.dumps(row) for row in json.loads(json.dumps(rows)) if row not in golden]
        print("\n".join(differing) or f"{len(rows)} caches as in caches.json")
        return bool(differing)
    head = {"torch": torch.__version__.partition("+")[0], "transformers": transformers.__version__}
    lines = ",\n".join(json.dumps(row) for row in rows)
    text = f'{json.dumps(head)[:-1]}, "cases": [\n{lines}\n]}}\n'
    if "--check" not in sys.argv:
        GOLDEN.write_text(text, encoding="utf-8")
        return 0
    differing = sorted({*text.splitlines()} ^ {*GOLDEN.read_text(encoding="utf-8").splitlines()})
    print("\n".join(differing) or f"{len(rows)} caches as in caches.json")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
