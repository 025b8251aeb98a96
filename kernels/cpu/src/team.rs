//! A persistent team of threads that runs one job at a time, with barriers inside the job.
//!
//! The caller is thread 0 and works along. Between jobs the others spin for a moment, then give way to other programs,
//! then sleep, so a token costs no system call and an idle model costs no processor.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::hint;
use std::num::NonZero;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use silhak_ops::Error;

/// Most threads of a team: more than any machine has cores.
pub const MOST_THREADS: usize = 4096;

/// Threads that run jobs together.
pub struct Team {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Team {
    /// Starts `n_threads - 1` workers; the thread that calls [`Team::run`] is the first of the team.
    ///
    /// # Errors
    /// [`Error::Backend`] if there are more than [`MOST_THREADS`], or the system refuses one.
    pub fn new(n_threads: NonZero<usize>) -> Result<Self, Error> {
        if n_threads.get() > MOST_THREADS {
            return Err(backend_error(format!("expected at most {MOST_THREADS} threads, found {n_threads}")));
        }
        let lanes = (0..n_threads.get()).map(|_| Lane::default()).collect();
        let mut team = Team { shared: Arc::new(Shared::new(lanes)), workers: Vec::new() };
        for index in 1..n_threads.get() {
            let shared = Arc::clone(&team.shared);
            let name = format!("silhak-{index}");
            let worker = thread::Builder::new().name(name).spawn(move || work(&shared, index)).map_err(|error| {
                backend_error(format!("cannot start thread {index} of {n_threads} ({error}); try `--threads {index}`"))
            })?;
            team.workers.push(worker);
        }
        Ok(team)
    }

    /// How many threads run a job, the caller included.
    pub fn n_threads(&self) -> usize {
        self.shared.lanes.len()
    }

    /// Runs `job` once on every thread, and returns when all have finished.
    ///
    /// # Errors
    /// The error of the thread that failed first; a panic counts as a failure. The team can be used again.
    pub fn run(&mut self, job: impl Fn(&Member) -> Result<(), Error> + Sync) -> Result<(), Error> {
        let shared = &*self.shared;
        shared.begin();
        let job: &Job<'_> = &job;
        // SAFETY: the lifetime ends here for the compiler only. Workers call the job between seeing its number and
        // reporting it finished, and `run` returns, on every path, after all of them have reported.
        let endless: &'static Job<'static> = unsafe { std::mem::transmute::<&Job<'_>, &'static Job<'static>>(job) };
        // SAFETY: all workers have reported the last job, so nobody reads the cell until the next number is out.
        unsafe { *shared.job.get() = Some(endless) };
        let number = shared.job_number.0.load(Ordering::Relaxed) + 1;
        shared.job_number.0.store(number, Ordering::SeqCst);
        for (worker, lane) in self.workers.iter().zip(&shared.lanes[1..]) {
            if lane.parked.load(Ordering::SeqCst) {
                worker.thread().unpark();
            }
        }
        shared.call(job, 0);
        for lane in &shared.lanes[1..] {
            wait(|| lane.finished.load(Ordering::Acquire) == number);
        }
        shared.take_error().map_or(Ok(()), Err)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // A worker catches the panics of its jobs, and there is nobody left to tell of any other.
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for Team {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Team").field("n_threads", &self.n_threads()).finish_non_exhaustive()
    }
}

/// One thread's part in a job.
pub struct Member<'a> {
    shared: &'a Shared,
    index: usize,
    /// Barriers of this job that the thread has come to.
    n_barriers: Cell<usize>,
}

impl Member<'_> {
    /// The thread's number, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// How many threads run the job.
    pub fn n_threads(&self) -> usize {
        self.shared.lanes.len()
    }

    /// The thread's equal share of `n` things, cut at multiples of `unit`.
    pub fn share(&self, n: usize, unit: usize) -> Range<usize> {
        let n_units = n.div_ceil(unit);
        let cut = |i: usize| (n_units * i / self.n_threads() * unit).min(n);
        cut(self.index)..cut(self.index + 1)
    }

