"""`structure`: does the pattern of the answers look like a people's, or like one average person's?

Three patterns are compared with people's: which items rise and fall together from group to group,
which groups answer alike, and on which items a group is divided. Only items held out count, where
any are.

It cannot show how the answers of one person hang together: a model asked item by item has no
persons.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from suffrage.arrays import BoolArray, FloatArray, IntArray
from suffrage.errors import InputError
from suffrage.evaluate.asking.groups import (
    Shares,
    letter_shares,
    order_moves,
    ratio_row,
    read_places,
    scored_items,
    smallest_groups,
    unread_notes,
)
from suffrage.evaluate.results import Measure
from suffrage.evaluate.scorecard import Evaluation, EvaluationInput, Scorecard
from suffrage.evaluate.statistics.common_cells import CommonCells
from suffrage.evaluate.statistics.figures import drawn_figures, make_figures
from suffrage.evaluate.statistics.intervals import (
    Draws,
    Estimate,
    Measured,
    combined,
    make_draws,
    resampled_estimate,
    without_interval,
)
from suffrage.population import ValueSet
from suffrage.survey import Item
from suffrage.values.circle import FEWEST_VALUES, correspondence_index
from suffrage.values.direction import scale_direction
from suffrage.values.item_keys import ItemKey, instruments, item_key

NAME = "structure"
FEWEST_GROUPS = 3
# Three groups have three distances, which six orders can match: chance alone reaches nearly 1.
FEWEST_FOR_DISTANCES = 4
FEWEST_ITEMS = 4
SHUFFLES = 999
# Below this a pattern does not vary: every item, group or spread is the same.
FLAT = 1e-12
# Replicates of the respondents that a draw picks from, more than there are.
MOVES = 10_000

_FLOOR = "The floor is what one in twenty random orders of the questions reaches"
MEASURES = (
    Measure(
        name="weakest",
        lowest=0.0,
        label="Weakest of three patterns",
        explanation="How well the model’s answers follow the weakest of three patterns in "
        "people’s answers: "
        "where groups are divided, which questions go together, which groups are alike. 0 is "
        "what one in twenty random orders reaches, 1 is what one half of the respondents shows "
        "of the other. One average person, however near to the people as a "
        "whole, has 0. The interval is that of the weakest pattern.",
        better="higher",
        unit="patterns",
        headline=True,
        digits=2,
    ),
    Measure(
        name="spread_pattern",
        lowest=-1.0,
        highest=1.0,
        label="Where groups are divided",
        explanation="Correlation over groups and questions of how divided the model’s answers are "
        "with how divided people’s are (the chance that two answers differ, divided by its "
        "largest value). A model that is never divided, or always equally divided, has 0. "
        f"{_FLOOR}, the ceiling one half of the respondents against the other.",
        better="higher",
        unit="questions",
        digits=2,
    ),
    Measure(
        name="items_together",
        lowest=-1.0,
        highest=1.0,
        label="Which questions go together",
        explanation="For each two ordered questions, whether groups that answer one higher answer "
        "the other higher too (their correlation over groups); then the correlation of all these "
        f"between the model and people. {_FLOOR}, the ceiling one half of the respondents against "
        "the other.",
        better="higher",
        unit="questions",
        digits=2,
    ),
    Measure(
        name="groups_alike",
        lowest=-1.0,
        highest=1.0,
        label="Which groups are alike",
        explanation="Correlation of the distances between groups in the model’s answers with those "
        "in people’s. The floor is what one in twenty random orders of the groups reaches, the "
        "ceiling one half of the respondents against the other.",
        better="higher",
        unit="questions",
        digits=2,
    ),
    Measure(
        name="spread",
        lowest=0.0,
        label="A distribution or a point",
        explanation="Within a group, the chance that two of the model’s answers to a question "
        "differ, "
        "divided by the chance that two people’s do. Near 0 the model is one person, the same "
        "each time; above 1 it is more divided than people are. The part that the options’ order "
        "may add is subtracted.",
        better="nearer 1",
        unit="questions",
        digits=2,
    ),
    Measure(
        name="circle",
        lowest=-1.0,
        highest=1.0,
        label="Values in a circle",
        explanation="Of the predictions that Schwartz’s circle makes about which values go "
        "together, the share that holds over the groups minus the share that fails. Over all "
        "questions of the instrument, also those trained on. The floor is chance, the ceiling what "
        "people’s own answers reach.",
        better="higher",
        unit="values",
        digits=2,
    ),
)


@dataclass(frozen=True, eq=False)
class _Grid:
    """Answers of all groups to the items that all of them and the model answered, item by item."""

    items: Sequence[str]
    clusters: Sequence[str]
    ordered: BoolArray
    people: Sequence[FloatArray]
    """People's shares, (groups, options)."""
    model: Sequence[FloatArray]
    """The model's shares, (groups, options)."""
    replicates: Sequence[FloatArray]
    """People's shares under resampled respondents, (draws, groups, options)."""
    halves: Sequence[tuple[FloatArray, FloatArray]]
    """Those of two halves of the respondents, (draws, groups, options) each."""


