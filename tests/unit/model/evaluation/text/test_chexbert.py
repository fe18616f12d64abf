"""CheXbert is converted from its published layout, and its answers are read as published."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from torch import Tensor
from transformers import BertModel, BertTokenizer

from model.errors import MetricError, WeightsError
from model.evaluation.text.chexbert import (
    BLANK,
    LABELS,
    NEGATIVE,
    POSITIVE,
    UNCERTAIN,
    Chexbert,
    ChexbertF1,
    ChexbertSimilarity,
    Network,
)
from model.evaluation.text.chexbert_conversion import convert_chexbert, main
from tests.unit.model.evaluation.text.report_pairs import PREDICTIONS, REFERENCES
from tests.unit.model.evaluation.text.tiny_encoders import bert_config, write_vocabulary


class Answers(torch.nn.Module):
    """The published network from its description: dropout is off, heads read the first token."""

    def __init__(self, state: Mapping[str, Tensor], words: int) -> None:
        super().__init__()
        self.bert = BertModel(bert_config(words))
        self.bert.load_state_dict(
            {
                name.removeprefix("module.bert."): t
                for name, t in state.items()
                if name.startswith("module.bert.")
            }
        )
        self.heads = [
            (state[f"module.linear_heads.{n}.weight"], state[f"module.linear_heads.{n}.bias"])
            for n in range(14)
        ]
        self.eval()

    @torch.inference_mode()
    def forward(self, ids: list[int]) -> tuple[list[int], np.ndarray]:
        first = self.bert(torch.tensor([ids])).last_hidden_state[0, 0]
        return [int((weight @ first + bias).argmax()) for weight, bias in self.heads], first.numpy()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint and a vocabulary in the published layout, of random numbers."""
    folder = tmp_path_factory.mktemp("published")
    words = write_vocabulary(folder / "vocab.txt")
    torch.manual_seed(3)
    state = {f"module.{name}": tensor for name, tensor in Network(bert_config(words)).state_dict().items()}
    # Steeper heads, so that all four answers occur.
    state |= {name: 40 * tensor for name, tensor in state.items() if "linear_heads" in name}
    torch.save({"epoch": 1, "model_state_dict": state, "optimizer_state_dict": {}}, folder / "chexbert.pth")
    return folder


