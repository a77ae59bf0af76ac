//! Lanes: threads with a `LocalSet` on which actors run. No `actix::System`, so many nodes fit one process.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

type Job = Box<dyn FnOnce() + Send>;

/// Jobs waiting for a lane: placing an actor is one job, so this bounds actors placed at the same moment.
const JOBS: usize = 64;

/// A thread that runs actors. It ends when every clone of its handle and every actor on it is gone.
#[derive(Clone)]
pub struct Lane(mpsc::Sender<Job>);

impl Lane {
    /// Starts a lane thread called `name`.
    pub fn new(name: &str) -> std::io::Result<Lane> {
        let (tx, mut rx) = mpsc::channel::<Job>(JOBS);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name(name.chars().take(15).collect()).spawn(move || {
            let local = LocalSet::new();
            local.block_on(&runtime, async move {
                while let Some(job) = rx.recv().await {
                    job();
                }
            });
            // Nobody places actors here any more; those that live are run to their end.
            runtime.block_on(local);
        })?;
        Ok(Lane(tx))
    }

    /// Runs a job on the lane's thread, inside its `LocalSet`. `false` when the thread is gone.
    pub async fn run(&self, job: impl FnOnce() + Send + 'static) -> bool {
        self.0.send(Box::new(job)).await.is_ok()
    }
}

/// How actors are spread over lanes.
#[derive(Clone)]
pub enum Lanes {
    /// A thread of its own for each actor: one blocked handler stops nobody else. For daemons.
    PerActor,
    /// Actors share these lanes in turn. For many small nodes in one process.
    Shared(Arc<[Lane]>, Arc<AtomicUsize>),
}

impl Lanes {
    /// `count` shared lanes.
    pub fn shared(count: usize) -> std::io::Result<Lanes> {
        let lanes = (0..count.max(1)).map(|n| Lane::new(&format!("lane-{n}"))).collect::<Result<Vec<_>, _>>()?;
        Ok(Lanes::Shared(lanes.into(), Arc::default()))
    }

    /// The shared lanes of this process, one for each core, started at the first call.
    pub fn process_wide() -> std::io::Result<Lanes> {
        static LANES: parking_lot::Mutex<Option<Lanes>> = parking_lot::Mutex::new(None);
        let mut lanes = LANES.lock();
        if let Some(lanes) = &*lanes {
            return Ok(lanes.clone());
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(lanes.insert(Lanes::shared(cores)?).clone())
    }

    /// The lane for the next actor.
    pub fn lane_for(&self, name: &str) -> std::io::Result<Lane> {
        match self {
            Lanes::PerActor => Lane::new(name),
            Lanes::Shared(lanes, next) => Ok(lanes[next.fetch_add(1, Ordering::Relaxed) % lanes.len()].clone()),
        }
    }
}
