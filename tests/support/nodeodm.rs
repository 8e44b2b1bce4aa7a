//! A double of a NodeODM server, after its OpenAPI document (version 2.1.4): it keeps what is uploaded, walks through the
//! states of a task, and hands out a result; on demand it fails as real servers do. It computes nothing.
//!
//! Where the document and the servers differ it does as the servers: faults are 200 with `{"error": …}`, a status is an
//! object, `/task/cancel` and its like take forms. `cluster` answers as ClusterODM.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use memchr::memmem;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What the double is to do.
#[derive(Clone, Default)]
pub struct Script {
    pub token: Option<&'static str>,
    /// Whether it answers as ClusterODM.
    pub cluster: bool,
    /// `all.zip`.
    pub result: Vec<u8>,
    /// So many uploads are answered with 500.
    pub failing_uploads: usize,
    /// After so many uploads no further one is answered.
    pub uploads_until_silence: Option<usize>,
    /// So many downloads end in the middle.
    pub broken_downloads: usize,
    /// The message of a task that fails, and the last line of its output.
    pub failure: Option<(&'static str, &'static str)>,
    /// Tasks stay running.
    pub holds: bool,
    /// An option that this server lacks.
    pub without: Option<&'static str>,
    pub max_images: Option<usize>,
}

/// A task as the server has it.
#[derive(Clone, Default)]
pub struct Task {
    pub options: BTreeMap<String, Value>,
    pub outputs: Vec<String>,
    /// SHA-256 of each file, by name.
    pub files: BTreeMap<String, String>,
    pub texts: BTreeMap<String, String>,
    pub committed: bool,
    pub cancelled: bool,
    looks: usize,
}

/// A running double.
pub struct NodeOdm {
    pub url: String,
    inner: Arc<Inner>,
}

struct Inner {
    script: Mutex<Script>,
    tasks: Mutex<BTreeMap<String, Task>>,
    calls: Mutex<Vec<String>>,
}

impl NodeOdm {
    pub fn start(script: Script) -> Self {
        let inner = Arc::new(Inner { script: Mutex::new(script), tasks: Mutex::default(), calls: Mutex::default() });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, app).await.unwrap();
            });
        });
        Self { url, inner }
    }

    /// Changes what it does from now on.
    pub fn rewrite(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.inner.script.lock().unwrap());
    }

    pub fn tasks(&self) -> BTreeMap<String, Task> {
        self.inner.tasks.lock().unwrap().clone()
    }

    /// The only task.
    pub fn task(&self) -> Task {
        let tasks = self.tasks();
        assert_eq!(tasks.len(), 1, "one task is on the server");
        tasks.into_values().next().unwrap()
    }

    /// Forgets all tasks, as after a restart without its data.
    pub fn forget(&self) {
        self.inner.tasks.lock().unwrap().clear();
    }

    /// How often something was called, as `POST /task/new/upload`.
    pub fn calls(&self, start: &str) -> usize {
        self.inner.calls.lock().unwrap().iter().filter(|call| call.starts_with(start)).count()
    }
}

