"""Made-up votes of people in known groups."""

import numpy as np

from suffrage.consult.votes import UNSEEN, VoteMatrix, arranged

PASSES = 0.1


def made_up_votes(
    people: int = 200, statements: int = 40, seed: int = 0, shares: tuple[float, ...] = (0.6, 0.4)
) -> tuple[VoteMatrix, np.ndarray]:
    """Votes, and each participant's true group; everybody saw about half of the statements."""
    generator = np.random.default_rng(seed)
    truth = generator.choice(len(shares), people, p=shares)
    agreeing = generator.beta(0.5, 0.5, (len(shares), statements))
    votes = np.where(generator.random((people, statements)) < agreeing[truth], 1, -1)
    votes[generator.random(votes.shape) < PASSES] = 0
    votes[generator.random(votes.shape) < 0.5] = UNSEEN
    ids = [str(i) for i in range(people)], [str(j) for j in range(statements)]
    return arranged(*ids, votes.astype(np.int8)), truth
