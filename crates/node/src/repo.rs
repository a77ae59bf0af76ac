//! The repo: a folder with identity, configuration, blocks and known peers, locked by the daemon that uses it.

use crate::config::{self, ConfigError};
use crate::{Config, Preset, identity};
use ipfrs_contract::{Keypair, Multiaddr, PeerId, Protocol, PublicKey};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// Version of the layout.
const VERSION: &str = "1\n";
/// Ports tried from the wanted one upwards.
const PORTS_TRIED: u16 = 100;

/// Why a repo could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepoError {
    /// There is none.
    #[error("no IPFS repo found in {}; please run: ipfrs init", .0.display())]
    NotInitialised(PathBuf),
    /// There is one already.
    #[error("ipfs configuration file already exists in {}; nothing was changed", .0.display())]
    AlreadyInitialised(PathBuf),
    /// Another process uses it.
    #[error("the repo {} is in use by process {pid}", .path.display())]
    Locked {
        /// Which repo.
        path: PathBuf,
        /// Who holds it, `unknown` when it did not say.
        pid: String,
    },
    /// Another version of the program made it.
    #[error("the repo {} has version {found:?}, this program reads {VERSION:?}", .path.display())]
    Version {
        /// Which repo.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// The identity is damaged.
    #[error("the identity in {} cannot be used: {why}", .path.display())]
    Identity {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No port is free.
    #[error("no free port between {from} and {to}")]
    NoPort {
        /// First tried.
        from: u16,
        /// Last tried.
        to: u16,
    },
    /// The configuration is not acceptable.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The operating system refused.
    #[error("{}: {cause}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        #[source]
        cause: io::Error,
    },
}

impl RepoError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> RepoError + '_ {
        move |cause| RepoError::Io { path: path.to_owned(), cause }
    }
}

/// What a new repo starts from.
#[derive(Debug, Clone, Default)]
pub struct InitOptions {
    /// Its preset.
    pub preset: Preset,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Initialised {
    /// The new identity.
    pub peer_id: PeerId,
    /// Where the node will listen.
    pub listen: Vec<Multiaddr>,
    /// Where its API will listen.
    pub api: Multiaddr,
    /// Ports that were taken: wanted and used instead.
    pub moved: Vec<(u16, u16)>,
}

/// An open repo. It is locked as long as this lives.
#[derive(Debug)]
pub struct Repo {
    path: PathBuf,
    keypair: Keypair,
    _lock: File,
}

impl Repo {
    /// `$IPFS_PATH`, or `.ipfrs` in the home folder.
    pub fn default_path() -> PathBuf {
        match std::env::var_os("IPFS_PATH") {
            Some(path) if !path.is_empty() => path.into(),
            _ => std::env::home_dir().unwrap_or_default().join(".ipfrs"),
        }
    }

    /// Whether a folder holds a repo.
    pub fn exists(path: &Path) -> bool {
        path.join("version").exists()
    }

    /// Makes a repo: a new identity, free ports, a configuration file with what differs from the preset.
    pub fn init(path: &Path, options: &InitOptions) -> Result<Initialised, RepoError> {
        if Repo::exists(path) {
            return Err(RepoError::AlreadyInitialised(path.to_owned()));
        }
        private_folder(path)?;
        let mut config = options.preset.config();
        let mut moved = Vec::new();
        let swarm = free_port(4001, true)?;
        if swarm != 4001 {
            moved.push((4001, swarm));
        }
        config.swarm.listen = config.swarm.listen.iter().map(|addr| with_port(addr, swarm)).collect();
        let api = free_port(5001, false)?;
        if api != 5001 {
            moved.push((5001, api));
        }
        config.api.listen = with_port(&config.api.listen, api);
        let keypair = Keypair::generate_ed25519();
        identity::save(&path.join("identity.key"), &keypair)?;
        write_atomically(&path.join(config::FILE), config_file(&config).as_bytes())?;
        // Last: a repo without a version is not there.
        write_atomically(&path.join("version"), VERSION.as_bytes())?;
        Ok(Initialised {
            peer_id: keypair.public().to_peer_id(),
            listen: config.swarm.listen,
            api: config.api.listen,
            moved,
        })
    }

    /// Opens and locks a repo.
    pub fn open(path: &Path) -> Result<Repo, RepoError> {
        let version = match fs::read_to_string(path.join("version")) {
            Ok(version) => version,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(RepoError::NotInitialised(path.to_owned())),
            Err(e) => return Err(RepoError::io(path)(e)),
        };
        if version != VERSION {
            return Err(RepoError::Version { path: path.to_owned(), found: version });
        }
        let lock = take_lock(path)?;
        let keypair = identity::load(&path.join("identity.key"))?;
        Ok(Repo { path: path.to_owned(), keypair, _lock: lock })
    }

