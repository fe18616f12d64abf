"""Which words of chest radiology speak of which label.

A term may speak of several labels, the most specific first: it means the first that a vocabulary holds, so
that weights which were taught few names still have their reports understood. Terms stand from the most
specific to the least; what one has matched no other matches again.
"""

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Term:
    """Words for one finding."""

    pattern: re.Pattern[str]
    """On lower-case text; group `core`, where there is one, is the word that the finding hangs on."""
    labels: tuple[str, ...]


_VERB = r"(?:is|are|was|were|appears?|remains?|seems?)"
_STEP = rf"(?:\s+(?!(?:and|with|but|or|{_VERB})\b)[\w-]+)"
_LIST = rf"(?:\s*,)?\s+(?!{_VERB}\b)[\w-]+"


def _term(pattern: str, *labels: str) -> Term:
    return Term(re.compile(rf"\b(?:{pattern})\b"), labels)


def _state(structure: str, state: str, *labels: str) -> tuple[Term, ...]:
    """A structure and its state, in either order, with a list of other structures and a verb between them."""
    core = rf"(?P<core>{state})"
    return (
        Term(
            re.compile(rf"\b(?:{structure})\b(?:{_LIST}){{0,9}}?,?\s+{_VERB}{_STEP}{{0,5}}?\s+{core}"), labels
        ),
        Term(re.compile(rf"\b(?:{structure})\b{_STEP}{{0,3}}?\s+{core}"), labels),
        Term(re.compile(rf"\b{core}{_STEP}{{0,4}}?\s+(?:{structure})\b"), labels),
    )


_HEART = r"heart|cardiac|cardiac silhouette|cardiac contours?|cardiomediastinal(?: silhouette| contours?)?"
_MEDIASTINUM = (
    r"mediastinum|mediastinal(?: contours?| silhouette)?|cardiomediastinal(?: silhouette| contours?)?"
)
_HILA = r"hilum|hila|hilar(?: contours?| structures)?"
_AORTA = r"aorta|aortic(?: arch| knob| contours?)?|thoracic aorta"
_ANGLE = r"costophrenic (?:angles?|sulc(?:us|i))|cp angles?"
_DIAPHRAGM = r"(?:hemi-?)?diaphragms?"
_VESSELS = r"(?:pulmonary )?(?:vasculature|vascularity|vessels|vascular markings)"

