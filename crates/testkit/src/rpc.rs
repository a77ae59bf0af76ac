//! The HTTP API of Kubo, which our daemon speaks as well: what tests ask either of them.

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use std::time::Duration;

/// A call may take this long before it counts as silence.
const PATIENCE: Duration = Duration::from_secs(120);

/// A client of one daemon.
#[derive(Debug, Clone)]
pub struct Rpc {
    base: String,
    http: reqwest::Client,
    patience: Duration,
}

/// Who a daemon is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Peer id.
    pub id: String,
    /// Addresses, each with `/p2p/…`.
    pub addrs: Vec<String>,
    /// Agent version.
    pub agent: String,
}

impl Identity {
    /// The first address that contains `part`, such as `/tcp/` or `/quic-v1`.
    pub fn addr(&self, part: &str) -> &str {
        self.addrs.iter().find(|a| a.contains(part)).unwrap_or_else(|| panic!("no {part} address in {:?}", self.addrs))
    }
}

/// A call did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RpcError {
    /// The daemon answered with an error.
    #[error("{call}: {message} (HTTP {status})")]
    Refused {
        /// Which call.
        call: String,
        /// HTTP status.
        status: u16,
        /// The message, as it stands in Kubo's error object.
        message: String,
    },
    /// No answer, or no end of it, within the client's patience.
    #[error("{call}: silence for {patience:?}")]
    Silence {
        /// Which call.
        call: String,
        /// How long.
        patience: Duration,
    },
    /// The connection failed or the answer was cut off.
    #[error("{call}: {cause:?}")]
    Broken {
        /// Which call.
        call: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
}

impl RpcError {
    /// Whether the caller was left without an answer.
    pub fn is_silence(&self) -> bool {
        matches!(self, RpcError::Silence { .. })
    }
}

impl Rpc {
    /// A client of the API at a multiaddress such as `/ip4/127.0.0.1/tcp/5001`.
    pub fn new(api: &str) -> Rpc {
        let mut parts = api.trim().trim_start_matches('/').split('/');
        let (Some("ip4"), Some(host), Some("tcp"), Some(port)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            panic!("{api:?} is not /ip4/…/tcp/…");
        };
        // Idle connections would be counted among the daemon's descriptors.
        let http = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
        Rpc { base: format!("http://{host}:{port}"), http, patience: PATIENCE }
    }

    /// The same client that calls it silence after another time.
    pub fn patience(&self, patience: Duration) -> Rpc {
        Rpc { patience, ..self.clone() }
    }

    /// `http://host:port`.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Calls a method, such as `swarm/peers`.
    pub async fn call(&self, method: &str, query: &[(&str, &str)]) -> Result<Bytes, RpcError> {
        let request = self.http.post(format!("{}/api/v0/{method}", self.base)).query(query);
        self.send(method, request).await
    }

    /// Calls a method with a file as its body.
    pub async fn upload(&self, method: &str, query: &[(&str, &str)], data: Vec<u8>) -> Result<Bytes, RpcError> {
        let part = Part::bytes(data).file_name("file").mime_str("application/octet-stream").unwrap();
        let form = Form::new().part("file", part);
        let request = self.http.post(format!("{}/api/v0/{method}", self.base)).query(query).multipart(form);
        self.send(method, request).await
    }

