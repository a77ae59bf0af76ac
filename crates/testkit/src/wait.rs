//! Waiting for a state, with a limit that no good run comes near.

use std::future::Future;
use std::time::Duration;

/// The outer limit of everything that should take seconds: generous, because two cores may be shared with a build.
pub const LIMIT: Duration = Duration::from_secs(120);
/// Time between two looks. Shorter only burns the core that the observed process needs.
const POLL: Duration = Duration::from_millis(25);

/// Looks again and again until `probe` finds something; panics with `what` when `limit` is over.
pub async fn eventually<T, F, Fut>(limit: Duration, what: &str, mut probe: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let looking = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    within(limit, what, looking).await
}

/// The output of `future`; panics with `what` when it is not there within `limit`.
pub async fn within<F: Future>(limit: Duration, what: &str, future: F) -> F::Output {
    match tokio::time::timeout(limit, future).await {
        Ok(output) => output,
        Err(_) => panic!("not within {limit:?}: {what}"),
    }
}
