"""Made-up votes of people along one line, without groups."""

import numpy as np

from suffrage.consult.votes import UNSEEN, VoteMatrix, arranged


def votes_along_a_line(
    line: np.ndarray, statements: int, seed: int, slope: float = 2.0, seen: float = 0.6
) -> VoteMatrix:
    """Votes by a logistic item-response model; slopes differ and have either sign."""
    generator = np.random.default_rng([seed, 3])
    slopes = slope * generator.choice([-1, 1], statements) * generator.uniform(0.5, 1.5, statements)
    agreeing = 1 / (1 + np.exp(-slopes * (line[:, None] - generator.normal(size=statements))))
    votes = np.where(generator.random(agreeing.shape) < agreeing, 1, -1)
    votes[generator.random(votes.shape) < 0.08] = 0
    votes[generator.random(votes.shape) > seen] = UNSEEN
    people = [str(i) for i in range(line.size)]
    return arranged(people, [str(j) for j in range(statements)], votes.astype(np.int8))


def votes_in_a_plane(
    places: np.ndarray, statements: int, generator: np.random.Generator, slope: float = 3.0
) -> VoteMatrix:
    """The same with a direction in the plane for each statement: places (people, 2)."""
    turned = generator.normal(size=(2, statements))
    turned /= np.linalg.norm(turned, axis=0)
    slopes = slope * turned * generator.uniform(0.5, 1.5, statements)
    agreeing = 1 / (1 + np.exp(-(places @ slopes - slope * generator.normal(size=statements))))
    votes = np.where(generator.random(agreeing.shape) < agreeing, 1, -1)
    votes[generator.random(votes.shape) < 0.08] = 0
    votes[generator.random(votes.shape) > 0.6] = UNSEEN
    people = [str(i) for i in range(len(places))]
    return arranged(people, [str(j) for j in range(statements)], votes.astype(np.int8))


def spread_along_a_line(people: int, seed: int, how: str = "uniform") -> np.ndarray:
    """Places of variance 1, spread evenly or normally."""
    generator = np.random.default_rng([seed, 4])
    if how == "uniform":
        return generator.uniform(-np.sqrt(3), np.sqrt(3), people)
    return generator.normal(size=people)
