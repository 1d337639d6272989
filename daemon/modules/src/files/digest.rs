//! Checksums of files.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256, Sha512};
use sloth_lua::Failure;

use super::failed;

/// Hexadecimal checksum of a file: `md5`, `sha1`, `sha256` or `sha512`.
pub fn file(path: &Path, algorithm: &str) -> Result<String, Failure> {
    let mut file = File::open(path).map_err(|error| failed(path, error))?;
    let sum = match algorithm.to_ascii_lowercase().as_str() {
        "sha256" => hash::<Sha256>(&mut file),
        "sha512" => hash::<Sha512>(&mut file),
        "sha1" => hash::<sha1::Sha1>(&mut file),
        "md5" => hash::<md5::Md5>(&mut file),
        other => {
            return Err(Failure::argument("alg", format_args!("md5, sha1, sha256 or sha512 expected, got {other:?}")));
        }
    };
    sum.map_err(|error| failed(path, error))
}

/// SHA-256 of a file.
pub fn sha256(path: &Path) -> io::Result<String> {
    hash::<Sha256>(&mut File::open(path)?)
}

/// SHA-256 of bytes.
pub fn sha256_of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hash<D: Digest>(source: &mut impl Read) -> io::Result<String> {
    let mut digest = D::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match source.read(&mut chunk)? {
            0 => return Ok(hex(&digest.finalize())),
            length => digest.update(&chunk[..length]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
