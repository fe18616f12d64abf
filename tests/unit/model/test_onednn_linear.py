"""A decoder whose matrices go by oneDNN says what it said before, and can still be trained."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from model.onednn_linear import OneDnnLinear, multiply_by_onednn

IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


@pytest.fixture
def llama() -> LlamaForCausalLM:
    torch.manual_seed(3)
    sizes = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=40, **sizes)).eval()


@torch.no_grad()
def test_scores_are_those_of_the_plain_matrices(llama: LlamaForCausalLM) -> None:
    names, before = set(llama.state_dict()), llama(IDS).logits
    multiply_by_onednn(llama)
    faster = [name for name, module in llama.named_modules() if isinstance(module, OneDnnLinear)]
    assert {name.split(".")[-1] for name in faster} == {"gate_proj", "up_proj", "down_proj"}
    torch.testing.assert_close(llama(IDS).logits, before, atol=1e-5, rtol=0)
    assert set(llama.state_dict()) == names


def test_gradients_are_those_of_the_plain_matrices(llama: LlamaForCausalLM) -> None:
    llama(IDS, labels=IDS).loss.backward()
    matrix = llama.model.layers[0].mlp.up_proj.weight
    assert matrix.grad is not None
    before = matrix.grad.clone()
    llama.zero_grad()
    multiply_by_onednn(llama)
    llama(IDS, labels=IDS).loss.backward()
    torch.testing.assert_close(matrix.grad, before)


def test_other_number_formats_go_the_usual_way(llama: LlamaForCausalLM) -> None:
    multiply_by_onednn(llama)
    with torch.no_grad():
        assert torch.isfinite(llama.to(torch.bfloat16)(IDS).logits).all()
