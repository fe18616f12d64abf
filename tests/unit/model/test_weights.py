"""Folders of weights in our layout: what is written is what is read, and by others too."""

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import GenerationConfig, LlamaForCausalLM

from model.errors import WeightsError
from model.families.medversa import MedVersaFamily
from model.families.medversa_loading import load_medversa
from model.families.medversa_networks.network import MedVersaNetwork
from model.families.medversa_networks.sizes import MedVersaSizes, VqaSizes
from model.families.medversa_saving import save_weights
from model.registry import load_family
from model.tensor_files import TensorFiles, source_of, write_tensors
from model.vocabulary import VOCABULARIES
from model.weights import (
    ADAPTER,
    CONFIG_FILE,
    LANGUAGE_MODEL,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    WeightsConfig,
    read_config,
    sha256_of,
    write_config,
)
from tests.small_medversa import SMALL, random_network, small_tokenizer

FILES = (
    WEIGHTS_FILE,
    TOKENIZER_FILE,
    "generation_config.json",
    f"{LANGUAGE_MODEL}/config.json",
    f"{LANGUAGE_MODEL}/{WEIGHTS_FILE}",
    f"{ADAPTER}/adapter_config.json",
    f"{ADAPTER}/adapter_model.safetensors",
)
"""Everything but `config.json`."""


def _sizes(vqa: VqaSizes | None = None) -> MedVersaSizes:
    vocabulary = small_tokenizer().tokenizer.get_vocab_size()
    return replace(SMALL, vocabulary=vocabulary, rope_theta=5000.0, rms_eps=1e-4, vqa=vqa)


@pytest.fixture(scope="module")
def network() -> MedVersaNetwork:
    return random_network(_sizes())


def _saved(network: MedVersaNetwork, folder: Path) -> WeightsConfig:
    folder.mkdir(exist_ok=True)
    small_tokenizer().tokenizer.save(str(folder / TOKENIZER_FILE))
    described = WeightsConfig("medversa", "small", "0", True, {}, yes_temperature=2.0, training={"seed": 1})
    return save_weights(folder, network, described)


@pytest.fixture
def folder(network: MedVersaNetwork, tmp_path: Path) -> Path:
    _saved(network, tmp_path)
    return tmp_path


# What is written is read


@pytest.mark.parametrize("vqa", [None, VqaSizes(image_size=112, visual_side=4)])
def test_saved_weights_are_the_halved_network_again(vqa: VqaSizes | None, tmp_path: Path) -> None:
    network = random_network(_sizes(vqa))
    written = _saved(network, tmp_path)
    loaded = load_family(str(tmp_path))
    assert isinstance(loaded, MedVersaFamily)
    assert loaded.identity.name == "small"
    assert loaded.identity.demo_weights
    assert loaded.vocabulary == VOCABULARIES["demo"]
    assert loaded.identity.generation == written.generation == ("v0" if vqa is None else "v1")
    assert loaded.identity.weights_sha256 == written.weights_sha256
    assert loaded.yes_temperature == 2.0
    assert loaded.network.sizes == network.sizes
    found = loaded.network.state_dict()
    for name, tensor in network.state_dict().items():
        expected = tensor.half().to(tensor.dtype) if tensor.is_floating_point() else tensor
        torch.testing.assert_close(found[name], expected, atol=0, rtol=0)


def test_same_network_is_written_to_the_same_bytes(network: MedVersaNetwork, tmp_path: Path) -> None:
    first, second = (_saved(network, tmp_path / name) for name in ("a", "b"))
    assert first == second


def test_language_model_is_loaded_in_the_precision_that_is_asked_for(folder: Path) -> None:
    loaded = load_medversa(folder, "cpu", "bfloat16").network
    types = {name: p.dtype for name, p in loaded.named_parameters()}
    for name, dtype in types.items():
        is_llm = name.startswith("llama_model.")
        assert dtype == (torch.bfloat16 if is_llm else torch.float32), name


def test_unknown_precision_is_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match="float8"):
        load_family(str(folder), precision="float8")


def test_hash_of_the_whole_is_what_sha256sum_would_say(folder: Path) -> None:
    config = read_config(folder)
    assert set(config.files) == set(FILES)
    for name, digest in config.files.items():
        assert digest == sha256_of(folder / name)
    listing = folder / "listing"
    listing.write_text("".join(f"{config.files[name]}  {name}\n" for name in sorted(config.files)))
    assert sha256_of(listing) == config.weights_sha256


# Others open it


def test_transformers_and_peft_open_it_and_give_the_same_scores(folder: Path) -> None:
    ours = load_medversa(folder, "cpu").network
    ids = torch.tensor([[3, 5, 8, 13, 21]])
    states, _ = ours.read(ours.embed(ids), torch.ones_like(ids))
    llama = LlamaForCausalLM.from_pretrained(folder / LANGUAGE_MODEL, dtype=torch.float32)
    base = llama(ids).logits
    with warnings.catch_warnings():
        # peft asks transformers for an attribute under the name that it had before.
        warnings.simplefilter("ignore", FutureWarning)
        theirs = PeftModel.from_pretrained(llama, str(folder / ADAPTER)).eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours.logits(states), atol=1e-6, rtol=0)
    assert (base - ours.logits(states)).abs().max() > 1e-3, "the adapter changes nothing"


def test_tokenizers_and_transformers_open_the_rest(folder: Path) -> None:
    words = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    assert words.get_vocab_size() == read_config(folder).sizes["vocabulary"]
    assert GenerationConfig.from_pretrained(folder).max_new_tokens == SMALL.max_new_tokens
    said = json.loads((folder / CONFIG_FILE).read_text())
    assert said["model_type"] == "medversa"
    assert said["architectures"] == ["MedVersaNetwork"]


