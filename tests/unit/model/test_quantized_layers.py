"""Weight-only quantization: how far it may move a weight and an answer, and what it must leave alone."""

import copy
import itertools
import math
import sys
import warnings
import weakref
from importlib.util import find_spec

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import DynamicCache

from model.errors import WeightsError
from model.precision import LARGE, Precision, named_precision, resolved
from model.quantized_layers import Int8Linear, decoder_matrices, language_dtype, quantize_decoder, quantized

# Appendix E of arXiv:2305.14314.
NF4 = (
    *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
    *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
    *(0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941),
    *(0.7229568362236023, 1.0),
)
WIDEST_HALF_GAP = max(high - low for low, high in itertools.pairwise(NF4)) / 2
BF16 = 2.0**-8
"""Unit roundoff of bfloat16, which has 8 significant bits."""
HIDDEN, FEED_FORWARD, LAYERS, VOCABULARY = 256, 704, 4, 512
QUANTIZED = (
    Precision.INT8,
    pytest.param(
        Precision.INT4,
        marks=pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"),
    ),
)


def _weight(inputs: int = 256, outputs: int = 96) -> Tensor:
    return torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(3)).bfloat16()


def _kept_weights(layer: nn.Module, inputs: int, rows: int) -> Tensor:
    """Read (out, in) float32 weights off the products with unit vectors, `rows` of them at a time."""
    units = torch.eye(inputs, dtype=torch.bfloat16)
    with torch.inference_mode():
        return torch.cat([layer(part) for part in units.split(rows)]).float().T


