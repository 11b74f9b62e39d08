"""Secrets and personal data in text: what has the form of one, and passes the check that the form allows.

Every pattern starts at a fixed mark or at the edge of a word and repeats within bounds only, so the time grows with the text and nothing
else: what is looked at may have been written to make a pattern run for ever. What was found is told by its class and a masked form.
"""

import base64
import binascii
import ipaddress
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from jupyter_mlprod.core.scan_look import Notes, SpotKind

CHUNK = 1 << 20
OVERLAP = 4096
"""Of two pieces of one endless line, so that what lies across their border is seen."""

PLACEHOLDER = re.compile(
    r"[<\[{$%*#]|(?:your|my|some|the|change|example|dummy|placeholder|redacted|secret|password|none|null|true|false)\b", re.I
)
RESERVED = (".example", ".test", ".invalid", ".localhost", ".local", "example.com", "example.org", "example.net")
"""Domains that belong to nobody (RFC 2606)."""
NOBODY = {"git", "noreply", "no-reply", "actions"}
FEWEST_BITS = 3.0
"""Shannon entropy, in bits a character, below which an assigned word is taken for a word."""

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AT": 20, "BE": 16, "BG": 22, "BR": 29, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20, "ES": 24,
    "FI": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GR": 27, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "KW": 30,
    "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26, "UA": 29,
}  # fmt: skip
Check = Callable[[re.Match[str]], str]
"""The value that a match is about, or the empty string when it is none after all."""


def _whole(match: re.Match[str]) -> str:
    return match[0]


def _jwt(match: re.Match[str]) -> str:
    """A token whose first part is a JSON object that names an algorithm."""
    head = match[1]
    try:
        fields = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return ""
    return match[0] if isinstance(fields, dict) and "alg" in fields else ""


def _given(match: re.Match[str]) -> str:
    """A word that a program was given: neither a placeholder nor a plain word."""
    word = match[1]
    if PLACEHOLDER.match(word) or len(set(word)) < 5:
        return ""
    bits = -sum(n / len(word) * math.log2(n / len(word)) for n in Counter(word).values())
    digit = any(map(str.isdigit, word))
    kinds = digit + (word != word.lower()) + (word != word.upper()) + (not word.isalnum())
    return word if bits >= FEWEST_BITS and kinds >= (2 if digit else 3) else ""


def _url_password(match: re.Match[str]) -> str:
    word = match[2]
    return "" if PLACEHOLDER.match(word) or word == match[1] else word


def _email(match: re.Match[str]) -> str:
    """The address around an @; what stands before it is read backwards, within the 64 characters that it may have."""
    before = match.string[max(0, match.start() - 65) : match.start()]
    local = re.sub(r"[^A-Za-z0-9._%+\-]", " ", before).rpartition(" ")[2].lstrip(".-")
    domain = match[1].lower()
    if not local or len(local) > 64 or local.lower() in NOBODY or domain.endswith(RESERVED):
        return ""
    return f"{local}@{domain}"


def _phone(match: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in match[0])
    return match[0] if 9 <= digits <= 15 else ""


def _iban(match: re.Match[str]) -> str:
    """ISO 13616: the length of the country, and 1 modulo 97."""
    text = match[0].replace(" ", "")
    length = IBAN_LENGTHS.get(text[:2], 0)
    text = text[:length]
    if not length or len(text) < length:
        return ""
    number = int("".join(str(int(character, 36)) for character in text[4:] + text[:4]))
    return text if number % 97 == 1 else ""


