//! The running supervisor: one task that hears exits, decides, starts and stops.

use crate::{Event, EventKind, Finished, Policy, Restart, ShutdownReport, Spec, Strategy};
use ipfrs_actor::{CellControl, ChildState, ExitReason, Exited, Fault, Lane, Vitals};
use ipfrs_resilience::Window;
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

/// A child as the supervisor sees it.
pub(crate) trait Managed: Send + Sync {
    fn spec(&self) -> &Spec;
    fn vitals(&self) -> &Arc<Vitals>;
    fn inject(&self, fault: Fault);
    fn place<'a>(&'a mut self, lane: &'a Lane) -> Pin<Box<dyn Future<Output = Option<CellControl>> + Send + 'a>>;
}

pub(crate) enum Control {
    Restart { index: usize, done: oneshot::Sender<()> },
    Shutdown { deadline: Duration, done: oneshot::Sender<ShutdownReport> },
}

/// What the supervisor remembers of one child.
struct Record {
    failures: Window,
    streak: u32,
    up_since: Instant,
    /// Set while a delayed restart is pending.
    due: bool,
}

pub(crate) struct Run {
    policy: Policy,
    kids: Arc<[Box<dyn Managed>]>,
    controls: Vec<CellControl>,
    records: Vec<Record>,
    events: broadcast::Sender<Event>,
    finished: watch::Sender<Option<Finished>>,
    last_exits: Arc<parking_lot::Mutex<Vec<Option<String>>>>,
    exits: mpsc::Sender<Exited>,
    exited: mpsc::Receiver<Exited>,
    due: mpsc::Sender<usize>,
    due_now: mpsc::Receiver<usize>,
    seq: u64,
    epoch: Instant,
}

impl Run {
    pub(crate) fn new(
        policy: Policy,
        kids: Arc<[Box<dyn Managed>]>,
        controls: Vec<CellControl>,
        events: broadcast::Sender<Event>,
        finished: watch::Sender<Option<Finished>>,
        last_exits: Arc<parking_lot::Mutex<Vec<Option<String>>>>,
    ) -> Self {
        // Twice the children: a child has at most one report and one delayed restart outstanding.
        let bound = kids.len().max(1) * 2;
        let (exits, exited) = mpsc::channel(bound);
        let (due, due_now) = mpsc::channel(bound);
        let now = Instant::now();
        let record = || Record {
            failures: Window::new(policy.max_restarts, policy.window),
            streak: 0,
            up_since: now,
            due: false,
        };
        let records = kids.iter().map(|_| record()).collect();
        Run {
            policy,
            kids,
            controls,
            records,
            events,
            finished,
            last_exits,
            exits,
            exited,
            due,
            due_now,
            seq: 0,
            epoch: now,
        }
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Control>) {
        // The lane is this tree's alone.
        ipfrs_actor::enter_node(self.kids.first().and_then(|kid| kid.spec().child.node.clone()));
        for index in 0..self.kids.len() {
            self.start(index).await;
        }
        let ended = loop {
            tokio::select! {
                biased;
                request = inbox.recv() => match request {
                    Some(Control::Restart { index, done }) => {
                        self.restart(index).await;
                        let _ = done.send(());
                    }
                    Some(Control::Shutdown { deadline, done }) => {
                        let report = self.stop_all(deadline).await;
                        self.finished.send_replace(Some(Finished::Stopped));
                        let _ = done.send(report);
                        return;
                    }
                    None => break Finished::Stopped,
                },
                Some(exited) = self.exited.recv() => {
                    if let Some(reason) = self.on_exit(exited).await {
                        break Finished::GaveUp { reason };
                    }
                }
                Some(index) = self.due_now.recv() => {
                    if std::mem::take(&mut self.records[index].due) {
                        self.start_again(index).await;
                    }
                }
            }
        };
        let limit = self.kids.iter().map(|k| k.spec().shutdown).sum();
        self.stop_all(limit).await;
        self.finished.send_replace(Some(ended));
    }

