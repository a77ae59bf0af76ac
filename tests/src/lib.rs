//! Nothing: this package exists for the integration tests in `tests/`.
