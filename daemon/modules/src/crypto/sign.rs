//! Ed25519 signatures (RFC 8032). Keys and signatures may be raw bytes, base64 or hex.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sloth_lua::{Data, Failure, Reply};

use super::random;
use crate::describe::give;
use crate::strings::{from_base64, from_hex, to_base64};

pub(super) fn generate() -> Reply {
    let seed: [u8; 32] = random::bytes(32)?.try_into().expect("as many as asked for");
    let key = SigningKey::from_bytes(&seed);
    give(Data::map([
        ("private", Data::text(to_base64(&seed))),
        ("public", Data::text(to_base64(key.verifying_key().as_bytes()))),
    ]))
}

pub(super) fn sign(text: &[u8], key: &[u8]) -> Result<Vec<u8>, Failure> {
    Ok(SigningKey::from_bytes(&fixed("key", key)?).sign(text).to_bytes().to_vec())
}

pub(super) fn verify(text: &[u8], signature: &[u8], key: &[u8]) -> Result<bool, Failure> {
    let key = VerifyingKey::from_bytes(&fixed("key", key)?).map_err(|_| Failure::new("not a public key of Ed25519"))?;
    Ok(key.verify_strict(text, &Signature::from_bytes(&fixed("signature", signature)?)).is_ok())
}

/// So many bytes: as they are, in hex, or in base64.
fn fixed<const N: usize>(name: &'static str, given: &[u8]) -> Result<[u8; N], Failure> {
    let candidates = [Some(given.to_vec()), from_hex(given).ok(), from_base64(given).ok()];
    candidates
        .into_iter()
        .flatten()
        .find_map(|bytes| <[u8; N]>::try_from(bytes).ok())
        .ok_or_else(|| Failure::new(format!("the {name} is not {N} bytes, raw, in hex or in base64")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strings::to_hex;

    /// RFC 8032 §7.1, tests 1 and 2.
    #[test]
    fn published_vectors() {
        for (private, public, text, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &b""[..],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &[0x72],
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
        ] {
            assert_eq!(to_hex(&sign(text, private.as_bytes()).unwrap()), signature);
            assert!(verify(text, signature.as_bytes(), public.as_bytes()).unwrap());
            assert!(!verify(b"other", signature.as_bytes(), public.as_bytes()).unwrap());
        }
    }

    #[test]
    fn made_keys_work_and_bad_ones_say_so() {
        let pair = generate().unwrap().remove(0);
        let key = |name: &str| pair.get(name).unwrap().to_text().unwrap().into_bytes();
        let signature = to_base64(&sign(b"x", &key("private")).unwrap());
        assert!(verify(b"x", signature.as_bytes(), &key("public")).unwrap());
        assert!(sign(b"x", b"short").unwrap_err().message.contains("32 bytes"));
        assert!(verify(b"x", b"short", &key("public")).unwrap_err().message.contains("64 bytes"));
    }
}
