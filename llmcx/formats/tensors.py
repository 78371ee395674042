"""llama.cpp's tensors of a model: names, rows, and the types of what no mixture touches, by rule over the ops.

Names as in gguf-py/gguf/constants.py of ggml-org/llama.cpp; which matrices are stored as one, split or kept as they are, as its
converter (conversion/*.py) does it. A file made with its --no-mtp, which has no layers for multi-token prediction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from llmcx.costs.params import fold as params_fold
from llmcx.errors import InputError
from llmcx.formats import gguf
from llmcx.formats.storage import size
from llmcx.model.mixers.mla import MLA
from llmcx.model.spec import Attention, ModelSpec, MoE
from llmcx.ops.op import Op


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FAMILIES = _words("""
afmoe apertus arcee bamba bert bloom camembert cohere cohere2 dbrx deepseek_v2 deepseek_v3 deepseek_v32 distilbert ernie4_5
ernie4_5_moe exaone4 exaone_moe falcon falcon_h1 falcon_mamba gemma gemma2 gemma3_text gemma3n_text gemma4_text glm glm4
glm4_moe glm4_moe_lite glm4v_text glm4v_moe_text glm_moe_dsa gpt2 gpt_bigcode gpt_neox gpt_oss granite granitemoe granitemoehybrid
granitemoeshared hunyuan_v1_dense hunyuan_v1_moe jamba kimi_k2 kimi_linear lfm2 lfm2_moe llama llama4_text mamba mamba2 minicpm3
minimax_m2 ministral3 mistral mixtral modernbert mpt nemotron nemotron_h olmo olmo2 olmo3 olmoe phi phi3 phimoe qwen2 qwen2_moe
qwen2_vl_text qwen2_5_vl_text qwen3 qwen3_moe qwen3_next qwen3_5_text qwen3_5_moe_text qwen3_vl_text qwen3_vl_moe_text roberta
seed_oss smollm3 stablelm starcoder2 xlm-roberta
""")
"""Those that llama.cpp converts, but for T5, whose tensors it counts in the order of their names."""

_ONE_QKV = _words("gpt2 gpt_bigcode gpt_neox bloom mpt falcon dbrx phi3 modernbert")
_ONE_UP = _words("phi3 glm glm4 glm4v_text modernbert")
_GATED_QUERY = _words("qwen3_next qwen3_5_text qwen3_5_moe_text")
"""Families that store queries, keys and values as one; gate and up; queries and the gate of what comes out."""
_KEYS_BY_LAYER = _words("jamba bamba granitemoehybrid nemotron_h lfm2 lfm2_moe kimi_linear")
"""Files that state key-value heads layer by layer: none in one without attention."""

_MIXER = {
    **{leaf: f"attn_{leaf}" for leaf in ("q", "k", "v", "qkv", "gate")},
    "out": "attn_output",
    "q_down": "attn_q_a",
    "q_up": "attn_q_b",
    "kv_down": "attn_kv_a_mqa",
}
_SUFFIX = {"ffn": "", "expert": "_exps", "shared_expert": "_shexp"}
_OTHER = {"gated_delta": "ssm_", "kimi_delta": "ssm_", "mamba": "ssm_", "mamba2": "ssm_", "short_conv": "shortconv."}
"""Mixers whose matrices have names of their own: all but those that are called as attention's are."""
_CORRECTED = _words("""deepseek_v3 deepseek_v32 kimi_k2 exaone_moe glm4_moe glm4_moe_lite glm4v_moe_text glm_moe_dsa
    kimi_linear lfm2_moe minimax_m2""")
"""Families whose routers have a number per expert that transformers keeps as a buffer, not a parameter."""
_ENCODERS = _words("bert roberta xlm-roberta camembert distilbert modernbert")
"""Families of which no head is stored, and of RoBERTa's positions two fewer."""
_AS_RELEASED = ("embedding.per_layer.projection", "altup.in", "altup.out", "altup.router", "laurel.down", "laurel.up")
"""What keeps the type of the file that is quantised, 16 bits; everything else that no mixture touches has 32."""


