//! The two messages of UnixFS: dag-pb nodes and the file data inside them (dag-pb and UnixFS specifications).

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PbLink {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) hash: Option<Vec<u8>>,
    #[prost(string, optional, tag = "2")]
    pub(crate) name: Option<String>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) tsize: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PbNode {
    #[prost(message, repeated, tag = "2")]
    pub(crate) links: Vec<PbLink>,
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) data: Option<bytes::Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Unixfs {
    #[prost(enumeration = "Kind", required, tag = "1")]
    pub(crate) kind: i32,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) data: Option<bytes::Bytes>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) filesize: Option<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub(crate) blocksizes: Vec<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub(crate) hash_type: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) fanout: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Kind {
    Raw = 0,
    Directory = 1,
    File = 2,
    Metadata = 3,
    Symlink = 4,
    Shard = 5,
}
