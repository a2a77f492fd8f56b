"""Water-filling: who wants little gets it, the others get the same for each unit of weight."""

from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet_common.planning.sharing import Claim, fill, share
from fleet_common.planning.sizes import round_down, round_up

parties = st.lists(
    st.tuples(st.integers(0, 10**9), st.fractions(Fraction(1, 1000), 1000)), min_size=1, max_size=8
)

# The machine may be busy with other tests: time says nothing about these.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

amounts = st.integers(0, 4 * 10**9)


@unhurried
@given(parties, amounts)
def test_shares_use_up_the_amount_or_meet_every_want(
    drawn: list[tuple[int, Fraction]], amount: int
) -> None:
    wants, weights = [want for want, _ in drawn], [weight for _, weight in drawn]
    shares = fill(amount, wants, weights)
    assert all(0 <= got <= want for got, want in zip(shares, wants, strict=True))
    assert sum(shares) <= amount
    if shares != wants:
        assert sum(shares) > amount - len(wants)


@unhurried
@given(parties, amounts)
def test_nobody_who_is_short_has_less_for_its_weight_than_another(
    drawn: list[tuple[int, Fraction]], amount: int
) -> None:
    wants, weights = [want for want, _ in drawn], [weight for _, weight in drawn]
    shares = fill(amount, wants, weights)
    for got, want, weight in zip(shares, wants, weights, strict=True):
        if got < want:
            # One whole byte is what rounding may take.
            assert all(
                Fraction(other) / other_weight <= Fraction(got + 1) / weight
                for other, other_weight in zip(shares, weights, strict=True)
            )


@unhurried
@given(parties, amounts, st.integers(0, 10**9), st.data())
def test_wanting_more_takes_nothing_that_others_are_entitled_to(
    drawn: list[tuple[int, Fraction]], amount: int, more: int, data: st.DataObject
) -> None:
    greedy = data.draw(st.integers(0, len(drawn) - 1))
    modest = [Claim(weight, want, want) for want, weight in drawn]
    wanting = list(modest)
    wanting[greedy] = Claim(modest[greedy].weight, modest[greedy].wanted + more, drawn[greedy][0])
    before, after = share(amount, modest), share(amount, wanting)
    assert after[greedy] >= before[greedy]
    assert [got for n, got in enumerate(after) if n != greedy] == [
        got for n, got in enumerate(before) if n != greedy
    ]
    assert sum(after) <= amount


def test_without_weight_there_is_no_right_to_anything() -> None:
    assert fill(10, [5, 5], [Fraction(0), Fraction(1)]) == [0, 5]
    assert fill(0, [5], [Fraction(1)]) == [0]
    assert fill(-3, [5], [Fraction(1)]) == [0]


@unhurried
@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_steps_enclose_a_size_and_keep_the_order(one: int, other: int) -> None:
    assert round_down(one) <= one <= round_up(one)
    assert round_up(round_down(one)) == round_down(one) == round_down(round_down(one))
    if one <= other:
        assert round_down(one) <= round_down(other)
        assert round_up(one) <= round_up(other)