    /// Waits until every thread of the team has come here. What any of them wrote before is seen by all after.
    ///
    /// # Errors
    /// If another thread failed and will not come; return from the job.
    pub fn barrier(&self) -> Result<(), Error> {
        let Shared { lanes, opened, failed, .. } = self.shared;
        let n = self.n_barriers.get() + 1;
        self.n_barriers.set(n);
        let failed = || failed.load(Ordering::Relaxed);
        if self.index == 0 {
            for lane in &lanes[1..] {
                wait(|| lane.arrived.load(Ordering::Acquire) >= n || failed());
            }
            opened.0.store(n, Ordering::Release);
        } else {
            lanes[self.index].arrived.store(n, Ordering::Release);
            wait(|| opened.0.load(Ordering::Acquire) >= n || failed());
        }
        if failed() { Err(backend_error("another thread of the team failed".into())) } else { Ok(()) }
    }
}

/// The number of threads to use: physical cores that this process may run on, and no more than its container's quota.
///
/// Two threads on one core share its vector units and caches, and a matmul that is bound by memory gains nothing from
/// the second.
pub fn default_threads() -> NonZero<usize> {
    let allowed = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    physical_cores().map_or(allowed, |cores| cores.min(allowed))
}

type Job<'a> = dyn Fn(&Member) -> Result<(), Error> + Sync + 'a;

/// Two cache lines, since processors fetch them in pairs: a word that one thread writes never slows its neighbours.
#[derive(Default)]
#[repr(align(128))]
struct Line<T>(T);

/// What one thread tells the others.
#[derive(Default)]
#[repr(align(128))]
struct Lane {
    /// Barriers of the current job that the thread has come to.
    arrived: AtomicUsize,
    /// The last job that it has finished.
    finished: AtomicUsize,
    /// It sleeps, or is about to.
    parked: AtomicBool,
}

struct Shared {
    lanes: Box<[Lane]>,
    job: UnsafeCell<Option<&'static Job<'static>>>,
    /// Counts the jobs. A worker that sees a new number runs the job.
    job_number: Line<AtomicUsize>,
    /// Barriers of the current job that all have come to.
    opened: Line<AtomicUsize>,
    /// A thread failed in the current job.
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
    /// The team is being dropped.
    closing: AtomicBool,
}

// SAFETY: only `job` is not `Sync` by itself. It is written between jobs, when no worker reads it, and published by the
// job's number; the job itself is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the job may be called from any thread.
unsafe impl Send for Shared {}

impl Shared {
    fn new(lanes: Box<[Lane]>) -> Self {
        Shared {
            lanes,
            job: UnsafeCell::new(None),
            job_number: Line::default(),
            opened: Line::default(),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
            closing: AtomicBool::new(false),
        }
    }

    /// Forgets the last job's barriers and failures; nobody looks at them between jobs.
    fn begin(&self) {
        self.opened.0.store(0, Ordering::Relaxed);
        self.lanes.iter().for_each(|lane| lane.arrived.store(0, Ordering::Relaxed));
        self.failed.store(false, Ordering::Relaxed);
        self.take_error();
    }

    fn call(&self, job: &Job<'_>, index: usize) {
        let member = Member { shared: self, index, n_barriers: Cell::new(0) };
        // What a job leaves half done is of no use to anybody, but nothing relies on it either: the next batch writes
        // every value before it reads it.
        let result = panic::catch_unwind(AssertUnwindSafe(|| job(&member)));
        let result = result.unwrap_or_else(|panic| Err(backend_error(panic_message(&*panic))));
        if let Err(error) = result {
            // Who fails first is the cause; the others fail because a barrier told them.
            self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.failed.store(true, Ordering::Relaxed);
        }
    }

