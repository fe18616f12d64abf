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
    "A pneumothorax cannot be excluded.": "a pneumothorax can not be excluded",
    "It can't, it’s, it isn’t": "it ca n't it 's it is n't",
    "effusion,atelectasis": "effusion atelectasis",
    "findings:clear": "findings clear",
    "T1,T2": "t1 t2",
    "clear.No effusion": "clear.no effusion",
    "AP / PA, AP/PA": "ap / pa ap/pa",
    "seen on CT.": "seen on ct.",
    "seen PA. The": "seen pa. the",
    "Rt. lung, lt. lung": "rt. lung lt. lung",
    "Boecking et al. Mr. X vs. edema, e.g. this": "boecking et al. mr. x vs. edema e.g. this",
    "No. 4, no. The": "no. 4 no the",
    "the L. lung": "the l. lung",
    "vitamin D. The": "vitamin d the",
    "zone A.": "zone a.",
    "a 3.2mm nodule at 10:30am": "a 3.2 mm nodule at 10:30 am",
    "2.3x1.1cm": "2.3 x1 .1 cm",
    "4.5-cm, 8mm, 1-2cm": "4.5-cm 8mm 1-2cm",
    "-1, +/- 3, ~3mm, 5°, ≥3, ±3": "-1 + / 3 ~ 3mm 5 ° ≥ 3 ± 3",
    "grade 1-2/6, 12/3/2020, 10,000": "grade 1-2/6 12/3/2020 10,000",
    "h/o, s/p, w/ and w/o": "h/o s/p w / and w/o",
    "left > right, <5mm": "left > right < 5mm",
    "effusion(s) ½": "effusion -lrb- s -rrb- 1/2",
    "“quoted” • →": "quoted • →",
    "胸水なし。": "胸水なし 。",
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
