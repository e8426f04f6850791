"""Which of two answers a person prefers in a chat, stored in a consultation.

The person takes part in the consultation like everybody else: with consent, and with a code to
withdraw by. Sides have no names and no survey figures until the person has chosen.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from suffrage import storage
from suffrage.errors import InputError
from suffrage.evaluate.asking.interviews import SideAnswer
from suffrage.server.store import consultations, participants
from suffrage.server.store.consultations import StoredConsultation
from suffrage.server.store.database import Store, open_store
from suffrage.server.store.driver import Driver
from suffrage.server.store.exposures import record_exposure
from suffrage.server.store.participants import Participant, Scopes
from suffrage.server.store.puzzles import make_puzzle, solve_puzzle
from suffrage.server.store.shown_answers import CHAT, ShownAnswer, ShownPrompt, put_prompts
from suffrage.server.store.stored_judgements import record_comparison
from suffrage.server.texts import clean
from suffrage.server.web.consent import ConsentText, consent_text
from suffrage.server.web.languages import SOURCE, languages
from suffrage.training_data.answers_in_context import shares_in_words

# Name and version of the rule by which chats show pairs; the person chose the question.
POLICY = "chat/1"
# What sides are called until the person has chosen.
HIDDEN_NAMES = ("Answer 1", "Answer 2")
OUTCOME_WORDS = {
    "left": "Answer 1 is better",
    "right": "Answer 2 is better",
    "tie": "They are equally good",
    "both_bad": "Neither is good",
}


@dataclass(frozen=True, eq=False)
class BlindPair:
    """Two answers in a random order."""

    # As they are shown first: without names and without what people said.
    hidden: tuple[SideAnswer, SideAnswer]
    # The same two as they are.
    left: SideAnswer
    right: SideAnswer

    def preferred(self, outcome: str) -> str:
        """The name of the side that was preferred; empty where neither was."""
        return {"left": self.left.side, "right": self.right.side}.get(outcome, "")


class PreferenceBox:
    """Stores the preferences of one person in one consultation.

    Raises
    ------
    InputError
        The consultation is not open, or only by invitation.
    """

    def __init__(self, store: Store, what: StoredConsultation) -> None:
        if what.phase != "open":
            raise InputError(
                f"consultation {what.slug} is {what.phase}; open it first: suffrage consult phase."
            )
        if not what.settings.open_to_all:
            raise InputError(
                f"consultation {what.slug} is by invitation; a chat can only store preferences in "
                "one that is open to all."
            )
        self._store, self.what = store, what
        self._person: Participant | None = None
        # With which the person can withdraw on the consultation's own pages.
        self.return_code = ""

    @property
    def consent(self) -> ConsentText:
        """What the person agrees to, in the words of the consultation's own page."""
        return consent_text(self.what, languages()[SOURCE])

    @property
    def joined(self) -> bool:
        """Whether the person takes part."""
        return self._person is not None

    def join(self, agreed: Mapping[str, bool]) -> None:
        """Take part, with what the person agreed to for each scope of the consent.

        Raises
        ------
        InputError
            The person does not agree to take part, or not to publishing what they write: their
            questions are texts of theirs.
        """
        missing = [name for name in ("take_part", "texts") if not agreed.get(name)]
        if missing:
            raise InputError(
                f'to store preferences, agree to this too: "{self.consent.scopes[missing[0]]}" '
                "Your questions are stored with them."
            )
        proof, bits = None, self.what.settings.proof_of_work
        if bits:
            proof = solve_puzzle(make_puzzle(self._store.secrets, self.what.id, bits))
        joined = participants.join_consultation(self._store, self.what.id, None, SOURCE, proof)
        scopes = Scopes(**{name: bool(agreed.get(name)) for name in self.consent.scopes})
        person = joined.participant
        participants.give_consent(self._store, self.what.id, person.id, scopes, self.consent.whole)
        self.return_code = participants.return_code(self._store, self.what.id, person.id)
        self._person = person

    def blind(self, answers: Sequence[SideAnswer]) -> BlindPair:
        """Put two answers in a random order and hide whose they are."""
        first, second = answers
        left, right = (first, second) if secrets.randbelow(2) else (second, first)
        one, two = (
            replace(answer, side=name, survey=None, survey_interval=None)
            for answer, name in zip((left, right), HIDDEN_NAMES, strict=True)
        )
        return BlindPair((one, two), left, right)

    def store(self, pair: BlindPair, outcome: str) -> None:
        """Store which answer is better: left, right, tie or both_bad.

        The question and both answers go into the consultation too. Other participants are not
        shown them.

        Raises
        ------
        InputError
            The person does not take part yet, or there is no such outcome.
        """
        if self._person is None:
            raise InputError("agree to what is stored first.")
        question = clean(pair.left.question)
        prompt = ShownPrompt(_id(question), question, SOURCE)
        left, right = (_shown(prompt, answer) for answer in (pair.left, pair.right))
        put_prompts(self._store, self.what.id, [prompt], [left, right], "chat")
        with self._store.write() as c:
            consultations.require_open(c, self.what.id)
            exposure = record_exposure(
                Driver(c),
                self.what.id,
                self._person.id,
                "comparison",
                prompt.id,
                POLICY,
                None,
                left.id,
                right.id,
            )
        record_comparison(self._store, self.what.id, self._person.id, exposure.id, outcome)


def open_box(where: str, slug: str | None) -> PreferenceBox:
    """Open the store of a consultation to keep preferences in.

    Parameters
    ----------
    where : str
        The store: a folder or a postgresql:// address.
    slug : str or None
        Which consultation; not needed where the store has one.

    Raises
    ------
    InputError
        There is no such store or consultation, or the store has several and none is named.
    """
    store = open_store(where)
    if slug is not None:
        return PreferenceBox(store, consultations.find_consultation(store, slug))
    found = consultations.list_consultations(store)
    if len(found) != 1:
        names = ", ".join(one.slug for one in found) or "none"
        raise InputError(f"the store has {len(found)} consultations ({names}); say --slug.")
    return PreferenceBox(store, found[0])


def _id(*parts: object) -> str:
    return f"{CHAT}{storage.content_hash(list(parts))}"


def _shown(prompt: ShownPrompt, answer: SideAnswer) -> ShownAnswer:
    """An answer as the consultation keeps it: in words, with the shares it is made of."""
    shares = answer.shares
    words = (
        shares_in_words(list(shares), list(shares.values()))
        if answer.item is not None
        else answer.written[0]
    )
    return ShownAnswer(
        id=_id(prompt.text, answer.side, words),
        prompt_id=prompt.id,
        text=clean(words),
        model=answer.side,
        language=SOURCE,
        made_with={"policy": POLICY, "shares": shares},
        shown=False,
    )
