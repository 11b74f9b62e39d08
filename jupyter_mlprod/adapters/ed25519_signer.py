"""Signs statements and reads who signed them: DSSE envelopes, by Ed25519, with the workspace's own key.

An envelope comes with a bundle from anywhere, so it chooses nothing: neither the algorithm nor the key. Every signature is tried with every
key that this workspace trusts, and ``keyid`` serves only to word the refusal (DSSE: "MUST NOT be used for security decisions"). What a
statement says is judged in `core/statement.py`. Specification: github.com/secure-systems-lab/dsse (protocol.md, envelope.md).
"""

import base64
import contextlib
import hashlib
import os
import stat
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from jupyter_mlprod.core.bundle import SIGNATURE
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.statement import Key, Signed, SignedBy, Standing, bundle_fault

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 1_000_000
MAX_SIGNATURES = 16
READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO

TrustedKey = tuple[Ed25519PublicKey, Standing]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """One signature, base64; whatever else stands beside it is not looked at."""

    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """DSSE v1: the statement as base64, and who signed it."""

    payload_type: str
    payload: str
    signatures: tuple[Signature, ...]


class Ed25519Signer:
    """Port `Signer`.

    Parameters
    ----------
    key_path : the workspace's own private key, PEM; made by the first signing, never by a check
    trusted : base64 of 32 bytes each: public keys of others whose bundles may run their code here

    Raises
    ------
    MlprodError : ``bad-settings`` when a trusted key is none.
    """

    def __init__(self, key_path: Path, trusted: Sequence[str]) -> None:
        self.key_path = key_path
        self.trusted = tuple(_public_key(text) for text in trusted)

    def key(self) -> Key:
        """The own key; made when there is none."""
        public = self._own_key().public_key()
        return Key(
            public=base64.b64encode(public.public_bytes_raw()).decode(), id=key_id(public), path=str(self.key_path), fault=self._exposed()
        )

    def sign(self, path: Path, statement: bytes, *, also: Sequence[Path] = ()) -> None:
        """Write an envelope with the own signature to ``path``; signatures of others that are there over the same bytes stay.

        Parameters
        ----------
        also : other envelopes, of which the signatures that a trusted key has made over the same bytes are taken over
        """
        key = self._own_key()
        own = key_id(key.public_key())
        made = Signature(keyid=own, sig=base64.b64encode(key.sign(pre_authentication(PAYLOAD_TYPE, statement))).decode())
        payload = base64.b64encode(statement).decode()
        keys = self._trusted()
        brought = [one for place in also for one in _over(place, statement) if _signed_by(one, statement, keys).standing == "trusted"]
        others = tuple(dict.fromkeys(one for one in (*_over(path, statement), *brought) if one.keyid != own))
        if len(others) >= MAX_SIGNATURES:
            raise MlprodError(
                Code.BUNDLE_BROKEN, f"{path} holds {len(others)} signatures already", hint=f"remove {path.name} and sign again"
            )
        envelope = Envelope(payload_type=PAYLOAD_TYPE, payload=payload, signatures=(*others, made))
        try:
            path.parent.mkdir(exist_ok=True)
            _written_beside(path, msgspec.json.encode(envelope), mode=0o666).replace(path)
        except OSError as error:
            raise _disk(path, error) from error

    def signed(self, path: Path) -> Signed:
        """What lies at ``path``, who signed it, and why no trusted key did; the fault is empty when one did."""
        envelope = _envelope(path)
        if isinstance(envelope, str):
            return Signed(fault=envelope)
        if envelope.payload_type != PAYLOAD_TYPE:
            return Signed(fault=f"the signature covers {envelope.payload_type[:80]!r}, not an in-toto statement")
        if not 0 < len(envelope.signatures) <= MAX_SIGNATURES:
            return Signed(fault=f"the envelope holds {len(envelope.signatures)} signatures; 1 to {MAX_SIGNATURES} are expected")
        payload = _unbase64(envelope.payload)
        if payload is None:
            return Signed(fault="the signed statement is not base64")
        keys = self._trusted()
        by = tuple(dict.fromkeys(_signed_by(signature, payload, keys) for signature in envelope.signatures))
        return Signed(statement=payload, by=by, fault=_untrusted(by, envelope, keys))

    def signature_fault(self, folder: Path, name: str, digest: str) -> str:
        """Why the signature in ``folder`` does not vouch for this name and digest; empty when a trusted key's does."""
        signed = self.signed(folder / SIGNATURE)
        return signed.fault or bundle_fault(signed.statement, name, digest)

    def _trusted(self) -> tuple[TrustedKey, ...]:
        """Every key that may vouch, the own one first; checking makes none."""
        own: tuple[TrustedKey, ...] = ((self._read_key().public_key(), "own"),) if self.key_path.exists() else ()
        return own + tuple((key, "trusted") for key in self.trusted)

    def _exposed(self) -> str:
        """What is wrong with the permissions of the private key, where a file system has some."""
        mode = stat.S_IMODE(self.key_path.stat().st_mode)
        return f"others may read or change it (mode {mode:o}): chmod 600 {self.key_path}" if mode & READABLE_BY_OTHERS else ""

    def _own_key(self) -> Ed25519PrivateKey:
        """The workspace's private key; two processes that both find none end up with the same one."""
        if not self.key_path.exists():
            try:
                self._make_key()
            except OSError as error:
                raise _disk(self.key_path, error) from error
        return self._read_key()

    def _read_key(self) -> Ed25519PrivateKey:
        try:
            key = load_pem_private_key(self.key_path.read_bytes(), password=None)
        except OSError as error:
            raise _disk(self.key_path, error) from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _no_key(self.key_path) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise _no_key(self.key_path)
        return key

    def _make_key(self) -> None:
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key_path.parent.mkdir(parents=True, exist_ok=True)
        temporary = _written_beside(self.key_path, pem, mode=0o600)
        try:
            # A link, unlike a rename, never replaces the key that another process made in the meantime.
            os.link(temporary, self.key_path)
        except FileExistsError:
            return
        except OSError:
            # No hard links on this file system (FAT, some network shares): whoever renames last has made the key.
            temporary.replace(self.key_path)
        finally:
            temporary.unlink(missing_ok=True)


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: the bytes that are signed, so that a payload cannot be taken for one of another type."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(_unbase64(text.strip()) or b"")
    except ValueError:
        message = f"trusted key {text[:80]!r} is not the base64 of a 32-byte Ed25519 public key"
        raise MlprodError(Code.BAD_SETTINGS, message, hint="correct trusted_keys in mlprod.toml") from None


