//! A small pool of threads for parallel loops of a few microseconds and more.
//!
//! The calling thread works too. Each thread has a range of neighbouring tasks of its own, the same in every loop of
//! the same length, so that what one layer left in a core's cache is there for the next. A thread that is through with
//! its range takes tasks of the others', so one that the operating system takes away for a while does not hold them up.
//! A worker that is asleep when a loop starts may come too late: the caller closes the loop when all tasks are taken and
//! waits only for the workers that joined.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::KernelError;

/// How often a worker looks for a new loop before it sleeps: about 0.1 ms.
const SPINS: u32 = 3000;

/// Low bits of `state`: workers that joined. Then the bit that says whether the loop is open. Above: its number.
const JOINED: u64 = 0xffff;
const OPEN: u64 = 1 << 16;
const NUMBER: u64 = 1 << 17;

type Body = dyn Fn(usize, usize) + Sync;

/// A pool of threads that runs one parallel loop at a time.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held while a loop runs, so that callers on several threads take turns.
    turn: Mutex<()>,
}

#[derive(Debug)]
struct Shared {
    state: AtomicU64,
    /// The next task of each thread's range.
    next: Vec<Counter>,
    job: Mutex<Job>,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

/// A counter in a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Counter(AtomicUsize);

/// First task of the range of thread `worker` of `threads`; that of `worker + 1` is one past its last.
fn range_start(n_tasks: usize, threads: usize, worker: usize) -> usize {
    // n_tasks * worker / threads without overflow.
    n_tasks / threads * worker + n_tasks % threads * worker / threads
}

#[derive(Clone, Copy)]
struct Job {
    body: Option<&'static Body>,
    n_tasks: usize,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("n_tasks", &self.n_tasks).finish_non_exhaustive()
    }
}

