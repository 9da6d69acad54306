"""Claims on what helps against an imperfect reward, and on what RLHF can reach at all."""

from experiments import hallucination
from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="10-hallucination",
        number=10,
        who="Karpathy",
        statement=(
            "RLHF works against hallucination: a reward model that catches the model making "
            "things up teaches it not to."
        ),
        prediction=(
            "where annotators catch nine of ten wrong claims (which cost what a right one earns), "
            "the tuned policy makes at most half the reference's wrong claims, on every tier; "
            "where they catch none, no fewer than the reference. Effect: wrong claims, tuned over "
            "reference, on the worst tier."
        ),
        null="tuning leaves wrong claims as they were, or lessens them although none is caught.",
        experiment="hallucination",
        reference="Kalai, Nachum, Vempala, Zhang 2025 (arXiv:2509.04664)",
        judge=hallucination.judge_caught,
    ),
    Claim(
        id="10-abstention",
        number=10,
        who="Kalai et al.",
        statement=(
            "A model hallucinates because guessing is rewarded: with a penalty for wrong answers "
            "it answers only if sure enough."
        ),
        prediction=(
            "with every error caught, the tilted policy answers iff its confidence is above "
            "penalty / (1 + penalty), to 0.02, for penalties 1/4 to 9. Effect: the largest "
            "distance between the two."
        ),
        null="the policy starts to answer at another confidence, or at the same for all penalties.",
        experiment="hallucination",
        reference="Kalai, Nachum, Vempala, Zhang 2025 (arXiv:2509.04664), section 4",
        judge=hallucination.judge_threshold,
    ),
)
