//! The identity file: an Ed25519 key as a libp2p protobuf, readable by its owner alone.

use crate::repo::{RepoError, write_atomically};
use ipfrs_contract::Keypair;
use std::fs;
use std::path::Path;

/// Writes a key with mode 0600.
pub(crate) fn save(path: &Path, keypair: &Keypair) -> Result<(), RepoError> {
    let refused = |why: String| RepoError::Identity { path: path.to_owned(), why };
    let bytes = keypair.to_protobuf_encoding().map_err(|e| refused(e.to_string()))?;
    write_atomically(path, &bytes)
}

/// Reads a key; a file that others may read is corrected and named in the log.
pub(crate) fn load(path: &Path) -> Result<Keypair, RepoError> {
    let bytes = fs::read(path).map_err(RepoError::io(path))?;
    protect(path)?;
    Keypair::from_protobuf_encoding(&bytes)
        .map_err(|e| RepoError::Identity { path: path.to_owned(), why: e.to_string() })
}

#[cfg(unix)]
fn protect(path: &Path) -> Result<(), RepoError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(RepoError::io(path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(target: "node", path = %path.display(), mode = format!("{mode:o}"), "the identity was readable by others, now 600");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(RepoError::io(path))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn protect(_: &Path) -> Result<(), RepoError> {
    Ok(())
}
