"""`base`: the untrained model, asked as itself; what every figure is compared with."""

from suffrage.align.method import Method

METHOD = Method(
    name="base",
    label="Untrained",
    explanation="The model as it came, asked each question without naming any population.",
    asks_as_population=False,
)
