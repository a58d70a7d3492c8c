"""Cholesky factors of covariance matrices, kept as inverses: prediction is then one matrix product.

Symbols
-------
S   matrices in a stack          n   rows known          k   rows added
C   covariance (S, n, n), C = L L^T          W   inverse factor L^-1 (S, n, n), lower triangular

`W` is as accurate as L (its error grows with the condition number of L, the square root of C's).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from utilities.errors import ReverieError

Array = NDArray[np.float64]

FIRST_JITTER = 1e-10
LAST_JITTER = 1e-4


class NotPositiveDefiniteError(ReverieError, ArithmeticError):
    """A covariance matrix has no Cholesky factor."""


def cholesky(matrix: Array, *, overwrite: bool = False) -> Array:
    """Lower Cholesky factor of a symmetric matrix (n, n), in the matrix's own memory if `overwrite`.

    Raises
    ------
    NotPositiveDefiniteError
        The matrix is not positive definite in floating point, or not finite.
    """
    factor, info = lapack.dpotrf(matrix.T, lower=1, clean=1, overwrite_a=overwrite)
    if info != 0 or not np.isfinite(factor[-1, -1]):
        raise NotPositiveDefiniteError(
            f"a covariance matrix {matrix.shape} must be positive definite: LAPACK info {info}"
        )
    return np.asarray(factor)


def inverse_of_triangle(factor: Array, *, overwrite: bool = False) -> Array:
    """Inverse of a lower triangular matrix (n, n) with a positive diagonal, in its own memory if `overwrite`."""
    inverse, _ = lapack.dtrtri(factor, lower=1, overwrite_c=overwrite)
    return np.asarray(inverse)


def jittered_cholesky(matrix: Array) -> Array:
    """Lower Cholesky factor of a symmetric matrix, with as little added to its diagonal as makes that possible.

    Tried in turn: nothing, then `FIRST_JITTER`, ten times as much, ... `LAST_JITTER`, each times the diagonal's mean.

    Raises
    ------
    NotPositiveDefiniteError
        `LAST_JITTER` does not suffice: the matrix is no covariance, or not finite.
    """
    try:
        return cholesky(matrix)
    except NotPositiveDefiniteError:
        scale = float(np.mean(np.diagonal(matrix)))
    jitter = FIRST_JITTER
    while jitter <= LAST_JITTER * 1.01:
        try:
            return cholesky(matrix + jitter * scale * np.eye(matrix.shape[0]))
        except NotPositiveDefiniteError:
            jitter *= 10.0
    raise NotPositiveDefiniteError(
        f"a covariance matrix {matrix.shape} must be positive definite: it is not, even with {LAST_JITTER:g} of its "
        f"mean variance {scale:g} added to the diagonal"
    )


def extended_inverse_factors(inverse: Array, whitened: Array, corner: Array) -> Array:
    """Inverse factors (S, n + k, n + k) after `k` more rows, in O(S n^2 k).

    With the factor L' of the Schur complement corner - V V^T, the new W is [[W, 0], [-L'^-1 V W, L'^-1]].

    Parameters
    ----------
    inverse : array (S, n, n)
        Inverse factors W so far.
    whitened : array (S, k, n)
        V = cross W^T, where cross is the covariance of new rows with old ones.
    corner : array (S, k, k)
        Covariance of the new rows.

    Raises
    ------
    NotPositiveDefiniteError
        A Schur complement has no factor, even jittered.
    """
    count, new, old = whitened.shape
    if new == 0:
        return inverse
    schur = corner - whitened @ np.swapaxes(whitened, 1, 2)
    extended = np.zeros((count, old + new, old + new))
    extended[:, :old, :old] = inverse
    for s in range(count):
        corner_inverse = inverse_of_triangle(jittered_cholesky(schur[s]), overwrite=True)
        extended[s, old:, old:] = corner_inverse
        extended[s, old:, :old] = -(corner_inverse @ whitened[s]) @ inverse[s]
    return extended
