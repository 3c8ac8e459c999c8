"""A tokenizer as a GGUF file declares it: its tokens, its merges or scores, and the name of how it cuts text.

Used by `export.py`. Of byte-level BPE the file holds no rule by which text is cut before pairs are merged, only the
name of one that llama.cpp knows (`pre_of`). Of BPE that falls back to bytes, as SentencePiece makes it, it holds scores
instead of merges. A tokenizer that would hand the model other tokens than it was trained on is refused, with the
reason, unless a rule is named in spite of that.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS as SPLITS

from xlam_lib.errors import CheckpointError
from xlam_lib.models.checkpoint import wrapper

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreTokenizer:
    """Expressions that cut text one after the other; `whole_words`: pieces that are tokens aren't merged anew."""

    rules: tuple[str, ...]
    whole_words: bool = False


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
HAN = "[一-龥ࠀ-一가-퟿]+"
DEEPSEEK_LETTERS = (
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7d"
    "ᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇ"
    "Ꞌ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
)
DEEPSEEK_MARKS = "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"
PRE_TOKENIZERS = {  # by llama.cpp's name; src/llama-vocab.cpp has them all
    "gpt-2": PreTokenizer((GPT2,)),
    "smollm": PreTokenizer((r"\p{N}", GPT2)),  # StarCoder's, too
    "llama-bpe": PreTokenizer((SPLITS["llama-bpe"],), whole_words=True),
    "smaug-bpe": PreTokenizer((SPLITS["smaug-bpe"],)),
    "qwen2": PreTokenizer((SPLITS["qwen2"],)),
    "tekken": PreTokenizer((SPLITS["tekken"],), whole_words=True),
    "gpt-4o": PreTokenizer((SPLITS["gpt-4o"],)),
    "deepseek-coder": PreTokenizer(("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", HAN, r"\p{N}")),
    # digits stay together there; of merges that were learnt from single ones, none joins them
    "deepseek-llm": PreTokenizer(("[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_MARKS, r"\s+$", HAN, r"\p{N}")),
}
SPACE = "▁"  # how SentencePiece writes a space
BYTES = {f"<0x{byte:02X}>" for byte in range(256)}
PREFIXED = [{"type": "Prepend", "prepend": SPACE}, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]


def add_tokenizer(writer: Any, tokenizer: PreTrainedTokenizerBase, size: int, pre: str = "") -> None:
    """Write `size` tokens, as many as the model has rows, and how text becomes them."""
    from gguf import TokenType

    state, added = json.loads(tokenizer.backend_tokenizer.to_str()), tokenizer.added_tokens_decoder
    texts = {number: token for token, number in tokenizer.get_vocab().items()}
    for token in added.values():
        if token.lstrip or token.rstrip or token.single_word:
            raise CheckpointError(f"the token {token.content!r} takes in what is beside it, which GGUF can't say")
    kinds = []
    for number in range(size):
        token = added.get(number)
        kind = TokenType.NORMAL if number in texts else TokenType.UNUSED
        kinds.append(kind if token is None else TokenType.CONTROL if token.special else TokenType.USER_DEFINED)
    tokens = [texts.get(number, f"[PAD{number}]") for number in range(size)]
    if state["model"].get("byte_fallback"):
        prefix, scores = space_prefix(tokenizer), scores_of(state["model"], {one.content for one in added.values()})
        kinds = [TokenType.BYTE if text in BYTES else kind for text, kind in zip(tokens, kinds, strict=True)]
        defined = [kind == TokenType.USER_DEFINED for kind in kinds]  # matched before spaces are rewritten
        tokens = [text.replace(SPACE, " ") if own else text for text, own in zip(tokens, defined, strict=True)]
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores([float(scores.get(text, -len(state["model"]["merges"]) - 1)) for text in tokens])
        writer.add_add_space_prefix(prefix)
        if tokenizer.unk_token_id is not None:
            kinds[tokenizer.unk_token_id] = TokenType.UNKNOWN
    else:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(pre or pre_of(tokenizer))
        writer.add_token_merges([" ".join(merge) for merge in _merges(state["model"])])
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    if tokenizer.unk_token_id is not None:
        writer.add_unk_token_id(tokenizer.unk_token_id)
    if tokenizer.pad_token_id is not None:
        writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_add_bos_token(False)  # our prompts begin with the user's mark
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def pre_of(tokenizer: PreTrainedTokenizerBase) -> str:
    """The name under which llama.cpp knows how a byte-level tokenizer cuts text: "gpt-2", "llama-bpe", "qwen2", ..."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    model, rules = state["model"], _rules(state["pre_tokenizer"])
    if model["type"] != "BPE" or rules is None:
        raise CheckpointError(
            f"a tokenizer of {model['type']} that isn't byte-level can't be exported; expected BPE, byte-level or with "
            "byte_fallback"
        )
    _check_normalizer(state["normalizer"])
    whole = bool(model.get("ignore_merges"))
    known = [
        name
        for name, known_rule in PRE_TOKENIZERS.items()
        if (_plain(known_rule.rules), known_rule.whole_words) == (_plain(rules), whole)
    ]
    if not known:
        raise CheckpointError(
            f"the tokenizer cuts text by {list(rules)}{' and keeps whole words' if whole else ''}, which llama.cpp "
            "does not know: it would hand the model other tokens than it was trained on. Name a rule of llama.cpp with "
            "--pre to export all the same, such as gpt-2"
        )
    return known[0]


def _rules(step: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """The expressions that cut text before byte-level BPE, None if it is no such tokenizer."""
    steps = (step or {}).get("pretokenizers", [step or {}])
    *before, last = steps
    if last.get("type") != "ByteLevel":
        return None
    found = []
    for one in before:
        if one["type"] == "Digits":
            found.append(r"\p{N}" if one["individual_digits"] else r"\p{N}+")
        elif one["type"] == "Split" and one["behavior"] == "Isolated" and not one["invert"]:
            found += one["pattern"].values()
        else:
            found.append(json.dumps(one, ensure_ascii=False))  # none that llama.cpp knows
    if last["add_prefix_space"]:
        found.append("a space before the text")
    return (*found, GPT2) if last["use_regex"] else tuple(found)


def _plain(rules: Iterable[str]) -> list[str]:
    """The same whether a line break is written as such or as its escape."""
    return [rule.replace("\r", r"\r").replace("\n", r"\n") for rule in rules]


def _check_normalizer(step: Mapping[str, Any] | None) -> None:
    steps = [] if step is None else step.get("normalizers", [step])
    kinds = {one["type"] for one in steps}
    if kinds - {"NFC"}:
        raise CheckpointError(f"the tokenizer rewrites text ({', '.join(sorted(kinds))}), which llama.cpp would not")
    if kinds:
        logger.warning("llama.cpp won't bring text into Unicode's form C first, as the tokenizer does: do so yourself")


def space_prefix(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether a space is put before text and after special tokens; a CheckpointError where that depends on more.

    Metaspace that prepends "always" leaves out the space where there is one already, llama.cpp adds it all the same: a
    difference in stretches that begin with a space, which none of our prompts has.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    step, normalizer = state["pre_tokenizer"], state["normalizer"]
    if step is None and (normalizer or {}).get("normalizers") == PREFIXED:
        return True
    if (step or {}).get("type") != "Metaspace" or normalizer or step["replacement"] != SPACE or step["split"]:
        raise CheckpointError(
            f"a tokenizer with byte_fallback that cuts text by {step} and rewrites it by {normalizer} can't be "
            "exported; expected spaces as ▁, and nothing cut"
        )
    if step["prepend_scheme"] != "first":
        return step["prepend_scheme"] == "always"
    before = wrapper(tokenizer)[0]
    if not before.startswith(tuple(tokenizer.all_special_tokens)):
        raise CheckpointError(
            f"the tokenizer puts a space before text but not after special tokens, which llama.cpp can't; a prompt "
            f"begins with {before!r}, expected a special token"
        )
    return False  # no prompt begins with text


def scores_of(model: Mapping[str, Any], special: set[str]) -> dict[str, int]:
    """A score of each merged token, by which llama.cpp merges any neighbours as these merges do: {"he": 0, "the": -1}.

    It tries every pair that makes a token, the highest score first, and of equal scores the leftmost. So all pairs that
    make one must be merges, one after the other, as in merges that were made of a SentencePiece model; others are
    refused. Tokens whose merges mix get one score, if they are runs of one letter (spaces, mostly) and come out alike.
    """
    vocab, merges = model["vocab"], _merges(model)
    missing = BYTES - set(vocab)
    if missing:
        raise CheckpointError(f"byte_fallback without {len(missing)} of 256 bytes as tokens can't be exported")
    spans: dict[str, tuple[int, int]] = {}
    for rank, pair in enumerate(merges):
        made = "".join(pair)
        spans[made] = spans.get(made, (rank, rank))[0], rank
    groups: list[list[str]] = []
    end = -1
    for made, (first, last) in spans.items():  # by their first merge
        groups += [[]] if first > end else []
        groups[-1].append(made)
        end = max(end, last)
    found = {made: -spans[group[0]][0] for group in groups for made in group}
    for group in groups:
        if len(group) > 1 and not _alike(group, found, merges):
            raise CheckpointError(f"the merges that make {group[0]!r} and {group[1]!r} mix, which scores can't say")
    known = set(merges)
    for token in vocab.keys() - BYTES - special:
        pairs = ((token[:at], token[at:]) for at in range(1, len(token)))
        for pair in pairs:
            if pair not in known and vocab.keys() >= set(pair):
                raise CheckpointError(
                    f"{pair[0]!r} and {pair[1]!r} make the token {token!r}, but aren't merged; llama.cpp would merge "
                    "them, so this tokenizer can't be exported. Merges made of a SentencePiece model have all pairs"
                )
    return found


def _alike(tokens: Sequence[str], scores: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> bool:
    """Whether runs of the one letter of these tokens come out the same by scores as by merges."""
    letters = set("".join(tokens))
    if len(letters) > 1:
        return False
    letter = letters.pop()
    ranks = {pair: rank for rank, pair in enumerate(merges) if set("".join(pair)) == {letter}}
    by_score = {pair: -scores["".join(pair)] for pair in ranks}
    longest = 2 * max(map(len, tokens)) + 2
    return all(_merged(letter * n, ranks) == _merged(letter * n, by_score) for n in range(1, longest))


def _merged(text: str, order: Mapping[tuple[str, str], int]) -> list[str]:
    """The parts after all merges, those of the lowest number first, and of equal ones the leftmost."""
    parts = list(text)
    while known := [(order[pair], at) for at, pair in enumerate(pairwise(parts)) if pair in order]:
        at = min(known)[1]
        parts[at : at + 2] = ["".join(parts[at : at + 2])]
    return parts


def _merges(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [tuple(merge.split(" ", 1)) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]]
