"""`wvb`: WorldValuesBench's probe set, 36 questions put to people of many walks of life.

`suffrage survey worldvaluesbench` makes the benchmark's files from the archive's file. A model is
asked as each demographic cell (continent, settlement, education). Its answers are mixed as the
cells are in the sample, and compared with the sample's answers by the Wasserstein distance over
answers rescaled to 0 to 1. Source: Zhao et al. (2024), LREC-COLING;
github.com/Demon702/WorldValuesBench.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage.arrays import FloatArray
from suffrage.errors import InputError
from suffrage.evaluate.asking.item_probes import (
    READ,
    ModelShares,
    PopulationProbe,
    probe_items,
    read_rows,
    refused_note,
    removed_note,
    shares_by_model,
    without_overlaps,
)
from suffrage.evaluate.fit import UNIFORM
from suffrage.evaluate.results import Measure
from suffrage.evaluate.scorecard import (
    AS_ITSELF,
    Evaluation,
    EvaluationInput,
    EvaluationOptions,
    ProbeInput,
    Scorecard,
)
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.evaluate.statistics.intervals import Measured
from suffrage.plurals import plural
from suffrage.population import ValueSet
from suffrage.population.distribution_distances import ordinal_earth_movers_distance
from suffrage.survey import Item
from suffrage.survey.codes import plain_code
from suffrage.survey.formats.separated_text import read_csv
from suffrage.survey.formats.wvs7_codebook import (
    VariableEntry,
    item_options,
    question_text,
    scale_options,
    variables,
)
from suffrage.survey.reading import existing_file
from suffrage.survey.worldvaluesbench import INTERVIEW, METADATA, PROBE_ITEMS, Variable
from suffrage.training_data import ItemSplit
from suffrage.training_data.average_answer import uniform

SAMPLE = "probe"
MAJORITY = "majority"
QUESTION, CATEGORY = "Question", "Question Category"
CELL = ("Continent", "Urban / Rural", "Education")
AREAS = {"Urban": "urban areas", "Rural": "rural areas"}
# The thresholds of the benchmark's own plot; it counts questions at or below each.
THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(9))
HEADLINE = 0.2
# Rounding of a sum must not lift a question over a threshold that it equals.
SLACK = 1e-9
REPLICATES = 200
PREDICTION_COLUMNS = ("QUESTION_ID", "PARTICIPANT_ID", "SCORE")
# For plans: ways of asking one question.
WAYS = 4

CountryCell = tuple[str, str, str]


class Options(EvaluationOptions):
    """What a study may say about the benchmark's files."""

    folder: str
    """The folder that `suffrage survey worldvaluesbench` wrote (probe/samples.tsv, full/,
    metadata)."""
    codebook: str | None = None
    """WorldValuesBench's codebook.json, for the wording of the options. Without it
    options are numbers, and the question says what their ends mean."""

    @property
    def files(self) -> tuple[str, ...]:
        """The probe sample, the answers, the metadata and the codebook."""
        named = ("probe/samples.tsv", "full/full_value_qa.tsv", METADATA)
        own = tuple(f"{self.folder}/{name}" for name in named)
        return own if self.codebook is None else (*own, self.codebook)


@dataclass(frozen=True)
class ProbeSet:
    """The questions and who answered them."""

    items: Mapping[str, Item]
    values: Mapping[str, FloatArray]
    """Item to its codes as numbers."""
    answered: Mapping[str, Mapping[CountryCell, list[int]]]
    """Item to cell to the positions of the sampled people's answers."""
    everyone: Mapping[str, FloatArray]
    """Item to the counts of all other people's answers."""
    categories: Mapping[str, str]
    """Item to its category."""
    samples: pl.DataFrame
    """The sample as in the file."""


def cell_persona(cell: CountryCell) -> str:
    """How a question names a demographic cell, without the parts that the sample left empty."""
    continent, settlement, level = cell
    where = AREAS.get(settlement, settlement.lower())
    place = f"people in {where} of {continent}" if where else f"people in {continent}"
    return f"{place} whose level of education is {level.lower()}" if level else place