    /// Reads a page such as `/metrics`.
    pub async fn page(&self, path: &str) -> Result<String, RpcError> {
        let body = self.send(path, self.http.get(format!("{}{path}", self.base))).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    async fn send(&self, call: &str, request: reqwest::RequestBuilder) -> Result<Bytes, RpcError> {
        let broken = |cause: reqwest::Error| {
            let call = call.to_owned();
            if cause.is_timeout() {
                return RpcError::Silence { call, patience: self.patience };
            }
            RpcError::Broken { call, cause }
        };
        let response = request.timeout(self.patience).send().await.map_err(broken)?;
        let status = response.status();
        let body = response.bytes().await.map_err(broken)?;
        if status.is_success() {
            return Ok(body);
        }
        let parsed = serde_json::from_slice::<Value>(&body).ok();
        let message = parsed.and_then(|v| v["Message"].as_str().map(str::to_owned));
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        Err(RpcError::Refused { call: call.to_owned(), status: status.as_u16(), message })
    }

    /// Calls a method whose answer is lines of JSON.
    pub async fn lines(&self, method: &str, query: &[(&str, &str)]) -> Result<Vec<Value>, RpcError> {
        Ok(json_lines(method, &self.call(method, query).await?))
    }

    /// Calls a method whose answer is one JSON value.
    pub async fn json(&self, method: &str, query: &[(&str, &str)]) -> Result<Value, RpcError> {
        let body = self.call(method, query).await?;
        Ok(serde_json::from_slice(&body).unwrap_or_else(|e| panic!("{method}: {e} in {body:?}")))
    }

    /// Who the daemon is and where it listens.
    pub async fn id(&self) -> Result<Identity, RpcError> {
        let answer = self.json("id", &[]).await?;
        Ok(Identity {
            id: text(&answer["ID"]),
            addrs: texts(&answer["Addresses"]),
            agent: text(&answer["AgentVersion"]),
        })
    }

    /// Adds a file and returns its CID; `options` are flags of `ipfs add`.
    pub async fn add(&self, data: Vec<u8>, options: &[(&str, &str)]) -> Result<String, RpcError> {
        let mut query = vec![("quieter", "true"), ("progress", "false")];
        query.extend_from_slice(options);
        let body = self.upload("add", &query, data).await?;
        let added = json_lines("add", &body);
        Ok(text(&added.last().unwrap_or_else(|| panic!("add answers with nothing"))["Hash"]))
    }

    /// The whole file at a path or CID.
    pub async fn cat(&self, path: &str) -> Result<Bytes, RpcError> {
        self.call("cat", &[("arg", path)]).await
    }

    /// Connects to an address with `/p2p/…`.
    pub async fn connect(&self, addr: &str) -> Result<(), RpcError> {
        self.call("swarm/connect", &[("arg", addr)]).await.map(|_| ())
    }

    /// Closes the connections with a peer.
    pub async fn disconnect(&self, peer: &str) -> Result<(), RpcError> {
        self.call("swarm/disconnect", &[("arg", &format!("/p2p/{peer}"))]).await.map(|_| ())
    }

    /// Connections as (peer id, address).
    pub async fn connections(&self) -> Result<Vec<(String, String)>, RpcError> {
        let answer = self.json("swarm/peers", &[]).await?;
        let peers = answer["Peers"].as_array().cloned().unwrap_or_default();
        Ok(peers.iter().map(|p| (text(&p["Peer"]), text(&p["Addr"]))).collect())
    }

    /// Whether there is a connection with a peer.
    pub async fn is_connected(&self, peer: &str) -> Result<bool, RpcError> {
        Ok(self.connections().await?.iter().any(|(p, _)| p == peer))
    }

    /// Announces a CID and waits for it.
    pub async fn provide(&self, cid: &str) -> Result<(), RpcError> {
        self.call("routing/provide", &[("arg", cid)]).await.map(|_| ())
    }

    /// Peers that provide a CID, at most `limit`.
    pub async fn find_providers(&self, cid: &str, limit: usize) -> Result<Vec<String>, RpcError> {
        /// The type of query events that name providers, in go-libp2p's routing package.
        const PROVIDER: u64 = 4;
        let events = self.lines("routing/findprovs", &[("arg", cid), ("num-providers", &limit.to_string())]).await?;
        let found = events.iter().filter(|e| e["Type"].as_u64() == Some(PROVIDER));
        Ok(found.flat_map(|e| e["Responses"].as_array().cloned().unwrap_or_default()).map(|r| text(&r["ID"])).collect())
    }
}

/// The sum over all label sets of a metric on a Prometheus page; `None` when the page does not have it.
pub fn metric(page: &str, name: &str) -> Option<f64> {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let rest = if rest.starts_with('{') { rest.rsplit_once('}')?.1 } else { rest.strip_prefix(' ')? };
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    page.lines().filter_map(value).reduce(|a, b| a + b)
}

fn json_lines(method: &str, body: &[u8]) -> Vec<Value> {
    let values = serde_json::Deserializer::from_slice(body).into_iter::<Value>();
    values.map(|v| v.unwrap_or_else(|e| panic!("{method}: {e} in {}", String::from_utf8_lossy(body)))).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().map(|all| all.iter().map(text).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels_and_other_names_are_not_taken() {
        let page = "# TYPE a counter\na{x=\"1\"} 2\na{x=\"{}\"} 3\na_total 9\nb 1.5 1700000000\n";
        assert_eq!(metric(page, "a"), Some(5.0));
        assert_eq!(metric(page, "b"), Some(1.5));
        assert_eq!(metric(page, "c"), None);
    }
}
