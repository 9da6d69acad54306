"""Claims on optimising an imperfect reward: what turns the curve, and when."""

from experiments import goodhart_page, overoptimization
from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
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
)
