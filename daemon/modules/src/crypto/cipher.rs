//! AES-256-GCM. With a key of 32 bytes the result is nonce, ciphertext and tag. Any other key is a passphrase: then a
//! mark, the salt and these follow, and the key is Argon2id of the passphrase with that salt.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sloth_lua::Failure;

use super::password::argon2id;
use super::random;

const KEY: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;
const SALT: usize = 16;

/// Says that a salt follows, and which derivation is meant.
const MARK: &[u8; 4] = b"SLA1";

pub(super) fn encrypt(plain: &[u8], key: &[u8]) -> Result<Vec<u8>, Failure> {
    let nonce: [u8; NONCE] = random::bytes(NONCE)?.try_into().expect("as many as asked for");
    if let Ok(key) = <[u8; KEY]>::try_from(key) {
        return Ok([&nonce[..], &seal(&key, &nonce, &[], plain)?].concat());
    }
    let salt = random::bytes(SALT)?;
    let header = [MARK, &salt[..]].concat();
    let sealed = seal(&derive(key, &salt)?, &nonce, &header, plain)?;
    Ok([&header[..], &nonce, &sealed].concat())
}

pub(super) fn decrypt(sealed: &[u8], key: &[u8]) -> Result<Vec<u8>, Failure> {
    if let Ok(key) = <[u8; KEY]>::try_from(key) {
        return open(&key, &[], sealed);
    }
    let (header, rest) = sealed
        .split_at_checked(MARK.len() + SALT)
        .filter(|(header, _)| header.starts_with(MARK))
        .ok_or_else(|| Failure::new("cannot decrypt: not a text that was encrypted with a passphrase"))?;
    open(&derive(key, &header[MARK.len()..])?, header, rest)
}

fn derive(passphrase: &[u8], salt: &[u8]) -> Result<[u8; KEY], Failure> {
    if passphrase.is_empty() {
        return Err(Failure::argument("key", "a key of 32 bytes or a passphrase expected"));
    }
    let mut key = [0; KEY];
    argon2id()
        .hash_password_into(passphrase, salt, &mut key)
        .map_err(|error| Failure::new(format!("no key from the passphrase: {error}")))?;
    Ok(key)
}

fn seal(key: &[u8; KEY], nonce: &[u8; NONCE], header: &[u8], plain: &[u8]) -> Result<Vec<u8>, Failure> {
    Aes256Gcm::new(key.into())
        .encrypt(&Nonce::from(*nonce), Payload { msg: plain, aad: header })
        .map_err(|_| Failure::new("cannot encrypt: the text is too long"))
}

fn open(key: &[u8; KEY], header: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Failure> {
    let refused = || Failure::new("cannot decrypt: another key, or the text was changed");
    let (nonce, body) = sealed.split_at_checked(NONCE).filter(|(_, body)| body.len() >= TAG).ok_or_else(refused)?;
    let nonce: [u8; NONCE] = nonce.try_into().expect("split there");
    Aes256Gcm::new(key.into()).decrypt(&Nonce::from(nonce), Payload { msg: body, aad: header }).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strings::{from_hex, to_hex};

    /// Test case 16 of the GCM specification (McGrew, Viega).
    #[test]
    fn a_published_vector() {
        let hex = |text: &str| from_hex(text.as_bytes()).unwrap();
        let key: [u8; 32] = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308").try_into().unwrap();
        let nonce: [u8; 12] = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let plain = hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        );
        let aad = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let sealed = seal(&key, &nonce, &aad, &plain).unwrap();
        assert_eq!(
            to_hex(&sealed),
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
             76fc6ece0f4e1768cddf8853bb2d551b"
        );
        assert_eq!(open(&key, &aad, &[&nonce[..], &sealed].concat()).unwrap(), plain);
    }

    #[test]
    fn there_and_back_and_nothing_else() {
        for key in [&[7; 32][..], b"correct horse"] {
            let sealed = encrypt(b"attack at dawn", key).unwrap();
            assert_eq!(decrypt(&sealed, key).unwrap(), b"attack at dawn");
            assert_ne!(encrypt(b"attack at dawn", key).unwrap(), sealed, "a new nonce each time");
            for at in [0, sealed.len() / 2, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[at] ^= 1;
                assert!(decrypt(&changed, key).is_err(), "byte {at}");
            }
            assert!(decrypt(&sealed, b"battery staple").unwrap_err().message.starts_with("cannot decrypt"));
        }
        assert!(decrypt(b"", b"x").is_err() && decrypt(&[0; 20], &[7; 32]).is_err());
        assert!(encrypt(b"x", b"").unwrap_err().raise);
    }

    /// "nonce‖ciphertext‖tag".
    #[test]
    fn the_layout_with_a_key() {
        assert_eq!(encrypt(b"1234", &[7; 32]).unwrap().len(), NONCE + 4 + TAG);
    }
}
