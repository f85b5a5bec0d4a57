//! Tasks that are to last as long as the process.
//!
//! A panic in one of them is a defect of converge. Nobody waits for such a task, so without this it
//! would be missing from then on and nobody would know.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

/// Before it is begun again: a task that fails at once must not fill the log.
const REST: Duration = Duration::from_secs(1);

/// Runs a task to its end. One that fails is told of and begun again. Whoever drops this ends the
/// task.
pub async fn lasting<T>(what: &str, mut begin: impl FnMut() -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut task = JoinSet::new();
        task.spawn(begin());
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!("{what} failed, which is a defect of converge; begun again");
            }
            Some(Ok(()) | Err(_)) | None => return,
        }
        sleep(REST).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_task_that_fails_is_begun_again_and_one_that_ends_is_not() {
        let begun = AtomicU32::new(0);
        lasting("it", || {
            let number = begun.fetch_add(1, Ordering::Relaxed);
            async move { assert!(number > 0, "on purpose") }
        })
        .await;
        assert_eq!(begun.into_inner(), 2);
    }

    #[tokio::test]
    async fn a_task_ends_with_whoever_waits_for_it() {
        let held = Arc::new(Notify::new());
        let waits = || {
            let held = Arc::clone(&held);
            async move { held.notified().await }
        };
        let limit = Duration::from_millis(50);
        assert!(timeout(limit, lasting("it", waits)).await.is_err());
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
