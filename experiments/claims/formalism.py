"""The claim that the bandit and the token MDP are one problem."""

from experiments import equivalence
from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="14-bandit",
        number=14,
        who="Murphy; Ahmadian et al.",
        statement=(
            "RLHF is a contextual bandit with string-valued actions, where the prompt is the "
            "context."
        ),
        prediction=(
            "with gamma = 1, deterministic transitions and rewards by string, every item of the "
            "null suite agrees with the token MDP to 1e-12 (of its size, where that exceeds 1) in "
            "every random world, while a discount, a stochastic user and a length-normalised loss "
            "have effects of 0.1 or more. Effect: the suite's largest difference."
        ),
        null="some item differs by more than 1e-12: the token MDP is another problem.",
        experiment="equivalence",
        reference=(
            "Ahmadian et al. 2024 (arXiv:2402.14740); Rafailov et al. 2024 (arXiv:2404.12358)"
        ),
        headline=True,
        judge=equivalence.judge,
    ),
)
