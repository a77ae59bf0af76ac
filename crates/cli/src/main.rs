//! The binary `ipfrs`: a daemon, and a client of its API with the verbs, flags and exit codes of Kubo's command line.
#![forbid(unsafe_code)]

mod actors;
mod add;
mod answer;
mod args;
mod block;
mod cat;
mod client;
mod completions;
mod config;
mod daemon;
mod error;
mod get;
mod id;
mod init;
mod ls;
mod multipart;
mod output;
mod ping;
mod routing;
mod signals;
mod stats;
mod swarm;
mod unpack;
mod version;
mod walk;

use args::{Cli, Command, Global};
use clap::Parser;
use client::Client;
use error::CliError;
use signals::Signals;
use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// What the daemon may be late with its own report that a command ran into `--timeout`.
const LATE: Duration = Duration::from_secs(5);
/// What is left to do on other threads when a command ends: remove the pieces of a broken `get`. A read of standard
/// input would wait there for ever.
const LEFTOVERS: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => return CliError::System { what: "the runtime", cause }.report(),
    };
    let done = runtime.block_on(run(cli));
    runtime.shutdown_timeout(LEFTOVERS);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

/// Help and version go to standard output; wrong usage is an error like any other, with Kubo's exit code.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").map(|text| format!("Error: {text}")).unwrap_or(text);
    let _ = write!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}

async fn run(Cli { global, command }: Cli) -> Result<(), CliError> {
    let mut signals = Signals::listen()?;
    // The daemon ends in its own order, and when it is told to.
    let client = !matches!(command, Command::Daemon(_));
    tokio::select! {
        done = in_time(global.timeout.filter(|_| client), call(command, &global)) => done,
        code = signals.next(), if client => Err(CliError::Interrupted(code)),
    }
}

async fn in_time(limit: Option<Duration>, command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    match limit {
        Some(limit) => {
            let done = tokio::time::timeout(limit.saturating_add(LATE), command).await;
            done.unwrap_or(Err(CliError::TimedOut(limit)))
        }
        None => command.await,
    }
}

async fn call(command: Command, global: &Global) -> Result<(), CliError> {
    let client = || Client::find(global);
    match command {
        Command::Init(args) => args.run(),
        Command::Daemon(args) => args.run(global.api.clone()).await,
        Command::Version(args) => args.run(global.enc),
        Command::Completions(args) => args.run(),
        Command::Config(command) => command.run(global.enc),
        Command::Id(args) => args.run(global).await,
        Command::Swarm(command) => command.run(&client()?).await,
        Command::Ping(args) => args.run(&client()?).await,
        Command::Routing(args) => args.run(&client()?).await,
        Command::Add(args) => args.run(&client()?).await,
        Command::Cat(args) => args.run(&client()?).await,
        Command::Get(args) => args.run(&client()?).await,
        Command::Ls(args) => args.run(&client()?).await,
        Command::Block(command) => command.run(&client()?).await,
        Command::Actors(command) => command.run(&client()?).await,
        Command::Stats(command) => command.run(&client()?).await,
        Command::Bitswap(command) => command.run(&client()?).await,
        Command::Shutdown => client()?.call("shutdown").pour().await,
    }
}
