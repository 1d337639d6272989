//! Sources of workflows: what is accepted, and under which sum it is kept.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use sloth_api::worker::Bundle;
use sloth_api::{BUNDLE_BYTES_MAX, ErrorCode};
use sloth_core::record::SourceBundle;

use crate::ServiceError;

/// Files of one source.
const FILES_MAX: usize = 2_000;
/// Longest path in it, bytes.
const PATH_MAX: usize = 4_096;
/// Compression: sources are small and read often.
const LEVEL: i32 = 3;

/// Checks a source and makes it ready to be stored.
pub(crate) fn source(field: &str, bundle: &Bundle) -> Result<Arc<SourceBundle>, ServiceError> {
    if bundle.files.is_empty() || !bundle.files.contains_key(&bundle.main) {
        return Err(ServiceError::field(field, format!("the main file {:?} is not among its files", bundle.main))
            .hint("files maps each path to its text; main is one of these paths"));
    }
    if bundle.files.len() > FILES_MAX {
        return Err(ServiceError::field(field, format!("holds more than {FILES_MAX} files")));
    }
    if let Some(path) =
        bundle.files.keys().find(|path| path.is_empty() || path.len() > PATH_MAX || path.chars().any(char::is_control))
    {
        return Err(ServiceError::field(field, format!("{path:?} is no path of a file")));
    }
    let json = serde_json::to_vec(bundle)
        .map_err(|error| ServiceError::new(ErrorCode::Internal, format!("{field}: {error}")))?;
    if json.len() > BUNDLE_BYTES_MAX {
        let message = format!("{field}: {} bytes, more than {BUNDLE_BYTES_MAX}", json.len());
        return Err(ServiceError::new(ErrorCode::PayloadTooLarge, message)
            .hint("import less, or read large files when the workflow runs"));
    }
    let content = zstd::bulk::compress(&json, LEVEL)
        .map_err(|error| ServiceError::new(ErrorCode::Internal, format!("{field}: {error}")))?;
    let sha256 = crate::runs::hex(&Sha256::digest(&json));
    Ok(Arc::new(SourceBundle { sha256, content, size: json.len() as u64 }))
}
