"""Real judgements: a crowd and GPT-4 on the same pairs of answers by 59 language models.

Dmitry Ustalov, Large Language Model Feedback Analysis and Optimization (2023), CC BY 4.0. The files
are not part of this repository: BANDIT_RLHF_DATA names a folder with `llmfao/` in it.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.comparisons.reading import read

VARIABLE = "BANDIT_RLHF_DATA"
FILES = ("crowd-comparisons.csv", "gpt4-crowd-comparisons.csv")
ABSENT = "absent"


@dataclass(frozen=True, eq=False)
class SameQuestions:
    """What two kinds of annotators said on the same questions.

    A question is a prompt and two items; an outcome is +1 where its item of lower id won, -1 where
    the other one did, and 0 for a tie.

    Args:
        crowd: many people, a few judgements a question.
        machine: one judgement a question.
        question: [crowd row], the machine's row on the same question.
    """

    crowd: Comparisons
    machine: Comparisons
    question: np.ndarray

    @property
    def items(self) -> int:
        return self.crowd.item_count


def folder() -> Path | None:
    """Where the files are, or None."""
    named = os.environ.get(VARIABLE)
    found = Path(named) / "llmfao" if named else None
    return found if found and all((found / name).is_file() for name in FILES) else None


WHY_ABSENT = (
    f"{VARIABLE} should name a folder that holds llmfao/{FILES[0]} and llmfao/{FILES[1]}, but does "
    "not. Get them from github.com/dustalov/llmfao."
)


def digest() -> str:
    """The files' contents in 16 digits, "absent" where there are none.

    It is a part of each config: rows are a function of the files too, and rows that say only that
    they are absent are not reused once they are there.
    """
    found = folder()
    if found is None:
        return ABSENT
    content = hashlib.sha256()
    for name in FILES:
        content.update((found / name).read_bytes())
    return content.hexdigest()[:16]


def load(expected: str) -> SameQuestions:
    """The judgements, if the files are those that a config speaks of.

    Raises:
        ValueError: other files, or none.
    """
    found, actual = folder(), digest()
    if found is None or actual != expected:
        reason = WHY_ABSENT if found is None else "Run with these files' own config."
        raise ValueError(
            f"the judgements have digest {actual}, but should have {expected}. {reason}"
        )
    return same_questions(*(read(found / name, position=True) for name in FILES))


def same_questions(crowd: Comparisons, machine: Comparisons) -> SameQuestions:
    """Line up two tables by question.

    Raises:
        ValueError: other items or prompts, a question that the machine judged twice or never.
    """
    if crowd.items != machine.items or crowd.prompts != machine.prompts:
        raise ValueError("crowd and machine judge other items or prompts, but should the same.")
    asked, answered = _question_keys(crowd), _question_keys(machine)
    order = np.argsort(answered)
    if (np.diff(answered[order]) == 0).any():
        raise ValueError("the machine judged a question twice, but should once.")
    place = np.searchsorted(answered[order], asked).clip(max=len(order) - 1)
    question = order[place]
    if (answered[question] != asked).any():
        raise ValueError("the machine left out a question of the crowd's, but should judge all.")
    return SameQuestions(crowd, machine, question)


def _question_keys(rows: Comparisons) -> np.ndarray:
    """[row], one number a question."""
    assert rows.prompt is not None
    low, high = np.minimum(rows.winner, rows.loser), np.maximum(rows.winner, rows.loser)
    return (rows.prompt.astype(np.int64) * rows.item_count + low) * rows.item_count + high


def outcomes(rows: Comparisons) -> np.ndarray:
    """[row], in {+1, 0, -1}, seen from the item of lower id."""
    won = np.where(rows.winner < rows.loser, 1, -1)
    return won if rows.tie is None else np.where(rows.tie, 0, won)
