"""A consultation to try out: made-up people whose groups are known, or a Polis export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from suffrage import settings
from suffrage.consult.consultation import Consultation, votes_of
from suffrage.consult.groups.opinion_groups import OUTSIDE, GroupSettings, find_groups
from suffrage.consult.made_up_public import Public, TasksEach, Texts, take_part
from suffrage.consult.polis.conversation import consultation_of
from suffrage.consult.polis.read_files import read_polis
from suffrage.errors import InputError
from suffrage.plurals import plural
from suffrage.population.latent_classes import adjusted_rand_index
from suffrage.server.consultation_results import find_results

TEXTS = Path(__file__).parent / "demo_texts" / "assistant.yaml"
SLUG = "demo"
PEOPLE = 240
PASSES = 0.08


@dataclass(frozen=True, eq=False)
class Demo:
    """A consultation, and the group each participant is really in, where that is known."""

    content: Consultation
    # The group of each participant, empty where nobody knows.
    known: Mapping[str, int]
    # The names of the known groups.
    names: tuple[str, ...]
    # The population's shares, by demographic item.
    targets: Mapping[str, Mapping[str, float]]
    # What the pages ask about each demographic item, and what they call a value.
    questions: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)


def simulated_demo(people: int = PEOPLE, seed: int = 0) -> Demo:
    """Return a made-up public's answers to made-up questions.

    Raises InputError for fewer than 20 people.
    """
    if people < 20:
        raise InputError(f"--people {people}: groups need 20 people or more.")
    told = settings.read_yaml(TEXTS)
    generator = np.random.default_rng(seed)
    public = demo_public(told, people, generator)
    texts = Texts(
        tuple(row["text"] for row in told["statements"]),
        tuple((q["text"], tuple(a["text"] for a in q["answers"])) for q in told["prompts"]),
    )
    content = take_part(
        public, generator, TasksEach(votes=24), texts, slug=SLUG, title=told["title"]
    )
    return Demo(
        content=_about(content, told["question"]),
        known={f"p{i}": int(g) for i, g in enumerate(public.group)},
        names=tuple(told["groups"]),
        targets=told["targets"],
        questions=told["questions"],
        choices=told["choices"],
    )


def demo_public(told: Mapping[str, Any], people: int, generator: np.random.Generator) -> Public:
    """Return the public that the file of texts describes; a few of its people are careless."""
    shares = np.array(told["shares"]) / sum(told["shares"])
    group = generator.choice(shares.size, people, p=shares)
    agree = np.array([row["agree"] for row in told["statements"]]).T
    utility = np.array([a["likes"] for q in told["prompts"] for a in q["answers"]]).T
    counts = [len(q["answers"]) for q in told["prompts"]]
    strata = {}
    for item, of in told["demographics"].items():
        by_group = np.array(list(of.values())).T
        names = list(of)
        strata[item] = tuple(
            names[int(generator.choice(len(names), p=by_group[g] / by_group[g].sum()))]
            for g in group
        )
    careless = set(generator.permutation(people)[: people // 40].tolist())
    return Public(
        agree=(agree * (1 - PASSES))[group],
        disagree=((1 - agree) * (1 - PASSES))[group],
        utility=utility[group],
        prompt_of=np.repeat(np.arange(len(counts)), counts),
        group=group,
        manner=tuple("careless" if i in careless else "sincere" for i in range(people)),
        strata=strata,
    )


def polis_demo(folder: Path, prefix: str | None = None, agree: int | None = None) -> Demo:
    """Return the votes of a Polis export; its own groups, if any, are the known ones."""
    conversation = read_polis(folder, prefix, agree)
    names = sorted(set(conversation.group_ids.values()))
    content = consultation_of(conversation, SLUG)
    return Demo(
        content=content,
        known={p: names.index(g) for p, g in conversation.group_ids.items()},
        names=tuple(names),
        targets={},
    )


def found_again(demo: Demo, groups: int | None = None) -> float | None:
    """Return the adjusted Rand index between the groups in the votes and the known ones.

    It is None where no groups are known. groups: how many to find; default: by silhouette.
    """
    rejected = demo.content.statements.filter(pl.col("state") == "rejected")["statement"]
    found = find_groups(votes_of(demo.content), rejected.to_list(), GroupSettings(groups=groups))
    both = [
        (demo.known[person], label)
        for person, label in zip(found.positions.participants, found.labels.tolist(), strict=True)
        if person in demo.known and label != OUTSIDE
    ]
    if len(both) < 2:
        return None
    known, labels = np.array(both, dtype=np.int16).T
    return adjusted_rand_index(known, labels, np.ones(known.size))


def open_demo(demo: Demo, where: str) -> None:
    """Put the demonstration into a new store, open to all, with its first results."""
    from suffrage.server.store.consultations import find_consultation, set_phase, set_settings
    from suffrage.server.store.contents import from_consultation
    from suffrage.server.store.database import open_store
    from suffrage.server.watcher import recompute

    store = open_store(where, create=True)
    try:
        about = from_consultation(store, demo.content, "demo")
        items = {
            item: own["value"].unique(maintain_order=True).sort().to_list()
            for (item,), own in demo.content.demographics.group_by("item", maintain_order=True)
        }
        questions = [
            {
                "item": item,
                "label": {"en": demo.questions.get(item, item.capitalize())},
                "options": [
                    {"value": value, "label": {"en": demo.choices.get(value, value)}}
                    for value in values
                ],
            }
            for item, values in items.items()
        ]
        set_settings(
            store,
            about.id,
            {
                "open_to_all": True,
                "results": "everyone",
                "organiser": "Suffrage's demonstration",
                "contact": "the person who started it",
                "demographics": questions,
                "targets": dict(demo.targets),
            },
            "demo",
        )
        set_phase(store, about.id, "open", "demo")
        recompute(store, find_consultation(store, about.slug))
    finally:
        store.close()


def demo_lines(demo: Demo) -> list[str]:
    """Return in a few lines what is in the demonstration, and which groups are found in it."""
    content, found = demo.content, find_results(demo.content)
    lines = [
        f"Contains      {content.participants.height} people, "
        f"{plural(content.statements.height, 'statement')}, "
        f"{plural(content.votes.height, 'vote')}, "
        f"{content.comparisons.height} comparisons"
    ]
    if found.analysis is None:
        return [*lines, f"Groups        none: {found.waiting}"]
    groups = found.analysis.groups
    sizes = ", ".join(map(str, groups.sizes.tolist()))
    spectrum = found.analysis.stability.verdict == "spectrum"
    what = "a spectrum, not groups: parts of" if spectrum else f"{groups.count} found, with"
    lines.append(f"Groups        {what} {sizes} people")
    agreement = found_again(demo, groups.count)
    if agreement is not None:
        lines.append(
            f"              {len(demo.names)} known ({', '.join(demo.names)}); adjusted Rand index "
            f"of the two {agreement:.2f}"
        )
    return lines


def _about(content: Consultation, question: str) -> Consultation:
    return replace(content, question=question)
