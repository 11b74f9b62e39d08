"""The view of a portrait: a row a field, its rules in words beside how the data lie, and what breaks them in the same row.

A saved notebook should stay small, so only some fields are shown, those with violations first; the others are counted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from jupyter_mlprod.core.conformance import ALL_ROWS, Violation
from jupyter_mlprod.core.contract import Column, Input, Tensor, Text
from jupyter_mlprod.core.contract_text import expected_text, number, otherwise
from jupyter_mlprod.core.errors import MlprodError
from jupyter_mlprod.core.plain import clean
from jupyter_mlprod.core.portrait import Bars, FieldPortrait, Portrait, Shares
from jupyter_mlprod.core.record import short
from jupyter_mlprod.core.suggestion import percent
from jupyter_mlprod.fronts.table import Details, Picture, View, moment_text
from jupyter_mlprod.fronts.words import split_words

SHOWN = 32
SHOWN_SUGGESTIONS = 20
NAMED_VALUES = 3
BROKEN, ALLOWED = "✗", "–"  # noqa: RUF001  a dash is meant
MIDNIGHT = " 00:00:00"
COLUMNS = ("side", "name", "type", "rules", "data", "nulls", "found")


def portrait_view(portrait: Portrait) -> View:
    """The view of a portrait."""
    view = _fields(portrait)
    _suggestions(view, portrait)
    return view


def _fields(portrait: Portrait) -> View:
    """The same without suggestions."""
    held = f"{portrait.checks:,} checks on {number(portrait.rows)} rows ({portrait.view} view)"
    broken = f"{portrait.broken} broken" if portrait.broken else "none broken"
    view = View(title=f"contract of {short(portrait.about)}, {held}, {broken}")
    fields = shown_fields(portrait.fields)
    pictures = tuple(_picture(field) for field in fields)
    view.table(
        COLUMNS,
        [_row(field, portrait.rows) for field in fields],
        numeric=("nulls",),
        lines=("rules", "data", "found"),
        pictures=pictures,
    )
    if any(picture and picture.band for picture in pictures):
        view.notes.append("in a picture the shaded stretch is what the limits allow")
    _rules(view, portrait)
    if len(fields) < len(portrait.fields):
        view.notes.append(f"{len(fields)} of {len(portrait.fields):,} fields, those with violations first")
    if portrait.sampled < portrait.rows:
        view.notes.append(f"pictures are of {number(portrait.sampled)} sampled rows")
    return view


def shown_fields(fields: Sequence[FieldPortrait]) -> list[FieldPortrait]:
    """At most `SHOWN` of them, in their order; where there are more, those with violations go first."""
    if len(fields) <= SHOWN:
        return list(fields)
    kept = sorted(range(len(fields)), key=lambda i: (not fields[i].violations, not fields[i].tolerated, i))[:SHOWN]
    return [fields[i] for i in kept]


def _row(field: FieldPortrait, rows: int) -> tuple[str, ...]:
    declared = field.field
    kind = declared.dtype if isinstance(declared, Tensor) else "text" if isinstance(declared, Text) else declared.type
    gone = "" if field.nulls is None else f"{field.nulls:,}" + (f" ({field.nulls / rows:.1%})" if field.nulls and rows else "")
    found = [_said(one, declared.name, BROKEN) for one in field.violations]
    found += [_said(one, declared.name, ALLOWED) + " (mostly allows it)" for one in field.tolerated]
    return (field.side, declared.name, kind, "\n".join(_rule_lines(declared)), "\n".join(_data_lines(field)), gone, "\n".join(found))


def _said(violation: Violation, name: str, mark: str) -> str:
    """A violation beside its field, whose name need not be said again."""
    what = clean(violation.what)
    for word in ("column", "input"):
        what = what.removeprefix(f"{word} {clean(name)!r} ")
    told = violation.examples if violation.check not in ALL_ROWS else ()
    examples = f" ({'; '.join(map(clean, told))})" if told else ""
    return f"{mark} {what}{examples}"


def _rule_lines(field: Input) -> Iterator[str]:
    """Each rule, with a mark where no person declared it and it was read off an example."""
    for words, members in _rules_of(field):
        said = any(member in (field.declared or ()) for member in members)
        yield clean(words) if said else f"{clean(words)} [inferred]"


def _rules_of(field: Input) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(field, Text):
        if field.longest is not None:
            yield f"at most {number(field.longest)} characters", ("longest",)
    elif isinstance(field, Tensor):
        yield f"shape ({', '.join(map(str, field.shape))})", ("shape",)
        yield from _limits(field)
        yield from [("finite", ("finite",))] if field.finite and field.dtype.startswith("float") else []
        yield from [(f"{field.layout} {field.channels or ''}".strip(), ("layout", "channels"))] if field.layout else []
        yield from [(f"sums to {number(field.sum_to)}", ("sum_to",))] if field.sum_to else []
    else:
        yield from _limits(field)
        yield from _column_rules(field)
    if action := otherwise(field):
        yield f"otherwise {action}", ("on_violation", "unknown_category", "default")
    if field.pii:
        yield f"personal data: {field.pii}", ("pii",)


def _limits(field: Tensor | Column) -> Iterator[tuple[str, tuple[str, ...]]]:
    unit = f" {field.unit}" if field.unit else ""
    if field.low is not None and field.high is not None:
        yield f"{number(field.low)} … {number(field.high)}{unit}", ("low", "high")
    elif field.low is not None:
        yield f"at least {number(field.low)}{unit}", ("low",)
    elif field.high is not None:
        yield f"at most {number(field.high)}{unit}", ("high",)
    elif unit:
        yield f"in{unit}", ("unit",)


def _column_rules(column: Column) -> Iterator[tuple[str, tuple[str, ...]]]:
    if column.categories:
        more = f" and {len(column.categories) - NAMED_VALUES:,} more" if len(column.categories) > NAMED_VALUES else ""
        yield f"one of {', '.join(column.categories[:NAMED_VALUES])}{more}", ("categories",)
    yield from [(f"matches {column.pattern}", ("pattern",))] if column.pattern else []
    yield from [(f"at least {number(column.shortest)} characters", ("shortest",))] if column.shortest else []
    yield from [(f"at most {number(column.longest)} characters", ("longest",))] if column.longest else []
    yield from [("no value repeats", ("unique",))] if column.unique else []
    yield from (
        [(f"at most {column.max_age} old" + (f" by {column.event_time}" if column.event_time else ""), ("max_age", "event_time"))]
        if column.max_age
        else []
    )
    yield from [(expected_text(column.expected), ("expected",))] if column.expected else []
    yield ("nulls allowed" if column.nullable else "no nulls"), ("nullable",)
    yield from [(f"for {number(100 * column.mostly)} % of rows", ("mostly",))] if column.mostly else []


def _data_lines(field: FieldPortrait) -> list[str]:
    picture = field.picture
    if field.withheld:
        return ["withheld: personal"]
    if picture is None:
        return ["not in the data"] if field.nulls is None else ["no values of this type"]
    if isinstance(picture, Shares):
        total = sum(picture.counts) + picture.others
        named = [f"{clean(value)} {n / total:.0%}" for value, n in zip(picture.values, picture.counts, strict=True) if n][:NAMED_VALUES]
        more = picture.distinct - len(named)
        return [", ".join([*named, *([f"{more:,} more"] if more > 0 else [])]) or "no values"]
    if picture.of == "seconds":
        return [_span(moment_text(picture.low), moment_text(picture.high))]
    return [f"{number(picture.low)} … {number(picture.high)}{' characters' if picture.of == 'characters' else ''}"]


def _span(first: str, last: str) -> str:
    """Two moments; as days where both are midnight."""
    if first.endswith(MIDNIGHT) and last.endswith(MIDNIGHT):
        first, last = first.removesuffix(MIDNIGHT), last.removesuffix(MIDNIGHT)
    return f"{first} … {last}"


def _picture(field: FieldPortrait) -> Picture | None:
    picture = field.picture
    if isinstance(picture, Shares):
        rest = (picture.others,) if picture.others else ()
        return Picture(
            bars=(*picture.counts, *rest), outside=(*picture.outside, *(picture.others_outside for _ in rest)), apart=True
        ) if picture.counts or rest else None  # fmt: skip
    if picture is None:
        return None
    return Picture(bars=picture.counts, outside=picture.outside, band=_band(picture, *_ends(field.field)))


def _ends(field: Input) -> tuple[float | None, float | None]:
    """The limits of what the picture counts."""
    if isinstance(field, Text):
        return None, field.longest
    if isinstance(field, Column) and field.type == "string":
        return field.shortest or None, field.longest or None
    return field.low, field.high


def _band(bars: Bars, low: float | None, high: float | None) -> tuple[float, float] | None:
    """Where the rule allows, in shares of the width."""
    if low is None and high is None:
        return None
    width = bars.stop - bars.start

    def share(limit: float | None, otherwise: float) -> float:
        return otherwise if limit is None else min(1.0, max(0.0, (limit - bars.start) / width)) if width else otherwise

    return share(low, 0.0), share(high, 1.0)


def _rules(view: View, portrait: Portrait) -> None:
    broken = {one.field: one for one in portrait.violations if one.check == "rule"}
    rows = [(name, text, f"{BROKEN} {broken[name].what}" if name in broken else "kept") for name, text in portrait.rules.items()]
    rows += [("", "", f"{BROKEN} {one.what}") for one in portrait.violations if one.check != "rule"]
    if rows:
        view.table(("rule", "expression", "found"), rows, lines=("found",))


def _suggestions(view: View, portrait: Portrait) -> None:
    """What could be declared, the TOML of it by section, and the command that declares the first.

    Distributions, which nearly every column has, are counted and stand in the TOML alone.
    """
    distributions = [one for one in portrait.suggestions if one.id.endswith(".expected")]
    others = [one for one in portrait.suggestions if one not in distributions]
    shown = [*others, *distributions][:SHOWN_SUGGESTIONS]
    if not shown:
        return
    rows = [(one.id, one.sentence, percent(one.share)) for one in shown if one not in distributions]
    if rows:
        view.table(("suggestion", "seen in the data", "keep it"), rows, numeric=("keep it",))
    if distributions:
        view.notes.append(f"the distribution of {len(distributions):,} could be declared, such as {distributions[0].id}")
    if len(shown) < len(portrait.suggestions):
        view.notes.append(f"{len(shown)} of {len(portrait.suggestions):,} suggestions")
    able = [one for one in shown if one.toml]
    if able:
        view.details.append(Details(summary="suggestions as TOML", text=merged(one.toml for one in able)))
        view.notes.append(f"declare {able[0].id}: {_command(portrait.about, able[0].settings)}")


def _command(about: str, settings: Mapping[str, str]) -> str:
    """What declares a suggestion in the file that the portrait came from; where there is none, or no line can say it, a way by hand."""
    if not about.endswith(".toml"):
        return "paste its TOML into the contract"
    words = ["contract", "edit", about, *(word for key, value in settings.items() for word in ("--set", key, value))]
    said = [next((form for form in (word, f"'{word}'", f'"{word}"') if _reads(form, word)), "") for word in words]
    return f"%mlprod {' '.join(said)}" if all(said) else f"paste its TOML into {about}"


def _reads(form: str, word: str) -> bool:
    """Whether a magic's line reads a form as the word; what IPython puts its variables into, or what ends the line, is none."""
    try:
        return not set("{}$\n") & set(form) and not form.endswith((";", "?")) and split_words(form) == [word]
    except MlprodError:
        return False


def merged(parts: Iterable[str]) -> str:
    """Pieces of TOML as one document, each section once."""
    sections: dict[str, list[str]] = {}
    for part in parts:
        head, _, body = part.partition("\n")
        sections.setdefault(head, []).append(body)
    return "\n\n".join("\n".join([head, *bodies]) for head, bodies in sections.items())
