//! Block store on disk, UnixFS import and export, CAR.
//!
//! | part | what it is for |
//! |---|---|
//! | [`BlockStore`] | blocks by multihash in flatfs layout; every block checked when read |
//! | [`FileAdder`], [`DirBuilder`], [`symlink()`] | files and directories to blocks, with the CIDs that `ipfs add` gives |
//! | [`parse`], [`links`] | blocks to what they say |
//! | [`car`] | CAR v1 files |
#![forbid(unsafe_code)]

mod add;
pub mod car;
mod dir;
mod options;
mod proto;
mod read;
mod store;
mod verify;

pub use add::{Built, FileAdder};
pub use dir::{DirBuilder, symlink};
pub use options::{AddOptions, DirSize, ParseProfileError, Profile};
pub use read::{DirEntry, ParseError, UnixfsNode, links, parse};
pub use store::{BlockStore, Opened, StoreError, StoreStat};
pub use verify::{DAG_PB, RAW, SHA2_256, VerifyError, check_hash, cid_of, verify};