def read_probe_set(options: Options, folder: Path) -> ProbeSet:
    """Read the benchmark's files as the evaluation needs them.

    Raises
    ------
    InputError
        A file is not there or has another layout, a participant is not in the table or did not
        answer, or an answer is outside its scale.
    """
    root = folder / options.folder
    samples = _read_samples(root)
    metadata = variables(existing_file(root / METADATA, "folder"), Variable)
    codebook = {}
    if options.codebook is not None:
        codebook = variables(existing_file(folder / options.codebook, "codebook"), VariableEntry)
    table = read_csv(existing_file(root / "full" / "full_value_qa.tsv", "folder"))
    rows = {plain_code(name): row for row, name in enumerate(table[INTERVIEW].to_list())}
    items: dict[str, Item] = {}
    values: dict[str, FloatArray] = {}
    answered: dict[str, dict[CountryCell, list[int]]] = {}
    everyone: dict[str, FloatArray] = {}
    for name in dict.fromkeys(samples[QUESTION].to_list()):
        about = metadata.get(name)
        if about is None or about.scale is None or name not in table.columns:
            raise InputError(f"probe/samples.tsv: {name} is not a value question of the benchmark.")
        low, high = about.scale
        items[name] = _item(name, about, codebook.get(name))
        values[name] = np.arange(low, high + 1, dtype=np.float64)
        column = table[name].cast(pl.Float64, strict=False).to_numpy()
        cells: dict[CountryCell, list[int]] = defaultdict(list)
        drawn = []
        for sample in samples.filter(pl.col(QUESTION) == name).iter_rows(named=True):
            row = rows.get(plain_code(sample[INTERVIEW]))
            if row is None or not low <= column[row] <= high:
                what = (
                    "is not in full_value_qa.tsv" if row is None else "has no answer on the scale"
                )
                raise InputError(
                    f"probe/samples.tsv: participant {sample[INTERVIEW]} {what} ({name}); make "
                    "both files in one go."
                )
            drawn.append(row)
            cells[_cell(sample)].append(int(column[row] - low))
        answered[name] = dict(sorted(cells.items()))
        rest = np.delete(column, sorted(set(drawn)))
        rest = rest[(rest >= low) & (rest <= high)].astype(np.int64) - low
        everyone[name] = np.bincount(rest, minlength=high - low + 1).astype(np.float64)
    return ProbeSet(
        items, values, answered, everyone, {n: metadata[n].category for n in items}, samples
    )


def _read_samples(root: Path) -> pl.DataFrame:
    samples = read_csv(existing_file(root / "probe" / "samples.tsv", "folder"))
    absent = [n for n in (QUESTION, CATEGORY, *CELL, INTERVIEW) if n not in samples.columns]
    if absent:
        raise InputError(f"probe/samples.tsv has no column {absent[0]}; is it WorldValuesBench's?")
    return samples


def _item(name: str, about: Variable, entry: VariableEntry | None) -> Item:
    """The question in a person's words, one option for each point of its scale."""
    assert about.scale is not None
    points = [str(code) for code in range(about.scale[0], about.scale[1] + 1)]
    options = item_options(name, entry, None) if entry else ()
    if [option.code for option in options] == points:
        return Item(id=name, question=question_text(about.question), options=options)
    return Item(id=name, question=about.question, options=scale_options([(p, p) for p in points]))


def probe(given: ProbeInput) -> pl.DataFrame:
    """Each question as each demographic cell that has people in it, or once as the model itself."""
    file = read_probe_set(given.options, given.folder)
    if not given.as_population:
        probes = [PopulationProbe(AS_ITSELF, None, item) for item in file.items.values()]
        return probe_items(given, probes)
    return probe_items(
        given,
        [
            PopulationProbe(_joined(cell), cell_persona(cell), item)
            for name, item in file.items.items()
            for cell in file.answered[name]
        ],
    )


def _cell(sample: Mapping[str, Any]) -> CountryCell:
    continent, settlement, level = (sample[key] or "" for key in CELL)
    return continent, settlement, level


def _joined(cell: CountryCell) -> str:
    return " / ".join(part for part in cell if part)


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """Distance from the sampled people by question, and how many are within each threshold."""
    file = read_probe_set(given.options, given.folder)
    kept, removed = without_overlaps(given, list(file.items.values()), "wvb")
    units: dict[str, dict[str, list[Measured]]] = defaultdict(lambda: defaultdict(list))
    ceilings: dict[str, list[Measured]] = defaultdict(list)
    by_question: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    samples = {item.id: _Sample(file, item.id, seed) for item in kept}
    categories = {name: file.categories[name] for name in samples}
    constants: dict[str, list[ModelShares]] = {
        method: [{(AS_ITSELF, name): make(file, name) for name in samples}]
        for method, make in ((UNIFORM, uniform_of), (MAJORITY, majority_of))
    }
    for at_seed in given.splits:
        mixed = dict(constants)
        for method in given.methods:
            if (method, at_seed) in given.probes:
                mixed[method] = shares_by_model(given, method, at_seed)
                units["read"][method] += read_rows(given, method, at_seed, categories)
        for method, models in mixed.items():
            for said in models:
                for name, sample in samples.items():
                    for measure, row in sample.rows(said, at_seed):
                        units[measure][method].append(row)
                        if measure == "w1":
                            by_question[method][name].append(row.point)
        for sample in samples.values():
            for measure, row in sample.ceiling(at_seed):
                ceilings[measure].append(row)
    floors: dict[str, Any] = {
        name: by_method[UNIFORM] for name, by_method in units.items() if UNIFORM in by_method
    }
    figures, differences = make_figures(
        "wvb", units, [UNIFORM, MAJORITY, *given.methods], seed, floors, ceilings
    )
    return Scorecard(
        figures=figures,
        # Differences are against methods and the floor that every study has.
        figure_differences=tuple(
            d for d in differences if d.method in given.methods and d.against != MAJORITY
        ),
        notes=(
            *_probe_set_notes(file, list(samples)),
            removed_note(given, removed, len(file.items), "the probe set"),
            "A method asked as a population answers as each demographic cell; any other answers "
            "once for all of them. A question counts for a method only where the method could be "
            "read as every cell.",
            *refused_note(given),
        ),
        details={
            "thresholds": list(THRESHOLDS),
            "distances": {
                method: {name: float(np.mean(points)) for name, points in found.items()}
                for method, found in by_question.items()
            },
            "removed": removed,
        },
    )


