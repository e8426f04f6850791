"""The same item in other words and other company: contexts, paraphrases, and the check on them.

After CultureLLM (Li et al. 2024): few items, each said in many ways that keep its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from suffrage import storage
from suffrage.arrays import BoolArray, FloatArray
from suffrage.errors import InputError
from suffrage.survey import Item
from suffrage.text_overlap import only_words

# What may surround a question without changing it. The first leaves it as it is.
CONTEXTS = (
    "{}",
    "Here is a question from a questionnaire. {}",
    "In an interview somebody is asked: {}",
    "Among friends the talk turns to this: {}",
    "A newspaper asks its readers: {}",
    "Please think about this for a moment. {}",
)
_NEGATIONS = re.compile(r"\b(?:not|no|never|none|nobody|nothing|without|cannot|\w+n['’]t)\b", re.I)


def in_context(item: Item, wording: str, context: int) -> Item:
    """The item with its question in this wording and one of the `CONTEXTS`."""
    return item.model_copy(update={"question": CONTEXTS[context].format(wording)})


def read_paraphrases(path: Path, items: Sequence[Item]) -> dict[str, list[str]]:
    """Read a JSON file of paraphrases, as `suffrage paraphrase` writes it.

    Parameters
    ----------
    path : Path
    items : sequence of Item
        The survey's.

    Returns
    -------
    dict
        From ids of items to their wordings.

    Raises
    ------
    InputError
        The file is missing, has another form, or names an item that the survey does not have.
    """
    if not path.is_file():
        raise InputError(f"paraphrases: {path} does not exist; `suffrage paraphrase` writes one.")
    content = storage.read_json(path)
    kept = content.get("paraphrases") if isinstance(content, dict) else None
    if not isinstance(kept, dict) or not all(isinstance(v, list) for v in kept.values()):
        raise InputError(
            f'paraphrases: {path} must contain {{"paraphrases": {{item: [wording]}}}}.'
        )
    known = {item.id for item in items}
    unknown = sorted(set(kept) - known)
    if unknown:
        raise InputError(f"paraphrases: {path} names {unknown[0]}, which the survey does not have.")
    return {item: [str(wording) for wording in wordings] for item, wordings in kept.items()}


def drifted(
    wording: str, original: str, nearest_is_own: bool, others: Sequence[str] = ()
) -> str | None:
    """Why a paraphrase is dropped, or None where it is kept.

    It has drifted when its numbers or its negations are not those of the original (a lost "not"
    turns the answer round), when it says nothing new, or when another item's question is nearer to
    it than its own.

    Parameters
    ----------
    wording, original : str
        The paraphrase and the question.
    nearest_is_own : bool
        See `nearest_own`.
    others : sequence of str
        Paraphrases that are kept already.

    Examples
    --------
    >>> drifted("Do you not trust judges?", "Do you trust judges?", nearest_is_own=True)
    'another sign'
    """
    plain = only_words(wording)
    if not plain or plain in {only_words(text) for text in (original, *others)}:
        return "the same words"
    if not wording.rstrip().endswith("?") and original.rstrip().endswith("?"):
        return "no question"
    if sorted(re.findall(r"\d+", wording)) != sorted(re.findall(r"\d+", original)):
        return "other numbers"
    if len(_NEGATIONS.findall(wording)) % 2 != len(_NEGATIONS.findall(original)) % 2:
        return "another sign"
    return None if nearest_is_own else "nearer to another question"


def nearest_own(wordings: FloatArray, owners: Sequence[int], originals: FloatArray) -> BoolArray:
    """Whether each wording's nearest original, by cosine, is its own.

    Both are centred on the mean of the originals, because texts of one kind share a large common
    direction.

    Parameters
    ----------
    wordings : array, shape (wordings, dimensions)
    owners : sequence of int
        The place of each wording's own item.
    originals : array, shape (items, dimensions)

    Returns
    -------
    array of bool, shape (wordings,)
    """
    centre = originals.mean(axis=0)
    a, b = wordings - centre, originals - centre
    a = a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)
    b = b / np.maximum(np.linalg.norm(b, axis=1, keepdims=True), 1e-12)
    return np.asarray((a @ b.T).argmax(axis=1) == np.asarray(owners))


def wordings_of(item: Item, paraphrases: Mapping[str, Sequence[str]]) -> list[str]:
    """The item's own wording and its paraphrases."""
    return [item.question, *paraphrases.get(item.id, ())]
