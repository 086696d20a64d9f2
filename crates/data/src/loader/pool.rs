//! Worker threads that make the batches of epochs and put them in order.

use super::lock;
use super::pipeline::{Made, Produce};
use super::plan::EpochPlan;
use crate::DataError;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Long-lived threads; dropping the pool stops and joins them.
pub(super) struct Pool<B> {
    shared: Arc<Shared<B>>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared<B> {
    pipeline: Arc<dyn Produce<B>>,
    prefetch: usize,
    state: Mutex<State<B>>,
    /// Told when a batch may be claimed, or the pool stops.
    work: Condvar,
    /// Told when a batch is done.
    done: Condvar,
}

struct State<B> {
    stopping: bool,
    next_run: u64,
    runs: BTreeMap<u64, Run<B>>,
}

/// An epoch in the making. Batches `taken..claimed` are in work or in `ready`;
/// there are never more than `prefetch` of them.
struct Run<B> {
    plan: Arc<EpochPlan>,
    cancelled: Arc<AtomicBool>,
    claimed: usize,
    taken: usize,
    ready: BTreeMap<usize, Made<B>>,
}

impl<B: Send + 'static> Pool<B> {
    pub(super) fn start(
        pipeline: &Arc<dyn Produce<B>>,
        workers: usize,
        prefetch: usize,
    ) -> Result<Self, DataError> {
        let shared = Arc::new(Shared {
            pipeline: Arc::clone(pipeline),
            prefetch,
            state: Mutex::new(State {
                stopping: false,
                next_run: 0,
                runs: BTreeMap::new(),
            }),
            work: Condvar::new(),
            done: Condvar::new(),
        });
        let mut pool = Self {
            shared,
            threads: Vec::with_capacity(workers),
        };
        for worker in 0..workers {
            let shared = Arc::clone(&pool.shared);
            let thread = std::thread::Builder::new().name(format!("firecraft-loader-{worker}"));
            // On an error the pool is dropped, which joins those that started.
            let handle = thread
                .spawn(move || shared.work())
                .map_err(|source| DataError::Spawn { worker, source })?;
            pool.threads.push(handle);
        }
        Ok(pool)
    }

    /// Starts the batches of `plan` from `first` on; returns the run's number.
    pub(super) fn begin(&self, plan: Arc<EpochPlan>, first: usize) -> u64 {
        let mut state = lock(&self.shared.state);
        let run = state.next_run;
        state.next_run += 1;
        let cancelled = Arc::new(AtomicBool::new(false));
        state.runs.insert(
            run,
            Run {
                plan,
                cancelled,
                claimed: first,
                taken: first,
                ready: BTreeMap::new(),
            },
        );
        self.shared.work.notify_all();
        run
    }

    /// Waits for the next batch of a run; `None` after the last.
    pub(super) fn next(&self, run: u64) -> Option<Made<B>> {
        let mut state = lock(&self.shared.state);
        loop {
            let current = state.runs.get_mut(&run)?;
            if current.taken >= current.plan.batches() {
                return None;
            }
            let next = current.taken;
            if let Some(made) = current.ready.remove(&next) {
                current.taken += 1;
                self.shared.work.notify_one();
                return Some(made);
            }
            state = wait(&self.shared.done, state);
        }
    }

    /// Forgets a run; batches in work are thrown away.
    pub(super) fn end(&self, run: u64) {
        let finished = lock(&self.shared.state).runs.remove(&run);
        if let Some(run) = finished {
            run.cancelled.store(true, Ordering::Relaxed);
        }
    }
}

impl<B> Drop for Pool<B> {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.shared.state);
            state.stopping = true;
            for run in state.runs.values() {
                run.cancelled.store(true, Ordering::Relaxed);
            }
        }
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // Workers don't panic; if one did, there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

impl<B> Shared<B> {
    fn work(&self) {
        let mut state = lock(&self.state);
        while !state.stopping {
            let Some((id, batch)) = self.claim(&mut state) else {
                state = wait(&self.work, state);
                continue;
            };
            let (plan, cancelled) = match state.runs.get(&id) {
                Some(run) => (Arc::clone(&run.plan), Arc::clone(&run.cancelled)),
                None => continue,
            };
            drop(state);
            let made = self.pipeline.produce(&plan, batch, &cancelled);
            state = lock(&self.state);
            // The batch is dropped outside the lock if its epoch has ended.
            if let Some(run) = state.runs.get_mut(&id) {
                run.ready.insert(batch, made);
                self.done.notify_all();
            } else {
                drop(state);
                drop(made);
                state = lock(&self.state);
            }
        }
    }

    /// The oldest epoch that has room for another batch.
    fn claim(&self, state: &mut State<B>) -> Option<(u64, usize)> {
        let (id, run) = state.runs.iter_mut().find(|(_, run)| {
            run.claimed < run.plan.batches() && run.claimed - run.taken < self.prefetch
        })?;
        run.claimed += 1;
        Some((*id, run.claimed - 1))
    }
}

fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condition
        .wait(guard)
        .unwrap_or_else(PoisonError::into_inner)
}
