//! Block store on disk, UnixFS import and export, CAR.
