//! Calls that may block, off the main thread and one at a time.
//!
//! A name service or a file system that hangs must not stop whatever else runs there, nor gather
//! threads: a caller who gave up waiting and calls again waits for the first call to come back.

use std::panic::resume_unwind;

use tokio::task::{JoinHandle, spawn_blocking};

/// Makes a call off the main thread and waits for its end. For whoever makes one at a time anyway
/// and never gives up: a call that hangs keeps its thread.
pub async fn apart<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(call).await {
        Ok(answer) => answer,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime ends, and whoever waits is never asked again.
        Err(_) => std::future::pending().await,
    }
}

/// One caller's place.
#[derive(Debug, Default)]
pub struct Blocking(Option<JoinHandle<()>>);

impl Blocking {
    /// Makes a call and waits for its end. Cancelled, the call goes on and its answer is lost.
    pub async fn call<T: Send + 'static>(
        &mut self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        if let Some(earlier) = &mut self.0 {
            // However it came back, only that it did matters here.
            let _came_back = earlier.await.is_ok();
            self.0 = None;
        }
        let (answer, answered) = tokio::sync::oneshot::channel();
        // Nobody listens any more where the caller gave up.
        let running = spawn_blocking(move || drop(answer.send(call())));
        let running = self.0.insert(running);
        let ended = running.await;
        self.0 = None;
        if let Err(error) = ended
            && error.is_panic()
        {
            resume_unwind(error.into_panic());
        }
        // None only while the runtime ends, when nobody asks any more.
        answered.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_is_waited_for_before_another_is_made() {
        let mut place = Blocking::default();
        let (release, held) = mpsc::channel::<()>();
        let short = Duration::from_millis(20);
        let hanging = place.call(move || held.recv().is_ok());
        assert!(timeout(short, hanging).await.is_err(), "it hangs");
        assert!(timeout(short, place.call(|| 1)).await.is_err(), "the first hangs still");
        release.send(()).expect("it waits");
        assert_eq!(place.call(|| 2).await, Some(2));
    }
}
