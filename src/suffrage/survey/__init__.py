"""Surveys: microdata, codebooks, non-response and weights. Knows nothing of models."""

from suffrage.survey.codebook import Codebook, Item, NonResponse, Option
from suffrage.survey.effective_size import design_effect, effective_sample_size
from suffrage.survey.reading import read_survey, survey_files
from suffrage.survey.survey import Provenance, SetAside, Survey

__all__ = [
    "Codebook",
    "Item",
    "NonResponse",
    "Option",
    "Provenance",
    "SetAside",
    "Survey",
    "design_effect",
    "effective_sample_size",
    "read_survey",
    "survey_files",
]