class Tensor(NamedTuple):
    """A matrix of each of ``times`` layers of a group, or one outside them: rows of ``d_in``; ``elements`` and ``copies`` of one
    layer's.
    """

    group: str
    name: str
    d_in: int
    elements: int
    copies: int
    times: int


def _family(spec: ModelSpec) -> str:
    """A model_type; a preset may name the family that has a language model of its own type (gemma3 for gemma3_text)."""
    named = str(spec.family)
    return f"{named}_text" if f"{named}_text" in FAMILIES else named


def tensors(spec: ModelSpec, ops: Iterable[Op]) -> tuple[list[Tensor], Counter[str]]:
    """The tensors of ``ops`` that a mixture may quantise, those stored as one together; and how many numbers of other type."""
    found: dict[tuple[str, str], Tensor] = {}
    plain: Counter[str] = Counter()
    for op in ops:
        count = params_fold.of(op)
        if not count or op.component == "ffn.xielu" or (op.role in ("head", "head_transform") and _family(spec) in _ENCODERS):
            continue
        count += _beside(spec, op)
        matrix = 0 if op.dims.get("tied") or op.kind not in ("linear", "lookup") else size(op) * op.copies * op.times
        named = list(_named(spec, op)) if matrix else []
        if not named:
            plain["BF16" if _as_released(spec, op) else "F32"] += count
            continue
        plain["F32"] += count - matrix  # its biases
        for tensor in named:
            before = found.get((tensor.group, tensor.name))
            more = 0 if before is None else before.elements
            found[tensor.group, tensor.name] = tensor._replace(elements=tensor.elements + more)
    return list(found.values()), +plain


def _beside(spec: ModelSpec, op: Op) -> int:
    """What a file has beside the numbers of an op, or has not."""
    if op.role == "router" and op.module == "router" and _family(spec) in _CORRECTED:
        return op.dims["d_out"] * op.times
    if op.component == "embedding.positions" and _family(spec) in ("roberta", "xlm-roberta"):
        return -2 * op.dims["width"]
    return op.times if op.component == "norm.attention" and _family(spec) == "gemma4_text" else 0  # a factor per layer


def _as_released(spec: ModelSpec, op: Op) -> bool:
    return op.component in _AS_RELEASED or (op.role == "router" and op.module == "router" and _family(spec) == "dbrx")


