"""The assignment problem: which track goes with which detection."""

from __future__ import annotations

import numpy as np


def assign(gain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs with the greatest total gain, each row and each column in one of them at most.

    gain: (M, N) float, finite; a pair that gains nothing (<= 0) is never made.
    Returns the rows, ascending, and the columns of the pairs: (P,) int64 each.
    """
    allowed = gain > 0
    # Most boxes meet one box only; what has no rival needs no search.
    rivals = allowed & ((allowed.sum(1) > 1)[:, None] | (allowed.sum(0) > 1)[None, :])
    rows, columns = np.nonzero(allowed & ~rivals)
    some_rows, some_columns = np.flatnonzero(rivals.any(1)), np.flatnonzero(rivals.any(0))
    part = np.maximum(gain[np.ix_(some_rows, some_columns)], 0.0)
    if len(some_rows) <= len(some_columns):
        first, second = np.arange(len(some_rows)), _shortest_paths(-part)
    else:
        first, second = _shortest_paths(-part.T), np.arange(len(some_columns))
    made = part[first, second] > 0
    rows = np.concatenate([rows, some_rows[first[made]]])
    columns = np.concatenate([columns, some_columns[second[made]]])
    order = np.argsort(rows)
    return rows[order], columns[order]


def _shortest_paths(cost: np.ndarray) -> np.ndarray:
    """(M, N) costs, M <= N, to the (M,) column of each row that cost least together.

    Shortest augmenting paths (Jonker and Volgenant 1987) in the rectangular form of Crouse,
    "On implementing 2D rectangular assignment algorithms", 2016, section II: each row is added by
    Dijkstra's search through reduced costs, which the dual variables keep from being negative.
    """
    count, width = cost.shape
    row_dual, column_dual = np.zeros(count), np.zeros(width)
    row_of = np.full(width, -1)
    column_of = np.full(count, -1)
    for start in range(count):
        distance = np.full(width, np.inf)
        before = np.full(width, -1)  # the row through which a column is reached
        done = np.zeros(width, bool)
        row, length = start, 0.0
        while True:
            through = length + cost[row] - row_dual[row] - column_dual
            nearer = ~done & (through < distance)
            distance[nearer], before[nearer] = through[nearer], row
            column = int(np.argmin(np.where(done, np.inf, distance)))
            length = float(distance[column])
            done[column] = True
            if row_of[column] < 0:
                break
            row = int(row_of[column])
        slack = length - distance
        taken = done & (row_of >= 0)
        row_dual[start] += length
        row_dual[row_of[taken]] += slack[taken]
        column_dual[done] -= slack[done]
        while column >= 0:
            row = int(before[column])
            row_of[column] = row
            column, column_of[row] = int(column_of[row]), column
    return column_of
