"""The tokenizer of a released checkpoint: Llama's sentencepiece vocabulary and MedVersa's five added tokens.

It behaves as the slow tokenizer that the model was published with: each stretch of text between added tokens
begins with a space of its own, and space on either side of an added token is dropped. The `legacy` of later
library versions is close to it, but keeps a space before an added token.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from model.errors import WeightsError
from model.families.medversa_networks.tokenizer import ADDED_TOKENS, BEGIN, END, MedVersaTokenizer

MODEL_FILE = "tokenizer.model"
JSON_FILE = "tokenizer.json"
UNKNOWN = "<unk>"
SPACE = "▁"
_PROBES = (
    "###Human:<img0></img0><img1></img1>",
    "Is there any pleural effusion in <img0>? Answer yes or no.###Assistant:",
    "<context>Age:80-90.\nGender:F.\nIndication: ___-year-old.</context>",
    " two  spaces, naïve 胸部 ☂ 12.5 mm",
)
"""Texts that the converted tokenizer must split as sentencepiece does."""


def released_tokenizer(path: Path, vocabulary: int) -> MedVersaTokenizer:
    """Read `tokenizer.model` or `tokenizer.json`, or the one of both that lies in a folder.

    Args:
        path: file or folder.
        vocabulary: rows of the embedding; the five added tokens take the last five.

    Raises:
        WeightsError: there is no tokenizer, it is not readable, is no Llama's, or the ids of the five tokens
        are not the last five.
    """
    if path.is_dir():
        found = [path / name for name in (JSON_FILE, MODEL_FILE) if (path / name).is_file()]
        if not found:
            raise WeightsError(f"neither {MODEL_FILE} nor {JSON_FILE} in {path.name}")
        path = found[0]
    try:
        tokenizer = _from_json(path, vocabulary) if path.suffix == ".json" else _from_sentencepiece(path)
        return with_added_tokens(tokenizer, vocabulary)
    except OSError as exc:
        raise WeightsError(f"{path.name} is not readable") from exc


def with_added_tokens(tokenizer: Tokenizer, vocabulary: int) -> MedVersaTokenizer:
    """Add what is missing of the five tokens and check all five ids.

    Raises:
        WeightsError: another token has one of the last five ids, or the vocabulary has another length.
    """
    first = vocabulary - len(ADDED_TOKENS)
    wanted = dict(enumerate(ADDED_TOKENS, start=first))
    for number, token in sorted((n, t) for t, n in tokenizer.get_vocab().items() if n >= first):
        if wanted.get(number) != token:
            place = f", where {wanted[number]} belongs" if number in wanted else ""
            raise WeightsError(f"the tokenizer has {token!r} at id {number}{place}")
    if (pieces := tokenizer.get_vocab_size()) not in (first, vocabulary):
        raise WeightsError(
            f"the tokenizer has {pieces} pieces, the language model {first} without added tokens"
        )
    # The published tokenizer strips both sides of tokens that it was given as plain words.
    added = [AddedToken(t, lstrip=True, rstrip=True, normalized=False) for t in ADDED_TOKENS]
    tokenizer.add_tokens(added)
    try:
        return MedVersaTokenizer.from_tokenizer(tokenizer)
    except ValueError as exc:
        raise WeightsError(str(exc)) from exc


def llama_tokenizer(vocabulary: Mapping[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Build the published behaviour on a vocabulary and its merges, most eager first."""
    tokenizer = Tokenizer(
        models.BPE(dict(vocabulary), merges, unk_token=UNKNOWN, fuse_unk=True, byte_fallback=True)
    )
    # Applied to each stretch between added tokens on its own.
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    special = [t for t in (UNKNOWN, BEGIN, END) if t in vocabulary]
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    return tokenizer


def _from_sentencepiece(path: Path) -> Tokenizer:
    # The only place that needs sentencepiece: a converted folder is opened without it.
    try:
        from sentencepiece import SentencePieceProcessor
    except ImportError as exc:
        raise WeightsError(f"{path.name} needs the package sentencepiece; a {JSON_FILE} does not") from exc
    pieces = SentencePieceProcessor()
    try:
        pieces.Load(str(path))
    except RuntimeError as exc:
        raise WeightsError(f"{path.name} is no sentencepiece model") from exc
    vocabulary = {pieces.IdToPiece(n): n for n in range(pieces.GetPieceSize())}
    plain = {
        piece: pieces.GetScore(n)
        for piece, n in vocabulary.items()
        if not (pieces.IsControl(n) or pieces.IsUnknown(n) or pieces.IsByte(n) or pieces.IsUnused(n))
    }
    tokenizer = llama_tokenizer(vocabulary, merges_of(plain, vocabulary))
    for text in _PROBES:
        if tokenizer.encode(text).ids != pieces.EncodeAsIds(text):
            raise WeightsError(f"{path.name} splits text in other ways than a Llama's byte-pair vocabulary")
    return tokenizer


def merges_of(scores: Mapping[str, float], vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """Every way to join two pieces to a third, the joined piece with the best score first."""
    found = [
        (score, whole, whole[:cut], whole[cut:])
        for whole, score in scores.items()
        for cut in range(1, len(whole))
        if whole[:cut] in scores and whole[cut:] in scores
    ]
    found.sort(key=lambda m: (-m[0], vocabulary[m[1]], vocabulary[m[2]]))
    return [(left, right) for _, _, left, right in found]


def _from_json(path: Path, vocabulary: int) -> Tokenizer:
    """Keep vocabulary and merges, and give them the published behaviour, whatever the file's own is."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        model, added = said["model"], said["added_tokens"]
        pieces = dict(model["vocab"]) if model["type"] == "BPE" and model.get("byte_fallback") else None
        merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in model.get("merges", [])]
        others = [(token["id"], token["content"]) for token in added]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise WeightsError(f"{path.name} is not a tokenizer") from exc
    if pieces is None:
        raise WeightsError(f"{path.name} is not a Llama's byte-pair vocabulary with bytes to fall back on")
    tokenizer = llama_tokenizer(pieces, merges)
    for number, content in sorted(others):
        # Tokens beyond the pieces keep their place, so that a wrong one is found there.
        if content not in pieces and content not in ADDED_TOKENS:
            tokenizer.add_tokens([AddedToken(content, normalized=False)])
            if tokenizer.token_to_id(content) != number:
                raise WeightsError(f"{path.name} has {content!r} at id {number} after a gap")
        elif content in ADDED_TOKENS and not vocabulary - len(ADDED_TOKENS) <= number < vocabulary:
            raise WeightsError(f"{path.name} has {content} at id {number}")
    return tokenizer
