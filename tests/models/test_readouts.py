"""Reading a model's answer: orders, labels, lost mass, written answers."""

from pathlib import Path

import numpy as np
import pytest

from suffrage.models import (
    SENTENCES,
    ItemProbe,
    LanguageModel,
    Question,
    identify,
    label_sets,
    open_question,
    option_orders,
    read_letters,
    read_sampled,
    read_sentences,
    read_text,
    sentences,
    ways_of_asking,
)
from suffrage.models.packing import ScoreRequest
from suffrage.models.readouts import declines_to_answer, match_answer
from suffrage.survey import Item, Option
from tests.impostors import Impostor
from tests.synthetic import make_item, make_tiny_model


class LabelLover(LanguageModel):
    """A model that says the first option shown, whatever it is; 20% goes elsewhere."""

    def score(self, requests, advance=None):  # type: ignore[no-untyped-def]
        found = []
        for request in requests:
            text = self.tokenizer.decode(request.prompt)
            first = text.split("\n\n")[1][0]
            labels = [self.tokenizer.decode([token]) for (token,) in request.continuations]
            found.append([np.log([0.8 if label == first else 1e-9]) for label in labels])
        return found


class ContentLover(LabelLover):
    """A model that wants the option "Answer Bravo", wherever it stands."""

    def score(self, requests, advance=None):  # type: ignore[no-untyped-def]
        found = []
        for request in requests:
            text = self.tokenizer.decode(request.prompt)
            line = next(line for line in text.split("\n") if line.endswith("Bravo"))
            labels = [self.tokenizer.decode([token]) for (token,) in request.continuations]
            found.append([np.log([0.9 if label == line[0] else 1e-9]) for label in labels])
        return found


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> LanguageModel:
    return LanguageModel.load(identify(str(tiny_model), Path()))


def as_kind(model: LanguageModel, kind: type[LanguageModel]) -> LanguageModel:
    return kind(model.identity, model.model, model.tokenizer, model.dtype, model.device)


def test_a_love_of_the_first_place_is_no_opinion(model: LanguageModel) -> None:
    item = make_item(1, options=4, ordered=False)
    (answer,) = read_letters(as_kind(model, LabelLover), [ItemProbe(item, None)], 0.1)
    np.testing.assert_allclose(answer.shares, np.full(4, 0.25), atol=1e-6)
    assert answer.order_sensitivity == pytest.approx(0.75, abs=1e-6)
    assert answer.mass == pytest.approx(0.8, abs=1e-6)


def test_an_opinion_survives_orders_and_labels(model: LanguageModel) -> None:
    for ordered in (True, False):
        item = make_item(1, options=4, ordered=ordered)
        (answer,) = read_letters(as_kind(model, ContentLover), [ItemProbe(item, None)], 0.1)
        np.testing.assert_allclose(answer.shares, [0, 1, 0, 0], atol=1e-6)
        assert answer.order_sensitivity == pytest.approx(0, abs=1e-6)


def test_an_item_is_refused_when_too_little_mass_is_on_its_options(model: LanguageModel) -> None:
    (answer,) = read_letters(as_kind(model, LabelLover), [ItemProbe(make_item(1), None)], 0.85)
    assert answer.refused


def test_letters_are_the_mean_over_ways_computed_plainly(model: LanguageModel) -> None:
    item = make_item(2, options=5)
    (answer,) = read_letters(model, [ItemProbe(item, "people in the north")], 0.0)
    shares, masses = [], []
    for question in ways_of_asking(item, "people in the north"):
        prompt = model.encode(question.messages)
        tokens = [model.label_tokens(label) for label in question.label_of_position]
        logs = model.score([ScoreRequest(prompt, tuple((t,) for v in tokens for t in v))])[0]
        probabilities = np.exp(np.concatenate(logs))
        masses.append(probabilities.sum())
        shares.append(probabilities / probabilities.sum())
    np.testing.assert_allclose(answer.shares, np.mean(shares, axis=0), atol=1e-6)
    assert answer.mass == pytest.approx(np.mean(masses), rel=1e-5)


def test_full_text_is_a_probability_of_the_whole_answer(model: LanguageModel) -> None:
    plain, normalised = read_text(model, [ItemProbe(make_item(1, options=3), None)])
    assert plain.readout == "text" and normalised.readout == "text_length_normalised"
    assert 0 < plain.mass < 1
    assert plain.shares.sum() == pytest.approx(1) == normalised.shares.sum()


def test_sentences_are_read_to_the_question_without_its_options(model: LanguageModel) -> None:
    item = make_item(1, options=3)
    (answer,) = read_sentences(model, [ItemProbe(item, "people in the north")])
    shares, masses = [], []
    for style in range(len(SENTENCES)):
        prompt = model.encode(
            [{"role": "user", "content": open_question(item, "people in the north")}]
        )
        texts = tuple(model.answer_tokens(text) for text in sentences(item, style))
        found = np.exp([log.sum() for log in model.score([ScoreRequest(prompt, texts)])[0]])
        masses.append(found.sum())
        shares.append(found / found.sum())
    np.testing.assert_allclose(answer.shares, np.mean(shares, axis=0), rtol=1e-4)
    assert answer.mass == pytest.approx(np.mean(masses), rel=1e-3)
    assert answer.readout == "sentence" and not answer.refused


