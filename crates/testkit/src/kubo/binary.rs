//! The Kubo binary: given, cached, or built from its Go module.

use crate::workspace;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The Kubo binary, or `None` after saying loudly that the test `test` is skipped.
///
/// `IPFRS_KUBO` names a binary; without it the one in `tests/interop/kubo/bin` is taken, and built when it is missing.
/// Building needs Go. Where there is no Go the test is skipped, unless `CI` is set or `IPFRS_REQUIRE_KUBO=1`.
pub fn kubo_or_skip(test: &str) -> Option<&'static Path> {
    static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let binary = BINARY.get_or_init(find).as_deref();
    if binary.is_none() {
        let required = std::env::var_os("CI").is_some() || std::env::var("IPFRS_REQUIRE_KUBO").is_ok_and(|v| v == "1");
        assert!(
            !required,
            "{test} needs Kubo, and neither a Kubo binary nor Go is here: install Go, or set IPFRS_KUBO"
        );
        // Not through eprintln!: the test runner would hide it.
        let line = format!(
            "\nSKIPPED {test}: no Kubo here. Install Go to have it built, or set IPFRS_KUBO to a binary of Kubo.\n"
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    binary
}

fn find() -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("IPFRS_KUBO") {
        let given = PathBuf::from(given);
        assert!(given.is_file(), "IPFRS_KUBO={} is not a file", given.display());
        return Some(given);
    }
    let module = workspace().join("tests/interop/kubo");
    let folder = module.join("bin");
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    // Several test processes may come here at once; one builds, the others wait.
    let lock = File::create(folder.join(".lock")).unwrap();
    lock.lock().unwrap();
    let binary = folder.join("ipfs");
    if is_current(&binary, &module.join("go.mod")) {
        return Some(binary);
    }
    let go = Command::new("go").arg("version").output();
    if go.is_err() {
        return binary.is_file().then_some(binary);
    }
    let _ = std::io::stderr().write_all(b"\nbuilding Kubo from its Go modules, this takes minutes the first time\n");
    let fresh = folder.join("ipfs.new");
    let mut build = Command::new("go");
    build.args(["build", "-trimpath", "-o"]).arg(&fresh).arg("github.com/ipfs/kubo/cmd/ipfs").current_dir(&module);
    let output = build.env("GOFLAGS", "-mod=readonly").output().unwrap();
    assert!(output.status.success(), "Kubo does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    std::fs::rename(&fresh, &binary).unwrap();
    Some(binary)
}

/// Whether the binary is there and not older than the module that names its version.
fn is_current(binary: &Path, module: &Path) -> bool {
    let time = |path: &Path| path.metadata().and_then(|m| m.modified());
    match (time(binary), time(module)) {
        (Ok(binary), Ok(module)) => binary >= module,
        _ => false,
    }
}
