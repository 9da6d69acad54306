"""Simulated people: true rewards -> judgements, with exact probabilities beside every draw.

`Person` errs in known ways; `Population` mixes people of hidden types; `MachineJudge` is fitted to
judgements of a machine beside those of people. Each gives the law of its judgement of a question;
`compare` draws from it and `expected_comparisons` tabulates it.
"""

from bandit_rlhf.annotator.glimpse import glimpsed_reward, prefix_part
from bandit_rlhf.annotator.judging import Annotator, compare, expected_comparisons
from bandit_rlhf.annotator.machine_judge import Confusion, MachineJudge, confusion
from bandit_rlhf.annotator.person import Person
from bandit_rlhf.annotator.population import Population
from bandit_rlhf.annotator.questions import Questions, every_question, random_questions

__all__ = [
    "Annotator",
    "Confusion",
    "MachineJudge",
    "Person",
    "Population",
    "Questions",
    "compare",
    "confusion",
    "every_question",
    "expected_comparisons",
    "glimpsed_reward",
    "prefix_part",
    "random_questions",
]
