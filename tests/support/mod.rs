//! What the stories share: a `polder up` of their own, its commands, and clients that are not ours.

#![allow(dead_code, reason = "each story uses its part")]

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

pub const POLDER: &str = env!("CARGO_BIN_EXE_polder");

/// A running `polder up` on a folder of its own, with ports that nobody else has.
pub struct Polder {
    pub url: String,
    pub s3_endpoint: String,
    pub database_url: String,
    data: PathBuf,
    server: Option<Child>,
    /// Removed at the end; `None` when the folder outlives this server.
    folder: Option<TempDir>,
}

impl Polder {
    /// Starts on a fresh folder.
    pub fn up() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut polder = Self::up_on(&data);
        polder.folder = Some(folder);
        polder
    }

    /// Starts on this folder.
    pub fn up_on(data: &Path) -> Self {
        let mut command = polder(["up", "--json", "--listen", "127.0.0.1:0", "--s3-listen", "127.0.0.1:0"]);
        let mut server = command.arg("--data").arg(data).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let ready: Value = lines
            .by_ref()
            .map_while(Result::ok)
            .filter_map(|line| serde_json::from_str(&line).ok())
            .find(|event: &Value| event["event"] == "ready")
            .expect("polder up says when it is ready");
        std::thread::spawn(move || lines.for_each(drop));
        let text = |name: &str| ready[name].as_str().unwrap().to_owned();
        Self {
            url: text("url"),
            s3_endpoint: text("s3_endpoint"),
            database_url: text("database_url"),
            data: data.to_owned(),
            server: Some(server),
            folder: None,
        }
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().unwrap().id()
    }

    /// A command against this server, not started yet.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = polder(arguments);
        command.arg("--data").arg(&self.data).arg("--work-dir").arg(self.data.join("work")).arg("--json");
        command
    }

    /// Runs a command that must succeed, and returns what it said last.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Value {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        last_event(&output)
    }

    /// Reads JSON from the API.
    pub fn get(&self, path: &str) -> Value {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.url) };
        let mut answer = ureq::get(&url).call().unwrap_or_else(|error| panic!("GET {url}: {error}"));
        answer.body_mut().read_json().unwrap()
    }

    /// All items of a collection, by id.
    pub fn items(&self, collection: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = Some(format!("{}/stac/collections/{collection}/items?limit=100", self.url));
        while let Some(url) = next {
            let page = self.get(&url);
            items.extend(page["features"].as_array().unwrap().iter().cloned());
            let links = page["links"].as_array().unwrap();
            next =
                links.iter().find(|link| link["rel"] == "next").map(|link| link["href"].as_str().unwrap().to_owned());
        }
        items.sort_by_key(|item| item["id"].as_str().unwrap().to_owned());
        items
    }

    /// The keys in `s3.env`, as the AWS tools want them.
    pub fn s3_environment(&self, file: &str) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.data.join(file)).unwrap();
        let pairs = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Stops as Ctrl-C does, and waits.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            signal("INT", server.id());
            assert!(server.wait().unwrap().success(), "polder up ends well");
        }
    }

    /// Stops as a power cut does.
    pub fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }
}

impl Drop for Polder {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            signal("INT", server.id());
            let _ = server.wait();
        }
    }
}

/// The built binary, without anything of this machine's settings.
pub fn polder<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(POLDER);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("AWS_") || name.starts_with("POLDER_") || name == "DATABASE_URL" {
            command.env_remove(name.as_ref());
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

pub fn signal(name: &str, pid: u32) {
    let _ = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
}

/// The last JSON object on stdout.
pub fn last_event(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_default()
}

pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A small synthetic flight, rendered once for all tests of a story. `truth/` and `gcp_list.txt` are beside `images/`.
pub fn small_flight() -> &'static Path {
    static FLIGHT: OnceLock<TempDir> = OnceLock::new();
    FLIGHT
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let size = ["--photos", "8", "--width", "800", "--height", "600", "--seed", "3", "--gps", "rtk"];
            let output = polder(["simulate", "--out"]).arg(folder.path()).args(size).output().unwrap();
            assert!(output.status.success(), "{}", said(&output));
            folder
        })
        .path()
}

/// The Python with the clients of `tests/python/requirements.txt`; `None`, and a loud word, without it.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("POLDER_TEST_PYTHON").map(PathBuf::from).filter(|path| path.exists());
    if python.is_none() {
        eprintln!("SKIPPED: POLDER_TEST_PYTHON names no Python; `make test` provides one");
    }
    python
}

/// The folder of real photos; `None`, and a loud word, without it.
pub fn real_photos() -> Option<PathBuf> {
    let root = std::env::var_os("POLDER_TEST_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let photos = root.join("ortho-dev/images");
    if photos.is_dir() {
        return Some(photos);
    }
    eprintln!("SKIPPED: there are no real photos in {}; set POLDER_TEST_DATA", photos.display());
    None
}

/// Waits until something is so, at most this long.
pub fn wait_until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if is_so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

/// Everything that a client prints, for the message of a failed test.
pub fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Reads a stream to its end.
pub fn read_all(mut from: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}
