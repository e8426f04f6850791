"""An audit finds whose answers a model gives, and says so when it gives one answer to all."""

import re
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from suffrage.arrays import FloatArray
from suffrage.evaluate.auditing import (
    AnswersMap,
    AuditedModel,
    Auditor,
    MapPoint,
    ValuesMap,
    classical_scaling,
)
from suffrage.models import ModelAnswer
from suffrage.population import ValueSet, build_value_set
from suffrage.report.audit_page import (
    audit_text,
    finding_sentences,
    render_audit,
    tied_with_nearest,
)
from suffrage.study.commands.auditing import AuditedSurvey, audit_of_answers
from suffrage.survey import Item, Survey
from suffrage.values.item_keys import item_key
from tests.synthetic import make_survey

# The shares that a model gives to an item's options.
Says = Callable[[Item], FloatArray]


@pytest.fixture(scope="module")
def survey() -> Survey:
    return make_survey(respondents=900, items=24)


@pytest.fixture(scope="module")
def groups(survey: Survey) -> list[ValueSet]:
    return [
        build_value_set(survey, region, {"region": region}, 0, f"people in the {region}")
        for region in sorted(survey.responses["region"].drop_nulls().unique())
    ]


def said(
    groups: list[ValueSet], says: Says, mass: float = 0.9, refused: frozenset[str] = frozenset()
) -> list[ModelAnswer]:
    items = {item.id: item for group in groups for item in group.items}
    return [
        ModelAnswer(name, "letters", says(item), mass, 0.05, name in refused)
        for name, item in items.items()
    ]


def of_group(group: ValueSet) -> Says:
    return lambda item: group.distributions[item.id].shares


def constant(item: Item) -> FloatArray:
    shares = np.arange(1.0, len(item.options) + 1)
    return shares / shares.sum()


def audited(groups: list[ValueSet], says: Says, **more: object) -> AuditedModel:
    return Auditor(groups).audit_model("m", said(groups, says, **more))  # type: ignore[arg-type]


def page_of(groups: list[ValueSet], answers: Mapping[str, list[ModelAnswer]]) -> str:
    surveyed = AuditedSurvey("A town", "It stands for the town.", "", tuple(groups))
    return render_audit(audit_of_answers(surveyed, answers))


def test_a_model_that_answers_as_one_group_is_nearest_to_it(groups: list[ValueSet]) -> None:
    for group in groups:
        found = audited(groups, of_group(group))
        nearest, farthest = found.groups[0], found.groups[-1]
        assert nearest.group == group.name and nearest.fit == pytest.approx(1)
        assert nearest.above_floor.verdict == "higher"
        gap = next(g for g in found.gaps if g.against == farthest.group and g.group == group.name)
        assert gap.verdict == "higher" and gap.value == pytest.approx(1 - farthest.fit, abs=0.01)
        assert not found.one_answer
        said_of = " ".join(finding_sentences(found))
        assert f"nearest to those of {group.name}" in said_of and "is clear" in said_of


@pytest.mark.slow
def test_fit_floor_and_ceiling_are_the_formulas_over_all_questions(groups: list[ValueSet]) -> None:
    found = audited(groups, constant)
    for one in found.groups:
        own = next(g for g in groups if g.name == one.group).distributions
        assert one.questions == len(own)
        fits, averages, evens, ceilings = [], [], [], []
        for name, target in own.items():
            q = constant(target.item)
            fits.append(1 - jensenshannon(target.shares, q, base=2))
            others = [d.shares for k, d in own.items() if k != name and d.shares.size == q.size]
            averages.append(1 - jensenshannon(target.shares, np.mean(others, axis=0), base=2))
            evens.append(1 - jensenshannon(target.shares, np.full(q.size, 1 / q.size), base=2))
            halves = zip(target.first_halves, target.second_halves, strict=True)
            ceilings.append(np.mean([1 - jensenshannon(a, b, base=2) for a, b in halves]))
        assert one.fit == pytest.approx(np.mean(fits))
        floor = max(np.mean(averages), np.mean(evens))
        assert one.floor == pytest.approx(floor)
        assert one.ceiling == pytest.approx(np.mean(ceilings), abs=1e-6)
        assert one.way == pytest.approx(
            (np.mean(fits) - floor) / (np.mean(ceilings) - floor), rel=1e-4
        )


