"""WorldValuesBench's layout for `evaluate: wvb`, from country files that hold its probe questions.

    python examples/worldvaluesbench_of_countries.py FOLDER OUTPUT

FOLDER holds country files of the World Values Survey (`B_COUNTRY_ALPHA` and questions, no interview
numbers, no settlement, no education) and the benchmark's question_metadata.json, codebook.json and
country2continent.csv. People are numbered, and as many are drawn from each continent as make up the
benchmark's count for one question. This is the benchmark's measure on some of its questions, not
the benchmark: that needs the archive's own file (`suffrage survey worldvaluesbench`).
"""

from __future__ import annotations

import csv
import random
import sys
from pathlib import Path

import polars as pl

from suffrage import storage
from suffrage.survey.formats.wvs7_codebook import variables
from suffrage.survey.reading import read_csv
from suffrage.survey.worldvaluesbench import (
    CONTINENTS,
    INTERVIEW,
    METADATA,
    PROBE_ITEMS,
    Variable,
    adjusted_answers,
)

# 8,280 answers of the published probe set to 36 questions.
PEOPLE_A_QUESTION = 230


def main(folder: Path, output: Path) -> None:
    """Write OUTPUT/full, OUTPUT/probe and the metadata, all or nothing."""
    metadata = variables(folder / METADATA, Variable)
    with (folder / CONTINENTS).open(encoding="utf-8") as file:
        continents = {row["Country"]: row["Continent"] for row in csv.DictReader(file)}
    parts = []
    for country, continent in sorted(continents.items()):
        path = folder / f"{country}.csv"
        if path.is_file():
            frame = read_csv(path).filter(pl.col("B_COUNTRY_ALPHA").fill_null("") != "")
            parts.append(frame.with_columns(Continent=pl.lit(continent)))
    people = pl.concat(parts, how="diagonal").with_row_index(INTERVIEW, offset=1)
    items = [item for item in PROBE_ITEMS if item in people.columns and item in metadata]
    values = people.select(
        pl.col(INTERVIEW).cast(pl.String), *(adjusted_answers(people[item], item) for item in items)
    )
    generator = random.Random(0)
    places = sorted(set(people["Continent"]))
    samples = []
    for item in items:
        about = metadata[item]
        for place in places:
            there = values.filter((people["Continent"] == place) & pl.col(item).is_not_null())
            drawn = generator.sample(there[INTERVIEW].to_list(), PEOPLE_A_QUESTION // len(places))
            samples += [(item, about.category, place, "", "", person) for person in drawn]
    names = ["Question", "Question Category", "Continent", "Urban / Rural", "Education", INTERVIEW]
    sampled = pl.DataFrame(samples, schema=dict.fromkeys(names, pl.String), orient="row")

    def fill(draft: Path) -> None:
        for name, frame in {"full/full_value_qa.tsv": values, "probe/samples.tsv": sampled}.items():
            (draft / name).parent.mkdir()
            frame.write_csv(draft / name, separator="\t", null_value="")
        storage.write_json(
            draft / METADATA, {n: about.model_dump() for n, about in metadata.items()}
        )

    storage.write_folder(output, fill)
    print(f"{output}: {', '.join(items)}; {len(samples)} answers, {', '.join(places)}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
