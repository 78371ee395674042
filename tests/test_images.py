"""Images and sounds become as many tokens, in as many pictures, as transformers' own processors make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmcx.answers.flops import flops
from llmcx.catalog.build import as_data, validate
from llmcx.costs.flops import fold
from llmcx.costs.params import fold as params_fold
from llmcx.errors import InputError
from llmcx.huggingface import from_config
from llmcx.model.lower import Run, lower
from llmcx.model.pictures import Seen, Shown
from llmcx.model.spec import ModelSpec
from tests.helpers import here, refused

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = json.loads((ROOT / "tests" / "oracle" / "images.json").read_text(encoding="utf-8"))
RUNS = json.loads((ROOT / "tests" / "oracle" / "golden.json").read_text(encoding="utf-8"))["cases"]


def read(family: dict[str, Any]) -> ModelSpec:
    """The model of a case."""
    beside = {"preprocessor_config": family["preprocessor"]} if family.get("preprocessor") else {}
    return from_config({**family["config"], **beside}, family["family"])


@pytest.mark.parametrize("family", [pytest.param(each, id=each["family"]) for each in GOLDEN["images"]])
def test_images(family: dict[str, Any]) -> None:
    """All sizes: tall, wide, tiny, huge, square."""
    sight = read(family).sight
    assert sight is not None
    for case in family["cases"]:
        width, height = case["image"]
        if "refused" in case:
            with pytest.raises(InputError):
                sight.see(width, height)
            continue
        seen = sight.see(width, height)
        assert (case["image"], seen.tokens, [*map(list, seen.pictures)]) == (case["image"], case["tokens"], case["pictures"])


@pytest.mark.parametrize("family", [pytest.param(each, id=each["family"]) for each in GOLDEN["sounds"]])
def test_sounds(family: dict[str, Any]) -> None:
    """From half a second to ten minutes; what the processor would cut off is refused."""
    hearing = read(family).hearing
    assert hearing is not None
    for case in family["cases"]:
        samples = int(case["seconds"] * 16000)
        if "refused" in case:
            with pytest.raises(InputError, match="keeps"):
                hearing.hear(samples)
            continue
        heard = hearing.hear(samples)
        assert (samples, heard.tokens, [heard.windows, heard.frames]) == (samples, case["tokens"], case["windows"])


@pytest.mark.parametrize("family", [pytest.param(each, id=each["family"]) for each in GOLDEN["runs"]])
def test_flops_of_sounds(family: dict[str, Any]) -> None:
    """The forward FLOPs that FlopCounterMode counted of tiny runs on text and a sound."""
    spec, [case] = read(family), family["cases"]
    assert spec.hearing is not None
    shown = Shown(heard=spec.hearing.hear(int(case["seconds"] * 16000)))
    assert shown.tokens == case["tokens"]
    assert flops(spec, 1, case["seq"], convention="eager", shown=shown).forward.total == case["forward"]


TINY = [case for case in RUNS if "images" in case and case["model_type"] not in ("evolla", "florence2", "t5gemma2", "udop")]
"""Without those that read one text and write another, whose output has another length (tests/test_families.py)."""


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in TINY])
def test_flops_of_runs(case: dict[str, Any]) -> None:
    """The forward FLOPs that FlopCounterMode counted of tiny runs on images, whose tokens are added to the text's."""
    shown = Shown(case["images"], Seen(((1, *case["grid"]),), case["image_tokens"]))
    spec = from_config(case["config"], case["id"])
    run = flops(spec, case["batch"], case["seq"] - shown.tokens, convention="eager", shown=shown)
    assert (run.forward.total, run.train.total) == (case["forward"], case["forward_backward"])


def test_pictures_of_two_shapes() -> None:
    """Two images of one grid are as much work as one and a further one; the weights are there once."""
    case = next(case for case in TINY if case["id"].startswith("lfm2_vl"))
    spec, grid = from_config(case["config"], case["id"]), tuple(case["grid"])
    one, two = (lower(spec, Run(1, 8, images=2, grid=grid)), lower(spec, Run(1, 8, images=1, grid=grid, further=((1, grid),))))
    assert fold.total(one) == fold.total(two)
    assert params_fold.total(one) == params_fold.total(two) == case["params"]


QWEN = json.dumps({"model_type": "qwen2_vl"}).encode()
HEARS = json.dumps({"model_type": "qwen2_audio"}).encode()


def asked(*args: str, stdin: bytes = QWEN) -> Any:
    """The one answer of `llmcx ARGS`, which reads a config.json."""
    end = here(*args, "--json", stdin=stdin)
    assert (end.code, end.err) == (0, ""), end
    return json.loads(end.out)


