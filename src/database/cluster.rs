//! A private PostgreSQL cluster in a folder of polder's own.
//!
//! It listens on a Unix socket in that folder and nowhere else, so it meets no other cluster, and the folder's
//! mode (700) is what guards it: its URL holds no password. PostgreSQL refuses to run as root; started by root
//! it runs as the user `postgres`, with the one capability that lets it pass the closed folders above its own.

use std::{
    fs,
    io::{self, Read as _, Seek as _},
    os::unix::{
        fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The user that root starts the server as; Debian's packages make it.
const SERVER_USER: &str = "postgres";

/// The longest socket path that fits `sockaddr_un`, less PostgreSQL's `.s.PGSQL.5432.lock`.
const LONGEST_SOCKET_FOLDER: usize = 107 - 24;

/// How long a start may take; recovery after a crash replays at most `max_wal_size`.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// Why the private cluster could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    #[error("cannot find PostgreSQL's initdb and postgres: run `make setup`, or give a database with --database-url")]
    NoServer,
    #[error(
        "PostgreSQL refuses to run as root and there is no user `postgres`: run polder as another user, or give a database with --database-url"
    )]
    NoServerUser,
    #[error(
        "PostgreSQL refuses to run as root and `setpriv` (util-linux) is missing: install it, run polder as another user, or give a database with --database-url"
    )]
    NoSetpriv,
    #[error("cannot use {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot run {program}: {source}")]
    Spawn { program: String, source: io::Error },
    #[error("{program} failed: {message}")]
    Failed { program: String, message: String },
    #[error("PostgreSQL did not start; the end of {} says: {tail}", log.display())]
    NotStarted { log: PathBuf, tail: String },
}

type Result<T> = std::result::Result<T, ClusterError>;

/// A running private cluster. Dropping it stops the server.
pub struct Cluster {
    data: PathBuf,
    log: PathBuf,
    socket: PathBuf,
    server: Option<Child>,
    tools: Tools,
}

impl Cluster {
    /// Starts the cluster in `folder`, making it on first use. A server that a killed polder left behind on this
    /// very folder is stopped first.
    ///
    /// # Errors
    /// Every variant of [`ClusterError`]; each says what to do.
    pub fn start(folder: &Path) -> Result<Self> {
        let tools = Tools::find()?;
        let data = folder.join("postgres");
        if !data.join("PG_VERSION").exists() {
            initialise(&tools, folder, &data)?;
        }
        let log = folder.join("postgres.log");
        let mut cluster = Self { socket: socket_folder(&tools, folder)?, data, log, server: None, tools };
        cluster.stop_orphan()?;
        cluster.start_server()?;
        Ok(cluster)
    }

    /// Starts the server again if it ended by itself; tells whether it had. Clients reconnect to the same URL.
    ///
    /// # Errors
    /// [`ClusterError::NotStarted`] and [`ClusterError::Spawn`]; it can be tried again.
    pub fn revive(&mut self) -> Result<bool> {
        let runs = self.server.as_mut().is_some_and(|server| matches!(server.try_wait(), Ok(None)));
        if runs {
            return Ok(false);
        }
        self.server = None;
        self.start_server()?;
        Ok(true)
    }

    fn start_server(&mut self) -> Result<()> {
        self.server = Some(self.spawn()?);
        self.wait_until_ready()
    }

    /// Returns the URL of a database in this cluster, through its socket, without any secret.
    pub fn url(&self, database: &str) -> String {
        let host: String = self.socket.to_string_lossy().bytes().map(percent_encode).collect();
        format!("postgres:///{database}?host={host}&user=polder")
    }

    /// Stops the server: open transactions are rolled back, everything committed is on disk.
    pub fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // SIGINT is PostgreSQL's "fast" shutdown.
        let _ = self.tools.command("kill").args(["-INT", &server.id().to_string()]).status();
        let _ = server.wait();
    }

    fn spawn(&self) -> Result<Child> {
        let folder = |source| ClusterError::Folder { path: self.log.clone(), source };
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).map_err(folder)?;
        let stderr = log.try_clone().map_err(folder)?;
        self.tools
            .command("postgres")
            .arg("-D")
            .arg(&self.data)
            .arg("-k")
            .arg(&self.socket)
            // No TCP at all.
            .args(["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"])
            // A small machine's share: jit costs more than it gives on queries of milliseconds.
            .args(["-c", "shared_buffers=128MB", "-c", "jit=off", "-c", "max_connections=60"])
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(stderr)
            // Ctrl-C at the terminal is for polder, which stops the server last.
            .process_group(0)
            .spawn()
            .map_err(|source| ClusterError::Spawn { program: "postgres".to_owned(), source })
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            let exited = self.server.as_mut().is_some_and(|server| !matches!(server.try_wait(), Ok(None)));
            if exited || start.elapsed() > START_TIMEOUT {
                return Err(ClusterError::NotStarted { log: self.log.clone(), tail: tail(&self.log) });
            }
            // The eighth line of postmaster.pid is "ready" once connections are taken. A killed server leaves its own
            // file behind, which is why the first line, its process, is read too.
            let pid_file = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
            let mut lines = pid_file.lines().map(str::trim);
            let is_own = self.server.as_ref().is_some_and(|s| lines.next() == Some(s.id().to_string().as_str()));
            if is_own && lines.nth(6) == Some("ready") {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(30));
        }
    }

    /// After a `kill -9` of polder its server runs on; a second one on the same files would destroy them, and
    /// PostgreSQL itself refuses that. It is asked to stop, and waited for.
    fn stop_orphan(&self) -> Result<()> {
        let pid_file = self.data.join("postmaster.pid");
        let Some(pid) = fs::read_to_string(&pid_file).ok().and_then(|t| t.lines().next()?.parse::<u32>().ok()) else {
            return Ok(());
        };
        let is_ours = fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(self.data.to_string_lossy().as_ref()));
        if !is_ours {
            return Ok(());
        }
        tracing::warn!(postgres.pid = pid, "stopping the PostgreSQL server that an earlier polder left behind");
        self.tools.run("pg_ctl", |c| c.args(["stop", "-w", "-m", "fast", "-D"]).arg(&self.data))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

