//! What `ipfrs add` sends: the given paths and everything below them, found before anything is sent.

use crate::error::CliError;
use crate::multipart::{Content, Part};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How paths are walked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    /// Directories are taken at all.
    pub(crate) recursive: bool,
    /// Names that begin with a dot are taken.
    pub(crate) hidden: bool,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) parts: Vec<Part>,
    /// Bytes of all files; unknown for standard input.
    pub(crate) bytes: Option<u64>,
}

impl Walk {
    /// Finds everything at and below the paths, in the order Kubo sends it.
    pub(crate) fn find(self, paths: &[PathBuf]) -> Result<Found, CliError> {
        let mut found = Found { parts: Vec::new(), bytes: Some(0) };
        for path in paths {
            if let Some(stdin) = Part::stdin(path) {
                found.parts.push(stdin);
                found.bytes = None;
                continue;
            }
            let name = name(path)?;
            if !self.recursive && fs::symlink_metadata(path).map_err(CliError::file(path))?.is_dir() {
                return Err(CliError::NotRecursive(path.clone()));
            }
            self.take(path, name, &mut found)?;
        }
        Ok(found)
    }

    fn take(self, path: &Path, name: String, found: &mut Found) -> Result<(), CliError> {
        let meta = fs::symlink_metadata(path).map_err(CliError::file(path))?;
        let content = if meta.is_dir() {
            Content::Directory
        } else if meta.is_file() {
            found.bytes = found.bytes.map(|bytes| bytes + meta.len());
            Content::File(path.to_owned())
        } else if meta.is_symlink() {
            Content::Symlink(utf8(fs::read_link(path).map_err(CliError::file(path))?)?)
        } else {
            return Err(refused(path, "neither a file nor a directory nor a symbolic link"));
        };
        let below = content == Content::Directory;
        found.parts.push(Part { name: name.clone(), content });
        if !below {
            return Ok(());
        }
        let entries = fs::read_dir(path).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
        let mut entries = entries.map_err(CliError::file(path))?;
        entries.sort_by_key(|entry| entry.file_name());
        for entry in entries {
            let path = entry.path();
            let Some(last) = entry.file_name().to_str().map(str::to_owned) else { return Err(refused(&path, NO_TEXT)) };
            if self.hidden || !last.starts_with('.') {
                self.take(&path, format!("{name}/{last}"), found)?;
            }
        }
        Ok(())
    }
}

const NO_TEXT: &str = "the name is not UTF-8";

fn refused(path: &Path, why: &str) -> CliError {
    CliError::file(path)(io::Error::new(io::ErrorKind::InvalidInput, why))
}

fn utf8(path: PathBuf) -> Result<String, CliError> {
    path.into_os_string().into_string().map_err(|path| refused(Path::new(&path), NO_TEXT))
}

/// The name under which a path is added; that of `.` and `..` is what they stand for.
fn name(path: &Path) -> Result<String, CliError> {
    let name = match path.file_name() {
        Some(name) => name.to_owned(),
        None => {
            let real = path.canonicalize().map_err(CliError::file(path))?;
            real.file_name().ok_or_else(|| refused(path, "it has no name"))?.to_owned()
        }
    };
    utf8(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_before_what_lies_in_them_and_hidden_names_only_when_asked_for() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        fs::create_dir_all(root.join("b")).unwrap();
        for (name, data) in [("b/z", "12"), ("b/.hidden", "1"), ("a", "123")] {
            fs::write(root.join(name), data).unwrap();
        }
        let names = |hidden| {
            let found = Walk { recursive: true, hidden }.find(std::slice::from_ref(&root)).unwrap();
            (found.parts.into_iter().map(|part| part.name).collect::<Vec<_>>(), found.bytes)
        };
        let expected = ["root", "root/a", "root/b", "root/b/z"].map(str::to_owned).to_vec();
        assert_eq!(names(false), (expected, Some(5)));
        assert!(names(true).0.contains(&"root/b/.hidden".to_owned()));
        assert_eq!(names(true).1, Some(6));
    }

    #[test]
    fn what_cannot_be_added_is_named() {
        let place = tempfile::tempdir().unwrap();
        let walk = Walk { recursive: false, hidden: false };
        let error = |path: PathBuf| walk.find(&[path]).unwrap_err().to_string();
        assert!(error(place.path().join("missing")).contains("missing"));
        let said = error(place.path().to_owned());
        assert!(said.contains("-r") && said.contains(&*place.path().to_string_lossy()), "{said}");
    }
}
