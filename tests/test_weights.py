"""`llmcx params --weights`: files written by the formats' own libraries, and headers that lie, byte by byte."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmcx.errors import InputError
from llmcx.huggingface.files import read
from llmcx.huggingface.gguf import GGUF_TYPES

from .helpers import data
from .helpers import refused as refused_here

np = pytest.importorskip("numpy")


# --- files of the formats' own writers --------------------------------------------------------------------------------


def by_dtype(path: Path) -> dict[str, tuple[int, int]]:
    stored = data("params", "--weights", str(path))["result"]["stored"]
    rows = {name: (row["elements"], row["bytes"]) for name, row in stored["by_dtype"].items()}
    assert stored["elements"] == sum(n for n, _ in rows.values())
    assert stored["bytes"] == sum(size for _, size in rows.values())
    return rows


def test_safetensors_of_the_real_library(tmp_path: Path) -> None:
    """Elements × the dtype's width: 6 × 4, 10 × 2, 7 × 1, 1 × 8 bytes; a tensor of no elements counts as a tensor."""
    from safetensors.numpy import save_file

    path = tmp_path / "model.safetensors"
    tensors = {"single": np.zeros((2, 3), np.float32), "half": np.zeros((5, 2), np.float16), "bytes": np.zeros((7,), np.uint8)}
    tensors |= {"scalar": np.array(3, np.int64), "none": np.zeros((0, 4), np.float32)}
    save_file(tensors, path, metadata={"format": "pt"})
    assert by_dtype(path) == {"F32": (6, 24), "F16": (10, 20), "U8": (7, 7), "I64": (1, 8)}
    assert read(str(path)).tensors == 5


def test_safetensors_dtypes_that_numpy_lacks(tmp_path: Path) -> None:
    """2 bytes for BF16, 1 for an 8-bit float, half a byte for FP4, in a file that the real library accepts."""
    from safetensors import deserialize

    path = tmp_path / "a.safetensors"
    tensors = {
        "a": {"dtype": "BF16", "shape": [3, 5], "data_offsets": [0, 30]},
        "b": {"dtype": "F8_E4M3", "shape": [4, 4], "data_offsets": [30, 46]},
        "c": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [46, 50]},
        "d": {"dtype": "F4", "shape": [4, 4], "data_offsets": [50, 58]},
    }
    path.write_bytes(safetensors_bytes(tensors, 58))
    assert {name for name, _ in deserialize(path.read_bytes())} == set(tensors)
    assert by_dtype(path) == {"BF16": (15, 30), "F8_E4M3": (16, 16), "F8_E8M0": (4, 4), "F4": (16, 8)}


QUANTISED = [("Q4_K", 256, 144), ("Q8_0", 32, 34), ("Q6_K", 256, 210), ("Q5_0", 32, 22), ("MXFP4", 32, 17)]
"""Elements and bytes of a block, counted by hand from ggml-common.h: block_q4_K = 2 + 2 (d, dmin) + 12 scales + 128 nibbles;
block_q8_0 = 2 + 32; block_q6_K = 128 + 64 + 16 + 2; block_q5_0 = 2 + 4 + 16; block_mxfp4 = 1 + 16.
"""


