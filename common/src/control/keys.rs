//! Keys: who an end is.
//!
//! An identity is an Ed25519 key pair. Its certificate is made from the key when it is loaded: it only
//! carries the public key through TLS. The fingerprint is the SHA-256 of the SubjectPublicKeyInfo.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rcgen::PublicKeyData;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

use super::fingerprint::Fingerprint;

/// Most bytes of a key or certificate file: anything longer is something else.
const MAX_FILE_BYTES: u64 = 64 << 10;

/// What can be wrong with a key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        error: std::io::Error,
    },
    /// The file is there already.
    #[error("{0} exists; use --force to replace it (peers that trust it must then get the new one)")]
    Exists(PathBuf),
    /// The file holds no key that can be used.
    #[error("{path}: not a private key made by `semcast keygen`: {reason}")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The argument is neither a fingerprint nor a certificate file.
    #[error(
        "peer {argument:?}: neither a fingerprint (sha256: and 64 hexadecimal digits) \
         nor a certificate file (PEM): {reason}"
    )]
    NotAPeer {
        /// The argument.
        argument: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A fingerprint is misspelt.
    #[error("not a fingerprint: {0:?} (expected sha256: and 64 hexadecimal digits)")]
    Fingerprint(String),
    /// The library that makes keys failed.
    #[error("cannot make a key or certificate: {0}")]
    Make(String),
}

/// A private key with the certificate that shows its public half.
pub struct Identity {
    key: rcgen::KeyPair,
    certificate: rcgen::Certificate,
    fingerprint: Fingerprint,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.fingerprint)
    }
}

impl Identity {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)
            .map_err(|error| KeyError::Make(error.to_string()))?;
        Self::from_key(key)
    }

    /// The key in a file that [`Identity::save`] wrote.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let pem = read_bounded(path).map_err(|error| KeyError::File { path: path.into(), error })?;
        let wrong = |reason: String| KeyError::NotAKey { path: path.into(), reason };
        let pem = String::from_utf8(pem).map_err(|error| wrong(error.to_string()))?;
        let key = rcgen::KeyPair::from_pem(&pem).map_err(|error| wrong(error.to_string()))?;
        warn_if_readable_by_others(path);
        Self::from_key(key)
    }

    fn from_key(key: rcgen::KeyPair) -> Result<Self, KeyError> {
        let make = |error: rcgen::Error| KeyError::Make(error.to_string());
        let mut parameters = rcgen::CertificateParams::new(vec![SERVER_NAME.into()]).map_err(make)?;
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, SERVER_NAME);
        let certificate = parameters.self_signed(&key).map_err(make)?;
        let fingerprint = Fingerprint::of_public_key(&key.subject_public_key_info());
        Ok(Self { key, certificate, fingerprint })
    }

    /// Writes `NAME.key` (PEM, readable by its owner only) and `NAME.cert` (PEM, for the peers), and
    /// returns their paths. Files that exist are replaced only if `force` is set.
    pub fn save(&self, name: &Path, force: bool) -> Result<(PathBuf, PathBuf), KeyError> {
        let with_suffix = |suffix: &str| {
            let mut path = name.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        let (key_path, certificate_path) = (with_suffix(".key"), with_suffix(".cert"));
        if !force && let Some(path) = [&key_path, &certificate_path].into_iter().find(|path| path.exists()) {
            return Err(KeyError::Exists(path.clone()));
        }
        write_new(&key_path, &self.key.serialize_pem(), 0o600, force)?;
        write_new(&certificate_path, &self.certificate.pem(), 0o644, force)?;
        Ok((key_path, certificate_path))
    }

    /// SHA-256 of the public key: what peers are told to trust.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// The certificate, PEM.
    pub fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    pub(super) fn certificate_chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone()]
    }

    pub(super) fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    /// Secrets that stay the same over restarts, for stateless resets and for connection IDs: with them a
    /// restarted server can tell the peers of its former life at once that their connections are gone
    /// (RFC 9000, section 10.3).
    pub(super) fn restart_secrets(&self) -> (ring::hmac::Key, u64) {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.key.serialized_der());
        let reset = ring::hmac::sign(&key, b"semcast stateless reset");
        let connection_id = ring::hmac::sign(&key, b"semcast connection id");
        let number =
            connection_id.as_ref().iter().take(8).fold(0, |number, &byte| (number << 8) | u64::from(byte));
        (ring::hmac::Key::new(ring::hmac::HMAC_SHA256, reset.as_ref()), number)
    }
}

/// Name in every certificate, and the name that clients ask for: TLS wants one, nobody checks it.
pub(super) const SERVER_NAME: &str = "semcast";

pub(super) fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(std::io::Error::other(format!("longer than {MAX_FILE_BYTES} bytes")));
    }
    Ok(bytes)
}

fn write_new(path: &Path, text: &str, mode: u32, force: bool) -> Result<(), KeyError> {
    let failed = |error| KeyError::File { path: path.into(), error };
    if force && let Err(error) = std::fs::remove_file(path) {
        // A file that is not there needs no removing.
        if error.kind() != std::io::ErrorKind::NotFound {
            return Err(failed(error));
        }
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => KeyError::Exists(path.into()),
        _ => failed(error),
    })?;
    file.write_all(text.as_bytes()).map_err(failed)
}

#[cfg(unix)]
fn warn_if_readable_by_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if let Ok(data) = std::fs::metadata(path)
        && data.permissions().mode() & 0o077 != 0
    {
        tracing::warn!(path = %path.display(), "this private key can be read by other users: chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_if_readable_by_others(_path: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Peers;

    #[test]
    fn a_saved_key_loads_with_the_same_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("my.radio");
        let identity = Identity::generate().unwrap();
        let (key, certificate) = identity.save(&name, false).unwrap();
        assert!(key.ends_with("my.radio.key") && certificate.ends_with("my.radio.cert"));
        assert_eq!(Identity::load(&key).unwrap().fingerprint(), identity.fingerprint());
        let peers = Peers::from_arguments([certificate.to_str().unwrap()]).unwrap();
        assert!(peers.trusts(&identity.fingerprint()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_key_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("a");
        let first = Identity::generate().unwrap();
        let (key, _) = first.save(&name, false).unwrap();
        let second = Identity::generate().unwrap();
        assert!(matches!(second.save(&name, false), Err(KeyError::Exists(_))));
        assert_eq!(Identity::load(&key).unwrap().fingerprint(), first.fingerprint());
        second.save(&name, true).unwrap();
        assert_eq!(Identity::load(&key).unwrap().fingerprint(), second.fingerprint());
    }

    #[test]
    fn rubbish_is_neither_key_nor_peer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rubbish");
        std::fs::write(&path, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(matches!(Identity::load(&path), Err(KeyError::NotAKey { .. })));
        assert!(Peers::from_arguments([path.to_str().unwrap()]).is_err());
        std::fs::write(&path, vec![b'x'; 100_000]).unwrap();
        assert!(matches!(Identity::load(&path), Err(KeyError::File { .. })));
        assert!(Peers::from_arguments(["no such file"]).unwrap_err().to_string().contains("no such file"));
    }
}
