"""Free answers read by entailment: a tiny classifier made on the spot, untaught and taught."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from suffrage.errors import InputError
from suffrage.evaluate import behaviour
from suffrage.evaluate.asking import judging
from suffrage.evaluate.asking.judging import (
    cohen_kappa,
    entailed_courses,
    entailments,
    labelled_answers,
)
from suffrage.evaluate.asking.scenarios import SHIPPED, read_scenarios
from suffrage.evaluate.behaviour import EVALUATION, Options
from suffrage.models import EntailmentModel, identify
from suffrage.models.entailment import entailment_label
from tests.evaluate.asking import evaluated
from tests.evaluate.test_behaviour import SETS, SPLIT
from tests.impostors import Impostor, flat

SCENARIOS = {scenario.id: scenario for scenario in read_scenarios(SHIPPED)}
KNOWN = labelled_answers()
PAIRS = [(SCENARIOS[one.scenario], one.answer) for one in KNOWN]
LABELS = ("contradiction", "neutral", "entailment")


def write_classifier(folder: Path, labels: tuple[str, ...] = LABELS, longest: int = 256) -> Path:
    """A random two-layer BERT over words, in the layout that Transformers loads."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    split = pre_tokenizers.Sequence([pre_tokenizers.Whitespace()])
    texts = [
        f"{s.situation} {answer} {s.courses[0].text} {s.courses[1].text}" for s, answer in PAIRS
    ]
    words = {w for t in [*texts, "What is meant:"] for w, _ in split.pre_tokenize_str(t.lower())}
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *sorted(words)]
    plain = Tokenizer(models.WordLevel({w: k for k, w in enumerate(names)}, unk_token="[UNK]"))
    plain.normalizer = normalizers.Lowercase()
    plain.pre_tokenizer = split
    plain.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=longest,
    )  # fmt: skip
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=len(names), hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
            intermediate_size=128, max_position_embeddings=longest, pad_token_id=0,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
            id2label=dict(enumerate(labels)), label2id={n: k for k, n in enumerate(labels)},
        )
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def untaught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("untaught"))


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taught the labelled sample: a course follows from an answer where the label says so."""
    import torch

    folder = write_classifier(tmp_path_factory.mktemp("taught"))
    loaded = EntailmentModel.load(identify(str(folder), Path()))
    texts = [
        (f"{s.situation} {answer}", f"What is meant: {course.text}")
        for s, answer in PAIRS
        for course in s.courses
    ]
    wanted = torch.tensor([2 * int(one.course == place) for one in KNOWN for place in (1, 2)])
    given = loaded.tokenizer(
        *map(list, zip(*texts, strict=True)), padding=True, return_tensors="pt"
    )
    model = loaded.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(60):
        loss = model(**given, labels=wanted).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.02:
            break
    model.eval().save_pretrained(folder)
    return folder


def test_probabilities_are_those_of_transformers_one_pair_at_a_time(untaught: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    texts = [("It rains.", "The street is wet."), (PAIRS[0][0].situation, "No."), ("A", "B c d e")]
    found = EntailmentModel.load(identify(str(untaught), Path())).probabilities(texts)
    tokenizer = AutoTokenizer.from_pretrained(untaught)
    model = AutoModelForSequenceClassification.from_pretrained(untaught).eval()
    with torch.inference_mode():
        plain = [
            float(model(**tokenizer(p, h, return_tensors="pt")).logits.double().softmax(-1)[0, 2])
            for p, h in texts
        ]
    assert found == pytest.approx(plain, abs=1e-6)
    assert len(set(np.round(found, 6))) == 3


def test_a_long_premise_is_cut_and_the_course_is_not(tmp_path: Path) -> None:
    model = EntailmentModel.load(
        identify(str(write_classifier(tmp_path / "m", longest=32)), Path())
    )
    long = "the river is clean and " * 40
    one, other = model.probabilities([(long, "Buy the filter."), (long, "Pay the bonus.")])
    assert one != other
    with_end, without = model.probabilities([(long + "or not", "Buy."), (long, "Buy.")])
    assert with_end == without


@pytest.mark.slow
def test_one_that_was_taught_passes_and_its_verdicts_are_the_labels(taught: Path) -> None:
    model = EntailmentModel.load(identify(str(taught), Path()))
    found = entailments(model, PAIRS)
    assert found.shape == (len(KNOWN), 2)
    labels = np.array([one.course for one in KNOWN])
    assert cohen_kappa(labels, entailed_courses(found)) > 0.8


def test_the_surer_course_is_meant_and_neither_where_both_are_unlikely_or_alike() -> None:
    found = np.array([[0.9, 0.2], [0.6, 0.7], [0.4, 0.3], [0.8, 0.8]])
    assert entailed_courses(found).tolist() == [1, 2, 0, 0]


class Writer(Impostor):
    """Writes the labelled sample's answer for one course of each scenario that has one."""

    course = 1

    def write(self, chats, count, longest, seed):  # type: ignore[no-untyped-def]
        texts = {one.scenario: one.answer for one in KNOWN if one.course == self.course}
        by_chat = {behaviour.free_question(s, None): s.id for s in SCENARIOS.values()}
        found = [by_chat[chat[-1]["content"]] for chat in chats]
        return [[texts.get(name, "Perhaps.")] * count for name in found]


