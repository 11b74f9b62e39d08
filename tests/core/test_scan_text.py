"""Secrets and personal data are told by class and masked; what only has their form is not; no text makes the looking run for ever."""

import base64
import json
import string
from collections.abc import Iterator
from random import Random

import pytest

from jupyter_mlprod.core.scan_look import Notes
from jupyter_mlprod.core.scan_text import CHUNK, in_pieces, note_text


def told(text: str) -> list[str]:
    notes = Notes()
    note_text(in_pieces(text), notes)
    return [str(spot) for spot in notes.spots]


def word(length: int, *, letters: str = string.ascii_letters + string.digits) -> str:
    """Letters without meaning, the same every time."""
    return "".join(Random(7).choices(letters, k=length))


def jwt() -> str:
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps({"sub": "1234567890"})]
    return ".".join([*(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts), word(43)])


SECRETS = {
    "AWS access key": "AKIA" + word(16, letters=string.ascii_uppercase),
    "Google API key": "AIza" + word(35),
    "Azure storage key": f"AccountKey={word(86)}==",
    "GitHub token": "ghp_" + word(36),
    "GitLab token": "glpat-" + word(20),
    "Slack token": "xoxb-" + word(24),
    "Slack webhook": "https://hooks.slack.com/services/" + word(30),
    "OpenAI or Anthropic key": "sk-proj-" + word(48),
    "Hugging Face token": "hf_" + word(34),
    "Stripe key": "sk_live_" + word(24),
    "npm token": "npm_" + word(36),
    "PyPI token": "pypi-" + word(80),
    "JSON web token": jwt(),
    "private key": "-----BEGIN RSA PRIVATE KEY-----",
    "password in a URL": f"postgresql://bob:{word(12)}@db.corp/x",
    "assigned secret": f'db_password = "{word(14)}7!"',
}
PERSONAL = {
    "email address": "jane.doe@corp.io",
    "telephone number": "+49 30 901820",
    "IBAN": "DE89 3704 0044 0532 0130 00",
    "card number": "4111 1111 1111 1111",
    "IP address": "8.8.8.8",
    "US social security number": "078-05-1120",
}
QUIET = [
    'password = "<your password>"', 'password = "changeme"', 'token = "${TOKEN}"', '"unk_token": "[UNK]"', 'pad_token="<|endoftext|>"',
    'tokenizer = "bert-base-uncased"', 'token_embedding = "learned_positional"', "secret = getpass()", "https://user:password@host/",
    "user@example.com", "git@github.com:a/b", "@functools.lru_cache", "x[2000::5]", "nvidia-cublas-cu12==12.1.3.1", "192.168.1.1", "127.0.0.1",
    "version 1.2.3.4", "DE89 3704 0044 0532 0130 01", "4111 1111 1111 1112", "0.4111111111111111", "sha256:" + "4111111111111111" * 4,
    "+1.2345678e+05 +1.23456789012", "1699999999999999999", "12:30:45", "000-12-3456", "eyJhbGciOi.eyJ4.x", "sk-learn-contrib-something-long-name",
    "torch==2.13.0+cpu", "a" * 40,
]  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_told_by_its_class_and_never_in_full(name: str) -> None:
    (found,) = told(f"first line\nx {SECRETS[name]} y\n")
    assert found.startswith(f"line 2: {name}")
    assert max(len(part) for part in found.replace("…", " ").split()) < 12
    assert SECRETS[name] not in found


@pytest.mark.parametrize("name", PERSONAL)
def test_personal_data_is_told_by_its_class_and_never_in_full(name: str) -> None:
    (found,) = told(f"({PERSONAL[name]})")
    assert found.startswith(f"line 1: {name}")
    assert PERSONAL[name] not in found


@pytest.mark.parametrize("text", QUIET)
def test_what_only_has_the_form_is_let_through(text: str) -> None:
    assert told(text) == []


def test_a_secret_across_the_border_of_two_pieces_of_a_line_is_found_once() -> None:
    token = SECRETS["GitHub token"]
    for shift in (0, 10, 39):
        assert len(told("x" * (CHUNK - shift) + " " + token + " " + "y" * CHUNK)) == 1


def test_lines_are_counted_across_pieces() -> None:
    def pieces() -> Iterator[str]:
        for _ in range(1000):
            yield "a\nb"
        yield f"\n{SECRETS['GitHub token']}"

    notes = Notes()
    note_text(pieces(), notes)
    assert notes.spots[0].line == 1002


def test_what_is_found_a_thousand_times_is_counted_and_not_kept() -> None:
    notes = Notes()
    note_text(in_pieces("\n".join(f"jane{i}@corp.io" for i in range(1000))), notes)
    assert notes.counts == {"personal": 1000}
    assert len(notes.spots) == 200