def _probe_set_notes(file: ProbeSet, kept: Sequence[str]) -> Iterator[str]:
    people = sum(len(found) for name in kept for found in file.answered[name].values())
    yield (
        f"{plural(len(kept), 'question')} with {plural(people, 'answer')} of "
        f"{plural(file.samples[INTERVIEW].n_unique(), 'person')}, without weights, as "
        "the benchmark takes them."
    )
    absent = [name for name in PROBE_ITEMS if name not in file.items]
    if absent:
        yield f"Not among the questions of the file: {', '.join(absent)}."


def uniform_of(file: ProbeSet, name: str) -> FloatArray:
    """Every answer equally often."""
    return uniform(file.values[name].size)


def majority_of(file: ProbeSet, name: str) -> FloatArray:
    """The commonest answer of everyone who is not in the sample of the question."""
    counts = file.everyone[name]
    return np.asarray(np.eye(counts.size)[counts.argmax()])


class _Sample:
    """The people sampled for one question, whole and by each part of a cell (continent, ...)."""

    def __init__(self, file: ProbeSet, name: str, seed: int) -> None:
        self.name = name
        self.cluster = file.categories[name]
        self.values = file.values[name]
        self.cells = file.answered[name]
        generator = np.random.default_rng(
            [seed, PROBE_ITEMS.index(name) if name in PROBE_ITEMS else 0]
        )
        self.whole = _shares(list(self.cells), self.cells, self.values.size)
        count = sum(len(found) for found in self.cells.values())
        self.replicates = generator.multinomial(count, self.whole, size=REPLICATES) / count
        self.groups: dict[str, list[CountryCell]] = defaultdict(list)
        for cell in self.cells:
            for part in filter(None, cell):
                self.groups[part].append(cell)

    def rows(self, said: ModelShares, seed: int) -> Iterator[tuple[str, Measured]]:
        """One model's rows on this question, over all people and by group.

        A model has a row where it could be read as every cell in it: without the cells that it
        refused, its mixture would be of other people than those it is compared with.
        """
        model = self._mixture(said, list(self.cells))
        if model is not None:
            point = float(ordinal_earth_movers_distance(self.whole, model, self.values))
            drawn = ordinal_earth_movers_distance(self.replicates, model, self.values)
            yield from self._counted(seed, point, drawn)
        for group, cells in sorted(self.groups.items()):
            own = self._mixture(said, cells)
            if own is not None:
                people = _shares(cells, self.cells, self.values.size)
                far = float(ordinal_earth_movers_distance(people, own, self.values))
                yield "w1_groups", Measured(seed, group, self.name, self.cluster, far, np.ones(1))

    def ceiling(self, seed: int) -> Iterator[tuple[str, Measured]]:
        """As many people drawn again from those sampled, compared with them; the mean of draws.

        A model that knew the population would be this far from its sample, as in Suh et al. (2025).
        """
        drawn = ordinal_earth_movers_distance(self.replicates, self.whole, self.values)
        means = {"w1": drawn} | {measure_name(t): drawn <= t + SLACK for t in THRESHOLDS}
        for measure, found in means.items():
            mean = float(np.mean(found))
            yield measure, Measured(seed, SAMPLE, self.name, self.cluster, mean, np.ones(1))

    def _counted(
        self, seed: int, point: float, drawn: FloatArray
    ) -> Iterator[tuple[str, Measured]]:
        place = (seed, SAMPLE, self.name, self.cluster)
        yield "w1", Measured(*place, point, drawn)
        for threshold in THRESHOLDS:
            within = float(point <= threshold + SLACK)
            yield measure_name(threshold), Measured(*place, within, np.ones(1))

    def _mixture(self, said: ModelShares, cells: Sequence[CountryCell]) -> FloatArray | None:
        """The model's shares over cells, each counted as often as people of it were sampled.

        None where the model could not be read as one of the cells.
        """
        total: FloatArray = np.zeros(self.values.size)
        for cell in cells:
            shares = said.get((_joined(cell), self.name), said.get((AS_ITSELF, self.name)))
            if shares is None:
                return None
            total += len(self.cells[cell]) * shares
        return np.asarray(total / total.sum())


