"""From scores to class probabilities. Every answer comes here, so it needs numpy alone: scipy takes as long to import as ONNX Runtime."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def probabilities(scores: Floats, *, are: str) -> Floats:
    """Class probabilities, (n, classes).

    Parameters
    ----------
    scores : (n, classes) logits or probabilities; (n, 1) or (n,) is the score of the second of two classes
    are : ``logits`` or ``probabilities``
    """
    scores = scores.reshape(len(scores), -1).astype(np.float64)
    if scores.shape[1] == 1:
        positive = 1 / (1 + np.exp(-np.clip(scores, -700, 700))) if are == "logits" else scores
        return np.hstack([1 - positive, positive])
    if are == "probabilities":
        return scores
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def tempered(probability: Floats, temperature: float) -> Floats:
    """Probabilities whose logits are divided by the temperature (Guo et al. 2017, "On calibration of modern neural networks", §4.2)."""
    if temperature == 1.0:
        return probability
    logits = np.log(np.maximum(probability, np.finfo(np.float64).tiny)) / temperature
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    scaled: Floats = raised / raised.sum(axis=1, keepdims=True)
    return scaled
