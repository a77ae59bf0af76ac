//! Every metric of the node with what it means. A metric that is not listed here has no description on the page.

use metrics::{describe_counter, describe_gauge, describe_histogram};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// How it behaves.
    pub kind: Kind,
    /// `ipfrs_<subsystem>_<what>`, counters end in `_total`.
    pub name: &'static str,
    /// What it counts and how to read it.
    pub help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric { kind: Kind::Counter, name, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { kind: Kind::Gauge, name, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Metric {
    Metric { kind: Kind::Histogram, name, help }
}

/// Every metric, by subsystem.
pub const METRICS: &[Metric] = &[
    counter("ipfrs_actor_cast_refused_total", "Messages sent without a reply that a full mailbox refused, by actor."),
    counter("ipfrs_topic_missed_total", "Events a slow subscriber missed before it took a snapshot, by topic."),
    counter("ipfrs_supervisor_panics_total", "Panics caught in actors, by actor."),
    counter("ipfrs_supervisor_restarts_total", "Actors started again after an exit, by actor."),
    counter("ipfrs_swarm_connection_panics_total", "Panics caught in tasks of connections and transports."),
    counter("ipfrs_swarm_driver_panics_total", "Panics caught in the network driver; each cost all connections."),
    counter("ipfrs_swarm_inbound_refused_total", "Inbound connections refused by limits, bans or failed handshakes."),
    counter("ipfrs_swarm_streams_refused_total", "Inbound streams reset because nobody took them in time."),
    gauge("ipfrs_swarm_tasks", "Tasks alive on the network runtime: connections, streams, listeners."),
    gauge("ipfrs_peerstore_peers", "Peers known."),
    counter("ipfrs_peerstore_writes_total", "Transactions written to the peer database."),
    counter(
        "ipfrs_peerstore_write_failures_total",
        "Transactions the peer database refused; what they held is tried again.",
    ),
    counter("ipfrs_peerstore_pruned_total", "Peers forgotten, because they were stale or for want of room."),
    counter("ipfrs_peerstore_dials_total", "Dials the peer store asked for, by reason and result."),
    gauge("ipfrs_dht_provided", "Multihashes this node announces."),
    counter("ipfrs_dht_provides_total", "Announcements that ran, by result."),
    counter("ipfrs_dht_lookups_total", "Lookups that ran, by kind and result."),
    histogram("ipfrs_dht_lookup_duration_seconds", "Time a lookup ran, by kind."),
    counter("ipfrs_dht_lookups_shared_total", "Callers that joined a lookup which was already running."),
    counter("ipfrs_dht_records_refused_total", "Records refused because they are not valid."),
    counter("ipfrs_exchange_blocks_received_total", "Blocks received that were wanted."),
    counter("ipfrs_exchange_bytes_received_total", "Bytes of wanted blocks received."),
    counter("ipfrs_exchange_duplicate_blocks_total", "Blocks received that nobody wanted any more."),
    counter("ipfrs_exchange_blocks_sent_total", "Blocks sent to peers."),
    counter("ipfrs_exchange_bytes_sent_total", "Bytes of blocks sent to peers."),
    counter("ipfrs_exchange_searches_total", "Searches for providers of a wanted block."),
    counter("ipfrs_exchange_silent_peers_total", "Times a peer was passed over because it sent nothing."),
    counter("ipfrs_exchange_bad_streams_total", "Inbound streams that broke or carried garbage."),
    counter("ipfrs_exchange_streams_refused_total", "Inbound streams refused because a peer had opened too many."),
    counter(
        "ipfrs_exchange_requests_dropped_total",
        "Requests of peers dropped because too many waited; they ask again.",
    ),
    counter("ipfrs_exchange_wants_dropped_total", "Wants dropped because a peer could not be told; others are asked."),
    counter(
        "ipfrs_exchange_news_dropped_total",
        "News of blocks that a reader did not take; it finds them in the store.",
    ),
    counter("ipfrs_blocks_set_aside_total", "Damaged blocks that were set aside."),
];

/// Tells the installed recorder what each metric means.
pub(crate) fn describe() {
    for metric in METRICS {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_follow_the_rule_and_are_unique() {
        let names: HashSet<_> = METRICS.iter().map(|m| m.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for metric in METRICS {
            assert!(metric.name.starts_with("ipfrs_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        }
    }
}
