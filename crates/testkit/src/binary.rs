//! Our own binary, built by the cargo that runs the tests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", root.display()))
}

/// A call of cargo in the workspace, without the variables that cargo sets for a test: some build scripts would take
/// them for a change and compile everything again.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let of_test =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_", "CARGO_TARGET_TMPDIR"];
        if of_test.iter().any(|prefix| name.starts_with(prefix)) || name == "OUT_DIR" {
            command.env_remove(name);
        }
    }
    command.args(args).current_dir(workspace()).stdin(Stdio::null());
    command
}

/// The binary `ipfrs`: `IPFRS_BIN` when set, otherwise built once in the profile of the tests.
pub fn daemon_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("IPFRS_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

fn build() -> PathBuf {
    let profile = own_profile();
    let mut args = vec!["build", "-p", "ipfrs-cli", "--bin", "ipfrs", "--message-format=json-render-diagnostics"];
    if let Some(profile) = &profile {
        args.extend(["--profile", profile.as_str()]);
    }
    let output = cargo(&args).stderr(Stdio::inherit()).output().unwrap_or_else(|e| panic!("cargo does not start: {e}"));
    assert!(output.status.success(), "cargo {} failed", args.join(" "));
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<serde_json::Value>();
    let executables = messages
        .filter_map(|m| m.ok().filter(|m| m["target"]["name"] == "ipfrs")?["executable"].as_str().map(PathBuf::from));
    executables.last().expect("cargo names the binary it built")
}

/// The profile this test was built in, when it is not `dev`: the folder above `deps` has its name.
fn own_profile() -> Option<String> {
    let exe = std::env::current_exe().ok()?;
    let folder = exe.parent()?.parent()?.file_name()?.to_str()?;
    (folder != "debug").then(|| folder.to_owned())
}
