"""Whole data sets against a plan, piece by piece: what is in memory is one small piece and one large, a file is many.

Of a piece, columns that were fine so far are asked quickly whether they still are, and only of the others each demand is counted, so clean
data cost one comparison a value; first places are looked for where something was counted. *unique* keeps the values themselves of what is
in memory and of numbers and times, 8 bytes a row, and of strings in a file a hash of 8 bytes: two different ones of ten million strings
share one, and would be told as one repeated, with a probability of 3e-6.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from jupyter_mlprod.adapters.frames.columns import Column, values_at
from jupyter_mlprod.adapters.frames.masks import (
    asks_texts,
    bad_texts,
    classes_of,
    counted_classes,
    counts_of,
    is_one_of,
    is_suspect,
    masks,
    quick,
)
from jupyter_mlprod.adapters.frames.ready import Ready, ready
from jupyter_mlprod.adapters.frames.rules import broken_age, broken_rule, operand
from jupyter_mlprod.adapters.frames.source import Source
from jupyter_mlprod.adapters.frames.tally import Tally
from jupyter_mlprod.core.conformance import MOST_EXAMPLES, Found
from jupyter_mlprod.core.contract import is_personal
from jupyter_mlprod.core.demands import AgePlan, Check, ColumnPlan, Plan
from jupyter_mlprod.core.expected import distribution_fault
from jupyter_mlprod.core.expression import KINDS
from jupyter_mlprod.core.lookalike import MOST_DISTINCT, Looks

Masks = dict[tuple[int, Check], pl.Expr]
"""By the number of a column in the plan and the demand."""


def _selected(frame: pl.DataFrame, *exprs: pl.Expr) -> pl.DataFrame:
    """What several expressions have in common is computed once."""
    return frame.lazy().select(*exprs).collect()


def _counts(broken: Masks) -> Iterator[pl.Expr]:
    """How many rows break each demand."""
    return (mask.sum().alias(f"{index} {check}") for (index, check), mask in broken.items())


def looks_of(plan: ColumnPlan) -> Looks | None:
    """The looks of a column's categories; none of a personal one, because the category that a value looks like tells what it is."""
    return None if is_personal(plan.column) else Looks(plan.column.categories)


