"""The tokenizer of a release splits text as the published one did."""

import json
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer

from model.errors import WeightsError
from model.families.medversa_networks.llama_tokenizer import (
    SPACE,
    llama_tokenizer,
    merges_of,
    released_tokenizer,
    with_added_tokens,
)
from model.families.medversa_networks.tokenizer import ADDED_TOKENS, MedVersaTokenizer
from tests.public_fixture import FOLDER, MISSING
from tests.released_layout import PIECES, VOCABULARY, write_sentencepiece

TEXTS = [
    "Is there any nodule in <img0>? Answer yes or no.###Assistant:",
    "  two  spaces and a line\nbreak ",
    "naïve 胸部 ☂ 12.5 mm",
    "",
]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sentencepiece(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def pieces(model_file: Path) -> SentencePieceProcessor:
    return SentencePieceProcessor(model_file=str(model_file))


@pytest.fixture(scope="module")
def words(model_file: Path) -> MedVersaTokenizer:
    return released_tokenizer(model_file, VOCABULARY)


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_split_as_sentencepiece_does(
    words: MedVersaTokenizer, pieces: SentencePieceProcessor, text: str
) -> None:
    assert words.encode(text) == pieces.EncodeAsIds(text)


@pytest.mark.parametrize(
    "text", ["Yes.", "naïve 胸部 ☂ 12.5 mm", "left lung,<DET>.heart,<N/A>.", "it is <2DSEG>."]
)
def test_answers_are_decoded_to_the_letter(words: MedVersaTokenizer, text: str) -> None:
    assert words.decode(words.encode(text)) == text


def test_each_stretch_between_added_tokens_begins_anew(
    words: MedVersaTokenizer, pieces: SentencePieceProcessor
) -> None:
    """The published one drops space on both sides of an added token; each stretch begins with its own."""
    expected = [*pieces.EncodeAsIds("mask is"), PIECES + 2, *pieces.EncodeAsIds("."), PIECES + 1, PIECES + 1]
    for text in ("mask is<2DSEG>.<DET><DET>", "mask is <2DSEG> .<DET> <DET>"):
        assert words.encode(text) == [*expected]


def test_added_tokens_follow_the_pieces(words: MedVersaTokenizer) -> None:
    assert [words.encode(token) for token in ADDED_TOKENS] == [[PIECES + n] for n in range(5)]
    assert words.image == PIECES
    assert words.begin == 1


def test_stop_sequences_are_the_end_mark_in_both_places_and_the_end_of_text(
    words: MedVersaTokenizer, pieces: SentencePieceProcessor
) -> None:
    in_sentence, alone, end = words.stop_sequences
    assert "".join(pieces.IdToPiece(i) for i in in_sentence) == "###"
    assert "".join(pieces.IdToPiece(i) for i in alone) == f"{SPACE}###"
    assert end == (2,)
    assert words.encode("No nodule.###")[-len(in_sentence) :] == list(in_sentence)
    assert all(isinstance(i, int) for stop in words.stop_sequences for i in stop)


def test_first_word_of_an_answer_is_a_word_not_a_space(words: MedVersaTokenizer) -> None:
    for word in ("Yes", "No"):
        (first,) = words.first_ids([word])
        piece = words.tokenizer.id_to_token(first)
        assert piece is not None
        assert piece.strip(SPACE)
        assert word.startswith(piece.strip(SPACE))


def test_written_file_is_opened_alike_by_everyone(words: MedVersaTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    words.tokenizer.save(str(path))
    for other in (
        MedVersaTokenizer.from_file(path),
        released_tokenizer(path, VOCABULARY),
        MedVersaTokenizer.from_tokenizer(Tokenizer.from_file(str(path))),
    ):
        assert other.stop_sequences == words.stop_sequences
        for text in TEXTS:
            assert other.encode(text) == words.encode(text)


def test_newer_behaviour_of_a_tokenizer_file_is_not_taken_over(
    words: MedVersaTokenizer, tmp_path: Path
) -> None:
    """Files that libraries write today begin only the first stretch with a space."""
    words.tokenizer.save(str(tmp_path / "tokenizer.json"))
    said = json.loads((tmp_path / "tokenizer.json").read_text())
    said["normalizer"] = None
    said["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": SPACE,
        "prepend_scheme": "first",
        "split": False,
    }
    said["added_tokens"] = [t for t in said["added_tokens"] if t["content"] not in ADDED_TOKENS]
    (tmp_path / "tokenizer.json").write_text(json.dumps(said))
    text = "mask is <2DSEG>.heart"
    assert released_tokenizer(tmp_path, VOCABULARY).encode(text) == words.encode(text)


def test_padding_token_in_the_place_of_an_added_one_is_named(
    words: MedVersaTokenizer, tmp_path: Path
) -> None:
    said = json.loads(words.tokenizer.to_str())
    said["added_tokens"] = [t for t in said["added_tokens"] if t["content"] not in ADDED_TOKENS]
    said["added_tokens"].append({**said["added_tokens"][0], "id": PIECES, "content": "<pad>"})
    (tmp_path / "tokenizer.json").write_text(json.dumps(said))
    with pytest.raises(WeightsError, match=f"'<pad>' at id {PIECES}, where <ImageHere> belongs"):
        released_tokenizer(tmp_path, VOCABULARY)


def test_vocabulary_of_another_length_is_refused(model_file: Path) -> None:
    with pytest.raises(WeightsError, match=f"{PIECES} pieces"):
        released_tokenizer(model_file, VOCABULARY + 1)


@pytest.mark.parametrize(("name", "content"), [("tokenizer.model", b"no model"), ("tokenizer.json", b"{}")])
def test_garbage_is_refused_by_name(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        released_tokenizer(tmp_path, VOCABULARY)


def test_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"tokenizer\.model"):
        released_tokenizer(tmp_path, VOCABULARY)


def test_another_kind_of_sentencepiece_is_refused(tmp_path: Path) -> None:
    from sentencepiece import SentencePieceTrainer

    SentencePieceTrainer.Train(
        sentence_iterator=iter(["some words that are short, and more words?"] * 20),
        model_prefix=str(tmp_path / "tokenizer"),
        vocab_size=40,
        model_type="unigram",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with pytest.raises(WeightsError, match="other ways"):
        released_tokenizer(tmp_path / "tokenizer.model", 45)


# Against the published ids, as far as their pieces go


@pytest.fixture(scope="module")
def stub() -> dict[str, object]:
    if not (FOLDER / "fixture.json").is_file():
        pytest.skip(MISSING)
    return json.loads((FOLDER / "fixture.json").read_text(encoding="utf-8"))["tokenizer_stub"]


def test_stretches_of_text_are_the_published_ones(stub: dict[str, object]) -> None:
    """With one character per piece, joined pieces tell where space is put and dropped, whatever is merged."""
    characters = sorted({c for case in stub["encode"] for c in case["text"]} | {SPACE})
    vocabulary = {t: n for n, t in enumerate(["<unk>", "<s>", "</s>", *characters, *_bytes()])}
    words = with_added_tokens(llama_tokenizer(vocabulary, []), len(vocabulary) + 5)
    published = {int(n): piece for n, piece in stub["pieces"].items()} | {
        n: token for token, n in stub["special"].items()
    }
    assert len(stub["encode"]) == 25
    for case in stub["encode"]:
        expected = "".join(published[i] for i in case["ids"] if i != stub["bos"]).replace("<0x0A>", "\n")
        found = [words.tokenizer.id_to_token(i) for i in words.encode(case["text"])]
        assert "".join(found) == expected, case["text"]


def test_end_mark_has_the_published_ids(stub: dict[str, object]) -> None:
    """The published scores fall with the id, so the pieces at hand tell in which order they were merged."""
    published = {piece: int(n) for n, piece in stub["pieces"].items()}
    scores = {
        piece: -float(published.get(piece, 400))
        for piece in (*published, "#", SPACE, ".", f"{SPACE}#", f"{SPACE}##")
        if len(piece) == 1 or not (piece.startswith("<") and piece.endswith(">"))
    }
    ids = {piece: n for n, piece in enumerate(["<unk>", "<s>", "</s>", *scores, *_bytes()])}
    words = with_added_tokens(llama_tokenizer(ids, merges_of(scores, ids)), len(ids) + 5)
    said = [
        tuple(published[words.tokenizer.id_to_token(i)] for i in stop) for stop in words.stop_sequences[:2]
    ]
    assert said == [(2277, 29937), (835,)]


def _bytes() -> list[str]:
    return [f"<0x{n:02X}>" for n in range(256)]