@pytest.mark.parametrize("even", [True, False])
def test_one_answer_to_everything_is_said_first(groups: list[ValueSet], even: bool) -> None:
    found = audited(
        groups, (lambda i: np.full(len(i.options), 1 / len(i.options))) if even else constant
    )
    assert found.variation == pytest.approx(0) and found.one_answer
    assert "nearly the same answer to every question" in finding_sentences(found)[0]
    assert "For no group does it do better" in finding_sentences(found)[-1]
    assert found.own_gain is not None and found.own_gain.value == pytest.approx(0)


def test_a_majority_parrot_gives_more_than_one_answer(groups: list[ValueSet]) -> None:
    def parrot(item: Item) -> FloatArray:
        shares = groups[0].distributions[item.id].shares
        return np.where(np.arange(shares.size) == shares.argmax(), 0.98, 0.02 / (shares.size - 1))

    found = audited(groups, parrot)
    assert not found.one_answer and found.variation is not None and found.variation > 1


def test_answers_that_cannot_be_read_say_nothing(groups: list[ValueSet]) -> None:
    every = frozenset(item.id for item in groups[0].items)
    found = audited(groups, constant, refused=every)
    assert found.groups == () and not found.readable
    assert "could not be read" in finding_sentences(found)[0]
    page = page_of(groups, {"m": said(groups, constant, refused=every)})
    assert "could not be read" in page and "nan" not in page.lower().replace("finance", "")


def test_the_order_of_the_groups_changes_nothing(groups: list[ValueSet]) -> None:
    one = audited(groups, of_group(groups[0]))
    other = audited(groups[::-1], of_group(groups[0]))
    assert [g.model_dump() for g in one.groups] == [g.model_dump() for g in other.groups]


@pytest.mark.slow
def test_halves_of_one_population_are_hardly_ever_told_apart() -> None:
    clear = 0
    for seed in range(20):
        survey = make_survey(respondents=600, items=16, seed=seed)
        half = np.random.default_rng(seed).permutation(survey.responses.height) < 300
        halves = [
            build_value_set(survey.with_responses(survey.responses.filter(rows)), name, {}, seed)
            for name, rows in (("first", half.tolist()), ("second", (~half).tolist()))
        ]
        generator = np.random.default_rng(seed)
        answers = said(halves, lambda i: generator.dirichlet(np.full(len(i.options), 3.0)))  # noqa: B023
        clear += any(g.verdict == "higher" for g in Auditor(halves).audit_model("m", answers).gaps)
    assert clear <= 3  # 1 in 20 is promised; more than 3 has a chance of 0.016


def parts(of: Survey, members: np.ndarray) -> list[ValueSet]:
    """Two groups: those respondents, and all others."""
    return [
        build_value_set(of.with_responses(of.responses.filter(rows.tolist())), name, {}, 0)
        for name, rows in (("few", members), ("many", ~members))
    ]


def mixed(truth: ValueSet, known: float, generator: np.random.Generator) -> Says:
    """A model that knows a part of what people say, and makes up the rest."""

    def says(item: Item) -> FloatArray:
        made_up = generator.dirichlet(np.ones(len(item.options)))
        return known * truth.distributions[item.id].shares + (1 - known) * made_up

    return says


@pytest.mark.parametrize("known", [1.0, 0.7])
def test_fewer_people_do_not_make_a_group_farther(known: float) -> None:
    """Members of the small group are drawn at random, so that the two think alike."""
    gaps, seen = [], []
    for seed in range(3):
        survey = make_survey(respondents=1080, items=16, seed=seed)
        generator = np.random.default_rng(seed)
        groups = parts(survey, generator.permutation(1080) < 80)
        truth = build_value_set(survey, "all", {}, 0)
        answers = said(groups, mixed(truth, known, generator))
        found = Auditor(groups).audit_model("m", answers)
        fits = {one.group: one.fit for one in found.groups}
        (gap,) = found.gaps
        seen.append(fits["many"] - fits["few"])
        gaps.append(gap.value if gap.group == "many" else -gap.value)
        assert gap.verdict == "same" and "may be chance" in " ".join(finding_sentences(found))
    assert np.mean(seen) > 0.015 and abs(np.mean(gaps)) < 0.008


