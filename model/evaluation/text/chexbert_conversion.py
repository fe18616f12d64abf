"""Makes the folder that `Chexbert` opens from the published checkpoint, a pickle that nothing else reads.

    python -m model.evaluation.text.chexbert_conversion chexbert.pth --vocabulary vocab.txt OUT

`chexbert.pth` is linked from github.com/stanfordmlgroup/CheXbert; `vocab.txt` is that of bert-base-uncased.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # what torch raises; nothing is unpickled with it
from typing import Any

import click
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import BertConfig

from model.errors import WeightsError
from model.evaluation.text.chexbert import Network
from model.evaluation.text.known_words import require_words

_PARALLEL = "module."
"""What the published checkpoint puts before every name, having been trained on several devices."""
_POSITIONS = "bert.embeddings.position_ids"
"""A table of 0 to 511 that some versions of transformers stored."""
_HEAD_WIDTH = 64
"""Of an attention head, in every BERT of the original paper; a checkpoint does not tell it."""
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def convert_chexbert(checkpoint: Path, vocabulary: Path, out: Path) -> None:
    """Write tensors, configuration and vocabulary to a folder.

    The pickle is read with `weights_only`, which builds tensors and containers and runs nothing else.

    Raises:
        WeightsError: the checkpoint holds other than tensors, or not those of a CheXbert, or the vocabulary
            has another number of words.
    """
    tensors = _tensors(checkpoint)
    config = _config(tensors)
    with vocabulary.open("rb") as file:
        require_words(sum(1 for _ in file), config.vocab_size, vocabulary)
    try:
        Network(config).load_state_dict(tensors)
    except RuntimeError as exc:
        raise WeightsError(f"the tensors in {checkpoint.name} are not those of a CheXbert") from exc
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / "model.safetensors")
    config.to_json_file(out / "config.json")
    shutil.copyfile(vocabulary, out / "vocab.txt")


def _tensors(checkpoint: Path) -> dict[str, Tensor]:
    try:
        stored: Any = torch.load(checkpoint, map_location="cpu", weights_only=True)
        state: Mapping[str, Tensor] = stored["model_state_dict"]
    except (UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as exc:
        raise WeightsError(
            f"{checkpoint.name} is not a checkpoint of tensors as CheXbert publishes it"
        ) from exc
    named = {name.removeprefix(_PARALLEL): tensor.contiguous().clone() for name, tensor in state.items()}
    return {name: tensor for name, tensor in named.items() if name != _POSITIONS}


def _config(tensors: Mapping[str, Tensor]) -> BertConfig:
    """Read the sizes of the network off its tensors."""
    try:
        words, width = tensors["bert.embeddings.word_embeddings.weight"].shape
        positions = len(tensors["bert.embeddings.position_embeddings.weight"])
        inner = len(tensors["bert.encoder.layer.0.intermediate.dense.weight"])
    except KeyError as exc:
        raise WeightsError(f"the checkpoint has no tensor {exc.args[0]}") from exc
    layers = {name.split(".")[3] for name in tensors if name.startswith("bert.encoder.layer.")}
    return BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=len(layers),
        num_attention_heads=max(width // _HEAD_WIDTH, 1),
        intermediate_size=inner,
        max_position_embeddings=positions,
    )


@click.command()
@click.argument("checkpoint", type=_FILE)
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--vocabulary", type=_FILE, required=True, help="vocab.txt of bert-base-uncased.")
def main(checkpoint: Path, out: Path, vocabulary: Path) -> None:
    """Write what CheXbert needs from CHECKPOINT, the published chexbert.pth, to the folder OUT."""
    try:
        convert_chexbert(checkpoint, vocabulary, out)
    except WeightsError as exc:
        raise click.ClickException(str(exc)) from exc


if __name__ == "__main__":
    main()
