"""Is the fit to be believed? Tests, intervals and scores that look at a fit from outside."""

from bandit_rlhf.diagnosis.agreement import (
    Agreement,
    agreement_with_oneself,
    agreement_with_others,
    krippendorff_alpha,
)
from bandit_rlhf.diagnosis.calibration import (
    Calibration,
    CalibrationBin,
    calibration,
    cross_validated_calibration,
)
from bandit_rlhf.diagnosis.consistency import AnnotatorConsistency, annotator_consistency
from bandit_rlhf.diagnosis.goodness import GoodnessOfFit, Residual, goodness_of_fit
from bandit_rlhf.diagnosis.hodge import (
    EdgeComplex,
    HodgeFlows,
    edge_complex,
    hodge_decomposition,
)
from bandit_rlhf.diagnosis.intransitivity import Cycle, FlowPart, Intransitivity, intransitivity
from bandit_rlhf.diagnosis.multiple_tests import benjamini_hochberg, holm
from bandit_rlhf.diagnosis.nested import LikelihoodRatio, likelihood_ratio
from bandit_rlhf.diagnosis.plain import plain
from bandit_rlhf.diagnosis.ranks import RankIntervals, rank_intervals

__all__ = [
    "Agreement",
    "AnnotatorConsistency",
    "Calibration",
    "CalibrationBin",
    "Cycle",
    "EdgeComplex",
    "FlowPart",
    "GoodnessOfFit",
    "HodgeFlows",
    "Intransitivity",
    "LikelihoodRatio",
    "RankIntervals",
    "Residual",
    "agreement_with_oneself",
    "agreement_with_others",
    "annotator_consistency",
    "benjamini_hochberg",
    "calibration",
    "cross_validated_calibration",
    "edge_complex",
    "goodness_of_fit",
    "hodge_decomposition",
    "holm",
    "intransitivity",
    "krippendorff_alpha",
    "likelihood_ratio",
    "plain",
    "rank_intervals",
]
