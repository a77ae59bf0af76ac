//! The command line as a whole; the arguments of a command stand in its own file.

use clap::{Parser, Subcommand, ValueEnum};
use ipfrs_contract::Multiaddr;
use std::time::Duration;

/// An IPFS node over libp2p: daemon and client.
#[derive(Debug, Parser)]
#[command(name = "ipfrs", version)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// How answers are printed
    #[arg(long, global = true, value_enum, value_name = "ENCODING", default_value = "text")]
    pub(crate) enc: Enc,
    /// Give up after this, such as 30s or 1m30s
    #[arg(long, global = true, value_name = "DURATION", value_parser = ipfrs_api::parse_duration)]
    pub(crate) timeout: Option<Duration>,
    /// API of the daemon to call; for `daemon` where its API listens
    #[arg(long, global = true, value_name = "MULTIADDR")]
    pub(crate) api: Option<Multiaddr>,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Enc {
    /// The daemon's objects, one a line
    Json,
    /// For people
    Text,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a repo: identity, configuration, free ports
    Init(crate::init::InitArgs),
    /// Run a node in the repo
    Daemon(crate::daemon::DaemonArgs),
    /// Show who this node or a peer is
    Id(crate::id::IdArgs),
    /// Connections and addresses
    #[command(subcommand)]
    Swarm(crate::swarm::SwarmCommand),
    /// Measure round trips to a peer
    Ping(crate::ping::PingArgs),
    /// Find and announce content and peers
    Routing(crate::routing::RoutingArgs),
    /// Add files and directories
    Add(crate::add::AddArgs),
    /// Print files
    Cat(crate::cat::CatArgs),
    /// Fetch a file or directory into a local one
    Get(crate::get::GetArgs),
    /// List directories
    Ls(crate::ls::LsArgs),
    /// Single blocks
    #[command(subcommand)]
    Block(crate::block::BlockCommand),
    /// The supervision tree of the daemon
    #[command(subcommand)]
    Actors(crate::actors::ActorsCommand),
    /// The configuration of the repo
    #[command(subcommand)]
    Config(crate::config::ConfigCommand),
    /// Figures of the network
    #[command(subcommand)]
    Stats(crate::stats::StatsCommand),
    /// The block exchange
    #[command(subcommand)]
    Bitswap(crate::stats::BitswapCommand),
    /// Stop the daemon
    Shutdown,
    /// Show the version
    Version(crate::version::VersionArgs),
    /// Print a script that completes command lines in a shell
    Completions(crate::completions::CompletionsArgs),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_anywhere_and_bad_values_are_named() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        for line in ["ipfrs --timeout=2s cat X", "ipfrs cat --timeout 2s X"] {
            assert_eq!(parse(line).unwrap().global.timeout, Some(Duration::from_secs(2)), "{line}");
        }
        assert_eq!(parse("ipfrs id --enc=json").unwrap().global.enc, Enc::Json);
        for (line, named) in [
            ("ipfrs id --enc=nonsense", "nonsense"),
            ("ipfrs id --timeout=soon", "soon"),
            ("ipfrs id --api=/ip4/nowhere", "/ip4/nowhere"),
            ("ipfrs cat --no-such-flag X", "--no-such-flag"),
            ("ipfrs nonsense", "nonsense"),
            ("ipfrs daemon --preset iot", "--init"),
            ("ipfrs init --preset huge", "huge"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(named), "{line}: {error}");
        }
    }

    #[test]
    fn flags_are_written_as_for_kubo() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        for line in [
            "ipfrs daemon --no-mdns --chaos --api /ip4/127.0.0.1/tcp/0 --listen /ip4/127.0.0.1/tcp/0 --no-bootstrap",
            "ipfrs daemon --init --preset iot --listen /ip4/0.0.0.0/tcp/1 --listen /ip4/0.0.0.0/udp/1/quic-v1",
            "ipfrs add -r -Q --only-hash --cid-version=1 --raw-leaves folder",
            "ipfrs add -n -w -H -q --raw-leaves=false --progress=false --chunker=size-1024 -",
            "ipfrs cat -l 10 --offset 5 X Y",
            "ipfrs get -o out X",
            "ipfrs actors kill dht --how panic",
            "ipfrs routing findprovs -n 1 X",
            "ipfrs swarm addrs listen",
            "ipfrs swarm addrs",
            "ipfrs id -f <id>",
        ] {
            assert!(parse(line).is_ok(), "{line}: {:?}", parse(line).unwrap_err());
        }
    }
}