class FrameChecker:
    """A plan and what its demands have come to on the pieces so far."""

    def __init__(self, plan: Plan, source: Source, *, now: datetime.datetime | None) -> None:
        self.plan = plan
        self.source = source
        self.now = now
        self.columns = {index: one for index, one in enumerate(plan.columns) if one.column.name in source.names}
        self.rows = 0
        self.suspects: set[int] = set()
        self.tallies = {
            (index, check): Tally(demand, looks=looks_of(one) if check == "category" else None)
            for index, one in self.columns.items()
            for check, demand in one.demands.items()
        }
        self.ages = [Tally(age.demand, tells=age.event_time) for age in plan.ages]
        self.rules = [Tally(rule.demand) for rule in plan.rules]
        self.texts = [index for index, one in self.columns.items() if asks_texts(one)]
        self.classes: dict[int, list[int]] = {}
        self.keys: dict[int, list[pl.Series]] = {index: [] for index, one in self.columns.items() if "unique" in one.demands}

    def look(self, rows: int, columns: Mapping[str, Column]) -> None:
        """The next piece."""
        readies = {index: ready(f"c{index}", columns[one.column.name], one.column.type) for index, one in self.columns.items()}
        held = [series for one in readies.values() for series in one.series]
        frame = pl.DataFrame(held) if held else pl.DataFrame(height=rows)
        self.suspects |= {index for index, one in self.columns.items() if is_suspect(one, readies[index])}
        asked = {str(index): quick(one, readies[index]) for index, one in self.columns.items() if index not in self.suspects}
        broken = self._masks(self.suspects, readies)
        answers = _selected(
            frame,
            *(expr.alias(name) for name, expr in asked.items() if expr is not None),
            *(readies[index].usable.unique().implode().alias(f"{index} texts") for index in self.texts),
            *_counts(broken),
            *self._whole_rows(readies),
            *self._class_counts(readies),
        )
        doubtful = {int(name) for name, expr in asked.items() if expr is not None and not answers[name][0]}
        self._add(broken, answers, frame, columns)
        self._add_texts(answers, readies, frame, columns)
        if doubtful:
            broken = self._masks(doubtful, readies)
            self._add(broken, _selected(frame, *_counts(broken)), frame, columns)
            self.suspects |= doubtful
        self._add_whole_rows(answers, readies, frame, columns)
        self._add_classes(answers)
        for index, kept in self.keys.items():
            kept.append(frame.select(self._key(index, readies[index])).to_series())
        self.rows += rows

    def _masks(self, indexes: set[int], readies: Mapping[int, Ready]) -> Masks:
        return {(index, check): mask for index in sorted(indexes) for check, mask in masks(self.columns[index], readies[index]).items()}

    def _add(self, broken: Masks, answers: pl.DataFrame, frame: pl.DataFrame, columns: Mapping[str, Column]) -> None:
        for (index, check), mask in broken.items():
            if count := int(answers[f"{index} {check}"][0] or 0):
                column = columns[self.columns[index].column.name]
                self.tallies[index, check].add(count, start=self.rows, frame=frame, mask=mask, column=column)

    def _add_texts(self, answers: pl.DataFrame, readies: Mapping[int, Ready], frame: pl.DataFrame, columns: Mapping[str, Column]) -> None:
        bad = {
            (index, check): values
            for index in self.texts
            for check, values in bad_texts(self.columns[index].column, answers[f"{index} texts"][0].drop_nulls()).items()
        }
        if not bad:
            return
        broken = {(index, check): is_one_of(readies[index].usable, values) for (index, check), values in bad.items()}
        counted = {
            index: counts_of(readies[index].usable, values)
            for (index, check), values in bad.items()
            if check == "category" and self.tallies[index, check].looks_at_values()
        }
        of_values = [
            expr.alias(f"{index} value {i}")
            for index, exprs in counted.items()
            for i, expr in enumerate(exprs if isinstance(exprs, list) else [exprs])
        ]
        answers = _selected(frame, *_counts(broken), *of_values)
        self._add(broken, answers, frame, columns)
        for index, exprs in counted.items():
            if isinstance(exprs, list):
                counts = {value: answers[f"{index} value {i}"][0] for i, value in enumerate(bad[index, "category"])}
            else:
                counts = dict(answers[f"{index} value 0"][0].struct.unnest().head(MOST_DISTINCT + 1).iter_rows())
            self.tallies[index, "category"].add_values(counts)

    def _whole_rows(self, readies: Mapping[int, Ready]) -> Iterator[pl.Expr]:
        """How many rows break each rule and are too old."""
        yield from (mask.sum().alias(f"rule {i}") for i, mask in enumerate(self._rule_masks(readies)))
        yield from (self._age_mask(age, readies).sum().alias(f"age {i}") for i, age in enumerate(self.plan.ages))

    def _rule_masks(self, readies: Mapping[int, Ready]) -> list[pl.Expr]:
        operands = {one.column.name: operand(readies[index].usable, KINDS[one.column.type]) for index, one in self.columns.items()}
        return [broken_rule(rule.term, operands) for rule in self.plan.rules]

    def _age_mask(self, age: AgePlan, readies: Mapping[int, Ready]) -> pl.Expr:
        usable = {one.column.name: readies[index].usable for index, one in self.columns.items()}
        value, event, use = (usable.get(name) for name in (age.column, age.event_time, age.as_of))
        return broken_age(age, value=value, event=event, use=use, now=self.now if age.by_clock else None)

    def _add_whole_rows(
        self, answers: pl.DataFrame, readies: Mapping[int, Ready], frame: pl.DataFrame, columns: Mapping[str, Column]
    ) -> None:
        for i, (tally, mask) in enumerate(zip(self.rules, self._rule_masks(readies), strict=True)):
            if count := int(answers[f"rule {i}"][0] or 0):
                tally.add(count, start=self.rows, frame=frame, mask=mask, column=None)
        for i, (tally, age) in enumerate(zip(self.ages, self.plan.ages, strict=True)):
            if count := int(answers[f"age {i}"][0] or 0):
                events = self._events(age, frame, readies, columns)
                tally.add(count, start=self.rows, frame=frame, mask=self._age_mask(age, readies), column=events)

    def _events(self, age: AgePlan, frame: pl.DataFrame, readies: Mapping[int, Ready], columns: Mapping[str, Column]) -> Column:
        """Event times as they are told: None where there is none that could be used."""
        index = next((index for index, one in self.columns.items() if one.column.name == age.event_time), None)
        if index is None:
            return pl.Series([None] * frame.height, dtype=pl.Null)
        column = columns[age.event_time]
        gone = frame.select(readies[index].usable.is_null()).to_series()
        if isinstance(column, list):
            return [None if null else value for null, value in zip(gone.to_list(), column, strict=True)]
        return column.to_frame("event").select(pl.when(~pl.lit(gone)).then(pl.col("event"))).to_series()

    def _class_counts(self, readies: Mapping[int, Ready]) -> Iterator[pl.Expr]:
        for index, one in self.columns.items():
            exprs = counted_classes(one.column, readies[index].usable)
            yield from (expr.alias(f"{index} class {i}") for i, expr in enumerate(exprs))

    def _add_classes(self, answers: pl.DataFrame) -> None:
        for index, one in self.columns.items():
            if one.column.expected:
                counted = 1 + len(one.column.expected.edges or one.column.expected.values)
                counts = classes_of(one.column, [int(answers[f"{index} class {i}"][0]) for i in range(counted)])
                before = self.classes.get(index, [0] * len(counts))
                self.classes[index] = [a + b for a, b in zip(before, counts, strict=True)]

    def _key(self, index: int, one: Ready) -> pl.Expr:
        """What stands for a value where repeated ones are looked for; null for a value that is not usable."""
        if self.source.whole is None and self.columns[index].column.type == "string":
            return pl.when(one.usable.is_not_null()).then(one.usable.hash())
        return one.usable

    def found(self) -> Iterator[Found]:
        """Every demand that is broken, when all pieces have been seen; in the order in which requests are told of theirs."""
        for index, one in enumerate(self.plan.columns):
            if index not in self.columns:
                yield Found(demand=one.demands["present"], rows=self.rows)
                continue
            yield from self._of_column(index, one)
        yield from (found for tally in (*self.ages, *self.rules) if (found := tally.found()) is not None)

    def _of_column(self, index: int, one: ColumnPlan) -> Iterator[Found]:
        for check in one.demands:
            found = self._repeated(index) if check == "unique" else self.tallies[index, check].found()
            if found is not None:
                yield found
        if index in self.classes:
            fault = distribution_fault(one.column, self.classes[index], self.plan.action, rows=self.rows)
            if fault is not None:
                yield fault

    def _repeated(self, index: int) -> Found | None:
        if not self.keys[index]:
            return None
        keys = pl.concat(self.keys[index])
        there = keys.drop_nulls()
        if there.n_unique() == len(there):
            return None
        again = (~keys.is_first_distinct() & keys.is_not_null()).arg_true()
        first = again.head(MOST_EXAMPLES).to_list()
        one = self.columns[index]
        return Found(demand=one.demands["unique"], rows=len(again), first=tuple(first), values=self._values(one.column.name, first))

    def _values(self, name: str, rows: Sequence[int]) -> tuple[Any, ...]:
        """What stands in some rows, ascending; of a file, its one column is read again up to the last of them."""
        if self.source.whole is not None:
            return values_at(self.source.whole[name], rows)
        found: list[Any] = []
        start = 0
        for height, columns in self.source.pieces([name]):
            inside = [row - start for row in rows if start <= row < start + height]
            found += values_at(columns[name], inside)
            start += height
            if len(found) == len(rows):
                break
        return tuple(found)
