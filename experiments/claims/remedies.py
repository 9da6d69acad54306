"""Claims on what helps against an imperfect reward, and on what RLHF can reach at all."""

from experiments import (
    entropy_judges,
    hallucination,
    patching,
    reuse_judges,
    robust,
    true_reward,
)
from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="7-patching",
        number=7,
        who="Karpathy",
        statement="Patch the reward model, and the optimiser finds new adversaries, forever.",
        prediction=(
            "with a reward class that lacks part of the gold reward, and labels from the present "
            "policy in each round, one in ten or more of the strings that the reward likes best "
            "is still a new hack (below the reference's mean gold, never shown) in the last "
            "quarter of the rounds, on every tier. Effect: that share, on the tier where it is "
            "least."
        ),
        null="a few rounds of labels close the holes: share 0.",
        experiment="patching",
        reference="Wolf et al. 2025 (arXiv:2505.18126)",
        judge=patching.judge_misspecified,
    ),
    Claim(
        id="7-patching-ends",
        number=7,
        who="Xiong et al.",
        statement="Iterated RLHF, with labels from the present policy, converges.",
        prediction=(
            "with a reward class that holds the gold reward, at most one in twenty of the strings "
            "that the reward likes best is a new hack in the last quarter of the rounds, on every "
            "tier. Effect: that share, on the tier where it is largest."
        ),
        null="new hacks go on coming although the class could express what people want.",
        experiment="patching",
        reference="Xiong et al. 2023 (arXiv:2312.11456)",
        judge=patching.judge_realisable,
    ),
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
        id="11-true-reward",
        number=11,
        who="Karpathy",
        statement=(
            "With the true reward one can optimise for long, as in Go; with a reward model one "
            "must stop."
        ),
        prediction=(
            "under the true reward the gold gain falls nowhere along tilt, best-of-n and gradient "
            "paths, by more than 0.01 sd on the exact tiers and 0.1 sd on the sampled one; under "
            "the fitted reward some path falls by 0.5 sd or more, on every tier. Effect: the "
            "largest fall under the true reward, in sd, on the worst tier."
        ),
        null="the true reward's paths turn as well, or the fitted reward's do not.",
        experiment="true_reward",
        reference="Davis, Recht 2025 (arXiv:2510.13651)",
        judge=true_reward.judge,
    ),
    Claim(
        id="12-escape",
        number=12,
        who="Karpathy; Foster et al.",
        statement=(
            "RLHF is no search: what pretraining makes improbable, policy gradient never finds."
        ),
        prediction=(
            "the time of exact policy gradient (a network's: strings drawn) until pi(y*) = 1/2 is "
            "inverse to ref(y*): d ln time / d ln(1 / ref(y*)) within 0.9..1.1 over all strings "
            "found, on every tier. Effect: that exponent, on the tier where it is furthest from 1."
        ),
        null="the exponent is well below 1: gradients find what blind drawing would not.",
        experiment="reuse",
        reference="Foster, Mhammedi, Rohatgi 2025 (arXiv:2503.07453)",
        judge=reuse_judges.judge_escape,
    ),
    Claim(
        id="12-pass-at-k",
        number=12,
        who="Yue et al.",
        statement="Tuning sharpens: the tuned model leads at one try, the base model at many.",
        prediction=(
            "a policy tuned on its true mean success over many problems leads the reference at "
            "k = 1, and trails it by 0.01 of pass@k or more at some k up to 4^12, on every tier. "
            "Effect: the reference's largest lead, on the tier where it is least."
        ),
        null="with a true reward the tuned policy leads at every k.",
        experiment="reuse",
        reference="Yue et al. 2025 (arXiv:2504.13837)",
        judge=reuse_judges.judge_crossing,
    ),
    Claim(
        id="12-nucleus",
        number=12,
        who="Karpathy",
        statement="RLHF only reuses a subset of what the pretrained model already says.",
        prediction=(
            "where the gold reward is best along the tilt by a fitted proxy, tokens outside the "
            "reference's 95 % nucleus are no more frequent than under the reference, on both "
            "exact tiers. Effect: their share less the reference's, on the worst tier."
        ),
        null="tuning makes unusual tokens more frequent.",
        experiment="reuse",
        reference="Yue et al. 2025 (arXiv:2504.13837); Holtzman et al. 2020 (arXiv:1904.09751)",
        judge=reuse_judges.judge_nucleus,
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
        judge=entropy_judges.judge_easy,
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
        judge=entropy_judges.judge_coverage,
    ),
    Claim(
        id="13-entropy-exchange",
        number=13,
        who="Cui et al.",
        statement="Without intervention reward is bought with entropy: R = -a exp(H) + b.",
        prediction=(
            "along natural gradient (a network's: sampled, by Adam) without a regulariser, the "
            "reward regresses on exp(H), H the mean token entropy, with R^2 of 0.99 or more, and "
            "no worse than on H, on every tier. Effect: that R^2, on the worst tier."
        ),
        null="reward and entropy part ways, or another form fits better.",
        experiment="entropy",
        reference="Cui et al. 2025 (arXiv:2505.22617), section 2.4",
        judge=entropy_judges.judge_exchange,
    ),
    Claim(
        id="17-robust-private",
        number=17,
        who="D'Oro",
        statement=(
            "Instead of a perfect reward, optimise robustly: the worst case over an ensemble, "
            "whose members err each in its own way."
        ),
        prediction=(
            "at the strongest tilt the worst case over members with private errors earns 0.1 sd "
            "of gold or more above the mean of the same members, and at its best no less than "
            "0.05 sd below, on every tier. Effect: its gain at the strongest tilt, in sd, on the "
            "tier where it is least."
        ),
        null="the mean of the members does as well.",
        experiment="robust",
        reference="Coste et al. 2023 (arXiv:2310.02743); Zhu et al. 2023 (arXiv:2301.11270)",
        judge=robust.judge_private,
    ),
    Claim(
        id="17-robust-shared",
        number=17,
        who="D'Oro",
        statement=(
            "Robust optimisation makes do with imperfect rewards, also where the whole class is "
            "wrong."
        ),
        prediction=(
            "the same under errors that all members share (abundant comparisons, a class that "
            "lacks part of the gold reward; for networks one table of comparisons for all). "
            "Effect: the same gain."
        ),
        null="members that agree on an error cannot warn of it: gain 0 (Eisenstein et al. 2023).",
        experiment="robust",
        reference="Eisenstein et al. 2023 (arXiv:2312.09244); Huang et al. 2024 (arXiv:2407.13399)",
        judge=robust.judge_shared,
    ),
    Claim(
        id="17-weight-average",
        number=17,
        who="Rame et al.",
        statement="Averaging the weights of reward models is another remedy than averaging them.",
        prediction=(
            "no: for linear rewards the member with the mean weights is the mean member, string by "
            "string, to 1e-9, on both tiers with linear rewards; networks are reported beside "
            "them. Effect: the largest difference, in nats."
        ),
        null="the two differ: averaging weights is something else.",
        experiment="robust",
        reference="Rame et al. 2024 (arXiv:2401.12187)",
        judge=robust.judge_weight_average,
    ),
)
