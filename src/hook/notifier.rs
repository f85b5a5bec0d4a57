//! Runs the hooks, one at a time and in order.
//!
//! One task works through what happened: for each thing, all hooks that want to know, in the order
//! of the role file, each to its end or to its limit. Meanwhile what happens waits, the last state
//! of each router only. A hook that fails is logged with what it printed, and the next is run.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::call::script;
use super::config::HookConfig;
use super::queue::{Happening, Numbered, Queue};
use crate::host::chain;
use crate::host::lasting::lasting;
use crate::host::script::{End, Ran, Runner, Script, Strays};

/// Tells hooks what happens.
#[derive(Debug)]
pub struct Notifier {
    shared: Arc<Shared>,
    worker: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    word: Notify,
}

#[derive(Debug, Default)]
struct State {
    hooks: Vec<HookConfig>,
    queue: Queue,
    /// Nothing will be pushed any more.
    is_closed: bool,
}

impl Notifier {
    /// Waits for something to tell, on the runtime that this is called in.
    pub fn start(hooks: Vec<HookConfig>) -> Self {
        let state = State { hooks, ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), word: Notify::new() });
        let told = Arc::clone(&shared);
        let worker = tokio::spawn(async move {
            lasting("whatever runs [[notify]] programs", || work(Arc::clone(&told))).await;
        });
        Notifier { shared, worker }
    }

    /// Tells it. Returns at once.
    pub fn tell(&self, happening: Happening) {
        self.shared.lock().queue.push(happening);
        self.shared.word.notify_one();
    }

    /// Tells these hooks from now on. One that runs goes on.
    pub fn configure(&self, hooks: Vec<HookConfig>) {
        self.shared.lock().hooks = hooks;
    }

    /// Tells what still waits, within a limit; then what runs is killed. Whether all was told.
    pub async fn finish(mut self, limit: Duration) -> bool {
        self.shared.lock().is_closed = true;
        self.shared.word.notify_one();
        let told = timeout(limit, &mut self.worker).await;
        let is_done = matches!(told, Ok(Ok(())));
        if !is_done {
            tracing::warn!(?limit, "hooks that were not done are ended");
        }
        is_done
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic half-way is done under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be told next, and to whom; `None` at the end.
    async fn next(&self) -> Option<(Numbered, Vec<HookConfig>)> {
        loop {
            {
                let mut state = self.lock();
                if let Some(next) = state.queue.pop() {
                    return Some((next, state.hooks.clone()));
                }
                if state.is_closed {
                    return None;
                }
            }
            // A word that came since then is kept.
            self.word.notified().await;
        }
    }
}

async fn work(shared: Arc<Shared>) {
    let mut runner = Runner::default();
    while let Some((next, hooks)) = shared.next().await {
        for hook in &hooks {
            if let Some(script) = script(hook, &next) {
                run(&mut runner, &script, hook.timeout, &next).await;
            }
        }
    }
}

async fn run(runner: &mut Runner, script: &Script, limit: Duration, next: &Numbered) {
    let (router, state) = (&next.happening.router, next.happening.to);
    let hook = script.argv.first().map(String::as_str).unwrap_or_default();
    // What a hook starts in the background may be meant to stay.
    match runner.run(script, limit, Strays::Leave).await {
        Ok(Ran { end: End::Exited(0), output }) => {
            tracing::debug!(hook, router, %state, output, "a [[notify]] program was run");
        }
        Ok(Ran { end, output }) => {
            tracing::warn!(hook, router, %state, %end, output, "a [[notify]] program failed");
        }
        Err(error) => {
            let error = chain(&error);
            tracing::warn!(hook, router, %state, error, "a [[notify]] program cannot be run");
        }
    }
}
