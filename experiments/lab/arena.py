"""One call for every tier: dials in, measured points of every path of optimisation out.

The rows of the tiers have the same columns, so that one judge and one figure serve them all:
`world`, `method`, `setting`, `kl`, `distance`, `chi_squared`, `proxy`, `gold`, `guaranteed`,
`repeats`, `length`, `correlation`, `largest_kl`; gains in standard deviations under the reference.
Neither repeats nor length are known of best-of-n in the word world: they are missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from experiments.lab import curves, words
from experiments.lab.curves import Method
from experiments.lab.dials import Dials, fit_proxy
from experiments.lab.world import draw_world, numbers
from experiments.yardstick import Yardstick

Rows = Iterator[dict[str, Any]]


@dataclass(frozen=True)
class Course:
    """Which paths are followed, and where they are measured.

    Args:
        methods: the paths.
        betas: of the tilt, in standard deviations of gold, strongest last.
        draws: the n of best-of-n.
        steps: gradient steps.
        step_size: of natural gradient, in 1 / sd.
        marks: how many of the steps are measured.
    """

    methods: tuple[Method, ...] = ("tilt",)
    betas: tuple[float, ...] = curves.BETAS
    draws: tuple[int, ...] = curves.DRAWS
    steps: int = 100
    step_size: float = 0.5
    marks: int = 20

    @property
    def marked(self) -> tuple[int, ...]:
        """The steps that are measured."""
        return curves.marks(self.steps, self.marks)


def enumerable(
    dials: Dials, seed: int, course: Course, horizon: int = 7, degree: int = 1, worlds: int = 8
) -> Rows:
    """All points in so many enumerable worlds, each with comparisons of its own.

    Worlds differ more than comparisons do: a seed is a batch of them, and what is judged is the
    mean over the batch.
    """
    for number in numbers(seed, worlds):
        for row in in_world(dials, number, course, horizon, degree):
            yield {"world": number, **row}


def in_world(dials: Dials, seed: int, course: Course, horizon: int, degree: int) -> Rows:
    """All points in one enumerable world."""
    world = draw_world(seed, horizon)
    proxy = fit_proxy(world, dials, seed, degree)
    ruler = curves.Ruler.of_proxy(proxy)
    stepping = course.step_size, course.marked
    paths: dict[Method, curves.Path] = {
        "tilt": curves.tilt(world.law, proxy.reward, course.betas),
        "best-of-n": curves.best_of_n(world.law, proxy.reward, course.draws),
        "natural-gradient": curves.natural_gradient(world.log_law, proxy.reward, *stepping),
        "token-gradient": curves.token_gradient(world, proxy.reward, *stepping),
        "vanilla-gradient": curves.token_gradient(world, proxy.reward, *stepping, natural=False),
    }
    return curves.rows(ruler, ((method, paths[method]) for method in course.methods))


def word_world(dials: Dials, seed: int, course: Course, horizon: int = 32) -> Rows:
    """All points in the word world; the seed is that of the comparisons."""
    proxy = words.fit_words(dials, seed, horizon=horizon)
    ruler = Yardstick.of(proxy.lattice, proxy.reward)
    about = ruler.about()
    stepping = course.step_size, course.marked
    paths = {
        "tilt": words.tilt(proxy, course.betas),
        "natural-gradient": words.natural_gradient(proxy, *stepping),
        "token-gradient": words.token_gradient(proxy, *stepping),
        "vanilla-gradient": words.token_gradient(proxy, *stepping, natural=False),
    }
    for method in course.methods:
        if method == "best-of-n":
            for n, measures in words.best_of_n(proxy, course.draws):
                yield {"world": 0, "method": method, "setting": float(n), **measures}
            continue
        for setting, policy in paths[method]:
            measures = ruler.of_policy(policy)
            yield {"world": 0, "method": method, "setting": float(setting), **measures, **about}
