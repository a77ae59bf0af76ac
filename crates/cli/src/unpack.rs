//! Unpacks a tar archive whose author is not trusted.
//!
//! Everything lands below one new root, because a name is only ever made in a directory that was made here. A link that
//! leads elsewhere may be unpacked; nothing is written through it, and nothing that exists is replaced. Owners, times
//! and permissions in the archive do not count.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, EntryType};

fn refused(path: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the archive holds {:?}: {why}", path.display().to_string()))
}

/// Unpacks an archive with one root as `to`, whatever the root's name.
pub(crate) fn unpack(from: impl Read, to: &Path) -> io::Result<()> {
    let mut archive = Archive::new(from);
    let mut made = HashSet::new();
    let mut empty = true;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let path = below(&name, to).ok_or_else(|| refused(&name, "not a path below the root"))?;
        if !empty && !path.parent().is_some_and(|parent| made.contains(parent)) {
            return Err(refused(&name, "not in a directory of the archive"));
        }
        if empty && path != to {
            return Err(refused(&name, "before the root"));
        }
        empty = false;
        match entry.header().entry_type() {
            EntryType::Directory => {
                fs::create_dir(&path)?;
                made.insert(path);
            }
            EntryType::Regular => {
                let copied = io::copy(&mut entry, &mut File::create_new(&path)?)?;
                if copied != entry.size() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.ok_or_else(|| refused(&name, "a link without a target"))?;
                link(&target, &path)?;
            }
            _ => return Err(refused(&name, "neither a file nor a directory nor a symbolic link")),
        }
    }
    if empty {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is empty"));
    }
    // Whoever writes shall not find the pipe closed at the padding behind the archive.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map(|_| ())
}

/// The path under `to` of a name in the archive, whose first component is the root's.
fn below(name: &Path, to: &Path) -> Option<PathBuf> {
    let mut parts = name.components();
    if !matches!(parts.next()?, Component::Normal(_)) {
        return None;
    }
    parts.try_fold(to.to_owned(), |path, part| match part {
        Component::Normal(part) => Some(path.join(part)),
        _ => None,
    })
}

#[cfg(unix)]
fn link(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn link(_: &Path, path: &Path) -> io::Result<()> {
    Err(refused(path, "symbolic links are not supported on this system"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::{Builder, Header};

    /// An archive with entries of a name, a type, and their content or target.
    fn archive(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (name, kind, content) in entries {
            let mut header = Header::new_gnu();
            header.set_entry_type(*kind);
            // The builder would refuse the names that are tried here.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            let data = if *kind == EntryType::Regular { content.as_bytes() } else { b"" };
            if *kind == EntryType::Symlink {
                header.set_link_name_literal(content).unwrap();
            }
            header.set_size(data.len() as u64);
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    use EntryType::{Directory, Regular, Symlink};

    #[test]
    fn a_tree_is_unpacked_under_the_name_of_the_target() {
        let place = tempfile::tempdir().unwrap();
        let to = place.path().join("to");
        let entries =
            [("Qm", Directory, ""), ("Qm/d", Directory, ""), ("Qm/d/f", Regular, "data"), ("Qm/l", Symlink, "d/f")];
        unpack(&archive(&entries)[..], &to).unwrap();
        assert_eq!(fs::read(to.join("d/f")).unwrap(), b"data");
        #[cfg(unix)]
        assert_eq!(fs::read(to.join("l")).unwrap(), b"data");
        let file = place.path().join("file");
        unpack(&archive(&[("Qm", Regular, "data")])[..], &file).unwrap();
        assert_eq!(fs::read(file).unwrap(), b"data");
    }

    #[test]
    fn nothing_is_written_outside() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        fs::create_dir(&outside).unwrap();
        let elsewhere = outside.to_str().unwrap();
        let cases: [&[(&str, EntryType, &str)]; 7] = [
            &[("Qm", Directory, ""), ("Qm/l", Symlink, elsewhere), ("Qm/l/f", Regular, "evil")],
            &[("Qm", Directory, ""), ("Qm/../../outside/f", Regular, "evil")],
            &[("Qm", Directory, ""), ("../outside/f", Regular, "evil")],
            &[("Qm", Symlink, elsewhere), ("Qm/f", Regular, "evil")],
            &[("Qm", Directory, ""), ("Qm/l", Symlink, "../outside/f"), ("Qm/l", Regular, "evil")],
            &[("Qm/f", Regular, "evil")],
            &[("Qm", EntryType::Fifo, "")],
        ];
        for (n, case) in cases.into_iter().enumerate() {
            assert!(unpack(&archive(case)[..], &place.path().join(n.to_string())).is_err(), "{case:?}");
        }
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }

    #[test]
    fn a_part_is_not_taken_for_the_whole() {
        let place = tempfile::tempdir().unwrap();
        let whole = archive(&[("Qm", Directory, ""), ("Qm/f", Regular, "data")]);
        for (n, len) in [0, 100, 512 + 512 + 2].into_iter().enumerate() {
            assert!(unpack(&whole[..len], &place.path().join(n.to_string())).is_err(), "{len} bytes");
        }
    }
}
