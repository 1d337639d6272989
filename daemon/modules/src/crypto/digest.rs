//! Digests of texts and files, and HMAC.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use sloth_lua::Cancel;

use crate::strings::to_hex;

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    /// By its name, as tools write it: `sha256`, `SHA-256`.
    pub(crate) fn named(name: &str) -> Option<Digest> {
        Some(match name.to_lowercase().replace(['-', '_'], "").as_str() {
            "md5" => Digest::Md5,
            "sha1" => Digest::Sha1,
            "sha224" => Digest::Sha224,
            "sha256" => Digest::Sha256,
            "sha384" => Digest::Sha384,
            "sha512" => Digest::Sha512,
            _ => return None,
        })
    }

    /// By the number of hex digits of its values; MD5 and SHA-1 included.
    pub(crate) fn of_length(digits: usize) -> Option<Digest> {
        Some(match digits {
            32 => Digest::Md5,
            40 => Digest::Sha1,
            56 => Digest::Sha224,
            64 => Digest::Sha256,
            96 => Digest::Sha384,
            128 => Digest::Sha512,
            _ => return None,
        })
    }

    pub(super) fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        fn mac<M: Mac + KeyInit>(key: &[u8], text: &[u8]) -> Vec<u8> {
            let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
            mac.update(text);
            mac.finalize().into_bytes().to_vec()
        }
        match self {
            Digest::Md5 => mac::<Hmac<Md5>>(key, text),
            Digest::Sha1 => mac::<Hmac<Sha1>>(key, text),
            Digest::Sha224 => mac::<Hmac<Sha224>>(key, text),
            Digest::Sha256 => mac::<Hmac<Sha256>>(key, text),
            Digest::Sha384 => mac::<Hmac<Sha384>>(key, text),
            Digest::Sha512 => mac::<Hmac<Sha512>>(key, text),
        }
    }
}

/// A digest in the making.
pub(crate) struct Hasher(Box<dyn DynDigest + Send>);

impl Hasher {
    pub(crate) fn new(digest: Digest) -> Hasher {
        Hasher(match digest {
            Digest::Md5 => Box::new(Md5::default()),
            Digest::Sha1 => Box::new(Sha1::default()),
            Digest::Sha224 => Box::new(Sha224::default()),
            Digest::Sha256 => Box::new(Sha256::default()),
            Digest::Sha384 => Box::new(Sha384::default()),
            Digest::Sha512 => Box::new(Sha512::default()),
        })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn hex(self) -> String {
        to_hex(&self.0.finalize())
    }
}

/// Digest of a text, in hex.
pub(crate) fn hex_digest(digest: Digest, text: &[u8]) -> String {
    let mut hasher = Hasher::new(digest);
    hasher.update(text);
    hasher.hex()
}

/// Digest of a file, in constant memory; ends early when the task does.
pub(super) fn file(digest: Digest, path: &Path, cancel: &Cancel) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new(digest);
    let mut buffer = vec![0; 256 << 10];
    loop {
        if cancel.kind().is_some() {
            return Err(io::Error::other("cancelled"));
        }
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.hex()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 1321, FIPS 180.
    #[test]
    fn digests() {
        for (digest, expected) in [
            (Digest::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Digest::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Digest::Sha224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
            (Digest::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                Digest::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            assert_eq!(hex_digest(digest, b"abc"), expected);
            assert_eq!(Digest::of_length(expected.len()), Some(digest));
        }
        assert_eq!(Digest::named("SHA-512"), Some(Digest::Sha512));
        assert_eq!(Digest::named("crc32"), None);
    }

    /// RFC 2202 and RFC 4231, test case 2.
    #[test]
    fn hmacs() {
        let (key, text) = (b"Jefe", b"what do ya want for nothing?");
        for (digest, expected) in [
            (Digest::Md5, "750c783e6ab0b503eaa86e310a5db738"),
            (Digest::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Digest::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        ] {
            assert_eq!(to_hex(&digest.hmac(key, text)), expected);
        }
    }
}
