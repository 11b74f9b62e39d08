"""Which class of personal data a column seems to hold: by the form of its values, else by its name. A guess, which a person confirms.

The forms are those that a scan looks for (`scan_text.py`), but for an e-mail address, where reserved domains count too: better one column
too many is withheld than a person named. Names of people have no form. What was found is told by its class and by how many values have it,
never by a value.
"""

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from jupyter_mlprod.core.contract import Column, is_personal
from jupyter_mlprod.core.reference import HELD_BY, LONGEST, one_of_each
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
EMAIL = re.compile(r"[^\s@]@(?:[\w\-]{1,63}\.){1,5}[^\W\d_]{2,24}")
FORMS = tuple((name, marks, pattern, check) for kind, name, marks, pattern, check in RULES if kind == "personal" and name in CLASSES)
SENTENCE_END = re.compile(r"[.,;:!?]+(?=\s|$)")
"""Marks that belong to the sentence around a number and not to the number."""

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
OF_A_PERSON = frozenset({
    "applicant", "assignee", "attorney", "author", "beneficiary", "borrower", "buyer", "candidate", "cardholder", "cashier",
    "clerk", "client", "clinician", "contact", "creator", "customer", "dentist", "doctor", "driver", "editor", "employee", "father",
    "guardian", "guest", "husband", "insured", "lawyer", "manager", "member", "midwife", "mother", "nurse", "officer", "operator",
    "owner", "passenger", "patient", "payee", "payer", "person", "pharmacist", "physician", "player", "policyholder", "recipient",
    "reporter", "reviewer", "seller", "sender", "signer", "spouse", "student", "subscriber", "supervisor", "surgeon", "teacher",
    "technician", "tenant", "therapist", "user", "who", "wife", "witness", "worker",
})  # fmt: skip
WITHIN = frozenset({"at", "in", "of", "on"})
"""What follows these says where a person is, and not what the column is about."""
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


def of_a_role(name: str) -> bool:
    """Whether a name ends in a word for a person, so that the column may hold who it is: ``doctor``, ``created_by``, ``nurse_on_duty``.

    >>> of_a_role("referring physician"), of_a_role("owner2"), of_a_role("customer_segment"), of_a_role("users")
    (True, True, False, True)
    """
    parts = [part.lower() for part in PARTS.findall(name[:200]) if not part.isdigit()]
    parts = list(itertools.takewhile(lambda part: part not in WITHIN, parts))
    return bool(parts) and (parts[-1] == "by" or parts[-1] in OF_A_PERSON or parts[-1].removesuffix("s") in OF_A_PERSON)


def form_of_a_value(text: str) -> str:
    """The class whose form a value has, or has in it, or nothing.

    >>> form_of_a_value("ring jane@example.com"), form_of_a_value("none")
    ('email', '')
    """
    if EMAIL.search(text[:LONGEST_LOOKED_AT]):
        return "email"
    shown = SENTENCE_END.sub(" ", text[:LONGEST_LOOKED_AT])
    lower = shown.lower()
    for name, marks, pattern, check in FORMS:
        if (not marks or any(mark in lower for mark in marks)) and any(map(check, pattern.finditer(shown))):
            return CLASSES[name]
    return ""


def by_form(texts: Sequence[str]) -> tuple[str, int, int]:
    """The class that most of the texts have the form of, how many do, and how many were looked at.

    A hundredth of a sample that is spread over the texts is enough. A value that as many of them share as a picture or a category
    needs is looked at in any case, since it could be named.
    """
    shared = [text for text, n in Counter(texts).items() if n >= HELD_BY and len(text) <= LONGEST]
    spread = texts if len(texts) <= MOST_TEXTS else [texts[row] for row in one_of_each(len(texts), MOST_TEXTS)]
    for looked, enough in ((spread, max(1.0, FEWEST_SHARE * len(spread))), (shared, 1.0)):
        counts = Counter(filter(None, map(form_of_a_value, looked)))
        if counts.total() >= enough:
            form, found = max(counts.items(), key=lambda item: (item[1], item[0]))
            return form, found, len(looked)
    return "", 0, len(spread)


def personal_proposal(name: str, texts: Sequence[str], *, kind: str) -> Proposal | None:
    """What a column, tensor or text of a name and a kind seems to hold about people."""
    form, found, looked = by_form(texts)
    if form:
        what = f"{found:,} of {looked:,} values that were looked at have the form of personal data ({form})"
        return Proposal(what="pii", values={"pii": form}, sentence=what, share=found / looked)
    said = by_name(name)
    if not said and kind in ("string", "int", "float") and of_a_role(name):
        said = "name" if kind == "string" else "person id"
    if said and not (kind in ("bool", "float") and said in ("name", "address", "email")):
        return Proposal(what="pii", values={"pii": said}, sentence=f"its name speaks of personal data ({said})", share=1.0)
    return None


def seen_of(kind: str, values: Sequence[Any]) -> list[str]:
    """What of the values of a column is looked at: the strings, or of whole numbers the two that a picture or a limit would tell."""
    if kind in ("int", "float"):
        finite = [value for value in values if math.isfinite(value)]
        return [f"{end:.0f}" for end in (min(finite), max(finite)) if end == int(end)] if finite else []
    return [value for value in values if isinstance(value, str)]


def is_withheld(column: Column, guess: Proposal | None) -> bool:
    """Whether nothing may be said of the values: they are personal, or seem to be and nobody has said that they are not."""
    return is_personal(column) or (guess is not None and not column.pii)