def test_a_small_group_that_a_model_answers_as_is_nearest(survey: Survey) -> None:
    north = (survey.responses["region"] == "north").fill_null(False).to_numpy()
    few = north & (np.cumsum(north) <= 80)
    groups = parts(
        survey.with_responses(survey.responses.filter((few | ~north).tolist())), few[few | ~north]
    )
    found = audited(groups, of_group(groups[0]))
    assert found.groups[0].group == "few"
    assert [gap.verdict for gap in found.gaps] == ["higher"]


def test_groups_that_are_not_told_apart_from_the_nearest_are_named(survey: Survey) -> None:
    one = build_value_set(survey, "all", {}, 0)
    twin = build_value_set(survey, "twin", {}, 1)
    found = audited([one, twin], of_group(one))
    assert tied_with_nearest(found) == ["twin"]


def test_leaving_questions_out_never_makes_a_model_nearer(groups: list[ValueSet]) -> None:
    truth = of_group(groups[0])
    hard = frozenset(item.id for item in groups[0].items[:12])
    answers = {
        "reads all": said(groups, truth),
        "leaves out": said(groups, truth, refused=hard),
        "constant": said(groups, constant),
    }
    gaps = {
        (g.model, g.against): g
        for g in Auditor(groups).model_gaps(answers)
        if g.group == groups[0].name
    }
    assert gaps["reads all", "constant"].verdict == "higher"
    assert gaps["leaves out", "constant"].verdict == "unknown"


def test_points_in_the_plane_keep_their_distances() -> None:
    points = np.random.default_rng(0).normal(size=(7, 2))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    found, shown = classical_scaling(distances)
    again = np.linalg.norm(found[:, None] - found[None], axis=2)
    np.testing.assert_allclose(again, distances, atol=1e-9)
    assert shown == pytest.approx(1)


def test_the_map_puts_a_model_next_to_the_group_it_answers_as(groups: list[ValueSet]) -> None:
    drawn = Auditor(groups).answers_map({"m": said(groups, of_group(groups[1]))})
    assert drawn is not None
    at = {p.name: np.array([p.x, p.y]) for p in drawn.points}
    assert [p.name for p in drawn.points if p.is_model] == ["m"]
    apart = {g.name: float(np.linalg.norm(at[g.name] - at["m"])) for g in groups}
    assert min(apart, key=lambda name: apart[name]) == groups[1].name
    assert apart[groups[1].name] == pytest.approx(0, abs=1e-6)


def map_of(groups: list[ValueSet], *points: MapPoint) -> str:
    """The section of a report with a map of these points."""
    surveyed = AuditedSurvey("A town", "", "", tuple(groups))
    audit = audit_of_answers(surveyed, {"m": said(groups, constant)})
    drawn = AnswersMap(points=points, shown=0.9)
    page = render_audit(audit.model_copy(update={"answers_map": drawn}))
    return page[page.index("<h2>A map of answers") :].split("</section>")[0]


# How large letters are on a desk and on a phone, in the drawing's units, as the style has them.
SIZES = {
    "at-desk": 12.5,
    "on-phone": 22.0,
    "model-name at-desk": 14.0,
    "model-name on-phone": 24.6,
}


