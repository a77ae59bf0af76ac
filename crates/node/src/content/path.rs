//! Content paths: `/ipfs/CID/a/b`, `CID/a/b`, `ipfs://CID/a/b`.

use crate::NodeError;
use ipfrs_contract::Cid;

/// A root and the names below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContentPath {
    pub(crate) root: Cid,
    pub(crate) names: Vec<String>,
}

impl std::str::FromStr for ContentPath {
    type Err = NodeError;

    fn from_str(path: &str) -> Result<Self, NodeError> {
        let bad = |why: String| NodeError::BadPath { path: path.to_owned(), why };
        if path.starts_with("/ipns/") || path.starts_with("ipns://") {
            return Err(bad("names (/ipns/) are not resolved, give a CID".to_owned()));
        }
        let rest = path.strip_prefix("/ipfs/").or_else(|| path.strip_prefix("ipfs://")).unwrap_or(path);
        let mut parts = rest.split('/').filter(|part| !part.is_empty());
        let root = parts.next().ok_or_else(|| bad("it names no CID".to_owned()))?;
        let root = root.parse::<Cid>().map_err(|e| bad(format!("{root:?} is not a CID: {e}")))?;
        let names: Vec<_> = parts.map(str::to_owned).collect();
        if names.iter().any(|name| name == "." || name == "..") {
            return Err(bad("'.' and '..' are not names".to_owned()));
        }
        Ok(ContentPath { root, names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_one_and_nonsense_is_named() {
        let cid = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
        for path in [format!("/ipfs/{cid}/a/b"), format!("{cid}/a/b/"), format!("ipfs://{cid}//a/b")] {
            let parsed: ContentPath = path.parse().unwrap();
            assert_eq!((parsed.root.to_string().as_str(), parsed.names.len()), (cid, 2), "{path}");
        }
        for path in ["", "/ipfs/", "/ipns/x", "hello", "/ipfs/Qm/../x"] {
            assert!(path.parse::<ContentPath>().is_err(), "{path:?}");
        }
    }
}
