"""BERTScore equals package bert-score on random encoders."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bert_score import BERTScorer
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from model.errors import NotComputedError, WeightsError
from model.evaluation.text.bertscore import DISTILROBERTA, BertScore, Setting, TokenMatcher
from tests.unit.model.evaluation.text.report_pairs import PAIRS
from tests.unit.model.evaluation.text.tiny_encoders import write_bert, write_roberta

LAYERS = 2
RAW = Setting("tiny", LAYERS, (0.0, 0.0, 0.0))
RESCALED = Setting("tiny", LAYERS, (0.2, 0.3, 0.4))


@pytest.fixture(scope="module", params=[write_bert, write_roberta])
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return request.param(tmp_path_factory.mktemp("encoders") / "encoder")


def published(encoder: Path, **options: Any) -> BERTScorer:
    """bert-score 0.3.13 with what transformers 5 took from it: a method, and the space before a text."""
    scorer = BERTScorer(model_type=str(encoder), num_layers=LAYERS, nthreads=0, **options)
    tokenizer = AutoTokenizer.from_pretrained(encoder, add_prefix_space=True)
    tokenizer.build_inputs_with_special_tokens = lambda ids: [
        tokenizer.cls_token_id,
        *ids,
        tokenizer.sep_token_id,
    ]
    scorer._tokenizer = tokenizer
    return scorer


def test_precision_recall_and_f1_are_those_of_bert_score(encoder: Path) -> None:
    pairs = [pair for pair in PAIRS if "  " not in "".join(pair)]
    expected = published(encoder).score([one for one, _ in pairs], [other for _, other in pairs])
    found = TokenMatcher(encoder, RAW)(pairs)
    assert found == pytest.approx(np.stack([e.numpy() for e in expected], axis=1), abs=2e-6)


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
def test_rescaling_is_that_of_bert_score(encoder: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.tsv"
    baseline.write_text("LAYER,P,R,F\n0,0,0,0\n1,0,0,0\n2,0.2,0.3,0.4\n")
    scorer = published(encoder, lang="en", rescale_with_baseline=True, baseline_path=str(baseline))
    expected = scorer.score(["small effusion"], ["large effusion"])
    found = TokenMatcher(encoder, RESCALED)([("small effusion", "large effusion")])
    assert found[0] == pytest.approx([float(e) for e in expected], abs=2e-6)


def test_the_best_reference_counts_as_in_bert_score(encoder: Path) -> None:
    predictions, references = ["small effusion", "clear lungs"], [["no effusion", "small mass"], ["clear"]]
    expected = published(encoder).score(predictions, references)[2]
    scored = BertScore(TokenMatcher(encoder, RAW)).score(predictions, references)
    assert scored.values[:, 0] == pytest.approx(expected.numpy(), abs=2e-6)


def test_figures_do_not_depend_on_what_else_is_scored(encoder: Path) -> None:
    alone = TokenMatcher(encoder, RAW)([PAIRS[13]])
    among = TokenMatcher(encoder, RAW)(PAIRS)
    assert among[13] == pytest.approx(alone[0], abs=2e-6)


def test_runs_of_spaces_count_as_one(encoder: Path) -> None:
    matcher = TokenMatcher(encoder, RAW)
    assert (
        matcher([("The  lungs   are clear. ", "Clear.")]).tolist()
        == matcher([("The lungs are clear.", "Clear.")]).tolist()
    )


def test_long_texts_are_cut(encoder: Path) -> None:
    long = "effusion " * 600
    found = TokenMatcher(encoder, RAW)([(long, long + "and a mass")])
    assert found[0] == pytest.approx([1.0, 1.0, 1.0], abs=1e-5)


def test_an_encoder_with_too_few_layers_is_refused(encoder: Path) -> None:
    with pytest.raises(NotComputedError, match="3 layers"):
        TokenMatcher(encoder, DISTILROBERTA)


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors", "vocab.*"])
def test_a_folder_that_is_not_whole_is_refused(encoder: Path, tmp_path: Path, lost: str) -> None:
    folder = tmp_path / "half"
    shutil.copytree(encoder, folder)
    for path in folder.glob(lost):
        path.unlink()
    with pytest.raises(WeightsError, match="half"):
        TokenMatcher(folder, RAW)


def test_altered_weights_are_refused(encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "altered"
    shutil.copytree(encoder, folder)
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="altered does not hold tiny"):
        TokenMatcher(folder, RAW)


def test_weights_that_lack_a_tensor_are_refused(encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "holed"
    shutil.copytree(encoder, folder)
    tensors = load_file(folder / "model.safetensors")
    lost = next(name for name in tensors if "layer.0" in name)
    del tensors[lost]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match="holed lacks 1 tensors"):
        TokenMatcher(folder, RAW)


def test_code_that_a_folder_brings_is_not_run(encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(encoder, folder)
    config = {"model_type": "own", "auto_map": {"AutoConfig": "own.Config", "AutoModel": "own.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text("raise SystemExit")
    with pytest.raises(WeightsError, match="own does not hold tiny"):
        TokenMatcher(folder, RAW)
