"""`prompt`: the untrained model, asked as the population; the baseline to beat."""

from suffrage.align.method import InContextOptions, Method


class Options(InContextOptions):
    """What a study may say to `prompt`."""


METHOD = Method(
    name="prompt",
    label="Prompted",
    explanation="The model as it came, asked to answer as the population named in the prompt.",
    options=Options,
)
