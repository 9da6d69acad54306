import numpy as np
import pytest

from experiments import gao

D = np.linspace(0.2, 4.0, 12)


@pytest.mark.parametrize("form", gao.FORMS)
@pytest.mark.parametrize(("a", "b"), [(2.0, 0.4), (1.0, 0.9), (0.7, -0.2)])
def test_fit_recovers_the_form_that_made_the_curve(form, a, b):
    fitted = gao.fit(form, D, gao.design(form, D) @ np.array([a, b]))
    assert (fitted.a, fitted.b) == pytest.approx((a, b), rel=1e-10)
    assert fitted.residual < 1e-12


@pytest.mark.parametrize("form", gao.FORMS)
def test_peak_is_where_the_slope_vanishes(form):
    fitted = gao.fit(form, D, gao.design(form, D) @ np.array([2.0, 0.7]))
    nearby = fitted.peak * np.array([0.999, 1.0, 1.001])
    below, top, above = fitted(nearby)
    assert top > below
    assert top > above


def test_no_peak_where_the_curve_never_turns():
    assert gao.fit("square", D, D * (1 + 0.1 * D)).peak == np.inf


@pytest.mark.parametrize("form", gao.FORMS)
def test_criterion_prefers_the_form_that_made_the_curve(form):
    noise = 1e-3 * np.random.default_rng(3).standard_normal(D.size)
    gold = gao.design(form, D) @ np.array([2.0, 0.5]) + noise
    (other,) = set(gao.FORMS) - {form}
    assert gao.fit(form, D, gold).criterion < gao.fit(other, D, gold).criterion - 10


def test_forms_are_written_as_published():
    assert gao.design("square", np.array([3.0])) @ [2.0, 0.5] == pytest.approx(3 * (2 - 0.5 * 3))
    logarithm = gao.design("logarithm", np.array([3.0])) @ [2.0, 0.5]
    assert logarithm == pytest.approx(3 * (2 - 0.5 * np.log(3)))


@pytest.mark.parametrize("d", [[1.0, 2.0], [0.0, 1.0, 2.0], []])
def test_fit_refuses_what_it_cannot_fit(d):
    with pytest.raises(ValueError, match=r"should have 3 or more, all above 0"):
        gao.fit("square", d, np.ones(len(d)))
