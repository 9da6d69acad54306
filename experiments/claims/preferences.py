"""Claims on people and their comparisons."""

from experiments import machine_feedback, preference_judges
from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="1-estimation",
        number=1,
        who="Zhu, Jordan, Jiao",
        statement=(
            "With a reward class that holds the truth, comparisons recover the reward: the "
            "estimation error falls as the root of dimensions over comparisons."
        ),
        prediction=(
            "the error is k sqrt(d / N): exponents -1/2 of N and 1/2 of d, both to 0.05, and at "
            "most comparisons a dimension the constant k of maximum likelihood's information to "
            "5 %. Effect: the exponent of N."
        ),
        null="the error follows another power of N or d, or stalls above zero.",
        experiment="reward_recovery",
        reference="Zhu, Jordan, Jiao 2023 (arXiv:2301.11270), lemma 3.1",
        headline=True,
        judge=preference_judges.judge_recovery,
    ),
    Claim(
        id="16-borda",
        number=16,
        who="Siththaranjan, Laidlaw, Hadfield-Menell",
        statement=(
            "The average human hides people: a reward fitted to people of hidden types ranks by "
            "Borda count, not by mean utility."
        ),
        prediction=(
            "with all pairs compared equally often the fit orders no pair of answers against "
            "Borda, in any world, and 5 % of pairs or more against mean utility where there are "
            "two types or more; with one type none. Effect: the share against mean utility."
        ),
        null="the fit orders answers by mean utility: share 0.",
        experiment="average_human",
        reference="Siththaranjan, Laidlaw, Hadfield-Menell 2024 (arXiv:2312.08358), section 3",
        headline=True,
        judge=preference_judges.judge_borda,
    ),
    Claim(
        id="16-amplification",
        number=16,
        who="Xiao et al.",
        statement=(
            "RLHF amplifies preferences: the tuned policy's odds are the people's to the power "
            "1 / beta, and minorities are lost."
        ),
        prediction=(
            "over pairs of answers, ln odds of the policy (less the reference's) regress on ln "
            "odds of people's preferences with slope 1 / beta: exactly with one type, so that "
            "beta = 1 amplifies nothing, and to 10 % with hidden types, at the smallest beta. "
            "Effect: that slope."
        ),
        null="the policy keeps the people's odds: slope 1 at every beta.",
        experiment="average_human",
        reference="Xiao et al. 2024 (arXiv:2405.16455)",
        headline=True,
        judge=preference_judges.judge_amplification,
    ),
    Claim(
        id="18-machine-feedback",
        number=18,
        who="D'Oro",
        statement=(
            "A perfect reward is an unrealistic demand: people and machines work together, and a "
            "machine's imperfect feedback is good enough to optimise."
        ),
        prediction=(
            "of 59 language models, chosen uniformly at first, a choice tilted by GPT-4's rewards "
            "earns at a KL of 1 nat 0.8 or more of the crowd's reward that tilting by one half of "
            "the crowd earns (both judged by the other half), and at 3 nats no less than at 1. "
            "Effect: that share at 1 nat."
        ),
        null=(
            "the machine rewards something else: the share is below 0.8, or the crowd's reward "
            "falls as the machine's rises."
        ),
        experiment="crowd_and_machine",
        reference="Ustalov 2023, llmfao; Bai et al. 2022 (arXiv:2212.08073)",
        headline=True,
        judge=machine_feedback.judge,
    ),
)
