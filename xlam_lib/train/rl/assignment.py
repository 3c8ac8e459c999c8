"""The best pairing of two lists: which wanted call goes with which made one, so that the pairs are worth the most.

Used by `rewards.py` for parallel calls (notebook 03), whose order must not matter. This is the assignment problem,
solved exactly in O(rows squared times columns) (Kuhn 1955, Munkres 1957).

    worth, pairs = best([[3.0, 1.0], [2.0, 2.0]])    # 5.0, [(0, 0), (1, 1)]
"""

from __future__ import annotations

from collections.abc import Sequence

INFINITY = float("inf")


def best_assignment(worth: Sequence[Sequence[float]]) -> tuple[float, list[tuple[int, int]]]:
    """(sum, pairs of row and column) of the pairing worth the most; min(rows, columns) pairs, in the rows' order."""
    if not worth or not worth[0]:
        return 0.0, []
    if len(worth) > len(worth[0]):
        total, pairs = best_assignment([list(column) for column in zip(*worth, strict=True)])
        return total, sorted((row, column) for column, row in pairs)
    pairs = _min_cost_assignment([[-value for value in row] for row in worth])
    return sum(worth[row][column] for row, column in pairs), pairs


def _min_cost_assignment(costs: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """A column for each row, at the lowest cost; at least as many columns as rows.

    Rows enter one by one. Potentials keep all reduced costs at zero or above, so the cheapest way to free a column for
    the new row is a shortest path.
    """
    columns = len(costs[0])
    of_row, of_column = [0.0] * (len(costs) + 1), [0.0] * (columns + 1)
    holder = [0] * (columns + 1)  # the row, from 1 on, that has a column; column 0 stands for the row that enters
    for row in range(1, len(costs) + 1):
        holder[0], at = row, 0
        least, before, done = [INFINITY] * (columns + 1), [0] * (columns + 1), [False] * (columns + 1)
        while holder[at]:
            done[at] = True
            here = holder[at]
            for column in range(1, columns + 1):
                if not done[column]:
                    reduced = costs[here - 1][column - 1] - of_row[here] - of_column[column]
                    if reduced < least[column]:
                        least[column], before[column] = reduced, at
            step, nearest = min((least[column], column) for column in range(1, columns + 1) if not done[column])
            for column in range(columns + 1):
                if done[column]:
                    of_row[holder[column]] += step
                    of_column[column] -= step
                else:
                    least[column] -= step
            at = nearest
        while at:
            holder[at] = holder[before[at]]
            at = before[at]
    return sorted((holder[column] - 1, column - 1) for column in range(1, columns + 1) if holder[column])
