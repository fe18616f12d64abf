"""A checkpoint as released is read in every form of its keys, and what is wrong with it is said by name."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from model.errors import WeightsError
from model.families.medversa_loading import empty_network, load_medversa
from model.families.medversa_networks.checkpoint import fill
from model.families.medversa_networks.inferred_sizes import inferred_sizes
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_opening import open_released, open_weights
from model.tensor_files import source_of, write_tensors
from tests.released_layout import (
    LANGUAGE,
    LLAMA_CONFIG,
    as_peft,
    as_recent_peft,
    merged,
    needed,
    published_tensors,
    released_sizes,
    small_release,
    split_base,
    with_aliases,
    write_release,
    write_sentencepiece,
)
from tests.small_medversa import random_network

Tensors = dict[str, Tensor]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A `tokenizer.model`."""
    return write_sentencepiece(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    return published_tensors(random_network(released_sizes("v0")))


@pytest.fixture
def release(tensors: Tensors, words: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes a release of some tensors."""

    def write(changed: Tensors | None = None, config: dict[str, object] | None = None) -> Path:
        folder = tmp_path / "release"
        folder.mkdir(exist_ok=True)
        (folder / "tokenizer.model").write_bytes(words.read_bytes())
        write_release(folder, tensors if changed is None else changed, config)
        return folder

    return write


def _network(folder: Path, base: Path | None = None) -> MedVersaNetwork:
    opened = open_released(folder, base)
    network = empty_network(opened.sizes)
    fill(network, opened.checkpoint)
    return network.eval()


def _scores(network: MedVersaNetwork) -> Tensor:
    ids = torch.tensor([[1, 20, 300, 401, 17]])
    with torch.no_grad():
        return network.logits(network.read(network.embed(ids), torch.ones_like(ids))[0])


# Forms


@pytest.mark.parametrize("generation", ["v0", "v1"])
def test_generation_and_sizes_are_told_by_the_tensors(generation: str, tmp_path: Path) -> None:
    small_release(tmp_path, generation)
    opened = open_weights(tmp_path)
    assert opened.sizes == released_sizes(generation)
    assert opened.config.generation == generation
    assert opened.config.name == f"medversa-{generation}"
    assert not opened.config.demo_weights


@pytest.mark.parametrize("form", [dict, as_peft, as_recent_peft, with_aliases])
def test_every_form_of_the_keys_gives_the_same_network(
    tensors: Tensors, release: Callable[..., Path], form: Callable[[Tensors], Tensors]
) -> None:
    found = {n: t for n, t in published_tensors(_network(release(form(tensors)))).items() if n in tensors}
    assert found.keys() >= set(needed(tensors))
    for name in needed(tensors):
        assert torch.equal(found[name], tensors[name]), name


def test_merged_language_model_scores_as_its_parts_do(tensors: Tensors, release: Callable[..., Path]) -> None:
    expected = _scores(_network(release()))
    network = _network(release(merged(tensors)))
    assert network.sizes.lora_rank == 0
    torch.testing.assert_close(_scores(network), expected, atol=1e-5, rtol=0)
    bare = {n: t for n, t in merged({n: t for n, t in tensors.items() if ".lora_" not in n}).items()}
    assert (_scores(_network(release(bare))) - expected).abs().max() > 1e-2


@pytest.mark.parametrize("place", ["inside", "apart"])
def test_base_language_model_may_lie_apart(
    tensors: Tensors, release: Callable[..., Path], tmp_path: Path, place: str
) -> None:
    rest, base = split_base(tensors)
    folder = release(rest, {})
    where = folder / "Llama-2-7b-chat-hf" if place == "inside" else tmp_path / "base"
    write_tensors(where, "model", {n: source_of(t) for n, t in base.items()}, shard=20_000)
    (where / "config.json").write_text(json.dumps(LLAMA_CONFIG))
    network = _network(folder, where if place == "apart" else None)
    for name, tensor in published_tensors(network).items():
        if name in tensors and not name.endswith(("inv_freq", "relative_position_index")):
            assert torch.equal(tensor, tensors[name]), name


def test_longer_embedding_and_head_of_the_checkpoint_win_over_the_base(
    tensors: Tensors, release: Callable[..., Path], tmp_path: Path
) -> None:
    """The published base has 32000 rows, the model 32005."""
    rest, base = split_base(with_aliases(tensors))
    longer = {
        n: t for n, t in with_aliases(tensors).items() if n in ("embed_tokens.weight", "embed_states.weight")
    }
    for name, alias in (
        ("model.embed_tokens.weight", "embed_tokens.weight"),
        ("lm_head.weight", "embed_states.weight"),
    ):
        base[name] = longer[alias][:-5].clone()
    write_tensors(tmp_path / "base", "model", {n: source_of(t) for n, t in base.items()})
    (tmp_path / "base" / "config.json").write_text(json.dumps(LLAMA_CONFIG))
    network = _network(release(rest | longer, {}), tmp_path / "base")
    assert torch.equal(network.llama.lm_head.weight, longer["embed_states.weight"])
    assert network.sizes.vocabulary == 405


def test_sharded_release_is_the_same(tensors: Tensors, release: Callable[..., Path]) -> None:
    folder = release()
    expected = _scores(_network(folder))
    write_tensors(folder, "model", {n: source_of(t) for n, t in tensors.items()}, shard=100_000)
    assert len(list(folder.glob("*.safetensors"))) > 2
    assert torch.equal(_scores(_network(folder)), expected)


def test_half_precision_release_keeps_its_numbers(tensors: Tensors, release: Callable[..., Path]) -> None:
    halved = {n: t.bfloat16() if t.is_floating_point() else t for n, t in tensors.items()}
    loaded = load_medversa(release(halved), "cpu", "bfloat16").network
    assert loaded.llama.lm_head.weight.dtype is torch.bfloat16
    assert loaded.text_det[1].weight.dtype is torch.float32
    assert torch.equal(loaded.text_det[1].weight, halved["text_det.1.weight"].float())


# What is wrong


@pytest.mark.parametrize(
    "name",
    [
        f"{LANGUAGE}model.layers.1.self_attn.v_proj.lora_B.weight",
        "text2seg_3d_ln.weight",
        "visual_encoder_2d.encoder.layers.1.blocks.1.attention.self.query.weight",
        "model_seg_2d.decoder.blocks.4.conv2.1.bias",
    ],
)
def test_missing_tensor_is_named(tensors: Tensors, release: Callable[..., Path], name: str) -> None:
    with pytest.raises(WeightsError) as said:
        _network(release({n: t for n, t in tensors.items() if n != name}))
    assert f"1 tensors; missing: {name}" in str(said.value)


def test_every_unknown_tensor_is_named_as_it_is_stored(
    tensors: Tensors, release: Callable[..., Path]
) -> None:
    more = {"text_key.weight": torch.zeros(2), "model_sam_2d.encoder.conv1.weight": torch.zeros(1)}
    with pytest.raises(WeightsError) as said:
        _network(release(tensors | more))
    for name in more:
        assert f"unknown: {name}" in str(said.value)


def test_wrong_shape_is_named(tensors: Tensors, release: Callable[..., Path]) -> None:
    with pytest.raises(WeightsError, match=r"llama_proj_3d\.weight: \(32, 31\), expected \(32, 32\)"):
        _network(release(tensors | {"llama_proj_3d.weight": torch.zeros(32, 31)}))


def test_two_names_of_one_tensor_must_agree(tensors: Tensors, release: Callable[..., Path]) -> None:
    head = tensors[f"{LANGUAGE}lm_head.0.weight"]
    assert _network(release(tensors | {"embed_states.weight": head.clone()}))
    with pytest.raises(WeightsError, match=r"embed_states\.weight.*differ"):
        _network(release(tensors | {"embed_states.weight": head + 1}))


def test_language_model_twice_is_refused(
    tensors: Tensors, release: Callable[..., Path], tmp_path: Path
) -> None:
    _, base = split_base(tensors)
    write_tensors(tmp_path / "base", "model", {n: source_of(t) for n, t in base.items()})
    with pytest.raises(WeightsError, match="in the checkpoint and in the base"):
        open_released(release(), tmp_path / "base")


def test_language_model_nowhere_is_refused_with_what_to_do(
    tensors: Tensors, release: Callable[..., Path]
) -> None:
    rest, _ = split_base(tensors)
    with pytest.raises(WeightsError, match=r"no language model.*--base"):
        open_weights(release(rest))


def test_base_without_adapter_is_refused(
    tensors: Tensors, release: Callable[..., Path], tmp_path: Path
) -> None:
    rest, base = split_base({n: t for n, t in tensors.items() if ".lora_" not in n})
    write_tensors(tmp_path / "base", "model", {n: source_of(t) for n, t in base.items()})
    with pytest.raises(WeightsError, match="no LoRA"):
        open_released(release(rest), tmp_path / "base")


@pytest.mark.parametrize("said", [{}, {"hidden_size": 32, "num_attention_heads": 2, "rms_norm_eps": 1e-5}])
def test_unknown_language_model_is_refused_with_what_is_not_known(
    release: Callable[..., Path], said: dict[str, object]
) -> None:
    with pytest.raises(WeightsError, match=r"(num_attention_heads|hidden_size|max_position).*config\.json"):
        open_weights(release(config=said))


def test_config_of_another_language_model_is_refused(release: Callable[..., Path]) -> None:
    with pytest.raises(WeightsError, match="hidden_size 4096, its tensors 32"):
        open_weights(release(config={**LLAMA_CONFIG, "hidden_size": 4096}))


def test_scaled_rotary_embedding_is_refused(release: Callable[..., Path]) -> None:
    with pytest.raises(WeightsError, match="linear"):
        open_weights(release(config={**LLAMA_CONFIG, "rope_scaling": {"type": "linear", "factor": 2.0}}))


def test_published_language_model_needs_no_config() -> None:
    """Of Llama-2-7b-chat everything that no tensor tells is public."""
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in published_tensors(empty_network(released_sizes("v0"))).items()
    }
    layer = f"{LANGUAGE}model.layers.0."
    shapes[f"{LANGUAGE}model.embed_tokens.weight"] = (32005, 4096)
    shapes[f"{layer}mlp.gate_proj.weight"] = (11008, 4096)
    sizes = inferred_sizes(shapes, {}, None)
    assert (sizes.heads, sizes.rms_eps, sizes.rope_theta, sizes.context) == (32, 1e-5, 10000.0, 4096)
    assert (sizes.hidden, sizes.feed_forward, sizes.vocabulary) == (4096, 11008, 32005)


def test_strength_of_an_unusual_lora_must_be_said(tensors: Tensors, release: Callable[..., Path]) -> None:
    narrow = {
        n: t[:4].clone() if "lora_A" in n else t[:, :4].clone() if "lora_B" in n else t
        for n, t in tensors.items()
    }
    folder = release(narrow)
    with pytest.raises(WeightsError, match=r"rank 4.*adapter_config\.json"):
        open_weights(folder)
    (folder / "adapter_config.json").write_text(json.dumps({"lora_alpha": 8}))
    assert (open_weights(folder).sizes.lora_rank, open_weights(folder).sizes.lora_alpha) == (4, 8)


def test_tensors_of_something_else_are_refused(tmp_path: Path) -> None:
    save_file({"model.norm.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="not those of a MedVersa"):
        open_weights(tmp_path)


def test_part_of_a_medversa_is_refused_by_what_lacks(tmp_path: Path) -> None:
    save_file(
        {"text_det.1.weight": torch.ones(2, 2), f"{LANGUAGE}model.layers.0.x": torch.ones(1)},
        tmp_path / "a.safetensors",
    )
    with pytest.raises(WeightsError, match=r"no visual_encoder_2d\.embeddings"):
        open_weights(tmp_path)


def test_missing_tokenizer_is_refused_with_what_to_do(release: Callable[..., Path]) -> None:
    folder = release()
    (folder / "tokenizer.model").unlink()
    with pytest.raises(WeightsError, match=r"tokenizer\.model or tokenizer\.json.*--tokenizer"):
        open_weights(folder)