ABNORMAL: tuple[Term, ...] = (
    # devices
    _term(r"endotracheal tubes?|et tube|ett", "endotracheal tube"),
    _term(r"(?:enteric|nasogastric|orogastric|feeding|dobb?hoff|ng|og) tubes?", "enteric tube"),
    _term(r"chest tubes?|pigtail (?:catheter|drain)s?|pleural (?:drain|catheter)s?", "chest tube"),
    _term(
        r"piccs?(?: line)?|(?:central venous|internal jugular|subclavian|central) (?:catheter|line)s?|"
        r"port-a-cath|chest port|swan-ganz catheter",
        "central venous catheter",
    ),
    _term(
        r"pace-?makers?|pacers?|icds?|defibrillators?|pac(?:ing|er) (?:wire|lead)s?",
        "cardiac pacer and wires",
    ),
    # pleura
    _term(r"hydropneumothora(?:x|ces)", "hydropneumothorax", "pneumothorax"),
    _term(r"pneumothora(?:x|ces)", "pneumothorax"),
    _term(r"pericardial (?:effusions?|fluid)", "pericardial effusion"),
    *_state(_ANGLE, r"blunt(?:ed|ing)", "costophrenic angle blunting"),
    _term(
        r"(?:pleural |subpulmonic |parapneumonic )?effusions?|pleural fluid|hydrothorax|hemothorax",
        "pleural effusion",
    ),
    _term(
        r"(?:pleural|apical|biapical|pleuroparenchymal) (?:thickening|capping|plaques?)|"
        r"(?:[\w-]+ )?(?:scars?|scarring)",
        "pleural/parenchymal scarring",
    ),
    # lung
    _term(r"subcutaneous (?:emphysema|air|gas)", "subcutaneous air"),
    _term(
        r"(?:linear|plate-?like|discoid|sub-?segmental|band-?like|streaky|patchy)"
        r"(?: (?:and|or|[\w-]*bas\w+|left|right|lower|upper|mid|lobe))*? atelecta\w+",
        "linear/patchy atelectasis",
        "atelectasis",
    ),
    _term(
        r"(?:lobar|lobe|segmental) (?:collapse|atelectasis)|"
        r"collapse of (?:the )?(?:[\w-]+ ){0,3}(?:lobe|lung)",
        "lobar/segmental collapse",
        "atelectasis",
    ),
    _term(r"atelecta(?:sis|ses|tic(?: changes?)?)", "atelectasis"),
    _term(r"aspiration(?: pneumonia| pneumonitis)?", "aspiration"),
    _term(r"air-?space (?:opacit(?:y|ies)|disease)", "airspace opacity", "consolidation", "lung opacity"),
    _term(r"(?:air-?space )?consolidat(?:ions?|ive (?:opacit(?:y|ies)|changes?)|ive)", "consolidation"),
    _term(r"infiltrat(?:es?|ions?)", "infiltration", "lung opacity"),
    _term(r"(?:broncho)?pneumonias?|infectious process", "pneumonia"),
    _term(r"(?:soft[- ]tissue|subcutaneous|peripheral|chest wall) edema", "soft tissue edema"),
    _term(
        r"(?:(?:pulmonary|interstitial|alveolar|lung|cardiogenic) )*o?edema", "pulmonary edema/hazy opacity"
    ),
    _term(
        r"(?:hazy|ground[- ]glass)(?: [\w-]+)? (?:opacit(?:y|ies)|opacifications?)|haziness",
        "pulmonary edema/hazy opacity",
        "lung opacity",
    ),
    _term(
        r"cephali[sz]ation|(?:vascular|flow) redistribution", "vascular redistribution", "vascular congestion"
    ),
    _term(
        r"(?:pulmonary )?(?:vascular|venous)(?: vascular)? (?:congestion|engorgement|prominence)|"
        r"(?:congested|engorged|prominent) (?:pulmonary )?(?:vasculature|vessels)|congestion",
        "vascular congestion",
    ),
    *_state(_VESSELS, r"congested|engorged|indistinct", "vascular congestion"),
    _term(
        r"(?:fluid|volume) overload|(?:congestive )?(?:heart|cardiac) failure|chf|cardiac decompensation",
        "fluid overload/heart failure",
    ),
    _term(
        r"emphysema(?:tous(?: changes?)?)?|copd|chronic obstructive (?:pulmonary|lung|airways?) disease",
        "copd/emphysema",
    ),
    _term(
        rf"hyper-?(?:inflat|expan|aerat)\w+|hyperlucen\w+|"
        rf"flatten(?:ing of|ed) (?:the )?(?:[\w-]+ )?{_DIAPHRAGM}",
        "hyperaeration",
    ),
    _term(
        r"interstitial lung disease|ild|(?:pulmonary|interstitial|lung) fibrosis|honeycombing",
        "interstitial lung disease",
        "increased reticular markings/ild pattern",
    ),
    _term(
        r"(?:(?:increased|prominent|coarse|coarsened) )*(?:interstitial|reticul(?:ar|onodular))(?: lung)?"
        r"(?: (?:markings?|opacit(?:y|ies)|patterns?|prominence|abnormalit(?:y|ies)|thickening|changes?))",
        "increased reticular markings/ild pattern",
        "lung opacity",
    ),
    _term(r"bronchiectasis|bronchiectatic changes?", "bronchiectasis"),
    _term(r"bullae?|bullous (?:changes?|disease)|(?:lung|pulmonary|air) cysts?|blebs?", "cyst/bullae"),
    _term(r"granulomatous (?:disease|changes?|infection)", "granulomatous disease"),
    _term(
        r"(?:calcified (?:[\w-]+ )?)(?:granulomas?|nodules?)|granulomas?", "calcified nodule", "lung nodule"
    ),
    _term(r"(?:superior )?mediastinal mass(?:es)?", "superior mediastinal mass/enlargement"),
    _term(
        r"(?:(?:lung|pulmonary) )?nodul(?:es?|ar (?:opacit(?:y|ies)|densit(?:y|ies)))",
        "mass/nodule (not otherwise specified)",
        "lung nodule",
    ),
    _term(r"(?:(?:lung|pulmonary) )?mass(?:es)?", "mass/nodule (not otherwise specified)"),
    _term(
        r"(?:lung|pulmonary|parenchymal|cavitary) lesions?|lung (?:cancer|neoplasm|malignancy)|malignancy",
        "lung lesion",
    ),
    # heart and mediastinum
    _term(r"cardiomegaly", "enlarged cardiac silhouette"),
    *_state(_HEART, r"enlarged|enlargement", "enlarged cardiac silhouette"),
    _term(r"pneumomediastinum|mediastinal (?:air|gas)", "pneumomediastinum"),
    _term(r"mediastinal widening", "mediastinal widening"),
    *_state(_MEDIASTINUM, r"wide|widened|widening", "mediastinal widening"),
    _term(r"(?:mediastinal|tracheal) (?:shift|deviation|displacement)", "mediastinal displacement"),
    *_state(r"trachea|mediastinum", r"deviat(?:ed|ion)|shift(?:ed)?|displaced", "mediastinal displacement"),
    _term(r"(?:bi)?hilar (?:enlargement|prominence|fullness|(?:lymph)?adenopathy)", "enlarged hilum"),
    *_state(_HILA, r"enlarged|enlargement|prominen(?:t|ce)|full(?:ness)?", "enlarged hilum"),
    *_state(_AORTA, r"tortuous|tortuosity|unfolded|unfolding|ectatic|ectasia", "tortuous aorta"),
    *_state(_AORTA + r"|vascular|arterial", r"calcifi(?:ed|cations?)", "vascular calcification"),
    Term(
        re.compile(rf"\b(?:{_AORTA})\b[^,;]{{0,40}}\band (?P<core>calcified)\b"), ("vascular calcification",)
    ),
    _term(r"atherosclero(?:sis|tic(?: calcifications?| changes?| disease)?)", "vascular calcification"),
    # diaphragm and below
    _term(r"(?:hiatal|hiatus|diaphragmatic|paraesophageal) hernias?|hernias?", "hernia"),
    *_state(_DIAPHRAGM, r"elevat(?:ed|ion)|eventration", "elevated hemidiaphragm"),
    _term(
        rf"pneumoperitoneum|free (?:[\w-]+ )?(?:air|gas)|(?:air|gas) (?:under|below|beneath) (?:the )?"
        rf"(?:[\w-]+ )?{_DIAPHRAGM}|sub-?diaphragmatic (?:free )?(?:air|gas)",
        "sub-diaphragmatic air",
    ),
    # bones
    _term(
        r"rib(?:cage)? fractures?|fractured ribs?|fractures? of (?:the )?(?:[\w-]+ ){0,4}ribs?",
        "rib fracture",
    ),
    _term(
        r"clavic(?:le|ular) fractures?|fractures? of (?:the )?(?:[\w-]+ ){0,3}clavicles?", "clavicle fracture"
    ),
    _term(
        r"(?:vertebral|compression|spinal|wedge)(?: body| compression)? (?:fracture|deformit)\w*",
        "spinal fracture",
    ),
    _term(r"degenerative (?:changes?|disease)|spondylosis|osteophytes?", "spinal degenerative changes"),
    _term(r"(?:dextro-?|levo-?)?scoliosis", "scoliosis"),
    _term(r"(?:bone|bony|osseous|lytic|sclerotic|blastic) lesions?", "bone lesion"),
    # the least specific
    _term(r"opacit(?:y|ies)|opacifications?|densit(?:y|ies)", "lung opacity"),
)
"""Words for what may be there or be denied."""

