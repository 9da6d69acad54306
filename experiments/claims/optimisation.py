"""Claims on optimising an imperfect reward: what turns the curve, and when."""

from experiments import (
    adversaries,
    early_stopping,
    goodhart_page,
    neural_hacking,
    out_of_distribution_judges,
    overoptimization,
    three_errors,
    vibe_bound,
)
from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="1-three-errors",
        number=1,
        who="Murphy",
        statement=(
            "SFT, reward model and RL are a pipeline of three errors, and formalising the reward "
            "is the hard part."
        ),
        prediction=(
            "the three terms sum to the regret, computed on its own, to 1e-12; and with 20,000 "
            "comparisons and 100 steps of natural gradient, misspecification's share of the regret "
            "is one half or more, in the enumerable world (36 % of gold's variance inexpressible), "
            "in the word world (repeated words are charged for) and with networks (a GRU, sampled "
            "gradient, a reward linear in counts). Effect: that share in the tier where it is "
            "least."
        ),
        null="estimation and optimisation together cost as much: the share is below one half.",
        experiment="three_errors",
        reference="Ouyang et al. 2022 (arXiv:2203.02155); Zhu et al. 2023 (arXiv:2301.11270)",
        judge=three_errors.judge,
    ),
    Claim(
        id="4-vibe-bound",
        number=4,
        who="Karpathy, Murphy",
        statement="A vibe is not the goal: that a proxy agrees with it promises little.",
        prediction=(
            "a proxy that correlates by 0.9 with gold, but pays for repetition, is optimised: at "
            "the strongest tilt gold falls short of correlation x proxy gain by 1 sd or more, and "
            "the guaranteed gain is above zero up to d = 1.5 at most, in the enumerable world, in "
            "the word world and for a GRU after 150 steps of sampled gradient. Effect: the "
            "shortfall in sd, in the tier where it is least."
        ),
        null="gold keeps up with correlation x proxy gain, or the guarantee carries further.",
        experiment="vibe_bound",
        reference="Laidlaw, Singhal, Dragan 2024 (arXiv:2403.03185), theorem 5.1",
        judge=vibe_bound.judge,
    ),
    Claim(
        id="5-which-dial",
        number=5,
        who="Murphy",
        statement=(
            "Formalising the reward is the hard part: the proxy is gamed because it cannot say "
            "what is wanted, not because it was fitted to too little."
        ),
        prediction=(
            "with misspecification alone, gold falls from its peak by 1 sd or more under exact "
            "tilting, and by more than with estimation, coverage or the errors' tail alone, in the "
            "enumerable world and in the word world. Effect: that fall less the largest of the "
            "other three, in sd, in the tier where it is least."
        ),
        null="another dial alone makes gold fall as far, or misspecification alone does not.",
        experiment="goodhart_page",
        reference="Gao et al. 2022 (arXiv:2210.10760); Kwa et al. 2024 (arXiv:2407.14503)",
        judge=goodhart_page.judge,
    ),
    Claim(
        id="5-gao-forms",
        number=5,
        who="Gao, Schulman, Hilton",
        statement=(
            "Gold against d = sqrt(KL) is d(a - b d) under best-of-n and d(a - b ln d) under RL."
        ),
        prediction=(
            "below saturation, Akaike's criterion prefers the square form by 2 or more for "
            "best-of-n and the logarithm by 2 or more for tilting, natural and vanilla policy "
            "gradient, in the enumerable world and in the word world. Effect: criterion of the "
            "square form less the logarithm's for best-of-n, in the tier where it is larger."
        ),
        null="one form fits every method better, or which form fits depends on the world.",
        experiment="overoptimization",
        reference="Gao, Schulman, Hilton 2022 (arXiv:2210.10760), section 3.1",
        judge=overoptimization.judge_forms,
    ),
    Claim(
        id="5-more-data",
        number=5,
        who="Gao, Schulman, Hilton",
        statement="More comparisons postpone over-optimisation.",
        prediction=(
            "under tilting a linear proxy that cannot express the gold reward, the peak lies 1.5 "
            "times as far out, in d, with 20,000 comparisons as with 50, in the enumerable world "
            "and in the word world. Effect: that ratio in the tier where it is least."
        ),
        null="misspecification alone sets the peak: the ratio is 1, however many comparisons.",
        experiment="overoptimization",
        reference="Gao, Schulman, Hilton 2022 (arXiv:2210.10760), section 3.3",
        judge=overoptimization.judge_peak,
    ),
    Claim(
        id="5-larger-model",
        number=5,
        who="Gao, Schulman, Hilton",
        statement="Larger reward models are over-optimised less.",
        prediction=(
            "with 20,000 comparisons in the enumerable world, gold falls from its peak less than "
            "half as far under a reward of third degree in counts as under a linear one. Effect: "
            "the former fall less half of the latter, in sd."
        ),
        null="the larger class is gamed as far: the effect is above 0.",
        experiment="overoptimization",
        reference="Gao, Schulman, Hilton 2022 (arXiv:2210.10760), section 3.2",
        judge=overoptimization.judge_size,
    ),
    Claim(
        id="5-neural-hacking",
        number=5,
        who="Karpathy",
        statement="Run RL on a reward model for too long, and a neural policy games it.",
        prediction=(
            "under sampled policy gradient (RLOO, no KL penalty) a GRU policy's gold reward falls "
            "from its peak by 0.5 sd or more where the reward model is linear in counts and cannot "
            "express gold, and by less than half of that where it is a GRU and can. Effect: the "
            "fall under the linear reward model, in sd."
        ),
        null="gold does not fall, or falls as far under a reward model that could express it.",
        experiment="neural_hacking",
        reference="Gao et al. 2022 (arXiv:2210.10760); Ahmadian et al. 2024 (arXiv:2402.14740)",
        judge=neural_hacking.judge,
    ),
    Claim(
        id="5-the-the-the",
        number=5,
        who="Karpathy",
        statement="What a reward model likes best is nonsense such as 'the the the the the the'.",
        prediction=(
            "of the strings that an exact or beam search finds to score highest under a reward "
            "linear in counts (enumerable, words, neural), half or more are one word over and over "
            "(four words or more, three quarters of them the same), and their mean gold is below "
            "the reference's. Effect: that share in the tier where it is least."
        ),
        null="the best-scored strings do not repeat one word, or gold does not mind.",
        experiment="adversaries",
        reference="Wallace et al. 2019 (arXiv:1908.07125), for the search of such strings",
        judge=adversaries.judge,
    ),
    Claim(
        id="6-out-of-distribution",
        number=6,
        who="Karpathy",
        statement="Reward models fail on strings unlike those they were trained on.",
        prediction=(
            "with a misspecified proxy, and with one fitted to 1,000 comparisons, |r^ - r*| has a "
            "rank correlation of 0.3 or more with -ln ref(y), over all strings of the enumerable "
            "world, over draws from the reference in the word world, and over all strings where "
            "reference and proxy are networks. Effect: that correlation where it is least."
        ),
        null="errors are as large on probable strings as on improbable ones: correlation 0.",
        experiment="out_of_distribution",
        reference="Gao et al. 2022 (arXiv:2210.10760); Mroueh 2024 (arXiv:2406.05883)",
        judge=out_of_distribution_judges.judge_where,
    ),
    Claim(
        id="6-heavy-tails",
        number=6,
        who="Kwa, Thomas, Garriga-Alonso",
        statement="If the reward model's errors are heavy-tailed, a KL penalty does not help.",
        prediction=(
            "a single atom of the reference lets a policy collect an unbounded error of variance "
            "1 while KL goes to 0; and at a KL of 0.1 nats tilting collects at least twice as much "
            "of heavy (Cauchy) as of Gaussian errors of the same variance, in the enumerable world "
            "and in the word world. Effect: that ratio, of medians over the draws of a seed, its "
            "mean over seeds, in the tier where it is least."
        ),
        null="what is collected at a given KL depends on the errors' variance alone: ratio 1.",
        experiment="out_of_distribution",
        reference="Kwa et al. 2024 (arXiv:2407.14503); Mroueh 2024 (arXiv:2406.05883)",
        judge=out_of_distribution_judges.judge_heavy,
    ),
    Claim(
        id="8-stop-is-a-penalty",
        number=8,
        who="Karpathy",
        statement="One must stop after some hundreds of steps; stopping early is a KL penalty.",
        prediction=(
            "every step of exact natural policy gradient on whole strings is the Gibbs optimum of "
            "beta = 1 / (step size x step) to 1e-8 in every probability, while vanilla gradient is "
            "not; and with 20,000 comparisons and a misspecified proxy, running on from the best "
            "step to step 200 costs 1 sd of gold or more, in the enumerable world, in the word "
            "world and for a GRU under sampled gradient. Effect: that cost, in sd, in the tier "
            "where it is least."
        ),
        null="the path leaves the Gibbs path, or the last step is as good as the best.",
        experiment="early_stopping",
        reference="Gao, Schulman, Hilton 2022 (arXiv:2210.10760), section 3.4; Kakade 2001",
        judge=early_stopping.judge_penalty,
    ),
    Claim(
        id="8-when-to-stop",
        number=8,
        who="Karpathy",
        statement="The weaker the reward model, the sooner one must stop.",
        prediction=(
            "along natural gradient at equal step size the best stop comes at least twice as late "
            "with 20,000 comparisons as with 50, in the enumerable world, in the word world and "
            "along a GRU's sampled gradient by Adam. Effect: ratio of the two steps in the tier "
            "where it is least."
        ),
        null="the best stop does not depend on the amount of data, or comes earlier with more.",
        experiment="early_stopping",
        reference="Gao, Schulman, Hilton 2022 (arXiv:2210.10760), section 3.3",
        judge=early_stopping.judge_stop,
    ),
)
