r"""Dialogues as text, "\n\nHuman: ... \n\nAssistant: ...": the prompt two share, the answers."""

from typing import Any

ANSWER = "\n\nAssistant:"
SPEAKERS = {"user": "Human", "assistant": "Assistant"}


def split_dialogue(chosen: str, rejected: str) -> tuple[str, str, str]:
    r"""The dialogue both share, up to the last turn of the assistant in it, and the two answers.

    Args:
        chosen: a transcript with turns "Human:" and "Assistant:", each after an empty line.
        rejected: another one.

    Returns:
        prompt, better answer, worse answer; the prompt is empty where no turn is shared.

    >>> split_dialogue("\n\nHuman: hi\n\nAssistant: hello", "\n\nHuman: hi\n\nAssistant: what?")
    ('\n\nHuman: hi\n\nAssistant:', ' hello', ' what?')
    """
    pairs = enumerate(zip(chosen, rejected, strict=False))
    differ = next((i for i, (a, b) in pairs if a != b), min(len(chosen), len(rejected)))
    turn = chosen.rfind(ANSWER, 0, differ)
    cut = 0 if turn < 0 else turn + len(ANSWER)
    return chosen[:cut], chosen[cut:], rejected[cut:]


def transcript(value: Any) -> Any:
    r"""Text as it is; a list of messages {role, content} as text with a turn for each.

    What is neither is returned as it is, for the judge of names to refuse.

    >>> transcript([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}])
    '\n\nHuman: hi\n\nAssistant: hello'
    """
    if not isinstance(value, list):
        return value
    try:
        turns = ((SPEAKERS.get(turn["role"], turn["role"]), turn["content"]) for turn in value)
        return "".join(f"\n\n{speaker}: {said}" for speaker, said in turns)
    except (TypeError, KeyError):
        return value
