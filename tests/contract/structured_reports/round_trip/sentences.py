"""What a generated reading says in words, in each language of a report."""

from collections.abc import Mapping
from dataclasses import dataclass

from model.reading import Laterality

Side = Laterality | None


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences of one language; `{side}` is one of `sides`."""

    sides: Mapping[Side, str]
    finding: str
    impression: str
    evidence: str
    change: str
    question: str
    answer: str
    caption: str
    caveat: str


_LEFT, _RIGHT, _BOTH = Laterality.LEFT, Laterality.RIGHT, Laterality.BILATERAL

SENTENCES: dict[str, Sentences] = {
    "en-US": Sentences(
        sides={None: "midline", _LEFT: "left", _RIGHT: "right", _BOTH: "bilateral"},
        finding="There is a {side} opacity, 3 × 4 mm.",
        impression="Likely {side} infection – clinical correlation.",
        evidence="seen on the {side} side",
        change="The {side} opacity: compared with the prior, clearly different.",
        question="Is there anything {side}?",
        answer="Yes, {side}.",
        caption="A {side} density with soft edges.",
        caveat="Only one view was read.",
    ),
    "de": Sentences(
        sides={None: "mittig", _LEFT: "links", _RIGHT: "rechts", _BOTH: "beidseits"},
        finding="Verschattung {side}, Größe 3 × 4 mm, unscharf begrenzt.",
        impression="Am ehesten Entzündung {side}; Prüfung nötig.",
        evidence="fällt {side} auf",
        change="Verschattung {side}: gegenüber der Voraufnahme verändert.",
        question="Gibt es {side} etwas Auffälliges?",
        answer="Ja, {side} – mäßig.",
        caption="Weichteildichte {side}, Ränder unscharf.",
        caveat="Es wurde nur eine Aufnahme befundet.",
    ),
    "ru": Sentences(
        sides={None: "по центру", _LEFT: "слева", _RIGHT: "справа", _BOTH: "с обеих сторон"},
        finding="Затемнение {side}, размер 3 × 4 мм, контуры нечёткие.",
        impression="Вероятно, воспаление {side}; нужна сверка с клиникой.",
        evidence="видно {side}",
        change="Затемнение {side}: по сравнению с прошлым снимком изменилось.",
        question="Есть ли что-нибудь {side}?",
        answer="Да, {side}, «умеренно».",
        caption="Мягкотканная плотность {side}.",
        caveat="Прочитан только один снимок.",
    ),
    "ja": Sentences(
        sides={None: "正中", _LEFT: "左側", _RIGHT: "右側", _BOTH: "両側"},
        finding="{side}に３×４ｍｍの陰影を認める。",
        impression="{side}の炎症を疑う。臨床所見と照合が必要。",
        evidence="{side}に見られる",
        change="{side}の陰影は前回と比べて変化している。",
        question="{side}に何かありますか？",
        answer="はい、{side}です。",
        caption="{side}の軟部組織陰影、辺縁は不明瞭。",
        caveat="一方向の画像のみ読影した。",
    ),
}
