"""Vectors of length 1 turned as little as need be until some of their cosines are as told.

For n vectors a cosine c of the ith and jth is the equation w_i · w_j = c, and a
length of 1 is w_i · w_i = 1. Levenberg's and Marquardt's method solves them all
by steps that are the shortest to do so, from where the vectors stand. With n
components or more a minimum that it ends in is the least there is (Burer and
Monteiro, 2005), so what it cannot solve has no solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Cosine: TypeAlias = tuple[int, int, float]
"""Of the vectors at two places."""

TOLERANCE: Final = 5e-4
"""A solution is off by no more; stated cosines are to hold to 0.001."""
_EXACT: Final = 1e-16
"""The sum of the squared errors that is as good as none."""
_FINE: Final = 2e-4
"""How exactly the ends of an interval are found."""
_LEAST: Final = 1e-11
"""Damping without which equations that repeat each other could not be solved."""
_MOST_STEPS: Final = 1000
_PATIENCE: Final = 100
_PROGRESS: Final = 0.9
"""What of the squared errors is left after so many steps, if it is worth to go on."""
_GRID: Final = 2**20
"""Components are rounded to such parts of 1: what machines differ in is far below."""


class Solution(NamedTuple):
    """The vectors as rows, and how far the worst of their cosines is off."""

    vectors: Floats
    error: float

    @property
    def holds(self) -> bool:
        """Whether the cosines are as told."""
        return self.error <= TOLERANCE


def solve(start: Floats, cosines: Sequence[Cosine], enough: float = 0.0) -> Solution:
    """Turn the rows of ``start``, of as many components as there are rows or more.

    An error of ``enough`` is as good as none; one that cannot be less ends it, too.
    """
    equations = _Equations(len(start), cosines)
    vectors, residuals = start, equations.residuals(start)
    squares, damping, before = float(residuals @ residuals), 1e-3, np.inf
    for number in range(_MOST_STEPS):
        if number % _PATIENCE == 0:
            if squares > _PROGRESS * before:
                break
            before = squares
        if squares <= _EXACT or np.abs(residuals).max() <= enough / 4:
            break
        if number % 5 == 4 and equations.refute(residuals, enough or TOLERANCE):
            break
        step = equations.step(vectors, residuals, max(damping * sqrt(squares), _LEAST))
        tried = vectors + step
        found = equations.residuals(tried)
        if found @ found < squares:
            vectors, residuals, squares = tried, found, float(found @ found)
            damping /= 4
        else:
            damping *= 4
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return Solution(units, float(np.abs(equations.residuals(units)).max()))


class _Equations:
    """The cosines, and after them the lengths, as pairs of places and what they are to be."""

    def __init__(self, size: int, cosines: Sequence[Cosine]) -> None:
        own = np.arange(size)
        self.left = np.concatenate([[i for i, _, _ in cosines], own]).astype(np.intp)
        self.right = np.concatenate([[j for _, j, _ in cosines], own]).astype(np.intp)
        self.told = np.concatenate([[c for _, _, c in cosines], np.ones(size)])

    def residuals(self, vectors: Floats) -> Floats:
        """How far each product is from what it is to be."""
        products: Floats = np.einsum("ij,ij->i", vectors[self.left], vectors[self.right])
        off: Floats = products - self.told
        return off

    def refute(self, residuals: Floats, error: float) -> bool:
        """Whether no vectors at all have all products to within ``error``.

        Weigh the equations by what they are off. If the matrix of the weights
        has no negative eigenvalue, the weighted sum of the products of any
        vectors is none below 0; but the weighted sum of what is told may be.
        """
        size = int(self.left.max()) + 1
        matrix = np.zeros((size, size))
        np.add.at(matrix, (self.left, self.right), residuals / 2)
        least = min(float(np.linalg.eigvalsh(matrix + matrix.T)[0]), 0.0)
        told = float(residuals @ self.told) + error * float(np.abs(residuals).sum())
        return told < least * size * (1 + error)

    def step(self, vectors: Floats, residuals: Floats, damping: float) -> Floats:
        """The damped step of least length; it comes out of the vectors' products alone.

        The derivative of w_i · w_j is w_j in the ith row and w_i in the jth, so
        that of two equations' derivatives the product is a sum of products.
        """
        gram, left, right = vectors @ vectors.T, self.left, self.right
        same = np.equal.outer
        normal: Floats = (
            same(left, left) * gram[np.ix_(right, right)]
            + same(left, right) * gram[np.ix_(right, left)]
            + same(right, left) * gram[np.ix_(left, right)]
            + same(right, right) * gram[np.ix_(left, left)]
        )
        normal[np.diag_indices_from(normal)] += damping
        weights = np.zeros_like(gram)
        np.add.at(weights, (left, right), np.linalg.solve(normal, -residuals))
        moved: Floats = (weights + weights.T) @ vectors
        return moved


def solve_anywhere(size: int, cosines: Sequence[Cosine], enough: float = TOLERANCE) -> Solution:
    """Any vectors of ``size`` components with such cosines, to see whether there are some."""
    rows = np.arange(size * size, dtype=np.float64).reshape(size, size)
    return solve(np.eye(size) + 1e-3 * np.sin(rows), cosines, enough)


def interval(size: int, cosines: Sequence[Cosine], pair: tuple[int, int]) -> tuple[float, float]:
    """From where to where the cosine of a pair may be, given others that can be had together."""
    vectors = solve_anywhere(size, cosines).vectors
    now = float(vectors[pair[0]] @ vectors[pair[1]])

    def can_be(cosine: float) -> bool:
        told = [*cosines, (*pair, cosine)]
        return solve_anywhere(size, told, _FINE / 4).error <= _FINE / 4

    def reach(end: float) -> float:
        reached, beyond = now, end
        if can_be(end):
            return end
        while abs(beyond - reached) > _FINE:
            middle = (reached + beyond) / 2
            if can_be(middle):
                reached = middle
            else:
                beyond = middle
        return reached

    return reach(-1.0), reach(1.0)


def turn(vectors: Floats, cosines: Sequence[Cosine]) -> NDArray[np.float32]:
    """The rows, of length 1 and independent of each other, turned until the cosines hold.

    They stay in the space that they span, so it is a matter of as many
    components as there are rows. The same bits on every machine, but for one
    case in millions: rounding to a grid hides in what order sums were made.
    """
    axes, coordinates = np.linalg.qr(vectors.T)
    solution = solve(coordinates.T, cosines)
    if not solution.holds:  # it got stuck, which is rare; there is a solution elsewhere
        found = solve_anywhere(len(vectors), cosines, 0.0).vectors
        left, _, right = np.linalg.svd(found.T @ coordinates.T)
        solution = Solution(found @ left @ right, 0.0)
    return _rounded(solution.vectors @ axes.T)


def _rounded(vectors: Floats) -> NDArray[np.float32]:
    whole = np.rint(vectors * _GRID).astype(np.int64)
    norms = [sqrt(int(row @ row)) for row in whole]
    rounded: NDArray[np.float32] = (whole / np.array(norms)[:, None]).astype(np.float32)
    return rounded
