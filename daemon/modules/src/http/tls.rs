//! TLS as the request asks for it. The provider is ring; the roots are those of the host, so that an administrator's own
//! authority counts and nothing in the program grows old.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// How the other side is checked, and who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// Whether the certificate of the server is checked.
    pub verify: bool,
    /// Certificates (PEM) of the authorities that are trusted instead of the host's.
    pub ca: Option<PathBuf>,
    /// Certificate and key (PEM) of this side.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls { verify: true, ca: None, identity: None }
    }
}

impl Tls {
    /// The configuration. Reads files.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        static USUAL: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let usual = *self == Tls::default();
        if let (true, Some(config)) = (usual, USUAL.get()) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.build()?);
        if usual {
            return Ok(Arc::clone(USUAL.get_or_init(|| config)));
        }
        Ok(config)
    }

    fn build(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = if self.verify {
            builder.with_root_certificates(self.roots()?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let named = |error: rustls::pki_types::pem::Error| format!("{}: {error}", key.display());
                let key = PrivateKeyDer::from_pem_file(key).map_err(named)?;
                builder.with_client_auth_cert(certificates(cert)?, key).map_err(|error| error.to_string())?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        if roots.is_empty() {
            return Err("no trusted certificates: install the package ca-certificates, or give `ca`".into());
        }
        Ok(roots)
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let named = |error: rustls::pki_types::pem::Error| format!("{}: {error}", path.display());
    CertificateDer::pem_file_iter(path).map_err(named)?.collect::<Result<_, _>>().map_err(named)
}

/// Accepts any certificate; for `verify_ssl = false`. Signatures are still checked, so that the connection is with the
/// holder of that certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
