"""The claims of the debate, as data: who claims what, the prediction and its null, the judge.

The prediction and the null are text that stands here before any run; the verdict is computed from
the rows of the experiment alone. Add a claim by adding an entry to `CLAIMS`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from experiments import equivalence, goodhart, machine_feedback, preference_judges
from experiments.judging import Judgement


@dataclass(frozen=True)
class Claim:
    """One claim that an experiment decides.

    Args:
        id: short and unique, e.g. `14-null-suite`.
        number: its number in the list of the debate's claims.
        who: who says it.
        statement: what they say, in one sentence.
        prediction: what the table shows if they are right, with the unit of the effect.
        null: what it shows if they are wrong.
        experiment: the name of the experiment that decides it.
        reference: the papers, with arXiv ids.
        judge: the table of rows -> the effect, its interval and the verdict.
    """

    id: str
    number: int
    who: str
    statement: str
    prediction: str
    null: str
    experiment: str
    reference: str
    judge: Callable[[pl.DataFrame], Judgement]


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
        judge=preference_judges.judge_recovery,
    ),
    Claim(
        id="4-vibe",
        number=4,
        who="Karpathy, Murphy",
        statement=(
            "A reward model is a vibe check: it agrees with the goal where it was fitted, and "
            "is not the goal."
        ),
        prediction=(
            "proxy and gold correlate by 0.5 or more under the reference; yet at the strongest "
            "tilt the gold gain falls short of correlation x proxy gain by 1 sd of the gold "
            "reward or more. Effect: that shortfall, in sd."
        ),
        null="the gold gain keeps up with correlation x proxy gain all along: shortfall 0.",
        experiment="first_light",
        reference="Laidlaw, Singhal, Dragan 2024 (arXiv:2403.03185)",
        judge=goodhart.judge_vibe,
    ),
    Claim(
        id="5-reward-hacking",
        number=5,
        who="Karpathy",
        statement=(
            "Optimised against, a reward model is quickly gamed by strings such as 'the the the "
            "the the the'."
        ),
        prediction=(
            "with the proxy from most comparisons, the gold reward rises with sqrt(KL), peaks, "
            "falls by 1 sd or more and ends below the reference, while the proxy rises all "
            "along. Effect: gold gain at the strongest tilt, in sd."
        ),
        null=(
            "the gold reward saturates: where optimisation is strongest it is as good as anywhere."
        ),
        experiment="first_light",
        reference="Gao, Schulman, Hilton 2022 (arXiv:2210.10760)",
        judge=goodhart.judge_hacking,
    ),
    Claim(
        id="8-early-stopping",
        number=8,
        who="Karpathy",
        statement="One must stop after some hundreds of steps.",
        prediction=(
            "along exact natural policy gradient the gold reward peaks before the last step and "
            "then loses 1 sd or more, and the path lies within 0.1 sd of the KL-penalty (Gibbs) "
            "curve at equal KL: stopping early is a KL penalty. Effect: peak less last, in sd."
        ),
        null="the last step is the best; or the path leaves the curve of the KL penalty.",
        experiment="first_light",
        reference="Gao, Schulman, Hilton 2022 (arXiv:2210.10760), section 3.4",
        judge=goodhart.judge_early_stopping,
    ),
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
        judge=equivalence.judge,
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
        judge=machine_feedback.judge,
    ),
)