    /// Decides what follows an exit. `Some(reason)` when the root gives up.
    async fn on_exit(&mut self, exited: Exited) -> Option<String> {
        let index = exited.index;
        let name = self.kids[index].spec().child.name;
        let failed = !matches!(exited.reason, ExitReason::Normal);
        let sentence = exited.reason.to_string();
        self.last_exits.lock()[index] = Some(sentence.clone());
        let panic = exited.reason.panic();
        if failed {
            tracing::error!(target: "supervisor", actor = name, incarnation = exited.incarnation, "{sentence}");
            ipfrs_actor::counter!("ipfrs_supervisor_panics_total", "actor" => name).increment(1);
        }
        self.emit(
            index,
            EventKind::Exited {
                reason: sentence.clone(),
                message_type: panic.map(|p| p.handling),
                span: panic.and_then(|p| p.span),
                backtrace: panic.map(|p| p.backtrace.to_string()),
            },
        );
        let again = match self.kids[index].spec().restart {
            Restart::Permanent => true,
            Restart::Transient => failed,
            Restart::Temporary => false,
        };
        if !again {
            self.kids[index].vitals().set_state(ChildState::Stopped);
            self.emit(index, EventKind::Stopped);
            return None;
        }
        let now = Instant::now();
        let record = &mut self.records[index];
        if now.duration_since(record.up_since) > self.policy.reset_after {
            record.streak = 0;
        }
        if !record.failures.hit(now.into_std()) {
            self.emit(index, EventKind::GaveUp);
            let (most, window) = (self.policy.max_restarts, self.policy.window);
            return Some(format!("actor {name} failed more than {most} times in {window:?}, last: {sentence}"));
        }
        let delay = self.policy.backoff.delay(record.streak, &mut rand::rng());
        record.streak = record.streak.saturating_add(1);
        if delay.is_zero() {
            self.start_again(index).await;
        } else {
            record.due = true;
            self.emit(index, EventKind::RestartScheduled { delay_ms: delay.as_millis() as u64 });
            let due = self.due.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(delay).await;
                let _ = due.send(index).await;
            });
        }
        None
    }

    /// Starts a failed child and, with rest-for-one, everything declared after it.
    async fn start_again(&mut self, index: usize) {
        ipfrs_actor::counter!("ipfrs_supervisor_restarts_total", "actor" => self.kids[index].spec().child.name)
            .increment(1);
        let rest = match self.policy.strategy {
            Strategy::OneForOne => index + 1..index + 1,
            Strategy::RestForOne => index + 1..self.kids.len(),
        };
        for other in rest.clone().rev() {
            self.halt(other).await;
        }
        self.start(index).await;
        for other in rest {
            if self.kids[other].vitals().state() != ChildState::Stopped && !self.records[other].due {
                self.start(other).await;
            }
        }
    }

    async fn restart(&mut self, index: usize) {
        if self.halt(index).await {
            self.records[index].due = false;
            self.start_again(index).await;
        }
    }

    async fn start(&mut self, index: usize) {
        let Ok(permit) = self.exits.clone().reserve_owned().await else { return };
        if self.controls[index].start(index, permit).await {
            self.records[index].up_since = Instant::now();
            self.emit(index, EventKind::Started);
        }
    }

    /// Stops a child; `false` when it did not stop within its limit.
    async fn halt(&mut self, index: usize) -> bool {
        let kid = &self.kids[index];
        let stopped = self.controls[index].halt().await;
        let in_time = timeout(kid.spec().shutdown, stopped).await.is_ok();
        self.emit(index, if in_time { EventKind::Stopped } else { EventKind::Abandoned });
        in_time
    }

    async fn stop_all(&mut self, deadline: Duration) -> ShutdownReport {
        let begun = Instant::now();
        let mut report = ShutdownReport::default();
        for index in (0..self.kids.len()).rev() {
            let left = deadline.saturating_sub(begun.elapsed());
            if !timeout(left, self.halt(index)).await.unwrap_or(false) {
                report.abandoned.push(self.kids[index].spec().child.name.to_owned());
            }
            self.kids[index].vitals().set_state(ChildState::Stopped);
        }
        report.took = begun.elapsed();
        report
    }

    fn emit(&mut self, index: usize, kind: EventKind) {
        self.seq += 1;
        let vitals = self.kids[index].vitals();
        let event = Event {
            seq: self.seq,
            at: self.epoch.elapsed().as_secs_f64(),
            child: vitals.name().to_owned(),
            incarnation: vitals.incarnation(),
            kind,
        };
        let _ = self.events.send(event);
    }
}