# What is wrong is said


@pytest.mark.parametrize("file", FILES)
def test_M12_altered_file_is_refused_by_name(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    content[-20] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(WeightsError, match=file):
        load_family(str(folder))


@pytest.mark.parametrize("file", [*FILES, CONFIG_FILE])
def test_M12_missing_file_is_refused_by_name(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(WeightsError, match=file):
        load_family(str(folder))


def test_M12_file_that_nobody_accounts_for_is_refused(folder: Path) -> None:
    save_file({"more": torch.zeros(1)}, folder / "more.safetensors")
    with pytest.raises(WeightsError, match=r"more\.safetensors"):
        load_family(str(folder))


def test_altered_list_of_hashes_is_refused(folder: Path) -> None:
    config = read_config(folder)
    write_config(folder, replace(config, weights_sha256="0" * 64))
    with pytest.raises(WeightsError, match="weights_sha256"):
        load_family(str(folder))


@pytest.mark.parametrize("text", ["{", "[]", '{"family": "medversa"}'])
def test_unreadable_config_is_refused(folder: Path, text: str) -> None:
    (folder / CONFIG_FILE).write_text(text)
    with pytest.raises(WeightsError, match=CONFIG_FILE):
        load_family(str(folder))


def test_unknown_family_is_refused(folder: Path) -> None:
    write_config(folder, replace(read_config(folder), family="radiologist"))
    with pytest.raises(WeightsError, match="radiologist"):
        load_family(str(folder))


def test_M12_weights_of_another_size_are_refused_with_every_name(folder: Path) -> None:
    config = read_config(folder)
    write_config(folder, replace(config, sizes={**config.sizes, "detection_hidden": 4}))
    with pytest.raises(
        WeightsError, match=r"shape of text_det\.1\.weight: \(8, 16\), expected \(4, 16\)"
    ) as said:
        load_family(str(folder))
    for name in ("text_det.1.bias", "text_det.3.weight", "text_det.3.bias", "text_det.4.weight"):
        assert name in str(said.value)


def test_M12_weights_with_fewer_layers_are_refused_with_the_names_that_lack(folder: Path) -> None:
    config = read_config(folder)
    write_config(folder, replace(config, sizes={**config.sizes, "layers": 3}))
    with pytest.raises(WeightsError, match=r"missing: .*layers\.2\.mlp\.up_proj\.weight"):
        load_family(str(folder))


def test_unknown_name_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(WeightsError, match="medversa-demo"):
        load_family("no-such-family")


# Files of tensors


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {f"t{n}": torch.randn(10, n + 1) for n in range(5)}


@pytest.mark.parametrize(("shard", "files"), [(10_000, 1), (300, 3), (1, 5)])
def test_tensors_are_divided_by_size_and_found_again(
    tensors: dict[str, torch.Tensor], shard: int, files: int, tmp_path: Path
) -> None:
    write_tensors(tmp_path, "model", {n: source_of(t) for n, t in tensors.items()}, shard=shard)
    written = sorted(tmp_path.glob("*.safetensors"))
    assert len(written) == files
    assert all(math.prod(t.shape) * 4 <= shard for f in written for t in load_file(f).values()) or shard == 1
    assert (tmp_path / "model.safetensors.index.json").exists() == (files > 1)
    found = TensorFiles(tmp_path)
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        torch.testing.assert_close(found[name], tensor, atol=0, rtol=0)
        assert found.shape(name) == tuple(tensor.shape)
        assert found.bytes_of(name) == tensor.numel() * 4


def test_fewer_shards_leave_none_of_the_old_ones(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    sources = {n: source_of(t) for n, t in tensors.items()}
    write_tensors(tmp_path, "model", sources, shard=300)
    write_tensors(tmp_path, "model", sources)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_M12_missing_shard_is_named(tensors: dict[str, torch.Tensor], tmp_path: Path) -> None:
    write_tensors(tmp_path, "model", {n: source_of(t) for n, t in tensors.items()}, shard=300)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model-00002-of-00003\.safetensors"):
        TensorFiles(tmp_path)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "medversa.pth", "x.pt"])
def test_pickle_is_never_opened(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(WeightsError, match=f"{name}.*never read.*save_file"):
        TensorFiles(tmp_path)


def test_same_name_in_two_files_is_refused(tmp_path: Path) -> None:
    for file in ("a", "b"):
        save_file({"t": torch.zeros(1)}, tmp_path / f"{file}.safetensors")
    with pytest.raises(WeightsError, match=r"t is in a\.safetensors and in b\.safetensors"):
        TensorFiles(tmp_path)


def test_garbage_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"no tensors here")
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        TensorFiles(tmp_path)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no safetensors"):
        load_family(str(tmp_path))


def test_tensor_of_the_right_type_is_not_copied(folder: Path) -> None:
    """Two loads of the same file share its pages; a copy would not lie in a mapping of the file."""
    tensor = TensorFiles(folder / LANGUAGE_MODEL)["lm_head.weight"]
    assert tensor.to(torch.float16).data_ptr() == tensor.data_ptr()
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("the system does not tell what is mapped")
    rows = [line.split() for line in maps.read_text().splitlines() if str(folder / LANGUAGE_MODEL) in line]
    spans = [tuple(int(end, 16) for end in row[0].split("-")) for row in rows]
    assert any(low <= tensor.data_ptr() < high for low, high in spans)
