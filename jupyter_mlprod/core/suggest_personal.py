"""Which class of personal data a column seems to hold: by the form of its values, else by its name. A guess, which a person confirms.

The forms are those that a scan looks for (`scan_text.py`). What was found is told by its class and by how many values have it, never by
a value.
"""

import itertools
import re
from collections.abc import Sequence

from jupyter_mlprod.core.contract import Column, is_personal
from jupyter_mlprod.core.scan_text import RULES
from jupyter_mlprod.core.suggestion import Proposal

MOST_TEXTS = 500
LONGEST_LOOKED_AT = 500
FEWEST_SHARE = 0.01

CLASSES = {
    "email address": "email", "telephone number": "phone", "IBAN": "iban", "card number": "card", "IP address": "ip",
    "US social security number": "ssn",
}  # fmt: skip
"""The names of a scan's findings, as classes of a contract."""

WORDS: dict[str, frozenset[str]] = {
    "email": frozenset({"email", "mail", "emailaddress"}),
    "phone": frozenset({"phone", "telephone", "mobile", "fax", "phonenumber", "tel"}),
    "name": frozenset({"surname", "firstname", "lastname", "fullname", "forename", "username", "maidenname", "middlename"}),
    "address": frozenset({"street", "address", "postcode", "zipcode", "zip"}),
    "birth date": frozenset({"birth", "birthday", "birthdate", "dob", "dateofbirth"}),
    "ssn": frozenset({"ssn", "socialsecurity", "nationalid"}),
    "iban": frozenset({"iban"}),
    "passport": frozenset({"passport"}),
    "ip": frozenset({"ip", "ipaddress"}),
    "face": frozenset({"face", "portrait"}),
}
OF_A_PERSON = frozenset({"patient", "user", "customer", "client", "employee", "person", "member", "subscriber", "student"})
IDS = frozenset({"id", "no", "nr", "number", "key", "uid", "uuid"})
PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def by_name(name: str) -> str:
    """The class that a name speaks of, or nothing.

    >>> by_name("home_phone"), by_name("patientId"), by_name("first name"), by_name("product"), by_name("name")
    ('phone', 'person id', 'name', '', 'name')
    """
    parts = [part.lower() for part in PARTS.findall(name[:200])]
    pairs = {a + b for a, b in itertools.pairwise(parts)}
    known = {*parts, *pairs}
    for kind, words in WORDS.items():
        if known & words:
            return kind
    if known & OF_A_PERSON and known & IDS:
        return "person id"
    return "name" if parts == ["name"] or (known & OF_A_PERSON and "name" in known) else ""


def by_form(texts: Sequence[str]) -> tuple[str, int, int]:
    """The class that most of the texts have the form of, how many do, and how many were looked at."""
    counts: dict[str, int] = {}
    looked = texts[:MOST_TEXTS]
    for text in looked:
        lower = text[:LONGEST_LOOKED_AT].lower()
        for kind, name, marks, pattern, check in RULES:
            if kind != "personal" or (marks and not any(mark in lower for mark in marks)):
                continue
            match = pattern.search(text[:LONGEST_LOOKED_AT])
            if match is not None and check(match):
                counts[name] = counts.get(name, 0) + 1
                break
    if not counts:
        return "", 0, len(looked)
    name, found = max(counts.items(), key=lambda item: (item[1], item[0]))
    return (CLASSES[name], found, len(looked)) if found >= max(1, FEWEST_SHARE * len(looked)) else ("", 0, len(looked))


def personal_proposal(name: str, texts: Sequence[str], *, kind: str) -> Proposal | None:
    """What a column, tensor or text of a name and a kind seems to hold about people."""
    form, found, looked = by_form(texts)
    if form:
        what = f"{found:,} of {looked:,} values that were looked at have the form of personal data ({form})"
        return Proposal(what="pii", values={"pii": form}, sentence=what, share=found / looked)
    said = by_name(name)
    if said and not (kind in ("bool", "float") and said in ("name", "address", "email")):
        return Proposal(what="pii", values={"pii": said}, sentence=f"its name speaks of personal data ({said})", share=1.0)
    return None


def is_withheld(column: Column, guess: Proposal | None) -> bool:
    """Whether nothing may be said of the values: they are personal, or seem to be and nobody has said that they are not."""
    return is_personal(column) or (guess is not None and not column.pii)
