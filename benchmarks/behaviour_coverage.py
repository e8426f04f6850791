"""How often `behaviour` would mistake chance for depth, by models that act at random.

    python benchmarks/behaviour_coverage.py --models 200

On the GSS's liberals and conservatives, each model states the share --stated of the way to the
people, and in every scenario acts by the mean of four even draws, one for each way of asking. Its
true effect on behaviour and its true depth are 0. The script prints how many of the 95% intervals
contain 0; below 0.85 the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from suffrage.evaluate.asking.scenarios import scenarios_for
from suffrage.evaluate.behaviour import Moved, place_on_scale
from suffrage.evaluate.statistics.figures import make_figures
from suffrage.population import build_value_set
from suffrage.survey import read_survey
from suffrage.training_data.split import item_clusters

LEAST = 0.85


def main() -> None:
    """Print the coverage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--stated", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    survey = read_survey({"reader": "gss_spending"}, Path())
    sets = [
        build_value_set(survey, name, {"ideology3": name}, 1)
        for name in ("liberal", "conservative")
    ]
    clusters = item_clusters(survey.codebook.items)
    scenarios = scenarios_for(survey.codebook.items)
    generator = np.random.default_rng(given.seed)
    held = {"behavioural effect": 0, "depth": 0}
    for _ in range(given.models):
        rows = []
        for value_set in sets:
            for scenario in scenarios:
                target = value_set.distributions[scenario.item]
                people = float(place_on_scale(target.shares))
                rows.append(
                    Moved(
                        method="model",
                        seed=1,
                        value_set=value_set.name,
                        scenario=scenario.id,
                        item=scenario.item,
                        cluster=clusters[scenario.item],
                        people=people,
                        people_replicates=place_on_scale(target.replicates),
                        stated=0.5 + given.stated * (people - 0.5),
                        acted=float(generator.random(4).mean()),
                        base_stated=0.5,
                        base_acted=0.5,
                    )
                )
        units = {
            "behavioural effect": {"model": [r.share_of_way(r.acted - 0.5) for r in rows]},
            "depth": {"model": [r.depth for r in rows]},
        }
        figures, _ = make_figures("behaviour", units, ["model"], 1)
        for figure in figures:
            if figure.value_set == "all" and figure.low is not None and figure.high is not None:
                held[figure.measure] += figure.low <= 0 <= figure.high
    groups = len(set(clusters.values()))
    shares = {measure: count / given.models for measure, count in held.items()}
    if given.json:
        print(json.dumps(shares))
    else:
        print(f"{len(scenarios)} scenarios, {groups} groups of questions, {given.models} models")
        for measure, share in shares.items():
            print(f"{measure}: {share:.1%} of the 95% intervals hold 0")
    if min(shares.values()) < LEAST:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