    fn take_error(&self) -> Option<Error> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The life of a worker.
fn work(shared: &Shared, index: usize) {
    let lane = &shared.lanes[index];
    let mut last = 0;
    loop {
        let due = || shared.job_number.0.load(Ordering::SeqCst) != last || shared.closing.load(Ordering::SeqCst);
        wait_asleep(due, &lane.parked);
        if shared.closing.load(Ordering::SeqCst) {
            return;
        }
        last = shared.job_number.0.load(Ordering::SeqCst);
        // SAFETY: the number was published after the job was written, and the job is not written again before this
        // worker reports it finished.
        if let Some(job) = unsafe { *shared.job.get() } {
            shared.call(job, index);
        }
        lane.finished.store(last, Ordering::Release);
    }
}

/// Spins while the wait is short, then lets other programs run.
fn wait(ready: impl Fn() -> bool) {
    while !spin(&ready) {
        thread::yield_now();
    }
}

/// Spins, then lets other programs run, then sleeps until unparked.
fn wait_asleep(ready: impl Fn() -> bool, parked: &AtomicBool) {
    if spin(&ready) {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < AWAKE {
        if ready() {
            return;
        }
        thread::yield_now();
    }
    // The flag goes up before the last look, and the caller looks at it after it has published: one of the two sees the
    // other (both are sequentially consistent), so no job is slept through.
    parked.store(true, Ordering::SeqCst);
    while !ready() {
        thread::park();
    }
    parked.store(false, Ordering::SeqCst);
}

fn spin(ready: impl Fn() -> bool) -> bool {
    (0..SPINS).any(|_| {
        let done = ready();
        if !done {
            hint::spin_loop();
        }
        done
    })
}

fn backend_error(message: String) -> Error {
    Error::Backend { backend: "cpu".into(), message }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
    format!("a thread panicked ({}); this is a fault of Silhak, please report it", text.unwrap_or("no message"))
}

/// Cores that the process may run on, with the hardware threads of one core counted once. Linux only.
fn physical_cores() -> Option<NonZero<usize>> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let allowed = parse_cpu_list(status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?)?;
    let siblings = |cpu: usize| {
        let list =
            fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")).ok()?;
        parse_cpu_list(&list)
    };
    let cores: BTreeSet<Vec<usize>> = allowed.into_iter().map(|cpu| siblings(cpu).unwrap_or(vec![cpu])).collect();
    NonZero::new(cores.len())
}

/// Reads the kernel's lists of processors: `0-3,8,10-11`.
fn parse_cpu_list(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(cpus)
}

/// Looks before giving way: some tens of microseconds, longer than the steps of a layer are apart.
const SPINS: usize = 2000;

/// How long an idle worker stays awake: longer than it takes to choose the next token.
const AWAKE: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn team(n: usize) -> Team {
        Team::new(NonZero::new(n).unwrap()).unwrap()
    }

    #[test]
    fn every_thread_runs_every_job_once() {
        for n in 1..=5 {
            let mut team = team(n);
            for pause in [Duration::ZERO, 3 * AWAKE] {
                for _ in 0..3 {
                    let ran: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
                    team.run(|member| {
                        ran[member.index()].fetch_add(1, Ordering::Relaxed);
                        Ok(())
                    })
                    .unwrap();
                    assert!(ran.iter().all(|count| count.load(Ordering::Relaxed) == 1));
                    thread::sleep(pause);
                }
            }
        }
    }

    #[test]
    fn a_barrier_shows_what_the_others_wrote() {
        for n in 1..=4 {
            let cells: Vec<AtomicUsize> = (0..n).map(|_| AtomicUsize::new(0)).collect();
            team(n)
                .run(|member| {
                    for round in 1..=2000 {
                        cells[member.index()].store(round, Ordering::Relaxed);
                        member.barrier()?;
                        assert!(cells.iter().all(|cell| cell.load(Ordering::Relaxed) == round));
                        member.barrier()?;
                    }
                    Ok(())
                })
                .unwrap();
        }
    }

    #[test]
    fn a_panic_or_an_error_ends_the_job_for_all_and_the_team_lives_on() {
        let mut team = team(3);
        for guilty in 0..3 {
            let error = team
                .run(|member| {
                    member.barrier()?;
                    assert!(member.index() != guilty, "thread {guilty} broke");
                    member.barrier()
                })
                .unwrap_err();
            assert!(error.to_string().contains(&format!("thread {guilty} broke")), "{error}");
            let error = team
                .run(|member| {
                    if member.index() == guilty {
                        return Err(Error::Batch("wrong".into()));
                    }
                    member.barrier()
                })
                .unwrap_err();
            assert!(matches!(error, Error::Batch(_)), "{error}");
            team.run(|member| member.barrier()).unwrap();
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        for n_threads in 1..=5 {
            for (n, unit) in [(0, 1), (1, 8), (100, 8), (7, 1), (256, 32)] {
                let shares = Mutex::new(vec![0..0; n_threads]);
                team(n_threads)
                    .run(|member| {
                        shares.lock().unwrap()[member.index()] = member.share(n, unit);
                        Ok(())
                    })
                    .unwrap();
                let shares = shares.into_inner().unwrap();
                assert!(shares.iter().all(|s| s.start.is_multiple_of(unit) || s.is_empty()));
                assert_eq!(shares.into_iter().flatten().collect::<Vec<_>>(), (0..n).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn too_many_threads_are_refused() {
        let error = Team::new(NonZero::<usize>::MAX).unwrap_err().to_string();
        assert!(error.contains("4096"), "{error}");
    }

    #[test]
    fn cpu_lists_parse() {
        assert_eq!(parse_cpu_list(" 0-2,8,10-11\n"), Some(vec![0, 1, 2, 8, 10, 11]));
        assert_eq!(parse_cpu_list("x"), None);
        assert!(default_threads() <= thread::available_parallelism().unwrap());
    }
}
