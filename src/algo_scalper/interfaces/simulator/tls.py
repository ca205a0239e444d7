"""A certificate authority for this machine alone, for clients that insist on https and wss.

Made with the ``openssl`` command and kept in a folder. The authority may sign for localhost and 127.0.0.1 and nothing
else, so that trusting it gives nobody else's name away.
"""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

from algo_scalper.domain.errors import ConfigError

AUTHORITY, CERTIFICATE, KEY = "ca.pem", "server.pem", "server.key"
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_DAYS = 825
_A_DAY_S = 86_400
_CA = """[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = Simulated DhanHQ, authority of this machine
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
nameConstraints = critical, permitted;DNS:localhost, permitted;IP:127.0.0.1/255.255.255.255
"""
_SERVER = """[req]
distinguished_name = name
prompt = no
[name]
CN = localhost
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def server_context(folder: Path) -> ssl.SSLContext:
    """What the simulator serves with; certificates are made where there are none, or theirs end within a day.

    Raises `ConfigError` when ``openssl`` is not there or cannot write to ``folder``.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise ConfigError("--tls needs the openssl command to make certificates; install it (apt-get install openssl)")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_good(openssl, folder):
            _make(openssl, folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    except (OSError, ssl.SSLError) as fault:
        raise ConfigError(f"--tls {folder}: {fault}; name a folder that can be written to, or an empty one") from None
    return context


def trust_lines(folder: Path) -> list[str]:
    """How a client is made to trust the simulator."""
    authority = (folder / AUTHORITY).resolve()
    return [
        f"  trust it (Python): SSL_CERT_FILE={authority}   (requests: REQUESTS_CA_BUNDLE)",
        f"  trust it (Node):   NODE_EXTRA_CA_CERTS={authority}",
    ]


def _is_good(openssl: str, folder: Path) -> bool:
    if not all((folder / name).exists() for name in (AUTHORITY, CERTIFICATE, KEY)):
        return False
    lasts = [_run(openssl, "x509", "-checkend", str(_A_DAY_S), "-noout", "-in", str(folder / CERTIFICATE))]
    lasts.append(_run(openssl, "verify", "-CAfile", str(folder / AUTHORITY), str(folder / CERTIFICATE)))
    return not any(lasts)


def _make(openssl: str, folder: Path) -> None:
    """A new authority and a certificate of it. The authority's key is used once and not kept."""
    paths = {
        name: str(folder / name) for name in (AUTHORITY, CERTIFICATE, KEY, "ca.key", "ca.cnf", "server.cnf", "csr")
    }
    (folder / "ca.cnf").write_text(_CA, encoding="ascii")
    (folder / "server.cnf").write_text(_SERVER, encoding="ascii")
    for secret in (KEY, "ca.key"):
        (folder / secret).unlink(missing_ok=True)
        (folder / secret).touch(mode=0o600)
    days = ("-days", str(_DAYS))
    steps = (
        (
            "req",
            "-x509",
            *_CURVE,
            *days,
            "-config",
            paths["ca.cnf"],
            "-keyout",
            paths["ca.key"],
            "-out",
            paths[AUTHORITY],
        ),
        ("req", *_CURVE, "-config", paths["server.cnf"], "-keyout", paths[KEY], "-out", paths["csr"]),
        (
            *("x509", "-req", *days, "-in", paths["csr"], "-CA", paths[AUTHORITY], "-CAkey", paths["ca.key"]),
            *("-set_serial", "1", "-extfile", paths["server.cnf"], "-extensions", "server", "-out", paths[CERTIFICATE]),
        ),
    )
    try:
        for step in steps:
            if _run(openssl, *step):
                raise ConfigError(f"--tls {folder}: openssl {step[0]} failed; see what `openssl version` says")
    finally:
        for name in ("ca.key", "ca.cnf", "server.cnf", "csr"):
            (folder / name).unlink(missing_ok=True)


def _run(openssl: str, *arguments: str) -> int:
    done = subprocess.run([openssl, *arguments], capture_output=True, check=False)  # noqa: S603 - our own words
    return done.returncode