def _llama() -> LlamaForCausalLM:
    """A Llama that is as sure of itself as a trained one: mostly it repeats the token that it sees."""
    torch.manual_seed(5)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=HIDDEN,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=4,
    )
    llama = LlamaForCausalLM(config).requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        wrapped = get_peft_model(llama, LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    for name, parameter in wrapped.requires_grad_(False).named_parameters():
        if "norm" not in name:
            parameter.normal_(std=HIDDEN**-0.5)
    llama.model.embed_tokens.weight.normal_()
    llama.lm_head.weight.copy_(llama.model.embed_tokens.weight / HIDDEN)
    return llama.eval()


def _logits(llama: LlamaForCausalLM) -> Tensor:
    ids = torch.randint(0, VOCABULARY, (8, 48), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return llama(ids).logits.float()


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    return _llama()


@pytest.mark.parametrize("rows", [1, 64])
def test_int8_moves_no_weight_by_more_than_half_a_step(rows: int) -> None:
    """Besides, the scale and the product are rounded to bfloat16."""
    weight = _weight().float()
    step = weight.abs().amax(1, keepdim=True) / 127
    kept = _kept_weights(quantized(_weight(), Precision.INT8), 256, rows)
    assert ((kept - weight).abs() <= step / 2 + 2 * BF16 * weight.abs()).all()


@pytest.mark.parametrize("rows", [1, 64])
def test_int4_moves_no_weight_by_more_than_half_the_widest_gap_of_nf4(rows: int) -> None:
    """Besides, the level, the scale and the product are rounded to bfloat16."""
    pytest.importorskip("bitsandbytes")
    weight = _weight().float()
    scale = weight.view(96, 4, 64).abs().amax(-1, keepdim=True).expand(96, 4, 64).reshape(96, 256)
    kept = _kept_weights(quantized(_weight(), Precision.INT4), 256, rows)
    assert ((kept - weight).abs() <= WIDEST_HALF_GAP * scale + 3 * BF16 * weight.abs()).all()
    levels = kept / scale
    nearest = (levels[..., None] - torch.tensor(NF4)).abs().amin(-1)
    assert (nearest <= 3 * BF16 * levels.abs()).all()


def test_a_row_of_zeros_stays_zero() -> None:
    weight = _weight()
    weight[3] = 0
    kept = _kept_weights(quantized(weight, Precision.INT8), 256, 64)
    assert (kept[3] == 0).all()


@pytest.mark.parametrize("precision", QUANTIZED)
def test_logits_move_no_further_than_the_bits_allow(llama: LlamaForCausalLM, precision: Precision) -> None:
    """Rounding to steps s moves a weight by s / sqrt(12) (rms); the largest of n normal weights, to which the
    steps are fitted, is sqrt(2 ln n) times their rms. That is the relative error of one product; errors of
    the 7 matrices of each layer are independent and add in quadrature. bfloat16 adds three roundings to each
    product, half of the largest in the mean. NF4 is better on normal weights than the uniform steps assumed.
    """
    steps, together = {Precision.INT8: (254, FEED_FORWARD), Precision.INT4: (15, 64)}[precision]
    of_one = math.sqrt(2 * math.log(together)) * 2 / steps / math.sqrt(12) + 3 * BF16 / 2
    bound = math.sqrt(7 * LAYERS) * of_one
    exact = _logits(llama)
    small = copy.deepcopy(llama).bfloat16()
    quantize_decoder(small, precision)
    moved = _logits(small) - exact
    assert moved.norm() / exact.norm() <= bound
    assert moved.norm() > 0


@pytest.mark.parametrize("precision", QUANTIZED)
def test_a_model_that_is_sure_of_its_token_keeps_it(llama: LlamaForCausalLM, precision: Precision) -> None:
    """Its own token scores 1 against noise of 1/16 (256 ** -0.5) per other token, so that the best of 511
    others comes to 0.3; the errors above are a fraction of what lies between.
    """
    small = copy.deepcopy(llama).bfloat16()
    quantize_decoder(small, precision)
    assert (_logits(small).argmax(-1) == _logits(llama).argmax(-1)).all()


@pytest.mark.parametrize("precision", QUANTIZED)
def test_only_matrices_of_decoder_layers_change(llama: LlamaForCausalLM, precision: Precision) -> None:
    small = copy.deepcopy(llama).bfloat16()
    before = {name: tensor.clone() for name, tensor in small.named_parameters()}
    quantize_decoder(small, precision)
    after = dict(small.named_parameters())
    gone = {name for name in before if name not in after or after[name].dtype != torch.bfloat16}
    assert gone == {f"{name}.weight" for name, _ in decoder_matrices(llama)}
    assert len(gone) == 7 * LAYERS
    for name in before.keys() - gone:
        assert torch.equal(after[name], before[name])
    for kept in ("lm_head.weight", "model.embed_tokens.weight", "model.norm.weight"):
        assert kept not in gone


def test_no_more_than_one_matrix_is_held_twice(
    llama: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = copy.deepcopy(llama).bfloat16()
    originals = [weakref.ref(matrix.weight) for _, matrix in decoder_matrices(small)]
    alive: list[int] = []

    class Counting(Int8Linear):
        def __init__(self, weight: Tensor) -> None:
            super().__init__(weight)
            alive.append(sum(original() is not None for original in originals))

    monkeypatch.setattr("model.quantized_layers.Int8Linear", Counting)
    quantize_decoder(small, Precision.INT8)
    assert alive == list(range(7 * LAYERS, 0, -1))


def test_unquantized_precisions_leave_the_decoder_as_it_is(llama: LlamaForCausalLM) -> None:
    small = copy.deepcopy(llama)
    quantize_decoder(small, Precision.BFLOAT16)
    assert all(torch.equal(a, b) for a, b in zip(small.parameters(), llama.parameters(), strict=True))


@pytest.mark.parametrize("precision", QUANTIZED)
def test_reading_token_by_token_is_reading_at_once(llama: LlamaForCausalLM, precision: Precision) -> None:
    """A single row takes another way through the kernels than many; both must mean the same weights."""
    small = copy.deepcopy(llama).bfloat16()
    quantize_decoder(small, precision)
    ids = torch.arange(12)[None] * 37 % VOCABULARY
    cache = DynamicCache(config=small.config)
    with torch.inference_mode():
        at_once = small(ids).logits
        one_by_one = torch.cat([small(ids[:, n : n + 1], past_key_values=cache).logits for n in range(12)], 1)
    error = (one_by_one - at_once).float().norm() / at_once.float().norm()
    assert error <= math.sqrt(7 * LAYERS) * 3 * BF16 / 2


def test_int4_refuses_widths_that_nf4_cannot_pack() -> None:
    with pytest.raises(WeightsError, match="choose precision int8"):
        quantized(_weight(inputs=160), Precision.INT4)


def test_int4_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes.nn", None)
    with pytest.raises(WeightsError, match=r"medversa-node\[quantized\]"):
        quantized(_weight(), Precision.INT4)


def test_unknown_precision_is_refused() -> None:
    with pytest.raises(WeightsError, match="float32, bfloat16, int8, int4, auto"):
        named_precision("int3")


@pytest.mark.parametrize("chosen", [p for p in Precision if p is not Precision.AUTO])
def test_what_is_chosen_is_not_second_guessed(chosen: Precision) -> None:
    assert resolved(chosen, LARGE) is resolved(chosen, 1) is chosen


def test_auto_is_exact_for_small_models_and_never_quantizes() -> None:
    assert resolved(Precision.AUTO, LARGE - 1) is Precision.FLOAT32
    assert resolved(Precision.AUTO, 7 * LARGE) is Precision.BFLOAT16


def test_everything_around_quantized_matrices_is_bfloat16() -> None:
    assert {p: language_dtype(p) for p in Precision if p is not Precision.AUTO} == {
        Precision.FLOAT32: torch.float32,
        Precision.BFLOAT16: torch.bfloat16,
        Precision.INT8: torch.bfloat16,
        Precision.INT4: torch.bfloat16,
    }
