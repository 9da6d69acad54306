"""Claims on what helps against an imperfect reward, and on what RLHF can reach at all."""

from experiments import entropy, hallucination
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
    Claim(
        id="13-entropy-easy",
        number=13,
        who="Karpathy",
        statement="An entropy bonus is easy in principle.",
        prediction=(
            "with a bonus for the entropy of whole strings the optimum is ref^(beta/(beta+tau)) "
            "exp(r/(beta+tau)) / Z, one Gibbs recursion: the objective's slope there, and dH/d eta "
            "against -Cov(ln pi, A) (natural) and -Cov(ln pi, pi A) (vanilla gradient), are within "
            "1e-9 of the gradients, on both exact tiers. Effect: the largest deviation."
        ),
        null="the closed form is no optimum, or the entropy moves by another law.",
        experiment="entropy",
        reference="Cui et al. 2025 (arXiv:2505.22617); Shen 2025 (arXiv:2509.03493)",
        judge=entropy.judge_easy,
    ),
    Claim(
        id="13-entropy-reach",
        number=13,
        who="Karpathy",
        statement=(
            "RLHF collapses onto few answers; an entropy bonus would keep others within reach."
        ),
        prediction=(
            "at equal proxy reward, half of the largest, a bonus for the entropy of strings (tau = "
            "beta) raises the share of needs met by k strings by 0.05 or more over a KL penalty "
            "alone, on every tier, at the k at which the latter meets half. Effect: that gain of "
            "pass@k, on the worst tier."
        ),
        null="the KL penalty alone keeps as much within reach at the same reward: gain 0.",
        experiment="entropy",
        reference="Cui et al. 2025 (arXiv:2505.22617); Yue et al. 2025 (arXiv:2504.13837)",
        judge=entropy.judge_coverage,
    ),
    Claim(
        id="13-entropy-exchange",
        number=13,
        who="Cui et al.",
        statement="Without intervention reward is bought with entropy: R = -a exp(H) + b.",
        prediction=(
            "along natural gradient without a regulariser, the reward regresses on exp(H), H the "
            "mean token entropy, with R^2 of 0.99 or more, and no worse than on H, on every tier. "
            "Effect: that R^2, on the worst tier."
        ),
        null="reward and entropy part ways, or another form fits better.",
        experiment="entropy",
        reference="Cui et al. 2025 (arXiv:2505.22617), section 2.4",
        judge=entropy.judge_exchange,
    ),
)
