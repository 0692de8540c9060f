"""The fleet's own certificate authority: P-256 and small certificates, because a handshake is what a wake costs."""

import ipaddress
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A device that has just started believes that it is the year 2000, and must reach its receiver all the same; one that
# knows the date must not stop because a year has passed. 2049 is the last year of X.509's short form of time.
NOT_BEFORE = datetime(1999, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2049, 12, 31, tzinfo=UTC)

_ALWAYS_NAMED = ("localhost", "127.0.0.1")


def new_key() -> bytes:
    """Return a new P-256 private key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def authority_certificate(key_pem: bytes) -> bytes:
    """Return the CA's certificate of itself, PEM."""
    key = _load(key_pem)
    name = _name("Ansim CA")
    usage = _usage(key_cert_sign=True)
    builder = (
        _builder(name, name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def server_certificate(key_pem: bytes, authority_key_pem: bytes, authority_pem: bytes, host: str) -> bytes:
    """Return the broker's certificate, PEM, for host (a DNS name or an IPv4 address) and this machine's own names."""
    key, authority_key = _load(key_pem), _load(authority_key_pem)
    authority = x509.load_pem_x509_certificate(authority_pem)
    names = [name for each in dict.fromkeys((host, *_ALWAYS_NAMED)) for name in _general_names(each)]
    authority_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = (
        _builder(_name("Ansim broker"), authority.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(authority_id, critical=False)
    )
    return builder.sign(authority_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def covers(certificate_pem: bytes, host: str) -> bool:
    """Tell whether a broker's certificate is for host.

    Raises:
        ValueError: not a certificate.
    """
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(_general_names(host)) <= set(names)


def to_der(certificate_pem: bytes) -> bytes:
    """Raises ValueError: not a certificate."""
    return x509.load_pem_x509_certificate(certificate_pem).public_bytes(Encoding.DER)


def _load(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(key_pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not an elliptic-curve key")
    return key


def _builder(subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_names(host: str) -> list[x509.GeneralName]:
    """Return how a certificate names host; an address as a name, too: Mbed TLS before 3.5 looks at names alone."""
    try:
        return [x509.IPAddress(ipaddress.IPv4Address(host)), x509.DNSName(host)]
    except ValueError:
        return [x509.DNSName(host)]


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