@pytest.mark.parametrize("alignment", [32, 256])
def test_gguf_of_the_real_library(tmp_path: Path, alignment: int) -> None:
    """Every kind of value among the keys, an alignment of its own, quantised and plain tensors."""
    import gguf

    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(alignment)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(["a", "", "ü" * 200])
    writer.add_token_scores([0.5, 1.0, 2.0])
    writer.add_bool("llama.odd", True)
    writer.add_array("llama.nested", [[1, 2], [3]])
    writer.add_float64("llama.wide", 1.5)
    for name, _, size in QUANTISED:
        kind = getattr(gguf.GGMLQuantizationType, name)
        writer.add_tensor(f"blk.0.{name}.weight", np.zeros((3, 2 * size), np.uint8), raw_dtype=kind)
    writer.add_tensor("half", np.zeros((5, 7), np.float16))
    writer.add_tensor("brain", np.zeros((5, 2 * 7), np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
    writer.add_tensor("norm", np.zeros((11,), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    expected = {name: (3 * 2 * block, 3 * 2 * size) for name, block, size in QUANTISED}
    expected |= {"F16": (35, 70), "BF16": (35, 70), "F32": (11, 44)}
    assert by_dtype(path) == expected


def test_gguf_types_are_those_of_the_real_library() -> None:
    """Each type's number, name, block and bytes; our table may not lag behind the library's."""
    import gguf

    theirs = {kind.value: (kind.name, *gguf.GGML_QUANT_SIZES[kind]) for kind in gguf.GGMLQuantizationType}
    # Never in a file. ggml-common.h's block_q8_1 is two halves and 32 bytes; the library said 40 bytes up to its version 0.19.
    theirs.pop(9)
    assert {kind: GGUF_TYPES.get(kind) for kind in theirs} == theirs


def test_shards_and_their_index(tmp_path: Path) -> None:
    """The index says which files belong to the model: a second copy beside them is not counted."""
    from safetensors.numpy import save_file

    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name in [*names, "consolidated.safetensors"]:
        save_file({name: np.zeros((4, 4), np.float16)}, tmp_path / name)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 64}, "weight_map": {name: name for name in names}}))
    stored = read(str(tmp_path))
    assert (stored.files, stored.tensors, stored.elements, stored.bytes) == (2, 2, 32, 64)

    (tmp_path / names[1]).unlink()
    with pytest.raises(InputError, match="lacks model-00002"):
        read(str(tmp_path))
    alone = tmp_path / "alone"
    alone.mkdir()
    save_file({"a": np.zeros((4, 4), np.float16)}, alone / names[0])
    with pytest.raises(InputError, match="1 of the 2 shards"):
        read(str(alone))
    for bad in ("{}", "[]", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}', "\xff", "[" * 100_000):
        index.write_text(bad, "latin-1")
        assert refused(tmp_path)
    index.write_text('{"weight_map": {"a": "../model.safetensors"}}')
    assert "must name files beside it" in refused(tmp_path)


def test_shards_without_an_index(tmp_path: Path) -> None:
    """All shards of one model add up; a missing one, or two models side by side, is refused."""
    from safetensors.numpy import save_file

    for i in (1, 2, 3):
        save_file({f"t{i}": np.zeros((i,), np.float32)}, tmp_path / f"model-0000{i}-of-00003.safetensors")
    assert read(str(tmp_path)).elements == 6
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    assert "has 2 of the 3 shards" in refused(tmp_path)

    both = tmp_path / "both"
    both.mkdir()
    for name in ("llama-Q4_K_M.gguf", "llama-Q8_0.gguf"):
        (both / name).write_bytes(gguf_bytes())
    assert "not shards of one model" in refused(both)


