//! Compression of archives: recognised by the first bytes when reading, chosen by the name when writing.

use std::io::{self, BufReader, Read, Write};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::{XzOptions, XzReader, XzWriter};

/// Formats of archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Tar with this compression.
    Tar(Packing),
    /// Zip.
    Zip,
}

/// Compression of a whole tar archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Packing {
    None,
    Gzip,
    Xz,
    Zstd,
    Bzip2,
}

impl Format {
    /// From a name such as `site.tar.gz`, or a format such as `tar.gz`.
    pub fn from_name(name: &str) -> Option<Format> {
        let name = name.to_ascii_lowercase();
        let endings = [
            ("tar.gz", Format::Tar(Packing::Gzip)),
            ("tgz", Format::Tar(Packing::Gzip)),
            ("tar.xz", Format::Tar(Packing::Xz)),
            ("txz", Format::Tar(Packing::Xz)),
            ("tar.zst", Format::Tar(Packing::Zstd)),
            ("tzst", Format::Tar(Packing::Zstd)),
            ("tar.bz2", Format::Tar(Packing::Bzip2)),
            ("tbz2", Format::Tar(Packing::Bzip2)),
            ("tar", Format::Tar(Packing::None)),
            ("zip", Format::Zip),
        ];
        let matches = |ending: &str| name == ending || name.ends_with(&format!(".{ending}"));
        endings.into_iter().find(|(ending, _)| matches(ending)).map(|(_, format)| format)
    }

    /// From the first bytes of a file, at least 262 of them where it is that long.
    pub fn from_bytes(start: &[u8]) -> Option<Format> {
        match start {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Format::Zip),
            [0x1f, 0x8b, ..] => Some(Format::Tar(Packing::Gzip)),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Format::Tar(Packing::Xz)),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Format::Tar(Packing::Zstd)),
            [b'B', b'Z', b'h', ..] => Some(Format::Tar(Packing::Bzip2)),
            // "ustar" in the first header; an old one without it has a checksum of digits, and an empty archive is zeros.
            _ if start.get(257..262) == Some(b"ustar") => Some(Format::Tar(Packing::None)),
            _ if start.len() >= 262 && start.iter().all(|byte| *byte == 0) => Some(Format::Tar(Packing::None)),
            _ => None,
        }
    }
}

/// The bytes inside.
pub fn unpack<'a>(source: impl Read + 'a, packing: Packing) -> io::Result<Box<dyn Read + 'a>> {
    let source = BufReader::new(source);
    Ok(match packing {
        Packing::None => Box::new(source),
        Packing::Gzip => Box::new(MultiGzDecoder::new(source)),
        Packing::Xz => Box::new(XzReader::new(source, true)),
        Packing::Zstd => Box::new(zstd::Decoder::with_buffer(source)?),
        Packing::Bzip2 => Box::new(MultiBzDecoder::new(source)),
    })
}

/// Gives what `fill` writes to `sink`, packed.
pub fn pack<W: Write>(sink: W, packing: Packing, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<W> {
    match packing {
        Packing::None => {
            let mut sink = sink;
            fill(&mut sink)?;
            Ok(sink)
        }
        Packing::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(sink, flate2::Compression::default());
            fill(&mut encoder)?;
            encoder.finish()
        }
        Packing::Xz => {
            let mut encoder = XzWriter::new(sink, XzOptions::with_preset(6))?;
            fill(&mut encoder)?;
            encoder.finish()
        }
        Packing::Zstd => {
            let mut encoder = zstd::Encoder::new(sink, 0)?;
            fill(&mut encoder)?;
            encoder.finish()
        }
        Packing::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(sink, bzip2::Compression::default());
            fill(&mut encoder)?;
            encoder.finish()
        }
    }
}