def score(given: EvaluationInput, seed: int) -> Scorecard:
    """The figures, and the correlations behind them."""
    groups = smallest_groups(given.value_sets)
    said = {place: letter_shares(answers) for place, answers in given.answers.items()}
    notes = [] if len(groups) >= FEWEST_FOR_DISTANCES else [_too_few(len(groups))]
    draws = _draws(given, groups, seed)
    readable, cells = _readable_items(given, groups, said)
    found: dict[str, dict[str, Estimate]] = {name: {} for name in PATTERNS}
    pictures: dict[str, Any] = {}
    for method in given.methods if draws is not None else ():
        assert draws is not None
        by_seed: dict[str, list[Estimate]] = {name: [] for name in PATTERNS}
        for split_seed in given.splits:
            items = readable[method, split_seed]
            grid = _grid(given, groups, split_seed, said[method, split_seed], items)
            for name, (pattern, fewest) in PATTERNS.items():
                if len(groups) >= fewest:
                    part = pattern(grid, draws, seed)
                    by_seed[name] += [] if part is None else [part]
            if split_seed == next(iter(given.splits)):
                drawn = _pictures(method, grid)
                # A model that could not be read everywhere must not cut people's picture.
                if len(pictures.get("people", {"items": ()})["items"]) >= len(grid.items):
                    drawn.pop("people", None)
                pictures |= drawn
        for name, parts in by_seed.items():
            if len(parts) == len(given.splits):
                found[name][method] = _mean(parts)
    if len(groups) >= FEWEST_GROUPS and given.methods and not found["items_together"]:
        notes.append(
            f"Fewer than {FEWEST_ITEMS} ordered questions were answered by all groups, so which "
            "questions go together was not measured."
        )
    figures, differences = make_figures(
        NAME,
        {"spread": {m: _spread_rows(given, said, m) for m in given.methods}},
        given.methods,
        seed,
        {"spread": 0.0},
        {"spread": 1.0},
        given.left_out,
    )
    circles, circle_notes, circle_details = _circles(given, groups, said, seed)
    weakest, which = _weakest(found, given.methods)
    for name, drawn in (("weakest", weakest), *found.items(), ("circle", circles)):
        answered = None if name == "circle" else cells
        more, more_differences = drawn_figures(NAME, name, drawn, given.methods, cells=answered)
        figures, differences = (*figures, *more), (*differences, *more_differences)
    return Scorecard(
        figures=figures,
        figure_differences=differences,
        notes=(
            *notes,
            *unread_notes(given.answers, groups, given.splits),
            *circle_notes,
        ),
        details={
            "groups": [v.name for v in groups],
            "weakest": which,
            "items": pictures,
            "circle": circle_details,
        },
    )


def _weakest(
    found: Mapping[str, Mapping[str, Estimate]], methods: Sequence[str]
) -> tuple[dict[str, Estimate], dict[str, str]]:
    """Each method's weakest pattern: 0 is chance, 1 is what the other half of the people shows.

    A pattern that people's own halves show no better than chance is not counted.
    """
    result, which = {}, {}
    for method in methods:
        ways = {}
        for name, drawn in found.items():
            if method not in drawn:
                continue
            one = drawn[method]
            floor, top = one.floor or 0.0, 1.0 if one.ceiling is None else one.ceiling
            if top - floor > FLAT:
                ways[name] = _way(one, floor, top)
        if ways:
            name = min(ways, key=lambda pattern: ways[pattern].value)
            ends = (ways[name].low, ways[name].high)
            low, high = (None if q is None else max(q, 0.0) for q in ends)
            least = combined(_least, *ways.values(), n=len(ways), floor=0.0, ceiling=1.0)
            result[method] = replace(least, own_interval=(low, high))
            which[method] = name
    return result, which