def test_beside_the_count_of_the_config(tmp_path: Path) -> None:
    """A whole tiny LLaMA, its shapes written out by hand: the file holds what the config counts, to the parameter."""
    from safetensors.numpy import save_file

    shapes = {"model.embed_tokens.weight": (64, 16), "model.norm.weight": (16,), "lm_head.weight": (64, 16)}
    for i in range(2):
        at = f"model.layers.{i}."
        shapes |= {f"{at}self_attn.{leaf}_proj.weight": (n, 16) for leaf, n in (("q", 16), ("k", 8), ("v", 8), ("o", 16))}
        shapes |= {f"{at}mlp.{leaf}_proj.weight": (48, 16) for leaf in ("gate", "up")} | {f"{at}mlp.down_proj.weight": (16, 48)}
        shapes |= {f"{at}input_layernorm.weight": (16,), f"{at}post_attention_layernorm.weight": (16,)}
    save_file({name: np.zeros(shape, np.float16) for name, shape in shapes.items()}, tmp_path / "model.safetensors")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 64, "hidden_size": 16}
    config |= {"intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    result = data("params", "--weights", str(tmp_path))["result"]
    # 2·64·16 tables + 16 + 2 layers of (2·16·16 + 2·8·16 + 3·48·16 + 2·16)
    assert result["counted"] == result["stored"]["elements"] == 2048 + 16 + 2 * (512 + 256 + 2304 + 32)
    assert result["difference"] == 0

    (tmp_path / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    assert data("params", "--weights", str(tmp_path))["result"]["difference"] == 1024  # the head, stored though tied


# --- headers that lie -------------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    """The sentence with which a file is refused, with little memory."""
    tracemalloc.start()
    said = refused_here("params", "--weights", str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6, f"{peak:,} bytes"
    return said


def safetensors_bytes(header: Any, body: int = 0) -> bytes:
    """The documented layout: 8 bytes of little-endian length, the JSON, the data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(body)


def tensor(**changes: Any) -> dict[str, Any]:
    return {"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **changes}}


SAFETENSORS = {
    "an empty file": (b"", "is empty"),
    "less than a length": (b"\x08\0\0", "cut off"),
    "a length beyond the file": (struct.pack("<Q", 1000) + b"{}", "1,000 bytes in a file of 10"),
    "a length of 2^60": (struct.pack("<Q", 2**60) + b"{}", "cut off"),
    "a length of 2^64 - 1": (b"\xff" * 8 + b"{}", "cut off"),
    "a pickle": (b"\x80\x02}q\0." + bytes(64), "cut off or not safetensors"),
    "a zip": (b"PK\x03\x04" + bytes(64), "cut off or not safetensors"),
    "only zeros": (bytes(64), "neither GGUF nor safetensors"),
    "bad JSON": (safetensors_bytes(b'{"a": '), "not JSON"),
    "not UTF-8": (safetensors_bytes(b'{"\xff": 1}'), "not JSON"),
    "deep nesting": (safetensors_bytes(b'{"a": ' + b"[" * 200_000), "not JSON"),
    "a number of 10,000 digits": (safetensors_bytes(b'{"a": ' + b"9" * 10_000 + b"}"), "not JSON"),
    "a list": (safetensors_bytes(b"[1, 2]"), "neither GGUF nor safetensors"),
    "an entry that is a number": (safetensors_bytes({"a": 3}), "'a'"),
    "an entry without a shape": (safetensors_bytes({"a": {"dtype": "F32", "data_offsets": [0, 0]}}), "'a'"),
    "an unknown dtype": (safetensors_bytes(tensor(dtype="F31"), 16), "'a'"),
    "a dtype that is a list": (safetensors_bytes(tensor(dtype=["F32"]), 16), "'a'"),
    "a negative shape": (safetensors_bytes(tensor(shape=[-2, -2]), 16), "'a'"),
    "a fractional shape": (safetensors_bytes(tensor(shape=[2.0, 2]), 16), "'a'"),
    "a true shape": (safetensors_bytes(tensor(shape=[True, 4]), 16), "'a'"),
    "a shape that is text": (safetensors_bytes(tensor(shape="", data_offsets=[0, 4]), 4), "'a'"),
    "a thousand dimensions": (safetensors_bytes(tensor(shape=[1] * 1000, data_offsets=[0, 4]), 4), "'a'"),
    "a shape of 2^200": (safetensors_bytes(tensor(shape=[2**50] * 4), 16), "takes 16 bytes"),
    "three offsets": (safetensors_bytes(tensor(data_offsets=[0, 8, 16]), 16), "'a'"),
    "offsets backwards": (safetensors_bytes(tensor(data_offsets=[16, 0]), 16), "'a'"),
    "short offsets": (safetensors_bytes(tensor(data_offsets=[0, 15]), 16), "takes 15 bytes"),
    "offsets beyond the data": (safetensors_bytes(tensor(), 12), "cut off"),
    "data that nobody owns": (safetensors_bytes(tensor(), 20), "its tensors end at byte 16, its data at 20"),
    "overlapping tensors": (safetensors_bytes({**tensor(), "b": tensor(data_offsets=[8, 24])["a"]}, 24), "starts at byte 8"),
    "the same bytes twice": (safetensors_bytes({**tensor(), "b": tensor()["a"]}, 16), "starts at byte 0"),
    "a hole between tensors": (safetensors_bytes({**tensor(), "b": tensor(data_offsets=[20, 36])["a"]}, 36), "not at 16"),
    "the same name twice": (
        safetensors_bytes(
            b'{"a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},'
            b' "a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}}',
            8,
        ),
        "not at 0",
    ),
}


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def info(name: bytes = b"a", dims: tuple[int, ...] = (32,), kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)


def gguf_bytes(
    pairs: list[bytes] | None = None,
    tensors: list[bytes] | None = None,
    body: int = 128,
    magic: bytes = b"GGUF",
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """The documented layout (ggml's docs/gguf.md): magic, version, counts, pairs, tensor infos, padding to 32, data."""
    pairs, tensors = pairs or [], [info()] if tensors is None else tensors
    head = magic + struct.pack("<IQQ", version, *(counts or (len(tensors), len(pairs)))) + b"".join(pairs + tensors)
    return head + bytes(-len(head) % 32 + body)


def pair(kind: int, value: bytes, key: bytes = b"k") -> bytes:
    return text(key) + struct.pack("<I", kind) + value


HUGE = struct.pack("<Q", 2**60)
GGUF = {
    "a wrong magic": (gguf_bytes(magic=b"GGML"), "cut off or not safetensors"),
    "only the magic": (b"GGUF", "cut off"),
    "version 1": (gguf_bytes(version=1), "is GGUF version 1, but must be 2 or 3"),
    "version 4": (gguf_bytes(version=4), "is GGUF version 4"),
    "big-endian": (gguf_bytes(version=3 << 24), "little-endian"),
    "2^60 tensors": (gguf_bytes(counts=(2**60, 0)), "tensors"),
    "2^60 keys": (gguf_bytes(counts=(0, 2**60)), "keys"),
    "more tensors than there are": (gguf_bytes(counts=(900_000, 0)), "corrupt"),
    "a key of 2^60 bytes": (gguf_bytes([HUGE], counts=(0, 1)), "more than the file holds"),
    "a value of 2^60 bytes": (gguf_bytes([pair(8, HUGE)]), "more than the file holds"),
    "an array of 2^60 bytes": (gguf_bytes([pair(9, struct.pack("<I", 0) + HUGE)]), "more than the file holds"),
    "an array of 2^60 strings": (gguf_bytes([pair(9, struct.pack("<I", 8) + HUGE)]), "arrays claim"),
    "an array of a million empty strings, cut off": (
        gguf_bytes([pair(9, struct.pack("<IQ", 8, 1_000_000) + bytes(8_000))]),
        "more than the file holds",
    ),
    "arrays in arrays in arrays": (gguf_bytes([pair(9, struct.pack("<IQ", 9, 1) * 1000)]), "unknown type 9"),
    "an unknown value type": (gguf_bytes([pair(13, bytes(8))]), "unknown type 13"),
    "an alignment of 0": (gguf_bytes([pair(4, struct.pack("<I", 0), b"general.alignment")]), "alignment is 0"),
    "an alignment of 33": (gguf_bytes([pair(4, struct.pack("<I", 33), b"general.alignment")]), "alignment is 33"),
    "a tensor's name of 2^60 bytes": (gguf_bytes(tensors=[HUGE + info()]), "more than the file holds"),
    "2^32 - 1 dimensions": (gguf_bytes(tensors=[text(b"a") + b"\xff" * 4]), "4,294,967,295 dimensions"),
    "5 dimensions": (gguf_bytes(tensors=[info(dims=(1, 1, 1, 1, 1))]), "5 dimensions"),
    "2^252 elements": (gguf_bytes(tensors=[info(dims=(2**63,) * 4)]), "cut off"),
    "an unknown tensor type": (gguf_bytes(tensors=[info(kind=999)]), "type 999, which llmcx does not know"),
    "a withdrawn tensor type": (gguf_bytes(tensors=[info(kind=4)]), "type 4, which llmcx does not know"),
    "a row that is no whole block": (gguf_bytes(tensors=[info(dims=(128, 2), kind=12)]), "not a multiple of 256"),
    "an offset off the grid": (gguf_bytes(tensors=[info(offset=8)]), "starts at byte 8"),
    "overlapping tensors": (gguf_bytes(tensors=[info(), info(b"b", offset=32)], body=256), "not at 128"),
    "a hole between tensors": (gguf_bytes(tensors=[info(), info(b"b", offset=160)], body=320), "not at 128"),
    "data cut off": (gguf_bytes(body=127), "end at byte 128 of the data, the file at 127"),
    "no data at all": (gguf_bytes(tensors=[info(dims=(2**40, 2**10))]), "cut off"),
}


@pytest.mark.parametrize("case", SAFETENSORS)
def test_corrupt_safetensors(tmp_path: Path, case: str) -> None:
    _refused_with(tmp_path / "a.safetensors", *SAFETENSORS[case])


@pytest.mark.parametrize("case", sorted(SAFETENSORS.keys() - {"a thousand dimensions"}))
def test_the_real_library_refuses_it_too(case: str) -> None:
    """So we are no stricter than the reference implementation, but for more dimensions than NumPy and torch allow (64)."""
    from safetensors import SafetensorError, deserialize

    with pytest.raises(SafetensorError):
        deserialize(SAFETENSORS[case][0])


@pytest.mark.parametrize("case", GGUF)
def test_corrupt_gguf(tmp_path: Path, case: str) -> None:
    _refused_with(tmp_path / "a.gguf", *GGUF[case])


def _refused_with(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    said = refused(path)
    assert words in said and path.name in said


def _gguf_by_hand() -> bytes:
    return gguf_bytes(
        [pair(9, struct.pack("<IQ", 8, 2) + text(b"a") + text(b"")), pair(4, struct.pack("<I", 64), b"general.alignment")],
        [info(), info(b"b" * 500, (256, 2), 12, 128)],
        body=64 + 128 + 288,
    )


@pytest.mark.parametrize("make", [lambda: safetensors_bytes(tensor(), 16), _gguf_by_hand], ids=["safetensors", "gguf"])
def test_every_truncation_of_a_good_file(tmp_path: Path, make: Callable[[], bytes]) -> None:
    """A good file written by hand is read; any beginning of it is refused in one sentence."""
    whole = make()
    path = tmp_path / "a"
    path.write_bytes(whole)
    assert read(str(path)).tensors >= 1
    for length in range(len(whole) - 64 if whole[:4] == b"GGUF" else len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read(str(path))


def test_sparse_file_of_huge_claims(tmp_path: Path) -> None:
    """A file that really is as long as its header claims: 90 MB of header, 2^40 bytes of empty strings."""
    path = tmp_path / "a.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 90_000_000))
        file.truncate(100_000_000)
    assert "neither GGUF nor safetensors" in refused(path)
    path = tmp_path / "a.gguf"
    with path.open("wb") as file:
        file.write(gguf_bytes([pair(9, struct.pack("<IQ", 8, 2**34))], body=0))
        file.truncate(2**40)
    assert "arrays claim" in refused(path)


def test_paths_that_are_no_weights(tmp_path: Path) -> None:
    assert "holds no .safetensors or .gguf file" in refused(tmp_path)
    assert "does not exist" in refused(tmp_path / "nowhere")
    assert "neither a file nor a directory" in refused(Path("/dev/zero"))
    assert refused(tmp_path / ("a" * 300))
    (tmp_path / "a.gguf").symlink_to(tmp_path / "a.gguf")
    assert refused(tmp_path)
