//! Bodies of requests: bytes and files in a row, sent in constant memory and as often as the request is made.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use sloth_lua::Data;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

/// What hyper sends.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Read from a file at once, bytes.
const CHUNK: usize = 64 << 10;

/// A body in pieces, and its type.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    pieces: Vec<Piece>,
    pub content_type: Option<String>,
}

#[derive(Clone, Debug)]
enum Piece {
    Bytes(Bytes),
    File(PathBuf, u64),
}

impl Outgoing {
    pub(crate) fn bytes(bytes: impl Into<Bytes>, content_type: Option<&str>) -> Outgoing {
        Outgoing { pieces: vec![Piece::Bytes(bytes.into())], content_type: content_type.map(str::to_owned) }
    }

    pub(crate) fn file(path: &Path) -> Result<Outgoing, String> {
        Ok(Outgoing { pieces: vec![file_piece(path)?], content_type: Some("application/octet-stream".into()) })
    }

    /// `multipart/form-data` (RFC 7578). A part is a value, or a table with `path` or `content`, `filename` and
    /// `content_type`; `resolve` says where a path is.
    pub(crate) fn multipart(
        parts: &[(String, Data)],
        boundary: &str,
        resolve: impl Fn(&str) -> PathBuf,
    ) -> Result<Outgoing, String> {
        let mut pieces = Vec::new();
        for (name, value) in parts {
            let text = |key: &str| value.get(key).and_then(Data::to_text);
            let path = text("path").map(|path| resolve(&path));
            let file_name = text("filename").or_else(|| {
                path.as_ref().and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned())
            });
            let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
            if let Some(file_name) = &file_name {
                head.push_str(&format!("; filename=\"{}\"", quoted(file_name)));
            }
            let kind = text("content_type").or_else(|| file_name.as_ref().map(|_| "application/octet-stream".into()));
            if let Some(kind) = kind {
                head.push_str(&format!("\r\nContent-Type: {}", kind.replace(['\r', '\n'], " ")));
            }
            head.push_str("\r\n\r\n");
            pieces.push(Piece::Bytes(head.into()));
            pieces.push(match (&path, value) {
                (Some(path), _) => file_piece(path)?,
                (None, Data::Map(_)) => Piece::Bytes(plain(name, value.get("content").unwrap_or(&Data::Nil))?.into()),
                (None, value) => Piece::Bytes(plain(name, value)?.into()),
            });
            pieces.push(Piece::Bytes(Bytes::from_static(b"\r\n")));
        }
        pieces.push(Piece::Bytes(format!("--{boundary}--\r\n").into()));
        Ok(Outgoing { pieces, content_type: Some(format!("multipart/form-data; boundary={boundary}")) })
    }

    pub(crate) fn length(&self) -> u64 {
        let length = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File(_, length) => *length,
        };
        self.pieces.iter().map(length).sum()
    }

    /// A new body.
    pub(crate) fn body(&self) -> Body {
        if let [Piece::Bytes(bytes)] = &self.pieces[..] {
            return Full::new(bytes.clone()).map_err(|never| match never {}).boxed_unsync();
        }
        let state = (VecDeque::from(self.pieces.clone()), None);
        StreamBody::new(stream::try_unfold(state, |(pieces, open)| next(pieces, open))).boxed_unsync()
    }
}

type Open = Option<(File, u64)>;

/// The next piece. A file that has become shorter is an error: its length is already announced.
async fn next(
    mut pieces: VecDeque<Piece>,
    mut open: Open,
) -> io::Result<Option<(Frame<Bytes>, (VecDeque<Piece>, Open))>> {
    loop {
        if let Some((mut file, left)) = open.take() {
            let mut chunk = vec![0; CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
            let read = file.read(&mut chunk).await?;
            if read == 0 && left > 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent"));
            }
            if read > 0 {
                chunk.truncate(read);
                let left = left - read as u64;
                return Ok(Some((Frame::data(chunk.into()), (pieces, (left > 0).then_some((file, left))))));
            }
        }
        match pieces.pop_front() {
            None => return Ok(None),
            Some(Piece::Bytes(bytes)) if bytes.is_empty() => {}
            Some(Piece::Bytes(bytes)) => return Ok(Some((Frame::data(bytes), (pieces, None)))),
            Some(Piece::File(_, 0)) => {}
            Some(Piece::File(path, length)) => open = Some((File::open(path).await?, length)),
        }
    }
}

fn file_piece(path: &Path) -> Result<Piece, String> {
    let meta = std::fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !meta.is_file() {
        return Err(format!("{}: not a regular file", path.display()));
    }
    Ok(Piece::File(path.to_owned(), meta.len()))
}

fn plain(name: &str, value: &Data) -> Result<Vec<u8>, String> {
    match value {
        Data::Str(bytes) => Ok(bytes.clone()),
        Data::Bool(value) => Ok(value.to_string().into_bytes()),
        other => other
            .to_text()
            .map(String::into_bytes)
            .ok_or_else(|| format!("the part `{name}` is a {} without `path` and `content`", other.type_name())),
    }
}

/// As browsers write names in this header.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}
