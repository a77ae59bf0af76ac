//! Files in the body of a request: a multipart form in the shape of go-ipfs-cmds.

use crate::error::ApiError;
use axum::extract::Multipart;
use axum::extract::multipart::Field;
use percent_encoding::percent_decode_str;

/// The largest value of a block or record taken whole into memory: Kubo's limit of a block.
pub(crate) const MAX_WHOLE: usize = 2 << 20;

/// What a part of the form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartKind {
    File,
    Directory,
    Symlink,
}

/// What a part is, and its path: relative, without empty or dotted components.
pub(crate) fn describe(part: &Field<'_>) -> Result<(PartKind, Vec<String>), ApiError> {
    let kind = match part.content_type().map(|kind| kind.split(';').next().unwrap_or(kind).trim()) {
        Some("application/x-directory") => PartKind::Directory,
        Some("application/symlink") => PartKind::Symlink,
        _ => PartKind::File,
    };
    // Query escaping, as Go's url.QueryEscape does it.
    let encoded = part.file_name().unwrap_or_default().replace('+', " ");
    let name = percent_decode_str(&encoded).decode_utf8();
    let name = name.map_err(|_| ApiError::bad("file name", &encoded, "it is not UTF-8"))?;
    let path: Vec<_> = name.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    match path.iter().any(|part| part == "." || part == "..") {
        true => Err(ApiError::bad("file name", &name, "'.' and '..' are not names")),
        false => Ok((kind, path)),
    }
}

/// A whole part, when it is not longer than `limit`.
pub(crate) async fn whole(part: &mut Field<'_>, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut data = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(broken)? {
        if data.len() + chunk.len() > limit {
            return Err(ApiError::client(format!("the body is longer than {limit} bytes")));
        }
        data.extend_from_slice(&chunk);
    }
    Ok(data)
}

/// The first file of a form, whole.
pub(crate) async fn only_file(mut form: Multipart, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut part =
        form.next_field().await.map_err(broken)?.ok_or_else(|| ApiError::client("file argument is required"))?;
    whole(&mut part, limit).await
}

pub(crate) fn broken(error: axum::extract::multipart::MultipartError) -> ApiError {
    ApiError::client(format!("the body is not a whole multipart form: {}", error.body_text()))
}