_LUNG_LABELS = (
    *("lung nodule", "consolidation", "lung opacity", "airspace opacity", "infiltration", "pneumonia"),
    *("pulmonary edema/hazy opacity", "lung lesion", "mass/nodule (not otherwise specified)", "aspiration"),
    *("atelectasis", "linear/patchy atelectasis", "lobar/segmental collapse"),
)
_NORMAL = r"normal|unremarkable|within normal limits"
_INTACT = rf"intact|{_NORMAL}"

NORMAL: tuple[Term, ...] = (
    *_state(r"lungs?|lung fields?|lung parenchyma", r"clear(?! of\b)", *_LUNG_LABELS),
    *_state(_HEART, _NORMAL, "enlarged cardiac silhouette"),
    *_state(_MEDIASTINUM, _NORMAL, "mediastinal widening"),
    *_state(_HILA, _NORMAL, "enlarged hilum"),
    *_state(_AORTA, _NORMAL, "tortuous aorta"),
    *_state(_VESSELS, _NORMAL, "vascular congestion", "vascular redistribution"),
    *_state(_ANGLE, rf"sharp|clear|{_NORMAL}", "pleural effusion", "costophrenic angle blunting"),
    *_state(r"pleural spaces?", rf"clear|{_NORMAL}", "pleural effusion", "pneumothorax"),
    *_state(r"trachea", r"midline", "mediastinal displacement"),
    *_state(
        r"(?:osseous|bony) (?:structures|thorax)|bones|ribs|skeleton",
        _INTACT,
        *("rib fracture", "clavicle fracture", "spinal fracture"),
    ),
    _term(
        r"(?:no|without)(?: (?:acute|definite|displaced|evidence of|obvious|bony|osseous|an?))* fractures?",
        *("rib fracture", "clavicle fracture", "spinal fracture"),
    ),
)
"""Words for a healthy structure; they deny each of their labels that a vocabulary holds."""

