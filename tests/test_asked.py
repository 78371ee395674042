"""What first-time users asked, and read in the first lines and the notes."""

from __future__ import annotations

from pathlib import Path

from tests.helpers import data, here, refused, strict


def test_a_sequence_beyond_the_context_is_said() -> None:
    """Llama 3.1 8B's max_position_embeddings is 131,072 (its config.json)."""
    said = "longer than the context that llama-3.1-8b states, 131,072 tokens"
    for call in ("memory llama-3.1-8b --seq 131073", "serve llama-3.1-8b --prompt 131072 --output 1"):
        assert said in data(*call.split())["notes"], call
    for call in ("memory llama-3.1-8b --seq 131072", "serve llama-3.1-8b --prompt 131071 --output 1"):
        assert said not in data(*call.split())["notes"], call


def test_laws_that_agree_on_the_size_differ_in_the_data() -> None:
    """70 billion parameters are what was asked, so the range is of the tokens; the most by Hoffmann et al. 2022, equation 4 with
    the constants of appendix D.3: the size is G (C / 6)^a, and C / 6 the size times the tokens.
    """
    alpha, beta, a, b = 0.3392, 0.2849, 406.4, 410.7
    scale = (alpha * a / (beta * b)) ** (1 / (alpha + beta))
    tokens = (70e9 / scale) ** ((alpha + beta) / beta) / 70e9
    verdict = here("chinchilla", "--params", "70B", "--law", "kaplan", "--law", "hoffmann-3").out.splitlines()[1]
    assert verdict.endswith(f" to {tokens / 1e12:.3f} T tokens") and verdict.startswith("70.00 B parameters on ")


def test_names_as_other_programs_have_them() -> None:
    """torch.bfloat16 is bf16, vLLM's --dtype half and torch.float16 are fp16, and a cloud's A100x4 is four of them."""
    for theirs, ours in (("bfloat16", "bf16"), ("half", "fp16"), ("float32", "fp32"), ("Q4_K_M", "q4_k_m"), ("FP8", "fp8")):
        assert data("memory", "gpt2", "--dtype", theirs) == data("memory", "gpt2", "--dtype", ours)
    named = data("memory", "llama-3.1-8b", "--engine", "vLLM", "--hardware", "A100x4")
    assert named == data("memory", "llama-3.1-8b", "--engine", "vllm", "--hardware", "4xa100")
    assert data("params", "llama3.1:8b") == data("params", "llama-3.1-8b")  # as ollama writes it
    assert data("params", "1e9") == data("params", "1B") == data("params", "1_000_000_000")


def test_a_topic_of_two_words() -> None:
    assert here("explain", "flash", "attention") == here("explain", "flash-attention")
    assert here("explain", "gqa", "llama-2-7b").out != here("explain", "gqa").out  # a model is one still


def test_what_a_file_is_not() -> None:
    """A file that is called JSON is refused as JSON; a key of config.json without a model_type is no key of a preset."""
    said = refused("params", "-", stdin=b'{"hidden_size": 4096}')
    assert said.startswith("llmcx: stdin has no model_type, and no key of a preset; what is read is a config.json, ")


def test_json_is_called_json(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "llama"\n')
    assert refused("params", str(path)).endswith("config.json is not valid JSON at line 2, column 1: Expecting ',' delimiter\n")


def test_why_an_ideal_mfu_passes_one() -> None:
    """A GeForce RTX 4090 runs at up to 3,105 MHz (nvidia-smi), and NVIDIA's whitepaper states its peak at 2,520."""
    found = data("train", "1B", "--tokens", "20B", "--hardware", "8x4090")
    assert found["result"]["training"]["ideal"]["mfu"] > 1 > found["result"]["training"]["estimate"]["mfu"]
    assert any(f"{3105 / 2520:.2f} times that of the datasheet's peak" in note for note in found["notes"])
    h100 = data("train", "1B", "--tokens", "20B", "--hardware", "8xh100")
    assert h100["result"]["training"]["ideal"]["mfu"] <= 1 and not any("highest clock" in note for note in h100["notes"])


def test_longcat_flash_is_as_large_as_published() -> None:
    """560 B parameters (LongCat-Flash technical report, arXiv:2509.01322), which transformers pads with gates of idle experts."""
    found = strict(here("params", "-", "--json", stdin=b'{"model_type": "longcat_flash"}').out)
    [said] = [note for note in found["notes"] if "which no release holds" in note]
    unused = int(said.partition("builds ")[2].partition(" ")[0].replace(",", ""))
    assert unused == 28 * 256 * 2 * 2048 * 6144
    assert round((found["result"]["total"] - unused) / 1e9, -1) == 560