def _shares(
    cells: Sequence[CountryCell], by_cell: Mapping[CountryCell, list[int]], size: int
) -> FloatArray:
    counts = Counter(position for cell in cells for position in by_cell[cell])
    found = np.array([counts[k] for k in range(size)], dtype=np.float64)
    return np.asarray(found / found.sum())


def measure_name(threshold: float) -> str:
    """The name of the share of questions at or below a threshold: "within_20" for 0.20."""
    return f"within_{round(100 * threshold):02d}"


def predictions(asked: pl.DataFrame, file: ProbeSet, seed: int) -> pl.DataFrame:
    """Write a model's answers as the benchmark's own script reads them.

    Parameters
    ----------
    asked
        What `probe` returned for one model.
    file
        The probe set.
    seed
        Draws an answer from the shares of each person's cell.

    Returns
    -------
    DataFrame
        A row for each sampled person, in the order of the sample, with QUESTION_ID, PARTICIPANT_ID
        and SCORE. A refused cell has "" for a score, which the script leaves out.
    """
    kept = asked.filter(~pl.col("refused"))
    said = {
        (row["population"], row["item"]): np.array(row["shares"])
        for row in kept.select("population", "item", "shares").to_dicts()
    }
    generator = np.random.default_rng([seed, 4])
    rows = []
    for sample in file.samples.iter_rows(named=True):
        name, cell = sample[QUESTION], _cell(sample)
        shares = said.get((_joined(cell), name), said.get((AS_ITSELF, name)))
        score = ""
        if shares is not None:
            score = str(int(generator.choice(file.values[name], p=shares / shares.sum())))
        rows.append((name, sample[INTERVIEW], score))
    return pl.DataFrame(rows, schema=dict.fromkeys(PREDICTION_COLUMNS, pl.String), orient="row")


def predictions_of(
    asked: pl.DataFrame, options: EvaluationOptions, folder: Path, seed: int
) -> pl.DataFrame:
    """`predictions` over the files that a study's options name.

    Raises InputError where several models answered, one for each value set.
    """
    models = asked["value_set"].unique().sort().to_list()
    if len(models) > 1:
        raise InputError(
            f"this method has a model for each value set ({', '.join(models)}); the benchmark's "
            "files are of one model."
        )
    assert isinstance(options, Options)
    return predictions(asked, read_probe_set(options, folder), seed)


def _prompts(
    value_sets: Sequence[ValueSet], splits: Sequence[ItemSplit], options: Options, folder: Path
) -> int:
    """As many as the sample needs, over the value sets: cells are asked once for all."""
    cells = _read_samples(folder / options.folder).select(QUESTION, *CELL).unique().height
    return round(WAYS * cells / max(len(value_sets), 1))


def _within(threshold: float) -> Measure:
    return Measure(
        name=measure_name(threshold),
        lowest=0.0,
        highest=1.0,
        label=f"Questions within {threshold:.2f}",
        explanation="Share of questions whose Wasserstein distance from the people sampled is "
        f"{threshold:.2f} or less: the benchmark's own figure, at one of its thresholds.",
        better="higher",
        unit="questions",
        headline=threshold == HEADLINE,
        digits=2,
        in_table=threshold in (0.1, HEADLINE, 0.3),
    )


EVALUATION = Evaluation(
    "wvb",
    score,
    question="How does it do on WorldValuesBench, measured as that benchmark measures?",
    cannot_show="How well the model fits the public of one country. The sample has five people of"
    " each kind, without weights, and a study on the World Values Survey learns from the same "
    "respondents.",
    measures=(
        Measure(
            name="w1",
            lowest=0.0,
            highest=1.0,
            label="Wasserstein distance",
            explanation="The mean over questions of the Wasserstein distance between the answers "
            "of the people sampled and the model's, both rescaled to 0 to 1. The floor is the even "
            "answer, the ceiling as many people drawn again from the sample.",
            better="lower",
            unit="questions",
        ),
        *(_within(threshold) for threshold in THRESHOLDS),
        Measure(
            name="w1_groups",
            lowest=0.0,
            highest=1.0,
            label="Wasserstein distance, by group",
            explanation="The same within each continent, settlement and level of education, and "
            "the mean over those groups: a model that gives everybody the same answer may be "
            "near the whole and far from each group.",
            better="lower",
            unit="questions",
        ),
        READ,
    ),
    options=Options,
    probe=probe,
    asks_for_shares=True,
    prompts=_prompts,
)
