"""What a study may say to constitutional AI, and the stages that follow from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from suffrage.align import dpo, kto, rlhf
from suffrage.align.method import TrainingOptions
from suffrage.settings import keys_of
from suffrage.training_data.constitution import (
    FROM_CONSULTATION,
    FROM_VALUE_SET,
    ConstitutionSettings,
    Match,
    Views,
    Weighing,
)
from suffrage.training_data.records import RecordSettings

# What the second stage takes from the first, so that it cannot be said in then_options.
SHARED = tuple(TrainingOptions.model_fields)


class ConstitutionalOptions(TrainingOptions):
    """What a study may say to `cai`; `steps` and `epochs` are those of the first stage."""

    format: Literal["written"] = "written"
    # A file of principles; from_consultation, what every group of the study's consultation
    # supports; or from_value_set, what the population says to its clearest trained items.
    constitution: str = FROM_VALUE_SET
    # With from_value_set: one principle for each item's leading answer (leading), or one for every
    # answer by its share (all).
    views: Views = "leading"
    # With from_value_set: how many items become principles.
    items: int = Field(default=10, ge=1)
    # Whether a prompt may get any principle, as in the paper, or only those of its own item.
    match: Match = "any"
    # A JSONL file of further prompts.
    prompts: str | None = None
    # The largest number of prompts that are answered. If there are more steps, the drafts are used
    # again.
    drafts: int = Field(default=200, ge=2)
    # Rounds of critique and revision.
    rounds: int = Field(default=1, ge=1, le=8)
    # The most tokens that a text may have.
    longest: int = Field(default=64, ge=4)
    # Train on readable texts, or on all.
    keep: Literal["readable", "all"] = "readable"
    # The least probability that a judge must put on A and B together.
    lowest_mass: float = Field(default=0.25, ge=0, le=1)
    # Before anything is written, the model that will judge judges 64 labelled pairs; where it
    # prefers the right answer in a smaller share of them, nothing is trained. A coin is right in
    # 0.5. 0: the judge is not checked.
    least_agreement: float = Field(default=0.7, ge=0, le=1)
    # The method for the judged pairs (ppo: a preference model, then PPO, as in the paper), or none.
    then: Literal["dpo", "kto", "ppo", "none"] = "dpo"
    # The steps of that method; None for as many as the first stage.
    then_steps: int | None = Field(default=None, ge=1)
    # The options of that method.
    then_options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _then_understands(self) -> ConstitutionalOptions:
        for key in self.then_options:
            if key in SHARED or key == "labels":
                raise ValueError(
                    f"then_options: {key} is not for here; say it to the method itself"
                    if key in SHARED
                    else "then_options: labels are the judge's, and cannot be set"
                )
        try:
            self.second_options()
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in keys_of(problem, self.then_options))
            raise ValueError(f"then_options: {place}: {problem['msg']}") from error
        return self

    @property
    def judge_is_checked(self) -> bool:
        """Whether labelled pairs are judged first: not where nothing is judged later."""
        return self.then != "none" and self.least_agreement > 0

    def deciding(self) -> dict[str, Any]:
        """All settings, without the bound where there is no check.

        A checkpoint from before there was a check is what `least_agreement: 0` gives.
        """
        return self.model_dump(exclude=None if self.judge_is_checked else {"least_agreement"})

    @property
    def weighing(self) -> Weighing:
        """What decides how often a principle is sampled."""
        return "support"

    @property
    def files(self) -> tuple[str, ...]:
        """Paths whose content decides the records."""
        found = self.constitution in (FROM_VALUE_SET, FROM_CONSULTATION)
        constitution = () if found else (self.constitution,)
        prompts = (self.prompts,) if self.prompts else ()
        return (*super().files, *constitution, *prompts)

    @property
    def record_settings(self) -> RecordSettings:
        """What prompts this training wants."""
        wanted = ConstitutionSettings(
            source=self.constitution,
            weighing=self.weighing,
            views=self.views,
            items=self.items,
            match=self.match,
            rounds=self.rounds,
            prompts=self.prompts,
            most=self.drafts,
        )
        return RecordSettings(self.format, "shares", constitution=wanted)

    def second_steps(self, steps: int) -> int:
        """Steps of the second stage, after `steps` of the first; ppo has two parts."""
        if self.then == "none":
            return 0
        own = self.then_steps or steps
        second = self.second_options() if self.then == "ppo" else None
        return own + ((second.preference_steps or own) if isinstance(second, rlhf.Options) else 0)

    def second_options(self) -> TrainingOptions | None:
        """The second stage's own options, None when there is no second stage."""
        shared = {key: getattr(self, key) for key in SHARED} | {"epochs": None}
        if self.then == "dpo":
            return dpo.Options(**shared, **self.then_options)
        if self.then == "kto":
            return kto.Options(**shared, labels="shares", **self.then_options)
        if self.then == "ppo":
            return rlhf.Options(**shared, **{"longest": self.longest, **self.then_options})
        if self.then_options:
            raise ValueError("then_options: there is nothing to say to then: none")
        return None
