"""Populations: value sets, answer distributions and their uncertainty."""

from suffrage.population.value_set import AnswerDistribution, ValueSet, build_value_set

__all__ = [
    "AnswerDistribution",
    "ValueSet",
    "build_value_set",
]
