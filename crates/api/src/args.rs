//! Arguments and options of a command, from the query of its request.

use crate::error::ApiError;
use crate::parse_duration;
use axum::extract::{FromRequestParts, Query};
use axum::http::header::TE;
use axum::http::request::Parts;
use ipfrs_contract::{Cid, Multiaddr, PeerId, peer_of};
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

/// Options that every command takes. What they ask for is how this API answers anyway, or is done by the client.
const EVERYWHERE: [&str; 8] =
    ["arg", "encoding", "enc", "stream-channels", "timeout", "cid-base", "upgrade-cidv0-in-output", "offline"];

/// What one request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Args {
    pairs: Vec<(String, String)>,
    /// The request is given up after this.
    pub(crate) timeout: Option<Duration>,
    /// The client reads trailers.
    pub(crate) trailers: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Args {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|e| ApiError::client(format!("query: {e}")))?;
        let mut args = Args { pairs, timeout: None, trailers: false };
        if let Some(text) = args.get("timeout") {
            args.timeout = Some(parse_duration(text).map_err(|e| ApiError::client(format!("timeout: {e}")))?);
        }
        args.only("cid-base", &["base32", "base58btc"])?;
        args.only("upgrade-cidv0-in-output", &["false"])?;
        args.only("offline", &["false"])?;
        let te = parts.headers.get(TE).and_then(|te| te.to_str().ok()).unwrap_or_default();
        args.trailers = te.split(',').any(|part| part.trim().eq_ignore_ascii_case("trailers"));
        Ok(args)
    }
}

impl Args {
    /// Refuses options that the command does not know: nobody should believe that they were obeyed.
    pub(crate) fn known(&self, options: &[&str]) -> Result<(), ApiError> {
        let known = |name: &str| EVERYWHERE.contains(&name) || options.contains(&name);
        match self.pairs.iter().find(|(name, _)| !known(name)) {
            Some((name, _)) => Err(ApiError::client(format!("unknown option {name:?}"))),
            None => Ok(()),
        }
    }

    /// Accepts an option only with values that describe what is done anyway.
    pub(crate) fn only(&self, name: &str, values: &[&str]) -> Result<(), ApiError> {
        match self.get(name) {
            Some(value) if !values.contains(&value) => {
                let accepted = values.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>().join(", ");
                Err(ApiError::client(format!("{name}: {value:?} is not supported, only {accepted}")))
            }
            _ => Ok(()),
        }
    }

    /// The value of an option; the last one wins.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a flag is set.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        Ok(self.option(name)?.unwrap_or(false))
    }

    /// The value of an option, read.
    pub(crate) fn option<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, ApiError> {
        let read = |value: &str| value.parse().map_err(|e| ApiError::bad(name, value, e));
        self.get(name).map(read).transpose()
    }

    /// Every argument; at least one.
    pub(crate) fn all(&self) -> Result<Vec<&str>, ApiError> {
        let all: Vec<_> = self.pairs.iter().filter(|(key, _)| key == "arg").map(|(_, value)| value.as_str()).collect();
        if all.is_empty() { Err(ApiError::client("argument is required")) } else { Ok(all) }
    }

    /// The only argument.
    pub(crate) fn one(&self) -> Result<&str, ApiError> {
        match self.all()?[..] {
            [one] => Ok(one),
            ref all => Err(ApiError::client(format!("expected 1 argument, got {}", all.len()))),
        }
    }

    /// The only argument, if there is one.
    pub(crate) fn maybe(&self) -> Result<Option<&str>, ApiError> {
        if self.get("arg").is_none() { Ok(None) } else { self.one().map(Some) }
    }

    /// Runs a job within the request's timeout.
    pub(crate) async fn within<T, E>(&self, job: impl Future<Output = Result<T, E>>) -> Result<T, ApiError>
    where
        ApiError: From<E>,
    {
        match self.timeout {
            Some(limit) => Ok(tokio::time::timeout(limit, job).await.map_err(|_| ApiError::deadline(limit))??),
            None => Ok(job.await?),
        }
    }
}

/// A CID, alone or as `/ipfs/CID`.
pub(crate) fn cid(text: &str) -> Result<Cid, ApiError> {
    let bare = text.strip_prefix("/ipfs/").or_else(|| text.strip_prefix("ipfs://")).unwrap_or(text);
    bare.parse().map_err(|e| ApiError::bad("cid", text, e))
}

/// A peer id, alone or at the end of an address.
pub(crate) fn peer(text: &str) -> Result<PeerId, ApiError> {
    if text.starts_with('/') {
        return peer_of(&multiaddr(text)?)
            .ok_or_else(|| ApiError::bad("address", text, "it does not end in /p2p/PEER"));
    }
    if let Ok(peer) = text.parse() {
        return Ok(peer);
    }
    // The CID form of a peer id (peer-ids specification): libp2p-key codec around the same multihash.
    let from_cid = text.parse::<Cid>().ok().and_then(|cid| PeerId::from_bytes(&cid.hash().to_bytes()).ok());
    from_cid.ok_or_else(|| ApiError::bad("peer id", text, "neither base58 nor a CID of a key"))
}

/// A multiaddress.
pub(crate) fn multiaddr(text: &str) -> Result<Multiaddr, ApiError> {
    text.parse().map_err(|e| ApiError::bad("multiaddress", text, e))
}