@pytest.mark.parametrize(
    "name", ["stub-3", "SmolLM2-135M-Instruct", "a-model-of-a-very-long-name-" * 3]
)
def test_every_name_and_mark_is_inside_the_map(groups: list[ValueSet], name: str) -> None:
    places = [(1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (-1, 0), (0, 1), (0, -1), (0.9, 0.02)]
    points = [MapPoint(name=name, is_model=k < 5, x=x, y=y) for k, (x, y) in enumerate(places)]
    drawing = map_of(groups, *points)
    box = re.search(r'class="frame" x="(.+?)" y="(.+?)" width="(.+?)" height="(.+?)"', drawing)
    assert box is not None
    left, top, wide, high = (float(edge) for edge in box.groups())
    right, bottom = left + wide, top + high
    marks = re.findall(r'd="M(\S+) (\S+?)l9|cx="(\S+)" cy="(\S+)" r=', drawing)
    assert len(marks) == len(points)
    for diamond_x, diamond_top, dot_x, dot_y in marks:
        x, y = float(diamond_x or dot_x), float(dot_y or float(diamond_top or 0) + 9)
        assert left + 20 < x < right - 20 and top + 20 < y < bottom - 20
    names = re.findall(
        r'<text class="(.*?)" x="(\S+)" y="(\S+)" text-anchor="(\w+)">(.*?)</text>', drawing
    )
    # Each model has its name, on a desk and on a phone.
    assert sum("model-name" in kind for kind, *_ in names) == 10
    for kind, at_x, at_y, anchor, text in names:
        letters = SIZES[re.sub(r"tone-\d ", "", kind)]
        width = 0.58 * letters * len(text)
        begin = float(at_x) - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        assert left <= begin and begin + width <= right, (kind, at_x, anchor, text)
        assert top <= float(at_y) - 0.8 * letters and float(at_y) + 0.25 * letters <= bottom


@pytest.mark.parametrize(
    ("models", "said_so"),
    [
        (1, "The diamond is the model, and each dot is a group."),
        (2, "Each diamond is a model, and each dot is a group."),
    ],
)
def test_the_map_s_words_fit_one_model_and_several(
    groups: list[ValueSet], models: int, said_so: str
) -> None:
    points = [MapPoint(name=f"p{k}", is_model=k < models, x=k, y=k % 2) for k in range(4)]
    assert said_so in map_of(groups, *points)


def test_every_name_around_the_circle_is_inside_the_drawing(groups: list[ValueSet]) -> None:
    taxonomy = item_key("PVQ-RR").taxonomy
    most = max(value.place or 0 for value in taxonomy.values)
    ring = tuple((v.name, (v.place or 0) * 360 / most) for v in taxonomy.values if v.place)
    corner = MapPoint(name="m", is_model=True, x=1, y=1)
    surveyed = AuditedSurvey("A town", "", "", tuple(groups))
    audit = audit_of_answers(surveyed, {"m": said(groups, constant)})
    page = render_audit(
        audit.model_copy(update={"values_circle": ValuesMap(points=(corner,), ring=ring)})
    )
    drawing = page[page.index("<h2>On Schwartz") :].split("</section>")[0]
    box = re.search(r'viewBox="(\S+) (\S+) (\S+) (\S+)"', drawing)
    assert box is not None
    left, wide = float(box[1]), float(box[3])
    names = re.findall(r'text-anchor="(\w+)"><tspan x="(\S+)">(.*?)</text>', drawing)
    assert len(names) == len(ring) == 19
    for anchor, at_x, text in names:
        longest = max(re.sub("<.*?>", "\n", text).split("\n"), key=len)
        width = 0.5 * 12.5 * len(longest)
        begin = float(at_x) - width * {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
        assert left <= begin and begin + width <= left + wide, longest
    mark = re.search(r'd="M(\S+) (\S+?)l9', drawing)
    assert mark is not None and np.hypot(float(mark[1]), float(mark[2]) + 9) < 250 - 9


@pytest.mark.slow
def test_the_report_speaks_as_an_auditor(groups: list[ValueSet]) -> None:
    answers = {"one": said(groups, of_group(groups[0])), "two": said(groups, constant)}
    page = page_of(groups, answers)
    text = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert not re.search(r"\btrain|held[ -]out|\bsplit\b|checkpoint", text, re.IGNORECASE)
    assert "Whose answers do one and two give?" in text
    assert text.index("nearest to those of") < text.index("nearest group first")
    assert "one nearer than two" in text and "A map of answers" in text
    assert "http" not in re.sub(r"http://www.w3.org\S+", "", page)
    from rich.console import Console

    console = Console(width=100, record=True)
    surveyed = AuditedSurvey("A town", "", "", tuple(groups))
    console.print(audit_text(audit_of_answers(surveyed, answers)))
    assert groups[0].name in console.export_text()
