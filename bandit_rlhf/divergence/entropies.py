"""Entropy of the next token, exactly from logits, or from a draw's own log-probability.

>>> import numpy as np
>>> entropy(np.zeros((1, 1, 4))).round(4)
array([[1.3863]])
"""

from array_api_compat import array_namespace

from bandit_rlhf import _check
from bandit_rlhf._masked import Array
from bandit_rlhf.contract import estimator


@estimator(
    "entropy",
    claims={"value", "bounded", "chain_rule", "gradient", "temperature", "excluded", "finite"},
)
def entropy(logits: Array, temperature: float = 1.0) -> Array:
    """Entropy of softmax(logits / temperature), without underflow.

    H = ln sum_a e^(z_a) - sum_a pi_a z_a,   z = logits/T - max,   pi = softmax(z)

    The logits are those of the whole vocabulary: of the top k alone it is another law's entropy.

    Args:
        logits: [..., vocabulary]; -inf bans a token, but not all of them.
        temperature: T, above 0.

    Returns:
        [...], in nats, within 0 .. ln |vocabulary|.

    Raises:
        ValueError: a temperature of 0 or below.

    Laws: H1 to H5. Theorem 9 (chain rule).

    >>> import numpy as np
    >>> entropy(np.log(np.asarray([0.5, 0.5, 0.0]) + 1e-300)).round(6)
    np.float64(0.693147)
    """
    temperature = _check.positive("temperature", temperature, "entropy")
    xp = array_namespace(logits)
    shifted = logits / temperature
    shifted = shifted - xp.max(shifted, axis=-1, keepdims=True)
    weights = xp.exp(shifted)
    total = xp.sum(weights, axis=-1)
    finite = xp.where(weights > 0, shifted, xp.zeros_like(shifted))
    return xp.log(total) - xp.sum(weights * finite, axis=-1) / total


def surprisal(log_prob: Array) -> Array:
    """-ln pi(y) of a draw: its mean is the entropy, and its mean gradient is 0.

    As a loss it is no entropy bonus (theorem 1); as a detached reward it is.

    >>> import numpy as np
    >>> surprisal(np.log(np.asarray([0.5]))).round(4)
    array([0.6931])
    """
    return -log_prob
