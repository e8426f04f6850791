"""The dataset of a published run: what each population answered to each question, as tables."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from suffrage import storage
from suffrage.evaluate.results import Results
from suffrage.plurals import plural
from suffrage.publish.markdown import bullets, front_matter, markdown_section

COLUMNS = {
    "value_set": "the population's name in the study",
    "population": "what questions call it",
    "item": "the question's id",
    "question": "its text",
    "position": "the option's place, from 0",
    "option": "the option's text",
    "share": "the share of those who answered",
    "standard_error": "of the share; empty where nothing is known of it",
    "n": "how many answered; empty where it was not published",
    "n_eff": "how many equally weighted respondents would give the same precision",
    "no_answer": "the share of those asked who gave no answer",
    "ordered": "whether the options form a scale",
    "topic": "the question's topic",
    "side": "trained, held_out, or both where seeds differ",
}


def shares_table(results: Results) -> pl.DataFrame:
    """A row for each population, question and option."""
    items = {item.id: item for item in results.items}
    named = {own.name: own.description for own in results.value_sets}
    rows = []
    for target in results.targets:
        item = items[target.item]
        sides = sorted(set(item.side.values()))
        for position, share in enumerate(target.shares):
            error = target.standard_errors[position]
            rows.append(
                {
                    "value_set": target.value_set,
                    "population": named[target.value_set],
                    "item": item.id,
                    "question": item.question,
                    "position": position,
                    "option": item.options[position],
                    "share": share,
                    "standard_error": error if error == error else None,
                    "n": target.n or None,
                    "n_eff": target.n_eff if target.n_eff == target.n_eff else None,
                    "no_answer": sum(target.non_response.values()),
                    "ordered": item.ordered,
                    "topic": item.topic,
                    "side": " ".join(sides),
                }
            )
    return pl.DataFrame(rows, infer_schema_length=None).select(list(COLUMNS))


def write_dataset(results: Results, folder: Path) -> None:
    """Write the shares as CSV and Parquet, with a card."""
    table = shares_table(results)
    folder.mkdir(parents=True)
    with storage.atomic_path(folder / "shares.csv") as draft:
        table.write_csv(draft)
    with storage.atomic_path(folder / "shares.parquet") as draft:
        table.write_parquet(draft)
    storage.write_text(folder / "README.md", dataset_card(results))


def dataset_card(results: Results) -> str:
    """What the tables contain, where they are from, and what they may be used for."""
    facts = {
        "license": "other",
        "pretty_name": f"{results.study.title}: answers of populations",
        "tags": ["survey", "public-opinion"],
        "configs": [{"config_name": "shares", "data_files": "shares.parquet"}],
    }
    surveys = [
        " ".join(
            part
            for part in (
                f"{own.title}. {own.statement}",
                f"Terms: {own.terms}" if own.terms else "No terms are on record: ask its archive.",
                f"Cite: {own.citation}" if own.citation else "",
            )
            if part
        )
        for own in results.surveys
    ]
    populations = plural(len(results.value_sets), "population")
    lines = [
        *front_matter(facts),
        f"# {results.study.title}: answers of populations",
        "",
        f"What {populations} answered to {plural(len(results.items), 'question')} of a survey: "
        "shares with standard errors. There are no rows of people in it.",
        "",
        *markdown_section("Where it is from", bullets(surveys)),
        *markdown_section(
            "Columns", bullets(f"`{name}`: {words}." for name, words in COLUMNS.items())
        ),
        *markdown_section(
            "Uses",
            "Use it to compare models with these populations, together with the standard errors. "
            "The published models were not trained on questions with the side `held_out`. If you "
            "train on them, you can no longer compare your model with those models. Do not use "
            "it to find individual people.",
        ),
    ]
    return "\n".join(lines).rstrip() + "\n"
