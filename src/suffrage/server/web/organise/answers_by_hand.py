"""Answers to compare that organisers write on the page, or have a model write."""

from __future__ import annotations

from suffrage.consult.candidate_answers import CandidateAnswer, distinct, prompt_id
from suffrage.errors import InputError, SuffrageError
from suffrage.server.answer_model import AnswerModel
from suffrage.server.texts import clean, whole_number
from suffrage.server.web.organise.forms import MistakesError, Sent

# What can be typed at once.
FIELDS = 4
MOST_PROMPTS, MOST_EACH = 10, 4
_LETTERS = "ABCD"


def answers_of_form(sent: Sent, language: str) -> list[CandidateAnswer]:
    """Return the answers that a form has to one prompt. Raises MistakesError."""
    prompt = clean(sent.get("prompt"))
    texts = [sent.get(f"answer:{at}").strip() for at in range(FIELDS)]
    source = clean(sent.get("source"))[:80]
    wrong = []
    if not prompt:
        wrong.append(("prompt", InputError("write the question first.")))
    if sum(bool(text) for text in texts) < 2:
        problem = InputError("write two answers at least, so that people can compare.")
        wrong.append(("answer:0", problem))
    if wrong:
        raise MistakesError(wrong)
    return [
        CandidateAnswer(
            prompt_id(prompt),
            prompt,
            text,
            source or f"typed {_LETTERS[at]}",
            language,
            made_with={"how": "typed"},
        )
        for at, text in enumerate(texts)
        if text
    ]


def written_answers(sent: Sent, model: AnswerModel, language: str) -> list[CandidateAnswer]:
    """Have a model answer the questions of a form; answers that are nearly alike are dropped.

    Raises MistakesError, and InputError where the model does not answer.
    """
    prompts = [clean(line) for line in sent.get("prompts").splitlines() if line.strip()]
    count = whole_number(sent.get("count").strip(), MOST_EACH)
    wrong = []
    if not 1 <= len(prompts) <= MOST_PROMPTS:
        problem = InputError("write 1 to %(most)s questions, one per line.", most=MOST_PROMPTS)
        wrong.append(("prompts", problem))
    if count is None or count < 2:
        problem = InputError("write a number from 2 to %(most)s.", most=MOST_EACH)
        wrong.append(("count", problem))
    if wrong or count is None:
        raise MistakesError(wrong)
    try:
        texts = model.write(prompts, count)
    except SuffrageError as error:
        raise InputError(
            "the model did not answer; try again, or ask whoever runs this server."
        ) from error
    found = [
        CandidateAnswer(
            prompt_id(prompt),
            prompt,
            text.strip(),
            model.name,
            language,
            made_with={"how": "sampled"},
        )
        for prompt, some in zip(prompts, texts, strict=True)
        for text in some
        if text.strip()
    ]
    return distinct(found)
