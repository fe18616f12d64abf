"""Reports are split into words as the published metrics split them.

The expected words of COCO are what the published splitter printed (Stanford CoreNLP 3.4.1, through class
`PTBTokenizer` of pycocoevalcap 1.2).
"""

import pytest
from rouge_score.tokenizers import DefaultTokenizer

from model.evaluation.text.words import coco_words, ngrams, rouge_words, spaced_words
from tests.unit.model.evaluation.text.report_pairs import PAIRS

PUBLISHED_COCO_WORDS = {
    "": "",
    ".": "",
    "...": "",
    "?!": "?!",
    "Is there an effusion?": "is there an effusion",
    "The lungs\nare\tclear.": "the lungs are clear",
    "The tube ends 4.2 cm above the carina": "the tube ends 4.2 cm above the carina",
    "Left-sided PICC line tip in the mid SVC. No pneumothorax.": "left-sided picc line tip in the mid svc no "
    "pneumothorax",
    "in the mid superior vena cava; there is no pneumothorax.": "in the mid superior vena cava there is no "
    "pneumothorax",
    "An 8-mm nodule in the right upper lobe.": "an 8-mm nodule in the right upper lobe",
    "A nodule of 1,234 mm.": "a nodule of 1,234 mm",
    "Heart-to-chest ratio of 0.55.": "heart-to-chest ratio of 0.55",
    "T1-T12 are normal (see above).": "t1-t12 are normal -lrb- see above -rrb-",
    "The spine [T1 to T12] is normal.": "the spine -lsb- t1 to t12 -rsb- is normal",
    "perihilar/basilar opacities": "perihilar/basilar opacities",
    '"Ground-glass" opacities; nothing else.': "ground-glass opacities nothing else",
    "The patient's heart isn't enlarged.": "the patient 's heart is n't enlarged",
    "Size > 3 cm & growing by 50%.": "size > 3 cm & growing by 50 %",
    "___ year old with cough.": "___ year old with cough",
    "Dr. ___ was paged at 10:30 a.m.": "dr. ___ was paged at 10:30 a.m.",
    "1. Clear lungs. 2. Normal heart.": "1 clear lungs 2 normal heart",
    "Kein Erguß, Herz mäßig vergrößert.": "kein erguß herz mäßig vergrößert",
    "µm-scale change, 5 × 3 cm": "µm-scale change 5 × 3 cm",
    "Clear – no change…": "clear no change",
    "\u00a0Clear\u2009lungs\u200b.": "clear lungs",
    "🙂 clear": "clear",
}


@pytest.mark.parametrize(("text", "words"), PUBLISHED_COCO_WORDS.items())
def test_coco_words_are_those_of_the_published_splitter(text: str, words: str) -> None:
    assert coco_words(text) == words.split()


@pytest.mark.parametrize("text", [text for pair in PAIRS for text in pair])
def test_rouge_words_are_those_of_rouge_score(text: str) -> None:
    assert rouge_words(text) == DefaultTokenizer(use_stemmer=False).tokenize(text)


def test_spaced_words_keep_the_full_stop() -> None:
    """CXR-Report-Metric, `prep_reports`: lower case, `.` apart, split at spaces without empty words."""
    assert spaced_words("No  Effusion. Clear.") == ["no", "effusion", ".", "clear", "."]
    assert spaced_words("") == []


def test_ngrams_are_counted_with_their_repetitions() -> None:
    assert ngrams(["a", "b", "a", "b"], 2) == {("a",): 2, ("b",): 2, ("a", "b"): 2, ("b", "a"): 1}
    assert not ngrams([], 4)