def _way(one: Estimate, floor: float, top: float) -> Estimate:
    """The share of the way from a pattern's floor to its ceiling."""
    return combined(lambda found: (found - floor) / (top - floor), one)


def _least(*ways: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(np.min(ways, axis=0), 0.0))


def _draws(given: EvaluationInput, groups: Sequence[ValueSet], seed: int) -> Draws | None:
    """Resamples of the clusters scored in any seed; None where no item is."""
    clusters = [
        split.clusters[item]
        for split in given.splits.values()
        for v in groups
        for item in scored_items(v, split)
    ]
    return make_draws(clusters, ["all"], MOVES, seed) if clusters else None


def _readable_items(
    given: EvaluationInput, groups: Sequence[ValueSet], said: Mapping[tuple[str, int], Shares]
) -> tuple[dict[tuple[str, int], list[str]], CommonCells]:
    """The items compared, by method and seed, and which answers each method gave.

    An item is compared where all groups were asked it and all methods could be read on it in all
    groups.
    """
    asked = {
        seed: [
            item
            for item in sorted({i for v in groups for i in scored_items(v, split)})
            if all(item in v.distributions for v in groups)
        ]
        for seed, split in given.splits.items()
    }
    cells = CommonCells(
        {
            method: frozenset(
                (seed, item)
                for seed, items in asked.items()
                for item in items
                if all((v.name, item) in said[method, seed] for v in groups)
            )
            for method in given.methods
        }
    )
    return {
        (method, seed): [
            item
            for item in items
            if (seed, item) in cells.by_method[method] and (seed, item) in cells.compared
        ]
        for method in given.methods
        for seed, items in asked.items()
    }, cells


def _too_few(count: int) -> str:
    return (
        f"Groups here of which no other is a part: {count}. Which questions go together needs "
        f"{FEWEST_GROUPS} such groups, which groups are alike {FEWEST_FOR_DISTANCES}."
    )


def _grid(
    given: EvaluationInput,
    groups: Sequence[ValueSet],
    seed: int,
    said: Shares,
    common: Sequence[str],
) -> _Grid:
    split = given.splits[seed]
    targets = {item: [v.distributions[item] for v in groups] for item in common}
    drawn = min((len(d.replicates) for some in targets.values() for d in some), default=0)
    split_count = min((len(d.first_halves) for some in targets.values() for d in some), default=0)
    return _Grid(
        items=list(common),
        clusters=[split.clusters[item] for item in common],
        ordered=np.array([targets[item][0].item.ordered for item in common], dtype=bool),
        people=[np.array([d.shares for d in targets[item]]) for item in common],
        model=[np.array([said[v.name, item] for v in groups]) for item in common],
        replicates=[
            np.stack([d.replicates[:drawn] for d in targets[item]], axis=1) for item in common
        ],
        halves=[
            (
                np.stack([d.first_halves[:split_count] for d in targets[item]], axis=1),
                np.stack([d.second_halves[:split_count] for d in targets[item]], axis=1),
            )
            for item in common
        ],
    )


# --- Patterns -----------------------------------------------------------------------------------


def disagreement(shares: FloatArray) -> FloatArray:
    """Return the chance that two answers differ, divided by its largest value for K options.

    Parameters
    ----------
    shares : array, shape (..., K)

    Returns
    -------
    array, shape (...)
        0 (all answer alike) to 1 (all options equally often).

    References
    ----------
    Simpson (1949), Measurement of diversity, Nature 163, 688.

    Examples
    --------
    >>> float(disagreement(np.array([0.5, 0.5])))
    1.0
    """
    count = shares.shape[-1]
    return np.asarray((1 - np.square(shares).sum(-1)) / (1 - 1 / count))


def mean_positions(by_item: Sequence[FloatArray]) -> FloatArray:
    """(..., groups, items): mean positions from 0 to 1. by_item: arrays (..., groups, K)."""
    return np.stack([shares @ np.linspace(0, 1, shares.shape[-1]) for shares in by_item], axis=-1)


def correlations(table: FloatArray) -> FloatArray:
    """Correlations of columns over rows, 0 where a column does not vary.

    table: (..., rows, columns). Returns (..., columns, columns).
    """
    centred = table - table.mean(axis=-2, keepdims=True)
    length = np.sqrt(np.square(centred).sum(axis=-2, keepdims=True))
    scaled = np.divide(centred, length, where=length > FLAT, out=np.zeros_like(centred))
    return np.asarray(np.swapaxes(scaled, -1, -2) @ scaled)