def _envelope(path: Path) -> Envelope | str:
    """The envelope, or why there is none to be read."""
    try:
        if not path.is_file():
            return "there is no signature"
        with path.open("rb") as stream:
            data = stream.read(MAX_ENVELOPE_BYTES + 1)
    except OSError as error:
        return f"the signature cannot be read: {error.strerror or error}"
    if len(data) > MAX_ENVELOPE_BYTES:
        return f"the signature cannot be read: it is larger than {MAX_ENVELOPE_BYTES:,} bytes"
    try:
        return msgspec.json.decode(data, type=Envelope)
    except (ValueError, RecursionError) as error:
        return f"the signature cannot be read: {error}"


def _over(path: Path, statement: bytes) -> tuple[Signature, ...]:
    """The signatures of an envelope, if it is about exactly these bytes."""
    held = _envelope(path)
    if isinstance(held, str) or held.payload_type != PAYLOAD_TYPE or _unbase64(held.payload) != statement:
        return ()
    return held.signatures


def _unbase64(text: str) -> bytes | None:
    """Bytes of base64, standard or URL-safe (DSSE: a verifier accepts both), or None."""
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        return None


def _signed_by(signature: Signature, payload: bytes, keys: Sequence[TrustedKey]) -> SignedBy:
    signed = pre_authentication(PAYLOAD_TYPE, payload)
    for key, standing in keys:
        if _verifies(key, signature.sig, signed):
            return SignedBy(key=key_id(key), standing=standing)
    return SignedBy(key=signature.keyid, standing="unknown")


def _verifies(key: Ed25519PublicKey, sig: str, signed: bytes) -> bool:
    with contextlib.suppress(InvalidSignature):
        key.verify(_unbase64(sig) or b"", signed)
        return True
    return False


def _untrusted(by: Sequence[SignedBy], envelope: Envelope, keys: Sequence[TrustedKey]) -> str:
    """Why none of the signatures counts; empty when one does."""
    if any(one.standing != "unknown" for one in by):
        return ""
    named = {signature.keyid for signature in envelope.signatures}
    if named & {key_id(key) for key, _ in keys}:
        return "the signature is wrong: it names a trusted key, which did not sign this statement"
    return f"no key that this workspace trusts has signed it; it names {', '.join(sorted(repr(keyid[:12]) for keyid in named))}"


def _written_beside(path: Path, data: bytes, *, mode: int) -> Path:
    """A new file next to ``path`` with this content, already on the disk; ``mode`` as for ``os.open``, so the umask applies."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _no_key(path: Path) -> MlprodError:
    hint = f"move {path.name} away: the next signing makes a new key, and bundles signed by the old one must be packaged again"
    return MlprodError(Code.NO_WORKSPACE, f"{path} holds no unencrypted Ed25519 private key in PEM", hint=hint)


def _disk(path: Path, error: OSError) -> MlprodError:
    return MlprodError(
        Code.DISK, f"{path} could not be read or written: {error.strerror or error}", hint="free space or rights, then again"
    )