@pytest.fixture(scope="module")
def converted(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("converted") / "chexbert"
    convert_chexbert(published / "chexbert.pth", published / "vocab.txt", out)
    return out


@pytest.fixture(scope="module")
def labeler(converted: Path) -> Chexbert:
    return Chexbert(converted)


class Read(Chexbert):
    """A labeler whose answers are given by the text: a digit a label."""

    def __init__(self) -> None:
        self._known = {}

    def _read(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        classes = np.array([[int(digit) for digit in text.ljust(14, "0")] for text in texts])
        return classes, np.ones((len(texts), 2))


def test_every_tensor_is_kept_under_the_name_of_its_module(published: Path, converted: Path) -> None:
    state = torch.load(published / "chexbert.pth", weights_only=True)["model_state_dict"]
    tensors = load_file(converted / "model.safetensors")
    assert {f"module.{name}" for name in tensors} == state.keys()
    assert all(torch.equal(tensor, state[f"module.{name}"]) for name, tensor in tensors.items())


def test_labels_and_embeddings_are_those_of_the_published_network(published: Path, labeler: Chexbert) -> None:
    state = torch.load(published / "chexbert.pth", weights_only=True)["model_state_dict"]
    tokenizer = BertTokenizer.from_pretrained(published)
    network = Answers(state, len(state["module.bert.embeddings.word_embeddings.weight"]))
    texts = PREDICTIONS[::3]
    read = labeler.read(texts)
    for text, classes, embedding in zip(texts, read.classes, read.embeddings, strict=True):
        ids = tokenizer(" ".join(text.split())).input_ids
        expected, first = network(ids)
        assert classes.tolist() == expected
        assert embedding == pytest.approx(first, abs=1e-5)
    assert set(read.classes.ravel()) == {BLANK, POSITIVE, NEGATIVE, UNCERTAIN}


def test_long_reports_are_cut_at_512_tokens(labeler: Chexbert) -> None:
    long = "effusion " * 600
    assert labeler.read([long]).embeddings == pytest.approx(labeler.read([long + "mass"]).embeddings)


def test_positive_and_uncertain_count_as_present() -> None:
    """Package f1chexbert, mode `rrg`: blank 0, positive 1, negative 0, uncertain 1."""
    metric = ChexbertF1(Read())
    # Cardiomegaly is the second label, Edema the fifth; Fracture the twelfth is not among the five.
    scored = metric.score(["01003", "02", "000000000001"], [["03"], ["01"], ["000000000003"]])
    assert scored.figures == (
        "CheXbert micro F1-14",
        "CheXbert macro F1-14",
        "CheXbert micro F1-5",
        "CheXbert macro F1-5",
    )
    # Hits: Cardiomegaly, Fracture. False alarm: Edema. Miss: Cardiomegaly.
    assert scored.corpus == pytest.approx([4 / 6, (2 / 3 + 1) / 14, 2 / 4, (2 / 3) / 5])


def test_similarity_is_the_cosine_of_embeddings(labeler: Chexbert) -> None:
    one, other = labeler.read([PREDICTIONS[13]]).embeddings[0], labeler.read(["effusion"]).embeddings[0]
    expected = one @ other / np.sqrt((one @ one) * (other @ other))
    scored = ChexbertSimilarity(labeler).score([PREDICTIONS[13]], [["effusion"]])
    assert scored.figures == ("CheXbert similarity",)
    assert scored.corpus == pytest.approx([expected])


def test_the_same_report_has_similarity_1_and_f1_of_what_it_has(labeler: Chexbert) -> None:
    texts = [given[0] for given in REFERENCES]
    assert ChexbertSimilarity(labeler).score(texts, REFERENCES).values == pytest.approx(
        np.ones((len(texts), 1))
    )
    assert ChexbertF1(labeler).score(texts, REFERENCES).corpus[0] == pytest.approx(1.0)


def test_more_than_one_reference_is_refused(labeler: Chexbert) -> None:
    with pytest.raises(MetricError, match="one reference"):
        ChexbertF1(labeler).score(["Clear."], [["Clear.", "Clear lungs."]])


def test_command_converts(published: Path, tmp_path: Path) -> None:
    arguments = [str(published / "chexbert.pth"), str(tmp_path / "out")]
    result = CliRunner().invoke(main, [*arguments, "--vocabulary", str(published / "vocab.txt")])
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "out" / "config.json").read_text())["num_hidden_layers"] == 3
    assert Chexbert(tmp_path / "out").read(["Clear."]).classes.shape == (1, len(LABELS))


class Runs:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("ran",))


@pytest.mark.parametrize(
    "stored", [{"model_state_dict": Runs()}, {}, [], {"model_state_dict": {"module.a": torch.ones(1)}}]
)
def test_a_checkpoint_of_anything_else_is_refused_and_nothing_in_it_runs(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stored: object
) -> None:
    torch.save(stored, tmp_path / "other.pth")
    with pytest.raises(WeightsError):
        convert_chexbert(tmp_path / "other.pth", published / "vocab.txt", tmp_path / "out")
    assert "ran" not in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_without_a_head_is_refused(published: Path, tmp_path: Path) -> None:
    checkpoint = torch.load(published / "chexbert.pth", weights_only=True)
    del checkpoint["model_state_dict"]["module.linear_heads.13.bias"]
    torch.save(checkpoint, tmp_path / "headless.pth")
    with pytest.raises(WeightsError, match=r"headless\.pth"):
        convert_chexbert(tmp_path / "headless.pth", published / "vocab.txt", tmp_path / "out")


@pytest.mark.parametrize("lost", ["config.json", "vocab.txt"])
def test_a_folder_that_is_not_whole_is_refused(converted: Path, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "half"
    shutil.copytree(converted, folder)
    (folder / lost).unlink()
    with pytest.raises(WeightsError, match="half"):
        Chexbert(folder)


def test_a_vocabulary_of_another_model_is_refused(published: Path, tmp_path: Path) -> None:
    short = tmp_path / "vocab.txt"
    short.write_text("\n".join((published / "vocab.txt").read_text().split("\n")[:50]))
    with pytest.raises(WeightsError, match="has 50 words"):
        convert_chexbert(published / "chexbert.pth", short, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pickle_in_the_folder_is_not_read(published: Path, converted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "chexbert"
    folder.mkdir()
    for name in ("config.json", "vocab.txt"):
        (folder / name).write_bytes((converted / name).read_bytes())
    (folder / "chexbert.pth").write_bytes((published / "chexbert.pth").read_bytes())
    with pytest.raises(WeightsError, match="pickle"):
        Chexbert(folder)