def weighted_correlation(x: FloatArray, y: FloatArray, w: FloatArray) -> FloatArray:
    """Pearson's correlation over the last axis under weights, 0 where either does not vary.

    x, y, w broadcast over each other.
    """
    total = w.sum(-1)
    total = np.where(total > 0, total, 1)
    mean_x, mean_y = (w * x).sum(-1) / total, (w * y).sum(-1) / total
    dx, dy = x - mean_x[..., None], y - mean_y[..., None]
    vx, vy = (w * dx * dx).sum(-1), (w * dy * dy).sum(-1)
    both = vx * vy
    found = np.zeros_like(both)
    np.divide((w * dx * dy).sum(-1), np.sqrt(both), where=both > FLAT**2, out=found)
    return np.asarray(found)


def _item_weights(grid: _Grid, places: IntArray, draws: Draws) -> FloatArray:
    """How often each item's cluster counts, (1 + clusters + DRAWS, items): see `Draws.weights`."""
    return draws.weights[:, [draws.place[grid.clusters[int(place)]] for place in places]]


def _correlated(
    grid: _Grid,
    places: IntArray,
    draws: Draws,
    *,
    model: FloatArray,
    people: FloatArray,
    under_weights: FloatArray,
    replicates: FloatArray,
    chance: FloatArray,
    halves: Sequence[FloatArray],
) -> Estimate:
    """The correlation of the model's pattern with people's, with floor, ceiling and error.

    Parameters
    ----------
    places
        Which items of the grid are in the pattern.
    model, people : array, shape (parts,)
        The patterns that are correlated.
    under_weights : array, shape (1 + clusters + DRAWS,)
        The correlation under each row of `draws.weights`.
    replicates : array, shape (replicates, parts)
        People's pattern under resampled respondents, which moves the draws.
    chance : array, shape (SHUFFLES, parts)
        The model's pattern in random order. The floor is what one in twenty reaches.
    halves
        Two arrays of shape (halves, parts), people's pattern in either half of the respondents.
    """
    even = np.ones(model.size)
    under_replicates = weighted_correlation(model, replicates, even)
    moves = under_replicates - under_replicates.mean() if under_replicates.size else np.empty(0)
    sizes = draws.sizes([grid.clusters[int(place)] for place in places])
    tops = weighted_correlation(halves[0], halves[1], even)
    return replace(
        resampled_estimate(under_weights, moves, draws, sizes, places.size),
        floor=float(np.quantile(weighted_correlation(chance, people, even), 0.95)),
        ceiling=float(tops.mean()) if tops.size else None,
    )


def _spread_pattern(grid: _Grid, draws: Draws, seed: int) -> Estimate | None:
    """How divided answers are, over groups and items: model against people."""
    if len(grid.items) < FEWEST_ITEMS:
        return None
    places = np.arange(len(grid.items))

    def spread(by_item: Sequence[FloatArray]) -> FloatArray:
        """(..., items, groups)."""
        return np.stack([disagreement(shares) for shares in by_item], axis=-2)

    def flat(table: FloatArray) -> FloatArray:
        return table.reshape(*table.shape[:-2], -1)

    model, people = spread(grid.model), flat(spread(grid.people))
    weights = np.repeat(_item_weights(grid, places, draws), model.shape[-1], axis=-1)
    return _correlated(
        grid,
        places,
        draws,
        model=flat(model),
        people=people,
        under_weights=weighted_correlation(flat(model), people, weights),
        replicates=flat(spread(grid.replicates)),
        chance=flat(model[_orders(len(places), seed)]),
        halves=[flat(spread([pair[k] for pair in grid.halves])) for k in (0, 1)],
    )


