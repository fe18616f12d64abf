"""Opens a folder of MedVersa weights, converted or as released, before any of it is in memory."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from model.errors import WeightsError
from model.families.medversa_networks.checkpoint import Checkpoint
from model.families.medversa_networks.inferred_sizes import inferred_sizes
from model.families.medversa_networks.llama_tokenizer import JSON_FILE, MODEL_FILE, released_tokenizer
from model.families.medversa_networks.released_keys import LANGUAGE, from_adapter, from_llama, is_adapter
from model.families.medversa_networks.sizes import MedVersaSizes
from model.families.medversa_networks.tokenizer import MedVersaTokenizer
from model.tensor_files import TensorFiles
from model.weights import (
    ADAPTER,
    CONFIG_FILE,
    TOKENIZER_FILE,
    Progress,
    WeightsConfig,
    check_hashes,
    has_config,
    hash_of_hashes,
    read_config,
    read_json,
    sha256_of,
    unseen,
)

ADAPTER_CONFIG = "adapter_config.json"
RELEASED_VERSION = "released"


@dataclass(frozen=True, slots=True, eq=False)
class OpenedWeights:
    """What a folder of weights holds."""

    config: WeightsConfig
    """As the folder says, or for a released checkpoint as its files imply."""
    sizes: MedVersaSizes
    tokenizer: MedVersaTokenizer
    checkpoint: Checkpoint


def open_weights(folder: Path, progress: Progress = unseen) -> OpenedWeights:
    """Open converted weights or a released checkpoint.

    Raises:
        WeightsError: a file is missing or altered, or the folder holds no MedVersa.
    """
    if has_config(folder):
        return open_converted(folder, progress)
    if (folder / ADAPTER).is_dir():
        raise WeightsError(f"no {CONFIG_FILE} in the folder of weights")
    return open_released(folder, progress=progress)


def open_converted(folder: Path, progress: Progress = unseen) -> OpenedWeights:
    """Open a folder in our own layout and check the hash of every file.

    Raises:
        WeightsError: a file is missing or altered, or `config.json` describes no MedVersa.
    """
    config = read_config(folder)
    if config.family != "medversa":
        raise WeightsError(f"the weights are of family {config.family}, not medversa")
    check_hashes(folder, config, progress)
    try:
        sizes = MedVersaSizes.from_json(config.sizes)
        tokenizer = MedVersaTokenizer.from_file(folder / TOKENIZER_FILE)
    except (TypeError, ValueError) as exc:
        raise WeightsError(f"the weights do not describe a MedVersa: {exc}") from exc
    return OpenedWeights(config, sizes, tokenizer, converted_checkpoint(folder, config))


def converted_checkpoint(folder: Path, config: WeightsConfig) -> Checkpoint:
    """Find the tensors of a folder in our own layout."""
    checkpoint = Checkpoint()
    checkpoint.add(TensorFiles(folder))
    checkpoint.add(TensorFiles(folder / config.language_model), from_llama)
    if (folder / ADAPTER).is_dir():
        checkpoint.add(TensorFiles(folder / ADAPTER), from_adapter)
    return checkpoint


def open_released(
    folder: Path, base: Path | None = None, tokenizer: Path | None = None, *, progress: Progress = unseen
) -> OpenedWeights:
    """Open a checkpoint as its publishers release it.

    Args:
        folder: holds safetensors files of vision, heads, LoRA and, unless it lies apart, language model.
        base: folder of the base language model as `transformers` writes it; by default, where the checkpoint
            has no language model, the one folder inside `folder` that holds a Llama.
        tokenizer: file or folder of the tokenizer; by default beside the checkpoint, else beside the base.
        progress: is told how much has been hashed.

    Raises:
        WeightsError: files or tensors that tell a size are missing, or the tokenizer does not fit.
    """
    checkpoint = released_tensors(folder)
    base = add_base(checkpoint, folder, base)
    sizes = released_sizes(checkpoint, folder, base)
    if tokenizer is not None:
        words = released_tokenizer(tokenizer, sizes.vocabulary)
    else:
        words = released_words(folder, base, sizes.vocabulary)
    config = WeightsConfig(
        family="medversa",
        name=f"medversa-{sizes.generation}",
        version=RELEASED_VERSION,
        demo_weights=False,
        sizes=sizes.to_json(),
        generation=sizes.generation,
        preset=RELEASED_VERSION,
    )
    return OpenedWeights(_identified(config, folder, base, progress), sizes, words, checkpoint)


def released_tensors(folder: Path) -> Checkpoint:
    """Find the tensors of a released checkpoint, without a base language model that lies apart.

    Raises:
        WeightsError: there are no safetensors files, or none with a MedVersa.
    """
    checkpoint = Checkpoint()
    checkpoint.add(TensorFiles(folder))
    if not any(name.startswith(("visual_encoder_2d.", "text_det.")) for name in checkpoint):
        raise WeightsError(f"{folder.name} holds tensors, but not those of a MedVersa")
    return checkpoint


def add_base(checkpoint: Checkpoint, folder: Path, base: Path | None = None) -> Path | None:
    """Add the base language model to a checkpoint that has none; say where it lies.

    Raises:
        WeightsError: there is no language model, or one too many, or no LoRA for a base.
    """
    base = base or (None if _has_language_model(checkpoint) else _base_inside(folder))
    if base is not None:
        if not any(is_adapter(name) for name in checkpoint):
            raise WeightsError(
                "no LoRA in the checkpoint; a merged language model belongs into the checkpoint"
            )
        checkpoint.add_base(TensorFiles(base), from_llama)
    elif not _has_language_model(checkpoint):
        raise WeightsError(
            "the checkpoint has no language model: put the folder of its base (config.json and safetensors) "
            "inside, or convert the checkpoint with --base"
        )
    return base


def released_sizes(checkpoint: Checkpoint, folder: Path, base: Path | None) -> MedVersaSizes:
    """Infer the sizes of a released checkpoint; see `inferred_sizes`."""
    said = _llama_config([place for place in (base, folder) if place is not None])
    return inferred_sizes(checkpoint.shapes, said, _lora_alpha(folder))


def released_words(folder: Path, base: Path | None, vocabulary: int) -> MedVersaTokenizer:
    """Read the tokenizer that lies beside a released checkpoint, else the one beside its base.

    Raises:
        WeightsError: there is none, or it does not fit; see `released_tokenizer`.
    """
    for place in (folder, base):
        if place is not None and any((place / name).is_file() for name in (JSON_FILE, MODEL_FILE)):
            return released_tokenizer(place, vocabulary)
    raise WeightsError(
        f"no {MODEL_FILE} or {JSON_FILE} beside the checkpoint or its base language model: "
        "put Llama's there, or convert the checkpoint with --tokenizer"
    )


def _has_language_model(checkpoint: Checkpoint) -> bool:
    return any(name.startswith(f"{LANGUAGE}model.layers.") and not is_adapter(name) for name in checkpoint)


def _base_inside(folder: Path) -> Path | None:
    found = [place.parent for place in sorted(folder.glob(f"*/{CONFIG_FILE}")) if _is_llama(place)]
    if len(found) > 1:
        raise WeightsError(f"more than one language model inside: {', '.join(place.name for place in found)}")
    return found[0] if found else None


def _is_llama(path: Path) -> bool:
    return read_json(path).get("model_type") == "llama"


def _llama_config(places: Iterable[Path]) -> dict[str, Any]:
    """What the first `config.json` that describes a language model says of it."""
    for place in places:
        if (place / CONFIG_FILE).is_file():
            said = read_json(place / CONFIG_FILE)
            if "num_attention_heads" in said:
                return said
    return {}


def _lora_alpha(folder: Path) -> int | None:
    path = folder / ADAPTER_CONFIG
    return int(read_json(path)["lora_alpha"]) if path.is_file() else None


def _identified(config: WeightsConfig, folder: Path, base: Path | None, progress: Progress) -> WeightsConfig:
    """Hash the safetensors files that the tensors come from."""
    places = [("", folder)] if base is None else [("", folder), ("language_model/", base)]
    hashes = {
        f"{start}{path.name}": sha256_of(path, progress)
        for start, place in places
        for path in sorted(place.glob("*.safetensors"))
    }
    return replace(config, files=hashes, weights_sha256=hash_of_hashes(hashes))