/// A poisoned lock only says that a task panicked, which is reported on its own.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A pool of `threads` threads, the calling one included.
    ///
    /// # Errors
    /// [`KernelError::NoThreads`] for 0, [`KernelError::Spawn`] when a thread cannot be started.
    pub fn new(threads: usize) -> Result<Self, KernelError> {
        if threads == 0 {
            return Err(KernelError::NoThreads);
        }
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            next: (0..threads).map(|_| Counter::default()).collect(),
            job: Mutex::new(Job { body: None, n_tasks: 0 }),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let mut pool = Self { shared, workers: Vec::new(), turn: Mutex::new(()) };
        for index in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let handle = std::thread::Builder::new()
                .name(format!("oculist-{index}"))
                .spawn(move || shared.work(index))
                .map_err(|error| KernelError::Spawn { index, reason: error.to_string() })?;
            pool.workers.push(handle);
        }
        Ok(pool)
    }

    /// Number of threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `body(task, worker)` once for every task in `0..n_tasks`, in no fixed order; `worker` is below
    /// [`Pool::threads`] and no two tasks run under one worker number at a time.
    ///
    /// # Panics
    /// When a task panics, after all others have ended. A loop started from inside a task would wait for itself.
    pub fn run(&self, n_tasks: usize, body: &(dyn Fn(usize, usize) + Sync)) {
        if n_tasks == 0 {
            return;
        }
        let turn = lock(&self.turn);
        if self.workers.is_empty() || n_tasks == 1 {
            for task in 0..n_tasks {
                body(task, 0);
            }
            return;
        }
        let shared = &*self.shared;
        // SAFETY: the reference is only used by workers that joined this loop, and this function does not
        // return or unwind before the loop is closed and all of them have left it.
        let body: &'static Body =
            unsafe { std::mem::transmute::<&(dyn Fn(usize, usize) + Sync), &'static Body>(body) };
        *lock(&shared.job) = Job { body: Some(body), n_tasks };
        for (worker, next) in shared.next.iter().enumerate() {
            next.0.store(range_start(n_tasks, shared.next.len(), worker), Ordering::Relaxed);
        }
        let number = (shared.state.load(Ordering::Relaxed) / NUMBER).wrapping_add(1);
        shared.state.store(number.wrapping_mul(NUMBER) | OPEN, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.sleep));
            shared.wake.notify_all();
        }
        shared.take_tasks(body, n_tasks, 0);
        shared.state.fetch_and(!OPEN, Ordering::SeqCst);
        let mut spins = 0;
        while shared.state.load(Ordering::Acquire) & JOINED != 0 {
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
        lock(&shared.job).body = None;
        let panic = lock(&shared.panic).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its tasks, so it ends normally.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Runs the tasks of the worker's own range, then what is left of the others'. A panic is kept for the caller and
    /// ends the loop early.
    fn take_tasks(&self, body: &Body, n_tasks: usize, worker: usize) {
        let threads = self.next.len();
        let result = catch_unwind(AssertUnwindSafe(|| {
            for i in 0..threads {
                let owner = (worker + i) % threads;
                let end = range_start(n_tasks, threads, owner + 1);
                let next = &self.next[owner].0;
                // Looked at before it is counted up, so that a finished range costs no write to another's cache line.
                while next.load(Ordering::Relaxed) < end {
                    let task = next.fetch_add(1, Ordering::Relaxed);
                    if task >= end {
                        break;
                    }
                    body(task, worker);
                }
            }
        }));
        if let Err(panic) = result {
            for (owner, next) in self.next.iter().enumerate() {
                next.0.store(range_start(n_tasks, threads, owner + 1), Ordering::Relaxed);
            }
            lock(&self.panic).get_or_insert(panic);
        }
    }

    /// The life of a worker: wait for a loop, join it if it is still open, take tasks, leave.
    fn work(&self, worker: usize) {
        let mut last = 0;
        loop {
            let state = self.wait(last);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            last = state / NUMBER;
            if self.join(last) {
                let job = *lock(&self.job);
                if let Some(body) = job.body {
                    self.take_tasks(body, job.n_tasks, worker);
                }
                self.state.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Enters loop `number`; false when it is closed already.
    fn join(&self, number: u64) -> bool {
        let mut state = self.state.load(Ordering::SeqCst);
        while state / NUMBER == number && state & OPEN != 0 {
            match self.state.compare_exchange_weak(state, state + 1, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Waits until a loop with a number other than `last` is open, or the pool stops.
    fn wait(&self, last: u64) -> u64 {
        let news = |state: u64| state & OPEN != 0 && state / NUMBER != last;
        for _ in 0..SPINS {
            let state = self.state.load(Ordering::SeqCst);
            if news(state) || self.stop.load(Ordering::Relaxed) {
                return state;
            }
            std::hint::spin_loop();
        }
        let mut guard = lock(&self.sleep);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        let state = loop {
            let state = self.state.load(Ordering::SeqCst);
            if news(state) || self.stop.load(Ordering::SeqCst) {
                break state;
            }
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for threads in [1, 2, 3] {
            let pool = Pool::new(threads).unwrap();
            for n in [0, 1, 2, 7, 1000] {
                let seen: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
                pool.run(n, &|task, worker| {
                    assert!(worker < threads);
                    seen[task].fetch_add(1, Ordering::Relaxed);
                });
                assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1), "{threads} threads, {n} tasks");
            }
        }
    }

    /// Few and short loops, for Miri.
    #[test]
    fn portable_loops() {
        let pool = Pool::new(3).unwrap();
        for n in [1, 2, 9] {
            let seen: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            pool.run(n, &|task, _| {
                seen[task].fetch_add(1, Ordering::Relaxed);
            });
            assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1), "{n} tasks");
        }
    }

    #[test]
    fn many_short_loops() {
        let pool = Pool::new(2).unwrap();
        let sum = AtomicUsize::new(0);
        for _ in 0..20_000 {
            pool.run(3, &|task, _| {
                sum.fetch_add(task, Ordering::Relaxed);
            });
        }
        assert_eq!(sum.into_inner(), 60_000);
    }

    #[test]
    fn wakes_after_sleep() {
        let pool = Pool::new(2).unwrap();
        for _ in 0..3 {
            std::thread::sleep(std::time::Duration::from_millis(5));
            let workers: Vec<AtomicUsize> = (0..2).map(|_| AtomicUsize::new(0)).collect();
            pool.run(8, &|_, worker| {
                workers[worker].fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(std::time::Duration::from_millis(1));
            });
            assert_eq!(workers.iter().map(|w| w.load(Ordering::Relaxed)).sum::<usize>(), 8);
        }
    }

    #[test]
    fn a_panicking_task_reaches_the_caller() {
        let pool = Pool::new(2).unwrap();
        let result =
            catch_unwind(AssertUnwindSafe(|| pool.run(64, &|task, _| assert!(task != 5, "task five"))));
        assert!(result.is_err());
        pool.run(4, &|_, _| {});
    }

    #[test]
    fn zero_threads_are_refused() {
        assert_eq!(Pool::new(0).err(), Some(KernelError::NoThreads));
    }
}
