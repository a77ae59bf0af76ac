//! Measures the node beside raw libp2p without actors: interleaved rounds in one run, medians and ratios.
//!
//! `cargo run --release -p ipfrs-bench -- [streams|memory|cat|all] [--rounds N]`. Both sides run their connections on one
//! current-thread runtime and their streams on that same thread; only loopback is used.
#![forbid(unsafe_code)]

mod files;
mod memory;
mod peer;
mod streams;
mod table;

use peer::Kind;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        // A child process of a benchmark: serves until its standard input closes.
        Some("serve") => {
            let kind = Kind::from_name(args.get(1).map_or("", String::as_str));
            peer::serve(kind.expect("serve raw|node"));
        }
        Some("dial") => {
            let kind = Kind::from_name(args.get(1).map_or("", String::as_str));
            let count = args.get(3).and_then(|n| n.parse().ok()).unwrap_or(1);
            memory::dial_many(kind.expect("dial raw|node ADDR COUNT"), args.get(2).map_or("", String::as_str), count);
        }
        what => {
            let rounds =
                args.iter().position(|a| a == "--rounds").and_then(|n| args.get(n + 1)?.parse().ok()).unwrap_or(5);
            let what = what.filter(|w| !w.starts_with("--")).unwrap_or("all");
            let all = what == "all";
            if !all && !["streams", "memory", "cat"].contains(&what) {
                eprintln!("unknown benchmark {what:?}; there are: streams, memory, cat, all");
                std::process::exit(2);
            }
            if all || what == "streams" {
                streams::run(rounds);
            }
            if all || what == "memory" {
                memory::run();
            }
            if all || what == "cat" {
                files::run(rounds.min(3));
            }
        }
    }
}