def _items_together(grid: _Grid, draws: Draws, seed: int) -> Estimate | None:
    """Correlations of items over groups: a Mantel (1967) correlation of the two matrices."""
    places = np.flatnonzero(grid.ordered)
    if places.size < FEWEST_ITEMS:
        return None
    rows, columns = np.triu_indices(places.size, 1)

    def together(by_item: Sequence[FloatArray]) -> FloatArray:
        return correlations(mean_positions([by_item[int(place)] for place in places]))

    def pairs(by_item: Sequence[FloatArray]) -> FloatArray:
        return np.asarray(together(by_item)[..., rows, columns])

    table = together(grid.model)
    model, people = table[rows, columns], pairs(grid.people)
    return _correlated(
        grid,
        places,
        draws,
        model=model,
        people=people,
        # An item drawn twice makes no pair with itself.
        under_weights=_in_blocks(model, people, _item_weights(grid, places, draws), rows, columns),
        replicates=pairs(grid.replicates),
        chance=_shuffled(table, rows, columns, seed),
        halves=[pairs([pair[k] for pair in grid.halves]) for k in (0, 1)],
    )


def _in_blocks(
    own: FloatArray,
    people: FloatArray,
    counts: FloatArray,
    rows: IntArray,
    columns: IntArray,
    size: int = 200,
) -> FloatArray:
    """The correlation under every draw of items; some draws at a time, to bound the memory."""
    return np.concatenate(
        [
            weighted_correlation(own, people, block[:, rows] * block[:, columns])
            for block in np.split(counts, range(size, len(counts), size))
        ]
    )


def _groups_alike(grid: _Grid, draws: Draws, seed: int) -> Estimate | None:
    """Distances between groups, mean total variation over items: model against people."""
    if not grid.items:
        return None
    count = len(grid.people[0])
    rows, columns = np.triu_indices(count, 1)

    def apart(by_item: Sequence[FloatArray]) -> FloatArray:
        """(..., items, pairs)."""
        return np.stack(
            [
                np.abs(shares[..., rows, :] - shares[..., columns, :]).sum(-1) / 2
                for shares in by_item
            ],
            axis=-2,
        )

    model, people = apart(grid.model), apart(grid.people)
    places = np.arange(len(grid.items))
    counts = _item_weights(grid, places, draws)
    weights = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    table = np.zeros((count, count))
    table[rows, columns] = table[columns, rows] = model.mean(axis=0)
    return _correlated(
        grid,
        places,
        draws,
        model=model.mean(axis=0),
        people=people.mean(axis=0),
        under_weights=weighted_correlation(weights @ model, weights @ people, np.ones(rows.size)),
        replicates=apart(grid.replicates).mean(axis=-2),
        chance=_shuffled(table, rows, columns, seed),
        halves=[apart([pair[k] for pair in grid.halves]).mean(axis=-2) for k in (0, 1)],
    )


# The function of each pattern, and the fewest groups that it needs.
PATTERNS: Mapping[str, tuple[Callable[[_Grid, Draws, int], Estimate | None], int]] = {
    "spread_pattern": (_spread_pattern, 1),
    "items_together": (_items_together, FEWEST_GROUPS),
    "groups_alike": (_groups_alike, FEWEST_FOR_DISTANCES),
}


def _shuffled(table: FloatArray, rows: IntArray, columns: IntArray, seed: int) -> FloatArray:
    """The pairs of a square table with its rows and columns in random orders."""
    orders = _orders(len(table), seed)
    return np.array([table[np.ix_(order, order)][rows, columns] for order in orders])


def _orders(count: int, seed: int) -> IntArray:
    """(SHUFFLES, count): random orders."""
    generator = np.random.default_rng([seed, 4])
    return np.array([generator.permutation(count) for _ in range(SHUFFLES)])


def _mean(parts: Sequence[Estimate]) -> Estimate:
    """The mean over seeds."""
    if len(parts) == 1:
        return parts[0]
    tops = [part.ceiling for part in parts]
    return combined(
        lambda *values: np.mean(values, axis=0),
        *parts,
        n=max(part.n for part in parts),
        floor=float(np.mean([part.floor for part in parts if part.floor is not None])),
        ceiling=None if None in tops else float(np.mean([top for top in tops if top is not None])),
    )


def _spread_rows(
    given: EvaluationInput, said: Mapping[tuple[str, int], Shares], method: str
) -> list[Measured]:
    """Simpson's chance of difference, model over people; a row for each group and item.

    Without what the order of the options alone can add: where each order's answer has a total
    variation of s from the mean answer, at most 2 s^2.
    """
    rows = []
    for seed in given.splits:
        moves = order_moves(given.answers[method, seed])
        for at, people, shares in read_places(given, seed, said[method, seed]):
            added = moves.get((at[1], at[2]), 0.0) ** 2 * 2 / (1 - 1 / shares.size)
            rows.append(ratio_row(at, disagreement, people, shares, from_order=added))
    return rows


