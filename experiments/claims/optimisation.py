"""Claims on optimising an imperfect reward: what turns the curve, and when."""

from experiments import goodhart_page
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
)
