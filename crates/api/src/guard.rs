//! Who may ask: programs on this machine, and no web page but our own.

use crate::error::ApiError;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Answers only requests to a loopback name that no foreign page sent.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    match check(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(&name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let host = text(HOST);
    // A page that made its own name resolve to 127.0.0.1 (DNS rebinding) still says its name here.
    if let Some(host) = host.as_deref().filter(|host| !is_loopback(host)) {
        return Err(ApiError::forbidden(format!("host {host:?} is not this machine")));
    }
    // Browsers send the origin of the page with every POST; other programs send none.
    match (text(ORIGIN), host) {
        (None, _) => Ok(()),
        (Some(origin), Some(host)) if origin == format!("http://{host}") => Ok(()),
        (Some(origin), _) => Err(ApiError::forbidden(format!("origin {origin:?} may not use this API"))),
    }
}

fn is_loopback(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_its_own_page() {
        for (host, origin, fine) in [
            ("127.0.0.1:5001", None, true),
            ("localhost:5001", None, true),
            ("[::1]:5001", None, true),
            ("127.0.0.1:5001", Some("http://127.0.0.1:5001"), true),
            ("127.0.0.1:5001", Some("http://127.0.0.1:8080"), false),
            ("127.0.0.1:5001", Some("null"), false),
            ("127.0.0.1:5001", Some("https://example.com"), false),
            ("example.com", None, false),
            ("example.com:5001", Some("http://example.com:5001"), false),
            ("127.0.0.1.example.com", None, false),
            ("localhost@example.com", None, false),
            ("", None, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(check(&headers).is_ok(), fine, "{host} {origin:?}");
        }
    }
}
