//! Test content: reproducible bytes, sizes that sit on edges, and directories.

use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Sizes on both sides of every edge that an importer has: empty, tiny, around both chunk sizes in use (256 KiB and
/// 1 MiB), several chunks, and around 174 chunks of 256 KiB, where the tree grows a level.
pub const AWKWARD_SIZES: [usize; 30] = [
    0, 1, 2, 31, 32, 33, 255, 256, 1000, 4095, 4096, 65_535, 65_536, 262_143, 262_144, 262_145, 524_287, 524_288,
    524_289, 786_431, 1_048_575, 1_048_576, 1_048_577, 2_097_151, 2_097_153, 3_145_728, 10_000_000, 45_613_055,
    45_613_056, 45_613_057,
];

/// `len` bytes that depend on `seed` alone and do not compress.
pub fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut out);
    out
}

/// The files of a directory by relative path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree(pub BTreeMap<PathBuf, Vec<u8>>);

impl Tree {
    /// Nested folders, names with spaces and beyond ASCII, an empty file and one of several chunks.
    pub fn nested(seed: u64) -> Tree {
        let files = [
            ("a.txt", 10),
            ("empty", 0),
            ("with space/ü ñ.bin", 300_000),
            ("deep/er/still/b", 1_000),
            ("deep/c", 600_000),
        ];
        Tree(files.into_iter().enumerate().map(|(n, (name, len))| (name.into(), bytes(seed ^ n as u64, len))).collect())
    }

    /// One folder with so many long names that it becomes a HAMT: 2,100 names of 100 bytes exceed 256 KiB of links.
    pub fn wide(seed: u64) -> Tree {
        let name = |n: u64| PathBuf::from(format!("{n:0>100}"));
        Tree((0..2_100).map(|n| (name(n), bytes(seed ^ n, 8))).collect())
    }

    /// Writes it below `dir`.
    pub fn write(&self, dir: &Path) {
        for (name, data) in &self.0 {
            let path = dir.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, data).unwrap();
        }
    }

    /// Reads back what lies below `dir`.
    pub fn read(dir: &Path) -> Tree {
        let mut files = BTreeMap::new();
        let mut folders = vec![dir.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.insert(path.strip_prefix(dir).unwrap().to_owned(), std::fs::read(&path).unwrap());
                }
            }
        }
        Tree(files)
    }
}