def test_sentences_without_any_probability_are_refused_and_never_a_number() -> None:
    never = Impostor(lambda options, _: np.zeros(len(options)))
    (answer,) = read_sentences(never, [ItemProbe(make_item(1), None)])
    assert answer.refused and answer.mass == 0 and np.isnan(answer.shares).all()


def test_sampling_repeats_with_its_seed_and_counts_what_it_cannot_read(
    model: LanguageModel,
) -> None:
    asked = [ItemProbe(make_item(1), None)]
    (one,), (two,) = (read_sampled(model, asked, 8, seed=3) for _ in range(2))
    assert one.mass == two.mass
    np.testing.assert_array_equal(one.shares, two.shares)
    assert one.refused == (one.mass == 0)


def question(*texts: str, order: tuple[int, ...] | None = None) -> Question:
    item = Item(
        id="q",
        question="?",
        options=tuple(Option(code=str(i), text=text) for i, text in enumerate(texts)),
    )
    order = order or tuple(range(len(texts)))
    return Question(item, None, order, tuple("ABCDE"[: len(texts)]))


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("B", 1),
        ("b.", 1),
        ("(A) Strongly agree", 0),
        ("A. Strongly agree", 0),
        ("I strongly agree with it.", 0),
        ("I agree.", 1),
        ("A carbon footprint is large", None),
        ("Agree or disagree, who knows", None),
        ("", None),
        ("Because", None),
        ("C)", 2),
    ],
)
def test_written_answers_are_matched(written: str, wanted: int | None) -> None:
    assert match_answer(written, question("Strongly agree", "Agree", "Disagree")) == wanted


@pytest.mark.parametrize(
    ("written", "wanted"),
    [
        ("As an AI, I don’t have personal opinions", True),
        ("I'm sorry, but I can't", True),
        ("I do not have any political views", True),
        ("I cannot answer this question", True),
        ("Prefer not to say", True),
        ("I don't know", False),
        ("I don't have children", False),
        ("Strongly agree", False),
        ("Banana", False),
        ("", False),
    ],
)
def test_declining_is_told_from_what_is_off_format(written: str, wanted: bool) -> None:
    assert declines_to_answer(written) == wanted


def test_every_written_answer_is_counted(model: LanguageModel) -> None:
    said = iter([["Answer Alpha", "I cannot answer", "Banana", "Answer Alpha or Answer Bravo"]] * 9)

    class Written(LanguageModel):
        def write(self, chats, count, longest, seed):  # type: ignore[no-untyped-def]
            return [next(said) for _ in chats]

    (answer,) = read_sampled(as_kind(model, Written), [ItemProbe(make_item(1), None)], 8, seed=1)
    assert (answer.drawn, answer.mass, answer.declined) == (8, 0.25, 0.25)
    assert answer.shares.sum() == 1 and not answer.refused


def test_a_label_means_the_option_it_stood_before() -> None:
    assert match_answer("A", question("Yes", "No", order=(1, 0))) == 1


def test_every_option_stands_in_every_place_once() -> None:
    nominal = option_orders(make_item(1, options=5, ordered=False))
    assert all({order[place] for order in nominal} == set(range(5)) for place in range(5))
    forwards, backwards = option_orders(make_item(1, options=5))
    assert forwards == backwards[::-1]


def test_populations_share_all_of_a_question_up_to_who_is_asked() -> None:
    one, two = (ways_of_asking(make_item(1), who)[0].user_text for who in ("the north", "women"))
    assert one.removesuffix("the north would.") == two.removesuffix("women would.")
    assert "D. " in one and one.endswith(
        "Answer with the letter of one option, as the north would."
    )
    assert "as" not in ways_of_asking(make_item(1), None)[0].user_text.split("Answer")[-1]


def test_two_label_sets_for_any_number_of_options() -> None:
    for count in range(2, 27):
        one, two = label_sets(count)
        assert len(set(one)) == len(set(two)) == count and not set(one) & set(two)


def test_a_model_without_chat_template_is_asked_in_plain_text(tmp_path: Path) -> None:
    plain = LanguageModel.load(identify(str(make_tiny_model(tmp_path / "m", chat=False)), Path()))
    text = plain.prompt_text(ways_of_asking(make_item(1), "people in the north")[0].messages)
    wanted = "Answer with the letter of one option, as people in the north would.\n\nAnswer:"
    assert text.endswith(wanted)
    assert plain.answer_tokens("x")[0] == plain.tokenizer(" ")["input_ids"][0]
