"""Texts are judged form by form, resampled with their studies, and a missing model is named."""

from pathlib import Path

import numpy as np
import pytest

from model.evaluation.evaluation import evaluate
from model.evaluation.marks import MarkedStudy, Row, TextMark
from model.evaluation.report import facts
from model.evaluation.sources import source_of
from model.evaluation.text.bleu import Bleu
from model.evaluation.text.metric_models import MetricModels, ModelPaths
from model.evaluation.text_figures import TextPair, text_figures, text_pairs
from model.questions import Form
from model.reading import Modality, Task
from tests.scripted_family import ScriptedFamily
from tests.unit.model.evaluation.drawn_dataset import chest_record, prepared
from tests.unit.model.evaluation.test_record_studies import ANSWERS

WORDS = ("the", "lungs", "are", "clear", "no", "effusion", "or", "heart", "is", "normal", "in", "size")


def _pairs(n: int, form: str = "findings") -> list[TextPair]:
    rng = np.random.default_rng(n)
    texts = [" ".join(rng.choice(WORDS, 9)) + "." for _ in range(2 * n)]
    return [
        TextPair("report", form, f"study {k // 2}", told, true)
        for k, (told, true) in enumerate(zip(texts[:n], texts[n:], strict=True))
    ]


def _models() -> MetricModels:
    return MetricModels(ModelPaths())


def test_figures_are_those_of_the_metric_on_all_texts() -> None:
    pairs = _pairs(12)
    figures, _ = text_figures(pairs, _models())
    expected = Bleu().score([p.told for p in pairs], [[p.true] for p in pairs])
    found = {f.name: f for f in figures}
    for name, value in zip(expected.figures, expected.corpus, strict=True):
        assert found[name].estimate.value == pytest.approx(value)
    assert (found["BLEU-1"].estimate.studies, found["BLEU-1"].answers) == (6, 12)


def test_intervals_are_those_of_resampled_studies() -> None:
    pairs = _pairs(12)
    figures, _ = text_figures(pairs, _models())
    (bleu,) = (f.estimate for f in figures if f.name == "BLEU-1")
    rng = np.random.default_rng(0)
    values: list[float] = []
    for counts in rng.multinomial(6, np.full(6, 1 / 6), 1000):
        drawn = [pair for k, n in enumerate(counts) for pair in pairs[2 * k : 2 * k + 2] * n]
        judged = Bleu().score([p.told for p in drawn], [[p.true] for p in drawn])
        values.append(float(judged.corpus[0]))
    assert [bleu.low, bleu.high] == pytest.approx(np.percentile(values, [2.5, 97.5]))


def test_forms_are_judged_apart() -> None:
    same = [
        TextPair("report", "impression", f"s{n}", "Left effusion here now.", "Left effusion here now.")
        for n in range(3)
    ]
    figures, _ = text_figures([*_pairs(6), *same], _models())
    values = {f.of: f.estimate.value for f in figures if f.name == "BLEU-4"}
    assert values["impression"] == pytest.approx(1)
    assert values["findings"] < 0.5


def test_every_metric_without_its_model_says_what_it_needs() -> None:
    _, not_computed = text_figures(_pairs(4), _models())
    assert {"bertscore", "chexbert", "radgraph", "radcliq", "umls"} <= not_computed.keys()
    assert all("get it from" in reason for reason in not_computed.values())


def test_answers_are_paired_with_the_texts_of_their_own_question() -> None:
    rows = tuple(
        Row(Task.REPORT, form, (), told, True, TextMark())
        for form, told in ((Form.FINDINGS, "a"), (Form.GATE, "b"), (Form.IMPRESSION, "c"))
    )
    marked = [
        MarkedStudy("k", Modality.CXR, rows, "visit"),
        MarkedStudy("broken", Modality.CXR, (), "other", "PixelError"),
    ]
    pairs = text_pairs(marked, {"k": ["A", None, "C"], "broken": ["lost"]})
    assert pairs == [
        TextPair("report", "findings", "visit", "a", "A"),
        TextPair("report", "impression", "visit", "c", "C"),
    ]


def test_an_evaluation_judges_texts_and_tells_of_missing_models(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, chest_record(1, impression="Left pleural effusion."))
    source = source_of(str(dataset.folder), "test", None, tmp_path)
    result = evaluate(ScriptedFamily(ANSWERS), source, tmp_path / "out")
    values = {(f.task, f.of, f.name): f.estimate.value for f in result.figures}
    assert values["report", "impression", "BLEU-2"] == pytest.approx(1)
    assert ("visual question answering", "vqa", "BLEU-1") in values
    assert ("comparison", "difference", "ROUGE-L") in values
    assert any(fact.startswith("chexbert was not computed: needs CheXbert") for fact in facts(result))