fn initialise(tools: &Tools, folder: &Path, data: &Path) -> Result<()> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |source| ClusterError::Folder { path, source }
    };
    // Made aside and renamed, so that a killed initdb is never taken for a cluster.
    let fresh = folder.join("postgres.new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(fault(&fresh))?;
    }
    tools.make_folder(&fresh)?;
    tools.run("initdb", |c| {
        c.arg("-D").arg(&fresh).args([
            "-U",
            "polder",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-locale",
            "--no-instructions",
        ])
    })?;
    fs::rename(&fresh, data).map_err(fault(data))
}

/// The socket lives beside the data, unless that path is too long for a socket: then in a folder of its own in `/tmp`.
fn socket_folder(tools: &Tools, folder: &Path) -> Result<PathBuf> {
    let beside = folder.join("run");
    if beside.as_os_str().len() <= LONGEST_SOCKET_FOLDER {
        tools.make_folder(&beside)?;
        return Ok(beside);
    }
    let inode = fs::metadata(folder).map_err(|source| ClusterError::Folder { path: folder.to_owned(), source })?.ino();
    let short = PathBuf::from(format!("/tmp/polder-run-{inode}"));
    tools.make_folder(&short)?;
    Ok(short)
}

/// Where PostgreSQL's programs are, and as whom they run.
struct Tools {
    bin: PathBuf,
    /// The user and group of the server, when polder itself is root.
    server_user: Option<(u32, u32)>,
}

impl Tools {
    fn find() -> Result<Self> {
        let bin = candidates().into_iter().find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists());
        let bin = bin.ok_or(ClusterError::NoServer)?;
        let server_user = if is_root() {
            if !Path::new("/usr/bin/setpriv").exists() {
                return Err(ClusterError::NoSetpriv);
            }
            Some(find_user(SERVER_USER).ok_or(ClusterError::NoServerUser)?)
        } else {
            None
        };
        Ok(Self { bin, server_user })
    }

    /// Returns a command that runs as the server's user, from a folder that everyone may enter.
    fn command(&self, program: &str) -> Command {
        let beside = self.bin.join(program);
        let program = if beside.exists() { beside.into_os_string() } else { program.into() };
        let mut command = if self.server_user.is_some() {
            let mut command = Command::new("/usr/bin/setpriv");
            command.args(["--reuid", SERVER_USER, "--regid", SERVER_USER, "--clear-groups"]);
            command.args(["--inh-caps", "+dac_override", "--ambient-caps", "+dac_override", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/").env("LC_ALL", "C");
        command
    }

    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command) -> &mut Command) -> Result<()> {
        let mut command = self.command(program);
        let output = arguments(&mut command)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| ClusterError::Spawn { program: program.to_owned(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        Err(ClusterError::Failed { program: program.to_owned(), message })
    }

    /// Makes a folder of mode 700 that belongs to the server's user.
    fn make_folder(&self, path: &Path) -> Result<()> {
        let make = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
            if let Some((user, group)) = self.server_user {
                std::os::unix::fs::chown(path, Some(user), Some(group))?;
            }
            Ok(())
        };
        make().map_err(|source| ClusterError::Folder { path: path.to_owned(), source })
    }
}

/// Debian keeps the programs out of the path, one folder a version; the newest comes first.
fn candidates() -> Vec<PathBuf> {
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    let version = |bin: &PathBuf| -> Option<u32> { bin.parent()?.file_name()?.to_str()?.parse().ok() };
    debian.sort_by_key(|bin| std::cmp::Reverse(version(bin)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian.into_iter().chain(std::env::split_paths(&path)).collect()
}

fn percent_encode(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}

fn is_root() -> bool {
    // The owner of our own process folder is our effective user.
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn find_user(name: &str) -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = fs::File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(io::SeekFrom::Start(length.saturating_sub(600)))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    };
    read()
        .unwrap_or_default()
        .lines()
        .rev()
        .take(4)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_names_the_socket_and_no_password() {
        let tools = Tools { bin: PathBuf::new(), server_user: None };
        let cluster =
            Cluster { data: PathBuf::new(), log: PathBuf::new(), socket: "/my data/run".into(), server: None, tools };
        assert_eq!(cluster.url("polder"), "postgres:///polder?host=/my%20data/run&user=polder");
    }

    #[test]
    fn root_is_found_among_the_users() {
        assert_eq!(find_user("root"), Some((0, 0)));
        assert_eq!(find_user("no such user"), None);
    }
}
