//! Fingerprints of public keys, and the list of those that an end trusts.

use std::collections::BTreeSet;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::ParsedCertificate;

use super::keys::{KeyError, read_bounded};

/// SHA-256 of a public key (its SubjectPublicKeyInfo in DER).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    pub(super) fn of_public_key(subject_public_key_info: &[u8]) -> Self {
        let digest = ring::digest::digest(&ring::digest::SHA256, subject_public_key_info);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// Of the public key in a certificate.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        Ok(Self::of_public_key(&parsed.subject_public_key_info()))
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let wrong = || KeyError::Fingerprint(text.chars().take(100).collect());
        let digits = text.trim();
        let digits = digits.strip_prefix("sha256:").unwrap_or(digits).as_bytes();
        if digits.len() != 64 {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16).ok_or_else(wrong);
            *byte = ((digit(0)? << 4) | digit(1)?) as u8;
        }
        Ok(Self(bytes))
    }
}

/// The keys that an end trusts. Empty: nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers(BTreeSet<Fingerprint>);

impl Peers {
    /// From arguments as `--peer` takes them: each a fingerprint, or a file of PEM certificates.
    pub fn from_arguments<S: AsRef<str>>(arguments: impl IntoIterator<Item = S>) -> Result<Self, KeyError> {
        let mut peers = Self::default();
        for argument in arguments {
            peers.add_argument(argument.as_ref())?;
        }
        Ok(peers)
    }

    fn add_argument(&mut self, argument: &str) -> Result<(), KeyError> {
        if let Ok(fingerprint) = argument.parse() {
            self.trust(fingerprint);
            return Ok(());
        }
        let wrong = |reason: String| KeyError::NotAPeer { argument: argument.into(), reason };
        let pem = read_bounded(Path::new(argument)).map_err(|error| wrong(error.to_string()))?;
        let mut found = 0;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            let fingerprint =
                Fingerprint::of_certificate(&certificate).map_err(|error| wrong(error.to_string()))?;
            self.trust(fingerprint);
            found += 1;
        }
        if found == 0 { Err(wrong("no certificate in it".into())) } else { Ok(()) }
    }

    /// Trusts one more key.
    pub fn trust(&mut self, fingerprint: Fingerprint) {
        self.0.insert(fingerprint);
    }

    /// Whether this key is trusted.
    pub fn trusts(&self, fingerprint: &Fingerprint) -> bool {
        self.0.contains(fingerprint)
    }

    /// Whether nobody is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Fingerprint> for Peers {
    fn from_iter<I: IntoIterator<Item = Fingerprint>>(fingerprints: I) -> Self {
        Self(fingerprints.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Identity;

    #[test]
    fn fingerprints_read_what_they_print() {
        let fingerprint = Identity::generate().unwrap().fingerprint();
        let text = fingerprint.to_string();
        assert_eq!(text.parse::<Fingerprint>().unwrap(), fingerprint);
        assert_eq!(text["sha256:".len()..].to_uppercase().parse::<Fingerprint>().unwrap(), fingerprint);
        for wrong in ["", "sha256:", &text[..70], "é".repeat(32).as_str()] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