def test_the_tokens_are_added_to_seq() -> None:
    """1024 × 768 pixels are 27 × 37 squares of 28, and 512 tokens of text beside them 1,511; of two images 2,510."""
    one = asked("flops", "-", "--seq", "512", "--image", "1024x768")
    assert (one["inputs"]["seq"], one["inputs"]["image_tokens"], one["inputs"]["tokens"]) == (512, 27 * 37, 512 + 27 * 37)
    assert one["inputs"]["image_patches"] == [[1, 54, 74]] and one["result"]["decode_context"] == 1511
    text = asked("memory", "-", "--seq", "2510")["result"]
    two = asked("memory", "-", "--seq", "512", "--image", "1024X768", "--images", "2")["result"]
    cache = [next(part["bytes"] for part in result["parts"] if part["part"] == "kv_cache") for result in (text, two)]
    assert cache[0] == cache[1]


def test_without_seq_the_text_is_what_the_images_leave_of_the_context() -> None:
    asks = asked("flops", "-", "--image", "224x224")["inputs"]
    assert asks["seq"] == asks["tokens"] - 64 == asked("flops", "-")["inputs"]["seq"] - 64


def test_a_list_of_sizes() -> None:
    found = json.loads(here("flops", "-", "--seq", "8", "--image", "224x224,448x448", "--json", stdin=QWEN).out)
    assert [each["inputs"]["image_tokens"] for each in found["results"]] == [64, 256]


def test_a_sound() -> None:
    """30 s are 3,000 frames, 1,500 steps, 750 tokens, whatever the unit."""
    for time in ("30s", "0.5m", "30000ms"):
        inputs = asked("flops", "-", "--seq", "16", "--audio", time, stdin=HEARS)["inputs"]
        assert (inputs["audio_tokens"], inputs["audio_windows"], inputs["tokens"]) == (750, [1, 3000], 766)


def test_what_stands_beside_the_config_is_read(tmp_path: Path) -> None:
    """28 · 28 · 100 pixels at most: no more than 100 tokens."""
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_vl"}')
    beside = tmp_path / "preprocessor_config.json"
    beside.write_text(json.dumps({"min_pixels": 3136, "max_pixels": 78400, "image_mean": [0.5], "merge_size": 2}))
    ask = ("flops", str(tmp_path), "--seq", "16", "--image", "4000x4000")
    assert asked(*ask)["inputs"]["image_tokens"] == 10 * 10
    beside.write_text(json.dumps({"crop_twice": True}))
    assert "crop_twice" in refused(*ask)
    assert asked("flops", str(tmp_path), "--seq", "16")["result"]["forward"]["total"] > 0


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--image 0x5", "1 and 100,000"),
        ("--image 1024x768px", "WIDTHxHEIGHT"),
        ("--image=-5x5", "WIDTHxHEIGHT"),
        ("--image 1024", "WIDTHxHEIGHT"),
        ("--image clip.mp4", "video"),
        ("--image 10000x1", "200 to 1"),
        ("--image 999999999x1", "WIDTHxHEIGHT"),
        ("--image 8x8 --images 0", "--images"),
        ("--images 2", "--image"),
        ("--audio 30s", "hears"),
        ("--image 1x1 --convention leading-order", "leading-order"),
    ],
)
def test_refused(options: str, word: str) -> None:
    assert word in refused("flops", "-", "--seq", "16", *options.split(), stdin=QWEN)


@pytest.mark.parametrize("options", ["--audio 30", "--audio 0s", "--audio 31s", "--audio=-3s", "--audio 30 seconds"])
def test_sounds_refused(options: str) -> None:
    assert "audio" in refused("flops", "-", "--seq", "16", *options.split(" ", 1), stdin=HEARS)


def test_a_model_without_towers_is_refused() -> None:
    assert "sees" in refused("flops", "gpt3", "--image", "8x8")
    assert "--train" in refused("memory", "-", "--train", "--image", "8x8", stdin=QWEN)
    assert "not known" in refused("flops", "-", "--image", "8x8", stdin=b'{"model_type": "mllama"}')
    assert "encoder-decoder" in refused("flops", "t5-base", "--image", "8x8")


def test_tiny_sizes_are_answered() -> None:
    """1 × 1 is made four squares of 28 by Qwen's least number of pixels."""
    assert asked("flops", "-", "--seq", "16", "--image", "1x1")["inputs"]["image_tokens"] == 4


def test_what_a_preset_file_carries() -> None:
    """A rule as plain data and back."""
    for family in GOLDEN["images"]:
        spec = read(family)
        assert validate(json.loads(json.dumps(as_data(spec))), "again").sight == spec.sight


def test_the_workspace_is_the_towers_where_theirs_is_larger() -> None:
    """640 × 480 pixels are 160 · 120 patches of 4; a feed-forward of 72, before and after its activation, 2 bytes each."""
    found = json.loads(here("memory", str(ROOT / "tests/oracle/sees.json"), "--seq", "64", "--image", "640x480", "--json").out)
    parts = {part["part"]: part["bytes"] for part in found["result"]["parts"]}
    assert parts["workspace"] == 160 * 120 * 72 * 2 * 2