fn error(said: &str) -> Response {
    axum::Json(json!({ "error": said })).into_response()
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    let query = form(head.uri.query().unwrap_or_default());
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    inner.calls.lock().unwrap().push(format!("{method} {path}"));
    let script = inner.script.lock().unwrap().clone();
    if script.token.is_some() && query.get("token").map(String::as_str) != script.token {
        if script.cluster {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        return error("Invalid authentication token: token does not match.");
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("GET", ["info"]) => axum::Json(json!({
            "version": if script.cluster { "1.5.3" } else { "2.1.4" }, "taskQueueCount": 0,
            "maxImages": script.max_images, "engine": "odm", "engineVersion": "3.5.6",
        }))
        .into_response(),
        ("GET", ["options"]) => axum::Json(options(&script)).into_response(),
        ("POST", ["task", "new", "init"]) => inner.begin(&head.headers, &body, &script),
        ("POST", ["task", "new", "upload", id]) => {
            let silent = script.uploads_until_silence.is_some_and(|most| inner.files(id) >= most);
            if silent {
                std::future::pending::<()>().await;
            }
            inner.upload(id, &head.headers, &body)
        }
        ("POST", ["task", "new", "commit", id]) => inner.commit(id),
        ("GET", ["task", id, "info"]) => inner.info(id, &script),
        ("GET", ["task", id, "output"]) => inner.output(id, &query, &script),
        ("GET", ["task", id, "download", "all.zip"]) => inner.download(id, &head.headers, &script),
        ("POST", ["task", what @ ("cancel" | "remove" | "restart")]) => {
            inner.order(what, &form(&String::from_utf8_lossy(&body)), &script)
        }
        _ => (StatusCode::NOT_FOUND, format!("Cannot {method} {path}")).into_response(),
    }
}

/// Options as `/options` lists them: a few of ODM's.
fn options(script: &Script) -> Vec<Value> {
    let option = |name: &str, kind: &str, value: &str, domain: Value| json!({ "name": name, "type": kind, "value": value, "domain": domain, "help": "" });
    let all = [
        option("fast-orthophoto", "bool", "false", json!("bool")),
        option("skip-3dmodel", "bool", "false", json!("bool")),
        option("dsm", "bool", "false", json!("bool")),
        option("orthophoto-resolution", "float", "5", json!("float > 0.0")),
        option("min-num-features", "int", "10000", json!("integer")),
        option("feature-quality", "enum", "high", json!(["ultra", "high", "medium", "low", "lowest"])),
    ];
    all.into_iter().filter(|option| option["name"].as_str() != script.without).collect()
}

impl Inner {
    fn begin(&self, headers: &HeaderMap, body: &[u8], script: &Script) -> Response {
        let fields: BTreeMap<String, String> =
            parts(headers, body).into_iter().map(|part| (part.name, String::from_utf8(part.bytes).unwrap())).collect();
        let given: Vec<Value> = serde_json::from_str(&fields["options"]).unwrap();
        let known = options(script);
        let mut task = Task { outputs: serde_json::from_str(&fields["outputs"]).unwrap(), ..Task::default() };
        for option in given {
            let name = option["name"].as_str().unwrap().to_owned();
            let Some(spec) = known.iter().find(|spec| spec["name"] == option["name"]) else { continue };
            let value = option["value"].clone();
            let fits = match spec["type"].as_str().unwrap() {
                "bool" => value.is_boolean(),
                "int" => value.is_i64(),
                "float" => value.is_number(),
                _ => value.is_string(),
            };
            if !fits {
                return error(&json!([{ "name": name, "error": "Invalid value" }]).to_string());
            }
            task.options.insert(name, value);
        }
        let id = headers.get("set-uuid").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let is_free = !self.tasks.lock().unwrap().contains_key(&id);
        if uuid::Uuid::parse_str(&id).is_err() || !is_free {
            return error(&format!("Invalid set-uuid: {id}"));
        }
        self.tasks.lock().unwrap().insert(id.clone(), task);
        axum::Json(json!({ "uuid": id })).into_response()
    }

    fn files(&self, id: &str) -> usize {
        self.tasks.lock().unwrap().get(id).map_or(0, |task| task.files.len())
    }

    fn upload(&self, id: &str, headers: &HeaderMap, body: &[u8]) -> Response {
        let mut tasks = self.tasks.lock().unwrap();
        let Some(task) = tasks.get_mut(id).filter(|task| !task.committed) else {
            return error("Invalid uuid (not found)");
        };
        let mut script = self.script.lock().unwrap();
        if script.failing_uploads > 0 {
            script.failing_uploads -= 1;
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let files: Vec<Part> = parts(headers, body).into_iter().filter(|part| part.name == "images").collect();
        if files.is_empty() {
            return error("Need at least 1 file.");
        }
        for Part { file, bytes, .. } in files {
            let mut name = file.unwrap();
            // As the server does with a name that is there already.
            while task.files.contains_key(&name) {
                name = name.replacen('.', "_.", 1);
            }
            if name == "gcp_list.txt" {
                task.texts.insert(name.clone(), String::from_utf8(bytes.clone()).unwrap());
            }
            task.files.insert(name, hex::encode(Sha256::digest(&bytes)));
        }
        axum::Json(json!({ "success": true })).into_response()
    }

    fn commit(&self, id: &str) -> Response {
        match self.tasks.lock().unwrap().get_mut(id).filter(|task| !task.committed && !task.files.is_empty()) {
            Some(task) => {
                task.committed = true;
                axum::Json(json!({ "uuid": id })).into_response()
            }
            None => error("Invalid uuid (not found)"),
        }
    }

    fn info(&self, id: &str, script: &Script) -> Response {
        let mut tasks = self.tasks.lock().unwrap();
        let Some(task) = tasks.get_mut(id).filter(|task| task.committed) else { return unknown(id, script) };
        task.looks += 1;
        let (code, progress) = match task.looks {
            _ if task.cancelled => (50, 0),
            1 => (10, 0),
            2 => (20, 30),
            _ if script.holds => (20, 60),
            _ if script.failure.is_some() => (30, 60),
            _ => (40, 100),
        };
        let mut status = json!({ "code": code });
        if let (30, Some((message, _))) = (code, script.failure) {
            status["errorMessage"] = json!(message);
        }
        let options: Vec<Value> = task.options.iter().map(|(n, v)| json!({ "name": n, "value": v })).collect();
        axum::Json(json!({
            "uuid": id, "name": "a task", "dateCreated": 1_750_000_000_000_u64, "processingTime": 61_000,
            "status": status, "options": options, "imagesCount": task.files.len(), "progress": progress,
        }))
        .into_response()
    }

    fn output(&self, id: &str, query: &BTreeMap<String, String>, script: &Script) -> Response {
        if !self.tasks.lock().unwrap().contains_key(id) {
            return unknown(id, script);
        }
        let last = script.failure.map_or("", |(_, last)| last);
        let lines = ["[INFO]    Initializing ODM 3.5.6", "[INFO]    Running dataset stage", last];
        let line: i64 = query.get("line").map_or(0, |line| line.parse().unwrap());
        let from = if line < 0 { lines.len().saturating_sub(line.unsigned_abs() as usize) } else { line as usize };
        axum::Json(json!(lines[from.min(lines.len())..])).into_response()
    }

    fn download(&self, id: &str, headers: &HeaderMap, script: &Script) -> Response {
        if !self.tasks.lock().unwrap().get(id).is_some_and(|task| task.committed && !task.cancelled) {
            return unknown(id, script);
        }
        let total = script.result.len();
        let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
        let start: usize = range.map_or(0, |range| range["bytes=".len()..].trim_end_matches('-').parse().unwrap());
        let mut own = self.script.lock().unwrap();
        let end = if own.broken_downloads > 0 { start + (total - start) / 2 } else { total };
        own.broken_downloads = own.broken_downloads.saturating_sub(1);
        let sent = Bytes::copy_from_slice(&script.result[start..end]);
        let broken = (end < total).then(|| Err(std::io::Error::other("the cable")));
        let body = Body::from_stream(futures::stream::iter(std::iter::once(Ok(sent)).chain(broken)));
        let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        let builder = Response::builder().status(status).header(header::CONTENT_TYPE, "application/zip");
        let builder = builder.header(header::CONTENT_RANGE, format!("bytes {start}-{}/{total}", total - 1));
        builder.header(header::CONTENT_LENGTH, total - start).body(body).unwrap()
    }

    fn order(&self, what: &str, form: &BTreeMap<String, String>, script: &Script) -> Response {
        let mut tasks = self.tasks.lock().unwrap();
        let Some(id) = form.get("uuid") else { return error("uuid param missing.") };
        let Some(task) = tasks.get_mut(id) else { return unknown(id, script) };
        match what {
            "cancel" => task.cancelled = true,
            "restart" => (task.cancelled, task.looks) = (false, 0),
            _ => drop(tasks.remove(id)),
        }
        axum::Json(json!({ "success": true })).into_response()
    }
}

fn unknown(id: &str, script: &Script) -> Response {
    let cluster = format!("Invalid route for taskId {id}:info, no task table entry.");
    error(&if script.cluster { cluster } else { format!("{id} not found") })
}

fn form(text: &str) -> BTreeMap<String, String> {
    text.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

struct Part {
    name: String,
    file: Option<String>,
    bytes: Vec<u8>,
}

/// Reads `multipart/form-data` as RFC 7578 has it.
fn parts(headers: &HeaderMap, body: &[u8]) -> Vec<Part> {
    let kind = headers[header::CONTENT_TYPE].to_str().unwrap();
    let boundary = format!("--{}", kind.strip_prefix("multipart/form-data; boundary=").unwrap());
    let starts: Vec<usize> = memmem::find_iter(body, &boundary).collect();
    assert!(body.ends_with(format!("{boundary}--\r\n").as_bytes()), "the last part is closed");
    let part = |pair: &[usize]| {
        let text = &body[pair[0] + boundary.len() + 2..pair[1] - 2];
        let end = memmem::find(text, b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&text[..end]).unwrap();
        let value = |name: &str| head.split(&format!("; {name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        let file = value("filename").map(str::to_owned);
        Part { name: value("name").unwrap().to_owned(), file, bytes: text[end + 4..].to_vec() }
    };
    starts.windows(2).map(part).collect()
}

/// Packs files as the server does.
pub fn archive(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Writes an orthophoto as ODM does: four bands with alpha, tiled, DEFLATE; `moved` metres to the east, or nowhere.
pub fn as_odm_writes(orthophoto: &Path, moved: Option<f64>) -> Vec<u8> {
    use gdal::{Dataset, DriverManager, raster::RasterCreationOptions};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odm_orthophoto.tif");
    let source = Dataset::open(orthophoto).unwrap();
    let size = source.raster_size();
    let options = RasterCreationOptions::from_iter([
        "TILED=YES",
        "COMPRESS=DEFLATE",
        "PREDICTOR=2",
        "BLOCKXSIZE=512",
        "BLOCKYSIZE=512",
        "PHOTOMETRIC=RGB",
        "ALPHA=YES",
    ]);
    let driver = DriverManager::get_driver_by_name("GTiff").unwrap();
    let mut out = driver.create_with_band_type_with_options::<u8, _>(&path, size.0, size.1, 4, &options).unwrap();
    if let Some(moved) = moved {
        let mut transform = source.geo_transform().unwrap();
        transform[0] += moved;
        out.set_geo_transform(&transform).unwrap();
        out.set_spatial_ref(&source.spatial_ref().unwrap()).unwrap();
    }
    for band in 1..=4 {
        let from = source.rasterband(band.min(3)).unwrap();
        let from = if band == 4 { from.open_mask_band().unwrap() } else { from };
        let mut pixels = from.read_as::<u8>((0, 0), size, size, None).unwrap();
        out.rasterband(band).unwrap().write((0, 0), size, &mut pixels).unwrap();
    }
    out.close().unwrap();
    std::fs::read(path).unwrap()
}