def _named(spec: ModelSpec, op: Op) -> Iterator[Tensor]:
    """The tensors of a matrix: one, none that a mixture may quantise, or those that it is split into."""
    rows = op.dims["d_in"] if op.kind == "linear" else op.dims["width"]
    one = Tensor(op.group, "", rows, size(op) * op.copies, op.copies, op.times)
    family = _family(spec)
    if op.kind == "lookup":
        if op.role == "embedding" or op.component == "embedding.per_layer":
            yield one._replace(name="token_embd" if op.role == "embedding" else "per_layer_token_embd")
    elif op.role == "head":
        yield one._replace(name="output")
    elif op.role in _SUFFIX:
        leaf = "up" if op.module == "gate" and op.role == "ffn" and family in _ONE_UP else op.module
        yield one._replace(name=f"ffn_{leaf}{_SUFFIX[op.role]}")
    elif op.role == "extra" and op.component.startswith("per_layer."):
        yield one._replace(name={"gate": "inp_gate", "up": "proj"}[op.module])
    elif op.role in ("mixer", "beside"):
        layers = spec.kinds[op.group]
        mixer = layers.mixer if op.role == "mixer" else layers.beside
        kind = getattr(mixer, "type", "")
        if isinstance(mixer, MLA) and op.module == "kv_up" and family != "minicpm3":
            heads = op.dims["d_out"] // (mixer.nope_dim + mixer.v_dim)
            yield one._replace(name="attn_k_b", d_in=mixer.nope_dim, elements=rows * mixer.nope_dim * heads, copies=heads)
            yield one._replace(name="attn_v_b", elements=rows * mixer.v_dim * heads, copies=heads)
        elif kind == "kimi_delta" and op.module == "qkv":
            yield from (one._replace(name=f"attn_{leaf}", elements=one.elements // 3) for leaf in "qkv")
        else:
            yield one._replace(name=_mixers(family, kind, op))


def _mixers(family: str, kind: str, op: Op) -> str:
    """llama.cpp's name of a mixer's matrix."""
    if op.component.startswith("attention.indexer."):
        return {"q": "indexer.attn_q_b", "k": "indexer.attn_k"}.get(op.module, "indexer.proj")
    if kind in _OTHER and (op.module not in _MIXER or (op.module == "out" and kind != "kimi_delta")):
        return _OTHER[kind] + op.module
    if op.module in "qkv" and family in _ONE_QKV:
        return "attn_qkv"
    if op.module == "gate" and kind == "attention" and family in _GATED_QUERY:
        return "attn_q"
    if op.module != "kv_up" and op.module not in _MIXER:
        problem = f"llama.cpp has no name for {op.component}, so no file of it is known; give another --dtype"
        raise InputError(problem, field="dtype", value=op.module)
    return "attn_kv_b" if op.module == "kv_up" else _MIXER[op.module]


def kinds(spec: ModelSpec, mix: str, whole: list[Tensor]) -> dict[tuple[str, str], Counter[str]]:
    """By group and name of the whole model's tensors: how many of its layers have it in which type."""
    m = _model(spec, whole)
    groups: dict[str, list[Tensor]] = {}
    for tensor in sorted(whole, key=lambda tensor: tensor.name):
        groups.setdefault(tensor.group, []).append(tensor)
    found: dict[tuple[str, str], Counter[str]] = {}

    def add(tensor: Tensor, n: int, first: int, step: int, count: int) -> None:
        def choice(i: int) -> str:
            return gguf.fitting(gguf.choose(mix, tensor.name, tensor.d_in, m, i, tensor.copies), tensor.d_in)

        found.setdefault((tensor.group, tensor.name), Counter()).update(gguf.spread(choice, n, first, step, count))

    for group in groups.keys() - spec.kinds.keys():
        for tensor in groups[group]:
            add(tensor, 1, 0, 1, tensor.times)
    placed: Counter[str] = Counter()  # how many tensors of a place the layers before have
    before = 0
    for group, count in spec.runs:
        own = groups.get(group, [])
        many = Counter(gguf.place(tensor.name) for tensor in own)
        seen: Counter[str] = Counter()
        for tensor in own:
            what = gguf.place(tensor.name)
            if m.experts > 1 and what != "values" and not gguf.by_tensor(mix):
                add(tensor, m.layers, before, 1, count)
            else:
                add(tensor, m.values if what == "values" else m.layers, placed[what] + seen[what], many[what], count)
            seen[what] += 1
        for what, n in many.items():
            placed[what] += n * count
        before += count
    return found


def _model(spec: ModelSpec, whole: list[Tensor]) -> gguf.Model:
    n, family = spec.n_layers, _family(spec)
    experts = max((layers.ffn.n_experts for layers in spec.groups if isinstance(layers.ffn, MoE)), default=0)
    tied = all(tensor.name != "output" for tensor in whole)
    values = sum(tensor.times for tensor in whole if gguf.place(tensor.name) == "values")
    first = spec.kinds[spec.runs[0][0]]
    attentions = [at for layers in spec.groups for at in (layers.mixer, layers.beside) if isinstance(at, Attention | MLA)]
    own = [at for at in attentions if at in (first.mixer, first.beside)]
    at = next(iter(own if family in _KEYS_BY_LAYER else own or attentions), None)
    gqa = 0
    if isinstance(at, Attention):
        gqa = at.n_heads // at.kv_heads
    elif at is not None:
        gqa = 1 if family == "minicpm3" else at.n_heads  # all of them meet one latent
    is_llama = family in ("llama", "mistral", "mixtral") and gqa > 1 and experts != 8
    is_70b = n == 80 and (is_llama or family in ("qwen2", "olmo"))
    return gguf.Model(n, gqa, experts, tied, values, is_70b, family == "falcon")


def check(spec: ModelSpec, name: str) -> None:
    """Refuse what llama.cpp does not convert. Raises InputError."""
    family = _family(spec)
    if family not in FAMILIES:
        why = f"llama.cpp's converter has no {family}" if family not in ("t5", "mt5", "umt5") else "not of an encoder-decoder"
        raise InputError(f"how {spec.name} is stored in {name} is not known: {why}", field="dtype", value=name)
