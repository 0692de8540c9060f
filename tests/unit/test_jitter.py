"""The period of the jitter's generator, by linear algebra over its 30 bits."""

from ansim_fw.core.retry import Jitter

BITS = 30
PERIOD = 2**BITS - 1
# 2^30 - 1 = 3^2 * 7 * 11 * 31 * 151 * 331
PRIME_FACTORS = (3, 7, 11, 31, 151, 331)

IDENTITY = [1 << bit for bit in range(BITS)]


def apply(matrix: "list[int]", vector: int) -> int:
    result = 0
    for bit in range(BITS):
        if vector >> bit & 1:
            result ^= matrix[bit]
    return result


def power(matrix: "list[int]", exponent: int) -> "list[int]":
    result = IDENTITY
    while exponent:
        if exponent & 1:
            result = [apply(matrix, column) for column in result]
        matrix = [apply(matrix, column) for column in matrix]
        exponent >>= 1
    return result


def one_turn(state: int) -> int:
    jitter = Jitter(1)
    jitter.state = state
    return jitter.below(1 << BITS)


def test_the_jitter_goes_through_every_state_before_it_comes_back() -> None:
    turn = [one_turn(column) for column in IDENTITY]
    assert power(turn, PERIOD) == IDENTITY
    assert all(power(turn, PERIOD // factor) != IDENTITY for factor in PRIME_FACTORS)
