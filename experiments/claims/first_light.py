"""Claims that first light decides: one world of real English, one look at each."""

from experiments import goodhart
from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = (
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
        headline=True,
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
        headline=True,
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
        headline=True,
        judge=goodhart.judge_early_stopping,
    ),
)