def _pictures(method: str, grid: _Grid) -> dict[str, Any]:
    """Correlations of ordered items over groups, of people and of the model."""
    places = np.flatnonzero(grid.ordered)
    if places.size < FEWEST_ITEMS or len(grid.people[0]) < FEWEST_GROUPS:
        return {}
    return {
        name: {
            "items": [grid.items[int(place)] for place in places],
            "correlations": correlations(mean_positions([table[int(p)] for p in places]))
            .round(3)
            .tolist(),
        }
        for name, table in (("people", grid.people), (f"model {method}", grid.model))
    }


# --- The circle ---------------------------------------------------------------------------------


def _key(items: Sequence[Item]) -> tuple[ItemKey, dict[str, Item]] | None:
    """The instrument all of whose items are there, and the item of each variable."""
    by_id = {item.id: item for item in items}
    for instrument in instruments():
        key = item_key(instrument)
        names = key.names_in(items)
        if len(names) == len(key.variables):
            return key, {variable: by_id[name] for variable, name in names.items()}
    return None


def value_means(
    key: ItemKey, items: Mapping[str, Item], shares: Mapping[str, FloatArray]
) -> FloatArray:
    """A group's mean on each value, centred on its mean over all items.

    Answers count toward the end that means most (`values.direction`). items: of each variable.
    shares: by item.
    """
    mean = {}
    for variable, item in items.items():
        place = float(shares[item.id] @ np.arange(len(item.options)))
        mean[variable] = place if scale_direction(item).is_last else len(item.options) - 1 - place
    centre = float(np.mean(list(mean.values())))
    return np.array(
        [np.mean([mean[variable] for variable in items]) - centre for items in key.items.values()]
    )


def _circles(
    given: EvaluationInput,
    groups: Sequence[ValueSet],
    said: Mapping[tuple[str, int], Shares],
    seed: int,
) -> tuple[dict[str, Estimate], list[str], dict[str, Any]]:
    asked = {i: d.item for v in groups for i, d in v.distributions.items()}
    found = _key([*asked.values()])
    if found is None:
        return (
            {},
            [
                "The questions here have no key to a taxonomy of values in a circle, so the "
                "circle was not measured."
            ],
            {},
        )
    key, items = found
    try:
        for item in items.values():
            scale_direction(item)
    except InputError as error:
        return {}, [f"Whether values form a circle was not measured: {error}"], {}
    whose = key.taxonomy
    places = {value.id: value.place for value in whose.values}
    if len(groups) < FEWEST_VALUES or not whose.is_circle or len(key.items) < FEWEST_VALUES:
        return (
            {},
            [f"The circle of values needs {FEWEST_VALUES} groups; there are {len(groups)}."],
            {},
        )
    most = max(place for place in places.values() if place is not None)
    degrees = np.array([(places[value] or 0) * 360 / most for value in key.items])

    def index(by_group: Sequence[Mapping[str, FloatArray]]) -> tuple[float, float] | None:
        if any(item.id not in shares for shares in by_group for item in items.values()):
            return None
        table = np.array([value_means(key, items, shares) for shares in by_group])
        return correspondence_index(correlations(table), degrees, seed)

    people = index([{i: d.shares for i, d in v.distributions.items()} for v in groups])
    result: dict[str, Estimate] = {}
    draws = make_draws(["all"], ["all"], 1, seed)
    details: dict[str, Any] = {"instrument": key.instrument, "p": {}}
    for method in given.methods:
        parts = []
        for split_seed in given.splits:
            shares: dict[str, dict[str, FloatArray]] = defaultdict(dict)
            for (name, asked_item), some in said[method, split_seed].items():
                shares[name][asked_item] = some
            part = index([shares[v.name] for v in groups])
            if part is not None:
                parts.append(part)
        if parts and len(parts) == len(given.splits):
            value = float(np.mean([part[0] for part in parts]))
            top = None if people is None else people[0]
            result[method] = without_interval(value, draws, len(key.items), 0.0, top)
            details["p"][method] = float(max(part[1] for part in parts))
    if people is not None:
        details["p"]["people"] = people[1]
    return result, [], details


EVALUATION = Evaluation(
    NAME,
    score,
    question="Does it answer like a people, or like one average person?",
    cannot_show="How the answers of one person belong together. A model that is asked one "
    "question at a time has no persons, so only patterns over groups and questions are measured.",
    measures=MEASURES,
)
