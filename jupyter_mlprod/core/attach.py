"""Attaching: what is about a bundle (SBOM, model card, both signed statements) is written beside it, into ``attached/``.

The second statement is taken away first and written last: whoever is stopped in between leaves a bundle whose attached files are not
covered, never one with a statement that is wrong. Two processes that attach at once each look again after they have signed, so that the
last one covers what lies there in the end. What a hand has changed or added in ``attached/`` is not signed for on the way to a promotion.
A first statement that came from elsewhere is signed as it stands only when the signature of a trusted key proves who has made it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyter_mlprod.core import card_html, card_markdown
from jupyter_mlprod.core.bundle import ATTACHED_SIGNATURE, CARD, CARD_HTML, CARD_WORDS, SBOM, SIGNATURE
from jupyter_mlprod.core.card import card_of
from jupyter_mlprod.core.dossier import Dossier, gather
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.provenance import provenance
from jupyter_mlprod.core.resolve import Found
from jupyter_mlprod.core.sbom import sbom_text
from jupyter_mlprod.core.statement import Signed, attached_faults, attached_statement, bundle_fault, bundle_statement, claims

LOOKS = 5


def attach(found: Found, ports: Ports, *, words: str = "", arrived: Path | None = None) -> None:
    """Renew the documents from the records there are and sign both statements with this workspace's key.

    A first statement about this very bundle that a trusted key has signed is signed as it stands, so that its signatures stay.

    Parameters
    ----------
    words : TOML of what a person says for the card; empty leaves what was said before
    arrived : folder of the same bundle as it came from elsewhere, whose signatures are taken over

    Raises
    ------
    MlprodError : ``bad-request`` for words that are none, ``disk``.
    """
    dossier = gather(found, ports, words=words)
    envelopes = [folder / SIGNATURE for folder in (found.folder, arrived) if folder is not None]
    documents, first = documents_of(dossier), _first(envelopes, dossier, ports)
    _open(found.folder)
    _write(documents | ({CARD_WORDS: words} if words else {}), found.folder, ports)
    ports.signer.sign(found.folder / SIGNATURE, first, also=envelopes[1:])
    _cover(found, ports)


def renew(found: Found, ports: Ports) -> None:
    """Renew the documents and cover them again, if all of ``attached/`` is as a trusted key has signed it; else leave it and say so.

    Documents that say the same already are left alone, so that a second promotion changes nothing under the upload of the first.
    """
    faults = faults_of_attached(found, ports)
    if faults:
        what = f"attached/ of {found.bundle.name} is left as it is: {faults[0]}" + (f", and {len(faults) - 1} more" if faults[1:] else "")
        ports.tell(f"{what}; mlprod verify tells more, mlprod sign covers it")
        return
    documents = documents_of(gather(found, ports))
    if all((found.folder / path).is_file() and (found.folder / path).read_bytes() == text.encode() for path, text in documents.items()):
        return
    _open(found.folder)
    _write(documents, found.folder, ports)
    _cover(found, ports)


def faults_of_attached(found: Found, ports: Ports) -> tuple[str, ...]:
    """Every way in which ``attached/`` differs from what a trusted key has signed."""
    signed = ports.signer.signed(found.folder / ATTACHED_SIGNATURE)
    return attached_faults(signed, found.folder, found.bundle.name, found.digest)


def _open(folder: Path) -> None:
    """Take the second statement away, before anything that it covers changes."""
    path = folder / ATTACHED_SIGNATURE
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        what = f"{path} could not be renewed: {error.strerror or error}"
        raise MlprodError(Code.DISK, what, hint="free space or rights, then again") from error


def documents_of(dossier: Dossier) -> dict[str, str]:
    """SBOM and card by path; the same records give the same texts."""
    card = card_of(dossier)
    return {SBOM: sbom_text(dossier), CARD: card_markdown.markdown(card), CARD_HTML: card_html.page(card)}


def _write(documents: Mapping[str, str], folder: Path, ports: Ports) -> None:
    for path, text in documents.items():
        ports.write_text(folder / path, text)


def _first(envelopes: Sequence[Path], dossier: Dossier, ports: Ports) -> bytes:
    """The first statement: that which a trusted key has signed already, or a new one. Whose signatures end with that is told."""
    name, digest = dossier.bundle.name, dossier.digest
    held = [ports.signer.signed(path) for path in envelopes]
    proven = [one.statement for one in held if _trusted(one) and not bundle_fault(one.statement, name, digest)]
    first = next(iter(proven), b"") or bundle_statement(name, digest, provenance(dossier))
    for one in held:
        if one.statement == first:
            continue
        if trusted := _trusted(one):
            ports.tell(f"{name}: the signature of {trusted} is over another first statement and is not kept")
        elif claims(one):
            ports.tell(f"{name}: a first statement that no trusted key has signed is not kept; it names {claims(one)}")
    return first


def _trusted(signed: Signed) -> str:
    """The trusted keys of others that have signed."""
    return ", ".join(one.key[:12] for one in signed.by if one.standing == "trusted")


def _cover(found: Found, ports: Ports) -> None:
    for _ in range(LOOKS):
        ports.signer.sign(found.folder / ATTACHED_SIGNATURE, attached_statement(found.folder, found.bundle.name, found.digest))
        if not faults_of_attached(found, ports):
            return