@pytest.mark.slow
def test_free_answers_are_drawn_read_and_its_agreement_reported(
    taught: Path, untaught: Path
) -> None:
    def card(folder: Path):  # type: ignore[no-untyped-def]
        models = {"base": Writer(flat().says), "other": Writer(flat().says)}
        models["other"].course = 2
        options = Options(entailment=str(folder), free_answers=1)
        return evaluated(EVALUATION, models, SETS, SPLIT, options, ["base", "other"])

    found = card(taught)
    judge = found.details["judge"]
    assert judge["answers"] == len(KNOWN) and judge["kappa"] > 0.8
    note = next(note for note in found.notes if "entailment model" in note)
    assert f"kappa {judge['kappa']:.2f}" in note and "its verdicts are used" in note
    # From the first course to the second, in every scenario that has both answers: a movement.
    measures = {(f.measure, f.method) for f in found.figures}
    assert ("behavioural_effect_judged", "other") in measures
    refused = card(untaught)
    assert refused.details["judge"]["kappa"] < 0.6
    assert any("its verdicts are not used" in note for note in refused.notes)
    assert not any(f.measure == "behavioural_effect_judged" for f in refused.figures)


@pytest.mark.slow
def test_free_answers_carry_the_probability_of_each_course(taught: Path) -> None:
    model = EntailmentModel.load(identify(str(taught), Path()))
    places = [(behaviour.Place("", None), SCENARIOS["last-bus"])]
    writer = Writer(flat().says)
    rows = behaviour.judged(writer, model, places, Options(entailment="x", free_answers=2), 1)
    judged = [row for row in rows if row["kind"] == "judged"]
    assert len(judged) == 2 and judged[0]["verdict"] == 1
    assert judged[0]["entailed_first"] > judging.ENTAILED > judged[0]["entailed_second"]


@pytest.mark.parametrize(
    ("labels", "place"),
    [
        (("contradiction", "neutral", "entailment"), 2),
        (("ENTAILMENT", "NEUTRAL", "CONTRADICTION"), 0),
        (("entailment", "not_entailment"), 0),
    ],
)
def test_the_label_is_found_by_name_wherever_it_stands(labels: tuple[str, ...], place: int) -> None:
    assert entailment_label(dict(enumerate(labels)), "m") == place


@pytest.mark.parametrize(
    "labels", [("LABEL_0", "LABEL_1", "LABEL_2"), ("entailment", "entail"), ("entailment",)]
)
def test_labels_that_do_not_say_which_is_entailment_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=rf"m: .* labels {', '.join(labels)}, not one .*id2label"):
        entailment_label(dict(enumerate(labels)), "m")


def test_models_that_are_no_classifiers_are_refused(tmp_path: Path, tiny_model: Path) -> None:
    load: Callable[[Path], EntailmentModel] = lambda path: EntailmentModel.load(  # noqa: E731
        identify(str(path), tmp_path)
    )
    with pytest.raises(InputError, match="not a trained sequence classifier: its files lack"):
        load(tiny_model)
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="could not be loaded as a sequence classifier"):
        load(tmp_path / "empty")
    with pytest.raises(ValueError, match="either judge or entailment"):
        Options(judge="a/b", entailment="c/d")
    for name in ("./nli", "a/b"):
        options = Options(entailment=name)
        assert options.other_models == (name,) and options.files == ()