    /// Who a repo belongs to, whether a daemon uses it or not.
    pub fn peek_identity(path: &Path) -> Result<PublicKey, RepoError> {
        if !Repo::exists(path) {
            return Err(RepoError::NotInitialised(path.to_owned()));
        }
        Ok(identity::load(&path.join("identity.key"))?.public())
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its identity.
    pub fn keypair(&self) -> &Keypair {
        &self.keypair
    }

    /// Tells others where the API of the daemon is.
    pub fn write_api(path: &Path, api: &Multiaddr) -> Result<(), RepoError> {
        write_atomically(&path.join("api"), api.to_string().as_bytes())
    }

    /// The API of the daemon that uses a repo, if one says so.
    pub fn read_api(path: &Path) -> Option<Multiaddr> {
        fs::read_to_string(path.join("api")).ok()?.trim().parse().ok()
    }

    /// The daemon is gone.
    pub fn remove_api(path: &Path) {
        let _ = fs::remove_file(path.join("api"));
    }
}

fn private_folder(path: &Path) -> Result<(), RepoError> {
    fs::create_dir_all(path).map_err(RepoError::io(path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(RepoError::io(path))?;
    }
    Ok(())
}

fn take_lock(repo: &Path) -> Result<File, RepoError> {
    let path = repo.join("repo.lock");
    let mut lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(RepoError::io(&path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(cause)) => return Err(RepoError::Io { path, cause }),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = lock.read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() };
            return Err(RepoError::Locked { path: repo.to_owned(), pid });
        }
    }
    let written = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| write!(lock, "{}", std::process::id()));
    written.map_err(RepoError::io(&path))?;
    Ok(lock)
}

/// Writes a file whole or not at all; only its owner may read it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RepoError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        // The temporary file has mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(RepoError::io(path))
}

/// The file a new repo gets: its preset and what differs from it.
fn config_file(config: &Config) -> String {
    let list = config.swarm.listen.iter().map(|addr| format!("    {:?},\n", addr.to_string())).collect::<String>();
    format!(
        "# Fields that are not given come from the preset; `ipfrs config show` prints all of them.\n\
         preset = {:?}\n\n[swarm]\nlisten = [\n{list}]\n\n[api]\nlisten = {:?}\n",
        config.preset.to_string(),
        config.api.listen.to_string(),
    )
}

fn with_port(addr: &Multiaddr, port: u16) -> Multiaddr {
    let replaced = addr.iter().map(|p| match p {
        Protocol::Tcp(_) => Protocol::Tcp(port),
        Protocol::Udp(_) => Protocol::Udp(port),
        other => other,
    });
    replaced.collect()
}

/// The first port from `wanted` that is free on TCP, and on UDP when `udp`.
fn free_port(wanted: u16, udp: bool) -> Result<u16, RepoError> {
    let ip = if udp { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
    let free = |port: &u16| TcpListener::bind((ip, *port)).is_ok() && (!udp || UdpSocket::bind((ip, *port)).is_ok());
    let range = wanted..=wanted + PORTS_TRIED;
    range.clone().find(free).ok_or(RepoError::NoPort { from: wanted, to: *range.end() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repo_is_made_once_and_locked_while_it_is_open() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("repo");
        assert!(matches!(Repo::open(&path), Err(RepoError::NotInitialised(_))));
        let made = Repo::init(&path, &InitOptions { preset: Preset::Mobile }).unwrap();
        assert!(matches!(Repo::init(&path, &InitOptions::default()), Err(RepoError::AlreadyInitialised(_))));
        let config = config::load(Some(&path)).unwrap();
        assert_eq!(
            (config.preset, &config.swarm.listen, &config.api.listen),
            (Preset::Mobile, &made.listen, &made.api)
        );
        let repo = Repo::open(&path).unwrap();
        assert_eq!(repo.keypair().public().to_peer_id(), made.peer_id);
        match Repo::open(&path) {
            Err(RepoError::Locked { pid, .. }) => assert_eq!(pid, std::process::id().to_string()),
            other => panic!("{other:?}"),
        }
        drop(repo);
        Repo::open(&path).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(path.join("identity.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn a_taken_port_is_passed_over() {
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = held.local_addr().unwrap().port();
        if port < u16::MAX - PORTS_TRIED {
            assert_ne!(free_port(port, false).unwrap(), port);
        }
    }
}