def _card(match: re.Match[str]) -> str:
    """ISO/IEC 7812: an issuer's range and length, and Luhn's check digit."""
    digits = [int(character) for character in match[0] if character.isdigit()]
    text = "".join(map(str, digits))
    issued = (
        (text[0] == "4" and len(text) in (13, 16, 19))
        or (len(text) == 16 and (51 <= int(text[:2]) <= 55 or 2221 <= int(text[:4]) <= 2720 or text[:4] == "6011" or text[:2] == "65"))
        or (len(text) == 15 and text[:2] in ("34", "37"))
    )
    doubled = [sum(divmod(2 * digit, 10)) if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    return text if issued and sum(doubled) % 10 == 0 and len(set(text)) > 1 else ""


def _address(match: re.Match[str]) -> str:
    """An address of the open internet; private, reserved and documentation ranges tell nothing about anybody."""
    try:
        found = ipaddress.ip_address(match[0])
    except ValueError:
        return ""
    return match[0] if found.is_global and not found.is_multicast else ""


def _ssn(match: re.Match[str]) -> str:
    return "" if match[1] in ("000", "666") or match[1] > "899" or match[2] == "00" or match[3] == "0000" else match[0]


Rule = tuple[SpotKind, str, tuple[str, ...], re.Pattern[str], Check]
"""Kind, class, marks of which one must be there (in lower case), pattern, check."""


def _rule(kind: SpotKind, name: str, marks: str, pattern: str, check: Check = _whole) -> Rule:
    return kind, name, tuple(marks.split()), re.compile(pattern), check


EDGE = r"(?<![A-Za-z0-9_\-])"
RULES: tuple[Rule, ...] = (
    _rule("secret", "private key", "private", r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    _rule("secret", "AWS access key", "akia asia", EDGE + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _rule("secret", "Google API key", "aiza", EDGE + r"AIza[0-9A-Za-z_\-]{35}(?![0-9A-Za-z_\-])"),
    _rule("secret", "Azure storage key", "accountkey=", r"AccountKey=[A-Za-z0-9+/]{86}=="),
    _rule("secret", "Azure shared access signature", "sig=", r"(?<=[?&])sig=[A-Za-z0-9%+/]{40,100}={0,2}"),
    _rule("secret", "GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", EDGE + r"gh[pousr]_[A-Za-z0-9]{36,255}"),
    _rule("secret", "GitHub token", "github_pat_", EDGE + r"github_pat_[A-Za-z0-9_]{60,100}"),
    _rule("secret", "GitLab token", "glpat-", EDGE + r"glpat-[A-Za-z0-9_\-]{20,100}"),
    _rule("secret", "Slack token", "xox", EDGE + r"xox[abeoprs]-[A-Za-z0-9\-]{10,200}"),
    _rule("secret", "Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,100}"),
    _rule("secret", "OpenAI or Anthropic key", "sk-", EDGE + r"sk-(?=[A-Za-z_\-]{0,60}[0-9])[A-Za-z0-9_\-]{24,250}"),
    _rule("secret", "Hugging Face token", "hf_", EDGE + r"hf_[A-Za-z0-9]{30,60}"),
    _rule("secret", "Stripe key", "k_live_", EDGE + r"[sr]k_live_[A-Za-z0-9]{20,200}"),
    _rule("secret", "npm token", "npm_", EDGE + r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    _rule("secret", "PyPI token", "pypi-", EDGE + r"pypi-[A-Za-z0-9_\-]{50,250}"),
    _rule("secret", "JSON web token", "eyj", EDGE + r"(eyJ[A-Za-z0-9_\-]{8,2000})\.[A-Za-z0-9_\-]{8,4000}\.[A-Za-z0-9_\-]{8,2000}", _jwt),
    _rule("secret", "password in a URL", "://", r"://([^\s:/@'\"]{1,100}):([^\s:/@'\"]{1,100})@", _url_password),
    _rule(
        "secret", "assigned secret", "passw pwd secret token api_key api-key apikey access_key access-key accesskey credential",
        r"(?i)(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|access[_-]?key|credentials?)(?:_?(?:key|value|id))?(?![A-Za-z0-9_])"
        r"""\\?["']?[ \t]{0,5}(?::[ \t]{0,3}str[ \t]{0,3})?[:=][ \t]{0,5}\\?["']([^"'\s\\]{8,200})["'\\]""",
        _given,
    ),
    _rule("personal", "email address", "@", r"@([A-Za-z0-9\-]{1,63}(?:\.[A-Za-z0-9\-]{1,63}){0,4}\.[A-Za-z]{2,24})(?![\w\-])", _email),
    _rule("personal", "telephone number", "+", r"(?<![\w.+\-)])\+[1-9][0-9]{0,2}(?:[ \-]?\(?[0-9]{1,5}\)?){2,6}(?![\w.])", _phone),
    _rule("personal", "IBAN", "", r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", _iban),
    _rule("personal", "card number", "", r"(?<![\w.\-])[2-6][0-9]{3}(?:[ \-]?[0-9]{4}){2}[ \-]?[0-9]{1,7}(?![\w.\-])", _card),
    _rule("personal", "card number", "", r"(?<![\w.\-])3[47][0-9]{2}[ \-]?[0-9]{6}[ \-]?[0-9]{5}(?![\w.\-])", _card),
    _rule("personal", "IP address", ".", r"(?<![\w.=<>~!\-/])(?<!ersion )[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w.\-])", _address),
    _rule("personal", "IP address", "::", r"(?<![\w:.])[23][0-9a-fA-F]{3}:[0-9a-fA-F:]{3,34}(?![\w:.])", _address),
    _rule("personal", "US social security number", "-", r"(?<![\w\-])([0-9]{3})-([0-9]{2})-([0-9]{4})(?![\w\-])", _ssn),
)  # fmt: skip


BY_CONTEXT = frozenset({"assigned secret", "password in a URL"})
MARKED = tuple(rule for rule in RULES if rule[0] == "secret" and rule[1] not in BY_CONTEXT)
"""Those that no random bytes match; the only ones that are looked for in bytes that are no text."""


def masked(value: str) -> str:
    """Enough to find a value again, too little to use it.

    Examples
    --------
    >>> masked("correct horse battery staple"), masked("hunter2")
    ('co…le', 'h…')
    """
    return f"{value[:2]}…{value[-2:]}" if len(value) >= 12 else f"{value[:1]}…"


def note_text(pieces: Iterator[str], notes: Notes, *, place: str = "", first_line: int = 1, rules: Sequence[Rule] = RULES) -> None:
    """Note what a text holds.

    Parameters
    ----------
    pieces : the text in pieces of any length
    place, first_line : where it stands
    rules : what is looked for
    """
    line, carried = first_line, ""
    known: set[tuple[str, int, str]] = set()
    for piece in pieces:
        text = carried + piece
        ends = text.rfind("\n") + 1
        carried = text[ends:]
        if ends:
            _note_piece(text[:ends], notes, known, place=place, line=line, rules=rules)
            known.clear()
            line += text.count("\n", 0, ends)
        if len(carried) > CHUNK:  # a line without end is looked at in pieces that overlap
            _note_piece(carried, notes, known, place=place, line=line, rules=rules)
            carried = carried[-OVERLAP:]
    _note_piece(carried, notes, known, place=place, line=line, rules=rules)


def _note_piece(text: str, notes: Notes, known: set[tuple[str, int, str]], *, place: str, line: int, rules: Sequence[Rule]) -> None:
    lower = text.lower()
    spans: list[tuple[int, int]] = []
    for kind, name, marks, pattern, check in rules:
        if marks and not any(mark in lower for mark in marks):
            continue
        at, lines = 0, line
        for match in pattern.finditer(text):
            value = check(match)
            if not value or any(start <= match.start() < end for start, end in spans[-50:]):
                continue
            lines, at = lines + text.count("\n", at, match.start()), match.start()
            spans.append(match.span())
            if (name, lines, value) not in known:
                known.add((name, lines, value))
                notes.add(kind, f"{name} {masked(value)}" if name != "private key" else name, place=place, line=lines)


def in_pieces(text: str) -> Iterator[str]:
    """A text in memory, as :func:`note_text` takes it."""
    for start in range(0, len(text), CHUNK):
        yield text[start : start + CHUNK]