MEDIAN_LABELS = frozenset(
    {
        *("enlarged cardiac silhouette", "fluid overload/heart failure", "pericardial effusion"),
        *("mediastinal widening", "mediastinal displacement", "pneumomediastinum"),
        *("superior mediastinal mass/enlargement", "tortuous aorta", "vascular calcification", "hernia"),
        *("sub-diaphragmatic air", "spinal fracture", "spinal degenerative changes", "scoliosis"),
        *("endotracheal tube", "enteric tube", "copd/emphysema", "hyperaeration"),
    }
)
"""Findings without a side, whatever sides their sentence names."""

THORACIC_LABELS = frozenset(
    {
        *_LUNG_LABELS,
        *("pleural effusion", "pneumothorax", "hydropneumothorax", "vascular congestion", "calcified nodule"),
        *("increased reticular markings/ild pattern", "interstitial lung disease", "granulomatous disease"),
        *("enlarged hilum", "enlarged cardiac silhouette", "mediastinal widening", "cyst/bullae"),
    }
)
"""Findings that lie in or between the lungs."""

ZONED_LABELS = frozenset({*_LUNG_LABELS, "calcified nodule", "granulomatous disease", "bronchiectasis"})
"""Findings that a zone of the lung can hold."""


@dataclass(frozen=True, slots=True)
class Mention:
    """One place of a text where a term speaks."""

    labels: tuple[str, ...]
    """Those of the vocabulary that are meant; empty where the vocabulary does not hold the finding."""
    start: int
    end: int
    core: int
    """Where the word starts that the finding hangs on."""
    normal: bool = False
    """Whether the words deny the finding by themselves."""


def mentions_in(text: str, known: frozenset[str]) -> list[Mention]:
    """Every mention of a finding in lower-case text, in its order."""
    found: list[Mention] = []
    for term in ABNORMAL:
        for match in term.pattern.finditer(text):
            core, end = _core(match)
            if not any(core < m.end and m.core < end for m in found):
                label = next((label for label in term.labels if label in known), None)
                found.append(Mention((label,) if label else (), match.start(), end, core))
    for term in NORMAL:
        labels = tuple(label for label in term.labels if label in known)
        matches = term.pattern.finditer(text) if labels else ()
        found += [Mention(labels, m.start(), m.end(), _core(m)[0], normal=True) for m in matches]
    return sorted(found, key=lambda mention: mention.core)


def _core(match: re.Match[str]) -> tuple[int, int]:
    if "core" in match.re.groupindex:
        return match.span("core")
    return match.span()


@cache
def every_label() -> frozenset[str]:
    """All labels that a term can speak of."""
    return frozenset(label for term in (*ABNORMAL, *NORMAL) for label in term.labels)
