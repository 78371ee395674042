"""Every type of transformers that generates or fills in text, by class: whether its default configuration builds, and with how
many parameters, whole: towers and heads included.

    python tests/oracle/all_types.py            writes all_types.json
    python tests/oracle/all_types.py --check    counts again; exit 1 and print what differs

Models are built on the meta device. Needs torch and transformers, and nothing of llmcx.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore")
os.environ.update(TRANSFORMERS_VERBOSITY="critical", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")

import torch  # noqa: E402
import transformers  # noqa: E402
from transformers.models.auto import modeling_auto  # noqa: E402

GOLDEN = Path(__file__).with_name("all_types.json")
CLASSES = {
    "causal": "CAUSAL_LM",
    "image-text": "IMAGE_TEXT_TO_TEXT",
    "sequence-to-sequence": "SEQ_TO_SEQ_CAUSAL_LM",
    "masked": "MASKED_LM",
}
SECONDS = 60


def late(*_: Any) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def counted(name: str, named: str | tuple[str, ...]) -> dict[str, Any]:
    """The class, and its parameters; or why its default configuration does not build."""
    kind = named if isinstance(named, str) else named[0]
    signal.alarm(SECONDS)
    try:
        config = transformers.CONFIG_MAPPING[name]()
        with torch.device("meta"):
            model = getattr(transformers, kind)(config)
        model.tie_weights()
        return {"class": kind, "params": sum(each.numel() for each in {id(p): p for p in model.parameters()}.values())}
    except Exception as error:  # whatever transformers raises is the finding
        return {"class": kind, "failed": f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"}
    finally:
        signal.alarm(0)


def main() -> int:
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGALRM, late)
    lines = []
    for which, mapping in CLASSES.items():
        found = getattr(modeling_auto, f"MODEL_FOR_{mapping}_MAPPING_NAMES")
        for name in sorted(found):
            lines.append(json.dumps({"of": which, "type": name, **counted(name, found[name])}))
            print(lines[-1], file=sys.stderr, flush=True)
    head = {"torch": torch.__version__.partition("+")[0], "transformers": transformers.__version__}
    text = f'{json.dumps(head)[:-1]}, "types": [\n' + ",\n".join(lines) + "\n]}\n"
    if "--check" not in sys.argv:
        GOLDEN.write_text(text, encoding="utf-8")
        return 0
    differing = sorted({*text.splitlines()} ^ {*GOLDEN.read_text(encoding="utf-8").splitlines()})
    print("\n".join(differing) or f"{len(lines)} types as in all_types.json")
    return bool(differing)


if __name__ == "__main__":
    sys.exit(main())
