//! Errors as Kubo answers them: a status, and an object with a message and a code.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ipfrs_node::NodeError;
use serde_json::json;
use std::fmt;
use std::time::Duration;

/// Error codes of go-ipfs-cmds.
#[derive(Debug, Clone, Copy)]
enum Code {
    Normal = 0,
    Client = 1,
    Forbidden = 4,
}

/// A command failed.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: Code,
    message: String,
}

impl ApiError {
    /// The command could not be carried out.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        ApiError { status: StatusCode::INTERNAL_SERVER_ERROR, code: Code::Normal, message: message.to_string() }
    }

    /// The request makes no sense.
    pub(crate) fn client(message: impl fmt::Display) -> Self {
        ApiError { status: StatusCode::BAD_REQUEST, code: Code::Client, message: message.to_string() }
    }

    /// The request comes from somebody who may not send it.
    pub(crate) fn forbidden(message: impl fmt::Display) -> Self {
        ApiError { status: StatusCode::FORBIDDEN, code: Code::Forbidden, message: message.to_string() }
    }

    /// An argument is not what it should be.
    pub(crate) fn bad(what: &str, value: &str, why: impl fmt::Display) -> Self {
        ApiError::client(format!("invalid {what} {value:?}: {why}"))
    }

    /// The `timeout` of the request passed.
    pub(crate) fn deadline(limit: Duration) -> Self {
        ApiError::failed(format!("context deadline exceeded: not done within {limit:?}"))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::BadPath { .. } => ApiError::client(error),
            _ => ApiError::failed(error),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "Message": self.message, "Code": self.code as u8, "Type": "error" });
        (self.status, Json(body)).into_response()
    }
}
