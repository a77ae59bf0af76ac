//! Calls to the daemon's API: where it is, what is asked, who answers.

use crate::answer::Answer;
use crate::args::{Enc, Global};
use crate::error::CliError;
use crate::multipart::Upload;
use ipfrs_contract::{Multiaddr, Protocol};
use ipfrs_node::Repo;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::sync::oneshot;

/// `host:port` of an address such as `/ip4/127.0.0.1/tcp/5001`.
pub(crate) fn authority(addr: &Multiaddr) -> Option<String> {
    let mut parts = addr.iter();
    let host = match parts.next()? {
        Protocol::Ip4(ip) => ip.to_string(),
        Protocol::Ip6(ip) => format!("[{ip}]"),
        Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.into_owned(),
        _ => return None,
    };
    match parts.next()? {
        Protocol::Tcp(port) => Some(format!("{host}:{port}")),
        _ => None,
    }
}

/// The innermost cause: the layers above it only say that there is one.
pub(crate) fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// A client of one daemon.
pub(crate) struct Client {
    http: reqwest::Client,
    api: Multiaddr,
    base: String,
    timeout: Option<Duration>,
    enc: Enc,
}

impl Client {
    /// A client of the daemon that `--api` names, or else of the one that uses the repo.
    pub(crate) fn find(global: &Global) -> Result<Client, CliError> {
        let repo = Repo::default_path();
        let api = global.api.clone().or_else(|| Repo::read_api(&repo)).ok_or(CliError::NoDaemon(repo))?;
        let authority = authority(&api).ok_or_else(|| CliError::NotAnApi(api.clone()))?;
        // Without this a failure in the middle of an answer would come without a reason.
        let headers = HeaderMap::from_iter([(TE, HeaderValue::from_static("trailers"))]);
        let http = reqwest::Client::builder().no_proxy().default_headers(headers).build();
        let http = http.map_err(|e| CliError::Silent { api: api.clone(), cause: root(&e) })?;
        let base = format!("http://{authority}/api/v0");
        Ok(Client { http, api, base, timeout: global.timeout, enc: global.enc })
    }

    /// Whether answers are printed for people.
    pub(crate) fn text(&self) -> bool {
        self.enc == Enc::Text
    }

    /// Begins a call of a method, such as `swarm/peers`.
    pub(crate) fn call(&self, method: &'static str) -> Call {
        let request = self.http.post(format!("{}/{method}", self.base));
        let call = Call { request, method, api: self.api.clone(), enc: self.enc, local: None };
        call.opt("timeout", self.timeout.map(|limit| format!("{}ns", limit.as_nanos())))
    }
}

/// A call that is not yet sent.
pub(crate) struct Call {
    request: reqwest::RequestBuilder,
    method: &'static str,
    api: Multiaddr,
    enc: Enc,
    /// What went wrong here while a body was sent.
    local: Option<oneshot::Receiver<CliError>>,
}

impl Call {
    /// Adds an argument.
    pub(crate) fn arg(self, value: &str) -> Call {
        self.opt("arg", Some(value))
    }

    /// Adds arguments.
    pub(crate) fn args(self, values: &[String]) -> Call {
        values.iter().fold(self, |call, value| call.arg(value))
    }

    /// Adds an option when it is given.
    pub(crate) fn opt(mut self, name: &str, value: Option<impl ToString>) -> Call {
        if let Some(value) = value {
            self.request = self.request.query(&[(name, value.to_string())]);
        }
        self
    }

    /// Adds a flag when it is set.
    pub(crate) fn flag(self, name: &str, set: bool) -> Call {
        self.opt(name, set.then_some(true))
    }

    /// Sends files along.
    pub(crate) fn upload(mut self, upload: Upload) -> Call {
        let kind = format!("multipart/form-data; boundary={}", upload.boundary);
        self.request = self.request.header(CONTENT_TYPE, kind).body(upload.body);
        self.local = Some(upload.failed);
        self
    }

    /// Sends it; the answer has begun and is no error.
    pub(crate) async fn send(mut self) -> Result<Answer, CliError> {
        match self.request.send().await {
            Ok(response) => Answer::begin(response, self.method, self.enc, self.local).await,
            Err(cause) => Err(match self.local.as_mut().and_then(|local| local.try_recv().ok()) {
                Some(local) => local,
                None if cause.is_connect() => CliError::Silent { api: self.api, cause: root(&cause) },
                None => CliError::Broken { method: self.method, cause: root(&cause) },
            }),
        }
    }

    /// Sends it and prints the objects of the answer: as they are for `--enc=json`, otherwise as `text` does it.
    pub(crate) async fn show<T, F>(self, text: F) -> Result<(), CliError>
    where
        T: DeserializeOwned,
        F: FnMut(T) -> Result<(), CliError>,
    {
        self.send().await?.show(text).await
    }

    /// Sends it and prints the bytes of the answer.
    pub(crate) async fn pour(self) -> Result<(), CliError> {
        let mut answer = self.send().await?;
        while let Some(data) = answer.chunk().await? {
            crate::output::bytes(&data)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_an_api_have_a_host_and_a_port() {
        for (addr, expected) in [
            ("/ip4/127.0.0.1/tcp/5001", Some("127.0.0.1:5001")),
            ("/ip6/::1/tcp/5001", Some("[::1]:5001")),
            ("/dns4/localhost/tcp/5001/http", Some("localhost:5001")),
            ("/ip4/127.0.0.1/udp/5001/quic-v1", None),
            ("/ip4/127.0.0.1", None),
        ] {
            assert_eq!(authority(&addr.parse().unwrap()).as_deref(), expected, "{addr}");
        }
    }
}
